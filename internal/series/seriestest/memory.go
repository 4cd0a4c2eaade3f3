// Package seriestest gives what tests of the time-series engine need: the suite that every engine
// passes by being constructed, an engine in memory, and one that fails in all the ways a distributed
// store can.
package seriestest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"muster"
	"muster/internal/series/engine"
)

// Memory is an engine in memory. It keeps everything that its rows' time to live would keep.
type Memory struct {
	mu       sync.Mutex
	segments map[engine.SegmentKey][]byte
	schemas  map[muster.SchemaID][]byte
	nodes    map[nodeRow]engine.NodeSchema
	blocks   map[engine.BlockKey][]byte
	tiles    map[engine.TileKey][]byte
	dirty    map[engine.Dirty]bool
	built    map[engine.Built]bool
	covered  map[int]engine.Covered
}

type nodeRow struct {
	shard   int
	account muster.AccountID
	node    muster.NodeID
	source  string
	schema  muster.SchemaID
}

// NewMemory makes an empty engine.
func NewMemory() *Memory {
	return &Memory{
		segments: map[engine.SegmentKey][]byte{}, schemas: map[muster.SchemaID][]byte{}, nodes: map[nodeRow]engine.NodeSchema{},
		blocks: map[engine.BlockKey][]byte{}, tiles: map[engine.TileKey][]byte{}, dirty: map[engine.Dirty]bool{},
		built: map[engine.Built]bool{}, covered: map[int]engine.Covered{},
	}
}

// Segments gives the keys of all segments.
func (m *Memory) Segments() []engine.SegmentKey {
	m.mu.Lock()
	defer m.mu.Unlock()
	return sorted(m.segments, compareSegments)
}

// Blocks gives the keys of all blocks, by node, source and start, newer generations first.
func (m *Memory) Blocks() []engine.BlockKey {
	m.mu.Lock()
	defer m.mu.Unlock()
	return sorted(m.blocks, compareBlocks)
}

// Tiles gives the keys of all tiles.
func (m *Memory) Tiles() []engine.TileKey {
	m.mu.Lock()
	defer m.mu.Unlock()
	return sorted(m.tiles, compareTiles)
}

// Damage changes a byte in the middle of a segment.
func (m *Memory) Damage(key engine.SegmentKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data := bytes.Clone(m.segments[key])
	data[len(data)/2] ^= 0x20
	m.segments[key] = data
}

func sorted[K comparable, V any](rows map[K]V, compare func(a, b K) int) []K {
	keys := make([]K, 0, len(rows))
	for k := range rows {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compare)
	return keys
}

func compareSegments(a, b engine.SegmentKey) int {
	return cmp.Or(cmp.Compare(a.Minute, b.Minute), cmp.Compare(a.Shard, b.Shard), cmp.Compare(a.Gateway, b.Gateway), cmp.Compare(a.N, b.N))
}

func compareGens(a, b engine.Gen) int {
	return cmp.Or(cmp.Compare(b.Epoch, a.Epoch), cmp.Compare(b.Frames, a.Frames))
}

func compareBlocks(a, b engine.BlockKey) int {
	return cmp.Or(cmp.Compare(a.Class, b.Class), bytes.Compare(a.Account[:], b.Account[:]), bytes.Compare(a.Node[:], b.Node[:]),
		cmp.Compare(a.Start, b.Start), cmp.Compare(a.Source, b.Source), compareGens(a.Gen, b.Gen))
}

func compareTiles(a, b engine.TileKey) int {
	return cmp.Or(cmp.Compare(a.Metric, b.Metric), cmp.Compare(a.Res, b.Res), cmp.Compare(a.Shard, b.Shard), cmp.Compare(a.Start, b.Start),
		cmp.Compare(a.Tile, b.Tile), compareGens(a.Gen, b.Gen))
}

// AppendSegment fits engine.Engine.
func (m *Memory) AppendSegment(_ context.Context, key engine.SegmentKey, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.segments[key] = bytes.Clone(data)
	return nil
}

// ScanSegments fits engine.Engine.
func (m *Memory) ScanSegments(_ context.Context, shard int, from, through engine.Minute, each func(engine.SegmentKey, []byte) error) error {
	m.mu.Lock()
	keys := sorted(m.segments, compareSegments)
	rows := map[engine.SegmentKey][]byte{}
	for _, k := range keys {
		rows[k] = m.segments[k]
	}
	m.mu.Unlock()
	for _, k := range keys {
		if k.Shard == shard && k.Minute >= from && k.Minute <= through {
			if err := each(k, rows[k]); err != nil {
				return err
			}
		}
	}
	return nil
}

// PutSchema fits engine.Engine.
func (m *Memory) PutSchema(_ context.Context, id muster.SchemaID, canonical []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.schemas[id] = bytes.Clone(canonical)
	return nil
}

// GetSchema fits engine.Engine.
func (m *Memory) GetSchema(_ context.Context, id muster.SchemaID) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.schemas[id]
	if !ok {
		return nil, fmt.Errorf("%w: seriestest: schema", muster.ErrNotFound)
	}
	return b, nil
}

