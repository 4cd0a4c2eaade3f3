package series_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"muster"
	"muster/internal/series"
	"muster/internal/series/seriestest"
)

// live lets a node measure for a while, and gives the instants.
func (w *world) live(id muster.NodeID, schema *muster.Schema, length, period time.Duration) (at []int64) {
	w.t.Helper()
	for end := time.Now().Add(length); time.Now().Before(end); {
		time.Sleep(period)
		w.append(frame(id, schema, time.Now()))
		at = append(at, time.Now().UnixMilli())
	}
	return at
}

// want compares a gauge's line at the node's own step with what was measured.
func (w *world) want(id muster.NodeID, from time.Time, at []int64) {
	w.t.Helper()
	a := w.query(series.Query{Nodes: []muster.NodeID{id}, Metric: "cpu", From: from, To: time.Now().Add(time.Second), Step: time.Second})
	got := map[int64]float64{}
	for _, l := range a.Lines {
		for _, p := range l.Points {
			got[p.T] = p.Avg
			if p.Min != p.Max {
				w.t.Errorf("a step of one sample has %+v", p)
			}
		}
	}
	for _, ms := range at {
		if v, ok := got[ms-ms%1000]; !ok || v != gaugeAt(ms, 0) { // a write may have waited for its wave
			w.t.Errorf("%v: %v (there: %v), want %v", time.UnixMilli(ms).UTC(), v, ok, gaugeAt(ms, 0))
		}
	}
	if len(got) != len(at) {
		w.t.Errorf("%d points, want %d", len(got), len(at))
	}
}

func TestKilledInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := seriestest.NewMemory()
		schema, id := twoMetrics(t), nodeID(3)
		begin := time.Now()
		var at []int64
		w := newWorld(t, seriestest.NewFaulty(memory, seriestest.Faults{}, 1), series.Options{})
		for _, length := range []time.Duration{3 * time.Minute, 11 * time.Minute, 24 * time.Minute, 90 * time.Second, 2 * time.Hour} {
			at = append(at, w.live(id, schema, length, 10*time.Second)...)
			w.engine.(*seriestest.Faulty).Kill()
			w.end()
			w.engine = seriestest.NewFaulty(memory, seriestest.Faults{}, 1)
			w.start(w.engine)
			w.want(id, begin, at)
		}
		w.end()
	})
}

func TestDoublesAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seriestest.NewMemory(), series.Options{})
		defer w.end()
		schema, id := twoMetrics(t), nodeID(3)
		begin := time.Now()
		var frames []*muster.Frame
		var at []int64
		for range 200 {
			time.Sleep(10 * time.Second)
			f := frame(id, schema, time.Now())
			w.append(f)
			frames, at = append(frames, f), append(at, f.At)
			if n := len(frames); n%7 == 0 {
				w.append(frames[max(0, n-60):]...) // an agent that changed its server sends ten minutes again
			}
		}
		w.want(id, begin, at)
		if s := w.db.Stats(); s.Late != 0 || s.Duplicates == 0 || s.Dirty != 0 {
			t.Errorf("stats %+v: doubles must not look like late data", s)
		}
	})
}

func TestLateData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seriestest.NewMemory(), series.Options{})
		defer w.end()
		schema, id, steady := twoMetrics(t), nodeID(3), nodeID(4)
		begin := time.Now()
		at := w.live(id, schema, 10*time.Minute, 10*time.Second)
		w.live(steady, schema, 5*time.Hour, time.Minute) // meanwhile the node is cut off, and keeps its frames
		var kept []*muster.Frame
		for ms := at[len(at)-1] + 10_000; ms <= time.Now().UnixMilli(); ms += 10_000 {
			kept = append(kept, frame(id, schema, time.UnixMilli(ms)))
			at = append(at, ms)
		}
		for len(kept) > 0 {
			n := min(100, len(kept))
			w.append(kept[:n]...)
			kept = kept[n:]
		}
		at = append(at, w.live(id, schema, time.Hour, 10*time.Second)...)
		w.want(id, begin, at)
		a := w.query(series.Query{Nodes: []muster.NodeID{id}, Metric: "cpu", From: begin, To: time.Now(), Step: 5 * time.Minute, Fn: "count"})
		for _, p := range a.Lines[0].Points[:len(a.Lines[0].Points)-1] {
			if p.T > begin.UnixMilli() && p.Avg != 30 {
				t.Errorf("rollup at %v holds %v samples, want 30", time.UnixMilli(p.T).UTC(), p.Avg)
			}
		}
		if s := w.db.Stats(); s.Dirty != 0 || s.Late == 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestDamagedSegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := seriestest.NewMemory()
		w := newWorld(t, memory, series.Options{})
		schema, id := twoMetrics(t), nodeID(3)
		begin := time.Now()
		at := w.live(id, schema, 5*time.Minute, 10*time.Second)
		w.end()
		memory.Damage(memory.Segments()[7])
		w.start(memory)
		defer w.end()
		w.want(id, begin, append(at[:7:7], at[8:]...))
		if s := w.db.Stats(); s.Corrupt != 1 {
			t.Errorf("%d counted as corrupt, want 1", s.Corrupt)
		}
	})
}

