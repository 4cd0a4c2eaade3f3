package series_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"muster"
	"muster/internal/series"
	"muster/internal/series/pebble"
)

// cpu gives the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func openPebble(b testing.TB) *pebble.Engine {
	e, err := pebble.Open(b.TempDir(), pebble.Options{Cache: 64 << 20, MemTable: 16 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = e.Close() })
	return e
}

// hostSchema is 100 metrics, of which 60 are counters, like those of a host.
func hostSchema(b testing.TB) *muster.Schema {
	var metrics []muster.Metric
	for i := range 100 {
		kind := muster.Gauge
		if i%5 < 3 {
			kind = muster.Counter
		}
		metrics = append(metrics, muster.Metric{Name: fmt.Sprintf("system.metric%d", i/4), Unit: "1", Kind: kind, Attrs: []muster.Attr{{Key: "part", Value: fmt.Sprint(i % 4)}}})
	}
	for i := range metrics { // one name has one kind
		metrics[i].Kind = metrics[i-i%4].Kind
	}
	return mustSchema(b, metrics...)
}

// host makes frames that look like a host's: counters that grow unevenly, gauges that wander, some that rest.
type host struct {
	id     muster.NodeID
	schema *muster.Schema
	values []float64
	random *rand.Rand
}

func newHost(n int, schema *muster.Schema) *host {
	h := &host{id: nodeID(n), schema: schema, values: make([]float64, len(schema.Metrics)), random: rand.New(rand.NewPCG(uint64(n), 3))}
	for i := range h.values {
		h.values[i] = float64(h.random.IntN(1_000_000))
	}
	return h
}

func (h *host) next(at int64) *muster.Frame {
	for i := range h.values {
		switch {
		case i%10 == 9: // rests
		case h.schema.Metrics[i].Kind == muster.Counter:
			h.values[i] += math.Floor(h.random.ExpFloat64() * float64(i*i))
		case i%2 == 0:
			h.values[i] += float64(h.random.IntN(65) - 32)
		default:
			h.values[i] = math.Round(1000*math.Abs(math.Sin(h.values[i]+h.random.Float64()/20))) / 1000
		}
	}
	return &muster.Frame{Account: account, Node: h.id, Source: muster.HostSource, At: at, Sent: at, Schema: h.schema, Values: append([]float64(nil), h.values...)}
}

