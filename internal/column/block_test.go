package column_test

import (
	"errors"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"

	"muster"
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

func TestBlockRefuses(t *testing.T) {
	var c column.Codec
	base := func() *column.Block { return column.Gather(hostFrames(1, 3, 10_000)) }
	for name, spoil := range map[string]func(*column.Block){
		"times that stand still": func(b *column.Block) { b.Times[1] = b.Times[0] },
		"a value too few":        func(b *column.Block) { b.Columns[2].Values = b.Columns[2].Values[1:] },
		"an unknown schema":      func(b *column.Block) { b.Columns[2].Schema = 1 },
		"a negative index":       func(b *column.Block) { b.Columns[2].Index = -1 },
	} {
		b := base()
		spoil(b)
		if _, err := c.AppendBlock(nil, b); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := base()
	b.Times = make([]int64, column.MaxRows+1)
	if _, err := c.AppendBlock(nil, b); !errors.Is(err, muster.ErrLimited) {
		t.Errorf("too many instants: %v", err)
	}
}

// A metric that two schemas have is one column; what only one has is absent in the other's frames; a
// frame that comes twice counts once.
func TestGather(t *testing.T) {
	metric := func(name string) muster.Metric { return muster.Metric{Name: name, Unit: "1", Kind: muster.Gauge} }
	old := mustSchema([]muster.Metric{metric("a"), metric("b")})
	young := mustSchema([]muster.Metric{metric("c"), metric("a")})
	b := column.Gather([]*muster.Frame{
		{At: 10, Schema: old, Values: []float64{1, 2}},
		{At: 20, Schema: old, Values: []float64{8, 8}},
		{At: 20, Schema: old, Values: []float64{3, 4}},
		{At: 30, Schema: young, Values: []float64{5, 6}},
	})
	nan := math.NaN()
	want := []column.Column{
		{Schema: 0, Index: 0, Values: []float64{nan, nan, 5}},
		{Schema: 0, Index: 1, Values: []float64{1, 3, 6}},
		{Schema: 1, Index: 1, Values: []float64{2, 4, nan}},
	}
	if !slices.Equal(b.Times, []int64{10, 20, 30}) || !slices.Equal(b.Schemas, []muster.SchemaID{young.ID, old.ID}) || len(b.Columns) != len(want) {
		t.Fatalf("%+v", b)
	}
	for i := range want {
		if b.Columns[i].Schema != want[i].Schema || b.Columns[i].Index != want[i].Index || !slices.EqualFunc(b.Columns[i].Values, want[i].Values, sameBits) {
			t.Errorf("column %d is %+v, want %+v", i, b.Columns[i], want[i])
		}
	}
	if empty := column.Gather(nil); len(empty.Times)+len(empty.Columns) != 0 {
		t.Errorf("%+v", empty)
	}
}

// One codec serves many goroutines.
func TestCodecIsShared(t *testing.T) {
	var c column.Codec
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			b := column.Gather(hostFrames(uint64(i), 40, 10_000))
			for range 5 {
				stored, err := c.AppendBlock(nil, b)
				if err != nil {
					t.Error(err)
					return
				}
				expectBlock(errorer{t}, &c, stored, b)
			}
		})
	}
	wait.Wait()
}

// errorer lets helpers report from goroutines.
type errorer struct{ *testing.T }

func (e errorer) Fatalf(format string, args ...any) { e.Errorf(format, args...); runtime.Goexit() }
