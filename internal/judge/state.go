package judge

import (
	"math"
	"strings"
	"time"

	"muster"
)

// State is how a rule stands on one series. The zero State is that of a series nothing was heard of. It is a value:
// what it points to is never changed, so that an older State may be kept and gone back to.
type State struct {
	// Unix milliseconds, by the instants of inputs; 0 is never.
	since   int64 // the last verdict, or the first input
	hold    int64 // the first input of the hold under way; 0 when there is none
	through int64 // the newest input
	heard   int64 // the newest value: silence is counted from here

	pace  uint32 // milliseconds that lately lay between inputs
	count uint32 // inputs in the hold
	flags flags
	seen  *record // what led to where it stands; nil while all is well
	trend trend   // for forecasts only
}

type flags uint8

const (
	firing   flags = 1 << iota
	silent         // the no-data policy was applied, and no value came since
	mute           // it fires because of a silence, and no value has said otherwise
	judged         // there was a verdict
	allFlags = firing | silent | mute | judged
)

func (f flags) has(one flags) bool { return f&one != 0 }

// record is the last inputs, oldest first. It is never changed, only replaced.
type record struct {
	n  int
	in [muster.MaxInputs]entry
}

type entry struct {
	at    int64
	value float64
	text  string
}

// maxText is how much of what a check said is kept with an input, in bytes.
const maxText = 300

// with gives a record that has one more input, without the oldest when it is full. The record may be nil.
func (r *record) with(in *Input) *record {
	next := &record{}
	if r != nil {
		keep := r.in[:r.n]
		if r.n == len(r.in) {
			keep = keep[1:]
		}
		next.n = copy(next.in[:], keep)
	}
	next.in[next.n] = entry{in.At, in.Value, clip(in.Text)}
	next.n++
	return next
}

// inputs gives the record as it stands in a verdict. The record may be nil.
func (r *record) inputs() []muster.Input {
	if r == nil {
		return nil
	}
	out := make([]muster.Input, r.n)
	for i, e := range r.in[:r.n] {
		out[i] = muster.Input{At: instant(e.at), Value: e.value, Text: e.text}
	}
	return out
}

// clip keeps a text from being long, and valid.
func clip(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	return strings.ToValidUTF8(s, "")
}

// Status says how the alarm stands. While it is silent no hold is under way, whatever the values before said.
func (s State) Status() muster.AlarmState {
	held := s.hold != 0 && !s.flags.has(silent)
	switch {
	case s.flags.has(firing) && held:
		return muster.AlarmRecovering
	case s.flags.has(firing):
		return muster.AlarmFiring
	case held:
		return muster.AlarmPending
	}
	return muster.AlarmOK
}

// Since says when Status began, by the instants of inputs; zero when nothing was heard. An alarm that goes back from
// recovering to firing has been firing since it fired.
func (s State) Since() time.Time {
	switch {
	case s.hold != 0 && !s.flags.has(silent):
		return instant(s.hold)
	case s.since != 0:
		return instant(s.since)
	}
	return time.Time{}
}

// Through gives the instant of the newest input judged, in Unix milliseconds; 0 for none. Inputs at or before it change nothing.
func (s State) Through() int64 { return s.through }

// Silent says that the no-data policy has been applied and no value has come since.
func (s State) Silent() bool { return s.flags.has(silent) }

// Plain says that nothing is lost when the state is forgotten and made anew from the next inputs: it is well, no
// hold is under way and it is not silent. A forecast's memory is not counted.
func (s State) Plain() bool { return s.hold == 0 && !s.flags.has(firing|silent) }

// meet notes an input's instant, and how far inputs lie apart: at once when they come closer together, by doubling
// when they come further apart, so that one gap is no new habit.
func (s *State) meet(at int64) {
	if s.through == 0 {
		s.since = at
	} else {
		gap := at - s.through
		if s.pace != 0 {
			gap = min(gap, 2*int64(s.pace))
		}
		s.pace = uint32(min(max(gap, shortestPace), math.MaxUint32))
	}
	s.through = at
}

// end closes a hold, and forgets what led to it unless the alarm fires.
func (s *State) end() {
	s.hold, s.count = 0, 0
	if !s.flags.has(firing) {
		s.seen = nil
	}
}

// turn notes a verdict and gives its instant: at, or just after the verdict before when at is not later, so that no two are alike.
func (s *State) turn(at int64, to flags) int64 {
	if s.flags.has(judged) && at <= s.since {
		at = s.since + 1
	}
	s.since = at
	s.flags = s.flags&^(firing|mute) | judged | to
	return at
}

func instant(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
