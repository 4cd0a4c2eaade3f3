package series

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"muster"
	"muster/internal/series/engine"
	"muster/internal/series/graph"
	"muster/internal/series/head"
)

// MetricNow is one series of a node and its newest value.
type MetricNow struct {
	Metric muster.Metric
	Source string
	At     int64   // Unix ms of the newest value; 0 when none is known
	Value  float64 // the counter itself for counters; NaN when none is known
}

// Metrics lists the series of a node with their newest values, ordered by name, attributes and source.
// Sources that were silent for a day before the node's newest frame are left out. The error wraps
// muster.ErrNotFound when nothing was ever stored of the node.
func (db *DB) Metrics(ctx context.Context, account muster.AccountID, id muster.NodeID) ([]MetricNow, error) {
	s := db.shardFor(account, id)
	if err := s.await(ctx); err != nil {
		return nil, err
	}
	latest, err := s.latest(ctx, nodeKey{account, id})
	if err != nil {
		return nil, err
	}
	if len(latest) == 0 {
		return nil, fmt.Errorf("%w: series: nothing is stored of node %s", muster.ErrNotFound, id)
	}
	var newest int64
	for _, f := range latest {
		newest = max(newest, f.At)
	}
	var out []MetricNow
	for _, f := range latest {
		if f.At < newest-dayMs {
			continue
		}
		for i := range f.Schema.Metrics {
			now := MetricNow{Metric: f.Schema.Metrics[i], Source: f.Source, At: f.At, Value: f.Values[i]}
			if math.IsNaN(now.Value) {
				now.At = 0
			}
			out = append(out, now)
		}
	}
	slices.SortStableFunc(out, func(a, b MetricNow) int {
		if c := strings.Compare(a.Metric.Name, b.Metric.Name); c != 0 {
			return c
		}
		return graph.CompareAttrs(a.Metric.Attrs, b.Metric.Attrs)
	})
	return out, nil
}

// latest gives the newest frame of each source of a node, from memory or from its last block.
func (s *shard) latest(ctx context.Context, k nodeKey) (frames []*muster.Frame, err error) {
	type silent struct {
		name  string
		newer head.Seen
	}
	var rest []silent
	s.mu.Lock()
	if n := s.nodes[k]; n != nil {
		for _, src := range n.Sources {
			if at, schema, values := src.Newest(); schema != nil {
				frames = append(frames, &muster.Frame{Source: src.Name, At: at, Schema: schema, Values: slices.Clone(values)})
				continue
			}
			if len(src.Schemas) > 0 {
				rest = append(rest, silent{src.Name, slices.MaxFunc(src.Schemas, func(a, b head.Seen) int { return int(max(a.Last, a.First) - max(b.Last, b.First)) })})
			}
		}
	}
	s.mu.Unlock()
	for _, r := range rest {
		f, err := s.lastStored(ctx, k, r.name, r.newer)
		if err != nil {
			return nil, err
		}
		f.Source = r.name
		frames = append(frames, f)
	}
	return frames, nil
}

// lastStored reads the newest frame of a source that has no head; without one, its schema with no values.
func (s *shard) lastStored(ctx context.Context, k nodeKey, source string, sc head.Seen) (*muster.Frame, error) {
	at := max(sc.Last, sc.First)
	var found *muster.Frame
	for _, class := range s.db.o.Classes {
		r := engine.BlockRange{Class: class.Name, Account: k.account, Node: k.node, Source: source, From: at - head.LongWindow, To: at + 1}
		err := s.db.scanNewest(ctx, r, func(_ *engine.Block, _ bool, _ int64, body []byte) error {
			b, err := s.db.codec.OpenBlock(body)
			if err != nil {
				return err
			}
			f, err := s.db.newestOf(ctx, b)
			if err == nil && f != nil && (found == nil || f.At > found.At) {
				found = f
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("series: read the last block: %w", err)
		}
	}
	if found != nil {
		return found, nil
	}
	schema, err := s.db.schemas.Get(ctx, sc.ID)
	if err != nil {
		if errors.Is(err, muster.ErrNotFound) {
			return nil, fmt.Errorf("%w: series: the schema of a stored frame is missing: %w", muster.ErrUnavailable, err)
		}
		return nil, err
	}
	return &muster.Frame{At: at, Schema: schema, Values: head.Absent(make([]float64, len(schema.Metrics)))}, nil
}
