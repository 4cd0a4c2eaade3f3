package seriestest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"muster"
	"muster/internal/series/engine"
)

// Faults say how often a Faulty engine misbehaves, as shares of its writes.
type Faults struct {
	Refuse  float64       // nothing is written, ErrUnavailable is returned
	Unknown float64       // the write happens, ErrUnavailable is returned
	Double  float64       // the write happens twice, the second time after others
	Delay   time.Duration // a write takes up to this long
}

// Faulty wraps an engine and makes it misbehave as a distributed store may. Reads fail as often as Refuse says.
type Faulty struct {
	engine.Engine
	mu     sync.Mutex
	random *rand.Rand
	faults Faults
	dead   bool
	later  []func()
}

// NewFaulty wraps an engine; equal seeds give equal faults for equal calls.
func NewFaulty(e engine.Engine, f Faults, seed uint64) *Faulty {
	return &Faulty{Engine: e, faults: f, random: rand.New(rand.NewPCG(seed, 1))}
}

// Set changes how it misbehaves from now on.
func (f *Faulty) Set(faults Faults) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = faults
}

// Kill makes every call fail from now on, as if the process had ended: what was not written stays unwritten.
func (f *Faulty) Kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
	f.later = nil
}

var errFault = fmt.Errorf("%w: seriestest: injected", muster.ErrUnavailable)

// write lets a write happen, or not, or without saying so, and perhaps once more after others.
func (f *Faulty) write(ctx context.Context, do func() error) error {
	f.mu.Lock()
	again := f.later
	f.later = nil
	if !f.dead && f.random.Float64() < f.faults.Double {
		f.later = append(f.later, func() { _ = do() })
	}
	f.mu.Unlock()
	for _, g := range again {
		g()
	}
	return f.once(ctx, do)
}

// once is write for rows that replace each other: an old one never comes back.
func (f *Faulty) once(ctx context.Context, do func() error) error {
	f.mu.Lock()
	dice, pause, faults := f.random.Float64(), f.random.Float64(), f.faults
	f.mu.Unlock()
	if faults.Delay > 0 {
		select {
		case <-time.After(time.Duration(pause * float64(faults.Delay))):
		case <-ctx.Done():
			return errFault
		}
	}
	f.mu.Lock()
	dead := f.dead
	f.mu.Unlock()
	if dead || dice < faults.Refuse {
		return errFault
	}
	if err := do(); err != nil {
		return err
	}
	if dice < faults.Refuse+faults.Unknown {
		return errFault
	}
	return nil
}

func (f *Faulty) read() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead || f.random.Float64() < f.faults.Refuse {
		return errFault
	}
	return nil
}

// AppendSegment fits engine.Engine.
func (f *Faulty) AppendSegment(ctx context.Context, key engine.SegmentKey, data []byte) error {
	own := append([]byte(nil), data...)
	return f.write(ctx, func() error { return f.Engine.AppendSegment(ctx, key, own) })
}

// ScanSegments fits engine.Engine.
func (f *Faulty) ScanSegments(ctx context.Context, shard int, from, through engine.Minute, each func(engine.SegmentKey, []byte) error) error {
	if err := f.read(); err != nil {
		return err
	}
	return f.Engine.ScanSegments(ctx, shard, from, through, each)
}

// PutSchema fits engine.Engine.
func (f *Faulty) PutSchema(ctx context.Context, id muster.SchemaID, canonical []byte) error {
	return f.write(ctx, func() error { return f.Engine.PutSchema(ctx, id, canonical) })
}

// PutNodeSchemas fits engine.Engine.
func (f *Faulty) PutNodeSchemas(ctx context.Context, rows []engine.NodeSchema) error {
	return f.once(ctx, func() error { return f.Engine.PutNodeSchemas(ctx, rows) })
}

// ScanNodeSchemas fits engine.Engine.
func (f *Faulty) ScanNodeSchemas(ctx context.Context, shard int, each func(engine.NodeSchema) error) error {
	if err := f.read(); err != nil {
		return err
	}
	return f.Engine.ScanNodeSchemas(ctx, shard, each)
}

// PutBlocks fits engine.Engine.
func (f *Faulty) PutBlocks(ctx context.Context, blocks []engine.Block) error {
	return f.write(ctx, func() error { return f.Engine.PutBlocks(ctx, blocks) })
}

// ScanBlocks fits engine.Engine.
func (f *Faulty) ScanBlocks(ctx context.Context, r engine.BlockRange, each func(*engine.Block) error) error {
	if err := f.read(); err != nil {
		return err
	}
	return f.Engine.ScanBlocks(ctx, r, each)
}

// PutTiles fits engine.Engine.
func (f *Faulty) PutTiles(ctx context.Context, tiles []engine.Tile) error {
	return f.once(ctx, func() error { return f.Engine.PutTiles(ctx, tiles) })
}

// ScanTiles fits engine.Engine.
func (f *Faulty) ScanTiles(ctx context.Context, r engine.TileRange, each func(*engine.Tile) error) error {
	if err := f.read(); err != nil {
		return err
	}
	return f.Engine.ScanTiles(ctx, r, each)
}

// PutDirty fits engine.Engine.
func (f *Faulty) PutDirty(ctx context.Context, marks []engine.Dirty) error {
	return f.write(ctx, func() error { return f.Engine.PutDirty(ctx, marks) })
}

// PutBuilt fits engine.Engine.
func (f *Faulty) PutBuilt(ctx context.Context, b engine.Built) error {
	return f.once(ctx, func() error { return f.Engine.PutBuilt(ctx, b) })
}

// PutCovered fits engine.Engine.
func (f *Faulty) PutCovered(ctx context.Context, c engine.Covered) error {
	return f.once(ctx, func() error { return f.Engine.PutCovered(ctx, c) })
}

// Expire fits engine.Engine.
func (f *Faulty) Expire(ctx context.Context, e engine.Expiry) error {
	if err := f.read(); err != nil {
		return err
	}
	return f.Engine.Expire(ctx, e)
}
