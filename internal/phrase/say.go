package phrase

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster/api"
)

// Say writes a condition, without its recovery: "> 95% for 5m". The metric says whether values are shares or
// seconds; "" leaves them as they are. It is "" for nil.
func Say(c *api.Condition, metric string) string {
	if c == nil {
		return ""
	}
	var parts []string
	if c.Fn != "" {
		parts = append(parts, c.Fn)
	}
	if c.Within != "" {
		parts = append(parts, "within", c.Within)
	}
	return strings.Join(append(parts, c.Op, value(c.Value, metric)), " ") + hold(c.For)
}

// SayRecovery writes when an alarm is well again: "< 90% for 2m"; "" when as soon as the condition does not hold.
func SayRecovery(r *api.Recover, metric string) string {
	if r == nil {
		return ""
	}
	if r.Op == "" {
		return strings.TrimSpace(hold(r.For))
	}
	return r.Op + " " + value(r.Value, metric) + hold(r.For)
}

// SayNoData writes what silence means: "1m critical"; "" when nothing.
func SayNoData(n *api.NoData) string {
	if n == nil || n.After == "" {
		return ""
	}
	return strings.TrimSpace(n.After + " " + n.Is)
}

func hold(d string) string {
	if d == "" || d == "0s" {
		return ""
	}
	return " for " + d
}

// value writes a number so that it reads back as the same; a share in percent where that is possible.
func value(v float64, metric string) string {
	if share(metric) {
		const digits = 12
		if text := strconv.FormatFloat(v*100, 'g', digits, 64); len(text) <= digits {
			if back, err := strconv.ParseFloat(text, 64); err == nil && back/100 == v {
				return text + "%"
			}
		}
	}
	if timed(metric) && v > 0 && v < 1e9 {
		text := api.FormatDuration(time.Duration(math.Round(v*1e3)) * time.Millisecond)
		if r := read("> " + text); r.fault == "" {
			if _, back := r.comparison(); r.fault == "" && back == v {
				return text
			}
		}
	}
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e15) {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

func share(metric string) bool { return endsIn(metric, "utilization", ".share", ".ratio", ".loss") }

// timed says whether a metric is one of seconds.
func timed(metric string) bool { return endsIn(metric, ".duration", ".remaining", "uptime", ".age") }

func endsIn(metric string, ends ...string) bool {
	return slices.ContainsFunc(ends, func(end string) bool { return strings.HasSuffix(metric, end) })
}
