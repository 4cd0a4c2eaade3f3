// Package agent gives the loop that runs on every machine: it measures at a period, puts each
// measurement into the spool, and keeps the uplink to the server. The same loop runs inside a server,
// for the machine the server is on.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/runner"
	"muster/internal/uplink"
	"muster/internal/wire"
)

const (
	// DefaultPeriod is how often an agent measures when nobody looks.
	DefaultPeriod = 10 * time.Second
	// MinPeriod is the shortest period, whoever sets it.
	MinPeriod = time.Second
	// MaxPeriod is the longest.
	MaxPeriod = time.Hour

	factsEvery    = 10 * time.Minute
	factsPatience = 10 * time.Second
)

// Options says what to measure, where to send it and as whom. Server and Collectors are needed, and
// Token for an agent that was not enrolled yet.
type Options struct {
	Server   string        // URL
	Token    string        // of an enrolment; not used once the agent has an identity that the server knows
	Pin      string        // fingerprint of the server's certificate, see uplink.ParsePin; remembered once it worked
	State    string        // directory of identity and spool, for this agent alone; empty: in memory only
	Hostname string        // empty: the machine's own
	Version  string        // of the program
	Period   time.Duration // DefaultPeriod when zero; the server may change it

	Collectors []check.Collector // of the same source: one frame, in their order
	Describer  check.Describer   // nil: no facts

	Kinds       map[string]check.Kind // of checks it can run for the server; nil: none
	Env         check.Env             // what those may use of the world
	Concurrency int                   // how many of them run at one time; zero: the runner's default

	SpoolBytes int64         // zero: the spool's default
	SpoolAge   time.Duration // zero: the spool's default

	Dial      func(ctx context.Context, network, address string) (net.Conn, error) // nil: the network
	Proxy     func(*http.Request) (*url.URL, error)                                // nil: none
	OnWelcome func(muster.NodeID)                                                  // called whenever a server welcomes the agent; must not block
	Farewell  func() muster.FarewellReason                                         // nil: looks whether the machine goes down
	Logger    *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Period == 0 {
		o.Period = DefaultPeriod
	}
	if o.OnWelcome == nil {
		o.OnWelcome = func(muster.NodeID) {}
	}
	if o.Farewell == nil {
		o.Farewell = farewell
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Validate says what is wrong with the options; the error wraps muster.ErrInvalid.
func (o Options) Validate() error {
	if o.Period != 0 && (o.Period < MinPeriod || o.Period > MaxPeriod) {
		return fmt.Errorf("agent: %w: the period must be between %v and %v", muster.ErrInvalid, MinPeriod, MaxPeriod)
	}
	if len(o.Collectors) == 0 {
		return fmt.Errorf("agent: %w: there is nothing to measure", muster.ErrInvalid)
	}
	if len(o.Hostname) > wire.MaxText {
		return fmt.Errorf("agent: %w: the hostname is too long", muster.ErrInvalid)
	}
	return nil
}

// Agent measures and sends.
type Agent struct {
	options  Options
	lock     func() error
	identity *uplink.Identity
	spool    *uplink.Spool
	uplink   *uplink.Uplink
	runner   *runner.Runner // nil: it runs no checks
	asked    chan struct{}  // has an element for each run that the server waits for
	clock    *clock
	schedule *schedule
	sources  []*source
	self     *self
	facts    atomic.Pointer[check.Facts]
	orders   chan wire.Order
}

// source is what is measured for one frame.
type source struct {
	name       string
	collectors []check.Collector
	sample     check.Sample
	lastError  string
}

// New takes the state directory for itself, reads or makes the identity, and opens the spool; it
// connects to nothing yet. Errors say what to do; they wrap muster.ErrInvalid (options),
// muster.ErrConflict (another agent uses the directory), muster.ErrDenied (neither identity nor token)
// or muster.ErrUnavailable (the directory). Run closes what New opened.
func New(options Options) (*Agent, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	a := &Agent{options: options.withDefaults(), clock: newClock(), orders: make(chan wire.Order, 4), lock: func() error { return nil }}
	if err := a.open(); err != nil {
		return nil, errors.Join(err, a.close())
	}
	a.self = newSelf(a)
	a.sources = groupBySource(append(slices.Clone(a.options.Collectors), a.self))
	a.schedule = newSchedule(a.options.Period, a.identity.Key)
	return a, nil
}

func (a *Agent) open() error {
	spoolDir := ""
	if a.options.State != "" {
		lock, err := uplink.LockState(a.options.State)
		if err != nil {
			return err
		}
		a.lock = lock.Close
		spoolDir = filepath.Join(a.options.State, "spool")
	}
	var err error
	if a.identity, err = uplink.LoadIdentity(a.options.State, time.Now()); err != nil {
		return err
	}
	if a.spool, err = uplink.OpenSpool(uplink.SpoolOptions{
		Dir: spoolDir, MaxBytes: a.options.SpoolBytes, MaxAge: a.options.SpoolAge, Now: a.clock.Now, Logger: a.options.Logger,
	}); err != nil {
		return err
	}
	options := uplink.Options{
		Server: a.options.Server, Token: a.options.Token, Pin: a.options.Pin, Identity: a.identity, Spool: a.spool,
		Hello: a.hello, Dial: a.options.Dial, Proxy: a.options.Proxy, OnWelcome: a.welcomed, OnOrder: a.order,
		Farewell: a.options.Farewell, Now: a.clock.Now, Logger: a.options.Logger,
	}
	if a.options.Kinds != nil {
		if a.runner, err = a.newRunner(); err != nil {
			return err
		}
		options.OnAssign, options.OnRun = a.assign, a.run
	}
	a.uplink, err = uplink.New(options)
	return err
}

func (a *Agent) close() error {
	var err error
	if a.spool != nil {
		err = a.spool.Close()
	}
	return errors.Join(err, a.lock())
}

func groupBySource(collectors []check.Collector) (list []*source) {
	byName := map[string]*source{}
	for _, c := range collectors {
		s := byName[c.Source()]
		if s == nil {
			s = &source{name: c.Source()}
			byName[s.name] = s
			list = append(list, s)
		}
		s.collectors = append(s.collectors, c)
	}
	return list
}

// Run measures and sends until ctx ends, then takes leave of the server and gives nil. What could not
// be sent stays in the spool. The error wraps muster.ErrDenied when the server refuses to enrol the agent.
func (a *Agent) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	facts := a.describe(ctx)
	a.facts.Store(&facts)
	young := !a.identity.Enrolled() || time.Since(a.identity.CreatedAt) < youth
	var others sync.WaitGroup
	others.Go(func() { a.measure(ctx, young) })
	others.Go(func() { a.tellFacts(ctx) })
	if a.runner != nil {
		others.Go(func() { _ = a.runner.Run(ctx) }) // gives nil
	}
	err := a.uplink.Run(ctx)
	cancel()
	others.Wait()
	if err != nil {
		err = fmt.Errorf("agent: %w", err)
	}
	return errors.Join(err, a.close())
}

// measure puts a measurement into the spool whenever the schedule says so.
func (a *Agent) measure(ctx context.Context, young bool) {
	a.schedule.start(a.clock.Now(), young)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case order := <-a.orders:
			a.schedule.order(a.clock.Now(), order.Period, order.For)
		case <-timer.C:
			now := a.clock.Now()
			if due := a.schedule.due(); !now.Before(due) {
				a.once(ctx, instant(due, now))
				a.clock.settle(a.spool.Stats().Pending <= a.usual())
				a.schedule.advance(a.clock.Now())
			}
		}
		timer.Reset(a.schedule.due().Sub(a.clock.Now()))
	}
}

