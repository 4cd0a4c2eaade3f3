package alarm

import (
	"math"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/judge"
)

// lateAfter is how much later than measured a frame may be sent and still be judged; two periods when that is longer.
const lateAfter = time.Minute

// selfSource is where the server itself writes what it noticed of a node: no sign of life of an agent.
const selfSource = "muster.ingest"

// hear judges one frame. Called with the lock held; it allocates only where something is new.
func (s *shard) hear(f *muster.Frame, now time.Time) {
	sub := s.subjectOf(f, now)
	if sub == nil {
		return
	}
	src := sub.source(f.Source)
	if src == nil {
		src = &source{name: f.Source}
		src.of, _, _ = muster.CheckOfSource(f.Source)
		sub.sources = append(sub.sources, src)
	}
	agents := src.of == "" && f.Source != selfSource
	if agents {
		sub.arrived = now.UnixNano()
	}
	if src.schema != f.Schema.ID || src.version != sub.version {
		s.plan(sub, src, f.Schema)
	}
	if src.of != "" && len(f.Note) > 0 {
		src.hearNote(f.Note)
	}
	late := f.At <= src.newest || time.Duration(f.Sent-f.At)*time.Millisecond > max(lateAfter, 2*src.period)
	src.newest = max(src.newest, f.At)
	if src.of == "" && sub.left.at != 0 {
		return // from before a goodbye: an agent that is back has taken it back
	}
	for i := range src.plan {
		c := &src.plan[i]
		c.inst.arrived = now.UnixNano()
		if late {
			c.inst.arm(f.Values[c.at])
			continue
		}
		if c.unless >= 0 && f.Values[c.unless] > 0 {
			s.excuse(c.inst)
			continue
		}
		s.feed(c.inst, f.At, f.Values[c.at], src, now)
	}
	if agents {
		for _, in := range sub.agents {
			in.arrived = now.UnixNano()
			if !late {
				s.feed(in, f.At, 1, src, now)
			}
		}
	}
}

// subjectOf gives the subject of a frame, matched by the newest documents; nil when nobody knows it.
func (s *shard) subjectOf(f *muster.Frame, now time.Time) *subject {
	key := subjectKey{f.Account, f.Node}
	sub := s.subjects[key]
	if sub == nil {
		b := s.w.book(f.Account)
		sub = newSubject(b, f.Node)
		s.find(sub)
		if sub.who.gone() {
			return nil
		}
		s.subjects[key] = sub
	}
	if sub.rules != sub.book.rules.Load() {
		s.refresh(sub, now)
	}
	return sub
}

// feed lets an instance judge a value.
func (s *shard) feed(in *instance, at int64, v float64, src *source, now time.Time) {
	if at <= in.floor || at <= in.state.Through() {
		return
	}
	if in.counter && v == v {
		var known bool
		if v, known = in.rate(at, v, src.period); !known {
			return
		}
	}
	q := &in.rule.quirk
	v = q.See(v)
	in.last, in.lastAt = v, at
	in.arm(v)
	if q.Turned && !in.armed && !in.firing() {
		return
	}
	if v < q.Floor && !in.firing() {
		s.excuse(in)
		return
	}
	was := in.state
	next, verdict := in.rule.judge.Judge(was, judge.Input{At: at, Value: v, Text: src.text, Unit: in.unit}, now)
	in.state = next
	s.w.tell.judged.Inc()
	if verdict != nil {
		s.turned(in, verdict)
	} else if moved(was, next) {
		s.soil(in)
	}
	if !in.timed {
		s.schedule(in, now)
	}
}

// moved says whether a state has to be saved: when it is another one, and while a hold is under way. One that fires
// only grows older, which needs no saving.
func moved(was, next judge.State) bool {
	status := next.Status()
	return status != was.Status() || status == muster.AlarmPending || status == muster.AlarmRecovering || was.Silent() != next.Silent()
}

// arm notes that a series was well once, so that turning bad means something.
func (in *instance) arm(v float64) {
	if in.armed || !in.rule.quirk.Turned || math.IsNaN(v) {
		return
	}
	if c := in.rule.doc.Condition; c != nil && !c.Op.Holds(v, c.Value) {
		in.armed = true
	}
}

// excuse gives up a hold of an instance whose values do not count at the moment.
func (s *shard) excuse(in *instance) {
	if in.state.Plain() || in.firing() {
		return
	}
	in.reset()
	s.soil(in)
}

// reset makes the state that of a series nothing was heard of, but for what was judged already.
func (in *instance) reset() {
	in.floor = max(in.floor, in.state.Through())
	in.state = judge.State{}
}

// soil notes that what the ledger has of an instance is to be renewed.
func (s *shard) soil(in *instance) {
	if !in.dirty {
		in.dirty = true
		s.dirty = append(s.dirty, in)
	}
}

// hearNote keeps what a check said: its error, or else its summary.
func (src *source) hearNote(note []byte) {
	if n, err := check.ParseNote(note); err == nil {
		src.text = n.Error
		if src.text == "" {
			src.text = n.Summary
		}
	}
}

// turned puts a transition in line to be written.
func (s *shard) turned(in *instance, v *judge.Verdict) {
	t := &muster.Transition{
		ID: judge.TransitionID(in.alarm(), in.sub.who.id, in.source+"\x00"+in.metric, v.At, v.To),
		At: v.At, Alarm: in.alarm(), Name: in.name, Subject: in.sub.who.id, Check: in.check, Series: in.series,
		From: v.From, To: v.To, Level: v.Level, Why: v.Why, Inputs: v.Inputs,
	}
	if in.rule != nil {
		t.Channels = in.rule.doc.Channels
	}
	s.w.tell.transitions.Inc()
	s.enqueue(in, t)
}

// close ends what an instance has open, because it is not to be judged any more. Frames from before are void from now on.
func (s *shard) close(in *instance, why string, now time.Time) {
	in.on = false
	if in.state.Plain() {
		return
	}
	at := now.UTC().Truncate(time.Millisecond)
	if since := in.state.Since(); !at.After(since) {
		at = since.Add(time.Millisecond)
	}
	fired := in.firing()
	in.reset()
	in.floor = max(in.floor, at.UnixMilli())
	if !fired {
		s.soil(in)
		return
	}
	level := muster.LevelCritical
	if in.rule != nil {
		level = in.rule.doc.Level
	}
	s.turned(in, &judge.Verdict{From: muster.AlarmFiring, To: muster.AlarmOK, At: at, Level: level, Why: why})
}
