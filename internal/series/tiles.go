package series

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"muster"
	"muster/internal/column"
	"muster/internal/points"
)

const (
	// nodesPerTile and rowsPerTile bound a tile, and with it the memory that building one needs.
	nodesPerTile = 256
	rowsPerTile  = 40_000
	// tilesAtOnce is how many bytes of tiles are written together.
	tilesAtOnce = 1 << 20
	// tileVersion begins a stored tile; the metric's kind follows, then what column writes.
	tileVersion = 1
	// leadIn is how long before an hour a counter's sample still begins a rate.
	leadIn = 5 * time.Minute
)

// gapOf says after which pause a counter yields no rate: two and a half periods. A node that somebody
// looks at measures each second; its return to its own period is no gap.
func gapOf(period time.Duration) int64 {
	return max(period, 10*time.Second).Milliseconds() * 5 / 2
}

// bitsFor gives into how many parts (as a power of two) the nodes of an account in a shard are cut.
func bitsFor(nodes, rows int) (bits int) {
	for bits < 15 && (nodes>>bits > nodesPerTile || rows>>bits > rowsPerTile) {
		bits++
	}
	return bits
}

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
		for _, src := range n.sources {
			rows[k.account] += len(src.last)
		}
	}
	return groups, rows
}

// buildTiles writes the 5-minute tiles of an hour from heads and blocks.
func (s *shard) buildTiles(ctx context.Context, g *gatherer, gen Gen, hour Hour) error {
	groups, rows := s.accountNodes()
	for account, keys := range groups {
		bits := bitsFor(len(keys), rows[account])
		parts := map[int][]nodeKey{}
		for _, k := range keys {
			parts[tileOf(k.node, bits)] = append(parts[tileOf(k.node, bits)], k)
		}
		for number, part := range parts {
			t := tiler{s: s, g: g, hour: hour, tiles: map[string]*column.Tile{}}
			for _, k := range part {
				if err := t.addNode(ctx, k); err != nil {
					return err
				}
			}
			key := TileKey{Class: s.db.className(account), Res: FiveMinutes, Account: account, Shard: s.id, Start: hour.start(), Tile: number, Gen: gen}
			if err := s.putTiles(ctx, key, t.tiles); err != nil {
				return err
			}
		}
	}
	return nil
}

