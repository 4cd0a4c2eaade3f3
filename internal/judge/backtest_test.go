package judge_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"muster"
	"muster/internal/judge"
)

// track gives points a step apart; each is "value" or "min/avg/max", "-" a point without value and "_" none at all.
func track(step time.Duration, coarse bool, text string) judge.Track {
	tr := judge.Track{Unit: "1"}
	if coarse {
		tr.Step = step
	}
	for i, word := range strings.Fields(text) {
		p := judge.Point{At: midnight.Add(time.Duration(i) * step).UnixMilli()}
		switch {
		case word == "_":
			continue
		case word == "-":
			p.Value = math.NaN()
		case coarse:
			fmt.Sscanf(word, "%f/%f/%f", &p.Min, &p.Value, &p.Max)
		default:
			fmt.Sscanf(word, "%f", &p.Value)
		}
		tr.Points = append(tr.Points, p)
	}
	return tr
}

func spans(all []judge.Span) string {
	var out []string
	for _, s := range all {
		to := "now"
		if !s.To.IsZero() {
			to = clock(s.To)
		}
		out = append(out, fmt.Sprintf("%s-%s %s", clock(s.From), to, s.Why))
	}
	return strings.Join(out, "; ")
}

func TestBacktest(t *testing.T) {
	const fine, coarse = false, true
	for _, c := range []struct {
		name   string
		alarm  string
		step   time.Duration
		coarse bool
		points string
		from   time.Duration
		want   string
	}{
		{"fires twice", "metric=m op=> value=0.9", time.Minute, fine, "0 1 1 0 0 1 0", 0, "1m-3m 1, limit 0.9; 5m-6m 1, limit 0.9"},
		{"still fires at the end", "metric=m op=> value=0.9 for=2m", time.Minute, fine, "0 1 1 1 1 1", 0, "3m-now 1 for 2 min, limit 0.9"},
		{"never", "metric=m op=> value=0.9 for=5m", time.Minute, fine, "0 1 1 1 1 0", 0, ""},
		{"what ended before is left out", "metric=m op=> value=0.9", time.Minute, fine, "0 1 1 0 0 1 0", 3 * time.Minute, "5m-6m 1, limit 0.9"},
		{"what began before is whole", "metric=m op=> value=0.9", time.Minute, fine, "0 1 1 0 0 1 0", 2 * time.Minute, "1m-3m 1, limit 0.9; 5m-6m 1, limit 0.9"},
		{"silence fires", "metric=m op=> value=0.9 nodata=150s is=critical", time.Minute, fine, "0 0 _ _ _ 0 0", 0, "3m30s-5m no data for 2 min 30 s"},
		{"silence at the end", "metric=m op=> value=0.9 nodata=150s is=critical", time.Minute, fine, "0 0 - - -", 0, "3m30s-now no data for 2 min 30 s"},
		{"silence of a node", "nodata=150s is=critical", time.Minute, fine, "0 0 _ _ _ 0 0", 0, "3m30s-5m nothing heard for 2 min 30 s"},

		{"the greatest counts above", "metric=m op=> value=0.9", 5 * time.Minute, coarse, "0/0.1/0.5 0.1/0.2/0.95 0/0.1/0.5", 0, "5m-10m 0.95, limit 0.9"},
		{"the least counts below", "metric=m op=< value=0.1", 5 * time.Minute, coarse, "0.1/0.1/0.5 0.05/0.2/0.95 0.1/0.1/0.5", 0, "5m-10m 0.05, limit 0.1"},
		{"the value was met", "metric=m op=== value=1", 5 * time.Minute, coarse, "0/0/0 0/0.1/1 0/0/0", 0, "5m-10m 1, which it must not be"},
		{"the value was left", "metric=m op=!= value=1", 5 * time.Minute, coarse, "1/1/1 0/0.1/1 1/1/1 1/1.5/3 1/1/1", 0, "5m-10m 0, expected 1; 15m-20m 3, expected 1"},
		{"the average has a trend", "metric=m fn=forecast within=24h op=> value=1", 30 * time.Minute, coarse, "0/0.1/9 0/0.1/9 0/0.1/9 0/0.1/9 0/0.1/9", 0, ""},
		{"points that are far apart are not silence", "metric=m op=> value=0.9 nodata=1m is=critical", 5 * time.Minute, coarse, "0/0/0 0/0/0 0/0/0", 0, ""},
		{"a missing point is", "metric=m op=> value=0.9 nodata=1m is=critical", 5 * time.Minute, coarse, "0/0/0 0/0/0 _ 0/0/0 0/0/0", 0, "11m-15m no data for 1 min"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _ := alarm(t, strings.Fields(c.alarm))
			tr := track(c.step, c.coarse, c.points)
			end := midnight.Add(time.Duration(len(strings.Fields(c.points))) * c.step)
			if got := spans(judge.Backtest(must(t, a), tr, midnight.Add(c.from), end)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestBacktestEndsAtTo(t *testing.T) {
	a, _ := alarm(t, strings.Fields("metric=m op=> value=0.9"))
	tr := track(time.Minute, false, "0 1 0 1 0")
	if got, want := spans(judge.Backtest(must(t, a), tr, midnight, midnight.Add(2*time.Minute))), "1m-now 1, limit 0.9"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What the backtest shows is what the live machine does with the same values and a timer that is on time.
func TestBacktestIsTheLiveMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule, events := drawRule(t), drawEvents(t)
		var tr judge.Track
		newest := int64(0)
		for _, e := range events {
			if e.input && e.in.At > newest {
				newest = e.in.At
				tr.Points = append(tr.Points, judge.Point{At: e.in.At, Value: e.in.Value})
			}
		}
		end := time.UnixMilli(newest).Add(time.Hour)
		var s judge.State
		var want []string
		take := func(next judge.State, v *judge.Verdict) {
			if s = next; v != nil && v.To == muster.AlarmFiring {
				want = append(want, v.At.String()+v.Why)
			}
		}
		for _, p := range tr.Points {
			if at, ok := rule.Wake(s); ok && at.UnixMilli() <= p.At {
				take(rule.Silence(s, at))
			}
			take(rule.Judge(s, judge.Input{At: p.At, Value: p.Value}, end))
		}
		if at, ok := rule.Wake(s); ok && !at.After(end) {
			take(rule.Silence(s, at))
		}
		var got []string
		for _, span := range judge.Backtest(rule, tr, midnight.Add(-time.Hour), end) {
			got = append(got, span.From.String()+span.Why)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("live %q\nbacktest %q", want, got)
		}
	})
}

// A month of five-minute points is judged while a line is dragged.
func BenchmarkBacktestMonth(b *testing.B) {
	rule := memoryRule(b)
	tr := judge.Track{Unit: "1", Step: 5 * time.Minute}
	for i := range 30 * 288 {
		v := 0.7 + 0.3*math.Sin(float64(i)/40)
		tr.Points = append(tr.Points, judge.Point{At: midnight.UnixMilli() + int64(i)*300_000, Value: v, Min: v, Max: v})
	}
	for b.Loop() {
		if len(judge.Backtest(rule, tr, midnight, midnight.Add(30*24*time.Hour))) == 0 {
			b.Fatal("never fired")
		}
	}
}
