package alarm_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/alarm"
	"muster/internal/alarm/rules"
)

// busy is an alarm on a gauge named cpu.
func busy(hold time.Duration) *muster.Alarm {
	return &muster.Alarm{Name: "CPU busy", Metric: "cpu", Condition: &muster.Condition{
		Op: ">", Value: 0.9, For: hold, Recover: muster.Recovery{Op: "<", Value: 0.8, For: 10 * time.Second},
	}}
}

// measure hears one value of a gauge every ten seconds and writes what comes of it.
func (w *world) measure(n *muster.Node, metric string, values ...float64) {
	for _, v := range values {
		w.tick(10 * time.Second)
		w.hear(w.frame(n.ID, map[string]float64{metric: v}))
		w.w.Flush(w.context(), false)
	}
}

func TestHoldFireRecover(t *testing.T) {
	w := newWorld(t)
	n := w.node("web-1")
	w.alarm(busy(20 * time.Second))
	w.caught()
	w.measure(n, "cpu", 0.5, 0.95, 0.95)
	w.expect()
	w.measure(n, "cpu", 0.95)
	w.expect("open critical web-1 · CPU busy: 1 open")
	w.measure(n, "cpu", 0.85, 0.85, 0.7)
	w.expect()
	w.measure(n, "cpu", 0.7)
	w.expect("resolved critical web-1 · CPU busy: 0 open")
	ts := w.ledger.transitions(t)
	if len(ts) != 2 || ts[0].To != muster.AlarmFiring || ts[1].To != muster.AlarmOK || ts[0].Why == "" || len(ts[0].Inputs) == 0 {
		t.Errorf("transitions: %+v", ts)
	}
}

func TestOneIncidentForSilenceAndItsChecks(t *testing.T) {
	w := newWorld(t)
	if err := w.w.EnsureDefaults(w.context(), w.account); err != nil {
		t.Fatal(err)
	}
	n := w.node("edge-1")
	c := w.check("HTTP /health", n.ID)
	w.caught()
	for range 6 {
		w.tick(10 * time.Second)
		w.hear(w.frame(n.ID, map[string]float64{"system.uptime": 5}))
		w.hear(w.result(c, 0, ""))
	}
	w.expect()
	for range 8 { // the machine hangs: its agent says nothing, its site does not answer
		w.tick(10 * time.Second)
		w.hear(w.result(c, 2, "connection refused"))
	}
	w.expect("open critical edge-1 · HTTP /health fails: 1 open", "open critical edge-1 · HTTP /health fails, and 1 more: 2 open")
	list, _, err := w.w.Incidents(t.Context(), w.account, alarm.IncidentFilter{Open: true})
	if err != nil || len(list) != 1 || list[0].Subject != n.ID {
		t.Fatalf("incidents %v, %v", list, err)
	}
	w.tick(10 * time.Second)
	w.hear(w.frame(n.ID, map[string]float64{"system.uptime": 5}))
	w.hear(w.result(c, 0, ""))
	w.tick(time.Second)
	news := w.news()
	if len(news) != 2 || !strings.HasPrefix(news[1], "resolved critical edge-1") {
		t.Errorf("told %q", news)
	}
}

func TestSilenceWaitsForTheServersOwnTroubles(t *testing.T) {
	w := newWorld(t)
	n := w.node("web-1")
	w.alarm(&muster.Alarm{Name: "is silent", NoData: muster.NoData{After: time.Minute, Is: muster.NoDataCritical}})
	w.hear(w.frame(n.ID, map[string]float64{"cpu": 1}))
	w.tick(10 * time.Minute) // the log was not heard to its end yet
	w.expect()
	w.caught()
	w.tick(59 * time.Second)
	w.expect()
	w.mu.Lock()
	w.mayNot = true
	w.mu.Unlock()
	w.tick(5 * time.Minute) // the disk is full
	w.expect()
	w.mu.Lock()
	w.mayNot = false
	w.mu.Unlock()
	w.tick(59 * time.Second)
	w.expect()
	w.tick(2 * time.Second)
	w.expect("open critical web-1 is silent: 1 open")
	w.hear(w.frame(n.ID, map[string]float64{"cpu": 1}))
	w.tick(time.Second)
	w.expect("resolved critical web-1 is silent: 0 open")
	w.pass(time.Hour) // the process was stopped
	w.tick(50 * time.Second)
	w.expect()
	w.tick(12 * time.Second)
	w.expect("open critical web-1 is silent: 1 open")
}

