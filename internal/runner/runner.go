// Package runner gives what runs checks again and again: it is told which, runs each at its period, and
// hands every result on as a frame. An agent holds one; what it is told comes from the server.
package runner

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"muster"
	"muster/internal/check"
)

// Frame is one result on its way: all metrics of one check at one instant.
type Frame struct {
	Source string // see muster.Check.Source
	At     int64  // when the run began, in Unix milliseconds of the runner's clock
	Schema *muster.Schema
	Values []float64 // one for each metric of the schema; the receiver may keep them
	Note   []byte    // a check.Note as JSON, when what it says is not what the last one said; else nil
}

// Options set a runner up. Deliver is needed, the rest has defaults.
type Options struct {
	// Kinds are the kinds of checks it can run, by name. A check of another kind has the status unknown.
	Kinds map[string]check.Kind
	// Env is what runs may use of the world.
	Env check.Env
	// Deliver takes each result. It is called by many goroutines, in order for each check, and never after Run ended.
	Deliver func(Frame)
	// Concurrency bounds the runs under way at one time; 256 when zero. A run that finds no place is
	// left out and counted.
	Concurrency int
	// Now is the clock that runs are aligned to and that frames bear; time.Now when nil.
	Now func() time.Time
	// Logger is slog's default when nil.
	Logger *slog.Logger
}

// Stats is how a runner stands. Counts began with the process.
type Stats struct {
	Checks  int    // assigned
	Running int    // runs under way
	Runs    uint64 // results delivered
	Busy    uint64 // runs left out since all places were taken
	Overdue uint64 // runs left out since the check's last one had not ended
}

// Runner runs checks. It is safe for concurrent use.
type Runner struct{ opts Options }

// New checks the options; the error wraps muster.ErrInvalid.
func New(o Options) (*Runner, error) {
	if o.Deliver == nil {
		return nil, fmt.Errorf("runner: options: %w: deliver is needed", muster.ErrInvalid)
	}
	return &Runner{opts: o}, nil
}

// Assign adds checks or changes them by their id, and removes others; with replace those that are not
// among add are removed. A check that is told again unchanged keeps its times.
func (r *Runner) Assign(add []check.Assignment, remove []muster.CheckID, replace bool) {}

// Once runs a check now, whether it is assigned or not, and gives the result; nothing is delivered.
func (r *Runner) Once(ctx context.Context, a check.Assignment) muster.Result { return muster.Result{} }

// Resend makes the next result of every check carry its words again: the receiver may have lost them.
func (r *Runner) Resend() {}

// Stats says how the runner stands.
func (r *Runner) Stats() Stats { return Stats{} }

// Run runs the checks until ctx ends, then gives nil.
func (r *Runner) Run(ctx context.Context) error { <-ctx.Done(); return nil }