// putTiles writes one tile for each metric, a bounded number of bytes at a time.
func (s *shard) putTiles(ctx context.Context, key TileKey, tiles map[string]*column.Tile) error {
	var out []Tile
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
		out = append(out, Tile{key, data})
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
	from, to := t.hour.start()-leadIn.Milliseconds(), (t.hour + 1).start()
	views, names := t.s.views(k, from, to)
	for _, name := range names {
		t.g.room.reset()
		blocks, err := t.s.db.stored(ctx, t.g, BlockRange{"", k.account, k.node, name, from, to})
		if err != nil {
			return err
		}
		for i := range views[name] {
			pieces, err := t.g.pieces(&views[name][i])
			if err != nil {
				return err
			}
			blocks = append(blocks, pieces...)
		}
		if len(blocks) == 0 {
			continue
		}
		b, err := t.g.unite(blocks, t.s.db.metricIn(ctx))
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
func (s *shard) views(k nodeKey, from, to int64) (open map[string][]view, names []string) {
	open = map[string][]view{}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[k]
	if n == nil {
		return open, nil
	}
	for _, src := range n.sources {
		names = append(names, src.name)
		for _, w := range src.windows {
			if w.start < to && w.end > from {
				open[src.name] = append(open[src.name], w.look())
			}
		}
	}
	return open, names
}

// stored decodes the blocks of one source that overlap the range [From, To) of instants, in all classes.
func (db *DB) stored(ctx context.Context, g *gatherer, r BlockRange) (blocks []*column.Block, err error) {
	from := r.From
	r.From -= longWindow
	for _, class := range db.o.Classes {
		r.Class = class.Name
		err := db.scanNewest(ctx, r, func(b *Block, _ bool, length int64, body []byte) error {
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
func (t *tiler) addBlock(ctx context.Context, node muster.NodeID, b *column.Block) error {
	metric := t.s.db.metricIn(ctx)
	begin, end := t.hour.start(), (t.hour + 1).start()
	first, _ := slices.BinarySearch(b.Times, begin)
	if past, _ := slices.BinarySearch(b.Times, end); first == past {
		return nil
	}
	gap := gapOf(points.Period(b.Times))
	for _, c := range b.Columns {
		m, err := metric(b.Schemas[c.Schema], c.Index)
		if err != nil {
			return err
		}
		slots := make([]column.Slot, 12)
		counter := m.Kind == muster.Counter
		if !foldHour(slots, b.Times, c.Values, begin, end, &points.Meter{Counter: counter, Gap: gap}) {
			continue
		}
		if counter {
			shorten(slots)
		}
		tile := t.tiles[m.Name]
		if tile == nil {
			tile = &column.Tile{Unit: m.Unit, Kind: m.Kind}
			t.tiles[m.Name] = tile
		}
		if tile.Kind == m.Kind { // else two nodes disagree on what the name means; the first is shown
			tile.Rows = append(tile.Rows, column.TileRow{Node: node, Attrs: m.Attrs, Slots: slots})
		}
	}
	return nil
}

// shorten drops digits that no graph shows from the bounds of rates: tiles become smaller and are read faster.
func shorten(slots []column.Slot) {
	for i := range slots {
		slots[i].Min, slots[i].Max = float64(float32(slots[i].Min)), float64(float32(slots[i].Max))
	}
}

// foldHour folds the samples of one column; false when there is none.
func foldHour(slots []column.Slot, times []int64, values []float64, begin, end int64, meter *points.Meter) (any bool) {
	const slot = 5 * minuteMs
	for i, at := range times {
		v := values[i]
		if v != v || at >= end {
			continue
		}
		if at < begin {
			meter.Prime(at, v)
			continue
		}
		any = true
		meter.Add((*points.Slot)(&slots[(at-begin)/slot]), at, v)
	}
	return any
}

// buildDay makes the 1-hour tiles of a day from the 5-minute ones.
func (s *shard) buildDay(ctx context.Context, epoch uint64, d Hour) error {
	s.mu.Lock()
	through := s.applied()
	s.mu.Unlock()
	groups, rows := s.accountNodes()
	for account, keys := range groups {
		bits := bitsFor(len(keys), rows[account])
		names, err := s.metricNames(ctx, keys)
		if err != nil {
			return err
		}
		for _, name := range names {
			r := TileRange{s.db.className(account), FiveMinutes, account, name, s.id, d.start(), (d + 24).start()}
			parts, err := s.foldDay(ctx, r, bits)
			if err != nil {
				return err
			}
			for number, tile := range parts {
				key := TileKey{r.Class, OneHour, account, name, s.id, d.start(), number, Gen{epoch, uint32(through)}}
				if err := s.putTiles(ctx, key, map[string]*column.Tile{name: tile}); err != nil {
					return err
				}
			}
		}
	}
	if err := s.db.engine.PutBuilt(ctx, Built{s.id, OneHour, d, through}); err != nil {
		return fmt.Errorf("series: store that a day is built: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.days[d] = through
	return nil
}

// metricNames gives the names of all metrics that the nodes ever had.
func (s *shard) metricNames(ctx context.Context, keys []nodeKey) ([]string, error) {
	ids := map[muster.SchemaID]bool{}
	s.mu.Lock()
	for _, k := range keys {
		if n := s.nodes[k]; n != nil {
			for _, src := range n.sources {
				for _, sc := range src.schemas {
					ids[sc.id] = true
				}
			}
		}
	}
	s.mu.Unlock()
	var names []string
	for id := range ids {
		schema, err := s.db.schemas.get(ctx, id)
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
func (s *shard) foldDay(ctx context.Context, r TileRange, bits int) (map[int]*column.Tile, error) {
	parts := map[int]*column.Tile{}
	rows := map[string]int{}
	unit, err := s.db.walkTiles(ctx, r, column.FieldAll, nil, func(start int64, kind muster.MetricKind, row *column.TileRow) error {
		number := tileOf(row.Node, bits)
		tile := parts[number]
		if tile == nil {
			tile = &column.Tile{Kind: kind}
			parts[number] = tile
		}
		if tile.Kind != kind {
			return nil
		}
		key := string(row.Node[:]) + attrsKey(row.Attrs)
		at, ok := rows[key]
		if !ok {
			at = len(tile.Rows)
			rows[key] = at
			tile.Rows = append(tile.Rows, column.TileRow{Node: row.Node, Attrs: slices.Clone(row.Attrs), Slots: make([]column.Slot, 24)})
		}
		into := (*points.Slot)(&tile.Rows[at].Slots[(start-r.From)/hourMs])
		for _, slot := range row.Slots {
			into.Merge(points.Slot(slot), kind == muster.Counter)
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

// attrsKey gives a text that is equal for equal attributes.
func attrsKey(attrs []muster.Attr) string {
	var b strings.Builder
	for _, a := range attrs {
		b.WriteString(a.Key)
		b.WriteByte(1)
		b.WriteString(a.Value)
		b.WriteByte(0)
	}
	return b.String()
}
