package judge_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"muster"
	"muster/internal/judge"
)

// event is one thing that happens to an alarm: an input, or the timer at now.
type event struct {
	input bool
	in    judge.Input
	now   time.Time
}

// drawRule gives any rule that makes sense with values around one half.
func drawRule(t *rapid.T) *judge.Rule {
	span := func(label string, of ...time.Duration) time.Duration { return rapid.SampledFrom(of).Draw(t, label) }
	a := &muster.Alarm{Level: muster.LevelCritical}
	a.NoData.After = span("no data", 0, 15*time.Second, time.Minute, 10*time.Minute)
	if a.NoData.After > 0 {
		a.NoData.Is = rapid.SampledFrom([]muster.NoDataIs{muster.NoDataCritical, muster.NoDataOK, muster.NoDataKeep}).Draw(t, "is")
	}
	c := &muster.Condition{Recover: muster.Recovery{For: span("recover for", 0, 0, 20*time.Second, 2*time.Minute)}}
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		a.NoData = muster.NoData{After: max(a.NoData.After, 15*time.Second), Is: muster.NoDataCritical}
		a.Condition = c
	case 1:
		a.Check = scriptCheck
		c.Op, c.Value = ">=", 0.6
		c.For = span("for", 0, 20*time.Second, time.Minute)
		a.Condition = c
	case 2:
		a.Metric = "m.utilization"
		c.Fn, c.Within, c.Op, c.Value = muster.FnForecast, judge.MinWithin, ">", 0.6
		c.For = span("for", 0, 20*time.Second)
		a.Condition = c
	default:
		a.Metric = "m.utilization"
		c.Op, c.Value = rapid.SampledFrom([]muster.Op{">", ">="}).Draw(t, "op"), 0.6
		c.For = span("for", 0, 0, 10*time.Second, 30*time.Second, 2*time.Minute)
		if rapid.Bool().Draw(t, "band") {
			c.Recover.Op, c.Recover.Value = "<", 0.5
		}
		a.Condition = c
	}
	rule, err := judge.Compile(a)
	if err != nil {
		t.Fatal(err)
	}
	return rule
}

// drawEvents gives any course of things: values that come in time, delayed, late, twice, out of order, or not at all.
func drawEvents(t *rapid.T) []event {
	now := midnight
	var events []event
	var fed []judge.Input
	for range rapid.IntRange(1, 60).Draw(t, "events") {
		steps := []int{1, 5, 10, 10, 10, 10, 10, 20, 70, 3000}
		now = now.Add(time.Duration(rapid.SampledFrom(steps).Draw(t, "step")) * time.Second)
		switch kind := rapid.IntRange(0, 11).Draw(t, "event"); {
		case kind <= 1:
			events = append(events, event{now: now})
			continue
		case kind == 2 && len(fed) > 0: // an earlier one again
			events = append(events, event{input: true, in: rapid.SampledFrom(fed).Draw(t, "again"), now: now})
			continue
		}
		in := judge.Input{
			Value: rapid.SampledFrom([]float64{0.3, 0.45, 0.5, 0.6, 0.7, 0.8, math.NaN(), math.Inf(1)}).Draw(t, "value"),
			Late:  rapid.IntRange(0, 19).Draw(t, "late") == 0,
			Text:  rapid.SampledFrom([]string{"", "", "HTTP 502", "HTTP 200"}).Draw(t, "text"),
		}
		in.At = now.UnixMilli() - rapid.SampledFrom([]int64{0, 0, 0, 0, 1, 900, 5000, 30_000, -60_000}).Draw(t, "delay")
		fed = append(fed, in)
		events = append(events, event{input: true, in: in, now: now})
	}
	return events
}

// happen takes one event. The time of day that Judge gets is any.
func happen(rule *judge.Rule, s judge.State, e event, clock time.Time) (judge.State, *judge.Verdict) {
	if e.input {
		return rule.Judge(s, e.in, clock)
	}
	if at, ok := rule.Wake(s); !ok || at.After(e.now) {
		return s, nil
	}
	return rule.Silence(s, e.now)
}

// calmly gives the verdicts of a run that nothing disturbs.
func calmly(rule *judge.Rule, events []event) (verdicts []string, end judge.State) {
	for _, e := range events {
		var v *judge.Verdict
		if end, v = happen(rule, end, e, e.now); v != nil {
			verdicts = append(verdicts, fmt.Sprintf("%+v", *v))
		}
	}
	return verdicts, end
}

