package filter

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// figure is something that is compared with a number or a length of time.
type figure struct {
	name    string
	meaning string
	unit    unit
	of      func(s *subject) float64 // NaN when it is not known: then no comparison holds
}

type unit uint8

const (
	plainNumber unit = iota
	percent          // the value is a share, the text says percent
	perSecond        // bytes per second: k, M, G
	span             // seconds: 90s, 5m, 2h, 7d, 1w
)

func figures() []figure {
	return []figure{
		{"cpu", "busy share of all cores, in percent", percent, func(s *subject) float64 { return s.now.CPU }},
		{"memory", "share of memory in use, in percent", percent, func(s *subject) float64 { return s.now.Memory }},
		{"disk", "share of the fullest filesystem in use, in percent", percent, func(s *subject) float64 { return s.now.Disk }},
		{"load", "load average over one minute", plainNumber, func(s *subject) float64 { return s.now.Load }},
		{"net", "bytes per second in and out: 10k, 5M", perSecond, func(s *subject) float64 { return s.now.NetIn + s.now.NetOut }},
		{"net_in", "bytes per second received", perSecond, func(s *subject) float64 { return s.now.NetIn }},
		{"net_out", "bytes per second sent", perSecond, func(s *subject) float64 { return s.now.NetOut }},
		{"metrics", "how many metrics it sends", plainNumber, func(s *subject) float64 { return float64(s.now.Metrics) }},
		{"dropped", "how many of its metrics were refused", plainNumber, func(s *subject) float64 { return float64(s.now.Dropped) }},
		{"uptime", "since it was started: 90s, 5m, 2h, 7d", span, func(s *subject) float64 { return s.now.Uptime }},
		{"seen", "since it was heard of; for ever when it never was", span, func(s *subject) float64 { return age(s.at, s.now.LastSeen, math.Inf(1)) }},
		{"created", "since it was added", span, func(s *subject) float64 { return age(s.at, s.node.CreatedAt, math.NaN()) }},
		{"since", "since its state began", span, func(s *subject) float64 { return age(s.at, s.now.Since, math.NaN()) }},
		{"clock", "how far its clock is off, either way", span, func(s *subject) float64 { return s.now.ClockOff.Abs().Seconds() }},
	}
}

func age(at, then time.Time, never float64) float64 {
	if then.IsZero() {
		return never
	}
	return at.Sub(then).Seconds()
}

// comparison gives the test for "key>value".
func comparison(w *word) (func(*subject) bool, *Error) {
	fig, ok := figureOf(w.key)
	if !ok {
		if slices.ContainsFunc(Keys(), func(k Key) bool { return k.Name == w.key }) {
			return nil, &Error{w.opPos, fmt.Sprintf("%s is not a number; write %s:%s", quote(w.key), w.key, w.value)}
		}
		return nil, &Error{w.pos, fmt.Sprintf("nothing is called %s; these are compared: %s", quote(w.key), keyNames(true))}
	}
	limit, ok := fig.unit.parse(w.value)
	if !ok {
		return nil, &Error{w.valPos, fmt.Sprintf("%s is not %s", quote(w.value), fig.unit.describe())}
	}
	of := fig.of
	switch w.op {
	case ">":
		return func(s *subject) bool { return of(s) > limit }, nil
	case ">=":
		return func(s *subject) bool { return of(s) >= limit }, nil
	case "<":
		return func(s *subject) bool { return of(s) < limit }, nil
	case "<=":
		return func(s *subject) bool { return of(s) <= limit }, nil
	case "=":
		return func(s *subject) bool { return of(s) == limit }, nil
	case "!=":
		return func(s *subject) bool { v := of(s); return v != limit && v == v }, nil
	}
	return nil, &Error{w.opPos, fmt.Sprintf("%s is not a comparison; there are > >= < <= = !=", quote(w.op))}
}

func figureOf(key string) (figure, bool) {
	if key == "mem" {
		key = "memory"
	}
	for _, f := range figures() {
		if f.name == key {
			return f, true
		}
	}
	return figure{}, false
}

func (u unit) describe() string {
	switch u {
	case percent:
		return "a number of percent, like 80 or 99.5%"
	case perSecond:
		return "a number of bytes per second, like 500, 10k or 5M"
	case span:
		return "a length of time, like 90s, 5m, 2h or 7d"
	}
	return "a number"
}

// parse reads a value in the unit of the figure itself.
func (u unit) parse(text string) (float64, bool) {
	switch u {
	case percent:
		v, ok := parseNumber(strings.TrimSuffix(text, "%"))
		return v / 100, ok
	case perSecond:
		return parseScaled(text)
	case span:
		return parseSpan(text)
	}
	return parseNumber(text)
}

// parseNumber reads digits with at most one point and a sign: no exponents, no infinities.
func parseNumber(text string) (float64, bool) {
	if strings.Trim(text, "0123456789.-") != "" || len(text) > 30 {
		return 0, false
	}
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil
}

func parseScaled(text string) (float64, bool) {
	text = strings.TrimSuffix(strings.TrimSuffix(text, "/s"), "B")
	if text == "" {
		return 0, false
	}
	scale := 1.0
	switch text[len(text)-1] {
	case 'k', 'K':
		scale = 1e3
	case 'm', 'M':
		scale = 1e6
	case 'g', 'G':
		scale = 1e9
	}
	if scale > 1 {
		text = text[:len(text)-1]
	}
	v, ok := parseNumber(text)
	return v * scale, ok
}

// parseSpan reads numbers with units, one after the other: 1h30m.
func parseSpan(text string) (float64, bool) {
	total := 0.0
	for text != "" {
		digits := strings.IndexFunc(text, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
		if digits <= 0 {
			return 0, false
		}
		v, ok := parseNumber(text[:digits])
		letters := strings.IndexFunc(text[digits:], func(r rune) bool { return r == '.' || r >= '0' && r <= '9' })
		if letters < 0 {
			letters = len(text) - digits
		}
		seconds := secondsOf(text[digits : digits+letters])
		if !ok || seconds == 0 {
			return 0, false
		}
		total += v * seconds
		text = text[digits+letters:]
	}
	return total, total >= 0
}

func secondsOf(name string) float64 {
	switch name {
	case "ms":
		return 1e-3
	case "s":
		return 1
	case "m":
		return 60
	case "h":
		return 3600
	case "d":
		return 86400
	case "w":
		return 7 * 86400
	}
	return 0
}
