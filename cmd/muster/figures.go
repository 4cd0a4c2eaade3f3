package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"muster/api"
)

// percent writes a share; "" when it is not known.
func percent(v *float64) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf("%.0f%%", *v*100)
}

// bytesOf writes a number of bytes in powers of 1024, with three digits at most.
func bytesOf(v float64) string {
	return scaled(v, 1024, []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"})
}

// rate writes bytes per second; "" when it is not known.
func rate(v *float64) string {
	if v == nil {
		return ""
	}
	return bytesOf(*v) + "/s"
}

func scaled(v, base float64, units []string) string {
	unit := 0
	for math.Abs(v) >= base*0.9995 && unit < len(units)-1 {
		v /= base
		unit++
	}
	return strings.TrimRight(digits(v)+" "+units[unit], " ")
}

// digits writes three significant digits without an exponent.
func digits(v float64) string {
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

// figure writes a value of a UCUM unit as people read it.
func figure(v float64, metric, unit string) string {
	per := ""
	base, isRate := strings.CutSuffix(unit, "/s")
	if isRate {
		per = "/s"
	}
	switch base {
	case "By":
		return bytesOf(v) + per
	case "1":
		if strings.HasSuffix(metric, "utilization") || strings.HasSuffix(metric, ".share") || strings.HasSuffix(metric, ".ratio") {
			return digits(v*100) + "%"
		}
		return scaled(v, 1000, []string{"", "k", "M", "G", "T"}) + per
	case "s":
		if isRate { // seconds per second: a share of time
			return digits(v*100) + "%"
		}
		return spanOf(v)
	}
	if strings.HasPrefix(base, "{") { // UCUM's annotations: {process}, {packet}
		return scaled(v, 1000, []string{"", "k", "M", "G", "T"}) + per
	}
	return strings.TrimSpace(digits(v) + " " + unit)
}

// spanOf writes seconds in the unit that fits.
func spanOf(v float64) string {
	switch abs := math.Abs(v); {
	case abs == 0:
		return "0 s"
	case abs < 1e-3:
		return digits(v*1e6) + " µs"
	case abs < 1:
		return digits(v*1e3) + " ms"
	case abs < 120:
		return digits(v) + " s"
	}
	return strings.TrimPrefix(ago(time.Duration(v*float64(time.Second))), "-")
}

// ago writes a span in its two greatest units: "3d 4h", "5m 10s".
func ago(d time.Duration) string {
	if d < 0 {
		return "-" + ago(-d)
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

// since writes how long ago something was; "" for never.
func since(t *time.Time, now time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	d := now.Sub(*t)
	if d < time.Second {
		return "now"
	}
	return ago(d)
}

// stateCell shows a node's state as a shape, a word and a colour.
func stateCell(state string) cell {
	switch state {
	case "up":
		return cell{text: "up", ink: green, shape: "●"}
	case "down":
		return cell{text: "down", ink: red, shape: "▼"}
	case "pending":
		return cell{text: "pending", ink: dim, shape: "◌"}
	case "stopped":
		return cell{text: "stopped", ink: dim, shape: "■"}
	case "terminated":
		return cell{text: "terminated", ink: dim, shape: "×"}
	}
	return cell{text: state, ink: amber, shape: "?"}
}

// attributesText writes attributes as key=value, by key.
func attributesText(attrs map[string]string) string {
	parts := make([]string, 0, len(attrs))
	for _, key := range sortedKeys(attrs) {
		parts = append(parts, key+"="+attrs[key])
	}
	return strings.Join(parts, " ")
}

// attributes is attributesText without what stands before a key's last dot, where there is little room.
func (a *app) attributes(attrs map[string]string) string {
	const room = 100
	if a.width == 0 || a.width >= room {
		return attributesText(attrs)
	}
	parts := make([]string, 0, len(attrs))
	for _, key := range sortedKeys(attrs) {
		parts = append(parts, key[strings.LastIndexByte(key, '.')+1:]+"="+attrs[key])
	}
	return strings.Join(parts, " ")
}

// lastOf gives a line's newest point.
func lastOf(points []api.Point) (api.Point, bool) {
	if len(points) == 0 {
		return api.Point{}, false
	}
	return points[len(points)-1], true
}
