package judge

import (
	"fmt"
	"time"

	"muster"
)

// Words are made of the inputs and of what a rule says, never of a clock: they are the same whenever the same inputs come.

// whyFired says why it fires; s has the hold that ends with the input.
func (r *Rule) whyFired(s *State, in *Input) string {
	switch {
	case r.status:
		return said(in) + times(s, in)
	case r.within > 0:
		return r.whyForecast(s, in)
	}
	return r.value(in.Value, in.Unit, r.limit) + held(r.hold) + r.bound(in.Unit)
}

// bound says what the condition compares with.
func (r *Rule) bound(unit string) string {
	limit := r.exact(r.limit, unit)
	switch r.op {
	case "==":
		return ", which it must not be"
	case "!=":
		return ", expected " + limit
	}
	return ", limit " + limit
}

// whyForecast says when the line meets the limit.
func (r *Rule) whyForecast(s *State, in *Input) string {
	now := r.value(in.Value, in.Unit, r.limit)
	if r.op.Holds(in.Value, r.limit) {
		return now + " already" + r.bound(in.Unit)
	}
	height, slope, _ := s.trend.line()
	left := (r.limit - height) / slope
	limit := r.exact(r.limit, in.Unit)
	up := r.op == ">" || r.op == ">="
	switch {
	case !(left > 0) || left > r.within.Seconds():
		return r.coming(s, in.Unit) + ", limit " + limit
	case up && r.limit == 1 && r.unit(in.Unit) == share:
		return fmt.Sprintf("full in about %s at this pace, %s now", about(left), now)
	}
	return fmt.Sprintf("reaches %s in about %s at this pace, %s now", limit, about(left), now)
}

// coming says what the line leads to.
func (r *Rule) coming(s *State, unit string) string {
	v, _ := r.forecast(s)
	return fmt.Sprintf("%s in %s at this pace", r.value(v, unit, r.limit), about(r.within.Seconds()))
}

// whyMended says why it is well again; s has the hold that ends with the input.
func (r *Rule) whyMended(s *State, in *Input) string {
	limit := r.limit
	if r.backOp != "" {
		limit = r.back
	}
	again := ""
	if s.flags.has(mute) {
		again = " again after " + span(s.hold-(s.since-r.after-r.slack))
	}
	switch {
	case r.metric == "":
		return "heard" + again + held(r.backHold)
	case r.status && in.Text == "" && again != "":
		return "results" + again + held(r.backHold)
	case r.status:
		return said(in) + times(s, in)
	case r.op == "":
		return "data" + again + held(r.backHold)
	}
	now := "back to " + r.value(in.Value, in.Unit, limit)
	if again != "" {
		now = "data" + again + ": " + r.value(in.Value, in.Unit, limit)
	}
	if _, known := r.forecast(s); known {
		now = r.coming(s, in.Unit)
	}
	if r.op == "==" || r.op == "!=" {
		return now + held(r.backHold)
	}
	return now + held(r.backHold) + ", limit " + r.exact(limit, in.Unit)
}

// whySilent says that nothing came.
func (r *Rule) whySilent() string {
	what := "no data"
	switch {
	case r.metric == "":
		what = "nothing heard"
	case r.status:
		what = "no result"
	}
	return what + held(r.after)
}

// said is what the check said, or its status when it said nothing.
func said(in *Input) string {
	if in.Text != "" {
		return clip(in.Text)
	}
	return string(muster.StatusOf(in.Value))
}

// times says how often the check said so, when more than once.
func times(s *State, in *Input) string {
	if s.count < 2 {
		return ""
	}
	return fmt.Sprintf(" (%d times in %s)", s.count, span(in.At-s.hold))
}

func held(ms int64) string {
	if ms == 0 {
		return ""
	}
	return " for " + span(ms)
}

// span gives milliseconds in words, by the two greatest units that count: "1 h 30 min".
func span(ms int64) string {
	units := []struct {
		long int64
		name string
	}{{86_400_000, "d"}, {3_600_000, "h"}, {60_000, "min"}, {1000, "s"}, {1, "ms"}}
	for i, u := range units {
		if ms < u.long {
			continue
		}
		text := fmt.Sprintf("%d %s", ms/u.long, u.name)
		if i+1 < len(units) && u.name != "s" {
			if rest := ms % u.long / units[i+1].long; rest > 0 {
				text += fmt.Sprintf(" %d %s", rest, units[i+1].name)
			}
		}
		return text
	}
	return "0 s"
}

// about gives seconds in words, as a forecast should: roughly.
func about(seconds float64) string {
	switch d := time.Duration(seconds) * time.Second; {
	case d < 90*time.Minute:
		return fmt.Sprintf("%d min", max(1, int64(d.Round(time.Minute)/time.Minute)))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int64(d.Round(time.Hour)/time.Hour))
	default:
		const day = 24 * time.Hour
		return fmt.Sprintf("%d days", int64(d.Round(day)/day))
	}
}
