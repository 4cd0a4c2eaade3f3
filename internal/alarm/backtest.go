package alarm

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"muster"
	"muster/internal/alarm/rules"
	"muster/internal/judge"
	"muster/internal/series/graph"
)

// BacktestOptions say on what past an alarm is tried.
type BacktestOptions struct {
	From, To time.Time // To is now when zero, From a day before To
	Points   int       // of the chart, at most; 300 when zero
	Nodes    int       // how many subjects are tried at most; 500 when zero
}

// Backtest is what an alarm would have done.
type Backtest struct {
	From, To time.Time
	Step     time.Duration // of what was judged: coarser than what was measured where the past is kept in rollups
	Unit     string        // of the points (UCUM)
	Matched  int           // subjects that the alarm looks at, as far as they are known
	Tried    int           // of those, how many had data and were tried
	Fired    int           // how often it would have fired
	Firing   int           // on how many subjects it would have
	Longest  time.Duration // the longest single time
	// Lines are the series on which it would have fired, the longest sum first; where there are none, the one that came
	// nearest. The first has points for the chart.
	Lines []TestLine
}

// TestLine is one series of a backtest.
type TestLine struct {
	Subject muster.NodeID
	Name    string // of the node or check
	Series  string
	Spans   []judge.Span
	Total   time.Duration // how long it would have been firing
	Points  []graph.Point // ascending; of the first line only
}

// Bounds of a backtest.
const (
	maxTestRange  = 400 * 24 * time.Hour
	maxTestPoints = 2_000_000 // of all series
	maxTestLines  = 100       // in the answer
	aliveMetric   = "system.uptime"
)

// Backtest tries an alarm, saved or not, on the past, by the machine that judges live. The error wraps ErrInvalid (naming the
// field), ErrLimited or ErrUnavailable.
func (w *Watch) Backtest(ctx context.Context, account muster.AccountID, a *muster.Alarm, o BacktestOptions) (*Backtest, error) {
	draft := copyAlarm(a)
	draft.Account, draft.Enabled = account, true
	draft.Name = cmp.Or(draft.Name, "draft")
	tidy(draft)
	if err := w.valid(draft, &muster.Alarm{}); err != nil {
		return nil, fmt.Errorf("alarm: backtest: %w", err)
	}
	r, err := compile(draft)
	if err == nil {
		err = o.fill(w.opts.Now())
	}
	if err == nil && w.opts.Series == nil {
		err = fmt.Errorf("%w: there is no past to try it on", muster.ErrUnavailable)
	}
	if err != nil {
		return nil, fmt.Errorf("alarm: backtest: %w", err)
	}
	t := &trial{w: w, r: r, o: o, out: &Backtest{From: o.From, To: o.To}}
	if err := t.run(ctx); err != nil {
		return nil, fmt.Errorf("alarm: backtest: %w", err)
	}
	return t.out, nil
}

func (o *BacktestOptions) fill(now time.Time) error {
	if o.To.IsZero() || o.To.After(now) {
		o.To = now
	}
	if o.From.IsZero() {
		o.From = o.To.Add(-24 * time.Hour)
	}
	if !o.From.Before(o.To) || o.To.Sub(o.From) > maxTestRange {
		return fmt.Errorf("%w: from: it must lie before to, by at most %s", muster.ErrInvalid, rules.Span(maxTestRange))
	}
	o.Points = min(max(cmp.Or(o.Points, 300), 10), 5000)
	o.Nodes = min(max(cmp.Or(o.Nodes, 500), 1), 10_000)
	return nil
}

// trial is one backtest under way.
type trial struct {
	w   *Watch
	r   *rule
	o   BacktestOptions
	out *Backtest
}

func (t *trial) run(ctx context.Context) error {
	subjects := t.subjects()
	t.out.Matched = len(subjects)
	if len(subjects) == 0 {
		return nil
	}
	chosen := slices.Collect(maps.Keys(subjects))
	slices.SortFunc(chosen, func(x, y muster.NodeID) int { return cmp.Compare(subjects[x], subjects[y]) })
	chosen = chosen[:min(len(chosen), t.o.Nodes)]
	answer, err := t.query(ctx, chosen, cmp.Or(t.r.looks.Name, aliveMetric))
	if err != nil {
		return err
	}
	excused, err := t.excused(ctx, chosen)
	if err != nil {
		return err
	}
	t.out.Unit = answer.Unit
	near := -1
	var lines []TestLine
	tried, firing := map[muster.NodeID]bool{}, map[muster.NodeID]bool{}
	for _, line := range answer.Lines {
		m := muster.Metric{Name: answer.Metric, Attrs: line.Attrs}
		if !t.r.ofAgents() && !t.r.looks.Hits(&m) || excused[lineKey(line.Node, line.Attrs)] {
			continue
		}
		tried[line.Node] = true
		one := t.judge(line, answer)
		one.Name, one.Series = subjects[line.Node], rules.Series(&m, t.checkOf(&m))
		if t.r.ofAgents() {
			one.Series = ""
		}
		if t.out.Fired += len(one.Spans); len(one.Spans) > 0 {
			firing[line.Node] = true
		}
		if lines = append(lines, one); near < 0 || t.nearer(&one, &lines[near]) {
			near = len(lines) - 1
		}
	}
	t.out.Tried, t.out.Firing = len(tried), len(firing)
	t.finish(lines, near)
	return nil
}

