package graph_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"muster/internal/series/graph"
)

func TestStep(t *testing.T) {
	for _, c := range []struct {
		span, period, atLeast time.Duration
		points                int
		want                  time.Duration
	}{
		{time.Minute, time.Second, 0, 300, time.Second},
		{50 * time.Minute, 10 * time.Second, 0, 300, 10 * time.Second},
		{50*time.Minute + time.Second, 10 * time.Second, 0, 300, 20 * time.Second},
		{time.Hour, 10 * time.Second, 0, 360, 10 * time.Second},
		{24 * time.Hour, 10 * time.Second, 0, 288, 5 * time.Minute},
		{24 * time.Hour, 0, 0, 288, 5 * time.Minute},
		{30 * 24 * time.Hour, 10 * time.Second, 0, 300, 3 * time.Hour},
		{time.Hour, 10 * time.Second, time.Minute, 300, time.Minute},
		{time.Minute, 0, 0, 300, time.Second},
		{10 * time.Minute, 7 * time.Second, 0, 20, 30 * time.Second}, // no usual step is a multiple of 7 s
		{5000 * 24 * time.Hour, time.Minute, 0, 5, 1000 * 24 * time.Hour},
	} {
		if got := graph.Step(c.span, c.period, c.atLeast, c.points); got != c.want {
			t.Errorf("Step(%v, %v, %v, %d) = %v, want %v", c.span, c.period, c.atLeast, c.points, got, c.want)
		}
	}
}

func TestStepNeverGivesTooManyPoints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := time.Duration(rapid.Int64Range(1, 400*24*3600).Draw(t, "span")) * time.Second
		period := time.Duration(rapid.IntRange(0, 4000).Draw(t, "period")) * time.Second
		n := rapid.IntRange(1, 2000).Draw(t, "points")
		step := graph.Step(span, period, 0, n)
		if step < time.Second || span > step*time.Duration(n) {
			t.Fatalf("step %v: %v holds more than %d", step, span, n)
		}
	})
}

func TestPeriod(t *testing.T) {
	at := func(pauses ...int64) []int64 {
		times := []int64{1_000_000}
		for _, p := range pauses {
			times = append(times, times[len(times)-1]+p)
		}
		return times
	}
	repeat := func(n int, p int64) (out []int64) {
		for range n {
			out = append(out, p)
		}
		return out
	}
	for name, c := range map[string]struct {
		times []int64
		want  time.Duration
	}{
		"nothing":               {nil, 0},
		"one":                   {at(), 0},
		"regular":               {at(10_000, 10_000, 10_000), 10 * time.Second},
		"jitter":                {at(9_990, 10_013, 10_001, 9_989), 10 * time.Second},
		"fast":                  {at(200, 200, 200), time.Second},
		"an outage":             {at(append(repeat(9, 10_000), 3_600_000)...), 10 * time.Second},
		"a glance at 1 s":       {at(append(repeat(60, 10_000), repeat(60, 1000)...)...), 10 * time.Second},
		"just back at its pace": {at(append(repeat(120, 1000), repeat(3, 10_000)...)...), time.Second},
	} {
		if got := graph.Period(c.times); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func counter(step int64) *graph.Builder {
	return &graph.Builder{Step: step, From: 0, To: 1 << 40, Meter: graph.Meter{Counter: true, Gap: 25_000}}
}

func TestCounters(t *testing.T) {
	b := counter(10_000)
	for _, s := range []struct {
		at int64
		v  float64
	}{{0, 100}, {10_000, 200}, {20_000, 250}, {30_000, 20}, {80_000, 1000}, {90_000, 1100}} {
		b.Add(s.at, s.v)
	}
	want := "[{10000 10 10 10} {20000 5 5 5} {30000 2 2 2} {90000 10 10 10}]" // a reset at 30 s, a gap before 80 s
	if got := fmt.Sprint(b.Points()); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestCounterOverSeveralSamples(t *testing.T) {
	b := counter(60_000)
	for at := int64(0); at < 120_000; at += 10_000 {
		b.Add(at, float64(at/1000*2+at/40_000*40))
	}
	for _, p := range b.Points() {
		if p.Min != 2 || p.Max != 6 || p.Avg < 2 || p.Avg > 6 {
			t.Errorf("%+v, want rates between 2 and 6", p)
		}
	}
}

func TestJitterMakesNoHole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		phase := rapid.Int64Range(0, 9999).Draw(t, "phase")
		jitter := rapid.Int64Range(0, 600).Draw(t, "jitter")
		drift := rapid.Int64Range(-20, 20).Draw(t, "drift") // ms per sample, bounded below by the number of samples
		b := &graph.Builder{Step: 10_000, To: 1 << 50, Follow: true}
		const n = 40
		for i := range int64(n) {
			at := 1_000_000_000 + i*10_000 + phase + i*drift/20 + rapid.Int64Range(-jitter, jitter).Draw(t, "j")
			b.Add(at, 1)
		}
		out := b.Points()
		if len(out) != n {
			t.Fatalf("%d points of %d samples", len(out), n)
		}
		for i, p := range out {
			if p.T%10_000 != 0 || i > 0 && p.T != out[i-1].T+10_000 {
				t.Fatalf("point %d at %d after %d", i, p.T, out[max(0, i-1)].T)
			}
		}
	})
}

