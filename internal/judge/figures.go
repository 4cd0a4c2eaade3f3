package judge

import (
	"math"
	"strconv"
	"strings"
)

// share is the unit of what is shown in percent; it is none of UCUM's.
const share = "share"

// unit gives how values are shown. The unit "1" says no more than that there is none: by OpenTelemetry's names a
// utilization is a share of a whole, and seconds per second are one.
func (r *Rule) unit(unit string) string {
	if (unit == "" || unit == "1") && strings.HasSuffix(r.metric, ".utilization") || unit == "s/s" {
		return share
	}
	return unit
}

// value gives a value with its unit: three digits that count, or five where these tell it from the other.
func (r *Rule) value(v float64, unit string, other float64) string {
	unit = r.unit(unit)
	for _, digits := range []int{3, 5} {
		if text := figure(v, unit, digits); v == other || text != figure(other, unit, digits) {
			return text
		}
	}
	if v < other {
		return "just below " + figure(other, unit, 8)
	}
	return "just above " + figure(other, unit, 8)
}

// exact gives a limit as a person wrote it.
func (r *Rule) exact(v float64, unit string) string { return figure(v, r.unit(unit), 8) }

// figure gives a value with its unit, as pages do: bytes by 1024, what is per second by 1000, times in what fits.
func figure(v float64, unit string, digits int) string {
	div, name := 1.0, unit
	abs := math.Abs(v)
	switch unit {
	case share:
		div, name = 0.01, "%"
	case "", "1":
		div, name = power(abs, 1000, 10000, []string{"", "k", "M", "G", "T"})
	case "By":
		div, name = power(abs, 1024, 1024, []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"})
	case "By/s":
		div, name = power(abs, 1000, 1000, []string{"B/s", "kB/s", "MB/s", "GB/s", "TB/s"})
	case "bit/s":
		div, name = power(abs, 1000, 1000, []string{"b/s", "kb/s", "Mb/s", "Gb/s", "Tb/s"})
	case "Hz":
		div, name = power(abs, 1000, 1000, []string{"Hz", "kHz", "MHz", "GHz", "THz"})
	case "s":
		div, name = seconds(abs)
	case "Cel":
		name = "°C"
	default:
		name = plainUnit(unit)
	}
	text := round(v/div, digits)
	switch {
	case name == "":
		return text
	case name[0] == '/':
		return text + name
	}
	return text + " " + name
}

// power finds the unit whose numbers are small; below from the first is kept.
func power(abs, base, from float64, names []string) (div float64, name string) {
	div = 1
	if abs < from {
		return div, names[0]
	}
	n := 0
	for abs/div >= base && n < len(names)-1 {
		div *= base
		n++
	}
	return div, names[n]
}

func seconds(abs float64) (div float64, name string) {
	switch {
	case abs == 0 || abs >= 1 && abs < 120:
		return 1, "s"
	case abs < 0.001:
		return 1e-6, "µs"
	case abs < 1:
		return 0.001, "ms"
	case abs < 7200:
		return 60, "min"
	case abs < 172_800:
		return 3600, "h"
	}
	return 86_400, "days"
}

// plainUnit takes UCUM's remarks out: "{process}" counts what the metric's name says already.
func plainUnit(unit string) string {
	if open := strings.IndexByte(unit, '{'); open >= 0 {
		if end := strings.IndexByte(unit[open:], '}'); end >= 0 {
			unit = unit[:open] + unit[open+end+1:]
		}
	}
	return strings.TrimPrefix(unit, "1")
}

// round gives so many digits that count, none of them a zero at the end of a fraction, and all before the point.
func round(v float64, digits int) string {
	if v == 0 {
		return "0"
	}
	magnitude := int(math.Floor(math.Log10(math.Abs(v))))
	if magnitude < -6 || magnitude > 15 {
		return strconv.FormatFloat(v, 'g', digits, 64)
	}
	text := strconv.FormatFloat(v, 'f', max(0, digits-1-magnitude), 64)
	if strings.IndexByte(text, '.') >= 0 {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// number gives a limit without a unit.
func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