// usual is how many frames may wait when nothing holds them up: one of everything that is measured.
func (a *Agent) usual() uint64 {
	n := len(a.sources)
	if a.runner != nil {
		n += a.runner.Stats().Checks
	}
	return uint64(n)
}

// instant is the time a measurement bears: that at which it was due, if it is hardly later, since
// regular times cost next to no storage.
func instant(due, now time.Time) time.Time {
	const hardly = 100 * time.Millisecond
	if now.Sub(due) < hardly {
		return due
	}
	return now
}

// once measures all sources at one instant.
func (a *Agent) once(ctx context.Context, at time.Time) {
	begun := time.Now()
	dropped := 0
	for _, s := range a.sources {
		s.sample.Reset(at)
		var errs []error
		for _, c := range s.collectors {
			errs = append(errs, c.Collect(ctx, &s.sample))
		}
		if ctx.Err() != nil {
			return // it was cut short
		}
		a.report(s, errors.Join(errs...))
		schema, values := s.sample.Frame()
		dropped += s.sample.Dropped()
		if schema == nil {
			continue
		}
		frame := uplink.Frame{Source: s.name, At: at.UnixMilli(), Schema: schema, Values: values}
		if err := a.spool.Append(frame); err != nil {
			a.report(s, err)
		}
	}
	a.self.note(time.Since(begun), dropped)
}

// report logs an error of measuring when it is another than the last time.
func (a *Agent) report(s *source, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text == s.lastError {
		return
	}
	s.lastError = text
	if err != nil {
		a.options.Logger.Warn("Something cannot be measured.", "source", s.name, "error", err)
	}
}

func (a *Agent) welcomed(w *wire.Welcome) {
	if w.Period > 0 {
		a.order(wire.Order{Period: w.Period})
	}
	if a.runner != nil {
		a.runner.Resend() // it may be another server, or one that started anew
	}
	a.options.OnWelcome(w.Node)
}

// order hands an order to the loop. When orders come faster than the loop takes them, the newest are
// lost: the server repeats its own.
func (a *Agent) order(o wire.Order) {
	select {
	case a.orders <- o:
	default:
	}
}
