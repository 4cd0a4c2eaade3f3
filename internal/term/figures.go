package term

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Percent writes a share; "" when it is not known.
func Percent(v *float64) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf("%.0f%%", *v*100)
}

// Bytes writes a number of bytes in powers of 1024, with three digits at most.
func Bytes(v float64) string {
	return scaled(v, 1024, []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"})
}

// Rate writes bytes per second; "" when it is not known.
func Rate(v *float64) string {
	if v == nil {
		return ""
	}
	return Bytes(*v) + "/s"
}

func scaled(v, base float64, units []string) string {
	unit := 0
	for math.Abs(v) >= base*0.9995 && unit < len(units)-1 {
		v /= base
		unit++
	}
	return strings.TrimRight(Digits(v)+" "+units[unit], " ")
}

// Digits writes three significant digits without an exponent.
func Digits(v float64) string {
	switch abs := math.Abs(v); {
	case abs >= 99.95 || v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case abs >= 9.995:
		return fmt.Sprintf("%.1f", v)
	case abs >= 0.01:
		return fmt.Sprintf("%.2f", v)
	case v == 0:
		return "0"
	}
	return fmt.Sprintf("%.2g", v)
}

// Figure writes a value of a UCUM unit as people read it.
func Figure(v float64, metric, unit string) string {
	per := ""
	base, isRate := strings.CutSuffix(unit, "/s")
	if isRate {
		per = "/s"
	}
	switch base {
	case "By":
		return Bytes(v) + per
	case "1":
		if strings.HasSuffix(metric, "utilization") || strings.HasSuffix(metric, ".share") || strings.HasSuffix(metric, ".ratio") {
			return Digits(v*100) + "%"
		}
		return scaled(v, 1000, []string{"", "k", "M", "G", "T"}) + per
	case "s":
		if isRate { // seconds per second: a share of time
			return Digits(v*100) + "%"
		}
		return Span(v)
	}
	if strings.HasPrefix(base, "{") { // UCUM's annotations: {process}, {packet}
		return scaled(v, 1000, []string{"", "k", "M", "G", "T"}) + per
	}
	return strings.TrimSpace(Digits(v) + " " + unit)
}

// Span writes seconds in the unit that fits.
func Span(v float64) string {
	switch abs := math.Abs(v); {
	case abs == 0:
		return "0 s"
	case abs < 1e-3:
		return Digits(v*1e6) + " µs"
	case abs < 1:
		return Digits(v*1e3) + " ms"
	case abs < 120:
		return Digits(v) + " s"
	}
	return strings.TrimPrefix(Ago(time.Duration(v*float64(time.Second))), "-")
}

// Ago writes a span in its two greatest units: "3d 4h", "5m 10s".
func Ago(d time.Duration) string {
	if d < 0 {
		return "-" + Ago(-d)
	}
	day := 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 10*time.Minute:
		return strings.TrimSuffix(fmt.Sprintf("%dm %ds", d/time.Minute, d%time.Minute/time.Second), " 0s")
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < day:
		return strings.TrimSuffix(fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute), " 0m")
	case d < 100*day:
		return strings.TrimSuffix(fmt.Sprintf("%dd %dh", d/day, d%day/time.Hour), " 0h")
	}
	return fmt.Sprintf("%dd", d/day)
}

// Since writes how long ago something was; "" for never.
func Since(t *time.Time, now time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	d := now.Sub(*t)
	if d < time.Second {
		return "now"
	}
	return Ago(d)
}
