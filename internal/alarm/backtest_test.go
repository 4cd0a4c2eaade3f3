package alarm_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"muster"
	"muster/internal/alarm"
	"muster/internal/alarm/rules"
	"muster/internal/series/graph"
)

// past is a series engine that has what a test says.
type past struct {
	unit  string
	lines map[string][]graph.Line // by metric
	asked []graph.Query
	err   error
}

func (p *past) Query(_ context.Context, q graph.Query) (*graph.Answer, error) {
	p.asked = append(p.asked, q)
	if p.err != nil {
		return nil, p.err
	}
	a := &graph.Answer{Metric: q.Metric, Unit: p.unit, From: q.From, To: q.To, Step: 10 * time.Second}
	for _, l := range p.lines[q.Metric] {
		if !slices.Contains(q.Nodes, l.Node) {
			continue
		}
		l.Points = slices.DeleteFunc(slices.Clone(l.Points), func(pt graph.Point) bool { return pt.T < q.From.UnixMilli() || pt.T >= q.To.UnixMilli() })
		a.Lines = append(a.Lines, l)
	}
	return a, nil
}

// line makes a day of points, ten seconds apart, that end now.
func line(w *world, n *muster.Node, value func(i int) float64, attrs ...muster.Attr) graph.Line {
	l := graph.Line{Node: n.ID, Attrs: attrs}
	for i := range 8640 {
		if v := value(i); v == v {
			at := w.clock().Add(-24*time.Hour + time.Duration(i)*10*time.Second)
			l.Points = append(l.Points, graph.Point{T: at.UnixMilli(), Min: v, Avg: v, Max: v})
		}
	}
	return l
}

func (w *world) reopen(p *past) {
	w.t.Helper()
	o := w.options()
	o.Series = p
	var err error
	if w.w, err = alarm.Open(w.context(), w.store, o); err != nil {
		w.t.Fatal(err)
	}
}

func flat(v float64) func(int) float64 { return func(int) float64 { return v } }

func TestBacktest(t *testing.T) {
	w := newWorld(t)
	good, bad, db := w.node("web-good"), w.node("web-bad"), w.node("db-1")
	gone := w.node("web-gone")
	gone.Unwatched = true
	p := &past{unit: "1", lines: map[string][]graph.Line{"cpu": {
		line(w, good, func(i int) float64 { return 0.3 + 0.1*float64(i%2) }),
		line(w, bad, func(i int) float64 { // an hour bad, five times; then a spike that the hold forgives
			switch {
			case i < 3600 && i%720 < 360, i == 5000:
				return 1
			}
			return 0.1
		}),
		line(w, db, flat(1)), line(w, gone, flat(1)),
	}}}
	w.reopen(p)
	draft := busy(5 * time.Minute)
	draft.Query = "web*"
	got, err := w.w.Backtest(t.Context(), w.account, draft, alarm.BacktestOptions{Points: 100})
	if err != nil {
		t.Fatal(err)
	}
	if got.Matched != 2 || got.Tried != 2 || got.Fired != 5 || got.Firing != 1 || len(got.Lines) != 1 || got.Unit != "1" || got.Step != 10*time.Second {
		t.Fatalf("%+v", got)
	}
	l := got.Lines[0]
	if l.Name != "web-bad" || len(l.Spans) != 5 || l.Spans[0].Why == "" || len(l.Points) == 0 || len(l.Points) > 100 {
		t.Errorf("%s with %d spans and %d points", l.Name, len(l.Spans), len(l.Points))
	}
	if first := l.Spans[0]; first.To.Sub(first.From) != 55*time.Minute+10*time.Second || got.Longest != first.To.Sub(first.From) {
		t.Errorf("the first lasts from %s to %s, the longest %s", first.From, first.To, got.Longest)
	}
	if len(w.ledger.entries) != 0 || len(w.store.alarms) != 0 {
		t.Error("a backtest left something behind")
	}
	draft.Condition.Value, draft.Condition.Recover = 2, muster.Recovery{}
	if got, err = w.w.Backtest(t.Context(), w.account, draft, alarm.BacktestOptions{}); err != nil || got.Fired != 0 || len(got.Lines) != 1 || got.Lines[0].Name != "web-bad" || len(got.Lines[0].Points) == 0 {
		t.Errorf("what came nearest: %+v, %v", got, err)
	}
}

