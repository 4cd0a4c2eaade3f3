package seriestest

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"muster"
	"muster/internal/series"
	"muster/internal/series/engine"
)

func killed(t *testing.T, o Opened) { Kill(t, o.Engine, 0) }

// Kill runs a DB over the engine with faults, kills it at any point several times, and proves that every
// acknowledged frame is there, once, with the values it had. Each seed is another story, of another account.
func Kill(t *testing.T, e engine.Engine, seed uint64) {
	k := &killer{t: t, engine: e, random: rand.New(rand.NewPCG(seed, 7)), acked: map[muster.NodeID]map[int64]float64{}}
	k.schema, _ = muster.NewSchema([]muster.Metric{{Name: "m", Unit: "1", Kind: muster.Gauge}, {Name: "n", Unit: "1", Kind: muster.Gauge}})
	k.account = muster.AccountID{1: byte(seed + 1)}
	k.now = time.Date(2026, 5, 1+int(seed), 0, 0, 0, 0, time.UTC)
	for range 5 {
		k.life(Faults{Refuse: 0.05, Unknown: 0.05, Double: 0.1})
	}
	k.life(Faults{})
	k.verify()
}

// killer keeps the clock, the DB's lives, and what was acknowledged.
type killer struct {
	t       *testing.T
	engine  engine.Engine
	random  *rand.Rand
	schema  *muster.Schema
	account muster.AccountID
	mu      sync.Mutex
	now     time.Time
	acked   map[muster.NodeID]map[int64]float64
}

func (k *killer) clock() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

func (k *killer) advance(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = k.now.Add(d)
}

func (k *killer) open(e engine.Engine) *series.DB {
	db, err := series.Open(ctx, e, series.Options{Shards: 4, Now: k.clock, RebuildAfter: time.Minute, PublishEvery: 3 * time.Minute})
	if err != nil {
		k.t.Fatal(err)
	}
	return db
}

// life lets frames come in, in order, late and twice, while the DB's work goes on, until it is killed.
func (k *killer) life(f Faults) {
	faulty := NewFaulty(k.engine, Faults{}, k.random.Uint64())
	db := k.open(faulty)
	faulty.Set(f)
	for range 20 + k.random.IntN(40) {
		var frames []*muster.Frame
		for n := range byte(3) {
			late := time.Duration(0)
			if k.random.IntN(10) == 0 {
				late = time.Duration(k.random.IntN(5*3600)) * time.Second
			}
			frames = append(frames, k.frame(node(n+1), k.clock().Add(-late)))
		}
		c, stop := context.WithTimeout(ctx, 5*time.Second)
		if err := db.Append(c, frames); err == nil {
			for _, f := range frames {
				if k.acked[f.Node] == nil {
					k.acked[f.Node] = map[int64]float64{}
				}
				if _, known := k.acked[f.Node][f.At]; !known {
					k.acked[f.Node][f.At] = f.Values[0]
				}
			}
		}
		stop()
		k.advance(time.Duration(5+k.random.IntN(50)) * time.Second)
		if k.random.IntN(4) == 0 {
			c, stop := context.WithTimeout(ctx, 5*time.Second)
			_ = db.Work(c) // with faults it may fail, and is tried again
			stop()
		}
	}
	faulty.Kill()
	if err := db.Close(); err != nil {
		k.t.Fatal(err)
	}
}

func (k *killer) frame(id muster.NodeID, at time.Time) *muster.Frame {
	ms := at.UnixMilli()
	v := math.Round(float64(ms%7919)*float64(id[0])) / 8
	return &muster.Frame{Account: k.account, Node: id, Source: muster.HostSource, At: ms, Sent: ms, Schema: k.schema, Values: []float64{v, -v}}
}

// verify opens the DB once more, lets all rebuilds happen, and reads everything back.
func (k *killer) verify() {
	db := k.open(k.engine)
	defer func() { _ = db.Close() }()
	k.read(db, false)
	for range 8 {
		k.advance(time.Hour)
		must(k.t, db.Work(ctx))
	}
	k.read(db, true)
	k.countTiles(db)
}

// countTiles compares the number of samples in the rollups.
func (k *killer) countTiles(db *series.DB) {
	for id, want := range k.acked {
		from := k.clock().Add(-40 * time.Hour).Truncate(time.Hour)
		a, err := db.Query(ctx, series.Query{Account: k.account, Nodes: []muster.NodeID{id}, Metric: "m", From: from, To: k.clock(), Step: 5 * time.Minute, Fn: "count"})
		if err != nil {
			k.t.Fatal(err)
		}
		total := 0.0
		for _, p := range a.Lines[0].Points {
			total += p.Avg
		}
		// What was not acknowledged may be there as well.
		if total < float64(len(want)) {
			k.t.Errorf("node %s: the rollups hold %v samples, want at least %d", id, total, len(want))
		}
	}
}

// read compares with what was acknowledged. Late frames of sealed blocks may be missing until their hour is rebuilt.
func (k *killer) read(db *series.DB, all bool) {
	for id, want := range k.acked {
		a, err := db.Query(ctx, series.Query{Account: k.account, Nodes: []muster.NodeID{id}, Metric: "m", From: k.clock().Add(-40 * time.Hour), To: k.clock().Add(time.Hour), Step: time.Second, Fn: "count"})
		if err != nil {
			k.t.Fatal(err)
		}
		got := map[int64]series.Point{}
		for _, l := range a.Lines {
			for _, p := range l.Points {
				got[p.T] = p
			}
		}
		for at, v := range want {
			p, ok := got[at]
			switch {
			case !ok && all:
				k.t.Errorf("node %s: the acknowledged frame of %v is lost", id, time.UnixMilli(at).UTC())
			case ok && (p.Avg != 1 || p.Min != v || p.Max != v):
				k.t.Errorf("node %s: %v is %+v, want %v once", id, time.UnixMilli(at).UTC(), p, v)
			}
		}
	}
}
