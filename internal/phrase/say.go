package phrase

import (
	"math"
	"strconv"
	"strings"

	"muster/api"
)

// Say writes a condition, without its recovery: "> 95% for 5m". The metric says whether values are shares;
// "" leaves them as they are. It is "" for nil.
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
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e15) {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

func share(metric string) bool {
	for _, end := range []string{"utilization", ".share", ".ratio", ".loss"} {
		if strings.HasSuffix(metric, end) {
			return true
		}
	}
	return false
}
