package runner

import (
	"container/heap"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"muster"
	"muster/internal/check"
)

// entry is one assigned check. What stands under the first line never changes; the second part belongs to
// Runner.mu, the third to the check's own mu.
type entry struct {
	id      muster.CheckID
	source  string
	zone    string
	print   uint64
	period  time.Duration
	timeout time.Duration
	phase   int64 // of the starts within the period, in nanoseconds

	next  int64 // when it is due, in Unix nanoseconds
	index int   // in the queue
	early bool  // the next start is one before its time
	gone  bool  // it was removed or changed

	plan plan
	form form
}

func newEntry(a *check.Assignment, kind check.Kind) *entry {
	e := &entry{
		id: a.Check, zone: a.Zone,
		period:  min(max(a.Period, muster.MinCheckPeriod), muster.MaxCheckPeriod),
		timeout: min(max(a.Timeout, muster.MinCheckTimeout), muster.MaxCheckTimeout),
		plan:    plan{kind: kind, name: a.Kind, config: a.Config},
	}
	if kind != nil {
		e.plan.name = "" // one copy less of a text that thousands share
	}
	if e.zone == "" {
		e.zone = muster.LocalZone
	}
	e.source = (&muster.Check{ID: e.id}).Source(e.zone)
	sum := sha256.Sum256([]byte(e.id))
	share := binary.BigEndian.Uint64(sum[:])
	e.phase = int64(share % uint64(e.period.Milliseconds()) * uint64(time.Millisecond))
	return e
}

// after gives the first start after an instant, both in Unix nanoseconds.
func (e *entry) after(instant int64) int64 {
	period := int64(e.period)
	since := (instant - e.phase) % period
	if since < 0 {
		since += period
	}
	return instant - since + period
}

// soon gives a start within a second: not the same one for all checks.
func (e *entry) soon(now int64) int64 {
	return now + e.phase%min(int64(e.period), int64(time.Second))
}

// advance sets the start after one at now.
func (e *entry) advance(now int64) {
	if e.early {
		e.early = false
		now += int64(e.period) / 2 // not again at once
	}
	e.next = e.after(now)
}

// queue holds the checks, the next to be run first.
type queue struct{ list heaped }

func (q *queue) add(e *entry)    { heap.Push(&q.list, e) }
func (q *queue) fix(e *entry)    { heap.Fix(&q.list, e.index) }
func (q *queue) order()          { heap.Init(&q.list) }
func (q *queue) remove(e *entry) { heap.Remove(&q.list, e.index) }

// first gives the check that is due first; nil when there is none.
func (q *queue) first() *entry {
	if len(q.list) == 0 {
		return nil
	}
	return q.list[0]
}

// heaped is a queue as container/heap wants it.
type heaped []*entry

// Len is for container/heap.
func (h heaped) Len() int { return len(h) }

// Less is for container/heap.
func (h heaped) Less(i, j int) bool { return h[i].next < h[j].next }

// Swap is for container/heap.
func (h heaped) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is for container/heap.
func (h *heaped) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}

// Pop is for container/heap.
func (h *heaped) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}

// jumps notices a clock that was set: then start times reckoned before mean nothing.
type jumps struct {
	wall int64
	real time.Time // the same instant, by the monotonic clock
}

// seen says whether the clock jumped since the last call; the first call is a jump too.
func (j *jumps) seen(wall int64) bool {
	const much = int64(time.Second)
	real := time.Now()
	off := wall - j.wall - int64(real.Sub(j.real))
	first := j.real.IsZero()
	j.wall, j.real = wall, real
	return first || off > much || off < -much
}

// Run runs the checks until ctx ends, then gives nil. What was under way then is not delivered. It may be called once.
func (r *Runner) Run(ctx context.Context) error {
	r.mu.Lock()
	r.runs = ctx
	r.mu.Unlock()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			r.mu.Lock()
			r.closed = true
			r.mu.Unlock()
			r.delivery.Wait()
			return nil
		case <-r.wake:
		case <-timer.C:
		}
		timer.Reset(r.start())
	}
}

// together is the time in which runs that are due wait for each other: a processor that is woken once for fifty
// runs does about half of what one does that is woken for each.
const together = 50 * time.Millisecond

// start begins all runs that are due and says how long it is until the next.
func (r *Runner) start() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if r.clock.seen(now) {
		for _, e := range r.queue.list {
			if e.early {
				e.next = min(e.next, e.soon(now))
			} else {
				e.next = e.after(now)
			}
		}
		r.queue.order()
	}
	for {
		e := r.queue.first()
		if e == nil {
			return time.Hour // an assignment wakes it
		}
		if e.next > now {
			return max(time.Duration(e.next-r.now()), together)
		}
		due := e.next
		e.advance(now)
		r.queue.fix(e)
		r.begin(e, due, now)
	}
}

// begin starts a run if there is a place for it and the check's last run has ended. The caller holds mu.
func (r *Runner) begin(e *entry, due, now int64) {
	// A regular instant costs next to no storage, so a start that is hardly late bears the time it was due.
	const hardly = int64(100 * time.Millisecond)
	at := due
	if now-due > hardly {
		at = now
	}
	before := r.running[e.id]
	switch {
	case before != nil:
		r.stats.Overdue++
		if before.lost {
			// The target is told to be silent for as long as the run hangs.
			go r.deliver(e, at, overrun(e.timeout), e.timeout)
		}
		r.complain("the last run of a check has not ended")
	case r.places >= r.opts.Concurrency:
		r.stats.Busy++
		r.complain("all places are taken")
	default:
		f := &flight{check: e.id, timeout: e.timeout, began: time.Now(), placed: true}
		f.result = func(out check.Outcome, took time.Duration) { r.deliver(e, at, out, took) }
		r.places++
		r.running[e.id] = f
		go r.fly(r.runs, f, &e.plan)
	}
}

// complain logs that runs were left out, at most once a minute. The caller holds mu.
func (r *Runner) complain(why string) {
	if now := time.Now(); now.Sub(r.complains) > time.Minute {
		r.complains = now
		r.opts.Logger.Warn("Runs of checks are left out.", "why", why, "busy", r.stats.Busy, "overdue", r.stats.Overdue)
	}
}
