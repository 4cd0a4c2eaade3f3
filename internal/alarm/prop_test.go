package alarm_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/alarm"

	"pgregory.net/rapid"
)

// act is one thing that happens: frames arrive, what waits is written, or the process is killed.
type act struct {
	kind   string // frame late double flush away back crash
	node   int
	values []float64 // of cpu, memory and a counter; NaN-free
	status float64
	from   int // crash: how many minutes before the last publishing the log is heard from again, over the two that are promised
}

const period = 10 * time.Second

func drawActs(t *rapid.T) []act {
	one := rapid.Custom(func(t *rapid.T) act {
		level := rapid.SampledFrom([]float64{0.1, 0.85, 0.95})
		return act{
			kind:   rapid.SampledFrom([]string{"frame", "frame", "frame", "frame", "frame", "frame", "pause", "late", "double", "flush", "away", "back", "crash"}).Draw(t, "kind"),
			node:   rapid.IntRange(0, 2).Draw(t, "node"),
			values: []float64{level.Draw(t, "cpu"), level.Draw(t, "memory"), rapid.SampledFrom([]float64{0, 10, 1000}).Draw(t, "grown")},
			status: rapid.SampledFrom([]float64{0, 0, 1, 2}).Draw(t, "status"),
			from:   rapid.IntRange(0, 3).Draw(t, "from"),
		}
	})
	return rapid.SliceOfN(one, 1, 250).Draw(t, "acts")
}

// play lets the acts happen, and gives all transitions as they were written. Without crashes it says what ought to come out.
func play(t *testing.T, acts []act, crashes bool) []muster.Transition {
	w := newWorld(t)
	var nodes []*muster.Node
	var checks []*muster.Check
	for i := range 3 {
		n := &muster.Node{ID: muster.NodeID{1, 15: byte(i)}, Account: w.account, Name: fmt.Sprintf("node-%d", i), AgentKey: []byte{1}, Period: period}
		w.fleet.setNode(n)
		c := &muster.Check{ID: muster.CheckOf(muster.NodeID{2, 15: byte(i)}), Account: w.account, Name: fmt.Sprintf("check %d", i), Node: n.ID, Period: period, Enabled: true}
		w.fleet.setCheck(c)
		nodes, checks = append(nodes, n), append(checks, c)
	}
	for i, a := range []*muster.Alarm{
		{Metric: "cpu", Condition: &muster.Condition{Op: ">", Value: 0.9, For: 30 * time.Second, Recover: muster.Recovery{Op: "<", Value: 0.8, For: 20 * time.Second}}},
		{Metric: "memory", Level: muster.LevelWarning, Condition: &muster.Condition{Op: ">=", Value: 0.8}},
		{Metric: "bytes.count", Condition: &muster.Condition{Op: ">", Value: 50, For: period}},
		{Metric: muster.CheckStatusMetric, Condition: &muster.Condition{Op: ">=", Value: 2, For: 20 * time.Second, Recover: muster.Recovery{Op: "==", Value: 0}}},
	} {
		a.ID, a.Account, a.Rev, a.Enabled = muster.AlarmID(fmt.Sprintf("alarm_%d", i)), w.account, 1, true
		a.Name, a.Level = fmt.Sprintf("alarm %d", i), cmp.Or(a.Level, muster.LevelCritical)
		w.store.alarms[a.ID] = a
	}
	w.open()
	w.caught()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	counted := make([]float64, len(nodes))
	saved := w.clock() // when holds were saved last: no heads are published later than this
	flush := func(holds bool) {
		w.w.Flush(ended, holds)
		if holds && w.ledger.fail == nil {
			saved = w.clock()
		}
	}
	var last *muster.Frame
	for _, a := range acts {
		n, c := nodes[a.node], checks[a.node]
		switch a.kind {
		case "frame", "late":
			w.pass(period)
			counted[a.node] += a.values[2] * period.Seconds()
			f := w.frame(n.ID, map[string]float64{"cpu": a.values[0], "memory": a.values[1], "bytes.count": counted[a.node]})
			r := w.result(c, a.status, "")
			if a.kind == "late" {
				f.At -= 5 * time.Minute.Milliseconds()
				r.At = f.At
			}
			w.hear(f)
			w.hear(r)
			last = f
		case "double":
			if last != nil {
				w.hear(last)
			}
		case "pause":
			// Below the two minutes of the log that are surely heard again: how far apart values used to come is not kept of
			// what is well, so over longer pauses a hold may begin anew after a crash.
			w.pass(time.Duration(a.from) * 30 * time.Second)
		case "flush":
			flush(false)
		case "away":
			w.ledger.fail = errAway
		case "back":
			w.ledger.fail = nil
		case "crash":
			if crashes {
				w.crash(saved.Add(-2*time.Minute - time.Duration(a.from)*time.Minute))
			}
		}
		if w.clock().Sub(saved) >= alarmSaveEvery && w.ledger.fail == nil {
			flush(true)
		}
	}
	w.ledger.fail = nil
	flush(true)
	return w.ledger.transitions(t)
}

