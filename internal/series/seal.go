package series

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"muster"
	"muster/internal/series/engine"
	"muster/internal/series/head"
)

const (
	// patience is how long a window stays open whose source went away in its middle: when it comes back
	// in time with what it had kept, nothing has to be rebuilt.
	patience = 30 * time.Minute
	// putAtOnce is how many blocks are written together.
	putAtOnce = 128
	// headFloor and headPerNode are what the heads may occupy before windows are sealed without grace.
	headFloor   = 64 << 20
	headPerNode = 90_000
)

// job is one window to be stored.
type job struct {
	key nodeKey
	src *head.Source
	w   *head.Window
	head.View
}

// dueAt says when a window may be sealed. complete tells whether newer frames than its own are there.
func (s *shard) dueAt(k nodeKey, src *head.Source, w *head.Window) (due time.Time, complete bool) {
	end := time.UnixMilli(w.End)
	newest, _, _ := src.Newest()
	if w.Arrived.After(end) {
		end = w.Arrived
	}
	if newest < w.End {
		return end.Add(patience), false
	}
	return end.Add(s.db.o.Grace + s.turn(k.node)), true
}

// turn spreads sealing by the node's hash.
func (s *shard) turn(node muster.NodeID) time.Duration {
	return time.Duration(engine.Hash(node) % uint64(max(s.db.o.SealSpread, 1)))
}

// dueWindows lists the windows to be sealed now, those of one source from the oldest on without a gap.
func (s *shard) dueWindows(now time.Time, pressed bool) (jobs []job, lag time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, n := range s.nodes {
		for _, src := range n.Sources {
			src.Tidy(now.UnixMilli())
			for _, w := range src.Windows() {
				due, complete := s.dueAt(k, src, w)
				if now.Before(due) && !(pressed && complete) {
					break
				}
				lag = max(lag, now.Sub(due))
				jobs = append(jobs, job{k, src, w, w.Look()})
			}
		}
	}
	return jobs, lag
}

// seal stores the windows that are due, and forgets them.
func (s *shard) seal(ctx context.Context, g *gatherer, epoch uint64, now time.Time, pressed bool) (lag time.Duration, err error) {
	jobs, lag := s.dueWindows(now, pressed)
	if len(jobs) > 0 {
		err = s.catchUp(ctx)
	}
	if err != nil {
		return lag, err
	}
	for group := range slices.Chunk(jobs, putAtOnce) {
		if err := s.store(ctx, g, epoch, group, true); err != nil {
			return lag, err
		}
	}
	return lag, nil
}

// publishOpen stores all open windows as they are, as generations that the sealed ones will replace,
// and says through which minute the log is covered by that.
func (s *shard) publishOpen(ctx context.Context, g *gatherer, epoch uint64) error {
	if err := errors.Join(s.catchUp(ctx), s.flushDirty(ctx)); err != nil {
		return err
	}
	jobs, through := s.changedWindows()
	if through == 0 {
		return nil
	}
	for group := range slices.Chunk(jobs, putAtOnce) {
		if err := s.store(ctx, g, epoch, group, false); err != nil {
			s.mu.Lock()
			s.stirred = true
			s.mu.Unlock()
			return err
		}
	}
	if err := s.db.engine.PutCovered(ctx, engine.Covered{Shard: s.id, Epoch: epoch, Minute: through}); err != nil {
		return fmt.Errorf("series: store how far the log is covered: %w", err)
	}
	s.mu.Lock()
	s.covered = max(s.covered, through)
	s.mu.Unlock()
	return nil
}

// changedWindows lists what was not stored yet, and the minute of the log that all of it reaches; 0 when nothing came in.
func (s *shard) changedWindows() (jobs []job, through Minute) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stirred || len(s.unsaved) > 0 {
		return nil, 0
	}
	s.stirred = false
	for k, n := range s.nodes {
		for _, src := range n.Sources {
			for _, w := range src.Windows() {
				if w.Changed() {
					jobs = append(jobs, job{k, src, w, w.Look()})
				}
			}
		}
	}
	return jobs, s.applied()
}

