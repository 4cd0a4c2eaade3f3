// Package judge gives the decision of an alarm: a pure machine that takes a state and one input and gives
// the state after it, with a verdict when the alarm fires or is well again.
//
// Time is that of the inputs, not of their arrival: a hold runs from one frame's instant to another's. An input
// at or before the newest one judged changes nothing, so inputs may come twice and a saved state may be given all
// that came since, again: the same verdicts come out, with the same instants and words. Only Silence, which says
// that nothing came, asks a clock, and what it decides bears the instant at which it was due.
package judge

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"time"

	"muster"
)

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
	Why      string         // in words: "97 % for 5 min, limit 95 %"
	Inputs   []muster.Input // the last that led there, oldest first, at most muster.MaxInputs; NaN for the silence
}

// Milliseconds.
const (
	farthest     = 253_402_300_799_999 // the last of the year 9999: no instant lies beyond
	shortestPace = 500                 // inputs that come in a burst are no habit
	patience     = 120_000             // the gap that breaks a hold where the rule has no no-data time
)

// Judge takes one input. The clock has no part in it: equal inputs give equal verdicts.
func (r *Rule) Judge(s State, in Input, _ time.Time) (State, *Verdict) {
	if in.Late || in.At <= s.through || in.At > farthest {
		return s, nil
	}
	if in.Value-in.Value != 0 { // NaN, or an infinity, which no measurement gives
		if r.metric != "" {
			return r.absent(s, in.At)
		}
		in.Value = 0
	}
	torn := r.torn(&s, in.At, s.heard)
	if r.within > 0 {
		s.trend.add(in.At, s.heard, in.Value, r.memory)
	}
	s.meet(in.At)
	s.heard = in.At
	s.flags &^= silent
	bad, well := r.look(&s, in.Value)
	if !bad && s.hold == 0 && !s.flags.has(firing) {
		return s, nil
	}
	if s.flags.has(firing) {
		return r.mending(s, in, torn, bad, well)
	}
	return r.breaking(s, in, torn, bad)
}

// torn says whether too much time lies between two instants for a hold to go on: the no-data time, where silence then
// means something; else more than that time, or than two minutes where there is none, and more than twice what lately lay
// between inputs.
func (r *Rule) torn(s *State, at, before int64) bool {
	gap := at - before
	switch {
	case before == 0:
		return false
	case r.after > 0 && r.is != muster.NoDataKeep:
		return gap >= r.after+r.slack
	case r.after > 0:
		return gap > max(r.after, 2*int64(s.pace))
	}
	return gap > max(patience, 2*int64(s.pace))
}

// absent takes a frame in which the metric was not. Up to the no-data time nothing changes.
func (r *Rule) absent(s State, at int64) (State, *Verdict) {
	if s.heard == 0 {
		s.heard = at
	}
	if r.torn(&s, at, s.through) {
		// Nobody saw what was between: only from here on is it known to be missing.
		s.heard = at
		s.end()
	}
	s.meet(at)
	if due, ok := r.due(&s); ok && at >= due {
		return r.silence(s, due)
	}
	return s, nil
}

// look says whether the value is bad, and whether it is good enough for a recovery. It may be neither.
func (r *Rule) look(s *State, v float64) (bad, well bool) {
	if r.op == "" {
		return false, true
	}
	if r.within > 0 {
		var known bool
		if v, known = r.forecast(s); !known {
			return false, s.flags.has(mute) // the silence is over, at least
		}
	}
	bad = r.op.Holds(v, r.limit)
	if r.backOp == "" {
		return bad, !bad
	}
	return bad, r.backOp.Holds(v, r.back)
}

// breaking is the way from ok over pending to firing.
func (r *Rule) breaking(s State, in Input, torn, bad bool) (State, *Verdict) {
	if !bad || torn {
		s.end()
	}
	if !bad {
		return s, nil
	}
	if s.hold == 0 {
		s.hold = in.At
	}
	s.count++
	s.seen = s.seen.with(&in)
	if in.At-s.hold < r.hold {
		return s, nil
	}
	v := r.verdict(muster.AlarmFiring, r.whyFired(&s, &in), s.seen.inputs())
	v.At = instant(s.turn(in.At, firing))
	s.end()
	return s, v
}

// mending is the way from firing over recovering to ok.
func (r *Rule) mending(s State, in Input, torn, bad, well bool) (State, *Verdict) {
	s.seen = s.seen.with(&in)
	if bad {
		s.flags &^= mute
	}
	if !well || torn {
		s.end()
	}
	if !well {
		return s, nil
	}
	if s.hold == 0 {
		s.hold = in.At
	}
	s.count++
	if in.At-s.hold < r.backHold {
		return s, nil
	}
	v := r.verdict(muster.AlarmOK, r.whyMended(&s, &in), s.seen.inputs())
	v.At = instant(s.turn(in.At, 0))
	s.end()
	return s, v
}

// verdict makes one of what is the same in all; its instant is missing.
func (r *Rule) verdict(to muster.AlarmState, why string, inputs []muster.Input) *Verdict {
	from := muster.AlarmOK
	if to == muster.AlarmOK {
		from = muster.AlarmFiring
	}
	return &Verdict{From: from, To: to, Level: r.level, Why: why, Inputs: inputs}
}

// TransitionID names a change of an alarm on a series of a subject: equal for equal changes, and for no others. The
// series is its metric's Key, or what else tells it from the subject's others.
func TransitionID(alarm muster.AlarmID, subject muster.NodeID, series string, at time.Time, to muster.AlarmState) string {
	b := append([]byte("muster transition 1\x00"), alarm...)
	b = append(b, 0)
	b = append(b, subject[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(at.UnixMilli()))
	b = append(append(b, to...), 0)
	sum := sha256.Sum256(append(b, series...))
	return hex.EncodeToString(sum[:16])
}

func milliseconds(d time.Duration) int64 {
	return int64(math.Ceil(float64(d) / float64(time.Millisecond)))
}