// PutNodeSchemas fits engine.Engine.
func (m *Memory) PutNodeSchemas(_ context.Context, rows []engine.NodeSchema) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range rows {
		m.nodes[nodeRow{r.Shard, r.Account, r.Node, r.Source, r.Schema}] = r
	}
	return nil
}

// ScanNodeSchemas fits engine.Engine.
func (m *Memory) ScanNodeSchemas(_ context.Context, shard int, each func(engine.NodeSchema) error) error {
	m.mu.Lock()
	keys := sorted(m.nodes, func(a, b nodeRow) int {
		return cmp.Or(bytes.Compare(a.account[:], b.account[:]), bytes.Compare(a.node[:], b.node[:]), cmp.Compare(a.source, b.source), bytes.Compare(a.schema[:], b.schema[:]))
	})
	rows := make([]engine.NodeSchema, 0, len(keys))
	for _, k := range keys {
		if k.shard == shard {
			rows = append(rows, m.nodes[k])
		}
	}
	m.mu.Unlock()
	return call(rows, each)
}

func call[T any](rows []T, each func(T) error) error {
	for _, r := range rows {
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

// PutBlocks fits engine.Engine.
func (m *Memory) PutBlocks(_ context.Context, blocks []engine.Block) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range blocks {
		m.blocks[b.BlockKey] = bytes.Clone(b.Data)
	}
	return nil
}

// ScanBlocks fits engine.Engine.
func (m *Memory) ScanBlocks(_ context.Context, r engine.BlockRange, each func(*engine.Block) error) error {
	m.mu.Lock()
	var rows []*engine.Block
	for _, k := range sorted(m.blocks, compareBlocks) {
		if k.Class == r.Class && k.Account == r.Account && k.Node == r.Node && (r.Source == "" || k.Source == r.Source) && k.Start >= r.From && k.Start < r.To {
			rows = append(rows, &engine.Block{BlockKey: k, Data: m.blocks[k]})
		}
	}
	m.mu.Unlock()
	return call(rows, each)
}

// PutTiles fits engine.Engine.
func (m *Memory) PutTiles(_ context.Context, tiles []engine.Tile) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range tiles {
		m.tiles[t.TileKey] = bytes.Clone(t.Data)
	}
	return nil
}

// ScanTiles fits engine.Engine.
func (m *Memory) ScanTiles(_ context.Context, r engine.TileRange, each func(*engine.Tile) error) error {
	m.mu.Lock()
	var rows []*engine.Tile
	for _, k := range sorted(m.tiles, compareTiles) {
		if k.Class == r.Class && k.Res == r.Res && k.Account == r.Account && k.Metric == r.Metric && k.Shard == r.Shard && k.Start >= r.From && k.Start < r.To {
			rows = append(rows, &engine.Tile{TileKey: k, Data: m.tiles[k]})
		}
	}
	m.mu.Unlock()
	return call(rows, each)
}

// PutDirty fits engine.Engine.
func (m *Memory) PutDirty(_ context.Context, marks []engine.Dirty) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range marks {
		m.dirty[d] = true
	}
	return nil
}

// ScanDirty fits engine.Engine.
func (m *Memory) ScanDirty(_ context.Context, shard int, from engine.Minute, each func(engine.Dirty) error) error {
	m.mu.Lock()
	all := sorted(m.dirty, func(a, b engine.Dirty) int {
		return cmp.Or(cmp.Compare(a.Arrival, b.Arrival), cmp.Compare(a.Hour, b.Hour))
	})
	m.mu.Unlock()
	return call(slices.DeleteFunc(all, func(d engine.Dirty) bool { return d.Shard != shard || d.Arrival < from }), each)
}

// PutBuilt fits engine.Engine.
func (m *Memory) PutBuilt(_ context.Context, b engine.Built) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for old := range m.built {
		if old.Shard == b.Shard && old.Res == b.Res && old.Hour == b.Hour {
			delete(m.built, old)
		}
	}
	m.built[b] = true
	return nil
}

// ScanBuilt fits engine.Engine.
func (m *Memory) ScanBuilt(_ context.Context, shard int, res engine.Resolution, from engine.Hour, each func(engine.Built) error) error {
	m.mu.Lock()
	all := sorted(m.built, func(a, b engine.Built) int { return cmp.Compare(a.Hour, b.Hour) })
	m.mu.Unlock()
	return call(slices.DeleteFunc(all, func(b engine.Built) bool { return b.Shard != shard || b.Res != res || b.Hour < from }), each)
}

// PutCovered fits engine.Engine.
func (m *Memory) PutCovered(_ context.Context, c engine.Covered) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.covered[c.Shard] = c
	return nil
}

// GetCovered fits engine.Engine.
func (m *Memory) GetCovered(_ context.Context, shard int) (engine.Covered, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.covered[shard]
	if !ok {
		return c, fmt.Errorf("%w: seriestest: covered mark", muster.ErrNotFound)
	}
	return c, nil
}

// Expire drops segments only, exactly as asked, so that a test sees when one is dropped too early.
func (m *Memory) Expire(_ context.Context, e engine.Expiry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.segments {
		if k.Minute < e.Segments {
			delete(m.segments, k)
		}
	}
	return nil
}