// subjects gives the subjects that the alarm looks at, with their names.
func (t *trial) subjects() map[muster.NodeID]string {
	fleet, account := t.w.opts.Fleet, t.r.doc.Account
	find := func(id muster.CheckID) *muster.Check { return fleet.Check(account, id) }
	out := map[muster.NodeID]string{}
	for _, n := range fleet.Nodes(account) {
		if _, ok := t.r.chooses(&who{id: n.ID, node: n}, find); ok && !n.Unwatched {
			out[n.ID] = n.Name
		}
	}
	if c := find(t.r.doc.Check); c != nil {
		out[c.Subject()] = cmp.Or(out[c.Subject()], c.Name)
	}
	for _, id := range t.w.bareChecks(account) {
		if c := find(muster.CheckOf(id)); c != nil {
			if _, ok := t.r.chooses(&who{id: id, check: c}, find); ok {
				out[id] = c.Name
			}
		}
	}
	return out
}

// bareChecks gives the subjects that are checks of no node, as far as results of them were heard.
func (w *Watch) bareChecks(account muster.AccountID) (out []muster.NodeID) {
	for _, s := range w.shards {
		s.mu.Lock()
		for key, sub := range s.subjects {
			if key.account == account && sub.who.check != nil {
				out = append(out, key.id)
			}
		}
		s.mu.Unlock()
	}
	return out
}

// query reads the past of a metric, and as much before as a hold needs to be seen from its beginning.
func (t *trial) query(ctx context.Context, nodes []muster.NodeID, metric string) (*graph.Answer, error) {
	before := t.r.doc.NoData.After
	if c := t.r.doc.Condition; c != nil {
		before = max(before, c.For+c.Recover.For, c.Within/4)
	}
	q := graph.Query{
		Account: t.r.doc.Account, Nodes: nodes, Metric: metric, From: t.o.From.Add(-before), To: t.o.To,
		Points: max(t.o.Points, min(20_000, maxTestPoints/len(nodes))),
	}
	if !t.r.ofAgents() {
		q.Attrs = t.r.looks.Exact()
	}
	return t.w.opts.Series.Query(ctx, q)
}

// excused gives the series whose values do not count, by what a metric beside them says now.
func (t *trial) excused(ctx context.Context, nodes []muster.NodeID) (map[string]bool, error) {
	if t.r.quirk.Unless == "" {
		return nil, nil
	}
	answer, err := t.w.opts.Series.Query(ctx, graph.Query{
		Account: t.r.doc.Account, Nodes: nodes, Metric: t.r.quirk.Unless, From: t.o.From, To: t.o.To, Points: 50, Fn: "last",
	})
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, line := range answer.Lines {
		if n := len(line.Points); n > 0 && line.Points[n-1].Avg > 0 {
			out[lineKey(line.Node, line.Attrs)] = true
		}
	}
	return out, nil
}

func lineKey(node muster.NodeID, attrs []muster.Attr) string {
	m := muster.Metric{Attrs: attrs}
	return string(node[:]) + m.Key()
}

func (t *trial) checkOf(m *muster.Metric) *muster.Check {
	if id := m.Attr(muster.CheckAttr); id != "" {
		return t.w.opts.Fleet.Check(t.r.doc.Account, muster.CheckID(id))
	}
	return nil
}

// judge tries the rule on one line.
func (t *trial) judge(line graph.Line, answer *graph.Answer) TestLine {
	one := TestLine{Subject: line.Node, Points: line.Points}
	track := judge.Track{Unit: answer.Unit}
	armed := !t.r.quirk.Turned
	for _, p := range line.Points {
		at := judge.Point{At: p.T, Value: t.r.quirk.See(p.Avg), Min: t.r.quirk.See(p.Min), Max: t.r.quirk.See(p.Max)}
		at.Min, at.Max = min(at.Min, at.Max), max(at.Min, at.Max)
		if p.Min != p.Max {
			track.Step = answer.Step
		}
		if armed = armed || !t.r.doc.Condition.Op.Holds(at.Value, t.r.doc.Condition.Value); !armed {
			continue
		}
		if at.Value < t.r.quirk.Floor {
			one.Spans = append(one.Spans, t.spans(&track, time.UnixMilli(p.T))...)
			track.Points = track.Points[:0]
			continue
		}
		track.Points = append(track.Points, at)
	}
	one.Spans = append(one.Spans, t.spans(&track, time.Time{})...)
	for _, s := range one.Spans {
		length := t.length(s)
		one.Total += length
		t.out.Longest = max(t.out.Longest, length)
	}
	t.out.Step = max(t.out.Step, track.Step, answer.Step)
	return one
}

// spans tries the rule on consecutive points; what still fires at their end ends at until, unless that is zero.
func (t *trial) spans(track *judge.Track, until time.Time) []judge.Span {
	if len(track.Points) == 0 {
		return nil
	}
	spans := judge.Backtest(t.r.judge, *track, t.o.From, t.o.To)
	if last := len(spans) - 1; last >= 0 && spans[last].To.IsZero() {
		spans[last].To = until
	}
	return spans
}

// length gives how long a span lasted within the time that was asked about.
func (t *trial) length(s judge.Span) time.Duration {
	from, to := s.From, s.To
	if to.IsZero() {
		to = t.o.To
	}
	if from.Before(t.o.From) {
		from = t.o.From
	}
	return max(to.Sub(from), 0)
}
