package series_test

import (
	"context"
	"log/slog"
	"math"
	"testing"
	"time"

	"muster"
	"muster/internal/series"
)

var account = muster.AccountID{0: 1, 15: 7}

// nodeID makes ids that differ in every byte that matters.
func nodeID(n int) muster.NodeID {
	id := muster.NodeID{0: 2}
	for i := range 8 {
		id[15-i] = byte(n >> (8 * i))
		id[7-i%7] ^= byte(n * (i + 3))
	}
	return id
}

func mustSchema(t testing.TB, metrics ...muster.Metric) *muster.Schema {
	t.Helper()
	s, err := muster.NewSchema(metrics)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// twoMetrics is a gauge with an attribute and a counter.
func twoMetrics(t testing.TB) *muster.Schema {
	return mustSchema(t,
		muster.Metric{Name: "cpu", Unit: "1", Kind: muster.Gauge, Attrs: []muster.Attr{{Key: "mode", Value: "user"}}},
		muster.Metric{Name: "bytes", Unit: "By", Kind: muster.Counter})
}

// frame has a gauge and a counter that can be foretold from the instant alone: the counter grows by 3 a second.
func frame(node muster.NodeID, schema *muster.Schema, at time.Time) *muster.Frame {
	ms := at.UnixMilli()
	values := make([]float64, len(schema.Metrics))
	for i := range values {
		values[i] = gaugeAt(ms, i)
		if schema.Metrics[i].Kind == muster.Counter {
			values[i] = float64(ms%1_000_000_000_000) * 3 / 1000
		}
	}
	return &muster.Frame{Account: account, Node: node, Source: muster.HostSource, At: ms, Sent: ms, Schema: schema, Values: values}
}

func gaugeAt(ms int64, i int) float64 {
	return math.Round(1000*(50+40*math.Sin(float64(ms)/3e6+float64(i)))) / 1000
}

// world is a DB whose process can be killed and started again over the same engine.
type world struct {
	t      testing.TB
	engine series.Engine
	o      series.Options
	db     *series.DB
	stop   context.CancelFunc
	done   chan struct{}
}

func newWorld(t testing.TB, engine series.Engine, o series.Options) *world {
	t.Helper()
	if o.Shards == 0 {
		o.Shards = 4
	}
	if testing.Verbose() {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	w := &world{t: t, engine: engine, o: o}
	w.start(engine)
	return w
}

func (w *world) start(engine series.Engine) {
	w.t.Helper()
	db, err := series.Open(context.Background(), engine, w.o)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	w.db, w.stop, w.done = db, stop, make(chan struct{})
	go func() {
		defer close(w.done)
		_ = db.Run(ctx)
	}()
}

// end stops the process; what it does after the engine was killed changes nothing.
func (w *world) end() {
	w.t.Helper()
	w.stop()
	<-w.done
	if err := w.db.Close(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) append(frames ...*muster.Frame) {
	w.t.Helper()
	if err := w.db.Append(context.Background(), frames); err != nil {
		w.t.Fatalf("append: %v", err)
	}
}

func (w *world) query(q series.Query) *series.Answer {
	w.t.Helper()
	q.Account = account
	a, err := w.db.Query(context.Background(), q)
	if err != nil {
		w.t.Fatalf("query %+v: %v", q, err)
	}
	return a
}

// times gives the instants of an answer's only line.
func times(t testing.TB, a *series.Answer) []int64 {
	t.Helper()
	if len(a.Lines) != 1 {
		t.Fatalf("%d lines, want 1", len(a.Lines))
	}
	var out []int64
	for _, p := range a.Lines[0].Points {
		out = append(out, p.T)
	}
	return out
}
