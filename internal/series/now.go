package series

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"muster"
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
		if c := compareText(a.Metric.Name, b.Metric.Name); c != 0 {
			return c
		}
		return slices.CompareFunc(a.Metric.Attrs, b.Metric.Attrs, compareAttr)
	})
	return out, nil
}

// latest gives the newest frame of each source of a node, from memory or from its last block.
func (s *shard) latest(ctx context.Context, k nodeKey) (frames []*muster.Frame, err error) {
	type silent struct {
		name  string
		newer seen
	}
	var rest []silent
	s.mu.Lock()
	if n := s.nodes[k]; n != nil {
		for _, src := range n.sources {
			if src.schema != nil {
				frames = append(frames, &muster.Frame{Source: src.name, At: src.newest, Schema: src.schema, Values: slices.Clone(src.last)})
				continue
			}
			if len(src.schemas) > 0 {
				rest = append(rest, silent{src.name, slices.MaxFunc(src.schemas, func(a, b seen) int { return int(max(a.last, a.first) - max(b.last, b.first)) })})
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
func (s *shard) lastStored(ctx context.Context, k nodeKey, source string, sc seen) (*muster.Frame, error) {
	at := max(sc.last, sc.first)
	var found *muster.Frame
	for _, class := range s.db.o.Classes {
		r := BlockRange{class.Name, k.account, k.node, source, at - longWindow, at + 1}
		err := s.db.scanNewest(ctx, r, func(_ *Block, _ bool, _ int64, body []byte) error {
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
	schema, err := s.db.schemas.get(ctx, sc.id)
	if err != nil {
		if errors.Is(err, muster.ErrNotFound) {
			return nil, fmt.Errorf("%w: series: the schema of a stored frame is missing: %w", muster.ErrUnavailable, err)
		}
		return nil, err
	}
	return &muster.Frame{At: at, Schema: schema, Values: absent(make([]float64, len(schema.Metrics)))}, nil
}