func TestOldFramesAreASignOfLifeAndFireNothing(t *testing.T) {
	w := newWorld(t)
	n := w.node("web-1")
	w.alarm(&muster.Alarm{Name: "is silent", NoData: muster.NoData{After: time.Minute, Is: muster.NoDataCritical}})
	w.alarm(busy(0))
	w.caught()
	w.measure(n, "cpu", 0.1)
	old := w.clock()
	for i := range 10 { // the agent was cut off, and sends what it kept, slowly
		w.tick(45 * time.Second)
		f := w.frame(n.ID, map[string]float64{"cpu": 1})
		f.At = old.Add(time.Duration(i) * time.Second).UnixMilli()
		w.hear(f)
	}
	w.expect()
}

func TestNodesThatWereNeverHeardOf(t *testing.T) {
	w := newWorld(t)
	w.alarm(&muster.Alarm{Name: "is silent", NoData: muster.NoData{After: time.Minute, Is: muster.NoDataCritical}})
	w.node("new-1") // enrolled, nothing came yet
	known := w.node("old-1")
	w.node("bare-1").AgentKey = nil
	w.fleet.mu.Lock()
	w.fleet.seen[known.ID] = begin.Add(-time.Hour) // it went while the server was away
	w.fleet.mu.Unlock()
	w.caught()
	w.tick(5 * time.Minute)
	w.expect("open critical old-1 is silent: 1 open")
}

func TestSlowNodesAreGivenThreePeriods(t *testing.T) {
	w := newWorld(t)
	w.alarm(&muster.Alarm{Name: "is silent", NoData: muster.NoData{After: time.Minute, Is: muster.NoDataCritical}})
	n := w.node("slow-1")
	n.Period = time.Minute
	w.caught()
	w.hear(w.frame(n.ID, map[string]float64{"cpu": 0}))
	w.tick(179 * time.Second)
	w.expect()
	w.tick(3 * time.Second)
	w.expect("open critical slow-1 is silent: 1 open")
}

func TestGoodbyes(t *testing.T) {
	for reason, want := range map[muster.FarewellReason]string{
		muster.FarewellShutdown: "", muster.FarewellStop: "check", muster.FarewellUpgrade: "silent",
	} {
		t.Run(string(reason), func(t *testing.T) {
			w := newWorld(t)
			w.alarm(&muster.Alarm{Name: "is silent", NoData: muster.NoData{After: time.Minute, Is: muster.NoDataCritical}})
			w.alarm(busy(0))
			w.alarm(&muster.Alarm{Name: "Check fails", Metric: muster.CheckStatusMetric, Condition: &muster.Condition{Op: ">=", Value: 2}})
			n := w.node("web-1")
			c := w.check("site", n.ID)
			w.caught()
			w.measure(n, "cpu", 1)
			w.expect("open critical web-1 · CPU busy: 1 open")
			w.tick(time.Second)
			gone := *n
			gone.Farewell = muster.Farewell{Reason: reason, At: w.clock()}
			w.fleet.setNode(&gone)
			w.w.NodeChanged(w.account, n.ID)
			w.tick(time.Second)
			if reason == muster.FarewellUpgrade {
				w.expect()
				w.tick(9 * time.Minute)
				w.expect()
				w.tick(2 * time.Minute)
				w.expect("open critical web-1 · CPU busy, and 1 more: 2 open")
				return
			}
			w.expect("resolved critical web-1 · CPU busy: 0 open")
			if ts := w.ledger.transitions(t); ts[1].Why != "stopped on purpose" {
				t.Errorf("closed because %q", ts[1].Why)
			}
			w.hear(w.result(c, 2, "refused"))
			w.tick(10 * time.Minute)
			if want == "" {
				w.expect()
			} else {
				w.expect("open critical web-1 · site fails: 1 open")
			}
			back := *n
			w.fleet.setNode(&back)
			w.w.NodeChanged(w.account, n.ID)
			w.news()
			w.measure(&back, "cpu", 1)
			if news := w.news(); len(news) != 1 || !strings.Contains(news[0], "CPU busy") && want == "" {
				t.Errorf("after it is back: %q", news)
			}
		})
	}
}

