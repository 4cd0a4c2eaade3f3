package judge

import (
	"math"
	"time"

	"muster"
)

// Silence applies the no-data policy when it is due at now; call it when Wake says. What it decides bears the instant
// at which it was due, whenever it is called. A rule that takes silence as trouble fires; one that takes it as well
// recovers, or gives up a hold.
func (r *Rule) Silence(s State, now time.Time) (State, *Verdict) {
	due, ok := r.due(&s)
	if !ok || now.UnixMilli() < due {
		return s, nil
	}
	return r.silence(s, due)
}

// Wake says when Silence must be called next unless a value comes; false when silence means nothing now: the rule has
// no no-data policy, or keeps what it says, or nothing was ever heard, or silence was judged already.
func (r *Rule) Wake(s State) (at time.Time, ok bool) {
	due, ok := r.due(&s)
	if !ok {
		return time.Time{}, false
	}
	return instant(due), true
}

func (r *Rule) due(s *State) (due int64, ok bool) {
	if r.after == 0 || r.is == muster.NoDataKeep || s.heard == 0 || s.flags.has(silent) {
		return 0, false
	}
	return s.heard + r.after + r.slack, true
}

// silence is what follows when no value came until due. Where it makes no verdict it leaves holds alone, for the
// next value breaks them anyway: so it need not be kept, and inputs that come again lead to the same.
func (r *Rule) silence(s State, due int64) (State, *Verdict) {
	s.flags |= silent
	fires := r.is == muster.NoDataCritical
	if fires == s.flags.has(firing) {
		return s, nil
	}
	inputs := s.seen.inputs()
	if len(inputs) == muster.MaxInputs {
		inputs = inputs[1:]
	}
	inputs = append(inputs, muster.Input{At: instant(due), Value: math.NaN()})
	to, turned, why := muster.AlarmOK, flags(0), r.whySilent()+", which is well here"
	if fires {
		to, turned, why = muster.AlarmFiring, firing|mute, r.whySilent()
	}
	v := r.verdict(to, why, inputs)
	v.At = instant(s.turn(due, turned))
	s.end()
	s.seen = nil
	return s, v
}

// maxAhead is how far in the future the newest input may lie before a state is not believed. Frames are not taken
// that lie more than two minutes ahead.
const maxAhead = 5 * time.Minute

// Settle gives the state as it can be trusted at now: one whose newest input lies more than 5 min in the future was
// made by a clock that was wrong, and would hear nothing until that future comes. It begins anew at now, and goes on saying
// what it said. Call it for all states when this server's own clock went back; Judge never asks a clock.
func (r *Rule) Settle(s State, now time.Time) State {
	if s.through <= now.Add(maxAhead).UnixMilli() {
		return s
	}
	at := max(now.UnixMilli(), 1)
	s.since, s.through, s.heard = min(s.since, at), at, at
	s.pace, s.trend = 0, trend{}
	s.end()
	return s
}

// Delivery is how long a message takes at most on its way to a channel that answers.
const Delivery = 2 * time.Second

// Periods is how many periods a node may be silent at least, whatever its alarm says: who measures once a minute is
// not gone after one. It is for those to keep who call Silence.
const Periods = 3

// TellWithin says how long after the breach people are told at the latest, when inputs come every period: the
// breach is seen with the next input, must hold until the first input that is no less than condition.for later, and the
// message takes its way. Where only silence fires it counts from the last sign of life. A period of zero is not known.
func TellWithin(r *Rule, period time.Duration) time.Duration {
	if r.op == "" {
		return max(time.Duration(r.after)*time.Millisecond, Periods*period) + Delivery
	}
	hold := time.Duration(r.hold) * time.Millisecond
	if period <= 0 {
		return hold + Delivery
	}
	inputs := (hold + period - 1) / period
	return period + inputs*period + Delivery
}
