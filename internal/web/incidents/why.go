package incidents

import (
	"math"
	"slices"
	"time"

	"muster"
	"muster/internal/alarm/rules"
	"muster/internal/web/chart"
)

// reason is why an alarm fired: what was stored with the transition, and the rule.
type reason struct {
	Alarm   string
	Href    string // of the alarm; empty when it was removed
	Series  string
	Level   muster.Level
	At      time.Time
	Why     string
	Rules   []string // the rule as it is now
	Changed bool     // it was changed after it had fired
	Gone    bool     // it was removed
	Inputs  []input

	transition *muster.Transition
}

// input is one thing the alarm saw.
type input struct {
	At   time.Time
	Text string // the value or status
	Said string // what the check said
	Bad  bool   // nothing came
}

// reasonsShown is how many are told at once: the others are in the timeline.
const reasonsShown = 4

// reasons gives for each alarm and series the last time it fired: of those that fire now, or of all when it is over.
func (p *Page) reasons(s *scene) []reason {
	var out []reason
	seen := map[[2]string]bool{}
	for i := len(s.Transitions) - 1; i >= 0; i-- {
		t := &s.Transitions[i]
		key := [2]string{string(t.Alarm), t.Series}
		if t.To != muster.AlarmFiring || seen[key] || s.State != muster.IncidentResolved && !fires(s.Incident, t) {
			continue
		}
		seen[key] = true
		out = append(out, p.reason(s, t))
	}
	slices.SortStableFunc(out, func(a, b reason) int {
		switch {
		case a.Level.Worse(b.Level):
			return -1
		case b.Level.Worse(a.Level):
			return 1
		}
		return a.At.Compare(b.At)
	})
	return out[:min(len(out), reasonsShown)]
}

func fires(in *muster.Incident, t *muster.Transition) bool {
	return slices.ContainsFunc(in.Open, func(f muster.Firing) bool { return f.Alarm == t.Alarm && f.Series == t.Series })
}

func (p *Page) reason(s *scene, t *muster.Transition) reason {
	out := reason{
		Alarm: t.Name, Href: p.alarmPath(s, t.Alarm), Series: t.Series, Level: t.Level, At: t.At, Why: t.Why, transition: t,
		Gone: t.Alarm != "" && s.alarms[t.Alarm] == nil,
	}
	metric := ""
	if a := s.alarms[t.Alarm]; a != nil {
		metric = metricOf(a)
		unit, _ := s.unit(metric)
		out.Rules, out.Changed = ruleWords(a, unit), a.UpdatedAt.After(t.At)
	}
	unit, _ := s.unit(metric)
	for _, in := range t.Inputs {
		out.Inputs = append(out.Inputs, inputOf(in, metric, unit))
	}
	return out
}

func inputOf(in muster.Input, metric, unit string) input {
	out := input{At: in.At, Said: in.Text}
	switch {
	case math.IsNaN(in.Value):
		out.Text, out.Bad = "nothing came", true
	case metric == muster.CheckStatusMetric:
		out.Text = string(muster.StatusOf(in.Value))
	case metric == "":
		out.Text = "heard"
	default:
		out.Text = chart.Text(in.Value, unit)
	}
	return out
}

// metricOf gives what the alarm's values are values of; empty when it watches that agents report.
func metricOf(a *muster.Alarm) string {
	m := rules.MetricsOf(a)
	return m.Name
}

// ruleWords says in lines when an alarm fires, when it is well again, and what silence means.
func ruleWords(a *muster.Alarm, unit string) []string {
	var out []string
	metric := metricOf(a)
	if c := condition(a); c != nil {
		text := "fires when "
		if c.Fn == muster.FnForecast {
			text += "it will be "
		}
		text += compare(c.Op, c.Value, metric, unit)
		if c.Fn == muster.FnForecast {
			text += " within " + rules.Span(c.Within) + " at its pace"
		}
		out = append(out, text+hold(c.For), "well again when "+recovery(c, metric, unit))
	}
	if a.NoData.After > 0 {
		after := rules.Span(a.NoData.After)
		switch a.NoData.Is {
		case muster.NoDataCritical:
			out = append(out, "fires after "+after+" of silence")
		case muster.NoDataOK:
			out = append(out, "is well after "+after+" of silence")
		}
	}
	return out
}

// condition gives the alarm's own, or the one that an alarm on a check's status has without one.
func condition(a *muster.Alarm) *muster.Condition {
	if a.Condition == nil && a.Check != "" && a.Metric == "" {
		return &muster.Condition{Op: ">=", Value: muster.StatusCritical.Number()}
	}
	return a.Condition
}

func recovery(c *muster.Condition, metric, unit string) string {
	if c.Recover.Op == "" {
		return "that no longer holds" + hold(c.Recover.For)
	}
	return compare(c.Recover.Op, c.Recover.Value, metric, unit) + hold(c.Recover.For)
}

func hold(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return " for " + rules.Span(d)
}

// signs are operators as people write them.
var signs = map[muster.Op]string{">": ">", ">=": "≥", "<": "<", "<=": "≤", "==": "=", "!=": "≠"}

func compare(op muster.Op, v float64, metric, unit string) string {
	if metric == muster.CheckStatusMetric {
		status := string(muster.StatusOf(v))
		switch {
		case op == ">=" && v == muster.StatusCritical.Number():
			return "critical or unknown"
		case op == ">=" || op == ">":
			return map[muster.Op]string{">=": status + " or worse", ">": "worse than " + status}[op]
		case op == "==":
			return status
		}
	}
	return signs[op] + " " + chart.Text(v, unit)
}
