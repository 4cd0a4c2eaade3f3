package graph

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"muster"
)

// readers is how many shards are read at once.
const readers = 4

// read reads the shards side by side.
func (p *plan) read(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var group sync.WaitGroup
	work := make(chan *shardPlan)
	for range min(len(p.shards), readers, max(1, runtime.GOMAXPROCS(0))) {
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
	for _, s := range p.shards {
		work <- s
	}
	close(work)
	group.Wait()
	if ctx.Err() == nil {
		return nil
	}
	if err := context.Cause(ctx); err != ctx.Err() {
		return fmt.Errorf("graph: query: %w", err)
	}
	return fmt.Errorf("%w: graph: query: %w", muster.ErrUnavailable, ctx.Err())
}

// readShard fills the lines of one shard, stretch by stretch.
func (p *plan) readShard(ctx context.Context, s *shardPlan) (err error) {
	for _, sp := range p.spans(s) {
		if sp.slot != 0 {
			err = p.readSlots(ctx, s, sp)
		} else {
			err = p.readSamples(ctx, s, sp)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readSlots merges the slots of a stretch into the lines.
func (p *plan) readSlots(ctx context.Context, s *shardPlan, sp span) error {
	byID := make(map[muster.NodeID]*nodePlan, len(s.nodes))
	for _, n := range s.nodes {
		byID[n.id] = n
	}
	counter := p.kind == muster.Counter
	r := SlotRange{
		Metric: p.Metric, Slot: sp.slot, From: sp.from, To: sp.to, Counter: counter, Raw: counter && p.raw, NeedLast: p.fn == Last,
		Want: func(id muster.NodeID) bool { return byID[id] != nil },
	}
	slot := sp.slot.Milliseconds()
	last, attrs := []muster.Attr(nil), -1
	return s.Slots(ctx, r, func(row *SlotRow) {
		if row.Kind != p.kind {
			return
		}
		if attrs < 0 || !sameAttrs(last, row.Attrs) {
			id, ok := p.attrIDs[AttrsKey(row.Attrs)]
			if !ok {
				return
			}
			attrs, last = id, row.Attrs
		}
		if l := byID[row.Node].line(attrs); l != nil {
			for i := range row.Slots {
				l.Merge(row.Start+int64(i)*slot, row.Slots[i])
			}
		}
	})
}

// sameAttrs compares by place first: rows of a tile share their sets of attributes.
func sameAttrs(a, b []muster.Attr) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}

// readSamples feeds the samples of a stretch into the lines, node by node.
func (p *plan) readSamples(ctx context.Context, s *shardPlan, sp span) error {
	from := sp.from - p.step/8 // a sample that came a little early belongs to the step after it
	if p.kind == muster.Counter {
		from -= p.gap // the sample before the first one begins its rate
	}
	var n *nodePlan
	w := &Want{
		Hits: func(id muster.SchemaID) []Hit { return p.hits[id] },
		Emit: func(series int, at int64, v float64) {
			if l := n.line(series); l != nil {
				l.samples = append(l.samples, sample{at, v})
			}
		},
	}
	for _, n = range s.nodes {
		w.Node, w.Sources = n.id, n.sources
		if err := s.Samples(ctx, w, from, sp.to); err != nil {
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
	byTime := func(a, b sample) int { return cmp.Compare(a.at, b.at) }
	if !slices.IsSortedFunc(l.samples, byTime) {
		slices.SortStableFunc(l.samples, byTime)
	}
	early := from
	if l.Follow {
		early -= l.Step / 8
	}
	for i, s := range l.samples {
		switch {
		case i > 0 && s.at == l.samples[i-1].at:
		case s.at < early:
			l.Prime(s.at, s.v)
		default:
			l.Add(s.at, s.v)
		}
	}
	l.samples = nil
}
