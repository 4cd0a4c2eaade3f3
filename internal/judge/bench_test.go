package judge_test

import (
	"testing"
	"time"
	"unsafe"

	"muster"
	"muster/internal/judge"
)

func memoryRule(t testing.TB) *judge.Rule {
	rule, err := judge.Compile(&muster.Alarm{Metric: "system.memory.utilization", Level: muster.LevelCritical,
		Condition: &muster.Condition{Op: ">", Value: 0.95, For: 5 * time.Minute, Recover: muster.Recovery{Op: "<", Value: 0.9, For: 2 * time.Minute}},
		NoData:    muster.NoData{After: time.Minute, Is: muster.NoDataCritical}})
	if err != nil {
		t.Fatal(err)
	}
	return rule
}

// A hundred thousand alarms that are well cost what their values need, and no garbage.
func TestWellIsCheap(t *testing.T) {
	if size := unsafe.Sizeof(judge.State{}); size > 200 {
		t.Errorf("a state has %d bytes", size)
	}
	rule := memoryRule(t)
	var s judge.State
	at := midnight.UnixMilli()
	in := judge.Input{Value: 0.5, Unit: "1", Text: "HTTP 200 in 12 ms"}
	allocated := testing.AllocsPerRun(1000, func() {
		at += 10_000
		in.At = at
		s, _ = rule.Judge(s, in, midnight)
		_, _ = rule.Wake(s)
	})
	if allocated != 0 {
		t.Errorf("%v allocations for a value that is well", allocated)
	}
}

// benchJudge judges values on 100,000 alarms in turn, as a fleet's samples come.
func benchJudge(b *testing.B, rule *judge.Rule, value func(round int) float64) {
	states := make([]judge.State, 100_000)
	in := judge.Input{Unit: "1"}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		alarm, round := i%len(states), i/len(states)
		in.At = midnight.UnixMilli() + int64(round)*10_000
		in.Value = value(round)
		states[alarm], _ = rule.Judge(states[alarm], in, midnight)
	}
}

func BenchmarkJudgeWell(b *testing.B) {
	benchJudge(b, memoryRule(b), func(int) float64 { return 0.5 })
}

func BenchmarkJudgeFiring(b *testing.B) {
	benchJudge(b, memoryRule(b), func(int) float64 { return 0.97 })
}

func BenchmarkJudgeForecast(b *testing.B) {
	rule, err := judge.Compile(&muster.Alarm{Metric: "system.filesystem.utilization", Level: muster.LevelWarning,
		Condition: &muster.Condition{Fn: muster.FnForecast, Within: 24 * time.Hour, Op: ">=", Value: 1, For: 30 * time.Minute}})
	if err != nil {
		b.Fatal(err)
	}
	benchJudge(b, rule, func(round int) float64 { return 0.5 + float64(round%7)/1e6 })
}

func BenchmarkState(b *testing.B) {
	rule := memoryRule(b)
	var s judge.State
	for i := range 40 {
		s, _ = rule.Judge(s, judge.Input{At: midnight.UnixMilli() + int64(i)*10_000, Value: 0.97}, midnight)
	}
	var raw []byte
	b.ReportAllocs()
	for b.Loop() {
		raw = judge.AppendState(raw[:0], s)
		if _, err := judge.ParseState(raw); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(raw)), "bytes")
}
