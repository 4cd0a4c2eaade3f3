package series

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"muster"
	"muster/internal/column"
	"muster/internal/series/engine"
	"muster/internal/series/graph"
	"muster/internal/series/head"
)

// The shapes of queries are those of package graph; these are their names here.
type (
	// Query asks for the series of one metric.
	Query = graph.Query
	// Answer is what a query found.
	Answer = graph.Answer
	// Line is one series.
	Line = graph.Line
	// Point is one step of a series. T is its beginning in Unix ms, a multiple of the step.
	Point = graph.Point
	// Limits bound one query; a query beyond them fails with muster.ErrLimited.
	Limits = graph.Limits
)

// Query answers from heads, blocks and tiles as if they were one. The error wraps muster.ErrInvalid,
// muster.ErrLimited (it asks for too much; nothing was read), or muster.ErrUnavailable.
func (db *DB) Query(ctx context.Context, q Query) (*Answer, error) {
	begun := time.Now()
	class := db.class(q.Account)
	a, err := graph.Run(ctx, reader{db}, q, graph.Options{
		Now: db.o.Now(), Raw: class.Raw, Tile5m: class.Tile5m, Limits: db.o.Limits, Window: head.LongWindow * time.Millisecond,
	})
	if err != nil {
		return nil, fmt.Errorf("series: %w", err)
	}
	db.tell.querySeconds.Update(time.Since(begun).Seconds())
	return a, nil
}

// reader fits graph.Store.
type reader struct{ db *DB }

// Schema fits graph.Store.
func (r reader) Schema(ctx context.Context, id muster.SchemaID) (*muster.Schema, error) {
	return r.db.schemas.Get(ctx, id)
}

// Shards fits graph.Store.
func (r reader) Shards(account muster.AccountID, nodes []muster.NodeID) (out []graph.Shard) {
	if nodes == nil {
		for _, s := range r.db.shardsOf(account) {
			out = append(out, &shardReader{shard: s, account: account, all: true})
		}
		return out
	}
	places := map[*shard]*shardReader{}
	for _, id := range nodes {
		s := r.db.shardFor(account, id)
		if places[s] == nil {
			places[s] = &shardReader{shard: s, account: account}
			out = append(out, places[s])
		}
		places[s].asked = append(places[s].asked, id)
	}
	return out
}

// shardReader fits graph.Shard for one account.
type shardReader struct {
	*shard
	account muster.AccountID
	all     bool
	asked   []muster.NodeID
	times   []int64
	values  []float64
}

// Nodes waits for the heads, then lists the nodes.
func (r *shardReader) Nodes(ctx context.Context) ([]muster.NodeID, error) {
	if err := r.await(ctx); err != nil {
		return nil, err
	}
	ids := slices.Clone(r.asked)
	if r.all {
		r.mu.Lock()
		for k := range r.nodes {
			if k.account == r.account {
				ids = append(ids, k.node)
			}
		}
		r.mu.Unlock()
	}
	slices.SortFunc(ids, func(a, b muster.NodeID) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(ids), nil
}

// Schemas lists the schemas that a node's sources had within a range of instants.
func (r *shardReader) Schemas(id muster.NodeID, from, to int64) map[string][]muster.SchemaID {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.nodes[nodeKey{r.account, id}]
	if n == nil {
		return nil
	}
	out := make(map[string][]muster.SchemaID, len(n.Sources))
	for _, src := range n.Sources {
		for _, sc := range src.Schemas {
			// The first instant is known in steps of sealing; late frames may come before it.
			if sc.First-2*dayMs < to && (sc.Last == 0 || sc.Last+head.LongWindow >= from) {
				out[src.Name] = append(out[src.Name], sc.ID)
			}
		}
	}
	return out
}

// Marks fits graph.Shard.
func (r *shardReader) Marks() graph.Marks {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calendar.Marks(r.db.o.Now(), r.firstHour())
}

// Samples reads the heads first: a block that is sealed meanwhile is then seen twice rather than never.
func (r *shardReader) Samples(ctx context.Context, w *graph.Want, from, to int64) error {
	for _, c := range r.fromTails(w, from, to) {
		if c.First < to && c.Last >= from {
			if err := r.collect(w, c.Data, from, to); err != nil {
				return fmt.Errorf("series: read a head: %w", err)
			}
		}
	}
	for _, source := range w.Sources {
		for _, class := range r.db.o.Classes {
			rng := engine.BlockRange{Class: class.Name, Account: r.account, Node: w.Node, Source: source, From: from - head.LongWindow, To: to}
			err := r.db.scanNewest(ctx, rng, func(b *engine.Block, _ bool, length int64, body []byte) error {
				if b.Start+length <= from {
					return nil
				}
				return r.collect(w, body, from, to)
			})
			if err != nil {
				return fmt.Errorf("series: read blocks: %w", err)
			}
		}
	}
	return nil
}

// fromTails takes the samples out of the rows of a node's windows, and gives the windows' chunks.
func (r *shardReader) fromTails(w *graph.Want, from, to int64) (chunks []head.Chunk) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.nodes[nodeKey{r.account, w.Node}]
	if n == nil {
		return nil
	}
	for _, src := range n.Sources {
		for _, open := range src.Windows() {
			if open.Start >= to || open.End <= from {
				continue
			}
			chunks = append(chunks, open.Chunks()...)
			open.Tails(func(t *head.Tail) {
				width := len(t.Schema.Metrics)
				for _, h := range w.Hits(t.Schema.ID) {
					for row, at := range t.Times {
						if v := t.Rows[row*width+h.Index]; v == v && at >= from && at < to {
							w.Emit(h.Series, at, v)
						}
					}
				}
			})
		}
	}
	return chunks
}

