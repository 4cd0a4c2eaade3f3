package graph

import (
	"context"
	"slices"
	"time"

	"muster"
)

const (
	// defaultPoints is how many points a series has at most when the query does not say.
	defaultPoints = 300
	hourMs        = 3_600_000
	dayMs         = 24 * hourMs
	// shortStep is the finest step that tiles serve.
	shortStep = 5 * time.Minute
)

// plan is a query after it has been checked, and what was found for it so far.
type plan struct {
	Query
	o       Options
	store   Store
	fn      Fn
	raw     bool // counters as they are
	from    int64
	to      int64
	step    int64
	grid    int64 // the first step that is asked for
	end     int64 // the first that is not
	period  time.Duration
	gap     int64
	kind    muster.MetricKind
	unit    string
	hits    map[muster.SchemaID][]Hit
	attrs   [][]muster.Attr // distinct sets of attributes
	attrIDs map[string]int
	shards  []*shardPlan
	count   int // of lines
}

// shardPlan is what a query wants of one shard.
type shardPlan struct {
	Shard
	nodes []*nodePlan
}

// nodePlan is what a query wants of one node.
type nodePlan struct {
	id      muster.NodeID
	sources []string
	lines   []*line
}

// line is one series on its way to the answer.
type line struct {
	attrs int // in plan.attrs
	Builder
	samples []sample
}

type sample struct {
	at int64
	v  float64
}

func newPlan(store Store, q Query, o Options) (*plan, error) {
	p := &plan{Query: q, o: o, store: store, from: q.From.UnixMilli(), to: q.To.UnixMilli(), hits: map[muster.SchemaID][]Hit{}, attrIDs: map[string]int{}}
	if p.Points == 0 {
		p.Points = defaultPoints
	}
	fns := map[string]Fn{"": Avg, "avg": Avg, "min": Min, "max": Max, "sum": Sum, "last": Last, "count": Count, "rate": Avg, "raw": Last}
	fn, known := fns[q.Fn]
	switch {
	case q.Metric == "" || q.Account.IsZero():
		return nil, invalid("an account and a metric are needed")
	case !known:
		return nil, invalid("there is no function %q: use avg, min, max, sum, last, count, rate or raw", q.Fn)
	case p.from >= p.to || p.from < 0 || p.to > 1<<52:
		return nil, invalid("the range must begin before it ends")
	case p.Points < 0 || q.MinStep < 0 || q.Step < 0 || q.Step%time.Millisecond != 0:
		return nil, invalid("points and step can't be negative, and a step is in whole ms")
	}
	p.fn, p.raw = fn, q.Fn == "raw"
	return p, nil
}

// find lists the nodes and their series that the query wants, from memory.
func (p *plan) find(ctx context.Context) error {
	for _, shard := range p.store.Shards(p.Account, p.Nodes) {
		s := &shardPlan{Shard: shard}
		ids, err := shard.Nodes(ctx)
		if err != nil {
			return err
		}
		for _, id := range ids {
			n, err := p.findNode(ctx, shard, id)
			if err != nil {
				return err
			}
			if len(n.lines) > 0 {
				s.nodes = append(s.nodes, n)
			}
			if p.count > p.o.Limits.Lines {
				return limited("more than %d series; ask for fewer nodes or name attributes", p.o.Limits.Lines)
			}
		}
		if len(s.nodes) > 0 {
			p.shards = append(p.shards, s)
		}
	}
	return nil
}

func (p *plan) findNode(ctx context.Context, shard Shard, id muster.NodeID) (*nodePlan, error) {
	n := &nodePlan{id: id}
	for source, ids := range shard.Schemas(id, p.from-p.o.Window.Milliseconds(), p.to) {
		found := false
		for _, schema := range ids {
			hits, err := p.hitsIn(ctx, schema)
			if err != nil {
				return nil, err
			}
			found = found || len(hits) > 0
			for _, h := range hits {
				if n.line(h.Series) == nil {
					n.lines = append(n.lines, &line{attrs: h.Series})
					p.count++
				}
			}
		}
		if found {
			n.sources = append(n.sources, source)
		}
	}
	slices.Sort(n.sources)
	return n, nil
}

func (n *nodePlan) line(attrs int) *line {
	for _, l := range n.lines {
		if l.attrs == attrs {
			return l
		}
	}
	return nil
}

// hitsIn finds what the query wants in a schema, once per schema.
func (p *plan) hitsIn(ctx context.Context, id muster.SchemaID) ([]Hit, error) {
	if hits, ok := p.hits[id]; ok {
		return hits, nil
	}
	schema, err := p.store.Schema(ctx, id)
	if err != nil {
		return nil, err
	}
	var hits []Hit
	for i := range schema.Metrics {
		m := &schema.Metrics[i]
		if m.Name != p.Metric || !p.wants(m.Attrs) {
			continue
		}
		if p.kind == 0 {
			p.kind, p.unit = m.Kind, m.Unit
		}
		if m.Kind == p.kind {
			hits = append(hits, Hit{i, p.attrsID(m.Attrs)})
		}
	}
	p.hits[id] = hits
	return hits, nil
}

func (p *plan) wants(attrs []muster.Attr) bool {
	matched := 0
	for _, a := range attrs {
		if want, ok := p.Attrs[a.Key]; ok {
			if want != a.Value {
				return false
			}
			matched++
		}
	}
	return matched == len(p.Attrs)
}

func (p *plan) attrsID(attrs []muster.Attr) int {
	key := AttrsKey(attrs)
	id, ok := p.attrIDs[key]
	if !ok {
		id = len(p.attrs)
		p.attrIDs[key] = id
		p.attrs = append(p.attrs, attrs)
	}
	return id
}

