// Package runner gives what runs checks again and again: it is told which, runs each at its period, and
// hands every result on as a frame. An agent holds one; what it is told comes from the server.
//
// Start times are spread over the period by the check's id and aligned to the clock, so that they are the
// same after a restart. One timer serves all checks; a run costs a goroutine, and a check at rest its
// configuration and its schema.
package runner

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"muster"
	"muster/internal/check"
)

// Frame is one result on its way: all metrics of one check at one instant.
type Frame struct {
	Source string // see muster.Check.Source
	At     int64  // when the run began, in Unix milliseconds of the runner's clock
	Schema *muster.Schema
	Values []float64 // one for each metric of the schema; they are the receiver's
	Note   []byte    // a check.Note as JSON, when status, class or error are not those of the last result; else nil
}

// DefaultConcurrency is how many runs are under way at one time unless the options say otherwise.
const DefaultConcurrency = 256

// Options set a runner up. Deliver is needed, the rest has defaults.
type Options struct {
	// Kinds are the kinds of checks it can run, by name. A check of another kind has the status unknown.
	Kinds map[string]check.Kind
	// Env is what runs may use of the world.
	Env check.Env
	// Deliver takes each result. It is called by many goroutines, for one check in order, and never after
	// Run ended.
	Deliver func(Frame)
	// Concurrency bounds the runs under way at one time; DefaultConcurrency when zero. A run that finds
	// no place is left out and counted: it would only make the next ones late.
	Concurrency int
	// Now is the clock that runs are aligned to and that frames bear; time.Now when nil.
	Now func() time.Time
	// Logger is slog's default when nil.
	Logger *slog.Logger
}

// Validate says what is wrong with the options; the error wraps muster.ErrInvalid.
func (o *Options) Validate() error {
	if o.Deliver == nil {
		return fmt.Errorf("runner: options: %w: deliver is needed", muster.ErrInvalid)
	}
	if o.Concurrency < 0 {
		return fmt.Errorf("runner: options: %w: the concurrency can't be negative", muster.ErrInvalid)
	}
	return nil
}

func (o *Options) fill() {
	if o.Concurrency == 0 {
		o.Concurrency = DefaultConcurrency
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

// Stats is how a runner stands. Counts began with the process.
type Stats struct {
	Checks  int    // assigned
	Running int    // runs under way that take a place
	Runs    uint64 // results delivered
	Busy    uint64 // runs left out since all places were taken
	Overdue uint64 // runs left out since the check's last one had not ended
}

const (
	// maxChecks bounds what is assigned.
	maxChecks = 50_000
	// maxOnce bounds the runs of Once under way at one time.
	maxOnce = 16
)

// Runner runs checks. It is safe for concurrent use.
type Runner struct {
	opts Options
	seed maphash.Seed
	wake chan struct{} // has an element when the first of the queue is another
	once chan struct{} // holds an element for each run of Once

	status, duration *muster.Metric
	saying           atomic.Uint64 // words said under another number are to be said again

	mu        sync.Mutex
	checks    map[muster.CheckID]*entry
	queue     queue
	running   map[muster.CheckID]*flight
	places    int             // taken
	stats     Stats           // Checks and Running are filled when asked for
	runs      context.Context // of all runs; nil before Run
	closed    bool
	delivery  sync.WaitGroup // Add under mu while not closed
	clock     jumps
	complains time.Time // when it was last logged that runs were left out
}

// New checks the options; the error wraps muster.ErrInvalid.
func New(o Options) (*Runner, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.fill()
	return &Runner{
		opts: o, seed: maphash.MakeSeed(), wake: make(chan struct{}, 1), once: make(chan struct{}, maxOnce),
		status: check.Gauge(muster.CheckStatusMetric, "1"), duration: check.Gauge(muster.CheckDurationMetric, "s"),
		checks: map[muster.CheckID]*entry{}, running: map[muster.CheckID]*flight{},
	}, nil
}

// Assign adds checks or changes them, by their ids, and removes others; with replace, all that are not
// among add are removed. A check that is told again unchanged goes on as it was. One that was added or
// changed without replace, so by a person just now, is run at once and then at its times.
func (r *Runner) Assign(add []check.Assignment, remove []muster.CheckID, replace bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for _, id := range remove {
		r.drop(id)
	}
	if replace {
		keep := make(map[muster.CheckID]struct{}, len(add))
		for i := range add {
			keep[add[i].Check] = struct{}{}
		}
		for id := range r.checks {
			if _, kept := keep[id]; !kept {
				r.drop(id)
			}
		}
	}
	refused := 0
	for i := range add {
		if !r.add(&add[i], now, !replace) {
			refused++
		}
	}
	if refused > 0 {
		r.opts.Logger.Error("Checks were assigned that can't be run here.", "checks", refused)
	}
	r.rouse()
}

// add takes one check; false when it has no sensible id or there are too many. The caller holds mu.
func (r *Runner) add(a *check.Assignment, now int64, early bool) bool {
	print := r.fingerprint(a)
	old := r.checks[a.Check]
	if old != nil && old.print == print {
		return true
	}
	e := newEntry(a, r.opts.Kinds[a.Kind])
	if !r.sound(e) || old == nil && len(r.checks) >= maxChecks {
		return false
	}
	if old != nil {
		r.drop(a.Check)
	}
	e.print, e.early = print, early
	e.next = e.after(now)
	if early {
		e.next = min(e.next, e.soon(now))
	}
	r.checks[e.id] = e
	r.queue.add(e)
	return true
}

// sound says whether results of the check can be told at all.
func (r *Runner) sound(e *entry) bool {
	_, _, ok := muster.CheckOfSource(e.source)
	m := *r.status
	m.Attrs = e.own()
	return ok && len(e.source) <= muster.MaxSource && m.Validate() == nil
}

// drop forgets a check. The caller holds mu.
func (r *Runner) drop(id muster.CheckID) {
	if e := r.checks[id]; e != nil {
		e.gone = true
		r.queue.remove(e)
		delete(r.checks, id)
	}
}

// Resend makes the next result of every check carry its words again: the receiver may have lost them.
func (r *Runner) Resend() { r.saying.Add(1) }

// Stats says how the runner stands.
func (r *Runner) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Checks, s.Running = len(r.checks), r.places
	return s
}

// now gives the clock's time in Unix nanoseconds.
func (r *Runner) now() int64 { return r.opts.Now().UnixNano() }

// rouse makes Run look at the queue.
func (r *Runner) rouse() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// fingerprint is equal for equal assignments, and for others practically never.
func (r *Runner) fingerprint(a *check.Assignment) uint64 {
	return maphash.Comparable(r.seed, struct {
		kind, config, zone string
		period, timeout    time.Duration
	}{a.Kind, string(a.Config), a.Zone, a.Period, a.Timeout})
}
