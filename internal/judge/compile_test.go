package judge_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/judge"
)

// sound gives an alarm that compiles.
func sound() *muster.Alarm {
	return &muster.Alarm{Metric: "m", Level: muster.LevelWarning, Condition: &muster.Condition{Op: ">", Value: 0.9}}
}

func TestCompileTakes(t *testing.T) {
	for name, change := range map[string]func(*muster.Alarm){
		"a metric":            func(a *muster.Alarm) {},
		"a metric of a check": func(a *muster.Alarm) { a.Check = scriptCheck },
		"attributes":          func(a *muster.Alarm) { a.Attrs = map[string]string{"system.device": "sd*"} },
		"longest holds":       func(a *muster.Alarm) { a.Condition.For, a.Condition.Recover.For = 24*time.Hour, 24*time.Hour },
		"limits that touch":   func(a *muster.Alarm) { a.Condition.Recover = muster.Recovery{Op: "<=", Value: 0.9} },
		"a band between":      func(a *muster.Alarm) { a.Condition.Recover = muster.Recovery{Op: "<", Value: 0.5} },
		"one value, and another": func(a *muster.Alarm) {
			a.Condition = &muster.Condition{Op: "==", Value: 1, Recover: muster.Recovery{Op: "==", Value: 0}}
		},
		"any but one": func(a *muster.Alarm) {
			a.Condition = &muster.Condition{Op: "!=", Value: 1, Recover: muster.Recovery{Op: "==", Value: 1}}
		},
		"a forecast":           func(a *muster.Alarm) { a.Condition.Fn, a.Condition.Within = muster.FnForecast, 24*time.Hour },
		"silence kept":         func(a *muster.Alarm) { a.NoData = muster.NoData{After: time.Minute, Is: muster.NoDataKeep} },
		"keep, without a time": func(a *muster.Alarm) { a.NoData.Is = muster.NoDataKeep },
		"a check's status":     func(a *muster.Alarm) { a.Check, a.Metric, a.Condition = scriptCheck, "", nil },
		"a check's status, with a hold": func(a *muster.Alarm) {
			a.Check, a.Metric, a.Condition = scriptCheck, "", &muster.Condition{For: time.Minute}
		},
		"a metric that must come": func(a *muster.Alarm) {
			a.Condition, a.NoData = nil, muster.NoData{After: time.Hour, Is: muster.NoDataCritical}
		},
		"frames that must come": func(a *muster.Alarm) {
			a.Metric, a.Condition = "", &muster.Condition{Recover: muster.Recovery{For: time.Minute}}
			a.NoData = muster.NoData{After: time.Minute, Is: muster.NoDataCritical}
		},
	} {
		a := sound()
		change(a)
		if _, err := judge.Compile(a); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	condition := func(change func(*muster.Condition)) func(*muster.Alarm) {
		return func(a *muster.Alarm) { change(a.Condition) }
	}
	back := func(op muster.Op, value float64, backOp muster.Op, backValue float64) func(*muster.Alarm) {
		return condition(func(c *muster.Condition) {
			c.Op, c.Value, c.Recover = op, value, muster.Recovery{Op: backOp, Value: backValue}
		})
	}
	noData := func(after time.Duration, is muster.NoDataIs) func(*muster.Alarm) {
		return func(a *muster.Alarm) { a.NoData = muster.NoData{After: after, Is: is} }
	}
	frames := func(then func(*muster.Alarm)) func(*muster.Alarm) {
		return func(a *muster.Alarm) {
			a.Metric, a.Condition, a.NoData = "", nil, muster.NoData{After: time.Minute, Is: muster.NoDataCritical}
			then(a)
		}
	}
	for _, c := range []struct {
		change func(*muster.Alarm)
		fields string
		says   string
	}{
		{func(a *muster.Alarm) { a.Level = "" }, "level", "warning or critical"},
		{func(a *muster.Alarm) { a.Level = "fatal" }, "level", ""},
		{func(a *muster.Alarm) { a.Check = "check_x" }, "check", "check_"},
		{func(a *muster.Alarm) { a.Metric = "a\nb" }, "metric", "control"},
		{func(a *muster.Alarm) { a.Metric = strings.Repeat("m", 201) }, "metric", "200"},
		{func(a *muster.Alarm) { a.Attrs = map[string]string{"": "x"} }, "attributes", "names"},
		{func(a *muster.Alarm) { a.Attrs = map[string]string{"a": strings.Repeat("x", 401)} }, "attributes", "400"},
		{func(a *muster.Alarm) { a.Condition = nil }, "condition", "nothing can fire"},
		{func(a *muster.Alarm) { a.Condition = &muster.Condition{} }, "condition.op", "> >= < <= == !="},
		{condition(func(c *muster.Condition) { c.Op = "=>" }), "condition.op", "one of"},
		{condition(func(c *muster.Condition) { c.Value = math.NaN() }), "condition.value", "number"},
		{condition(func(c *muster.Condition) { c.Value = math.Inf(-1) }), "condition.value", "number"},
		{condition(func(c *muster.Condition) { c.For = -1 }), "condition.for", "24 h"},
		{condition(func(c *muster.Condition) { c.For = 24*time.Hour + 1 }), "condition.for", "24 h"},
		{condition(func(c *muster.Condition) { c.Recover.For = 25 * time.Hour }), "condition.recover.for", "24 h"},
		{condition(func(c *muster.Condition) { c.Recover.Value = 0.8 }), "condition.recover.op", "beside"},
		{condition(func(c *muster.Condition) { c.Recover = muster.Recovery{Op: "~", Value: 1} }), "condition.recover.op", "one of"},
		{condition(func(c *muster.Condition) { c.Recover = muster.Recovery{Op: "<", Value: math.NaN()} }), "condition.recover.value", "number"},
		{back(">", 0.9, "<", 0.95), "condition.recover", "0.925 both fires (> 0.9) and recovers (< 0.95)"},
		{back(">", 0.9, ">", 0.95), "condition.recover", "overlap"},
		{back(">=", 0.9, "<=", 0.9), "condition.recover", "0.9 both"},
		{back("<", 10, ">", 5), "condition.recover", "overlap"},
		{back("<", 10, "==", 5), "condition.recover", "5 both"},
		{back("==", 1, "<", 2), "condition.recover", "1 both"},
		{back("!=", 1, "<", 0), "condition.recover", "overlap"},
		{back("!=", 1, "!=", 2), "condition.recover", "overlap"},
		{back(">", 1e308, ">=", 1e308), "condition.recover", "overlap"},
		{condition(func(c *muster.Condition) { c.Fn = "median" }), "condition.fn", "forecast"},
		{condition(func(c *muster.Condition) { c.Within = time.Hour }), "condition.within", "forecast only"},
		{condition(func(c *muster.Condition) { c.Fn = muster.FnForecast }), "condition.within", "10 min"},
		{condition(func(c *muster.Condition) { c.Fn, c.Within = muster.FnForecast, 31*24*time.Hour }), "condition.within", "30 days"},
		{condition(func(c *muster.Condition) { c.Fn, c.Within, c.Op = muster.FnForecast, time.Hour, "==" }), "condition.op", "forecast"},
		{func(a *muster.Alarm) {
			a.Check, a.Metric = scriptCheck, ""
			a.Condition.Fn, a.Condition.Within = muster.FnForecast, time.Hour
		}, "condition.fn", "status"},
		{func(a *muster.Alarm) { a.Check, a.Metric, a.Condition = scriptCheck, "", &muster.Condition{Value: 1} }, "condition.op", ""},
		{noData(time.Minute, ""), "no_data.is", "needed"},
		{noData(time.Minute, "fine"), "no_data.is", "critical, ok or keep"},
		{noData(0, muster.NoDataCritical), "no_data.after", "critical"},
		{noData(time.Millisecond, muster.NoDataOK), "no_data.after", "1 s"},
		{noData(-time.Minute, muster.NoDataKeep), "no_data.after", "1 s"},
		{noData(8*24*time.Hour, muster.NoDataKeep), "no_data.after", "7 days"},
		{func(a *muster.Alarm) {
			a.Condition, a.NoData = nil, muster.NoData{After: time.Hour, Is: muster.NoDataOK}
		}, "condition", "nothing can fire"},
		{frames(func(a *muster.Alarm) { a.NoData = muster.NoData{} }), "no_data.after", "frames"},
		{frames(func(a *muster.Alarm) { a.NoData.Is = muster.NoDataKeep }), "no_data.is", "critical"},
		{frames(func(a *muster.Alarm) { a.Attrs = map[string]string{"a": "b"} }), "attributes", "name the metric"},
		{frames(func(a *muster.Alarm) { a.Condition = &muster.Condition{Op: ">", Value: 1} }), "condition.op", "no_data alone"},
		{frames(func(a *muster.Alarm) { a.Condition = &muster.Condition{For: time.Minute} }), "condition.for", "no_data.after"},
		{frames(func(a *muster.Alarm) { a.Condition = &muster.Condition{Recover: muster.Recovery{Op: "<", Value: 1}} }), "condition.recover.op", ""},
		{func(a *muster.Alarm) {
			a.Level, a.Condition.Op, a.Condition.For, a.NoData.Is = "", "", -1, "x"
		}, "no_data.is level condition.op condition.for condition.for", ""},
	} {
		a := sound()
		c.change(a)
		_, err := judge.Compile(a)
		var faults *judge.RuleError
		if !errors.As(err, &faults) || !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%+v: want a fault in %s, got %v", a, c.fields, err)
			continue
		}
		var fields []string
		for _, f := range faults.Fields {
			fields = append(fields, f.Field)
		}
		if strings.Join(fields, " ") != c.fields || !strings.Contains(muster.Words(err), c.says) {
			t.Errorf("want a fault in %s that says %q, got %v", c.fields, c.says, err)
		}
	}
}