func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		w := newWorld(t, seriestest.NewMemory(), series.Options{MayWrite: func() error {
			if full.Load() {
				return fmt.Errorf("%w: full", muster.ErrUnavailable)
			}
			return nil
		}})
		defer w.end()
		schema, id := twoMetrics(t), nodeID(3)
		begin := time.Now()
		at := w.live(id, schema, 10*time.Minute, 10*time.Second)
		full.Store(true)
		if err := w.db.Append(context.Background(), []*muster.Frame{frame(id, schema, time.Now().Add(time.Second))}); !errors.Is(err, muster.ErrUnavailable) {
			t.Errorf("append on a full disk: %v, want ErrUnavailable", err)
		}
		time.Sleep(time.Hour)
		w.want(id, begin, at)
		full.Store(false)
		w.want(id, begin, append(at, w.live(id, schema, 10*time.Minute, 10*time.Second)...))
	})
}

func TestUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := seriestest.NewFaulty(seriestest.NewMemory(), seriestest.Faults{}, 5)
		w := newWorld(t, faulty, series.Options{})
		defer w.end()
		schema, id := twoMetrics(t), nodeID(3)
		begin := time.Now()
		at := w.live(id, schema, time.Minute, 10*time.Second)
		faulty.Set(seriestest.Faults{Unknown: 1})
		time.Sleep(10 * time.Second)
		f := frame(id, schema, time.Now())
		if err := w.db.Append(context.Background(), []*muster.Frame{f}); !errors.Is(err, muster.ErrUnavailable) {
			t.Errorf("append: %v, want ErrUnavailable after the retries", err)
		}
		faulty.Set(seriestest.Faults{})
		w.append(f) // the agent sends it again
		w.want(id, begin, append(at, f.At))
	})
}

func TestTwoOwnersUnite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := seriestest.NewMemory()
		owner := func(epoch uint64) series.Options {
			return series.Options{Shared: true, Owns: func(int) (uint64, bool) { return epoch, true }}
		}
		first := newWorld(t, memory, owner(1))
		schema, id := twoMetrics(t), nodeID(3)
		begin := time.Now()
		at := first.live(id, schema, 9*time.Minute, 10*time.Second)
		second := newWorld(t, memory, owner(2)) // takes over while the first does not know yet
		for i := range 400 {
			time.Sleep(10 * time.Second)
			f := frame(id, schema, time.Now())
			at = append(at, f.At)
			if i%3 == 0 {
				first.append(f)
			} else {
				second.append(f)
			}
		}
		first.end()
		time.Sleep(30 * time.Minute)
		second.end()
		third := newWorld(t, memory, owner(3))
		defer third.end()
		third.want(id, begin, at)
	})
}

func TestOwnershipMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := seriestest.NewMemory()
		var owner atomic.Int64
		options := func(me int64) series.Options {
			return series.Options{Shared: true, Owns: func(int) (uint64, bool) { now := owner.Load(); return uint64(now + 1), now%2 == me }}
		}
		a, b := newWorld(t, memory, options(0)), newWorld(t, memory, options(1))
		defer a.end()
		defer b.end()
		schema, id := twoMetrics(t), nodeID(3)
		begin := time.Now()
		at := a.live(id, schema, 15*time.Minute, 10*time.Second)
		q := series.Query{Account: account, Metric: "cpu", From: begin, To: time.Now()}
		if _, err := b.db.Query(context.Background(), q); !errors.Is(err, muster.ErrUnavailable) {
			t.Errorf("query of a shard of another server: %v, want ErrUnavailable", err)
		}
		owner.Store(1)
		at = append(at, a.live(id, schema, 5*time.Minute, 10*time.Second)...) // the gateway stores, the owner is another
		owner.Store(2)
		time.Sleep(20 * time.Second)
		a.want(id, begin, at)
	})
}

func TestSchemaChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seriestest.NewMemory(), series.Options{})
		defer w.end()
		two, id := twoMetrics(t), nodeID(3)
		three := mustSchema(t, muster.Metric{Name: "new", Unit: "1", Kind: muster.Gauge}, two.Metrics[1], two.Metrics[0])
		begin := time.Now()
		var at []int64
		for i := range 300 {
			schema := two
			if i%50 > 25 {
				schema = three
			}
			time.Sleep(10 * time.Second)
			f := frame(id, schema, time.Now())
			for j, m := range schema.Metrics {
				if m.Name == "cpu" {
					f.Values[j] = gaugeAt(f.At, 0)
				}
			}
			w.append(f)
			at = append(at, f.At)
		}
		w.want(id, begin, at)
		a := w.query(series.Query{Metric: "new", From: begin, To: time.Now(), Step: 10 * time.Second})
		if n := len(a.Lines[0].Points); n != 144-1 {
			t.Errorf("%d points of the metric that comes and goes, want 143", n)
		}
	})
}

func TestMetricsNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := seriestest.NewMemory()
		w := newWorld(t, memory, series.Options{})
		schema, id := twoMetrics(t), nodeID(3)
		at := w.live(id, schema, 30*time.Minute, 10*time.Second)
		check := func(when string) {
			t.Helper()
			list, err := w.db.Metrics(context.Background(), account, id)
			if err != nil || len(list) != 2 {
				t.Fatalf("%s: %v, %v", when, list, err)
			}
			if m := list[1]; m.Metric.Name != "cpu" || m.At != at[len(at)-1] || m.Value != gaugeAt(m.At, 0) || m.Source != muster.HostSource {
				t.Errorf("%s: %+v", when, m)
			}
		}
		check("from the head")
		time.Sleep(5 * time.Hour)
		check("after all is sealed")
		w.end()
		w.start(memory)
		check("after a restart")
		w.end()
		time.Sleep(24 * time.Hour)
		w.start(memory)
		defer w.end()
		check("after a day without it")
		if _, err := w.db.Metrics(context.Background(), account, nodeID(99)); !errors.Is(err, muster.ErrNotFound) {
			t.Errorf("an unknown node: %v, want ErrNotFound", err)
		}
		if err := w.db.ForgetNode(context.Background(), account, id); err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.Metrics(context.Background(), account, id); !errors.Is(err, muster.ErrNotFound) {
			t.Errorf("a forgotten node: %v, want ErrNotFound", err)
		}
	})
}

func TestSlowNodeHasLongBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := seriestest.NewMemory()
		w := newWorld(t, memory, series.Options{})
		defer w.end()
		schema, id := twoMetrics(t), nodeID(3)
		begin := time.Now()
		at := w.live(id, schema, 12*time.Hour, time.Minute)
		w.want(id, begin, at)
		most := uint32(0)
		for _, b := range memory.Blocks() {
			most = max(most, b.Gen.Frames)
		}
		if most != 120 {
			t.Errorf("the fullest block has %d frames, want 120", most)
		}
		a := w.query(series.Query{Metric: "bytes", From: begin, To: time.Now()})
		if a.Step != 5*time.Minute {
			t.Errorf("step %v, want 5 min: 12 h at 300 points is more than the period allows", a.Step)
		}
		a = w.query(series.Query{Metric: "bytes", From: begin.Add(time.Hour), To: begin.Add(3 * time.Hour)})
		if a.Step != time.Minute || len(a.Lines[0].Points) != 120 {
			t.Errorf("step %v with %d points, want the node's own minute and 120", a.Step, len(a.Lines[0].Points))
		}
	})
}

func TestLogGoesWhenAllIsSealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := seriestest.NewMemory()
		w := newWorld(t, memory, series.Options{})
		defer w.end()
		w.live(nodeID(3), twoMetrics(t), 8*time.Hour, 10*time.Second)
		oldest := memory.Segments()[0].Minute
		if age := time.Now().Unix()/60 - int64(oldest); age < 120 || age > 240 {
			t.Errorf("the oldest segment is %d minutes old, want between 2 and 4 hours", age)
		}
	})
}

func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := seriestest.NewMemory()
		var back atomic.Int64
		w := newWorld(t, memory, series.Options{Now: func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }})
		schema, id := twoMetrics(t), nodeID(3)
		begin := time.Now()
		at := w.live(id, schema, 25*time.Minute, 10*time.Second)
		w.end()
		back.Store(int64(3 * time.Hour))
		w.start(memory)
		at = append(at, w.live(id, schema, time.Minute, 10*time.Second)...)
		w.end()
		w.start(memory)
		defer w.end()
		w.want(id, begin, at)
	})
}