func TestHolesStayHoles(t *testing.T) {
	b := &graph.Builder{Step: 10_000, To: 1 << 50, Follow: true}
	for _, at := range []int64{10_010, 20_020, 29_990, 70_005, 80_001} {
		b.Add(at, 1)
	}
	want := "[{10000 1 1 1} {20000 1 1 1} {30000 1 1 1} {70000 1 1 1} {80000 1 1 1}]"
	if got := fmt.Sprint(b.Points()); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// TestSlotsEqualSamples folds samples first into slots, then into points, and compares with points made at once.
func TestSlotsEqualSamples(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		isCounter := rapid.Bool().Draw(t, "counter")
		var times []int64
		var values []float64
		v, at := 0.0, int64(0)
		for at < 3_600_000 {
			at += rapid.Int64Range(1000, 40_000).Draw(t, "pause")
			step := float64(rapid.IntRange(-3, 20).Draw(t, "growth"))
			if v += step; isCounter && step < 0 {
				v = 0
			}
			times, values = append(times, at), append(values, v)
		}
		meter := graph.Meter{Counter: isCounter, Gap: 25_000}
		slots := make([]graph.Slot, 12)
		meter.Fold(slots, times, values, 0, 3_600_000)
		through := &graph.Builder{Step: 1_800_000, To: 3_600_000, Meter: graph.Meter{Counter: isCounter, Gap: 25_000}}
		for i, s := range slots {
			through.Merge(int64(i)*300_000, s)
		}
		direct := &graph.Builder{Step: 1_800_000, To: 3_600_000, Meter: graph.Meter{Counter: isCounter, Gap: 25_000}}
		for i, at := range times {
			direct.Add(at, values[i])
		}
		a, b := through.Points(), direct.Points()
		if len(a) != len(b) {
			t.Fatalf("%d and %d points", len(a), len(b))
		}
		near := func(x, y float64) bool { return math.Abs(x-y) <= 1e-6*math.Max(1, math.Abs(y)) }
		for i := range a {
			if a[i].T != b[i].T || !near(a[i].Min, b[i].Min) || !near(a[i].Avg, b[i].Avg) || !near(a[i].Max, b[i].Max) {
				t.Fatalf("%+v, want %+v", a[i], b[i])
			}
		}
	})
}

func TestFunctions(t *testing.T) {
	for fn, want := range map[graph.Fn]float64{graph.Avg: 2, graph.Min: 1, graph.Max: 4, graph.Sum: 8, graph.Last: 1, graph.Count: 4} {
		b := &graph.Builder{Step: 1000, To: 1 << 50, Fn: fn}
		for i, v := range []float64{2, 4, 1, 1} {
			b.Add(int64(i), v)
		}
		if p := b.Points()[0]; p.Min != 1 || p.Max != 4 || p.Avg != want {
			t.Errorf("fn %d: %+v, want %v in the middle", fn, p, want)
		}
	}
}

func TestAbsentIsNoSample(t *testing.T) {
	slots := make([]graph.Slot, 12)
	m := graph.Meter{}
	if m.Fold(slots, []int64{1, 2}, []float64{math.NaN(), math.NaN()}, 0, 3_600_000) {
		t.Error("two absent values are told as samples")
	}
}
