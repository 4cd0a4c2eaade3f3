// Package gateway gives the server's end of the wire: it accepts agents' connections, proves who they
// are, hands their frames on and acknowledges what became durable.
//
// A connection costs one goroutine and some kilobytes: ten thousand agents on one machine are normal. Its
// goroutine reads a message, handles it to the end and acknowledges it before it reads the next, so that
// the order of messages is kept and a slow store holds agents back by itself.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"muster"
	"muster/internal/ingest"
	"muster/internal/inventory"
	"muster/internal/telemetry"
	"muster/internal/wire"
)

// Roster knows agents. Errors wrap the kinds of the root package.
type Roster interface {
	// Identify finds the node whose agent has the key: ErrNotFound when nobody enrolled it.
	Identify(ctx context.Context, key []byte) (inventory.Identity, error)
	// Enroll makes a node for an agent with a token: ErrDenied, with words for it, when the token is no good.
	Enroll(ctx context.Context, s inventory.Sighting) (inventory.Identity, error)
	// Connected notes an agent that was let in: ErrNotFound when its node is gone. Left follows each.
	Connected(ctx context.Context, id inventory.Identity, s inventory.Sighting) error
	// Facts notes that what a connected agent says of its machine changed.
	Facts(ctx context.Context, id inventory.Identity, facts map[string]string, addresses []string) error
	// Left notes the end of a connection, with a reason when the agent said goodbye.
	Left(ctx context.Context, id inventory.Identity, reason muster.FarewellReason) error
}

// Intake takes frames and returns when they are durable. An error that wraps ErrUnavailable is tried again.
type Intake interface {
	Take(ctx context.Context, b *ingest.Batch) (ingest.Receipt, error)
}

// Checks knows which checks belong to which agent. Its methods must not block for long.
type Checks interface {
	// Subject gives what the metrics of a check belong to, by the source of its frames; false when that
	// agent is not to run it.
	Subject(account muster.AccountID, runner muster.NodeID, source string) (muster.NodeID, bool)
	// Joined hears of an agent that can run checks and was let in. Left follows each.
	Joined(id inventory.Identity)
	// Left hears that it is gone.
	Left(id inventory.Identity)
}

// Options set a gateway up. Roster and Intake are needed, the rest has defaults.
type Options struct {
	Roster Roster
	Intake Intake
	// Checks says who runs what. Nil: no agent runs checks, and frames of checks are refused.
	Checks Checks
	// Duplicate hears of agents that were refused because another with their identity is connected and
	// alive. Nil means nobody.
	Duplicate func(id inventory.Identity, s inventory.Sighting)
	// Endpoints gives the URLs that agents are told to turn to; nil or an empty list: the one they know.
	Endpoints func() []string
	// Handshake is how long an agent may take until it is let in; 10 s when zero.
	Handshake time.Duration
	// PingAfter is the silence after which a connection is tested; 30 s when zero.
	PingAfter time.Duration
	// PingWait is how long the answer to that may take; 10 s when zero.
	PingWait time.Duration
	// Patience is how long a message is held while the store takes nothing, before the agent is sent away
	// for a while; 5 s when zero.
	Patience time.Duration
	// MaxConnections bounds the open connections; 100,000 when zero.
	MaxConnections int
	// MaxGreetings bounds those of them that are not let in yet; 2,000 when zero.
	MaxGreetings int
	// Logger is slog's default when nil.
	Logger *slog.Logger
	// Telemetry counts; nil counts nothing.
	Telemetry *telemetry.Set
}

// Validate says what is wrong with the options; the error wraps ErrInvalid.
func (o *Options) Validate() error {
	bad := func(why string) error { return fmt.Errorf("gateway: options: %w: %s", muster.ErrInvalid, why) }
	switch {
	case o.Roster == nil || o.Intake == nil:
		return bad("a roster and an intake are needed")
	case o.Handshake < 0 || o.PingAfter < 0 || o.PingWait < 0 || o.Patience < 0:
		return bad("times can't be negative")
	case o.MaxConnections < 0 || o.MaxGreetings < 0:
		return bad("limits can't be negative")
	}
	return nil
}

func (o *Options) fill() {
	orTime := func(d *time.Duration, or time.Duration) {
		if *d == 0 {
			*d = or
		}
	}
	orTime(&o.Handshake, 10*time.Second)
	orTime(&o.PingAfter, 30*time.Second)
	orTime(&o.PingWait, 10*time.Second)
	orTime(&o.Patience, 5*time.Second)
	if o.MaxConnections == 0 {
		o.MaxConnections = 100_000
	}
	if o.MaxGreetings == 0 {
		o.MaxGreetings = 2000
	}
	if o.Duplicate == nil {
		o.Duplicate = func(inventory.Identity, inventory.Sighting) {}
	}
	if o.Endpoints == nil {
		o.Endpoints = func() []string { return nil }
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

// Gateway accepts agents; it is an http.Handler for wire.Path.
type Gateway struct {
	opts    Options
	schemas *interner
	counts  counts
	buffers buffers

	// stopping ends when Run begins to send the agents away, life when what is under way is given up.
	stopping, life context.Context
	stop, end      context.CancelFunc

	open      atomic.Int64
	greetings atomic.Int64

	mu    sync.Mutex
	all   map[*conn]struct{}
	nodes map[muster.NodeID]*conn // those let in
}

// New makes a gateway; the error wraps ErrInvalid.
func New(o Options) (*Gateway, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.fill()
	g := &Gateway{opts: o, schemas: newInterner(), all: map[*conn]struct{}{}, nodes: map[muster.NodeID]*conn{}}
	g.life, g.end = context.WithCancel(context.Background())
	g.stopping, g.stop = context.WithCancel(g.life)
	g.counts = newCounts(o.Telemetry)
	o.Telemetry.Gauge("muster_gateway_connections", func() float64 { return float64(g.Connections()) })
	o.Telemetry.Gauge("muster_gateway_schemas", func() float64 { return float64(g.schemas.size()) })
	return g, nil
}

// Connections gives how many agents are let in.
func (g *Gateway) Connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.nodes)
}

