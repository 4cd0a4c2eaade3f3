package series

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"muster"
	"muster/internal/points"
)

// defaultPoints is how many points a series has at most when the query does not say.
const defaultPoints = 300

// plan is a query after it has been checked and before anything is read.
type plan struct {
	Query
	db      *DB
	fn      points.Fn
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
	hits    map[muster.SchemaID][]hit
	attrs   [][]muster.Attr // distinct sets of attributes
	attrIDs map[string]int
	shards  map[*shard][]*nodePlan
	count   int // of lines
}

// hit is a metric of a schema that the query wants.
type hit struct {
	index int // in the schema
	attrs int // in plan.attrs
}

// nodePlan is what a query wants of one node.
type nodePlan struct {
	key     nodeKey
	sources []string
	lines   []*line
}

// line is one series on its way to the answer.
type line struct {
	attrs int // in plan.attrs
	points.Builder
	samples []sample
}

type sample struct {
	at int64
	v  float64
}

// Query answers from heads, blocks and tiles as if they were one. The error wraps muster.ErrInvalid,
// muster.ErrLimited (it asks for too much; nothing was read), or muster.ErrUnavailable.
func (db *DB) Query(ctx context.Context, q Query) (*Answer, error) {
	begun := time.Now()
	p, err := db.newPlan(q)
	if err != nil {
		return nil, err
	}
	if err := p.find(ctx); err != nil {
		return nil, err
	}
	if err := p.choose(ctx); err != nil {
		return nil, err
	}
	if err := p.read(ctx); err != nil {
		return nil, err
	}
	db.tell.querySeconds.Update(time.Since(begun).Seconds())
	return p.answer(), nil
}

func (db *DB) newPlan(q Query) (*plan, error) {
	p := &plan{Query: q, db: db, from: q.From.UnixMilli(), to: q.To.UnixMilli(), hits: map[muster.SchemaID][]hit{}, attrIDs: map[string]int{}, shards: map[*shard][]*nodePlan{}}
	if p.Points == 0 {
		p.Points = defaultPoints
	}
	fns := map[string]points.Fn{
		"": points.Avg, "avg": points.Avg, "min": points.Min, "max": points.Max, "sum": points.Sum,
		"last": points.Last, "count": points.Count, "rate": points.Avg, "raw": points.Last,
	}
	fn, known := fns[q.Fn]
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: series: query: "+format, append([]any{muster.ErrInvalid}, args...)...)
	}
	switch {
	case q.Metric == "" || q.Account.IsZero():
		return nil, bad("an account and a metric are needed")
	case !known:
		return nil, bad("there is no function %q: use avg, min, max, sum, last, count, rate or raw", q.Fn)
	case p.from >= p.to || p.from < 0 || p.to > 1<<52:
		return nil, bad("the range must begin before it ends")
	case p.Points < 0 || q.MinStep < 0 || q.Step < 0 || q.Step%time.Millisecond != 0:
		return nil, bad("points and step can't be negative, and a step is in whole ms")
	}
	p.fn, p.raw = fn, q.Fn == "raw"
	return p, nil
}

// find lists the nodes and their series that the query wants, from memory.
func (p *plan) find(ctx context.Context) error {
	if p.Nodes == nil {
		for _, s := range p.db.shardsOf(p.Account) {
			if err := p.findIn(ctx, s, nil); err != nil {
				return err
			}
		}
		return nil
	}
	byShard := map[*shard][]nodeKey{}
	for _, id := range p.Nodes {
		s := p.db.shardFor(p.Account, id)
		byShard[s] = append(byShard[s], nodeKey{p.Account, id})
	}
	for s, keys := range byShard {
		if err := p.findIn(ctx, s, keys); err != nil {
			return err
		}
	}
	return nil
}

// findIn lists the shard's nodes; keys nil means all of the account.
func (p *plan) findIn(ctx context.Context, s *shard, keys []nodeKey) error {
	if err := s.await(ctx); err != nil {
		return err
	}
	if keys == nil {
		keys = slices.DeleteFunc(s.keys(), func(k nodeKey) bool { return k.account != p.Account })
	}
	slices.SortFunc(keys, nodeKey.compare)
	for _, k := range slices.Compact(keys) {
		n, err := p.findNode(ctx, s, k)
		if err != nil {
			return err
		}
		if len(n.lines) > 0 {
			p.shards[s] = append(p.shards[s], n)
		}
		if p.count > p.db.o.Limits.Lines {
			return fmt.Errorf("%w: series: query: more than %d series; ask for fewer nodes or name attributes", muster.ErrLimited, p.db.o.Limits.Lines)
		}
	}
	return nil
}

