package column_test

import (
	"math"
	"testing"

	"muster/internal/column"
)

func sameBits(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || a != a && math.Float64bits(b) == math.Float64bits(math.NaN())
}

// expectBlock opens stored and compares all of it with b.
func expectBlock(t fataler, c *column.Codec, stored []byte, b *column.Block) {
	t.Helper()
	r, err := c.OpenBlock(stored)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	if r.Len() != len(b.Times) || len(r.Columns()) != len(b.Columns) || len(r.Schemas()) != len(b.Schemas) {
		t.Fatalf("%d instants %d columns %d schemas", r.Len(), len(r.Columns()), len(r.Schemas()))
	}
	for i, at := range r.Times(nil) {
		if at != b.Times[i] {
			t.Fatalf("instant %d is %d, want %d", i, at, b.Times[i])
		}
	}
	for i, ref := range r.Columns() {
		if ref.Schema != b.Columns[i].Schema || ref.Index != b.Columns[i].Index {
			t.Fatalf("column %d is %v", i, ref)
		}
		got, err := r.Decode(i, nil)
		if err != nil || len(got) != len(b.Times) {
			t.Fatalf("column %d: %d values, %v", i, len(got), err)
		}
		for j, v := range b.Columns[i].Values {
			if !sameBits(v, got[j]) {
				t.Fatalf("column %d value %d is %v (%x), want %v (%x)", i, j, got[j], math.Float64bits(got[j]), v, math.Float64bits(v))
			}
		}
	}
}

func TestHostBlock(t *testing.T) {
	var c column.Codec
	b := column.Gather(hostFrames(1, 120, 10_000))
	for name, form := range map[string]func([]byte, *column.Block) ([]byte, error){"block": c.AppendBlock, "chunk": c.AppendChunk} {
		stored, err := form([]byte("before"), b)
		if err != nil {
			t.Fatal(err)
		}
		stored = stored[len("before"):]
		expectBlock(t, &c, stored, b)
		t.Logf("%s: %.3f B/sample", name, float64(len(stored))/float64(len(b.Times)*len(b.Columns)))
	}
}

func benchBlock(b *testing.B, rows int, form func(c *column.Codec, dst []byte, blk *column.Block) ([]byte, error)) {
	var c column.Codec
	var blocks []*column.Block
	for i := range 8 {
		blocks = append(blocks, column.Gather(hostFrames(uint64(i), rows, 10_000)))
	}
	var out []byte
	bytes, samples := 0, 0
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		blk := blocks[i%len(blocks)]
		out, _ = form(&c, out[:0], blk)
		bytes, samples = bytes+len(out), samples+rows*len(blk.Columns)
	}
	b.ReportMetric(float64(bytes)/float64(samples), "B/sample")
	b.ReportMetric(float64(samples)/b.Elapsed().Seconds()/1e6, "Msamples/s")
}

func BenchmarkAppendBlock(b *testing.B) {
	benchBlock(b, 120, func(c *column.Codec, dst []byte, blk *column.Block) ([]byte, error) { return c.AppendBlock(dst, blk) })
}

func BenchmarkAppendChunk(b *testing.B) {
	benchBlock(b, 32, func(c *column.Codec, dst []byte, blk *column.Block) ([]byte, error) { return c.AppendChunk(dst, blk) })
}

func benchDecode(b *testing.B, rows int, form func(c *column.Codec, dst []byte, blk *column.Block) ([]byte, error)) {
	var c column.Codec
	blk := column.Gather(hostFrames(3, rows, 10_000))
	stored, err := form(&c, nil, blk)
	if err != nil {
		b.Fatal(err)
	}
	var values []float64
	b.ReportAllocs()
	for b.Loop() {
		r, err := c.OpenBlock(stored)
		if err != nil {
			b.Fatal(err)
		}
		for i := range r.Columns() {
			values, _ = r.Decode(i, values[:0])
		}
	}
	b.ReportMetric(float64(b.N)*float64(rows*len(blk.Columns))/b.Elapsed().Seconds()/1e6, "Msamples/s")
}

func BenchmarkDecodeBlock(b *testing.B) {
	benchDecode(b, 120, func(c *column.Codec, dst []byte, blk *column.Block) ([]byte, error) { return c.AppendBlock(dst, blk) })
}

func BenchmarkDecodeChunk(b *testing.B) {
	benchDecode(b, 32, func(c *column.Codec, dst []byte, blk *column.Block) ([]byte, error) { return c.AppendChunk(dst, blk) })
}

// A day of one metric of one node: 72 blocks are opened, one column of each is decoded.
func BenchmarkDayOfOneMetric(b *testing.B) {
	var c column.Codec
	var day [][]byte
	for i := range 72 {
		stored, err := c.AppendBlock(nil, column.Gather(hostFrames(uint64(i), 120, 10_000)))
		if err != nil {
			b.Fatal(err)
		}
		day = append(day, stored)
	}
	var values []float64
	var times []int64
	for b.Loop() {
		values, times = values[:0], times[:0]
		for _, stored := range day {
			r, err := c.OpenBlock(stored)
			if err != nil {
				b.Fatal(err)
			}
			times = r.Times(times)
			values, _ = r.Decode(40, values)
		}
	}
}