func TestWhatClosesAlarms(t *testing.T) {
	for name, c := range map[string]struct {
		do  func(w *world, n *muster.Node, a *muster.Alarm)
		why string
	}{
		"deleted": {func(w *world, _ *muster.Node, a *muster.Alarm) {
			if err := w.w.Delete(w.context(), alarm.Edit{Account: w.account, ID: a.ID}); err != nil {
				w.t.Fatal(err)
			}
		}, "the alarm was deleted"},
		"switched off": {func(w *world, _ *muster.Node, a *muster.Alarm) {
			w.update(a, func(a *muster.Alarm) { a.Enabled = false })
		}, "the alarm is switched off"},
		"query": {func(w *world, _ *muster.Node, a *muster.Alarm) {
			w.update(a, func(a *muster.Alarm) { a.Query = "db*" })
		}, "the query does not choose the node"},
		"metric": {func(w *world, _ *muster.Node, a *muster.Alarm) {
			w.update(a, func(a *muster.Alarm) { a.Metric = "load" })
		}, "the alarm looks at something else now"},
		"unwatched": {func(w *world, n *muster.Node, _ *muster.Alarm) {
			changed := *n
			changed.Unwatched = true
			w.fleet.setNode(&changed)
			w.w.NodeChanged(w.account, n.ID)
		}, "no longer watched"},
		"node gone": {func(w *world, n *muster.Node, _ *muster.Alarm) {
			w.fleet.mu.Lock()
			delete(w.fleet.nodes, n.ID)
			w.fleet.mu.Unlock()
			w.w.NodeChanged(w.account, n.ID)
		}, "the node or check was removed"},
		"deleted while away": {func(w *world, _ *muster.Node, a *muster.Alarm) {
			delete(w.store.alarms, a.ID)
			w.crash(begin)
		}, "the alarm was deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			n := w.node("web-1")
			a := w.alarm(busy(0))
			w.caught()
			w.measure(n, "cpu", 1)
			w.news()
			w.tick(time.Second)
			c.do(w, n, a)
			w.tick(time.Second)
			w.expect("resolved critical web-1 · CPU busy: 0 open")
			ts := w.ledger.transitions(t)
			if last := ts[len(ts)-1]; last.Why != c.why || last.To != muster.AlarmOK || last.Name != "CPU busy" {
				t.Errorf("the last transition is %+v, want why %q", last, c.why)
			}
			w.measure(n, "cpu", 1)
			w.crash(begin)
			w.tick(time.Minute)
			w.expect()
		})
	}
}

