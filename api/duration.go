package api

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// errDuration is the one thing that can be wrong with a duration's text.
var errDuration = errors.New(`not a duration; write it like "30s", "5m", "2h" or "7d"`)

// units are those of the API's durations, the greatest first.
var units = [...]struct {
	name string
	span time.Duration
}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}}

// FormatDuration gives the API's text for d, in the greatest unit that fits evenly: "30s", "5m", "7d".
// What is finer than a millisecond is cut off; zero is "0s".
func FormatDuration(d time.Duration) string {
	d = d.Truncate(time.Millisecond)
	if d == 0 {
		return "0s"
	}
	for _, u := range units {
		if d%u.span == 0 {
			return strconv.FormatInt(int64(d/u.span), 10) + u.name
		}
	}
	return d.String()
}

// ParseDuration reads "30s", "5m", "2h", "7d", "250ms", "1.5h" and joined ones like "1h30m"; a sign may
// lead. The error says how to write one.
func ParseDuration(s string) (time.Duration, error) {
	rest, negative := strings.CutPrefix(s, "-")
	if rest == "0" {
		return 0, nil
	}
	if rest == "" {
		return 0, errDuration
	}
	var total time.Duration
	for rest != "" {
		part, left, ok := oneDuration(rest)
		if !ok || total > math.MaxInt64-part {
			return 0, errDuration
		}
		total, rest = total+part, left
	}
	if negative {
		total = -total
	}
	return total, nil
}

// oneDuration reads a number and its unit at the beginning of s.
func oneDuration(s string) (d time.Duration, rest string, ok bool) {
	n := 0
	for n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] == '.') {
		n++
	}
	span, rest := unit(s[n:])
	if span == 0 {
		return 0, "", false
	}
	whole, fraction, _ := strings.Cut(s[:n], ".")
	count, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || count > math.MaxInt64/int64(span) {
		return 0, "", false
	}
	d = time.Duration(count) * span
	if fraction != "" {
		part, err := strconv.ParseFloat("0."+fraction, 64)
		if err != nil || d > math.MaxInt64-span {
			return 0, "", false
		}
		d += time.Duration(math.Round(part * float64(span)))
	}
	return d, rest, true
}

// unit reads the unit at the beginning of s; the span is 0 when there is none.
func unit(s string) (time.Duration, string) {
	if left, ok := strings.CutPrefix(s, "ms"); ok {
		return time.Millisecond, left
	}
	for _, u := range units {
		if left, ok := strings.CutPrefix(s, u.name); ok {
			return u.span, left
		}
	}
	return 0, s
}

// ParseTime reads a time parameter: RFC 3339, "now", or a distance from now such as "-1h".
func ParseTime(s string, now time.Time) (time.Time, error) {
	if s == "now" {
		return now, nil
	}
	if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
		d, err := ParseDuration(strings.TrimPrefix(s, "+"))
		if err != nil {
			return time.Time{}, errTime
		}
		return now.Add(d), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	return time.Time{}, errTime
}

// errTime is the one thing that can be wrong with a time's text.
var errTime = errors.New(`not a time; write it like "2026-01-31T12:00:00Z", "now" or "-1h"`)
