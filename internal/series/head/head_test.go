package head_test

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"muster"
	"muster/internal/series/head"
)

// plain packs without any art.
type plain struct{}

func (plain) Pack(p *head.Piece) []byte {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(p); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func unpack(b []byte) (*head.Piece, error) {
	p := &head.Piece{}
	return p, gob.NewDecoder(bytes.NewReader(b)).Decode(p)
}

func schemaOf(t interface{ Fatal(...any) }, names ...string) *muster.Schema {
	var metrics []muster.Metric
	for _, n := range names {
		metrics = append(metrics, muster.Metric{Name: n, Unit: "1", Kind: muster.Gauge})
	}
	s, err := muster.NewSchema(metrics)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// begin is the beginning of a day.
const begin = int64(1_782_000_000_000 / 86_400_000 * 86_400_000)

// TestUnitedAgain adds frames of changing schemas in any order, and reads everything back as one piece a window.
func TestUnitedAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		schemas := []*muster.Schema{schemaOf(t, "a", "b"), schemaOf(t, "b", "c"), schemaOf(t, "a", "b", "c")}
		find := func(id muster.SchemaID, i int) (*muster.Metric, error) {
			at := slices.IndexFunc(schemas, func(s *muster.Schema) bool { return s.ID == id })
			return &schemas[at].Metrics[i], nil
		}
		src, worker := &head.Source{Name: "host"}, head.NewWorker(plain{})
		want := map[string]float64{}
		known := map[int64]bool{}
		for range rapid.IntRange(1, 300).Draw(t, "frames") {
			s := schemas[rapid.IntRange(0, 2).Draw(t, "schema")]
			f := &muster.Frame{At: begin + rapid.Int64Range(0, 400).Draw(t, "at")*10_000, Schema: s}
			for range s.Metrics {
				f.Values = append(f.Values, rapid.SampledFrom([]float64{1, 2, -5.5, math.NaN()}).Draw(t, "v"))
			}
			outcome := src.Add(f, 1, time.Unix(0, 0), worker)
			if known[f.At] != (outcome == head.Double) {
				t.Fatalf("a frame of %d that is known: %v is told as %v", f.At, known[f.At], outcome)
			}
			if outcome == head.Double {
				continue
			}
			known[f.At] = true
			for i, m := range s.Metrics {
				if !math.IsNaN(f.Values[i]) {
					want[fmt.Sprint(m.Name, f.At)] = f.Values[i]
				}
			}
		}
		got := map[string]float64{}
		end := int64(0)
		room := &head.Room{}
		for _, w := range src.Windows() {
			if w.Start < end {
				t.Fatalf("window from %d overlaps the one before", w.Start)
			}
			end = w.End
			v := w.Look()
			pieces, err := v.Pieces(room, unpack)
			if err != nil {
				t.Fatal(err)
			}
			p, err := head.Unite(room, pieces, find)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Times) != w.Frames() || !slices.IsSorted(p.Times) || p.Times[0] < w.Start || p.Times[len(p.Times)-1] >= w.End {
				t.Fatalf("window %d to %d of %d frames has the instants %v", w.Start, w.End, w.Frames(), p.Times)
			}
			for _, c := range p.Columns {
				m, _ := find(p.Schemas[c.Schema], c.Index)
				for i, v := range c.Values {
					if key := fmt.Sprint(m.Name, p.Times[i]); !math.IsNaN(v) {
						if _, twice := got[key]; twice {
							t.Fatalf("%s is there twice", key)
						}
						got[key] = v
					}
				}
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("got %v\nwant %v", got, want)
		}
	})
}

func frameAt(s *muster.Schema, at int64) *muster.Frame {
	return &muster.Frame{At: at, Schema: s, Values: make([]float64, len(s.Metrics))}
}

// feed gives a source frames from..to every so many ms.
func feed(t *testing.T, src *head.Source, s *muster.Schema, from, to, every int64) {
	t.Helper()
	worker := head.NewWorker(plain{})
	for at := from; at < to; at += every {
		if what := src.Add(frameAt(s, at), at/60_000, time.UnixMilli(at), worker); what != head.Added {
			t.Fatalf("frame at +%d s: %v", (at-begin)/1000, what)
		}
	}
}

func lengths(src *head.Source) (out []int64) {
	for _, w := range src.Windows() {
		out = append(out, (w.End-w.Start)/60_000)
	}
	return out
}