func TestBacktestOfSilence(t *testing.T) {
	w := newWorld(t)
	n := w.node("web-1")
	p := &past{unit: "s", lines: map[string][]graph.Line{"system.uptime": {line(w, n, func(i int) float64 {
		if i > 1000 && i < 1100 {
			return math.NaN()
		}
		return float64(i)
	})}}}
	w.reopen(p)
	silent := &muster.Alarm{Name: "silent", Level: muster.LevelCritical, NoData: muster.NoData{After: time.Minute, Is: muster.NoDataCritical}}
	got, err := w.w.Backtest(t.Context(), w.account, silent, alarm.BacktestOptions{})
	if err != nil || got.Fired != 1 || got.Lines[0].Series != "" {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestBacktestOfDefaults(t *testing.T) {
	attrs := func(mount string) muster.Attr { return muster.Attr{Key: "system.filesystem.mountpoint", Value: mount} }
	w := newWorld(t)
	n := w.node("web-1")
	p := &past{unit: "1", lines: map[string][]graph.Line{
		"system.filesystem.utilization": {
			line(w, n, flat(1), attrs("/snap")), line(w, n, func(i int) float64 { return 0.9 + float64(i)/86400 }, attrs("/")),
		},
		"system.filesystem.read_only": {line(w, n, flat(1), attrs("/snap")), line(w, n, flat(0), attrs("/")), line(w, n, func(i int) float64 {
			return float64(i / 8000)
		}, attrs("/data"))},
		"muster.node.clock_offset": {line(w, n, func(i int) float64 { return -6 * float64(i/8000) })},
	}}
	w.reopen(p)
	if err := w.w.EnsureDefaults(w.context(), w.account); err != nil {
		t.Fatal(err)
	}
	for _, a := range w.w.List(w.account) {
		want, known := map[string]string{rules.DiskNearly: "/", rules.DiskForecast: "/", rules.ReadOnly: "/data", rules.ClockOff: ""}[a.BuiltIn], false
		switch a.BuiltIn {
		case rules.DiskNearly, rules.DiskForecast, rules.ReadOnly, rules.ClockOff:
			known = true
		}
		got, err := w.w.Backtest(t.Context(), w.account, a, alarm.BacktestOptions{})
		if err != nil {
			t.Fatalf("%s: %v", a.Name, err)
		}
		if !known {
			if got.Fired > 0 {
				t.Errorf("%s would have fired %d times", a.Name, got.Fired)
			}
			continue
		}
		suffix := ""
		if want != "" {
			suffix = "system.filesystem.mountpoint=" + want
		}
		if got.Fired != 1 || len(got.Lines) != 1 || got.Lines[0].Series != suffix {
			t.Errorf("%s: fired %d times, lines %v", a.Name, got.Fired, got.Lines[0].Series)
		}
	}
}

func TestBacktestRefuses(t *testing.T) {
	w := newWorld(t)
	_, err := w.w.Backtest(t.Context(), w.account, busy(0), alarm.BacktestOptions{})
	isKind(t, err, muster.ErrUnavailable)
	p := &past{}
	w.reopen(p)
	w.node("web-1")
	for _, o := range []alarm.BacktestOptions{{From: begin, To: begin}, {From: begin.Add(-1000 * 24 * time.Hour)}, {From: begin.Add(time.Hour)}} {
		_, err := w.w.Backtest(t.Context(), w.account, busy(0), o)
		isKind(t, err, muster.ErrInvalid)
	}
	_, err = w.w.Backtest(t.Context(), w.account, &muster.Alarm{Metric: "cpu"}, alarm.BacktestOptions{})
	isKind(t, err, muster.ErrInvalid)
	p.err = fmt.Errorf("series: %w: too much", muster.ErrLimited)
	_, err = w.w.Backtest(t.Context(), w.account, busy(0), alarm.BacktestOptions{})
	isKind(t, err, muster.ErrLimited)
	p.err = nil
	if got, err := w.w.Backtest(t.Context(), w.account, busy(0), alarm.BacktestOptions{}); err != nil || got.Tried != 0 || got.Matched != 1 || got.Lines != nil {
		t.Errorf("no data: %+v, %v", got, err)
	}
}

// What the past says must be what live judging says of the same values.
func TestBacktestAgreesWithLive(t *testing.T) {
	w := newWorld(t)
	n := w.node("web-1")
	wave := func(i int) float64 { return 0.5 + 0.5*math.Sin(float64(i)/17) }
	l := line(w, n, wave)
	p := &past{unit: "1", lines: map[string][]graph.Line{"cpu": {l}}}
	w.reopen(p)
	a := w.alarm(busy(50 * time.Second))
	got, err := w.w.Backtest(t.Context(), w.account, a, alarm.BacktestOptions{From: begin.Add(-23 * time.Hour)})
	if err != nil || got.Fired < 50 {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, pt := range l.Points {
		f := w.frame(n.ID, map[string]float64{"cpu": pt.Avg})
		f.At, f.Sent = pt.T, pt.T
		w.hear(f)
		w.w.Flush(w.context(), false)
	}
	w.w.Flush(w.context(), true)
	var live []time.Time
	for _, tr := range w.ledger.transitions(t) {
		if tr.At.Before(begin.Add(-23 * time.Hour)) {
			continue
		}
		live = append(live, tr.At)
	}
	var tried []time.Time
	for _, s := range got.Lines[0].Spans {
		if s.From.Before(begin.Add(-23 * time.Hour)) {
			continue
		}
		tried = append(tried, s.From)
		if !s.To.IsZero() {
			tried = append(tried, s.To)
		}
	}
	if n := len(live) - len(tried); n < 0 || n > 1 || !slices.EqualFunc(live[n:], tried, time.Time.Equal) {
		t.Errorf("live %d %v\ntried %d %v", len(live), live[len(live)-4:], len(tried), tried[len(tried)-4:])
	}
}