// benchTime begins on a full day.
var benchTime = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// BenchmarkAppend: decoded frames of 2,000 nodes to durable, by group commit, heads included.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1000, 10000} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			const nodes = 1000
			db, err := series.Open(context.Background(), openPebble(b), series.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			schema := hostSchema(b)
			ring := make([][]*muster.Frame, 150) // made before, so that only the engine is measured
			hosts := make([]*host, nodes)
			for n := range hosts {
				hosts[n] = newHost(n, schema)
			}
			start := time.Now().UnixMilli()
			for i := range ring {
				for _, h := range hosts {
					ring[i] = append(ring[i], h.next(start+int64(i)*10_000))
				}
			}
			if err := db.Append(context.Background(), ring[0]); err != nil {
				b.Fatal(err)
			}
			runtime.GC()
			var next atomic.Int64
			next.Store(nodes)
			limit := int64(nodes * len(ring))
			begun := cpu()
			b.ResetTimer()
			var group sync.WaitGroup
			for range callers {
				group.Go(func() {
					for {
						i := next.Add(1) - 1
						if i >= limit {
							return
						}
						if err := db.Append(context.Background(), ring[i/nodes][i%nodes:i%nodes+1]); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
			used := cpu() - begun
			samples := float64(limit-nodes) * 100
			b.ReportMetric(samples/used.Seconds()/1e6, "Msamples/cpu-s")
			b.ReportMetric(samples/b.Elapsed().Seconds()/1e6, "Msamples/s")
			s := db.Stats()
			b.ReportMetric(float64(s.HeadBytes)/nodes, "headB/node")
			b.ReportMetric(float64(s.Frames)/float64(s.Segments), "frames/segment")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// fill stores whole days of nodes, sealed and rolled up, by setting the clock.
func fill(b *testing.B, nodes int, length, period time.Duration, schema *muster.Schema) (*series.DB, time.Time, time.Duration) {
	var clock atomic.Int64
	clock.Store(benchTime.UnixMilli())
	db, err := series.Open(context.Background(), openPebble(b), series.Options{Now: func() time.Time { return time.UnixMilli(clock.Load()) }, RebuildAfter: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	hosts := make([]*host, nodes)
	for n := range hosts {
		hosts[n] = newHost(n, schema)
	}
	var sealing time.Duration
	end := benchTime.Add(length)
	for at := benchTime; at.Before(end); at = at.Add(10 * time.Minute) {
		clock.Store(at.Add(10 * time.Minute).UnixMilli())
		var frames []*muster.Frame
		for t := at; t.Before(at.Add(10 * time.Minute)); t = t.Add(period) {
			for _, h := range hosts {
				frames = append(frames, h.next(t.UnixMilli()+37))
			}
		}
		if err := db.Append(context.Background(), frames); err != nil {
			b.Fatal(err)
		}
		if at.Sub(benchTime)%(20*time.Minute) == 10*time.Minute {
			begun := cpu()
			if err := db.Work(context.Background()); err != nil {
				b.Fatal(err)
			}
			sealing += cpu() - begun
		}
	}
	clock.Store(end.Add(2 * time.Hour).UnixMilli())
	if err := db.Work(context.Background()); err != nil {
		b.Fatal(err)
	}
	return db, end, sealing
}

// BenchmarkNodeDay: 24 h of one metric of one node at its own period of 10 s, from sealed blocks.
func BenchmarkNodeDay(b *testing.B) {
	schema := hostSchema(b)
	db, end, _ := fill(b, 20, 24*time.Hour, 10*time.Second, schema)
	q := series.Query{Account: account, Nodes: []muster.NodeID{nodeID(7)}, Metric: schema.Metrics[0].Name, Attrs: map[string]string{"part": "2"}, From: end.Add(-24 * time.Hour), To: end, Points: 9000}
	for b.Loop() {
		a, err := db.Query(context.Background(), q)
		if err != nil || len(a.Lines) != 1 || len(a.Lines[0].Points) < 8600 {
			b.Fatal(err, len(a.Lines), a.Step)
		}
	}
}

// BenchmarkFleetDay: one metric of 10,000 nodes over 24 h at 5 minutes, from tiles.
func BenchmarkFleetDay(b *testing.B) {
	schema := mustSchema(b, muster.Metric{Name: "cpu", Unit: "1", Kind: muster.Gauge}, muster.Metric{Name: "net", Unit: "By", Kind: muster.Counter})
	const nodes = 10_000
	db, end, _ := fill(b, nodes, 24*time.Hour, 100*time.Second, schema)
	for _, metric := range []string{"cpu", "net"} {
		b.Run(metric, func(b *testing.B) {
			q := series.Query{Account: account, Metric: metric, From: end.Add(-24 * time.Hour), To: end, Points: 288}
			for b.Loop() {
				a, err := db.Query(context.Background(), q)
				if err != nil || len(a.Lines) != nodes || len(a.Lines[5].Points) < 287 {
					b.Fatal(err, len(a.Lines), a.Step, len(a.Lines[5].Points))
				}
			}
		})
	}
}

// BenchmarkSeal: open windows of 120 frames to verified, durable blocks.
func BenchmarkSeal(b *testing.B) {
	schema := hostSchema(b)
	const nodes = 200
	var used time.Duration
	var samples float64
	for b.Loop() {
		b.StopTimer()
		var clock atomic.Int64
		clock.Store(benchTime.UnixMilli())
		db, err := series.Open(context.Background(), openPebble(b), series.Options{Now: func() time.Time { return time.UnixMilli(clock.Load()) }})
		if err != nil {
			b.Fatal(err)
		}
		hosts := make([]*host, nodes)
		for n := range hosts {
			hosts[n] = newHost(n, schema)
		}
		for i := range int64(121) {
			clock.Store(benchTime.UnixMilli() + i*10_000)
			var frames []*muster.Frame
			for _, h := range hosts {
				frames = append(frames, h.next(clock.Load()))
			}
			if err := db.Append(context.Background(), frames); err != nil {
				b.Fatal(err)
			}
		}
		clock.Add(20 * 60_000)
		runtime.GC()
		b.StartTimer()
		begun := cpu()
		if err := db.Seal(context.Background()); err != nil {
			b.Fatal(err)
		}
		used += cpu() - begun
		b.StopTimer()
		s := db.Stats()
		samples += 120 * 100 * nodes
		b.ReportMetric(s.BytesPerSample, "B/sample")
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(samples/used.Seconds()/1e6, "Msamples/cpu-s")
}