// store encodes and writes windows. A sealed one is forgotten unless frames came in meanwhile.
func (s *shard) store(ctx context.Context, g *gatherer, epoch uint64, jobs []job, isSealed bool) error {
	blocks := make([]engine.Block, 0, len(jobs))
	var rows []engine.NodeSchema
	stored := jobs[:0:0]
	for _, j := range jobs {
		b, data, err := s.encode(ctx, g, j, isSealed)
		if err != nil {
			s.db.tell.corrupt.Inc()
			s.db.o.Logger.Error("a block could not be made, its frames stay in the log", "node", j.key.node, "start", j.Start, "error", err)
			continue
		}
		key := engine.BlockKey{
			Class: s.db.className(j.key.account), Account: j.key.account, Node: j.key.node, Source: j.src.Name,
			Start: j.Start, Gen: engine.Gen{Epoch: epoch, Frames: uint32(len(b.Times))},
		}
		block := engine.Block{BlockKey: key, Data: data}
		if old := j.Stored; old.Epoch == epoch && old.Frames != key.Gen.Frames {
			block.Over = []engine.Gen{engine.Gen(old)}
		}
		blocks = append(blocks, block)
		stored = append(stored, j)
		if isSealed {
			rows = append(rows, s.lastRows(j, b)...)
			s.db.tell.sealed(len(data), len(b.Times)*len(b.Columns))
		}
	}
	if len(blocks) == 0 {
		return nil
	}
	if err := s.db.engine.PutBlocks(ctx, blocks); err != nil {
		return fmt.Errorf("series: store blocks: %w", err)
	}
	if len(rows) > 0 {
		if err := s.db.engine.PutNodeSchemas(ctx, rows); err != nil {
			return fmt.Errorf("series: store which node has which schema: %w", err)
		}
	}
	s.settle(stored, blocks, isSealed)
	return nil
}

func (s *shard) encode(ctx context.Context, g *gatherer, j job, isSealed bool) (*head.Piece, []byte, error) {
	g.room.Reset()
	b, err := g.gather(ctx, nil, j.View)
	if err != nil {
		return nil, nil, err
	}
	data, err := g.encode(b, isSealed, j.End-j.Start)
	return b, data, err
}

// settle notes what the store has now.
func (s *shard) settle(jobs []job, blocks []engine.Block, isSealed bool) {
	now := s.db.o.Now().UnixMilli()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, j := range jobs {
		j.w.Stored = head.Version(blocks[i].Gen)
		if isSealed && j.w.Frames() == j.View.Frames {
			j.src.Drop(j.w, now)
		}
	}
}

// lastRows says how far the schemas of a sealed block reach.
func (s *shard) lastRows(j job, b *head.Piece) (rows []engine.NodeSchema) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.nodes[j.key]; n == nil || n.Find(j.src.Name) != j.src {
		return nil // forgotten meanwhile
	}
	last := b.Times[len(b.Times)-1]
	for _, id := range b.Schemas {
		if sc := j.src.Seen(id); sc != nil {
			sc.Sealed = max(sc.Sealed, last)
			rows = append(rows, engine.NodeSchema{Shard: s.id, Account: j.key.account, Node: j.key.node, Source: j.src.Name, Schema: id, First: sc.First, Last: sc.Sealed})
		}
	}
	return rows
}

// metricIn gives a function that finds the description of a column.
func (db *DB) metricIn(ctx context.Context) head.Describe {
	return func(id muster.SchemaID, index int) (*muster.Metric, error) {
		schema, err := db.schemas.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		if index < 0 || index >= len(schema.Metrics) {
			return nil, fmt.Errorf("%w: series: schema %s has no metric %d", muster.ErrInvalid, id, index)
		}
		return &schema.Metrics[index], nil
	}
}