func TestManyAtOnce(t *testing.T) {
	w := newWorld(t, seriestest.NewMemory(), series.Options{Shards: 16})
	defer w.end()
	schema := twoMetrics(t)
	begin := time.Now().Add(-10 * time.Minute).Truncate(time.Second)
	const nodes, each = 40, 50
	var group sync.WaitGroup
	for n := range nodes {
		group.Go(func() {
			for i := range each {
				f := frame(nodeID(n), schema, begin.Add(time.Duration(i)*time.Second))
				if err := w.db.Append(context.Background(), []*muster.Frame{f}); err != nil {
					t.Error(err)
				}
				if i%10 == 0 {
					w.query(series.Query{Metric: "cpu", From: begin, To: begin.Add(time.Hour)})
				}
			}
		})
	}
	group.Wait()
	a := w.query(series.Query{Metric: "cpu", From: begin, To: begin.Add(each * time.Second), Points: each})
	if len(a.Lines) != nodes || a.Step != time.Second {
		t.Fatalf("%d lines at %v", len(a.Lines), a.Step)
	}
	for _, l := range a.Lines {
		if len(l.Points) != each {
			t.Errorf("node %s has %d points, want %d", l.Node, len(l.Points), each)
		}
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t, seriestest.NewMemory(), series.Options{Limits: series.Limits{Lines: 3, Points: 1000, Samples: 5000}})
	defer w.end()
	schema := twoMetrics(t)
	now := time.Now()
	for n := range 4 {
		w.append(frame(nodeID(n), schema, now))
	}
	base := series.Query{Account: account, Nodes: []muster.NodeID{nodeID(1)}, Metric: "cpu", From: now.Add(-time.Hour), To: now}
	change := func(f func(*series.Query)) series.Query { q := base; f(&q); return q }
	for name, c := range map[string]struct {
		q    series.Query
		kind error
	}{
		"no metric":      {change(func(q *series.Query) { q.Metric = "" }), muster.ErrInvalid},
		"no account":     {change(func(q *series.Query) { q.Account = muster.AccountID{} }), muster.ErrInvalid},
		"strange fn":     {change(func(q *series.Query) { q.Fn = "median" }), muster.ErrInvalid},
		"rate of gauge":  {change(func(q *series.Query) { q.Fn = "rate" }), muster.ErrInvalid},
		"backwards":      {change(func(q *series.Query) { q.From = now.Add(time.Hour) }), muster.ErrInvalid},
		"negative":       {change(func(q *series.Query) { q.Points = -1 }), muster.ErrInvalid},
		"too many nodes": {change(func(q *series.Query) { q.Nodes = nil }), muster.ErrLimited},
		"too fine":       {change(func(q *series.Query) { q.From = now.Add(-3 * time.Hour); q.Step = time.Second }), muster.ErrLimited},
		"too long":       {change(func(q *series.Query) { q.From = now.Add(-4 * 24 * time.Hour); q.Step = time.Hour + time.Second }), muster.ErrLimited},
	} {
		if _, err := w.db.Query(context.Background(), c.q); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v, want %v", name, err, c.kind)
		}
	}
	bad := frame(nodeID(1), schema, now)
	bad.Values = bad.Values[:1]
	for name, f := range map[string]*muster.Frame{"nil": nil, "values": bad, "source": {Account: account, Node: nodeID(1), At: 5, Schema: schema, Values: []float64{1, 2}}, "time": {Account: account, Node: nodeID(1), Source: "host", At: math.MaxInt64, Schema: schema, Values: []float64{1, 2}}} {
		if err := w.db.Append(context.Background(), []*muster.Frame{f}); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("frame with a bad %s: %v, want ErrInvalid", name, err)
		}
	}
	other := base
	other.Account = muster.AccountID{9: 9}
	if a, err := w.db.Query(context.Background(), other); err != nil || len(a.Lines) != 0 {
		t.Errorf("another account sees %v, %v", a, err)
	}
}

func TestClosed(t *testing.T) {
	w := newWorld(t, seriestest.NewMemory(), series.Options{})
	w.end()
	if err := w.db.Append(context.Background(), []*muster.Frame{frame(nodeID(1), twoMetrics(t), time.Now())}); !errors.Is(err, muster.ErrUnavailable) {
		t.Errorf("append after close: %v, want ErrUnavailable", err)
	}
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]series.Options{
		"shards":   {Shards: -1},
		"duration": {Grace: -1},
		"class":    {Classes: []series.Class{{Name: "x", Raw: time.Hour}}},
	} {
		if _, err := series.Open(context.Background(), seriestest.NewMemory(), o); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}