func TestWindowsFollowThePeriod(t *testing.T) {
	s := schemaOf(t, "a")
	for every, want := range map[int64]string{1000: "[20 20 20]", 10_000: "[20 20 20]"} {
		src := &head.Source{}
		feed(t, src, s, begin, begin+3_600_000, every)
		if got := fmt.Sprint(lengths(src)); got != want {
			t.Errorf("every %d ms: windows of %s minutes, want %s", every, got, want)
		}
	}
	src := &head.Source{}
	feed(t, src, s, begin, begin+6*3_600_000, 60_000)
	if got, want := fmt.Sprint(lengths(src)), "[20 20 20 20 20 20 120 120]"; got != want {
		t.Errorf("every minute: windows of %s minutes, want %s: long ones from the next full two hours on", got, want)
	}
}

func TestAFullWindowEndsEarly(t *testing.T) {
	src := &head.Source{}
	feed(t, src, schemaOf(t, "a"), begin, begin+1_200_000, 100)
	for _, w := range src.Windows() {
		if w.Frames() > 8192 {
			t.Errorf("a window of %d frames", w.Frames())
		}
	}
	if len(src.Windows()) != 2 {
		t.Errorf("%d windows, want 2", len(src.Windows()))
	}
}

func TestSealedStaysKnownForAWhile(t *testing.T) {
	src, s, worker := &head.Source{}, schemaOf(t, "a"), head.NewWorker(plain{})
	feed(t, src, s, begin, begin+1_800_000, 10_000)
	src.Drop(src.Windows()[0], begin+1_800_000)
	now := time.UnixMilli(begin + 1_800_000)
	if what := src.Add(frameAt(s, begin+50_000), 1, now, worker); what != head.Double {
		t.Errorf("a frame of the sealed block: %v, want Double", what)
	}
	if what := src.Add(frameAt(s, begin+55_000), 1, now, worker); what != head.Late {
		t.Errorf("a new frame of the sealed stretch: %v, want Late", what)
	}
	if what := src.Add(frameAt(s, begin-55_000), 1, now, worker); what != head.Added {
		t.Errorf("a frame from before all: %v, want Added", what)
	}
	src.Tidy(begin + 7_200_000)
	if what := src.Add(frameAt(s, begin+50_000), 1, now, worker); what != head.Late {
		t.Errorf("much later the frame of the sealed block: %v, want Late", what)
	}
}

func TestTakenStretchesAreBounded(t *testing.T) {
	src, s, worker := &head.Source{}, schemaOf(t, "a"), head.NewWorker(plain{})
	for i := range int64(1000) {
		src.Take(head.Interval{Start: begin + i*1000, End: begin + i*1000 + 500})
	}
	if b := src.Bytes(); b > 10_000 {
		t.Errorf("1000 stretches occupy %d bytes", b)
	}
	if what := src.Add(frameAt(s, begin+700), 1, time.Time{}, worker); what != head.Late {
		t.Errorf("between stretches that were forgotten: %v, want Late", what)
	}
}

func TestRestoredOnce(t *testing.T) {
	src, s := &head.Source{}, schemaOf(t, "a")
	times := []int64{begin + 5, begin + 10}
	data := plain{}.Pack(&head.Piece{Schemas: []muster.SchemaID{s.ID}, Times: times, Columns: []head.Column{{Values: []float64{1, 2}}}})
	for range 2 { // reading a shard back may be tried again
		src.Restore(&head.Window{Start: begin, End: begin + 1_200_000}, times, data)
	}
	if w := src.Windows(); len(w) != 1 || w[0].Frames() != 2 || len(w[0].Chunks()) != 1 {
		t.Errorf("%d windows", len(w))
	}
	if what := src.Add(frameAt(s, begin+10), 1, time.Time{}, head.NewWorker(plain{})); what != head.Double {
		t.Errorf("a restored frame comes again: %v, want Double", what)
	}
	src.Learn(&muster.Frame{At: 7, Schema: s, Values: []float64{9}})
	src.Learn(&muster.Frame{At: 6, Schema: s, Values: []float64{8}})
	if at, _, v := src.Newest(); at != 7 || v[0] != 9 {
		t.Errorf("newest %v at %d", v, at)
	}
	src.Clear()
	if len(src.Windows()) != 0 {
		t.Error("windows are left after Clear")
	}
}

func TestManySchemasHoldFewRows(t *testing.T) {
	src, worker := &head.Source{}, head.NewWorker(plain{})
	for i := range 200 {
		f := frameAt(schemaOf(t, "a", fmt.Sprint("b", i)), begin+int64(i)*1000)
		src.Add(f, 1, time.Time{}, worker)
	}
	n := 0
	src.Windows()[0].Tails(func(*head.Tail) { n++ })
	if n > 2 {
		t.Errorf("%d tails for a source that changes its schema each time", n)
	}
}