// choose fixes the step and makes sure that the query stays within the limits.
func (p *plan) choose(ctx context.Context) error {
	if p.kind == muster.Gauge && p.Fn == "rate" {
		return invalid("%q is a gauge and has no rate", p.Metric)
	}
	if p.raw && p.kind == muster.Gauge {
		p.fn = Avg
	}
	span := time.Duration(p.to-p.from) * time.Millisecond
	if span/time.Duration(p.Points) < p.o.Window || p.Query.Step > 0 {
		period, err := p.findPeriod(ctx)
		if err != nil {
			return err
		}
		p.period = period
	}
	step := p.Query.Step
	if step == 0 {
		step = Step(span, p.period, p.finest(), p.Points)
	}
	p.step = step.Milliseconds()
	p.gap = Gap(p.period)
	if p.period == 0 {
		p.gap = Gap(time.Minute)
	}
	p.grid, p.end = Ceil(p.from, p.step), Ceil(p.to, p.step)
	if err := p.limit(); err != nil {
		return err
	}
	for _, s := range p.shards {
		for _, n := range s.nodes {
			for _, l := range n.lines {
				l.Builder = p.builder()
			}
		}
	}
	return nil
}

// finest gives the step that a query's range allows: what is not kept as it came is shown as the rollups have it.
func (p *plan) finest() time.Duration {
	finest, now := p.MinStep, p.o.Now.UnixMilli()
	if p.o.Raw > 0 && p.from < now-p.o.Raw.Milliseconds() {
		finest = max(finest, shortStep)
	}
	if p.o.Tile5m > 0 && p.from < now-p.o.Tile5m.Milliseconds() {
		finest = max(finest, time.Hour)
	}
	return finest
}

// steps says how many points a line may have. A step without a sample has none, so a fine step gives the
// samples as they are.
func (p *plan) steps() int64 {
	period := p.period
	if period == 0 { // nothing was found where it was looked for
		period = 10 * time.Second
	}
	if p.Query.Step == 0 {
		return (p.end-p.grid)/p.step + 1
	}
	return min((p.end-p.grid)/p.step+1, 2*(p.to-p.from)/period.Milliseconds()+2)
}

func (p *plan) builder() Builder {
	counter, period := p.kind == muster.Counter, p.period.Milliseconds()
	most := max(0, min(p.steps(), 20_000))
	return Builder{
		Step: p.step, From: p.grid, To: p.end, Fn: p.fn, Raw: p.raw && counter,
		Follow: p.step*2 > period && p.step*2 < period*3,
		Out:    make([]Point, 0, most),
		Meter:  Meter{Counter: counter && !p.raw, Gap: p.gap},
	}
}

// Gap says after which pause (in ms) a counter yields no rate: two and a half periods. A node that
// somebody looks at measures each second; its return to its own period is no gap.
func Gap(period time.Duration) int64 {
	return max(period, 10*time.Second).Milliseconds() * 5 / 2
}

// limit estimates what the query costs, before anything is read.
func (p *plan) limit() error {
	each := p.steps()
	if total := each * int64(p.count); total > int64(p.o.Limits.Points) {
		return limited("about %d points, at most %d are given; ask for fewer nodes or points", total, p.o.Limits.Points)
	}
	var samples int64
	for _, s := range p.shards {
		lines := 0
		for _, n := range s.nodes {
			lines += len(n.lines)
		}
		for _, sp := range p.spans(s) {
			unit := max(p.period, 10*time.Second)
			if sp.slot != 0 {
				unit = sp.slot
			}
			samples += (sp.to - sp.from) / unit.Milliseconds() * int64(lines)
		}
	}
	if samples > p.o.Limits.Samples {
		return limited("about %d samples would be read, at most %d are; ask for fewer nodes, a shorter range or fewer points", samples, p.o.Limits.Samples)
	}
	return nil
}

// span is a stretch of the range that is read in one way: from samples (slot 0) or from rollups.
type span struct {
	from, to int64
	slot     time.Duration
}

// spans cuts the range: days and hours that rollups hold are read from them when the step allows.
func (p *plan) spans(s *shardPlan) (all []span) {
	add := func(from, to int64, slot time.Duration) {
		if n := len(all); n > 0 && all[n-1].slot == slot {
			all[n-1].to = to
			return
		}
		all = append(all, span{from, to, slot})
	}
	fits := func(slot time.Duration) bool {
		ms := slot.Milliseconds()
		return p.step%ms == 0 && p.to-p.from >= 4*ms
	}
	hours, days := fits(shortStep), fits(time.Hour)
	if !hours {
		return []span{{p.grid, p.to, 0}}
	}
	marks := s.Marks()
	for at := p.grid; at < p.to; {
		next := floor(at, hourMs) + hourMs
		switch {
		case days && at%dayMs == 0 && at+dayMs <= p.to && marks.Day(at/hourMs):
			next = at + dayMs
			add(at, next, time.Hour)
		case at%hourMs == 0 && next <= p.to && marks.Hour(at/hourMs):
			add(at, next, shortStep)
		default:
			add(at, min(next, p.to), 0)
		}
		at = next
	}
	return all
}

// findPeriod reads how often the nodes measure from a few of them.
func (p *plan) findPeriod(ctx context.Context) (time.Duration, error) {
	const look = 8
	found := map[time.Duration]int{}
	seen := 0
	for _, s := range p.shards {
		for _, n := range s.nodes {
			if seen++; seen > look {
				break
			}
			times, err := s.Times(ctx, n.id, n.sources[0], p.from, p.to)
			if err != nil {
				return 0, err
			}
			found[Period(times)]++
		}
	}
	var best time.Duration
	for period, n := range found {
		if period > 0 && (best == 0 || n > found[best] || n == found[best] && period > best) {
			best = period
		}
	}
	return best, nil
}
