package column_test

import (
	"errors"
	"testing"

	"muster"
	"muster/internal/column"
)

// shardFrames are frames of many nodes at about the same instant, as a shard receives them.
func shardFrames(nodes, each int) []*muster.Frame {
	var frames []*muster.Frame
	for i := range nodes {
		frames = append(frames, hostFrames(uint64(i), each, 10_000)...)
	}
	return frames
}

func schemasOf(frames []*muster.Frame) func(muster.SchemaID) (*muster.Schema, error) {
	known := map[muster.SchemaID]*muster.Schema{}
	for _, f := range frames {
		known[f.Schema.ID] = f.Schema
	}
	return func(id muster.SchemaID) (*muster.Schema, error) {
		if s := known[id]; s != nil {
			return s, nil
		}
		return nil, muster.ErrNotFound
	}
}

func expectFrames(t fataler, c *column.Codec, stored []byte, frames []*muster.Frame) {
	t.Helper()
	i := 0
	err := c.ReadSegment(stored, schemasOf(frames), func(f *muster.Frame) error {
		want := frames[i]
		i++
		if f.Account != want.Account || f.Node != want.Node || f.Source != want.Source || f.At != want.At || f.Sent != want.Sent || f.Schema.ID != want.Schema.ID {
			t.Fatalf("frame %d is %+v, want %+v", i-1, f, want)
		}
		for j, v := range want.Values {
			if !sameBits(v, f.Values[j]) {
				t.Fatalf("frame %d value %d is %v, want %v", i-1, j, f.Values[j], v)
			}
		}
		return nil
	})
	if err != nil || i != len(frames) {
		t.Fatalf("%d of %d frames, %v", i, len(frames), err)
	}
}

func buildSegment(t fataler, c *column.Codec, frames []*muster.Frame) []byte {
	t.Helper()
	b := c.NewSegmentBuilder()
	for _, f := range frames {
		if err := b.Add(f); err != nil {
			t.Fatalf("add: %v", err)
		}
	}
	if b.Count() != len(frames) {
		t.Fatalf("count %d", b.Count())
	}
	return b.AppendTo(nil)
}

func TestSegment(t *testing.T) {
	var c column.Codec
	frames := shardFrames(30, 2)
	frames[7].Source, frames[9].Account = "nginx", muster.AccountID{1}
	stored := buildSegment(t, &c, frames)
	expectFrames(t, &c, stored, frames)
	t.Logf("%.3f B/sample", float64(len(stored))/float64(len(frames)*len(frames[0].Values)))
}

func TestSegmentTellsDamage(t *testing.T) {
	var c column.Codec
	frames := shardFrames(3, 1)
	stored := buildSegment(t, &c, frames)
	none := func(*muster.Frame) error { t.Fatal("a frame of a damaged segment"); return nil }
	for i := range stored {
		bad := append([]byte(nil), stored...)
		bad[i] ^= 0x10
		if err := c.ReadSegment(bad, schemasOf(frames), none); !errors.Is(err, muster.ErrInvalid) {
			t.Fatalf("byte %d damaged: %v", i, err)
		}
		if err := c.ReadSegment(stored[:i], schemasOf(frames), none); !errors.Is(err, muster.ErrInvalid) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

func TestSegmentRefuses(t *testing.T) {
	var c column.Codec
	f := hostFrames(1, 1, 10_000)[0]
	b := c.NewSegmentBuilder()
	short := *f
	short.Values = f.Values[1:]
	long := *f
	long.Source = string(make([]byte, muster.MaxSource+1))
	for _, bad := range []*muster.Frame{&short, &long, {}} {
		if err := b.Add(bad); !errors.Is(err, muster.ErrInvalid) {
			t.Fatalf("%v", err)
		}
	}
	var err error
	n := 0
	for ; err == nil; n++ {
		err = b.Add(f)
	}
	if !errors.Is(err, muster.ErrLimited) || b.Count() != n-1 || b.Len() > column.MaxSegment {
		t.Fatalf("%v after %d frames, %d bytes", err, n, b.Len())
	}
	stored := b.AppendTo(nil)
	b.Reset()
	if b.Count() != 0 || b.Len() != 0 {
		t.Fatal("not empty after Reset")
	}
	if err := c.ReadSegment(stored, schemasOf([]*muster.Frame{f}), func(*muster.Frame) error { n--; return nil }); err != nil || n != 1 {
		t.Fatalf("%d left, %v", n, err)
	}
	stop := errors.New("stop")
	if err := c.ReadSegment(stored, schemasOf([]*muster.Frame{f}), func(*muster.Frame) error { return stop }); err != stop {
		t.Fatalf("%v", err)
	}
	if err := c.ReadSegment(stored, func(muster.SchemaID) (*muster.Schema, error) { return nil, stop }, nil); err != stop {
		t.Fatalf("%v", err)
	}
}

func BenchmarkSegment(b *testing.B) {
	var c column.Codec
	frames := shardFrames(800, 1)
	builder := c.NewSegmentBuilder()
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		builder.Reset()
		for _, f := range frames {
			if err := builder.Add(f); err != nil {
				b.Fatal(err)
			}
		}
		out = builder.AppendTo(out[:0])
	}
	samples := float64(len(frames) * len(frames[0].Values))
	b.ReportMetric(float64(len(out))/samples, "B/sample")
	b.ReportMetric(float64(builder.Len())/samples, "raw-B/sample")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/samples, "ns/sample")
}

func BenchmarkReadSegment(b *testing.B) {
	var c column.Codec
	frames := shardFrames(800, 1)
	stored := buildSegment(b, &c, frames)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.ReadSegment(stored, schemasOf(frames[:1]), func(*muster.Frame) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(frames)*len(frames[0].Values)), "ns/sample")
}