// ServeHTTP accepts an agent. The handler returns once the agent was let in or refused, so that nothing
// of the HTTP server's memory stays with the connection.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !speaks(r, wire.Subprotocol) {
		g.counts.refused("subprotocol")
		w.Header().Set("Sec-WebSocket-Protocol", wire.Subprotocol)
		http.Error(w, "this server speaks the WebSocket subprotocol "+wire.Subprotocol+" with agents; "+
			"an agent that speaks only another one needs another server version", http.StatusUpgradeRequired)
		return
	}
	if !g.enter() {
		g.counts.refused("busy")
		w.Header().Set("Retry-After", "5")
		http.Error(w, "this server takes no more agents at the moment", http.StatusServiceUnavailable)
		return
	}
	defer g.greetings.Add(-1)
	c, err := g.accept(w, r)
	if err != nil {
		g.open.Add(-1)
		g.counts.refused("upgrade")
		return
	}
	if err := c.greet(); err != nil {
		g.opts.Logger.Info("gateway: agent refused", "remote", c.remote, "error", err)
		c.finish()
		return
	}
	go c.run()
}

// enter counts a connection in, if there is room.
func (g *Gateway) enter() bool {
	if g.stopping.Err() != nil {
		return false
	}
	if g.greetings.Add(1) > int64(g.opts.MaxGreetings) {
		g.greetings.Add(-1)
		return false
	}
	if g.open.Add(1) > int64(g.opts.MaxConnections) {
		g.open.Add(-1)
		g.greetings.Add(-1)
		return false
	}
	return true
}

// speaks says whether the client offers the subprotocol.
func speaks(r *http.Request, protocol string) bool {
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for offered := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(offered), protocol) {
				return true
			}
		}
	}
	return false
}

// Quicken asks a node's agent to measure at another period for a while (for 0: from now on). It says
// whether the agent is connected here; the order itself travels on its own.
func (g *Gateway) Quicken(account muster.AccountID, node muster.NodeID, period, span time.Duration) bool {
	c := g.of(account, node)
	if c == nil {
		return false
	}
	go c.send(&wire.Order{Period: max(period, time.Second), For: max(span, 0)}) // a failure ends the connection
	return true
}

// Disconnect ends the connection of a node's agent, if it has one: the node was deleted. The agent is
// told that nobody knows it any more.
func (g *Gateway) Disconnect(account muster.AccountID, node muster.NodeID) {
	if c := g.of(account, node); c != nil {
		go c.leave(refusal(wire.RefusalUnknown, "the node was removed from its account"))
	}
}

// of finds the connection of a node within its account.
func (g *Gateway) of(account muster.AccountID, node muster.NodeID) *conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.nodes[node]
	if c == nil || c.id.Account != account || !c.ready.Load() {
		return nil
	}
	return c
}

// Run tests silent connections until ctx ends. Then it takes no new ones, lets every message that is
// being handled come to its end, and sends the agents away; it returns when all are gone or after 5 s.
func (g *Gateway) Run(ctx context.Context) error {
	tick := time.NewTicker(min(g.opts.PingAfter, g.opts.PingWait) / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			g.drain()
			return nil
		case now := <-tick.C:
			for _, c := range g.everyone() {
				c.look(now)
			}
		}
	}
}

func (g *Gateway) everyone() []*conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]*conn, 0, len(g.all))
	for c := range g.all {
		all = append(all, c)
	}
	return all
}

// drainTime is how long Run waits for the connections to end.
const drainTime = 5 * time.Second

func (g *Gateway) drain() {
	g.stop()
	var waiting sync.WaitGroup
	for _, c := range g.everyone() {
		waiting.Go(func() {
			c.leave(&wire.Refusal{Code: wire.RefusalUnavailable, Reason: "this server is being stopped", RetryAfter: time.Second})
			<-c.done
		})
	}
	gone := make(chan struct{})
	go func() { waiting.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-time.After(drainTime):
	}
	g.end()
	for _, c := range g.everyone() {
		c.ws.CloseNow()
	}
	<-gone
}

// counts are the gateway's own measurements.
type counts struct {
	set      *telemetry.Set
	messages *telemetry.Counter
	bytes    *telemetry.Counter
	acks     *telemetry.Counter
	held     *telemetry.Counter
	ackTime  *telemetry.Histogram
}

func newCounts(set *telemetry.Set) counts {
	return counts{
		set:      set,
		messages: set.Counter("muster_gateway_messages_total"),
		bytes:    set.Counter("muster_gateway_received_bytes_total"),
		acks:     set.Counter("muster_gateway_acks_total"),
		held:     set.Counter("muster_gateway_held_total"),
		ackTime:  set.Histogram("muster_gateway_ack_seconds"),
	}
}

// refused counts a connection or message that was turned away, by reason.
func (c *counts) refused(why string) {
	c.set.Counter(`muster_gateway_refusals_total{reason="` + why + `"}`).Inc()
}

// refusal makes one that will be the same the next time.
func refusal(code wire.RefusalCode, reason string) *wire.Refusal {
	return &wire.Refusal{Code: code, Reason: reason, Permanent: true}
}

var errEnded = errors.New("the connection ended")
