package column_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"muster"
	"muster/internal/column"
)

// summarise is what the series engine keeps of one slot.
func summarise(values []float64, counter bool) column.Slot {
	s := column.Slot{Count: uint32(len(values)), Min: math.Inf(1), Max: math.Inf(-1)}
	for i, v := range values {
		s.Min, s.Max, s.Last = min(s.Min, v), max(s.Max, v), v
		s.Sum += v
		if counter && i > 0 {
			s.Increase += v - values[i-1]
		}
	}
	return s
}

// hostTile is one metric of many nodes: slots of 30 values each.
func hostTile(seed uint64, nodes, slots int, kind muster.MetricKind) *column.Tile {
	rng := rand.New(rand.NewPCG(seed, 2))
	t := &column.Tile{Unit: "1", Kind: kind}
	for n := range nodes {
		row := column.TileRow{Node: muster.NodeID{byte(n >> 8), byte(n), byte(seed)}, Attrs: []muster.Attr{{Key: "cpu.mode", Value: "user"}}}
		total, level := math.Floor(rng.Float64()*1e9), rng.Float64()
		for range slots {
			values := make([]float64, 30)
			for i := range values {
				level = min(max(level+rng.NormFloat64()*0.02, 0), 1)
				total += math.Floor(1e4 * level)
				values[i] = math.Round(level*1e4) / 1e4
				if kind == muster.Counter {
					values[i] = total
				}
			}
			row.Slots = append(row.Slots, summarise(values, kind == muster.Counter))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func expectTile(t fataler, c *column.Codec, stored []byte, want *column.Tile) {
	t.Helper()
	got, err := c.ReadTile(stored, nil)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	if got.Unit != want.Unit || got.Kind != want.Kind || len(got.Rows) != len(want.Rows) {
		t.Fatalf("%s %v of %d rows", got.Unit, got.Kind, len(got.Rows))
	}
	for i := range want.Rows {
		expectRow(t, &got.Rows[i], &want.Rows[i], column.FieldAll)
	}
}

func expectRow(t fataler, got, want *column.TileRow, fields column.Fields) {
	t.Helper()
	if got.Node != want.Node || !slices.Equal(got.Attrs, want.Attrs) || len(got.Slots) != len(want.Slots) {
		t.Fatalf("row %v %v of %d slots", got.Node, got.Attrs, len(got.Slots))
	}
	for i, w := range want.Slots {
		g := got.Slots[i]
		if w.Count == 0 {
			w = column.Slot{}
		}
		if g.Count != w.Count {
			t.Fatalf("slot %d has count %d, want %d", i, g.Count, w.Count)
		}
		for _, pair := range []struct {
			field column.Fields
			g, w  float64
		}{{column.FieldMin, g.Min, w.Min}, {column.FieldMax, g.Max, w.Max}, {column.FieldSum, g.Sum, w.Sum}, {column.FieldLast, g.Last, w.Last}, {column.FieldIncrease, g.Increase, w.Increase}} {
			if fields&pair.field == 0 {
				pair.w = 0
			}
			if math.Float64bits(pair.g) != math.Float64bits(pair.w) {
				t.Fatalf("slot %d field %b is %v, want %v", i, pair.field, pair.g, pair.w)
			}
		}
	}
}

func TestTile(t *testing.T) {
	var c column.Codec
	for _, kind := range []muster.MetricKind{muster.Gauge, muster.Counter} {
		tile := hostTile(1, 256, 12, kind)
		tile.Rows[3].Slots[4].Count = 0
		tile.Rows[3].Slots[5].Min = math.Copysign(0, -1)
		tile.Rows[4].Slots[5].Sum = math.Inf(1)
		tile.Rows[5].Slots[0].Last = math.SmallestNonzeroFloat64
		for i := range tile.Rows[6].Slots {
			tile.Rows[6].Slots[i].Count = 0
		}
		tile.Rows[8].Node, tile.Rows[8].Attrs = tile.Rows[7].Node, nil
		stored, err := c.AppendTile(nil, tile)
		if err != nil {
			t.Fatal(err)
		}
		expectTile(t, &c, stored, tile)
		t.Logf("%v: %.2f B/slot", kind, float64(len(stored))/(256*12))
		for fields := range column.FieldAll + 1 {
			i := 0
			_, err := c.WalkTile(stored, fields, nil, func(row *column.TileRow) error {
				expectRow(t, row, &tile.Rows[i], fields)
				i++
				return nil
			})
			if err != nil || i != len(tile.Rows) {
				t.Fatalf("%d rows, %v", i, err)
			}
		}
	}
}

func TestTileOfWantedNodes(t *testing.T) {
	var c column.Codec
	tile := hostTile(1, 20, 24, muster.Gauge)
	tile.Rows[8].Node = tile.Rows[7].Node
	stored, _ := c.AppendTile(nil, tile)
	got, err := c.ReadTile(stored, func(n muster.NodeID) bool { return n == tile.Rows[7].Node })
	if err != nil || len(got.Rows) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	expectRow(t, &got.Rows[0], &tile.Rows[7], column.FieldAll)
	expectRow(t, &got.Rows[1], &tile.Rows[8], column.FieldAll)
	stop := errors.New("stop")
	if _, err := c.WalkTile(stored, 0, nil, func(*column.TileRow) error { return stop }); err != stop {
		t.Fatalf("%v", err)
	}
}

func TestTileRefuses(t *testing.T) {
	var c column.Codec
	uneven := hostTile(1, 2, 2, muster.Gauge)
	uneven.Rows[1].Slots = uneven.Rows[1].Slots[1:]
	if _, err := c.AppendTile(nil, uneven); !errors.Is(err, muster.ErrInvalid) {
		t.Fatal(err)
	}
	if _, err := c.AppendTile(nil, hostTile(1, 1, column.MaxSlots+1, muster.Gauge)); !errors.Is(err, muster.ErrLimited) {
		t.Fatal(err)
	}
	stored, _ := c.AppendTile(nil, hostTile(1, 2, 3, muster.Gauge))
	for i := range stored {
		bad := slices.Clone(stored)
		bad[i] ^= 1
		if _, err := c.ReadTile(bad, nil); !errors.Is(err, muster.ErrInvalid) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
}

func BenchmarkAppendTile(b *testing.B) {
	var c column.Codec
	for _, kind := range []muster.MetricKind{muster.Gauge, muster.Counter} {
		b.Run(kind.String(), func(b *testing.B) {
			tile := hostTile(1, 256, 12, kind)
			var out []byte
			for b.Loop() {
				out, _ = c.AppendTile(out[:0], tile)
			}
			b.ReportMetric(float64(len(out))/(256*12), "B/slot")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(256*12), "ns/slot")
		})
	}
}

// One metric of 10,000 nodes over 24 h from 5-minute tiles: 40 tiles of 250 nodes for each hour.
func BenchmarkFleetDay(b *testing.B) {
	var c column.Codec
	for _, kind := range []muster.MetricKind{muster.Gauge, muster.Counter} {
		var tiles [][]byte
		for i := range 40 {
			stored, _ := c.AppendTile(nil, hostTile(uint64(i), 250, 12, kind))
			tiles = append(tiles, stored)
		}
		for _, fields := range []column.Fields{column.FieldAll, column.FieldMin | column.FieldMax | column.FieldSum} {
			b.Run(fmt.Sprintf("%v/%05b", kind, fields), func(b *testing.B) {
				for b.Loop() {
					for range 24 {
						for _, stored := range tiles {
							if _, err := c.WalkTile(stored, fields, nil, func(*column.TileRow) error { return nil }); err != nil {
								b.Fatal(err)
							}
						}
					}
				}
			})
		}
	}
}
