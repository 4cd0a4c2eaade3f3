package column_test

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"

	"muster"
	"muster/internal/column"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew: only together with a new form")

// goldenBlock has a column of every kind: constant, steady, decimals, pages, gaps, floats, wild ones.
func goldenBlock() *column.Block {
	const rows = 150
	b := &column.Block{Schemas: []muster.SchemaID{{1, 2, 3}, {4, 5, 6}}}
	add := func(schema, index int, value func(i float64) float64) {
		col := column.Column{Schema: schema, Index: index}
		for i := range rows {
			col.Values = append(col.Values, value(float64(i)))
		}
		b.Columns = append(b.Columns, col)
	}
	for i := range rows {
		b.Times = append(b.Times, 1_790_000_000_000+int64(i)*10_000+int64(i%3))
	}
	bumpy := func(i float64) float64 { return math.Mod(i*i*7919, 1009) }
	add(0, 0, func(float64) float64 { return 42 })
	add(0, 1, func(i float64) float64 { return 1e6 + 10*i })
	add(0, 2, func(i float64) float64 { return bumpy(i) / 1e4 })
	add(0, 3, func(i float64) float64 { return bumpy(i) * 4096 })
	add(0, 4, func(i float64) float64 { return 1e12 + i*i*i })
	add(0, 5, func(i float64) float64 { return -bumpy(i) / 100 })
	add(1, 9, func(i float64) float64 {
		if i > 7 && i < 12 {
			return math.NaN()
		}
		return i
	})
	add(1, 10, func(float64) float64 { return math.NaN() })
	add(1, 11, func(i float64) float64 { return 1 / (i + 3) })
	add(1, 12, func(i float64) float64 { return math.Copysign(0, i-20) })
	add(1, 13, func(i float64) float64 { return i * math.SmallestNonzeroFloat64 })
	add(1, 14, func(i float64) float64 { return float64(float32(i) * 0.7) })
	add(1, 15, func(i float64) float64 { return math.Inf(int(i) - 20) })
	return b
}

func goldenFrames() []*muster.Frame {
	small := mustSchema([]muster.Metric{{Name: "a", Unit: "1", Kind: muster.Gauge}})
	large := &muster.Schema{ID: muster.SchemaID{7}, Metrics: make([]muster.Metric, len(goldenBlock().Columns))}
	var frames []*muster.Frame
	for i := range 6 {
		f := &muster.Frame{Account: muster.AccountID{byte(i / 4)}, Node: muster.NodeID{byte(i)}, Source: "host", At: 1_790_000_000_000 + int64(i), Schema: small, Values: []float64{float64(i) * 300}}
		if i%2 == 1 {
			f.Schema, f.Source = large, "other"
			f.Values = nil
			for _, col := range goldenBlock().Columns {
				f.Values = append(f.Values, col.Values[i*6])
			}
		}
		f.Sent = f.At + 12
		frames = append(frames, f)
	}
	return frames
}

func goldenTile() *column.Tile {
	t := &column.Tile{Unit: "By", Kind: muster.Counter}
	for n := range 5 {
		row := column.TileRow{Node: muster.NodeID{byte(n / 2)}, Attrs: []muster.Attr{{Key: "device", Value: string(rune('a' + n%2))}}}
		for i := range 12 {
			var values []float64
			for k := range 30 {
				values = append(values, float64(n*1000+i*300+k*k%13)/[]float64{1, 100, 3}[n%3])
			}
			row.Slots = append(row.Slots, summarise(values, n > 0))
		}
		row.Slots[n] = column.Slot{}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// What was written once is read for ever; and what is written now is what the description says.
func TestGolden(t *testing.T) {
	var c column.Codec
	block, err := c.AppendBlock(nil, goldenBlock())
	if err != nil {
		t.Fatal(err)
	}
	chunk, err := c.AppendChunk(nil, goldenBlock())
	if err != nil {
		t.Fatal(err)
	}
	tile, err := c.AppendTile(nil, goldenTile())
	if err != nil {
		t.Fatal(err)
	}
	segment := buildSegment(t, &c, goldenFrames())
	for name, now := range map[string][]byte{"block": block, "chunk": chunk, "tile": tile, "segment": segment} {
		path := filepath.Join("testdata", name+".golden")
		if *rewrite {
			if err := os.WriteFile(path, now, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		stored, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		switch name {
		case "block", "chunk":
			expectBlock(t, &c, stored, goldenBlock())
		case "tile":
			expectTile(t, &c, stored, goldenTile())
		case "segment":
			expectFrames(t, &c, stored, goldenFrames())
			continue // the compressor may choose other bytes when its library changes
		}
		if !bytes.Equal(now, stored) {
			t.Errorf("%s: other bytes are written than before; if the form is meant to change, it needs a new first byte", name)
		}
	}
}

// Every kind of damage is told: no byte is outside the checksum.
func TestBlockTellsDamage(t *testing.T) {
	var c column.Codec
	stored, _ := c.AppendBlock(nil, goldenBlock())
	for i := range stored {
		bad := bytes.Clone(stored)
		bad[i] ^= 4
		if _, err := c.OpenBlock(bad); err == nil {
			t.Fatalf("byte %d damaged unseen", i)
		}
		if _, err := c.OpenBlock(stored[:i]); err == nil {
			t.Fatalf("cut at %d unseen", i)
		}
	}
}
