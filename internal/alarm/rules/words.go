package rules

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster"
)

// Span writes a length of time for people: "5 min", "1 h 30 min".
func Span(d time.Duration) string {
	if d < time.Second {
		return d.String()
	}
	d = d.Round(time.Second)
	var parts []string
	for _, u := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if n := d / u.size; n > 0 && len(parts) < 2 {
			parts = append(parts, fmt.Sprintf("%d %s", n, u.name))
			d -= n * u.size
		}
	}
	return strings.Join(parts, " ")
}

// Amount writes a value of a unit for people: "97 %", "1.2 s", "4.1e+09 By".
func Amount(v float64, unit string) string {
	switch {
	case math.IsNaN(v):
		return "nothing"
	case unit == "1":
		return strconv.FormatFloat(math.Round(v*1000)/10, 'f', -1, 64) + " %"
	case unit == "" || strings.HasPrefix(unit, "{"):
		return strconv.FormatFloat(v, 'g', 6, 64)
	}
	return strconv.FormatFloat(v, 'g', 6, 64) + " " + unit
}

// Describe says in one line what an alarm watches.
func Describe(a *muster.Alarm) string {
	var b strings.Builder
	switch {
	case a.Metric != "":
		b.WriteString(a.Metric)
		for _, key := range slices.Sorted(maps.Keys(a.Attrs)) {
			fmt.Fprintf(&b, " %s=%s", key, Clip(a.Attrs[key]))
		}
	case a.Check != "":
		b.WriteString("the status of " + string(a.Check))
	default:
		b.WriteString("that agents report")
	}
	switch {
	case !a.Node.IsZero():
		b.WriteString(" of " + a.Node.String())
	case a.Query != "":
		b.WriteString(" of nodes " + Clip(a.Query))
	}
	if c := a.Condition; c != nil {
		b.WriteString(", fires when " + conditionWords(c))
	}
	if a.NoData.After > 0 {
		fmt.Fprintf(&b, ", silence of %s is %s", Span(a.NoData.After), a.NoData.Is)
	}
	return b.String()
}

// conditionWords says when a condition holds.
func conditionWords(c *muster.Condition) string {
	text := fmt.Sprintf("%s %g", c.Op, c.Value)
	if c.Fn == muster.FnForecast {
		text = fmt.Sprintf("%s within %s", text, Span(c.Within))
	}
	if c.For > 0 {
		text += " for " + Span(c.For)
	}
	if c.Recover.Op != "" {
		text += fmt.Sprintf(", well when %s %g", c.Recover.Op, c.Recover.Value)
		if c.Recover.For > 0 {
			text += " for " + Span(c.Recover.For)
		}
	}
	return text
}
