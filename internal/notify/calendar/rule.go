package calendar

import (
	"fmt"
	"strings"
	"time"

	"github.com/teambition/rrule-go"

	"muster"
)

// Bounds of a rule's text.
const (
	// MaxRule is the longest rule, in bytes.
	MaxRule     = 500
	maxInterval = 1000
	maxCount    = 10_000
	maxList     = 64
)

// rule is a repetition, reckoned by a clock on a wall: its instants are those of a UTC that stands for the zone.
type rule struct {
	text string
	opts rrule.ROption
	loc  *time.Location
}

// parts are the parts of a rule that are understood. The time of day is that of the first time, so those that choose
// hours, minutes and seconds are not.
func parts() []string {
	return []string{"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "WKST"}
}

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: rule: "+format, append([]any{muster.ErrInvalid}, args...)...)
}

// parseRule reads an RRULE, with or without that word before it.
func parseRule(text string, from time.Time, loc *time.Location) (*rule, error) {
	if len(text) > MaxRule {
		return nil, wrong("at most %d bytes", MaxRule)
	}
	text = strings.TrimSuffix(strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(text)), "RRULE:"), ";")
	given, err := takeApart(text)
	if err != nil {
		return nil, err
	}
	until, err := parseUntil(given["UNTIL"], loc)
	if err != nil {
		return nil, err
	}
	opts, err := rrule.StrToROption(text)
	if err != nil {
		return nil, wrong("%.200s", err.Error())
	}
	r := &rule{text: text, opts: *opts, loc: loc}
	if err := r.check(given); err != nil {
		return nil, err
	}
	r.opts.Dtstart, r.opts.Until = wallOf(from, loc), until
	all, err := rrule.NewRRule(r.opts)
	if err != nil {
		return nil, wrong("%.200s", err.Error())
	}
	if first := all.Iterator(); !exists(first) {
		return nil, wrong("it never happens")
	}
	return r, nil
}

func exists(next rrule.Next) bool {
	_, ok := next()
	return ok
}

// takeApart checks which parts there are, each once.
func takeApart(text string) (map[string]string, error) {
	given := map[string]string{}
	for part := range strings.SplitSeq(text, ";") {
		key, value, ok := strings.Cut(part, "=")
		if !ok || value == "" {
			return nil, wrong("%.64q is not PART=VALUE; write for example FREQ=WEEKLY;BYDAY=SA,SU", part)
		}
		if _, double := given[key]; double {
			return nil, wrong("%.64s stands there twice", key)
		}
		if strings.Count(value, ",") >= maxList {
			return nil, wrong("%.64s: at most %d values", key, maxList)
		}
		given[key] = value
	}
	for _, key := range parts() {
		delete(given, key)
	}
	for key := range given {
		return nil, wrong("%.64q is not understood; the parts are %s, and the time of day is that of the first time", key, strings.Join(parts(), ", "))
	}
	for part := range strings.SplitSeq(text, ";") {
		key, value, _ := strings.Cut(part, "=")
		given[key] = value
	}
	return given, nil
}

// check refuses what would be endless to reckon, or means nothing.
func (r *rule) check(given map[string]string) error {
	o := &r.opts
	switch {
	case o.Freq > rrule.DAILY:
		return wrong("FREQ must be DAILY, WEEKLY, MONTHLY or YEARLY")
	case given["INTERVAL"] != "" && (o.Interval < 1 || o.Interval > maxInterval):
		return wrong("INTERVAL must be between 1 and %d", maxInterval)
	case given["COUNT"] != "" && (o.Count < 1 || o.Count > maxCount):
		return wrong("COUNT must be between 1 and %d", maxCount)
	case given["COUNT"] != "" && given["UNTIL"] != "":
		return wrong("only one of COUNT and UNTIL may stand there")
	case o.Wkst.N() != 0:
		return wrong("WKST must be a day of the week: MO, TU, WE, TH, FR, SA or SU")
	}
	most := 0 // how high days may be numbered
	switch {
	case o.Freq == rrule.MONTHLY, o.Freq == rrule.YEARLY && len(o.Bymonth) > 0:
		most = 5
	case o.Freq == rrule.YEARLY:
		most = 53
	}
	for _, day := range o.Byweekday {
		if day.N() > most || -day.N() > most {
			return wrong("BYDAY: a day may be numbered from -5 to 5 within months and from -53 to 53 within years, like 2SA")
		}
	}
	return nil
}

// parseUntil reads when a rule ends: a UTC instant, a wall clock's, or a date, whose day belongs to it.
func parseUntil(text string, loc *time.Location) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse("20060102T150405Z", text); err == nil {
		return wallOf(at, loc), nil
	}
	if at, err := time.Parse("20060102T150405", text); err == nil {
		return at, nil
	}
	at, err := time.Parse("20060102", text)
	if err != nil {
		return time.Time{}, wrong("UNTIL must be like 20260314T220000Z, 20260314T220000 or 20260314")
	}
	return at.Add(24*time.Hour - time.Second), nil
}

// wallOf gives what the wall clock of a place shows, as if it were UTC.
func wallOf(at time.Time, loc *time.Location) time.Time {
	at = at.In(loc)
	y, m, d := at.Date()
	return time.Date(y, m, d, at.Hour(), at.Minute(), at.Second(), 0, time.UTC)
}

// between gives the beginnings by the wall clock from one instant to another, give or take a day, and whether they
// are the last ones.
func (r *rule) between(from, to time.Time) (starts []time.Time, last bool) {
	first, end := wallOf(from, time.UTC).Add(-24*time.Hour), wallOf(to, time.UTC).Add(24*time.Hour)
	all, err := rrule.NewRRule(r.opts)
	if err != nil { // parseRule has tried it
		return nil, true
	}
	next := all.Iterator()
	for {
		at, ok := next()
		if !ok {
			return starts, true
		}
		if at.After(end) {
			return starts, false
		}
		if !at.Before(first) {
			starts = append(starts, at)
		}
	}
}
