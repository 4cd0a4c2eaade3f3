package column_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"muster"
	"muster/internal/column"
)

// fixture is a real hour of a real machine at 10 s, as internal/check/host/testdata/record wrote it.
const fixture = "testdata/host-1h.jsonl.gz"

// recorded reads the fixture.
func recorded(t testing.TB) []*muster.Frame {
	t.Helper()
	file, err := os.Open(fixture)
	if os.IsNotExist(err) && os.Getenv("MUSTER_REQUIRE") != "all" {
		t.Skip("no recording at " + fixture)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	packed, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var frames []*muster.Frame
	var schemas []*muster.Schema
	in := json.NewDecoder(bufio.NewReader(packed))
	for {
		var line struct {
			At     int64
			Schema json.RawMessage
			Values []*float64
		}
		if err := in.Decode(&line); err == io.EOF || err == io.ErrUnexpectedEOF && len(frames) > 0 {
			return frames
		} else if err != nil {
			t.Fatal(err)
		}
		if line.Values == nil {
			schemas = append(schemas, recordedSchema(t, line.Schema))
			continue
		}
		var number int
		if err := json.Unmarshal(line.Schema, &number); err != nil {
			t.Fatal(err)
		}
		f := &muster.Frame{Node: muster.NodeID{1}, Source: muster.HostSource, At: line.At, Sent: line.At, Schema: schemas[number]}
		for _, v := range line.Values {
			if v == nil {
				f.Values = append(f.Values, math.NaN())
				continue
			}
			f.Values = append(f.Values, *v)
		}
		frames = append(frames, f)
	}
}

func recordedSchema(t testing.TB, raw []byte) *muster.Schema {
	t.Helper()
	var list []struct {
		Name, Unit, Kind string
		Attrs            map[string]string
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	var metrics []muster.Metric
	for _, d := range list {
		m := muster.Metric{Name: d.Name, Unit: d.Unit, Kind: muster.Gauge}
		if d.Kind == "counter" {
			m.Kind = muster.Counter
		}
		for k, v := range d.Attrs {
			m.Attrs = append(m.Attrs, muster.Attr{Key: k, Value: v})
		}
		slices.SortFunc(m.Attrs, func(a, b muster.Attr) int { return strings.Compare(a.Key, b.Key) })
		metrics = append(metrics, m)
	}
	return mustSchema(metrics)
}

// windows cuts the recording into blocks of n frames.
func windows(frames []*muster.Frame, n int) (blocks []*column.Block, samples int) {
	for part := range slices.Chunk(frames, n) {
		b := column.Gather(part)
		blocks = append(blocks, b)
		samples += len(b.Times) * len(b.Columns)
	}
	return blocks, samples
}

// On real metrics a sample takes at most a byte in a block and two in a chunk.
func TestRecordedHour(t *testing.T) {
	var c column.Codec
	frames := recorded(t)
	for _, form := range []struct {
		name   string
		rows   int
		most   float64
		append func([]byte, *column.Block) ([]byte, error)
	}{{"block", 120, 1, c.AppendBlock}, {"chunk", 32, 2, c.AppendChunk}} {
		blocks, samples := windows(frames, form.rows)
		size := 0
		for _, b := range blocks {
			stored, err := form.append(nil, b)
			if err != nil {
				t.Fatal(err)
			}
			expectBlock(t, &c, stored, b)
			size += len(stored)
		}
		t.Logf("%s of %d: %d samples, %.3f B/sample", form.name, form.rows, samples, float64(size)/float64(samples))
		if float64(size) > form.most*float64(samples) {
			t.Errorf("%s: %d bytes for %d samples", form.name, size, samples)
		}
	}
	expectFrames(t, &c, buildSegment(t, &c, frames), frames)
}

func BenchmarkRecorded(b *testing.B) {
	frames := recorded(b)
	var c column.Codec
	for _, form := range []struct {
		name   string
		rows   int
		append func([]byte, *column.Block) ([]byte, error)
	}{{"block", 120, c.AppendBlock}, {"chunk", 32, c.AppendChunk}} {
		blocks, samples := windows(frames, form.rows)
		b.Run(form.name, func(b *testing.B) {
			var out []byte
			size := 0
			for b.Loop() {
				size = 0
				for _, blk := range blocks {
					out, _ = form.append(out[:0], blk)
					size += len(out)
				}
			}
			b.ReportMetric(float64(size)/float64(samples), "B/sample")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(samples), "ns/sample")
		})
	}
	b.Run("segment", func(b *testing.B) {
		builder := c.NewSegmentBuilder()
		var out []byte
		for b.Loop() {
			builder.Reset()
			for _, f := range frames {
				if err := builder.Add(f); err != nil {
					b.Fatal(err)
				}
			}
			out = builder.AppendTo(out[:0])
		}
		samples := len(frames) * len(frames[0].Values)
		b.ReportMetric(float64(len(out))/float64(samples), "B/sample")
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(samples), "ns/sample")
	})
}
