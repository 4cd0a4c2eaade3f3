package alarm_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"muster"
)

// BenchmarkHeard judges the frames of 10,000 nodes with 100 metrics each by ten alarms a node: 100,000 instances. At a
// frame a second and node that is a million samples a second; "cores" says what they take.
func BenchmarkHeard(b *testing.B) {
	const nodes, metrics, alarms = 10_000, 100, 10
	w := newWorld(b)
	for i := range alarms {
		a := busy(time.Minute)
		a.Name, a.Metric = fmt.Sprintf("alarm %d", i), fmt.Sprintf("metric.%02d", i*7)
		a.NoData = muster.NoData{After: time.Minute, Is: muster.NoDataOK}
		w.alarm(a)
	}
	values := map[string]float64{}
	for i := range metrics {
		values[fmt.Sprintf("metric.%02d", i)] = 0.5
	}
	perShard := make([][]*muster.Frame, shards)
	for i := range nodes {
		f := w.frame(w.node(fmt.Sprintf("node-%d", i)).ID, values)
		perShard[shardOf(f.Account, f.Node)] = append(perShard[shardOf(f.Account, f.Node)], f)
	}
	round := func() {
		w.pass(time.Second)
		for s, frames := range perShard {
			for _, f := range frames {
				f.At += 1000
				f.Sent = f.At
			}
			for len(frames) > 0 {
				n := min(64, len(frames))
				w.w.Heard(s, frames[:n])
				frames = frames[n:]
			}
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	round()
	w.caught()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := w.w.Instances(); n != nodes*alarms {
		b.Fatalf("%d instances", n)
	}
	b.ReportAllocs()
	b.ResetTimer()
	rounds := 0
	for b.Loop() {
		round()
		rounds++
	}
	perFrame := float64(b.Elapsed().Nanoseconds()) / float64(rounds*nodes)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/nodes/alarms, "B/instance")
	b.ReportMetric(perFrame, "ns/frame")
	b.ReportMetric(perFrame/alarms, "ns/judgement")
	b.ReportMetric(perFrame*nodes/1e9, "cores@1Msamples/s")
}

// BenchmarkTick looks for silence in 100,000 instances that are all heard: what the timers cost a second.
func BenchmarkTick(b *testing.B) {
	const nodes = 10_000
	w := newWorld(b)
	for i := range 10 {
		w.alarm(&muster.Alarm{Name: fmt.Sprintf("silent %d", i), NoData: muster.NoData{After: time.Minute, Is: muster.NoDataCritical}})
	}
	var frames []*muster.Frame
	for i := range nodes {
		frames = append(frames, w.frame(w.node(fmt.Sprintf("node-%d", i)).ID, map[string]float64{"cpu": 1}))
	}
	w.caught()
	hear := func() {
		for _, f := range frames {
			f.At = w.clock().UnixMilli()
			f.Sent = f.At
			w.w.Heard(shardOf(f.Account, f.Node), []*muster.Frame{f})
		}
	}
	hear()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w.pass(time.Second)
		w.w.Tick()
		if i%10 == 9 {
			b.StopTimer()
			hear()
			b.StartTimer()
		}
	}
}