// collect takes the wanted samples out of a chunk or block.
func (r *shardReader) collect(w *graph.Want, data []byte, from, to int64) error {
	b, err := r.db.codec.OpenBlock(data)
	if err != nil {
		return err
	}
	ids := b.Schemas()
	hits := make([][]graph.Hit, len(ids))
	for i, id := range ids {
		hits[i] = w.Hits(id)
	}
	r.times = r.times[:0]
	for i, ref := range b.Columns() {
		at := slices.IndexFunc(hits[ref.Schema], func(h graph.Hit) bool { return h.Index == ref.Index })
		if at < 0 {
			continue
		}
		if len(r.times) == 0 {
			r.times = b.Times(r.times)
		}
		if r.values, err = b.Decode(i, r.values[:0]); err != nil {
			return err
		}
		series := hits[ref.Schema][at].Series
		for j, at := range r.times {
			if v := r.values[j]; v == v && at >= from && at < to {
				w.Emit(series, at, v)
			}
		}
	}
	return nil
}

var errFound = errors.New("found")

// Times gives the instants that a source's open windows hold of a range, or those of one of the newest stored blocks.
func (r *shardReader) Times(ctx context.Context, id muster.NodeID, source string, from, to int64) ([]int64, error) {
	times := r.openTimes(id, source, from, to)
	reach := int64(2 * head.LongWindow)
	for end := to; end > from-head.LongWindow && len(times) < 2; end, reach = end-reach, 2*reach {
		for _, class := range r.db.o.Classes {
			rng := engine.BlockRange{Class: class.Name, Account: r.account, Node: id, Source: source, From: max(from-head.LongWindow, end-reach), To: end}
			err := r.db.scanNewest(ctx, rng, func(_ *engine.Block, _ bool, _ int64, body []byte) error {
				b, err := r.db.codec.OpenBlock(body)
				if err != nil || b.Len() < 2 {
					return err
				}
				times = b.Times(times[:0])
				return errFound
			})
			if err != nil && !errors.Is(err, errFound) {
				return nil, fmt.Errorf("series: read blocks: %w", err)
			}
		}
	}
	return times, nil
}

func (r *shardReader) openTimes(id muster.NodeID, source string, from, to int64) (times []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.nodes[nodeKey{r.account, id}]
	if n == nil {
		return nil
	}
	if src := n.Find(source); src != nil {
		for _, w := range src.Windows() {
			for _, at := range w.Times() {
				if at >= from && at < to {
					times = append(times, at)
				}
			}
		}
	}
	return times
}

// Slots fits graph.Shard.
func (r *shardReader) Slots(ctx context.Context, s graph.SlotRange, each func(*graph.SlotRow)) error {
	res := FiveMinutes
	if s.Slot == time.Hour {
		res = OneHour
	}
	fields := column.FieldMin | column.FieldMax | column.FieldSum
	switch {
	case s.Raw:
		fields = column.FieldLast
	case s.Counter:
		fields |= column.FieldIncrease
	case s.NeedLast:
		fields = column.FieldMin | column.FieldMax | column.FieldLast
	}
	out := graph.SlotRow{}
	take := func(start int64, kind muster.MetricKind, row *column.TileRow) error {
		out.Start, out.Kind, out.Node, out.Attrs, out.Slots = start, kind, row.Node, row.Attrs, out.Slots[:0]
		for _, slot := range row.Slots {
			out.Slots = append(out.Slots, graph.Slot(slot))
		}
		each(&out)
		return nil
	}
	for _, class := range r.db.o.Classes {
		rng := engine.TileRange{Class: class.Name, Res: res, Account: r.account, Metric: s.Metric, Shard: r.id, From: s.From, To: s.To}
		if _, err := r.db.walkTiles(ctx, rng, fields, s.Want, take); err != nil {
			return err
		}
	}
	return nil
}
