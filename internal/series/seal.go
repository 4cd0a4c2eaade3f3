package series

import (
	"context"
	"fmt"
	"slices"
	"time"

	"muster"
	"muster/internal/column"
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
	src *source
	w   *window
	view
}

// dueAt says when a window may be sealed. complete tells whether newer frames than its own are there.
func (s *shard) dueAt(k nodeKey, src *source, w *window) (due time.Time, complete bool) {
	end := time.UnixMilli(w.end)
	if w.arrived.After(end) {
		end = w.arrived
	}
	if src.newest < w.end {
		return end.Add(patience), false
	}
	return end.Add(s.db.o.Grace + spreadOf(k.node, s.db.o.SealSpread)), true
}

// dueWindows lists the windows to be sealed now, those of one source from the oldest on without a gap.
func (s *shard) dueWindows(now time.Time, pressed bool) (jobs []job, lag time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, n := range s.nodes {
		for _, src := range n.sources {
			src.tidy(now.UnixMilli())
			for _, w := range src.windows {
				due, complete := s.dueAt(k, src, w)
				if now.Before(due) && !(pressed && complete) {
					break
				}
				lag = max(lag, now.Sub(due))
				jobs = append(jobs, job{k, src, w, w.look()})
			}
		}
	}
	return jobs, lag
}

// seal stores the windows that are due, and forgets them.
func (s *shard) seal(ctx context.Context, g *gatherer, epoch uint64, now time.Time, pressed bool) (lag time.Duration, err error) {
	jobs, lag := s.dueWindows(now, pressed)
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
	if err := s.flushDirty(ctx); err != nil {
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
	if err := s.db.engine.PutCovered(ctx, Covered{Shard: s.id, Epoch: epoch, Minute: through}); err != nil {
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
		for _, src := range n.sources {
			for _, w := range src.windows {
				if w.changed() {
					jobs = append(jobs, job{k, src, w, w.look()})
				}
			}
		}
	}
	return jobs, s.applied()
}

// store encodes and writes windows. A sealed one is forgotten unless frames came in meanwhile.
func (s *shard) store(ctx context.Context, g *gatherer, epoch uint64, jobs []job, isSealed bool) error {
	blocks := make([]Block, 0, len(jobs))
	var rows []NodeSchema
	stored := jobs[:0:0]
	for _, j := range jobs {
		b, data, err := s.encode(ctx, g, j, isSealed)
		if err != nil {
			s.db.tell.corrupt.Inc()
			s.db.o.Logger.Error("a block could not be made, its frames stay in the log", "node", j.key.node, "start", j.start, "error", err)
			continue
		}
		key := BlockKey{s.db.className(j.key.account), j.key.account, j.key.node, j.src.name, j.start, Gen{epoch, uint32(len(b.Times))}}
		block := Block{BlockKey: key, Data: data}
		if old := j.stored; old.Epoch == epoch && old.Frames != key.Gen.Frames {
			block.Over = []Gen{old}
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

func (s *shard) encode(ctx context.Context, g *gatherer, j job, isSealed bool) (*column.Block, []byte, error) {
	g.room.reset()
	b, err := s.db.gather(ctx, g, &j.view)
	if err != nil {
		return nil, nil, err
	}
	data, err := g.encode(b, isSealed, j.end-j.start)
	return b, data, err
}

// settle notes what the store has now.
func (s *shard) settle(jobs []job, blocks []Block, isSealed bool) {
	now := s.db.o.Now().UnixMilli()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, j := range jobs {
		j.w.stored = blocks[i].Gen
		if isSealed && j.w.frames() == j.frames {
			j.src.drop(j.w, now)
		}
	}
}

// lastRows says how far the schemas of a sealed block reach.
func (s *shard) lastRows(j job, b *column.Block) (rows []NodeSchema) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.nodes[j.key]; n == nil || n.source(j.src.name) != j.src {
		return nil // forgotten meanwhile
	}
	last := b.Times[len(b.Times)-1]
	for _, id := range b.Schemas {
		if sc := j.src.seen(id); sc != nil {
			sc.sealed = max(sc.sealed, last)
			rows = append(rows, NodeSchema{Shard: s.id, Account: j.key.account, Node: j.key.node, Source: j.src.name, Schema: id, First: sc.first, Last: sc.sealed})
		}
	}
	return rows
}

// gather makes one block of what a window held.
func (db *DB) gather(ctx context.Context, g *gatherer, v *view) (*column.Block, error) {
	pieces, err := g.pieces(v)
	if err != nil {
		return nil, fmt.Errorf("series: read a head: %w", err)
	}
	return g.unite(pieces, db.metricIn(ctx))
}

// metricIn gives a function that finds the description of a column.
func (db *DB) metricIn(ctx context.Context) func(muster.SchemaID, int) (*muster.Metric, error) {
	return func(id muster.SchemaID, index int) (*muster.Metric, error) {
		schema, err := db.schemas.get(ctx, id)
		if err != nil {
			return nil, err
		}
		if index < 0 || index >= len(schema.Metrics) {
			return nil, fmt.Errorf("%w: series: schema %s has no metric %d", muster.ErrInvalid, id, index)
		}
		return &schema.Metrics[index], nil
	}
}