func (p *plan) findNode(ctx context.Context, s *shard, k nodeKey) (*nodePlan, error) {
	n := &nodePlan{key: k}
	for source, ids := range s.schemasIn(k, p.from-longWindow, p.to) {
		found := false
		for _, id := range ids {
			hits, err := p.hitsIn(ctx, id)
			if err != nil {
				return nil, err
			}
			found = found || len(hits) > 0
			for _, h := range hits {
				if n.line(h.attrs) == nil {
					n.lines = append(n.lines, &line{attrs: h.attrs})
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

// schemasIn lists the schemas that a node's sources had within a range of instants.
func (s *shard) schemasIn(k nodeKey, from, to int64) map[string][]muster.SchemaID {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[k]
	if n == nil {
		return nil
	}
	out := map[string][]muster.SchemaID{}
	for _, src := range n.sources {
		for _, sc := range src.schemas {
			// The first instant is known in steps of sealing; late frames may come before it.
			if sc.first-2*dayMs < to && (sc.last == 0 || sc.last+longWindow >= from) {
				out[src.name] = append(out[src.name], sc.id)
			}
		}
	}
	return out
}

// hitsIn finds what the query wants in a schema, once per schema.
func (p *plan) hitsIn(ctx context.Context, id muster.SchemaID) ([]hit, error) {
	if hits, ok := p.hits[id]; ok {
		return hits, nil
	}
	schema, err := p.db.schemas.get(ctx, id)
	if err != nil {
		return nil, err
	}
	var hits []hit
	for i := range schema.Metrics {
		m := &schema.Metrics[i]
		if m.Name != p.Metric || !p.wants(m.Attrs) {
			continue
		}
		if p.kind == 0 {
			p.kind, p.unit = m.Kind, m.Unit
		}
		if m.Kind == p.kind {
			hits = append(hits, hit{i, p.attrsID(m.Attrs)})
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
	key := attrsKey(attrs)
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
		return fmt.Errorf("%w: series: query: %q is a gauge and has no rate", muster.ErrInvalid, p.Metric)
	}
	span := p.to - p.from
	if span/int64(p.Points) < longWindow || p.Step > 0 {
		period, err := p.findPeriod(ctx)
		if err != nil {
			return err
		}
		p.period = period
	}
	if p.raw && p.kind == muster.Gauge {
		p.fn = points.Avg
	}
	class := p.db.class(p.Account)
	atLeast := p.MinStep
	// What is not kept as it came is shown as the rollups have it.
	now := p.db.o.Now().UnixMilli()
	if p.from < now-class.Raw.Milliseconds() {
		atLeast = max(atLeast, FiveMinutes.Slot())
	}
	if p.from < now-class.Tile5m.Milliseconds() {
		atLeast = max(atLeast, OneHour.Slot())
	}
	step := p.Step
	if step == 0 {
		step = points.Step(time.Duration(span)*time.Millisecond, p.period, atLeast, p.Points)
	}
	p.step = step.Milliseconds()
	p.gap = gapOf(p.period)
	p.grid = points.Ceil(p.from, p.step)
	p.end = points.Ceil(p.to, p.step)
	if p.period == 0 {
		p.gap = gapOf(time.Minute)
	}
	for _, nodes := range p.shards {
		for _, n := range nodes {
			for _, l := range n.lines {
				most := (p.end - p.grid) / p.step
				l.Builder = points.Builder{Step: p.step, From: p.grid, To: p.end, Fn: p.fn, Raw: p.raw && p.kind == muster.Counter,
					Follow: p.step*2 > p.period.Milliseconds() && p.step*2 < p.period.Milliseconds()*3,
					Out:    make([]Point, 0, max(0, min(most, 20_000))),
					Meter:  points.Meter{Counter: p.kind == muster.Counter && !p.raw, Gap: p.gap}}
			}
		}
	}
	return p.limit()
}

// limit estimates what the query costs, before anything is read.
func (p *plan) limit() error {
	l := p.db.o.Limits
	each := (p.end-p.grid)/p.step + 1
	if total := each * int64(p.count); total > int64(l.Points) {
		return fmt.Errorf("%w: series: query: about %d points, at most %d are given; ask for fewer nodes or points", muster.ErrLimited, total, l.Points)
	}
	var samples int64
	for s, nodes := range p.shards {
		lines := 0
		for _, n := range nodes {
			lines += len(n.lines)
		}
		for _, sp := range p.spans(s) {
			unit := max(p.period, 10*time.Second).Milliseconds()
			if sp.res != 0 {
				unit = sp.res.Slot().Milliseconds()
			}
			samples += (sp.to - sp.from) / unit * int64(lines)
		}
	}
	if samples > l.Samples {
		return fmt.Errorf("%w: series: query: about %d samples would be read, at most %d are; ask for fewer nodes, a shorter range or fewer points", muster.ErrLimited, samples, l.Samples)
	}
	return nil
}

// span is a stretch of the range that is read in one way: from samples (res 0) or from tiles.
type span struct {
	from, to int64
	res      Resolution
}

// spans cuts the range: days and hours whose tiles are built are read from them when the step allows.
func (p *plan) spans(s *shard) (all []span) {
	add := func(from, to int64, res Resolution) {
		if n := len(all); n > 0 && all[n-1].res == res {
			all[n-1].to = to
			return
		}
		all = append(all, span{from, to, res})
	}
	fits := func(res Resolution) bool {
		slot := res.Slot().Milliseconds()
		return p.step%slot == 0 && p.to-p.from >= 4*slot
	}
	hours, days := fits(FiveMinutes), fits(OneHour)
	marks := s.marks(p.db.o.Now())
	for at := p.grid; at < p.to; {
		hour := hourOf(at)
		next := (hour + 1).start()
		switch {
		case days && dayOf(hour).start() == at && at+dayMs <= p.to && marks.day(hour):
			next = at + dayMs
			add(at, next, OneHour)
		case hours && hour.start() == at && next <= p.to && marks.hour(hour):
			add(at, next, FiveMinutes)
		default:
			add(at, min(next, p.to), 0)
		}
		at = next
	}
	return all
}

// marks is what a shard knows about its tiles at one instant.
type marks struct {
	oldest Hour // before it everything is built
	built  map[Hour]bool
	days   map[Hour]bool
}

func (s *shard) marks(now time.Time) marks {
	m := marks{oldest: hourOf(now.Add(-keepMarks + day).UnixMilli()), built: map[Hour]bool{}, days: map[Hour]bool{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	for hour := range s.built {
		m.built[hour] = s.dirty[hour] == nil
	}
	for d := range s.days {
		m.days[d] = s.allBuilt(d)
	}
	return m
}

func (m *marks) hour(h Hour) bool { return h < m.oldest || m.built[h] }

func (m *marks) day(h Hour) bool { return h+24 <= m.oldest || m.days[h] }

// read reads the shards side by side.
func (p *plan) read(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var group sync.WaitGroup
	work := make(chan *shard)
	for range min(len(p.shards), max(1, min(runtime.GOMAXPROCS(0), 4))) {
		group.Go(func() {
			for s := range work {
				if ctx.Err() != nil {
					continue
				}
				if err := p.readShard(ctx, s); err != nil {
					stop(err)
				}
			}
		})
	}
	for s := range p.shards {
		work <- s
	}
	close(work)
	group.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("series: query: %w", context.Cause(ctx))
	}
	return nil
}

// answer collects the points.
func (p *plan) answer() *Answer {
	a := &Answer{Metric: p.Metric, Unit: p.unit, Kind: p.kind, From: p.From, To: p.To, Step: time.Duration(p.step) * time.Millisecond}
	if p.kind == muster.Counter && !p.raw && p.fn != points.Sum && p.fn != points.Count {
		a.Unit += "/s"
	}
	for _, nodes := range p.shards {
		for _, n := range nodes {
			slices.SortFunc(n.lines, func(a, b *line) int { return slices.CompareFunc(p.attrs[a.attrs], p.attrs[b.attrs], compareAttr) })
			for _, l := range n.lines {
				if out := l.Points(); len(out) > 0 {
					a.Lines = append(a.Lines, Line{Node: n.key.node, Attrs: p.attrs[l.attrs], Points: out})
				}
			}
		}
	}
	slices.SortStableFunc(a.Lines, func(a, b Line) int { return slices.Compare(a.Node[:], b.Node[:]) })
	return a
}

func compareAttr(a, b muster.Attr) int {
	if a.Key != b.Key {
		return compareText(a.Key, b.Key)
	}
	return compareText(a.Value, b.Value)
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
