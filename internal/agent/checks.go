package agent

import (
	"context"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/runner"
	"muster/internal/uplink"
	"muster/internal/wire"
)

const (
	// maxAsked bounds the runs that the server waits for at one time.
	maxAsked = 64
	// askedPatience is how long such a run may wait for others before it begins.
	askedPatience = 30 * time.Second
)

// newRunner makes what runs checks; its results go into the spool as every frame does.
func (a *Agent) newRunner() (*runner.Runner, error) {
	a.asked = make(chan struct{}, maxAsked)
	return runner.New(runner.Options{
		Kinds: a.options.Kinds, Env: a.options.Env, Concurrency: a.options.Concurrency, Now: a.clock.Now, Logger: a.options.Logger,
		Deliver: func(f runner.Frame) {
			err := a.spool.Append(uplink.Frame{Source: f.Source, At: f.At, Schema: f.Schema, Values: f.Values, Note: f.Note})
			if err != nil {
				a.options.Logger.Error("The result of a check is lost.", "source", f.Source, "error", err)
			}
		},
	})
}

// assign takes over which checks to run.
func (a *Agent) assign(m wire.Assign) {
	add := make([]check.Assignment, len(m.Add))
	for i := range m.Add {
		add[i] = assignment(&m.Add[i])
	}
	a.runner.Assign(add, m.Remove, m.Replace)
}

// run runs a check once, beside the uplink, and answers.
func (a *Agent) run(ctx context.Context, m wire.Run, answer func(*wire.Ran)) {
	select {
	case a.asked <- struct{}{}:
	default:
		const why = "too many checks were asked for at one time"
		go answer(&wire.Ran{Status: muster.StatusUnknown, Summary: why, Class: "busy", Error: why})
		return
	}
	go func() {
		defer func() { <-a.asked }()
		ctx, cancel := context.WithTimeout(ctx, muster.MaxCheckTimeout+askedPatience)
		defer cancel()
		result := a.runner.Once(ctx, assignment(&m.Assignment))
		answer(ran(&result))
	}()
}

func assignment(a *wire.Assignment) check.Assignment {
	return check.Assignment{Check: a.Check, Kind: a.Kind, Config: a.Config, Zone: a.Zone, Period: a.Period, Timeout: a.Timeout}
}

// ran makes an answer of a result, which the runner keeps within the limits of the wire.
func ran(r *muster.Result) *wire.Ran {
	m := &wire.Ran{
		Status: r.Status, Summary: r.Summary, Duration: r.Duration, Class: r.Class, Error: r.Error, Evidence: r.Evidence,
		Readings: make([]wire.Reading, 0, len(r.Metrics)),
	}
	for _, reading := range r.Metrics {
		if reading.Metric.Validate() == nil {
			m.Readings = append(m.Readings, wire.Reading{Metric: *reading.Metric, Value: reading.Value})
		}
	}
	return m
}
