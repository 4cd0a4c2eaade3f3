package runner

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"muster"
	"muster/internal/check"
)

// grace is how much longer than its timeout a run is waited for: a good one needs a moment to come to its
// end when it is cut short.
const grace = 500 * time.Millisecond

// flight is one run under way.
type flight struct {
	check   muster.CheckID
	timeout time.Duration
	began   time.Time
	placed  bool // it takes one of the runner's places
	result  func(check.Outcome, time.Duration)

	settled atomic.Bool   // result was called, or will be by whoever set it
	lost    bool          // under Runner.mu: it was given up, but its probe runs on
	landed  chan struct{} // under Runner.mu: closed when the probe returned; nil while nobody waits
}

// plan is what is run: a configuration until the first run, which belongs to one flight at a time.
type plan struct {
	kind   check.Kind // nil: not known here
	name   string     // of the kind that is not known
	config []byte
	probe  check.Probe
	broken error // why the configuration can't be run
}

// ready reads the configuration, once.
func (p *plan) ready() error {
	if p.kind == nil {
		return fmt.Errorf("%w: this agent can't run checks of the kind %q; it may be older than its server", muster.ErrInvalid, p.name)
	}
	if p.probe == nil && p.broken == nil {
		p.probe, p.broken = p.kind.Parse(p.config)
		p.config = nil
	}
	return p.broken
}

// fly runs a probe and sees to it that the result is told once, in time, whatever the probe does.
func (r *Runner) fly(ctx context.Context, f *flight, p *plan) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	guard := time.AfterFunc(f.timeout+grace, func() { r.settle(f, overrun(f.timeout), true) })
	out, whole := new(check.Outcome), false
	defer func() {
		if !whole {
			out = r.broke(f, recover())
		}
		guard.Stop()
		r.settle(f, *out, false)
		r.land(f)
	}()
	if err := p.ready(); err != nil {
		class := "config"
		if p.kind == nil {
			class = "kind"
		}
		out.Unable(class, "%s", words(err))
	} else {
		p.probe.Run(ctx, &r.opts.Env, out)
	}
	whole = true
}

// broke makes an outcome of a panic. What the probe put before it is not to be trusted.
func (r *Runner) broke(f *flight, cause any) *check.Outcome {
	r.opts.Logger.Error("A check broke: this is a fault of the program.", "check", f.check, "panic", cause, "stack", string(debug.Stack()))
	out := new(check.Outcome)
	out.Unable("panic", "the check broke: %v", cause)
	return out
}

// overrun is the outcome of a run that did not end in time.
func overrun(timeout time.Duration) check.Outcome {
	var out check.Outcome
	out.Summary = fmt.Sprintf("no answer within %s", timeout)
	out.Fail("timeout", "it did not end within %s", timeout)
	return out
}

// settle tells the result, unless that was done, and frees the run's place.
func (r *Runner) settle(f *flight, out check.Outcome, lost bool) {
	if !f.settled.CompareAndSwap(false, true) {
		return
	}
	took := time.Since(f.began)
	tidy(&out)
	f.result(out, took)
	r.mu.Lock()
	defer r.mu.Unlock()
	f.lost = lost
	if f.placed {
		r.places--
	}
}

// land notes that the probe returned: the check may be run again.
func (r *Runner) land(f *flight) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, f.check)
	if f.landed != nil {
		close(f.landed)
	}
}

// Once runs a check now, whether it is assigned or not, and gives the result without Account; nothing is
// delivered. It waits for a run of the same check that is under way, and for a place while many others
// are. When ctx ends before the result is there, its status is unknown.
func (r *Runner) Once(ctx context.Context, a check.Assignment) muster.Result {
	e := newEntry(&a, r.opts.Kinds[a.Kind])
	results := make(chan muster.Result, 1)
	f := &flight{check: a.Check, timeout: e.timeout, began: time.Now()}
	at := r.opts.Now()
	f.result = func(out check.Outcome, took time.Duration) { results <- result(e, at, &out, took) }
	none := func(class, why string) muster.Result {
		var out check.Outcome
		out.Unable(class, "%s", why)
		tidy(&out)
		return result(e, at, &out, time.Since(f.began))
	}
	select {
	case r.once <- struct{}{}:
		defer func() { <-r.once }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return none("busy", "too many checks were asked for at one time")
	}
	if !r.reserve(ctx, f) {
		return none("busy", "the last run of this check has not ended")
	}
	at, f.began = r.opts.Now(), time.Now()
	go r.fly(ctx, f, &e.plan)
	select {
	case result := <-results:
		if ctx.Err() == nil {
			return result
		}
	case <-ctx.Done():
	}
	return none("timeout", "the run was cut short")
}

// reserve waits until no run of the check is under way and puts the flight in its place; false when ctx
// ended before, or when a run hangs.
func (r *Runner) reserve(ctx context.Context, f *flight) bool {
	for {
		r.mu.Lock()
		before := r.running[f.check]
		if before == nil {
			r.running[f.check] = f
			r.mu.Unlock()
			return true
		}
		if before.lost {
			r.mu.Unlock()
			return false
		}
		if before.landed == nil {
			before.landed = make(chan struct{})
		}
		landed := before.landed
		r.mu.Unlock()
		select {
		case <-landed:
		case <-ctx.Done():
			return false
		}
	}
}
