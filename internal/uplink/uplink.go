// Package uplink gives the agent's end of the wire: an identity, a spool on disk in which frames wait
// until a server acknowledged them, and the one WebSocket over which they go there, in order, after
// every interruption. Whoever measures calls Spool.Append and forgets the frame.
package uplink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"muster"
	"muster/internal/wire"
)

// Options says where to and as whom. Server, Identity, Spool and Hello are needed.
type Options struct {
	Server   string    // URL of the server: http, https, ws or wss
	Token    string    // of an enrolment, used only while the server does not know the identity
	Pin      string    // fingerprint to trust instead of the system's authorities; see ParsePin
	Identity *Identity // changed and saved when a server welcomes the agent
	Spool    *Spool
	Hello    func() wire.Hello // who the agent is; Key, Signature and Token are set here

	Dial  func(ctx context.Context, network, address string) (net.Conn, error) // nil: the network
	Proxy func(*http.Request) (*url.URL, error)                                // nil: none

	OnWelcome func(*wire.Welcome) // called on the connection's goroutine: must not block
	OnOrder   func(wire.Order)    // the same
	OnAssign  func(wire.Assign)   // the same; parts were put together
	// OnRun, which must not block either, has another goroutine answer some time. The context ends with the
	// connection, and an answer after that goes nowhere.
	OnRun    func(ctx context.Context, run wire.Run, answer func(*wire.Ran))
	Farewell func() muster.FarewellReason
	Now      func() time.Time // the agent's clock, for the time of sending; nil: time.Now
	Logger   *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.OnWelcome == nil {
		o.OnWelcome = func(*wire.Welcome) {}
	}
	if o.OnOrder == nil {
		o.OnOrder = func(wire.Order) {}
	}
	if o.OnAssign == nil {
		o.OnAssign = func(wire.Assign) {}
	}
	if o.OnRun == nil {
		o.OnRun = runsNothing
	}
	if o.Farewell == nil {
		o.Farewell = func() muster.FarewellReason { return muster.FarewellStop }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// runsNothing is what an agent answers that runs no checks.
func runsNothing(_ context.Context, _ wire.Run, answer func(*wire.Ran)) {
	const why = "this agent runs no checks"
	go answer(&wire.Ran{Status: muster.StatusUnknown, Summary: why, Class: "kind", Error: why})
}

// Validate says what is wrong with the options; the error wraps muster.ErrInvalid, or muster.ErrDenied
// when the agent has neither been enrolled nor a token to become so.
func (o Options) Validate() error {
	if o.Identity == nil || o.Spool == nil || o.Hello == nil {
		return fmt.Errorf("uplink: %w: identity, spool and hello are needed", muster.ErrInvalid)
	}
	if _, err := agentURL(o.Server); err != nil {
		return fmt.Errorf("uplink: %w", err)
	}
	if o.Pin != "" {
		if _, err := ParsePin(o.Pin); err != nil {
			return err
		}
	}
	if !o.Identity.Enrolled() && o.Token == "" {
		return fmt.Errorf("uplink: %w: this agent was not enrolled yet: it needs a token, which \"Add a server\" gives", muster.ErrDenied)
	}
	return nil
}

// agentURL completes a server's URL to that of its door for agents.
func agentURL(server string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("%w: %q is not the URL of a server, like https://muster.example.com", muster.ErrInvalid, server)
	}
	switch u.Scheme {
	case "http", "https":
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	default:
		return "", fmt.Errorf("%w: %q: the URL of a server begins with https:// or http://", muster.ErrInvalid, server)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%w: the URL of a server has no user, query or fragment", muster.ErrInvalid)
	}
	return u.JoinPath(wire.Path).String(), nil
}

// Stats is how an uplink stands. Counts began with the process.
type Stats struct {
	Connected     bool
	Connections   uint64 // how often a server welcomed the agent
	Sent          uint64 // frames, those sent again included
	Refused       uint64 // frames a server will never take
	ServerDropped uint64 // metrics the server left out since this connection began
}

// Uplink sends what is in a spool to a server.
type Uplink struct {
	options Options
	pin     []byte
	pause   *backoff
	ackedBy string // the endpoint that acknowledged last
	token   bool   // the next hello carries the token

	connected     atomic.Bool
	connections   atomic.Uint64
	sent          atomic.Uint64
	refused       atomic.Uint64
	serverDropped atomic.Uint64

	facts     chan struct{} // has an element after SetFacts
	mu        sync.Mutex
	lastFacts *wire.Facts
}

// New checks the options; the errors are those of Options.Validate.
func New(options Options) (*Uplink, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	options = options.withDefaults()
	u := &Uplink{
		options: options, pause: newBackoff(), token: !options.Identity.Enrolled(), facts: make(chan struct{}, 1),
	}
	pin := options.Pin
	if pin == "" {
		pin = options.Identity.Pin
	}
	if pin != "" {
		parsed, err := ParsePin(pin)
		if err != nil {
			return nil, err
		}
		u.pin, u.options.Pin = parsed, pin
	}
	return u, nil
}

// Stats says how the uplink stands.
func (u *Uplink) Stats() Stats {
	return Stats{
		Connected: u.connected.Load(), Connections: u.connections.Load(), Sent: u.sent.Load(),
		Refused: u.refused.Load(), ServerDropped: u.serverDropped.Load(),
	}
}

// SetFacts sends changed facts on the open connection. Later ones begin with what Options.Hello gives.
func (u *Uplink) SetFacts(facts *wire.Facts) {
	u.mu.Lock()
	u.lastFacts = facts
	u.mu.Unlock()
	select {
	case u.facts <- struct{}{}:
	default:
	}
}

// Run connects, sends and connects again until ctx ends; then it takes leave of the server and gives
// nil. It gives an error, which wraps muster.ErrDenied, only when a server refuses to enrol the agent:
// that will not change without a person.
func (u *Uplink) Run(ctx context.Context) error {
	for failures, next := 0, 0; ctx.Err() == nil; next++ {
		endpoints := u.endpoints()
		endpoint := endpoints[next%len(endpoints)]
		before := u.connections.Load()
		err := u.session(ctx, endpoint)
		if ctx.Err() != nil {
			break
		}
		if u.connections.Load() != before {
			failures, next = 0, next-1 // it was a good one: try it again first
		}
		pause, fatal := u.judge(err)
		if fatal != nil {
			return fatal
		}
		u.complain(failures, endpoint, pause, err)
		failures++
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
	return nil
}

// endpoints lists the URLs to try: first what the server said, then what the options say.
func (u *Uplink) endpoints() []string {
	list := make([]string, 0, len(u.options.Identity.Endpoints)+1)
	for _, e := range append(slices.Clone(u.options.Identity.Endpoints), u.options.Server) {
		if full, err := agentURL(e); err == nil && !slices.Contains(list, full) {
			list = append(list, full)
		}
	}
	return list
}

// longestRetry bounds what a server may ask for.
const longestRetry = 5 * time.Minute

// judge decides how long to wait after a connection ended, or that there is no sense in going on.
func (u *Uplink) judge(err error) (time.Duration, error) {
	var refusal *refusedError
	if !errors.As(err, &refusal) {
		return u.pause.next(), nil
	}
	r := refusal.Refusal
	switch {
	case r.Code == wire.RefusalUnknown && !u.token && u.options.Token != "":
		u.token = true // the server forgot the node, but a token may make it known again
		return u.pause.next(), nil
	case r.Permanent && !u.options.Identity.Enrolled() && (r.Code == wire.RefusalToken || r.Code == wire.RefusalUnknown):
		return 0, fmt.Errorf("uplink: enrol: %w: %s", muster.ErrDenied, r.Reason)
	case r.Permanent:
		return u.pause.longest(), nil
	}
	return max(min(r.RetryAfter, longestRetry), u.pause.next()), nil
}

// complain logs why there is no connection: at first, and from time to time.
func (u *Uplink) complain(failures int, endpoint string, pause time.Duration, err error) {
	level := slog.LevelDebug
	if failures%20 == 0 {
		level = slog.LevelWarn
	}
	u.options.Logger.Log(context.Background(), level, "There is no connection to the server; frames wait in the spool.",
		"server", endpoint, "error", err, "again_in", pause.Round(time.Millisecond))
}

// refusedError is a server's refusal.
type refusedError struct{ *wire.Refusal }

func (e *refusedError) Error() string {
	reason := e.Reason
	if reason == "" {
		reason = string(e.Code)
	}
	return "the server refused the agent: " + reason
}

// Unwrap gives muster.ErrDenied.
func (e *refusedError) Unwrap() error { return muster.ErrDenied }