func (w *world) update(a *muster.Alarm, change func(*muster.Alarm)) {
	w.t.Helper()
	_, err := w.w.Update(w.context(), alarm.Edit{Account: w.account, ID: a.ID, Actor: "user_x"}, func(a *muster.Alarm) error { change(a); return nil })
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestChecksOfNoNode(t *testing.T) {
	w := newWorld(t)
	w.alarm(&muster.Alarm{Name: "Check fails", Metric: muster.CheckStatusMetric, Condition: &muster.Condition{Op: ">=", Value: 2}})
	other := w.alarm(&muster.Alarm{Name: "Web only", Query: "web*", Metric: muster.CheckStatusMetric, Condition: &muster.Condition{Op: ">=", Value: 2}})
	c := w.check("example.org", muster.NodeID{})
	w.caught()
	w.tick(time.Second)
	w.hear(w.result(c, 2, "HTTP 502"))
	w.tick(time.Second)
	w.expect("open critical example.org fails: 1 open")
	list, _, _ := w.w.Incidents(t.Context(), w.account, alarm.IncidentFilter{})
	if len(list) != 1 || list[0].Check != c.ID || !list[0].Node.IsZero() || list[0].Transitions[0].Inputs[0].Text != "HTTP 502" {
		t.Fatalf("incident %+v", list)
	}
	for _, st := range w.w.StandingOf(w.account, c.Subject()) {
		if st.Alarm.ID == other.ID && st.Applies {
			t.Error("an alarm on some nodes looks at a check without one")
		}
	}
	off := *c
	off.Enabled = false
	w.fleet.setCheck(&off)
	w.w.CheckChanged(w.account, c.ID)
	w.tick(time.Second)
	w.expect("resolved critical example.org fails: 0 open")
}

func TestAlarmOnOneCheck(t *testing.T) {
	w := newWorld(t)
	n := w.node("web-1")
	one, two := w.check("one", n.ID), w.check("two", n.ID)
	w.alarm(&muster.Alarm{Name: "is down", Check: one.ID, Condition: &muster.Condition{Op: ">=", Value: 2}})
	w.caught()
	w.tick(time.Second)
	w.hear(w.result(two, 2, ""))
	w.tick(time.Second)
	w.expect()
	w.hear(w.result(one, 2, ""))
	w.tick(time.Second)
	w.expect("open critical web-1 · one is down: 1 open")
}

func TestCountersAreJudgedAsRates(t *testing.T) {
	w := newWorld(t)
	n := w.node("web-1")
	a := busy(0)
	a.Metric, a.Condition.Value, a.Condition.Recover = "errors.count", 5, muster.Recovery{}
	w.alarm(a)
	w.caught()
	w.measure(n, "errors.count", 1e9, 1e9+10, 1e9+20)
	w.expect()
	w.measure(n, "errors.count", 1e9+120)
	w.expect("open critical web-1 · CPU busy: 1 open")
	w.measure(n, "errors.count", 10) // began anew: ten in ten seconds
	w.expect("resolved critical web-1 · CPU busy: 0 open")
}

func TestReadOnlyFiresOnlyForWhatTurned(t *testing.T) {
	w := newWorld(t)
	if err := w.w.EnsureDefaults(w.context(), w.account); err != nil {
		t.Fatal(err)
	}
	n := w.node("web-1")
	w.caught()
	mounts := func(data float64) {
		w.tick(10 * time.Second)
		w.hear(w.frame(n.ID, map[string]float64{
			"system.filesystem.read_only@/cdrom": 1, "system.filesystem.utilization@/cdrom": 1,
			"system.filesystem.read_only@/data": data, "system.filesystem.utilization@/data": 0.4,
		}))
	}
	for range 60 {
		mounts(0)
	}
	w.expect()
	for range 8 {
		mounts(1)
	}
	w.expect("open critical web-1 · Filesystem turned read-only: /data: 1 open")
	w.crash(w.clock().Add(-3 * time.Minute))
	for range 8 {
		mounts(0)
	}
	w.expect("resolved critical web-1 · Filesystem turned read-only: /data: 0 open")
}

func TestDefaultsAreMadeOnce(t *testing.T) {
	w := newWorld(t)
	w.alarm(&muster.Alarm{Name: "Memory exhausted", Metric: "m", Condition: &muster.Condition{Op: ">", Value: 1}})
	for range 2 {
		if err := w.w.EnsureDefaults(w.context(), w.account); err != nil {
			t.Fatal(err)
		}
	}
	list := w.w.List(w.account)
	if len(list) != len(rules.Defaults())+1 {
		t.Fatalf("%d alarms, want the defaults and one more", len(list))
	}
	own, err := w.w.Find(w.account, "memory exhausted (2)")
	if err != nil || own.BuiltIn != rules.Memory {
		t.Errorf("a default whose name is taken: %v, %v", own, err)
	}
	if err := w.w.Delete(w.context(), alarm.Edit{Account: w.account, ID: own.ID}); err != nil {
		t.Fatal(err)
	}
	w.open()
	if err := w.w.EnsureDefaults(w.context(), w.account); err != nil {
		t.Fatal(err)
	}
	if _, err := w.w.Get(w.account, own.ID); err == nil {
		t.Error("a default that was deleted is back")
	}
}

func TestDefaultsAreQuiet(t *testing.T) {
	w := newWorld(t)
	if err := w.w.EnsureDefaults(w.context(), w.account); err != nil {
		t.Fatal(err)
	}
	n := w.node("web-1")
	w.caught()
	for i := range 360 {
		w.tick(10 * time.Second)
		w.hear(w.frame(n.ID, map[string]float64{
			"system.cpu.utilization": 1, "system.cpu.load_average.1m": 90, "system.network.io.count": 1e9 * float64(i),
			"system.filesystem.utilization@/": 0.6 + 0.0001*float64(i%7), "system.filesystem.read_only@/": 0,
			"system.filesystem.utilization@/snap": 1, "system.filesystem.read_only@/snap": 1, "system.filesystem.inodes.utilization@/snap": 1,
			"system.linux.memory.available.utilization": 0.2, "muster.node.clock_offset": -0.4,
		}))
	}
	w.expect()
}

func TestDefaultsFire(t *testing.T) {
	for name, c := range map[string]struct {
		value func(i int) map[string]float64
		want  string
	}{
		"disk": {func(int) map[string]float64 { return map[string]float64{"system.filesystem.utilization@/": 0.96} }, "Filesystem nearly full: /"},
		"inodes": {func(int) map[string]float64 {
			return map[string]float64{"system.filesystem.inodes.utilization@/": 0.96}
		}, "Inodes nearly used up: /"},
		"memory": {func(int) map[string]float64 {
			return map[string]float64{"system.linux.memory.available.utilization": 0.01}
		}, "Memory exhausted"},
		"clock ahead":  {func(int) map[string]float64 { return map[string]float64{"muster.node.clock_offset": 9} }, "Clock is off"},
		"clock behind": {func(int) map[string]float64 { return map[string]float64{"muster.node.clock_offset": -9} }, "Clock is off"},
		"trend": {func(i int) map[string]float64 {
			return map[string]float64{"system.filesystem.utilization@/": 0.75 + 0.02*float64(i)/360}
		}, "Filesystem full within 24 h: /"},
		"certificate": {func(int) map[string]float64 { return map[string]float64{"tls.certificate.remaining": 86400} }, "Certificate expires within 14 days"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if err := w.w.EnsureDefaults(w.context(), w.account); err != nil {
				t.Fatal(err)
			}
			n := w.node("web-1")
			w.caught()
			for i := range 720 {
				w.tick(10 * time.Second)
				w.hear(w.frame(n.ID, c.value(i)))
			}
			if news := w.news(); len(news) != 1 || !strings.Contains(news[0], c.want) {
				t.Errorf("told %q, want one that says %q", news, c.want)
			}
		})
	}
}

