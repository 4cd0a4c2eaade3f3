// Package calendar gives the times of suppressions: once, or again and again by a rule of RFC 5545, by the wall clock
// of a time zone.
//
// A repeated time begins and ends by the wall clock: every night from 22:00 for 8h ends at 06:00, also in the nights in
// which clocks change. An hour that the clock skips is read with the offset before the change, as RFC 5545 has it (02:30
// that is not there is 03:30); of an hour that comes twice the first is meant. A time that happens once is exact.
package calendar

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"muster"
)

// Bounds of a suppression's times.
const (
	MinLength     = time.Second
	MaxLength     = 366 * 24 * time.Hour // of one that happens once
	MaxLengthRule = 31 * 24 * time.Hour  // of one that repeats
)

// horizon is how far ahead times are worked out at once.
const horizon = 400 * 24 * time.Hour

// Span is one time, its end not included.
type Span struct {
	From, To time.Time
}

// Times are all times of one suppression. They are safe for use by many goroutines.
type Times struct {
	once   Span
	rule   *rule // nil: once
	length time.Duration

	mu       sync.Mutex
	from, to time.Time // what spans answers for
	spans    []Span    // by From
	last     bool      // no time comes after spans
}

// Parse reads when a suppression holds: the first time from an instant on, how long, by which rule it repeats ("" for
// once) and in which IANA time zone that is meant ("" for UTC). The error wraps muster.ErrInvalid and begins with the
// field: "rule: ...".
func Parse(from time.Time, length time.Duration, rule, zone string) (*Times, error) {
	bad := func(format string, args ...any) (*Times, error) {
		return nil, fmt.Errorf("%w: "+format, append([]any{muster.ErrInvalid}, args...)...)
	}
	if y := from.Year(); y < 2000 || y > 2200 {
		return bad("from: must be between the years 2000 and 2200")
	}
	most := MaxLength
	if rule != "" {
		most = MaxLengthRule
	}
	if length < MinLength || length > most {
		return bad("length: must be between 1s and %dd", most/(24*time.Hour))
	}
	loc, err := Zone(zone)
	if err != nil {
		return nil, err
	}
	t := &Times{length: length}
	if rule == "" {
		t.once = Span{from, from.Add(length)}
		return t, nil
	}
	if t.rule, err = parseRule(rule, from.Truncate(time.Second), loc); err != nil {
		return nil, err
	}
	return t, nil
}

// Zone finds a time zone by its IANA name; "" is UTC. The error wraps muster.ErrInvalid and begins with "zone: ".
func Zone(name string) (*time.Location, error) {
	if name == "Local" {
		return nil, fmt.Errorf("%w: zone: must be an IANA name such as Europe/Berlin", muster.ErrInvalid)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%w: zone: %.64q is no known time zone; write an IANA name such as Europe/Berlin", muster.ErrInvalid, name)
	}
	return loc, nil
}

// Rule gives the rule in its normal spelling; "" for once.
func (t *Times) Rule() string {
	if t.rule == nil {
		return ""
	}
	return t.rule.text
}

// Active says whether an instant is within a time, and until when it lasts without a break: times that touch are one.
// Of times that follow each other for more than a year the end is only near the truth.
func (t *Times) Active(at time.Time) (until time.Time, ok bool) {
	for _, span := range t.around(at) {
		if span.From.After(at) && (!ok || span.From.After(until)) {
			break
		}
		if span.To.After(at) && (!ok || span.To.After(until)) {
			until, ok = span.To, true
		}
	}
	return until, ok
}

// Next gives up to n times that end after an instant and begin within a year of it, in order.
func (t *Times) Next(at time.Time, n int) []Span {
	var out []Span
	for _, span := range t.around(at) {
		if len(out) == n {
			break
		}
		if span.To.After(at) {
			out = append(out, span)
		}
	}
	return out
}

// Over says that no time ends after the instant.
func (t *Times) Over(at time.Time) bool {
	if t.rule == nil {
		return !t.once.To.After(at)
	}
	spans := t.around(at)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last && !slices.ContainsFunc(spans, func(s Span) bool { return s.To.After(at) })
}

// around gives the spans near an instant, working them out anew when it left what is known.
func (t *Times) around(at time.Time) []Span {
	if t.rule == nil {
		return []Span{t.once}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if at.Before(t.from) || !at.Before(t.to) {
		t.fill(at)
	}
	return t.spans
}

// fill works out the times from a day before an instant to the horizon, to be asked for in the next few weeks.
func (t *Times) fill(at time.Time) {
	from, to := at.Add(-24*time.Hour), at.Add(horizon)
	var starts []time.Time
	starts, t.last = t.rule.between(from.Add(-t.length-48*time.Hour), to)
	t.spans = t.spans[:0:0] // those who hold the old ones keep them
	for _, wall := range starts {
		begin, end := instant(wall, t.rule.loc), instant(wall.Add(t.length), t.rule.loc)
		if !end.After(begin) { // both in an hour that is skipped
			end = begin.Add(t.length)
		}
		t.spans = append(t.spans, Span{begin, end})
	}
	slices.SortStableFunc(t.spans, func(a, b Span) int { return a.From.Compare(b.From) })
	t.from, t.to = from, at.Add(horizon/16)
}

// instant finds when the wall clock of a place shows what wall shows in UTC.
func instant(wall time.Time, loc *time.Location) time.Time {
	const day = 86400
	at := wall.Unix()
	offset := func(unix int64) int64 {
		_, seconds := time.Unix(unix, 0).In(loc).Zone()
		return int64(seconds)
	}
	before, after := offset(at-day), offset(at+day)
	first, second := at-before, at-after
	switch {
	case offset(first) == before:
	case offset(second) == after:
		first = second
	case before == after: // two changes within two days
		y, m, d := wall.Date()
		return time.Date(y, m, d, wall.Hour(), wall.Minute(), wall.Second(), 0, loc)
	}
	return time.Unix(first, 0).In(loc)
}