// alarmSaveEvery is the default of Options.SaveEvery.
const alarmSaveEvery = 10 * time.Second

// However often the process is killed, wherever it takes up the log again, the same transitions come out: none is lost, none comes twice.
func TestCrashesChangeNothing(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		acts := drawActs(r)
		want, got := play(t, acts, false), play(t, acts, true)
		seen := map[string]bool{}
		for _, tr := range got {
			if seen[tr.ID] {
				r.Fatalf("the transition %s came twice", tr.ID)
			}
			seen[tr.ID] = true
		}
		same(r, want, got)
	})
}

// same compares what happened to each series, in order. Only the evidence may be shorter: what came while an alarm fired is not saved.
func same(r *rapid.T, want, got []muster.Transition) {
	bySeries := func(list []muster.Transition) map[string][]string {
		out := map[string][]string{}
		for _, tr := range list {
			key := fmt.Sprint(tr.Alarm, tr.Subject, tr.Series)
			out[key] = append(out[key], fmt.Sprint(tr.ID, tr.At, tr.From, tr.To, tr.Level, tr.Why))
		}
		return out
	}
	if len(want) != len(got) {
		r.Fatalf("%d transitions, want %d", len(got), len(want))
	}
	wanted, given := bySeries(want), bySeries(got)
	for key, list := range wanted {
		if !slices.Equal(list, given[key]) {
			r.Fatalf("%s:\n got %q\nwant %q", key, given[key], list)
		}
	}
}

// With silences in play, what a fresh process says may differ by the grace it gives; but never comes anything twice, and each
// series fires and recovers in turn.
func TestSilencesAndCrashesStayInTurn(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		n := w.node("web-1")
		w.alarm(&muster.Alarm{Name: "is silent", NoData: muster.NoData{After: time.Minute, Is: muster.NoDataCritical}})
		w.alarm(&muster.Alarm{Name: "busy", Metric: "cpu", Condition: &muster.Condition{Op: ">", Value: 0.9}, NoData: muster.NoData{After: time.Minute, Is: muster.NoDataOK}})
		w.caught()
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			switch rapid.SampledFrom([]string{"frames", "frames", "silence", "crash", "bye"}).Draw(r, "what") {
			case "frames":
				for range rapid.IntRange(1, 5).Draw(r, "frames") {
					w.tick(period)
					w.hear(w.frame(n.ID, map[string]float64{"cpu": rapid.SampledFrom([]float64{0.1, 1}).Draw(r, "cpu")}))
				}
			case "silence":
				w.tick(time.Duration(rapid.IntRange(1, 20).Draw(r, "silence")) * period)
			case "crash":
				w.crash(w.clock().Add(-3 * time.Minute))
			case "bye":
				changed := *n
				changed.Farewell = muster.Farewell{}
				if rapid.Bool().Draw(r, "leaves") {
					changed.Farewell = muster.Farewell{Reason: muster.FarewellStop, At: w.clock()}
				}
				n = &changed
				w.fleet.setNode(n)
				w.w.NodeChanged(w.account, n.ID)
			}
		}
		w.tick(time.Second)
		inTurn(r, w.ledger.transitions(t))
		open, _, _ := w.w.OpenCount(w.account)
		firing := 0
		for _, st := range w.w.StandingOf(w.account, n.ID) {
			if st.State == muster.AlarmFiring || st.State == muster.AlarmRecovering {
				firing++
			}
		}
		if open > 1 || (firing > 0) != (open == 1) {
			r.Fatalf("%d alarms fire, and %d incidents are open", firing, open)
		}
	})
}