func TestDefaultsAreFilledIn(t *testing.T) {
	rule := must(t, &muster.Alarm{Check: scriptCheck, Level: muster.LevelCritical, Condition: &muster.Condition{For: time.Minute}})
	c, ok := rule.Condition()
	if want := (muster.Condition{Op: ">=", Value: 2, For: time.Minute}); !ok || c != want || rule.Metric() != muster.CheckStatusMetric {
		t.Errorf("%+v on %s", c, rule.Metric())
	}
	rule = must(t, &muster.Alarm{Level: muster.LevelCritical, NoData: muster.NoData{After: time.Minute, Is: muster.NoDataCritical}})
	if _, ok := rule.Condition(); ok || rule.Metric() != "" {
		t.Error("signs of life have no condition and no metric")
	}
	forecast := sound()
	forecast.Condition.Fn, forecast.Condition.Within = muster.FnForecast, time.Hour
	if c, _ := must(t, forecast).Condition(); c != *forecast.Condition {
		t.Errorf("%+v", c)
	}
}

func TestTellWithin(t *testing.T) {
	for _, c := range []struct {
		words  string
		period time.Duration
		want   time.Duration
	}{
		{"metric=m op=> value=1", 10 * time.Second, 12 * time.Second},
		{"metric=m op=> value=1 for=5m", 10 * time.Second, 5*time.Minute + 12*time.Second},
		{"metric=m op=> value=1 for=15s", 10 * time.Second, 32 * time.Second}, // two inputs make 10 s, three 20 s
		{"metric=m op=> value=1 for=30s", time.Minute, 2*time.Minute + 2*time.Second},
		{"metric=m op=> value=1 for=30s", 0, 32 * time.Second},
		{"nodata=1m is=critical", 10 * time.Second, 62 * time.Second},
		{"nodata=1m is=critical", time.Minute, 3*time.Minute + 2*time.Second},
		{"metric=m nodata=1h is=critical", 0, time.Hour + 2*time.Second},
	} {
		a, _ := alarm(t, strings.Fields(c.words))
		if got := judge.TellWithin(must(t, a), c.period); got != c.want {
			t.Errorf("%s every %s: %s, want %s", c.words, c.period, got, c.want)
		}
	}
}

