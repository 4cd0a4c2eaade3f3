package alarm

import (
	"container/heap"
	"time"

	"muster"
	"muster/internal/alarm/rules"
	"muster/internal/judge"
)

// timer says when to look whether an instance is silent.
type timer struct {
	at   int64 // Unix ns
	inst *instance
}

// timers is a heap: the next one first. An instance stands in it at most once, and is put back when it was heard meanwhile.
type timers []timer

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at < t[j].at }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }

// Push fits heap.Interface.
func (t *timers) Push(x any) { *t = append(*t, x.(timer)) }

// Pop fits heap.Interface.
func (t *timers) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}

// schedule puts an instance into the timers if silence means anything to it.
func (s *shard) schedule(in *instance, now time.Time) {
	if in.timed || in.rule == nil || in.rule.doc.NoData.After <= 0 || in.rule.doc.NoData.Is == muster.NoDataKeep || in.state.Silent() {
		return
	}
	in.timed = true
	heap.Push(&s.timers, timer{now.Add(in.patience()).UnixNano(), in})
}

// patience is how long an instance may be silent: three periods of what measures it at least.
func (in *instance) patience() time.Duration {
	after := in.rule.doc.NoData.After
	if in.check != "" {
		return after
	}
	if n := in.sub.who.node; n != nil {
		after = max(after, 3*n.Period)
	}
	return after
}

// upgradeTakes is how long an agent that is being upgraded may be away.
const upgradeTakes = 10 * time.Minute

// judgeSilence judges the silences that are due.
func (s *shard) judgeSilence(now time.Time) {
	for len(s.timers) > 0 && s.timers[0].at <= now.UnixNano() {
		in := heap.Pop(&s.timers).(timer).inst
		in.timed = false
		if !in.on || in.sub.instances[in.key] != in || in.rule.doc.NoData.After <= 0 {
			continue
		}
		if at := s.due(in, now); at > now.UnixNano() {
			in.timed = true
			heap.Push(&s.timers, timer{at, in})
			continue
		}
		was := in.state
		next, verdict := in.rule.judge.Silence(was, now)
		in.state = next
		s.w.tell.silences.Inc()
		if verdict != nil {
			s.turned(in, verdict)
		} else if moved(was, next) {
			s.soil(in)
		}
		s.schedule(in, now)
	}
}

// due says when the silence of an instance is to be judged, in Unix ns. What arrives counts whatever its instant is: an
// agent that comes back sends old frames first. And neither does a time count in which nobody could be heard.
func (s *shard) due(in *instance, now time.Time) int64 {
	patience := in.patience()
	if in.metric == "" && in.state.Through() == 0 {
		seen := s.w.opts.Fleet.Seen(in.sub.book.account, in.sub.who.id)
		if seen.IsZero() {
			return now.Add(time.Minute).UnixNano() // it was never heard of
		}
		in.state, _ = in.rule.judge.Judge(in.state, judge.Input{At: seen.UnixMilli(), Value: 1}, now)
	}
	at := now
	if wake, ok := in.rule.judge.Wake(in.state); ok {
		at = wake
	}
	from := max(s.w.judgeFrom.Load(), s.caughtAt)
	due := max(at.UnixNano(), in.arrived+patience.Nanoseconds(), from+max(patience, s.w.opts.Grace).Nanoseconds())
	if n := in.sub.who.node; n != nil && n.Farewell.Reason == muster.FarewellUpgrade {
		due = max(due, n.Farewell.At.Add(upgradeTakes).UnixNano())
	}
	return due
}

// Things that come and go, such as containers, leave instances behind.
const (
	sweepEvery = 10 * time.Minute
	goneAfter  = 24 * time.Hour // what fires and is not measured any more, although its subject is, is closed
)

// sweep forgets instances and sources of which nothing was heard for long, and closes what fires of them.
func (s *shard) sweep(now time.Time) {
	if now.Sub(s.swept) < sweepEvery && !now.Before(s.swept) {
		return
	}
	s.swept = now
	for _, sub := range s.subjects {
		heard := int64(0)
		for _, in := range sub.instances {
			heard = max(heard, in.arrived, sub.arrived)
		}
		for key, in := range sub.instances {
			idle := time.Duration(now.UnixNano() - max(in.arrived, s.caughtAt))
			switch {
			case in.metric == "" && in.on:
			case in.firing() && in.on && idle > goneAfter && time.Duration(now.UnixNano()-heard) < time.Hour:
				s.close(in, "nothing of it was measured for "+rules.Span(goneAfter), now)
			case in.state.Plain() && !in.dirty && in.waiting == 0 && idle > keepFor:
				delete(sub.instances, key)
				s.size--
				sub.version++ // no plan may have it any more
			}
		}
	}
}
