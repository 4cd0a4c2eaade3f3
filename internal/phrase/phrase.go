// Package phrase gives the conditions of alarms as people write them on a command line, "> 95% for 5m", and
// reads them back. What is written always reads back as the same.
package phrase

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"muster/api"
)

// Examples of what is read, for help and for errors.
const (
	ExampleCondition = `"> 95% for 5m", "below 14d", "forecast within 24h > 0.95 for 10m"`
	ExampleRecovery  = `"< 90% for 2m", "for 2m"`
	ExampleNoData    = `"1m critical", "5m ok", "1m keep"`
)

// Condition reads when an alarm fires: [forecast within DURATION] OPERATOR VALUE [for DURATION]. An operator is
// one of > >= < <= == != or above or below; a value may have a unit: %, KiB to TiB and kB to TB, or one of time
// (in seconds then). Recover is nil. The error says what is not understood and how to write it.
func Condition(text string) (*api.Condition, error) {
	r := read(text)
	c := &api.Condition{}
	if r.take("forecast") {
		c.Fn = "forecast"
	}
	for len(r.words) > 0 && r.fault == "" {
		switch {
		case c.Op == "" && isOp(r.words[0]):
			c.Op, c.Value = r.comparison()
		case c.For == "" && r.take("for"):
			c.For = r.duration("for")
		case c.Fn != "" && c.Within == "" && (r.take("within") || r.take("in")):
			c.Within = r.duration("within")
		default:
			r.lost()
		}
	}
	switch {
	case r.fault != "":
	case c.Op == "":
		r.fault = "it does not say what to compare with"
	case c.Fn != "" && c.Within == "":
		r.fault = "a forecast needs to know how far to look ahead: within 24h"
	}
	return c, r.err(ExampleCondition)
}

// Recovery reads when an alarm is well again: [OPERATOR VALUE] [for DURATION], at least one of the two.
func Recovery(text string) (*api.Recover, error) {
	r := read(text)
	c := &api.Recover{}
	for len(r.words) > 0 && r.fault == "" {
		switch {
		case c.Op == "" && isOp(r.words[0]):
			c.Op, c.Value = r.comparison()
		case c.For == "" && r.take("for"):
			c.For = r.duration("for")
		default:
			r.lost()
		}
	}
	if r.fault == "" && *c == (api.Recover{}) {
		r.fault = "it says nothing"
	}
	return c, r.err(ExampleRecovery)
}

// NoData reads what silence means: DURATION [critical|ok|keep]; critical when it is left out.
func NoData(text string) (*api.NoData, error) {
	r := read(text)
	r.take("after")
	c := &api.NoData{After: r.duration("after"), Is: "critical"}
	r.take("is")
	if len(r.words) > 0 && slices.Contains([]string{"critical", "ok", "keep"}, r.words[0]) {
		c.Is, r.words = r.words[0], r.words[1:]
	}
	if len(r.words) > 0 {
		r.lost()
	}
	return c, r.err(ExampleNoData)
}

// reader takes words off a text. After a fault it takes no more.
type reader struct {
	words []string
	fault string
}

// read splits a text into words; operators are words of their own.
func read(text string) *reader {
	var b strings.Builder
	was := false
	for _, c := range text {
		if is := strings.ContainsRune("<>=!", c); is != was {
			b.WriteByte(' ')
			was = is
		}
		b.WriteRune(c)
	}
	return &reader{words: strings.Fields(b.String())}
}

func (r *reader) err(examples string) error {
	if r.fault == "" {
		return nil
	}
	return fmt.Errorf("%s; write it like %s", r.fault, examples)
}

// lost says that the next word is not understood.
func (r *reader) lost() {
	if r.fault == "" {
		r.fault = fmt.Sprintf("%.40q is not understood", r.words[0])
	}
	r.words = nil
}

// take takes the word off when it is the next.
func (r *reader) take(word string) bool {
	if len(r.words) == 0 || r.words[0] != word {
		return false
	}
	r.words = r.words[1:]
	return true
}

