package column_test

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"testing"

	"pgregory.net/rapid"

	"muster"
	"muster/internal/column"
)

// anyValue draws the values that break codecs, and those that measurements have.
func anyValue() *rapid.Generator[float64] {
	return rapid.OneOf(
		rapid.Float64(),
		rapid.Map(rapid.Uint64(), math.Float64frombits),
		rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1, -1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64,
			math.SmallestNonzeroFloat64, 1 << 53, 1<<53 + 2, -(1 << 53), 1 << 62, 0.1, 0.30000000000000004, 1e22, 1e-300, 5e-5, 281474976710656, 42949672.96}),
		rapid.Map(rapid.Int64(), func(n int64) float64 { return float64(n) }),
		rapid.Map(rapid.IntRange(-1e6, 1e6), func(n int) float64 { return float64(n) / 1e4 }),
		rapid.Map(rapid.IntRange(0, 1e9), func(n int) float64 { return float64(n) / 1e6 }),
		rapid.Map(rapid.Float32(), func(f float32) float64 { return float64(f) }),
	)
}

// anyColumn draws columns of one nature: walks, constants, mixtures, with and without gaps.
func anyColumn(t *rapid.T, n int) []float64 {
	values := make([]float64, n)
	draw := anyValue()
	switch rapid.IntRange(0, 4).Draw(t, "nature") {
	case 0:
		for i := range values {
			values[i] = draw.Draw(t, "value")
		}
	case 1:
		v := draw.Draw(t, "value")
		for i := range values {
			values[i] = v
		}
	case 2:
		unit := rapid.SampledFrom([]float64{1, 100, 1e4, 1e6, 1e9, 1e12, 3}).Draw(t, "unit")
		step := rapid.SampledFrom([]int64{1, 10, 4096, 7}).Draw(t, "step")
		wild := rapid.Int64Range(1, 1<<40).Draw(t, "wild")
		at := rapid.Int64Range(-1<<50, 1<<50).Draw(t, "start")
		for i := range values {
			at += step * rapid.Int64Range(-wild, wild).Draw(t, "move")
			values[i] = float64(at) / unit
		}
	case 3:
		v := draw.Draw(t, "value")
		for i := range values {
			values[i] = v
			v = math.Float64frombits(math.Float64bits(v) + uint64(rapid.IntRange(-1000, 1000).Draw(t, "ulps"))<<rapid.IntRange(0, 20).Draw(t, "shift"))
		}
	case 4:
		base, slope := rapid.Int64Range(-1e12, 1e12).Draw(t, "base"), rapid.Int64Range(-1e6, 1e6).Draw(t, "slope")
		for i := range values {
			values[i] = float64(base+slope*int64(i)) / 100
		}
	}
	if n > 0 && rapid.Bool().Draw(t, "gaps") {
		for range rapid.IntRange(0, 3).Draw(t, "runs") {
			from := rapid.IntRange(0, n-1).Draw(t, "from")
			for i := from; i < min(n, from+rapid.IntRange(1, n).Draw(t, "length")); i++ {
				values[i] = math.NaN()
			}
		}
	}
	return values
}

func anyBlock(t *rapid.T) *column.Block {
	b := &column.Block{Schemas: make([]muster.SchemaID, rapid.IntRange(1, 3).Draw(t, "schemas"))}
	for i := range b.Schemas {
		b.Schemas[i][0] = byte(i + 1)
	}
	n := rapid.IntRange(0, 150).Draw(t, "rows")
	at := rapid.Int64Range(-1<<40, 1<<45).Draw(t, "at")
	jitter := rapid.SampledFrom([]int64{1, 2, 50, 1 << 30}).Draw(t, "jitter")
	for range n {
		b.Times = append(b.Times, at)
		at += 10_000 + rapid.Int64Range(0, jitter-1).Draw(t, "late")
	}
	for range rapid.IntRange(0, 8).Draw(t, "columns") {
		b.Columns = append(b.Columns, column.Column{
			Schema: rapid.IntRange(0, len(b.Schemas)-1).Draw(t, "schema"),
			Index:  rapid.IntRange(0, muster.MaxMetrics-1).Draw(t, "index"),
			Values: anyColumn(t, n),
		})
	}
	return b
}

func TestAnyBlockComesBack(t *testing.T) {
	var c column.Codec
	rapid.Check(t, func(t *rapid.T) {
		b := anyBlock(t)
		for _, form := range []func([]byte, *column.Block) ([]byte, error){c.AppendBlock, c.AppendChunk} {
			stored, err := form(nil, b)
			if err != nil {
				t.Fatalf("append: %v", err)
			}
			expectBlock(t, &c, stored, b)
		}
	})
}