// What TellWithin promises is kept whenever between two inputs the breach begins.
func TestTellWithinIsKept(t *testing.T) {
	for _, hold := range []time.Duration{0, 7 * time.Second, 10 * time.Second, 25 * time.Second} {
		a := sound()
		a.Condition.For = hold
		rule := must(t, a)
		const period = 10 * time.Second
		for breach := time.Duration(0); breach < period; breach += time.Second {
			var s judge.State
			for at := time.Duration(0); ; at += period {
				value := 0.5
				if at > breach {
					value = 1
				}
				var v *judge.Verdict
				if s, v = rule.Judge(s, judge.Input{At: midnight.Add(at).UnixMilli(), Value: value}, midnight); v != nil {
					if took := at - breach + judge.Delivery; took > judge.TellWithin(rule, period) {
						t.Errorf("for %s: told after %s, promised %s", hold, took, judge.TellWithin(rule, period))
					}
					break
				}
			}
		}
	}
}

func TestTransitionID(t *testing.T) {
	id := judge.TransitionID("alarm_1", muster.NodeID{1}, "m\x00a\x01b", midnight, muster.AlarmFiring)
	if want := "ed8220326a01557978cbfcb24adc08e7"; id != want {
		t.Errorf("%s, was %s: ids of transitions must stay what they are", id, want)
	}
	seen := map[string]bool{id: true}
	for _, other := range []string{
		judge.TransitionID("alarm_2", muster.NodeID{1}, "m\x00a\x01b", midnight, muster.AlarmFiring),
		judge.TransitionID("alarm_1", muster.NodeID{2}, "m\x00a\x01b", midnight, muster.AlarmFiring),
		judge.TransitionID("alarm_1", muster.NodeID{1}, "m\x00a\x01c", midnight, muster.AlarmFiring),
		judge.TransitionID("alarm_1", muster.NodeID{1}, "m\x00a\x01b", midnight.Add(time.Millisecond), muster.AlarmFiring),
		judge.TransitionID("alarm_1", muster.NodeID{1}, "m\x00a\x01b", midnight, muster.AlarmOK),
	} {
		if seen[other] || len(other) != 32 {
			t.Errorf("%s is not one of its own", other)
		}
		seen[other] = true
	}
}

func must(t testing.TB, a *muster.Alarm) *judge.Rule {
	t.Helper()
	rule, err := judge.Compile(a)
	if err != nil {
		t.Fatal(err)
	}
	return rule
}