func inTurn(r *rapid.T, list []muster.Transition) {
	seen, last := map[string]bool{}, map[muster.AlarmID]muster.AlarmState{}
	for _, tr := range list {
		if seen[tr.ID] {
			r.Fatalf("the transition %s came twice", tr.ID)
		}
		seen[tr.ID] = true
		if was := cmp.Or(last[tr.Alarm], muster.AlarmOK); was != tr.From || tr.From == tr.To {
			r.Fatalf("%s goes from %s to %s, and was %s", tr.Name, tr.From, tr.To, was)
		}
		last[tr.Alarm] = tr.To
	}
}

// The bytes of a state are those of docs/format/alarm.md.
func TestStateGolden(t *testing.T) {
	const path = "testdata/states.golden"
	w := newWorld(t)
	w.account = muster.AccountID{1, 2, 3}
	w.store.account = w.account
	for i, a := range []*muster.Alarm{busy(time.Minute), {Name: "grows", Metric: "bytes.count", Condition: &muster.Condition{Op: ">", Value: 1}}, {Name: "is silent", NoData: muster.NoData{After: time.Minute, Is: muster.NoDataCritical}}} {
		a.ID, a.Account, a.Rev, a.Enabled, a.Level = muster.AlarmID(fmt.Sprintf("alarm_%d", i)), w.account, 1, true, muster.LevelWarning
		w.store.alarms[a.ID] = a
	}
	n := &muster.Node{ID: muster.NodeID{9, 15: 1}, Account: w.account, Name: "web-1", AgentKey: []byte{1}, Period: period}
	w.fleet.setNode(n)
	w.open()
	w.caught()
	for i := range 3 {
		w.tick(period)
		w.hear(w.frame(n.ID, map[string]float64{"cpu@/var": 1, "bytes.count": float64(100 * i)}))
	}
	w.tick(70 * time.Second)
	var got strings.Builder
	for _, key := range slices.Sorted(maps.Keys(w.ledger.states)) {
		if strings.HasPrefix(key[2:], "alarm/") {
			fmt.Fprintf(&got, "%s\n  %x\n", key[2:], w.ledger.states[key])
		}
	}
	if *rewrite {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got.String() != string(want) {
		t.Errorf("states are written as\n%s, %v", got.String(), err)
	}
	for line := range strings.Lines(string(want)) {
		if key, ok := strings.CutPrefix(line, "alarm/"); ok && len(key) < 60 {
			t.Errorf("%q is no key", line)
		}
	}
}

// States are read back from anything without harm, and from what was written as they were.
func FuzzParseSaved(f *testing.F) {
	w := newWorld(f)
	n := w.node("web-1")
	w.alarm(busy(time.Minute))
	w.caught()
	for range 5 {
		w.pass(period)
		w.hear(w.frame(n.ID, map[string]float64{"cpu": 1}))
	}
	w.w.Flush(context.Background(), true)
	for key, state := range w.ledger.states {
		f.Add(key[2:], state)
	}
	f.Fuzz(func(t *testing.T, key string, state []byte) {
		again, err := alarm.ParseSaved(key, state)
		alarm.Keep(key, state, time.Hour)
		if err != nil {
			return
		}
		if twice, err := alarm.ParseSaved(key, again); err != nil || !slices.Equal(twice, again) {
			t.Fatalf("%x does not read back as itself: %x, %v", again, twice, err)
		}
	})
}