// shaken is a run with crashes: verdicts and the state after each are saved together, holds now and then, and after
// a crash what was saved is given everything that was heard since, and some of what was before.
type shaken struct {
	t        *rapid.T
	rule     *judge.Rule
	events   []event
	state    judge.State
	saved    []byte
	upTo     int // events that the saved state has seen
	verdicts []string
}

func (r *shaken) save(done int) { r.saved, r.upTo = judge.AppendState(nil, r.state), done }

// crash loses what was not saved; the inputs of the first done events are heard again.
func (r *shaken) crash(done int) {
	state, err := judge.ParseState(r.saved)
	if err != nil {
		r.t.Fatal(err)
	}
	r.state = state
	for i := rapid.IntRange(0, r.upTo).Draw(r.t, "heard again from"); i < done; i++ {
		if r.events[i].input {
			r.take(i)
		}
	}
}

// take takes an event, saves with the verdict what came of it, and may crash before it was saved.
func (r *shaken) take(i int) {
	next, v := happen(r.rule, r.state, r.events[i], midnight.Add(time.Duration(i*7919)*time.Hour))
	r.state = next
	if v == nil {
		return
	}
	if rapid.IntRange(0, 3).Draw(r.t, "crash before it is saved") == 0 {
		r.crash(i)
		r.take(i)
		return
	}
	r.verdicts = append(r.verdicts, fmt.Sprintf("%+v", *v))
	r.save(i + 1)
}

// No crash point, no order of arrival and no number of deliveries loses, doubles or changes a verdict.
func TestCrashesChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule, events := drawRule(t), drawEvents(t)
		want, end := calmly(rule, events)
		r := &shaken{t: t, rule: rule, events: events}
		r.save(0)
		for i := range events {
			r.take(i)
			switch rapid.IntRange(0, 9).Draw(t, "then") {
			case 0, 1:
				r.save(i + 1)
			case 2:
				r.crash(i + 1)
			case 3: // what was delivered is delivered again
				if j := rapid.IntRange(0, i).Draw(t, "again"); events[j].input {
					r.take(j)
				}
			}
		}
		if !slices.Equal(r.verdicts, want) {
			t.Fatalf("undisturbed:\n%q\nwith crashes:\n%q", want, r.verdicts)
		}
		if public(r.state) != public(end) {
			t.Fatalf("undisturbed it ends %s, with crashes %s", end.Status(), r.state.Status())
		}
	})
}

// public says whether it fires, as people see it.
func public(s judge.State) bool {
	return s.Status() == muster.AlarmFiring || s.Status() == muster.AlarmRecovering
}

// Verdicts take turns, each later than the one before, with a name of its own, few inputs and some words; a state that
// is kept is what it was after others were made of it, and is small.
func TestVerdictsAreSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule, events := drawRule(t), drawEvents(t)
		var s judge.State
		fires, last := false, time.Time{}
		names := map[string]bool{}
		for _, e := range events {
			before := judge.AppendState(nil, s)
			next, v := happen(rule, s, e, e.now)
			if after := judge.AppendState(nil, s); !slices.Equal(before, after) {
				t.Fatal("the state given was changed")
			}
			s = next
			if public(s) != (fires != (v != nil)) {
				t.Fatalf("it is %s after the verdict %+v", s.Status(), v)
			}
			if s.Status() == muster.AlarmOK && !s.Silent() && !s.Plain() {
				t.Fatal("well, but not plainly")
			}
			if v == nil {
				continue
			}
			fires = !fires
			name := judge.TransitionID("alarm_x", muster.NodeID{1}, "m", v.At, v.To)
			if v.To == v.From || (v.To == muster.AlarmFiring) != fires || !v.At.After(last) || names[name] {
				t.Fatalf("a verdict out of turn: %+v, the one before was at %s", v, last)
			}
			if v.Why == "" || v.Level != muster.LevelCritical || len(v.Inputs) == 0 || len(v.Inputs) > muster.MaxInputs {
				t.Fatalf("%+v", v)
			}
			last, names[name] = v.At, true
		}
	})
}

// A state read back is the state that was written.
func TestStatesAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule, events := drawRule(t), drawEvents(t)
		_, s := calmly(rule, events)
		raw := judge.AppendState([]byte("before"), s)[len("before"):]
		again, err := judge.ParseState(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := judge.AppendState(nil, again); !slices.Equal(got, raw) {
			t.Fatalf("%x is read and written as %x", raw, got)
		}
		if s.Plain() && s.Status() == muster.AlarmOK && len(raw) > 80 {
			t.Fatalf("%d bytes for a state that is well", len(raw))
		}
	})
}
