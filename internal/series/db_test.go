package series_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"muster/internal/series"
	"muster/internal/series/seriestest"
)

// TestOneLine lets a node live through heads, published and sealed blocks and tiles, and asks for all of it at once.
func TestOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := seriestest.NewMemory()
		w := newWorld(t, engine, series.Options{})
		defer w.end()
		schema, id := twoMetrics(t), nodeID(1)
		begin := time.Now()
		const hours = 5
		for range hours * 360 {
			time.Sleep(10 * time.Second)
			w.append(frame(id, schema, time.Now()))
		}
		end := time.Now().Add(time.Millisecond)

		fine := w.query(series.Query{Nodes: nil, Metric: "cpu", From: begin, To: end, Points: 5000})
		if fine.Step != 10*time.Second || fine.Unit != "1" {
			t.Errorf("step %v unit %q", fine.Step, fine.Unit)
		}
		got := times(t, fine)
		if len(got) != hours*360 {
			t.Errorf("%d points, want %d", len(got), hours*360)
		}
		for i, p := range fine.Lines[0].Points {
			if want := gaugeAt(p.T, 0); p.Avg != want || p.Min != want || p.Max != want {
				t.Fatalf("point %d: %+v, want %v", i, p, want)
			}
			if i > 0 && p.T-got[i-1] != 10_000 {
				t.Fatalf("hole before point %d", i)
			}
		}

		coarse := w.query(series.Query{Metric: "cpu", From: begin, To: end, Points: 70})
		if coarse.Step != 5*time.Minute {
			t.Fatalf("step %v", coarse.Step)
		}
		if len(times(t, coarse)) != hours*12+1 {
			t.Errorf("%d coarse points, want %d", len(times(t, coarse)), hours*12+1)
		}
		for _, p := range coarse.Lines[0].Points {
			low, high, sum, n := math.Inf(1), math.Inf(-1), 0.0, 0
			for at := p.T; at < p.T+300_000 && at < end.UnixMilli(); at += 10_000 {
				if at <= begin.UnixMilli() {
					continue
				}
				v := gaugeAt(at, 0)
				low, high, sum, n = min(low, v), max(high, v), sum+v, n+1
			}
			if p.Min != low || p.Max != high || math.Abs(p.Avg-sum/float64(n)) > 1e-9 {
				t.Fatalf("coarse point %+v, want %v %v %v", p, low, sum/float64(n), high)
			}
		}

		rate := w.query(series.Query{Metric: "bytes", From: begin, To: end, Points: 70})
		if rate.Unit != "By/s" || len(times(t, rate)) != hours*12+1 {
			t.Errorf("rate: unit %q, %d points", rate.Unit, len(times(t, rate)))
		}
		for _, p := range rate.Lines[0].Points {
			if math.Abs(p.Avg-3) > 1e-6 || math.Abs(p.Min-3) > 1e-6 || math.Abs(p.Max-3) > 1e-6 {
				t.Fatalf("rate %+v, want 3", p)
			}
		}
		if len(engine.Tiles()) == 0 || len(engine.Blocks()) == 0 {
			t.Errorf("nothing was sealed: %d blocks, %d tiles", len(engine.Blocks()), len(engine.Tiles()))
		}
		s := w.db.Stats()
		if s.Frames != hours*360 || s.Duplicates != 0 || s.Late != 0 || s.Corrupt != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}
