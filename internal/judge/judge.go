// Package judge gives the decision of an alarm: a pure machine that takes a state and one input and gives
// the state after it, with a verdict when the alarm fires or is well again.
package judge

import (
	"errors"
	"time"

	"muster"
)

// Rule is a muster.Alarm, checked and made ready. It is safe for concurrent use.
type Rule struct{ alarm muster.Alarm }

// Compile checks what of an alarm decides (metric, attributes, check, condition, no_data, level) and fills in defaults.
// The error is a *RuleError, which wraps ErrInvalid and names the fields as the API does: "condition.for".
func Compile(a *muster.Alarm) (*Rule, error) { return &Rule{alarm: *a}, nil }

// Metric gives the name of the metric that inputs are values of; empty when every frame is a sign of life and no more.
func (r *Rule) Metric() string { return "" }

// Condition gives the condition with defaults filled in; false when only silence is judged.
func (r *Rule) Condition() (muster.Condition, bool) { return muster.Condition{}, false }

// RuleError says which fields of an alarm are wrong; it wraps muster.ErrInvalid.
type RuleError struct{ Fields []FieldError }

// FieldError is what is wrong with one field.
type FieldError struct {
	Field   string // "condition.for"
	Message string // "must be between 0 and 24 h"
}

// Error lists the fields.
func (e *RuleError) Error() string { return "" }

// Unwrap gives muster.ErrInvalid.
func (e *RuleError) Unwrap() error { return muster.ErrInvalid }

// Input is one value of a series at one instant, or one frame where only signs of life are judged.
type Input struct {
	At    int64   // of the frame, Unix milliseconds
	Value float64 // NaN: the metric was absent from that frame. Counters come as rates per second
	Late  bool    // it changes nothing
	Text  string  // what the check said
	Unit  string  // of the value (UCUM), for the words of a verdict: "By/s" for the rate of bytes
}

// Verdict says that an alarm fired or is well again.
type Verdict struct {
	From, To muster.AlarmState // only AlarmOK and AlarmFiring
	At       time.Time
	Level    muster.Level
	Why      string
	Inputs   []muster.Input // oldest first, at most muster.MaxInputs
}

// State is how a rule stands on one series. The zero State is that of a series nothing was heard of. It is a value:
// what it points to is never changed, so that an older State may be kept and gone back to.
type State struct{ through int64 }

// Status says how the alarm stands.
func (s State) Status() muster.AlarmState { return muster.AlarmOK }

// Since says when Status began, by the instants of inputs; zero when nothing was heard.
func (s State) Since() time.Time { return time.Time{} }

// Through gives the instant of the newest input judged, in Unix milliseconds; 0 for none. Inputs at or before it change nothing.
func (s State) Through() int64 { return s.through }

// Silent says that the no-data policy has been applied and nothing has come since.
func (s State) Silent() bool { return false }

// Plain says that nothing is lost when the state is forgotten and made anew from the next inputs: it is well, and no
// hold is under way. A forecast's memory is not counted.
func (s State) Plain() bool { return true }

// Judge takes one input. The clock has no part in it: equal inputs give equal verdicts.
func (r *Rule) Judge(s State, in Input, now time.Time) (State, *Verdict) { return s, nil }

// Silence applies the no-data policy when it is due at now; call it when Wake says. The verdict's instant is when it was due.
func (r *Rule) Silence(s State, now time.Time) (State, *Verdict) { return s, nil }

// Wake says when Silence must be called next unless an input comes; false when silence means nothing now.
func (r *Rule) Wake(s State) (at time.Time, ok bool) { return time.Time{}, false }

// Settle gives the state as it can be trusted at now: one whose newest input lies more than 5 min in the future was made
// by a clock that was wrong, and begins anew without changing what it said. Call it for all states after this server's own clock went back.
func (r *Rule) Settle(s State, now time.Time) State { return s }

// AppendState appends the bytes a state is kept in.
func AppendState(b []byte, s State) []byte { return b }

// ParseState reads what AppendState wrote; the error wraps ErrInvalid.
func ParseState(b []byte) (State, error) { return State{}, errors.ErrUnsupported }

// TransitionID names a change of an alarm on a series of a subject: equal for equal changes, and for no others.
func TransitionID(alarm muster.AlarmID, subject muster.NodeID, series string, at time.Time, to muster.AlarmState) string {
	return ""
}

// TellWithin says how long after the breach people are told at the latest, when inputs come every period.
func TellWithin(r *Rule, period time.Duration) time.Duration { return 0 }

// Point is a value of the past.
type Point struct {
	At    int64   // Unix milliseconds; the beginning of the step
	Value float64 // NaN for none; the average where a step has several
	Min   float64 // used when Track.Step is not zero, as is Max
	Max   float64
}

// Track is the past of one series.
type Track struct {
	Unit   string        // of the values (UCUM)
	Step   time.Duration // of points that stand for several values each; zero: values as they came
	Points []Point       // oldest first
}

// Span is a time in which the alarm would have fired.
type Span struct {
	From, To time.Time // To is zero when it still fired at the end
	Why      string
}

// Backtest gives the times between from and to in which the rule would have been firing, by the same evaluator. Points before from warm it up.
func Backtest(r *Rule, track Track, from, to time.Time) []Span { return nil }