func (r *reader) next() (word string, ok bool) {
	if len(r.words) == 0 {
		return "", false
	}
	word, r.words = r.words[0], r.words[1:]
	return word, true
}

// ops are the operators and what they stand for.
func ops() map[string]string {
	return map[string]string{">": ">", ">=": ">=", "<": "<", "<=": "<=", "==": "==", "=": "==", "!=": "!=", "above": ">", "below": "<"}
}

func isOp(word string) bool { return ops()[word] != "" }

// comparison takes an operator and a value with its unit.
func (r *reader) comparison() (op string, value float64) {
	word, _ := r.next()
	op = ops()[word]
	text, ok := r.next()
	if !ok {
		r.fault = "there is no value behind " + word
		return op, 0
	}
	n := number(text)
	unit := text[n:]
	if unit == "" && len(r.words) > 0 {
		if _, ok := scaleOf(r.words[0]); ok {
			unit, _ = r.next()
		}
	}
	value, err := strconv.ParseFloat(text[:n], 64)
	by, known := scaleOf(unit)
	if err == nil && known {
		value = value * by.times / by.over
	} else if d, err := api.ParseDuration(text); err == nil { // of several units: 1h30m
		value, known = d.Seconds(), true
	}
	if math.IsInf(value, 0) || !known || n == 0 {
		r.fault = fmt.Sprintf("%.40q is not a value", text)
	}
	return op, value
}

// number says how many bytes at the beginning of a text are one.
func number(s string) int {
	digits := func(at int) int {
		for at < len(s) && s[at] >= '0' && s[at] <= '9' {
			at++
		}
		return at
	}
	at := 0
	if at < len(s) && (s[at] == '-' || s[at] == '+') {
		at++
	}
	first := at
	if at = digits(at); at < len(s) && s[at] == '.' {
		at = digits(at + 1)
	}
	if at == first || s[first:at] == "." {
		return 0
	}
	if at < len(s) && (s[at] == 'e' || s[at] == 'E') {
		sign := at + 1
		if sign < len(s) && (s[sign] == '-' || s[sign] == '+') {
			sign++
		}
		if end := digits(sign); end > sign {
			at = end
		}
	}
	return at
}

// ratio is what a number with a unit is multiplied with and divided by, so that 95% is 0.95 to the last bit.
type ratio struct{ times, over float64 }

func scaleOf(unit string) (ratio, bool) {
	by, ok := map[string]ratio{
		"": {1, 1}, "%": {1, 100}, "B": {1, 1}, "KiB": {1 << 10, 1}, "MiB": {1 << 20, 1}, "GiB": {1 << 30, 1}, "TiB": {1 << 40, 1},
		"kB": {1e3, 1}, "MB": {1e6, 1}, "GB": {1e9, 1}, "TB": {1e12, 1},
		"us": {1, 1e6}, "µs": {1, 1e6}, "ms": {1, 1e3}, "s": {1, 1}, "m": {60, 1}, "min": {60, 1}, "h": {3600, 1}, "d": {86400, 1},
	}[strings.TrimSuffix(unit, "/s")]
	return by, ok
}

// duration takes a duration: 5m, 1h30m, 5 min.
func (r *reader) duration(what string) string {
	if r.fault != "" {
		return ""
	}
	text, ok := r.next()
	if !ok {
		r.fault = "there is no duration behind " + what
		return ""
	}
	if number(text) == len(text) && len(r.words) > 0 {
		unit := strings.TrimSuffix(r.words[0], "in") // min
		if d, err := api.ParseDuration(text + unit); err == nil && unit != "" && d >= 0 {
			r.words = r.words[1:]
			return api.FormatDuration(d)
		}
	}
	d, err := api.ParseDuration(strings.TrimSuffix(text, "in"))
	if err != nil || d < 0 {
		r.fault = fmt.Sprintf("%.40q is not a duration such as 30s, 5m, 2h or 7d", text)
		return ""
	}
	return api.FormatDuration(d)
}
