package series

import (
	"context"
	"fmt"
	"slices"
	"time"

	"muster"
	"muster/internal/column"
	"muster/internal/series/engine"
	"muster/internal/series/graph"
	"muster/internal/series/head"
)

const (
	// tilesAtOnce is how many bytes of tiles are written together.
	tilesAtOnce = 1 << 20
	// tileVersion begins a stored tile; the metric's kind follows, then what column writes.
	tileVersion = 1
	// leadIn is how long before an hour a counter's sample still begins a rate.
	leadIn = 5 * time.Minute
)

// accountNodes groups the nodes of the shard by account, with an estimate of how many series each account has.
func (s *shard) accountNodes() (groups map[muster.AccountID][]nodeKey, rows map[muster.AccountID]int) {
	keys := s.keys()
	groups, rows = map[muster.AccountID][]nodeKey{}, map[muster.AccountID]int{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range keys {
		n := s.nodes[k]
		if n == nil {
			continue
		}
		groups[k.account] = append(groups[k.account], k)
		for _, src := range n.Sources {
			_, _, last := src.Newest()
			rows[k.account] += len(last)
		}
	}
	return groups, rows
}

// buildTiles writes the 5-minute tiles of an hour from heads and blocks.
func (s *shard) buildTiles(ctx context.Context, g *gatherer, gen engine.Gen, hour Hour) error {
	groups, rows := s.accountNodes()
	for account, keys := range groups {
		bits := engine.TileBits(len(keys), rows[account])
		parts := map[int][]nodeKey{}
		for _, k := range keys {
			parts[engine.TileOf(k.node, bits)] = append(parts[engine.TileOf(k.node, bits)], k)
		}
		for number, part := range parts {
			t := tiler{s: s, g: g, hour: hour, tiles: map[string]*column.Tile{}}
			for _, k := range part {
				if err := t.addNode(ctx, k); err != nil {
					return err
				}
			}
			key := engine.TileKey{Class: s.db.className(account), Res: FiveMinutes, Account: account, Shard: s.id, Start: hour.Start(), Tile: number, Gen: gen}
			if err := s.putTiles(ctx, key, t.tiles); err != nil {
				return err
			}
		}
	}
	return nil
}

// putTiles writes one tile for each metric, a bounded number of bytes at a time.
func (s *shard) putTiles(ctx context.Context, key engine.TileKey, tiles map[string]*column.Tile) error {
	var out []engine.Tile
	size := 0
	flush := func() error {
		if len(out) == 0 {
			return nil
		}
		err := s.db.engine.PutTiles(ctx, out)
		out, size = nil, 0
		return err
	}
	for name, tile := range tiles {
		data, err := s.db.codec.AppendTile([]byte{tileVersion, byte(tile.Kind)}, tile)
		if err != nil {
			return fmt.Errorf("series: tile of %q: %w", name, err)
		}
		key.Metric = name
		out = append(out, engine.Tile{TileKey: key, Data: data})
		if size += len(data); size >= tilesAtOnce {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// tiler folds the samples of an hour into rows of slots.
type tiler struct {
	s     *shard
	g     *gatherer
	hour  Hour
	tiles map[string]*column.Tile
}

func (t *tiler) addNode(ctx context.Context, k nodeKey) error {
	from, to := t.hour.Start()-leadIn.Milliseconds(), (t.hour + 1).Start()
	views, names := t.s.views(k, from, to)
	for _, name := range names {
		t.g.room.Reset()
		blocks, err := t.s.db.stored(ctx, t.g, engine.BlockRange{Account: k.account, Node: k.node, Source: name, From: from, To: to})
		if err != nil {
			return err
		}
		if len(blocks)+len(views[name]) == 0 {
			continue
		}
		b, err := t.g.gather(ctx, blocks, views[name]...)
		if err != nil {
			return err
		}
		if err := t.addBlock(ctx, k.node, b); err != nil {
			return err
		}
	}
	return nil
}

// views gives what the open windows of a node hold of a range, by source, and the names of all its sources.
func (s *shard) views(k nodeKey, from, to int64) (open map[string][]head.View, names []string) {
	open = map[string][]head.View{}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[k]
	if n == nil {
		return open, nil
	}
	for _, src := range n.Sources {
		names = append(names, src.Name)
		for _, w := range src.Windows() {
			if w.Start < to && w.End > from {
				open[src.Name] = append(open[src.Name], w.Look())
			}
		}
	}
	return open, names
}

// stored decodes the blocks of one source that overlap the range [From, To) of instants, in all classes.
func (db *DB) stored(ctx context.Context, g *gatherer, r engine.BlockRange) (blocks []*head.Piece, err error) {
	from := r.From
	r.From -= head.LongWindow
	for _, class := range db.o.Classes {
		r.Class = class.Name
		err := db.scanNewest(ctx, r, func(b *engine.Block, _ bool, length int64, body []byte) error {
			if b.Start+length <= from {
				return nil
			}
			piece, err := g.decode(slices.Clone(body))
			if err == nil {
				blocks = append(blocks, piece)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("series: read blocks: %w", err)
		}
	}
	return blocks, nil
}

// addBlock folds each column into slots.
func (t *tiler) addBlock(ctx context.Context, node muster.NodeID, b *head.Piece) error {
	metric := t.s.db.metricIn(ctx)
	begin, end := t.hour.Start(), (t.hour + 1).Start()
	first, _ := slices.BinarySearch(b.Times, begin)
	if past, _ := slices.BinarySearch(b.Times, end); first == past {
		return nil
	}
	gap := graph.Gap(graph.Period(b.Times))
	for _, c := range b.Columns {
		m, err := metric(b.Schemas[c.Schema], c.Index)
		if err != nil {
			return err
		}
		slots := make([]graph.Slot, 12)
		meter := graph.Meter{Counter: m.Kind == muster.Counter, Gap: gap}
		if !meter.Fold(slots, b.Times, c.Values, begin, end) {
			continue
		}
		tile := t.tiles[m.Name]
		if tile == nil {
			tile = &column.Tile{Unit: m.Unit, Kind: m.Kind}
			t.tiles[m.Name] = tile
		}
		if tile.Kind == m.Kind { // else two nodes disagree on what the name means; the first is shown
			tile.Rows = append(tile.Rows, column.TileRow{Node: node, Attrs: m.Attrs, Slots: columnSlots(slots)})
		}
	}
	return nil
}

func columnSlots(slots []graph.Slot) []column.Slot {
	out := make([]column.Slot, len(slots))
	for i := range slots {
		out[i] = column.Slot(slots[i])
	}
	return out
}

// buildDay makes the 1-hour tiles of a day from the 5-minute ones.
func (s *shard) buildDay(ctx context.Context, epoch uint64, d Hour) error {
	s.mu.Lock()
	through := s.applied()
	s.mu.Unlock()
	groups, rows := s.accountNodes()
	for account, keys := range groups {
		bits := engine.TileBits(len(keys), rows[account])
		names, err := s.metricNames(ctx, keys)
		if err != nil {
			return err
		}
		for _, name := range names {
			r := engine.TileRange{Class: s.db.className(account), Res: FiveMinutes, Account: account, Metric: name, Shard: s.id, From: d.Start(), To: (d + 24).Start()}
			parts, err := s.foldDay(ctx, r, bits)
			if err != nil {
				return err
			}
			for number, tile := range parts {
				key := engine.TileKey{Class: r.Class, Res: OneHour, Account: account, Shard: s.id, Start: d.Start(), Tile: number, Gen: engine.Gen{Epoch: epoch, Frames: uint32(through)}}
				if err := s.putTiles(ctx, key, map[string]*column.Tile{name: tile}); err != nil {
					return err
				}
			}
		}
	}
	if err := s.db.engine.PutBuilt(ctx, engine.Built{Shard: s.id, Res: OneHour, Hour: d, Through: through}); err != nil {
		return fmt.Errorf("series: store that a day is built: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calendar.DayDone(int64(d), int64(through))
	return nil
}

// metricNames gives the names of all metrics that the nodes ever had.
func (s *shard) metricNames(ctx context.Context, keys []nodeKey) ([]string, error) {
	ids := map[muster.SchemaID]bool{}
	s.mu.Lock()
	for _, k := range keys {
		if n := s.nodes[k]; n != nil {
			for _, src := range n.Sources {
				for _, sc := range src.Schemas {
					ids[sc.ID] = true
				}
			}
		}
	}
	s.mu.Unlock()
	var names []string
	for id := range ids {
		schema, err := s.db.schemas.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		for i := range schema.Metrics {
			names = append(names, schema.Metrics[i].Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// foldDay folds a day's 5-minute slots of one metric into hours, cut into tiles.
func (s *shard) foldDay(ctx context.Context, r engine.TileRange, bits int) (map[int]*column.Tile, error) {
	parts := map[int]*column.Tile{}
	rows := map[string]int{}
	unit, err := s.db.walkTiles(ctx, r, column.FieldAll, nil, func(start int64, kind muster.MetricKind, row *column.TileRow) error {
		number := engine.TileOf(row.Node, bits)
		tile := parts[number]
		if tile == nil {
			tile = &column.Tile{Kind: kind}
			parts[number] = tile
		}
		if tile.Kind != kind {
			return nil
		}
		key := string(row.Node[:]) + graph.AttrsKey(row.Attrs)
		at, ok := rows[key]
		if !ok {
			at = len(tile.Rows)
			rows[key] = at
			tile.Rows = append(tile.Rows, column.TileRow{Node: row.Node, Attrs: slices.Clone(row.Attrs), Slots: make([]column.Slot, 24)})
		}
		into := (*graph.Slot)(&tile.Rows[at].Slots[(start-r.From)/engine.HourMs])
		for _, slot := range row.Slots {
			into.Merge(graph.Slot(slot), kind == muster.Counter)
		}
		return nil
	})
	for _, tile := range parts {
		tile.Unit = unit
		// Rows of one node follow each other.
		slices.SortStableFunc(tile.Rows, func(a, b column.TileRow) int { return slices.Compare(a.Node[:], b.Node[:]) })
	}
	return parts, err
}