func TestLedgerAway(t *testing.T) {
	w := newWorld(t)
	n := w.node("web-1")
	w.alarm(busy(0))
	w.caught()
	w.ledger.setFail(errAway)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	flap := func(times int) {
		for i := range times {
			w.pass(10 * time.Second)
			w.hear(w.frame(n.ID, map[string]float64{"cpu": float64(i % 2)}))
			w.pass(10 * time.Second)
			w.hear(w.frame(n.ID, map[string]float64{"cpu": float64(i % 2)}))
			if i%5 == 0 {
				w.w.Flush(ended, true)
			}
		}
	}
	flap(2001) // it is well at the end
	if n := w.w.Waiting(); n > 100 {
		t.Errorf("%d steps wait for a ledger that is away", n)
	}
	w.expect()
	w.pass(10 * time.Second)
	w.hear(w.frame(n.ID, map[string]float64{"cpu": 1}))
	w.ledger.setFail(nil)
	w.w.Flush(w.context(), true)
	ts := w.ledger.transitions(t)
	for i, tr := range ts {
		if want := []muster.AlarmState{muster.AlarmFiring, muster.AlarmOK}[i%2]; tr.To != want {
			t.Fatalf("transition %d goes to %s", i, tr.To)
		}
	}
	if ts[len(ts)-1].To != muster.AlarmFiring {
		t.Error("how it stands now was lost")
	}
	if open, _, _ := w.w.OpenCount(w.account); open != 1 {
		t.Errorf("%d incidents are open", open)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	w.gone = muster.NewChannelID()
	for field, a := range map[string]*muster.Alarm{
		"query: ":       {Name: "a", Query: "((", Metric: "m", Condition: &muster.Condition{Op: ">", Value: 1}},
		`"cpu>80"`:      {Name: "a", Query: "web* cpu>80", Metric: "m", Condition: &muster.Condition{Op: ">", Value: 1}},
		`"seen>5m"`:     {Name: "a", Query: "-seen>5m", Metric: "m", Condition: &muster.Condition{Op: ">", Value: 1}},
		"condition":     {Name: "a", Metric: "m"},
		"condition.op":  {Name: "a", Metric: "m", Condition: &muster.Condition{Op: "~", Value: 1}},
		"node: ":        {Name: "a", Node: muster.NewNodeID(), Metric: "m", Condition: &muster.Condition{Op: ">", Value: 1}},
		"check: ":       {Name: "a", Check: muster.NewCheckID(), Condition: &muster.Condition{Op: ">", Value: 1}},
		"condition.for": {Name: "a", Metric: "m", Condition: &muster.Condition{Op: ">", Value: 1, For: -1}},
		"channels: ":    {Name: "a", Metric: "m", Condition: &muster.Condition{Op: ">", Value: 1}, Channels: []muster.ChannelID{muster.NewChannelID(), w.gone}},
	} {
		_, err := w.w.Create(t.Context(), alarm.Edit{Account: w.account}, a)
		isKind(t, err, muster.ErrInvalid)
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
	if len(w.store.alarms) != 0 {
		t.Error("something was stored")
	}
	for i := range alarm.MaxAlarms {
		a := busy(0)
		a.Name = fmt.Sprint("alarm ", i)
		w.alarm(a)
	}
	_, err := w.w.Create(t.Context(), alarm.Edit{Account: w.account}, busy(0))
	isKind(t, err, muster.ErrLimited)
}

func TestEditing(t *testing.T) {
	w := newWorld(t)
	a := w.alarm(busy(time.Minute))
	_, err := w.w.Update(t.Context(), alarm.Edit{Account: w.account, ID: a.ID, Rev: 7}, func(*muster.Alarm) error { return nil })
	isKind(t, err, muster.ErrConflict)
	w.update(a, func(a *muster.Alarm) { a.Condition.Value = 0.85; a.BuiltIn = rules.ClockOff; a.ID = "alarm_x" })
	w.update(a, func(a *muster.Alarm) { a.Enabled = false })
	got, err := w.w.Find(w.account, "cpu BUSY")
	if err != nil || got.Condition.Value != 0.85 || got.BuiltIn != "" || got.Enabled || got.ID != a.ID {
		t.Errorf("%+v, %v", got, err)
	}
	if a.Condition.Value != 0.9 {
		t.Error("what was handed out has changed")
	}
	if err := w.w.Delete(t.Context(), alarm.Edit{Account: w.account, ID: a.ID, Actor: "user_x"}); err != nil {
		t.Fatal(err)
	}
	_, err = w.w.Get(w.account, a.ID)
	isKind(t, err, muster.ErrNotFound)
	isKind(t, w.w.Delete(t.Context(), alarm.Edit{Account: w.account, ID: a.ID}), muster.ErrNotFound)
	var kinds []string
	for _, e := range w.lines {
		kinds = append(kinds, e.Kind+" "+e.Name)
	}
	want := []string{"alarm.created CPU busy", "alarm.changed CPU busy", "alarm.enabled CPU busy", "alarm.deleted CPU busy"}
	if !slices.Equal(kinds, want) {
		t.Errorf("changelog %q", kinds)
	}
}

func TestEditingWhatNamesSomethingGone(t *testing.T) {
	w := newWorld(t)
	n := w.node("web-1")
	a := busy(0)
	a.Node, a.Channels = n.ID, []muster.ChannelID{muster.NewChannelID()}
	a = w.alarm(a)
	w.fleet.mu.Lock()
	delete(w.fleet.nodes, n.ID)
	w.fleet.mu.Unlock()
	w.gone = a.Channels[0]
	w.update(a, func(a *muster.Alarm) { a.Enabled = false })
	_, err := w.w.Update(t.Context(), alarm.Edit{Account: w.account, ID: a.ID}, func(a *muster.Alarm) error { a.Node = muster.NewNodeID(); return nil })
	isKind(t, err, muster.ErrInvalid)
	w.update(a, func(a *muster.Alarm) { a.Channels = nil })
	_, err = w.w.Update(t.Context(), alarm.Edit{Account: w.account, ID: a.ID}, func(a *muster.Alarm) error { a.Channels = []muster.ChannelID{w.gone}; return nil })
	isKind(t, err, muster.ErrInvalid)
}

func TestStandings(t *testing.T) {
	w := newWorld(t)
	n := w.node("web-1")
	a := w.alarm(busy(20 * time.Second))
	db := busy(0)
	db.Name, db.Query = "DB busy", "db*"
	w.alarm(db)
	w.caught()
	list := w.w.StandingOf(w.account, n.ID)
	if len(list) != 2 || !list[0].Applies || list[1].Applies || !math.IsNaN(list[0].Value) || list[1].Why == "" {
		t.Fatalf("%+v", list)
	}
	states := []muster.AlarmState{}
	for _, v := range []float64{0.5, 0.95, 0.95, 0.95, 0.7} {
		w.measure(n, "cpu", v)
		by, err := w.w.StandingBy(w.account, a.ID)
		if err != nil || len(by) != 1 || by[0].Value != v || by[0].Why == "" || by[0].At.IsZero() {
			t.Fatalf("%+v, %v", by, err)
		}
		states = append(states, by[0].State)
	}
	if want := []muster.AlarmState{"ok", "pending", "pending", "firing", "recovering"}; !slices.Equal(states, want) {
		t.Errorf("states %q", states)
	}
	_, err := w.w.StandingBy(w.account, "alarm_x")
	isKind(t, err, muster.ErrNotFound)
}

func TestWhatIsNotMeasuredAnyMore(t *testing.T) {
	w := newWorld(t)
	n := w.node("web-1")
	keep := busy(0)
	keep.Name, keep.NoData = "container busy", muster.NoData{After: time.Minute, Is: muster.NoDataKeep}
	w.alarm(keep)
	w.caught()
	for i := range 50 { // containers that come and go
		w.tick(10 * time.Second)
		w.hear(w.frame(n.ID, map[string]float64{fmt.Sprintf("cpu@%d", i): 0.1}))
	}
	w.hear(w.frame(n.ID, map[string]float64{"cpu@last": 0.1}))
	w.tick(10 * time.Second)
	w.hear(w.frame(n.ID, map[string]float64{"cpu@last": 1}))
	w.tick(time.Second)
	w.expect("open critical web-1 · container busy: last: 1 open")
	idle := func(d time.Duration) {
		for range d / (10 * time.Minute) {
			w.pass(10*time.Minute - time.Second)
			w.hear(w.frame(n.ID, map[string]float64{"other": 1}))
			w.tick(time.Second)
		}
	}
	idle(3 * time.Hour)
	if n := w.w.Instances(); n != 1 {
		t.Errorf("%d instances are left of 51", n)
	}
	w.expect()
	idle(22 * time.Hour)
	w.expect("resolved critical web-1 · container busy: last: 0 open")
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	w := newWorld(t)
	n := w.node("web-1")
	for i := range 10 {
		a := busy(time.Minute)
		a.Name = fmt.Sprint("alarm ", i)
		w.alarm(a)
	}
	w.caught()
	f := w.frame(n.ID, map[string]float64{"cpu": 0.5, "memory": 1, "disk": 1})
	frames := []*muster.Frame{f}
	hear := func() {
		f.At += 1000
		f.Sent = f.At
		w.w.Heard(shardOf(f.Account, f.Node), frames)
	}
	hear()
	if n := testing.AllocsPerRun(200, hear); n != 0 {
		t.Errorf("a frame allocates %v times", n)
	}
}

func TestStepsThatCanNotBeWritten(t *testing.T) {
	w := newWorld(t)
	nodes := []*muster.Node{w.node("web-1"), w.node("web-2"), w.node("web-3")}
	for i, n := range nodes {
		n.ID[15] = byte(i * shards) // all in one shard
		w.fleet.setNode(n)
	}
	w.alarm(busy(0))
	w.caught()
	w.pass(period)
	for _, n := range nodes {
		w.hear(w.frame(n.ID, map[string]float64{"cpu": 1}))
	}
	w.ledger.mu.Lock()
	w.ledger.refuse = func(entries []alarm.Entry) error {
		if slices.ContainsFunc(entries, func(e alarm.Entry) bool { return strings.Contains(e.Key, nodes[1].ID.String()) }) {
			return fmt.Errorf("ledger: %w: too big", muster.ErrLimited)
		}
		return nil
	}
	w.ledger.mu.Unlock()
	w.w.Flush(w.context(), true)
	w.expect("open critical web-1 · CPU busy: 1 open", "open critical web-3 · CPU busy: 1 open")
	w.ledger.refuse = nil
	w.ledger.setFail(fmt.Errorf("ledger: %w: another owner", muster.ErrConflict))
	w.pass(period)
	w.hear(w.frame(nodes[0].ID, map[string]float64{"cpu": 0}))
	w.pass(period)
	w.hear(w.frame(nodes[0].ID, map[string]float64{"cpu": 0}))
	w.w.Flush(w.context(), true)
	w.ledger.setFail(nil)
	w.w.Flush(w.context(), true)
	w.expect() // the shard is another server's to tell of
	isKind(t, w.w.Trouble(t.Context(), w.account, troubleIn(w, 0), "x", "y"), muster.ErrUnavailable)
}

// troubleIn finds a key whose trouble is in a shard.
func troubleIn(w *world, shard int) string {
	for i := 0; ; i++ {
		if key := fmt.Sprint(i); shardOf(w.account, alarm.TroubleSubject(w.account, key)) == shard {
			return key
		}
	}
}

func TestChecksThatMove(t *testing.T) {
	w := newWorld(t)
	one, two := w.node("web-1"), w.node("web-2")
	c := w.check("site", one.ID)
	w.alarm(&muster.Alarm{Name: "Check fails", Metric: muster.CheckStatusMetric, Condition: &muster.Condition{Op: ">=", Value: 2}})
	w.caught()
	w.tick(time.Second)
	w.hear(w.result(c, 2, "refused"))
	w.tick(time.Second)
	w.expect("open critical web-1 · site fails: 1 open")
	moved := *c
	moved.Node = two.ID
	w.fleet.setCheck(&moved)
	w.w.CheckChanged(w.account, c.ID)
	w.tick(time.Second)
	w.expect("resolved critical web-1 · site fails: 0 open")
	w.hear(w.result(&moved, 2, "refused"))
	w.tick(time.Second)
	w.expect("open critical web-2 · site fails: 1 open")
}

func TestClockThatGoesBack(t *testing.T) {
	w := newWorld(t)
	n := w.node("web-1")
	w.alarm(busy(20 * time.Second))
	w.caught()
	w.pass(24 * time.Hour) // the server's clock is wrong by a day, and so is the agent's
	w.measure(n, "cpu", 0.5, 0.5)
	w.pass(-24 * time.Hour)
	w.tick(time.Second)
	w.measure(n, "cpu", 1, 1, 1, 1)
	w.expect("open critical web-1 · CPU busy: 1 open")
}

func TestKeep(t *testing.T) {
	w := newWorld(t)
	n := w.node("web-1")
	w.alarm(busy(20 * time.Second))
	w.caught()
	keep := func(want map[time.Duration]bool) {
		t.Helper()
		w.w.Flush(w.context(), true)
		if len(w.ledger.states) == 0 {
			t.Error("nothing is saved")
		}
		for key, state := range w.ledger.states {
			for age, want := range want {
				if got, ours := alarm.Keep(key[2:], state, age); !ours || got != want {
					t.Errorf("%s after %s: kept %v", key, age, got)
				}
			}
		}
	}
	w.measure(n, "cpu", 1)
	keep(map[time.Duration]bool{0: true, 100 * time.Hour: true}) // a hold is under way
	w.measure(n, "cpu", 1, 1)
	keep(map[time.Duration]bool{0: true, 100 * time.Hour: true}) // it fires
	w.measure(n, "cpu", 0, 0, 0)
	keep(map[time.Duration]bool{time.Hour: true, 3 * time.Hour: false}) // it is over
	if _, ours := alarm.Keep("notify/cursor", nil, 0); ours {
		t.Error("keys of others are not this room's")
	}
	if keep, ours := alarm.Keep("alarm/x", []byte{9}, time.Hour*100); !keep || !ours {
		t.Error("what can't be read must not be thrown away")
	}
}

func TestOptions(t *testing.T) {
	w := newWorld(t)
	for name, spoil := range map[string]func(*alarm.Options){
		"ledger":  func(o *alarm.Options) { o.Ledger = nil },
		"fleet":   func(o *alarm.Options) { o.Fleet = nil },
		"history": func(o *alarm.Options) { o.History = nil },
		"shards":  func(o *alarm.Options) { o.Shards = 0 },
		"where":   func(o *alarm.Options) { o.ShardOf = nil },
		"grace":   func(o *alarm.Options) { o.Grace = -1 },
	} {
		o := w.options()
		spoil(&o)
		if _, err := alarm.Open(t.Context(), w.store, o); err == nil {
			t.Errorf("no %s, and no word of it", name)
		}
	}
	w.store.fail = fmt.Errorf("store: %w", muster.ErrUnavailable)
	_, err := alarm.Open(t.Context(), w.store, w.options())
	isKind(t, err, muster.ErrUnavailable)
	w.store.fail = nil
	w.store.alarms["alarm_bad"] = &muster.Alarm{ID: "alarm_bad", Account: w.account, Name: "bad", Query: "((", Enabled: true}
	w.open() // one that can't be understood does not take the others with it
	if len(w.w.List(w.account)) != 0 {
		t.Error("it is listed all the same")
	}
}