func TestAnySegmentComesBack(t *testing.T) {
	var c column.Codec
	var schemas []*muster.Schema
	for n := range 5 {
		schemas = append(schemas, mustSchema(hostMetrics()[:1+n*7]))
	}
	rapid.Check(t, func(t *rapid.T) {
		var frames []*muster.Frame
		for range rapid.IntRange(0, 20).Draw(t, "frames") {
			f := &muster.Frame{
				Account: muster.AccountID{byte(rapid.IntRange(0, 2).Draw(t, "account"))},
				Node:    muster.NodeID{byte(rapid.IntRange(0, 9).Draw(t, "node"))},
				Source:  rapid.SampledFrom([]string{"", "host", "nginx", "päth/x"}).Draw(t, "source"),
				At:      rapid.Int64().Draw(t, "at"),
				Sent:    rapid.Int64().Draw(t, "sent"),
				Schema:  rapid.SampledFrom(schemas).Draw(t, "schema"),
			}
			f.Values = anyColumn(t, len(f.Schema.Metrics))
			frames = append(frames, f)
		}
		expectFrames(t, &c, buildSegment(t, &c, frames), frames)
	})
}

func TestAnyTileComesBack(t *testing.T) {
	var c column.Codec
	rapid.Check(t, func(t *rapid.T) {
		tile := &column.Tile{Unit: rapid.SampledFrom([]string{"", "By", "1"}).Draw(t, "unit"), Kind: muster.Gauge}
		slots := rapid.IntRange(0, 24).Draw(t, "slots")
		for range rapid.IntRange(0, 6).Draw(t, "rows") {
			row := column.TileRow{Node: muster.NodeID{byte(rapid.IntRange(0, 3).Draw(t, "node"))}, Slots: make([]column.Slot, slots)}
			for range rapid.IntRange(0, 2).Draw(t, "attrs") {
				row.Attrs = append(row.Attrs, muster.Attr{Key: rapid.String().Draw(t, "key"), Value: rapid.String().Draw(t, "value")})
			}
			var columns [5][]float64
			for i := range columns {
				columns[i] = anyColumn(t, slots)
			}
			for i := range row.Slots {
				row.Slots[i] = column.Slot{Count: rapid.SampledFrom([]uint32{30, 30, 29, 0, math.MaxUint32}).Draw(t, "count"),
					Min: columns[0][i], Max: columns[1][i], Sum: columns[2][i], Last: columns[3][i], Increase: columns[4][i]}
			}
			tile.Rows = append(tile.Rows, row)
		}
		stored, err := c.AppendTile(nil, tile)
		if err != nil {
			t.Fatalf("append: %v", err)
		}
		expectTile(t, &c, stored, tile)
	})
}

// sealed gives body the checksum that readers ask for, so that the fuzzer gets past it.
func sealed(body []byte) []byte {
	return binary.LittleEndian.AppendUint32(append([]byte(nil), body...), crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
}

func FuzzOpenBlock(f *testing.F) {
	var c column.Codec
	b := column.Gather(hostFrames(1, 20, 10_000))
	b.Columns[0].Values[3] = math.NaN()
	b.Columns[1].Values[3] = math.Inf(1)
	for _, form := range []func([]byte, *column.Block) ([]byte, error){c.AppendBlock, c.AppendChunk} {
		stored, _ := form(nil, b)
		f.Add(stored[:len(stored)-4])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := c.OpenBlock(sealed(body))
		if err != nil {
			return
		}
		for i := range r.Columns() {
			if values, err := r.Decode(i, nil); err == nil && len(values) != r.Len() {
				t.Fatalf("column %d has %d values of %d", i, len(values), r.Len())
			}
		}
	})
}

func FuzzReadSegment(f *testing.F) {
	var c column.Codec
	frames := shardFrames(2, 2)
	stored := buildSegment(f, &c, frames)
	f.Add(stored[:len(stored)-4])
	f.Fuzz(func(_ *testing.T, body []byte) {
		_ = c.ReadSegment(sealed(body), func(muster.SchemaID) (*muster.Schema, error) { return frames[0].Schema, nil },
			func(*muster.Frame) error { return nil })
	})
}

func FuzzReadTile(f *testing.F) {
	var c column.Codec
	for _, kind := range []muster.MetricKind{muster.Gauge, muster.Counter} {
		stored, _ := c.AppendTile(nil, hostTile(1, 3, 4, kind))
		f.Add(stored[:len(stored)-4])
	}
	f.Fuzz(func(_ *testing.T, body []byte) {
		_, _ = c.WalkTile(sealed(body), column.FieldAll, nil, func(*column.TileRow) error { return nil })
	})
}

func FuzzColumn(f *testing.F) {
	var c column.Codec
	f.Add(make([]byte, 800))
	f.Fuzz(func(t *testing.T, raw []byte) {
		n := min(len(raw)/8, column.MaxRows)
		b := &column.Block{Schemas: make([]muster.SchemaID, 1), Columns: []column.Column{{}}}
		for i := range n {
			b.Times = append(b.Times, int64(i))
			b.Columns[0].Values = append(b.Columns[0].Values, math.Float64frombits(binary.LittleEndian.Uint64(raw[i*8:])))
		}
		for _, form := range []func([]byte, *column.Block) ([]byte, error){c.AppendBlock, c.AppendChunk} {
			stored, err := form(nil, b)
			if err != nil {
				t.Fatal(err)
			}
			expectBlock(t, &c, stored, b)
		}
	})
}
