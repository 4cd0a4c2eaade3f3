package series

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"muster"
	"muster/internal/column"
	"muster/internal/points"
)

// readShard fills the lines of one shard, stretch by stretch.
func (p *plan) readShard(ctx context.Context, s *shard) error {
	nodes := p.shards[s]
	var err error
	for _, sp := range p.spans(s) {
		if sp.res != 0 {
			err = p.readTiles(ctx, s, nodes, sp)
		} else {
			err = p.readSamples(ctx, s, nodes, sp)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fields says which fields of a slot the answer needs.
func (p *plan) fields() column.Fields {
	switch {
	case p.raw && p.kind == muster.Counter:
		return column.FieldLast
	case p.kind == muster.Counter:
		return column.FieldMin | column.FieldMax | column.FieldSum | column.FieldIncrease
	case p.fn == points.Last:
		return column.FieldMin | column.FieldMax | column.FieldLast
	}
	return column.FieldMin | column.FieldMax | column.FieldSum
}

// readTiles merges the slots of a stretch into the lines.
func (p *plan) readTiles(ctx context.Context, s *shard, nodes []*nodePlan, sp span) error {
	byID := make(map[muster.NodeID]*nodePlan, len(nodes))
	for _, n := range nodes {
		byID[n.key.node] = n
	}
	want := func(id muster.NodeID) bool { return byID[id] != nil }
	slot := sp.res.Slot().Milliseconds()
	var last *column.TileRow
	var attrs int
	each := func(start int64, kind muster.MetricKind, row *column.TileRow) error {
		if kind != p.kind {
			return nil
		}
		if last == nil || !sameAttrs(last.Attrs, row.Attrs) {
			id, ok := p.attrIDs[attrsKey(row.Attrs)]
			if !ok {
				id = -1
			}
			attrs, last = id, &column.TileRow{Attrs: row.Attrs}
		}
		l := byID[row.Node].line(attrs)
		if l == nil {
			return nil
		}
		for i := range row.Slots {
			l.Merge(start+int64(i)*slot, points.Slot(row.Slots[i]))
		}
		return nil
	}
	for _, class := range p.db.o.Classes {
		r := TileRange{class.Name, sp.res, p.Account, p.Metric, s.id, sp.from, sp.to}
		if _, err := p.db.walkTiles(ctx, r, p.fields(), want, each); err != nil {
			return err
		}
	}
	return nil
}

// sameAttrs compares by place: rows of a tile share their sets of attributes.
func sameAttrs(a, b []muster.Attr) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}

// reader decodes the wanted columns of chunks and blocks. It is for one goroutine.
type reader struct {
	p      *plan
	times  []int64
	values []float64
}

// readSamples feeds the samples of a stretch into the lines, node by node.
func (p *plan) readSamples(ctx context.Context, s *shard, nodes []*nodePlan, sp span) error {
	r := &reader{p: p}
	from := sp.from
	if p.kind == muster.Counter {
		from -= p.gap // the sample before the first one begins its rate
	}
	if p.step > 0 {
		from -= p.step / 8 // a sample that came a little early belongs to the step after it
	}
	for _, n := range nodes {
		if err := r.readNode(ctx, s, n, from, sp.to); err != nil {
			return err
		}
		for _, l := range n.lines {
			l.feed(sp.from)
		}
	}
	return nil
}

// feed hands the samples over in order, each instant once.
func (l *line) feed(from int64) {
	byTime := func(a, b sample) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	}
	if !slices.IsSortedFunc(l.samples, byTime) {
		slices.SortStableFunc(l.samples, byTime)
	}
	for i, s := range l.samples {
		if i > 0 && s.at == l.samples[i-1].at {
			continue
		}
		if s.at < from && !(l.Follow && s.at >= from-l.Step/8) {
			l.Prime(s.at, s.v)
			continue
		}
		if l.Follow || s.at >= from {
			l.Add(s.at, s.v)
		}
	}
	l.samples = l.samples[:0]
}

// readNode collects the samples of one node with from <= at < to. The heads come first: a block that
// is sealed meanwhile is then seen twice rather than never.
func (r *reader) readNode(ctx context.Context, s *shard, n *nodePlan, from, to int64) error {
	for _, v := range s.samplesOf(r.p, n, from, to) {
		for i := range v {
			if v[i].first < to && v[i].last >= from {
				if err := r.collect(n, v[i].data, from, to); err != nil {
					return fmt.Errorf("series: read a head: %w", err)
				}
			}
		}
	}
	for _, source := range n.sources {
		for _, class := range r.p.db.o.Classes {
			rng := BlockRange{class.Name, n.key.account, n.key.node, source, from - longWindow, to}
			err := r.p.db.scanNewest(ctx, rng, func(b *Block, _ bool, length int64, body []byte) error {
				if b.Start+length <= from {
					return nil
				}
				return r.collect(n, body, from, to)
			})
			if err != nil {
				return fmt.Errorf("series: read blocks: %w", err)
			}
		}
	}
	return nil
}

// samplesOf takes the samples out of the tails of a node's windows, and gives the windows' chunks.
func (s *shard) samplesOf(p *plan, n *nodePlan, from, to int64) (chunks [][]chunk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	node := s.nodes[n.key]
	if node == nil {
		return nil
	}
	for _, src := range node.sources {
		for _, w := range src.windows {
			if w.start >= to || w.end <= from {
				continue
			}
			if len(w.chunks) > 0 {
				chunks = append(chunks, w.chunks[:len(w.chunks):len(w.chunks)])
			}
			for _, t := range w.tails {
				t.take(n, p.hits[t.schema.ID], from, to)
			}
		}
	}
	return chunks
}

func (t *tail) take(n *nodePlan, hits []hit, from, to int64) {
	width := len(t.schema.Metrics)
	for _, h := range hits {
		l := n.line(h.attrs)
		if l == nil {
			continue
		}
		for row, at := range t.times {
			if v := t.rows[row*width+h.index]; v == v && at >= from && at < to {
				l.samples = append(l.samples, sample{at, v})
			}
		}
	}
}

// collect takes the wanted samples out of a chunk or block.
func (r *reader) collect(n *nodePlan, data []byte, from, to int64) error {
	b, err := r.p.db.codec.OpenBlock(data)
	if err != nil {
		return err
	}
	r.times = r.times[:0]
	ids := b.Schemas()
	for i, ref := range b.Columns() {
		var l *line
		for _, h := range r.p.hits[ids[ref.Schema]] {
			if h.index == ref.Index {
				l = n.line(h.attrs)
			}
		}
		if l == nil {
			continue
		}
		if len(r.times) == 0 {
			r.times = b.Times(r.times)
		}
		if r.values, err = b.Decode(i, r.values[:0]); err != nil {
			return err
		}
		for j, at := range r.times {
			if v := r.values[j]; v == v && at >= from && at < to {
				l.samples = append(l.samples, sample{at, v})
			}
		}
	}
	return nil
}

// findPeriod reads how often the nodes measure from a few of them: from their heads, or from a block.
func (p *plan) findPeriod(ctx context.Context) (time.Duration, error) {
	const look = 8
	found := map[time.Duration]int{}
	seen := 0
	for s, nodes := range p.shards {
		for _, n := range nodes {
			if seen++; seen > look {
				break
			}
			times := s.timesOf(n, p.from, p.to)
			if len(times) < 2 {
				var err error
				if times, err = p.storedTimes(ctx, n, times); err != nil {
					return 0, err
				}
			}
			found[points.Period(times)]++
		}
	}
	var best time.Duration
	for period, n := range found {
		if period > 0 && (n > found[best] || best == 0 || n == found[best] && period > best) {
			best = period
		}
	}
	return best, nil
}

// timesOf gives the instants of a node's first wanted source that its open windows hold.
func (s *shard) timesOf(n *nodePlan, from, to int64) (times []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	node := s.nodes[n.key]
	if node == nil || len(n.sources) == 0 {
		return nil
	}
	if src := node.source(n.sources[0]); src != nil {
		for _, w := range src.windows {
			for _, at := range w.times {
				if at >= from && at < to {
					times = append(times, at)
				}
			}
		}
	}
	return times
}

var errFound = errors.New("found")

// storedTimes gives the instants of one of the newest stored blocks of the range.
func (p *plan) storedTimes(ctx context.Context, n *nodePlan, times []int64) ([]int64, error) {
	reach := int64(2 * longWindow)
	for to := p.to; to > p.from-longWindow && len(times) < 2; to, reach = to-reach, 2*reach {
		for _, class := range p.db.o.Classes {
			r := BlockRange{class.Name, n.key.account, n.key.node, n.sources[0], max(p.from-longWindow, to-reach), to}
			err := p.db.scanNewest(ctx, r, func(b *Block, _ bool, _ int64, body []byte) error {
				reader, err := p.db.codec.OpenBlock(body)
				if err != nil || reader.Len() < 2 {
					return err
				}
				times = reader.Times(times[:0])
				return errFound
			})
			if err != nil && !errors.Is(err, errFound) {
				return nil, fmt.Errorf("series: read blocks: %w", err)
			}
		}
	}
	return times, nil
}
