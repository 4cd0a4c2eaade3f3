package roster

import (
	"context"
	"slices"
	"time"

	"muster"
	"muster/internal/roster/plan"
)

// How a check's status is found, from the newest result of each of its zones:
//
//	it is switched off, or was never run      pending
//	some zone's newest result is fresh        the worst of those: critical, warning, unknown, ok
//	none is                                   unknown
//
// A result is fresh for three periods, at least 30 s; one of a push check until a while after silence
// should have been told. That time begins anew when this process starts, when it slept, and when it could
// take no frames: a server's own trouble leaves every check as it was.

// Codes of a status, in the order of their badness.
const (
	codePending uint8 = iota
	codeOK
	codeUnknown
	codeWarning
	codeCritical
)

func statusOf(code uint8) muster.CheckStatus {
	switch code {
	case codeOK:
		return muster.StatusOK
	case codeUnknown:
		return muster.StatusUnknown
	case codeWarning:
		return muster.StatusWarning
	case codeCritical:
		return muster.StatusCritical
	}
	return muster.StatusPending
}

// codeIn gives the code of the status among the values of a result.
func codeIn(p *plan.Plan, values []float64) uint8 {
	status, _ := p.Status(values)
	return codeOf(status)
}

// codeOf gives the code of a result's status; what is none is unknown.
func codeOf(status muster.CheckStatus) uint8 {
	switch status {
	case muster.StatusOK:
		return codeOK
	case muster.StatusWarning:
		return codeWarning
	case muster.StatusCritical:
		return codeCritical
	}
	return codeUnknown
}

const (
	// leastPatience is the shortest time for which a result is fresh.
	leastPatience = 30 * time.Second
	// slept is how late a tick may be before the process is taken to have been stopped or suspended.
	slept = 10 * time.Second
)

// patience is for how long a result of the check is fresh, in ms.
func patience(c *muster.Check) int64 {
	if c.Kind == KindPush {
		return (c.Period + pushGrace(c) + 2*leastPatience).Milliseconds()
	}
	return max(3*c.Period, leastPatience).Milliseconds()
}

// verdict finds the status of an entry that is locked, since when it is so, and when to look again (0: no need).
func (e *entry) verdict(now, judgeFrom int64) (status uint8, since, wake int64) {
	c := e.check.Load()
	if !c.Enabled {
		return codePending, c.UpdatedAt.UnixMilli(), 0
	}
	limit, ended := patience(c), int64(0)
	for _, v := range e.views {
		if v.old {
			continue
		}
		until := v.at + limit
		if !v.over {
			until = max(until, judgeFrom+limit)
		}
		if until < now {
			v.over, ended = true, max(ended, until)
			continue
		}
		if wake == 0 || until < wake {
			wake = until
		}
		if v.status > status || v.status == status && v.since < since {
			status, since = v.status, v.since
		}
	}
	switch {
	case status != codePending:
		return status, since, wake + 1
	case ended > 0:
		return codeUnknown, ended, 0
	}
	return codePending, c.CreatedAt.UnixMilli(), 0
}

// judge renews the status of an entry that is locked and sees to it that it is looked at again in time. It
// says whether the status changed.
func (r *Roster) judge(e *entry, now int64) bool {
	status, since, wake := e.verdict(now, r.judgeFrom.Load())
	if e.push != nil && e.check.Load().Enabled {
		if due := e.silentAt(r.judgeFrom.Load()); wake == 0 || due < wake {
			wake = due
		}
	}
	if wake > 0 && !e.gone {
		r.wheel.set(e, wake)
	}
	if status == e.status {
		return false
	}
	e.status, e.since = status, since
	return true
}

// turn lets the wheel reach this moment: results grow old, jobs that should have called did not.
func (r *Roster) turn(ctx context.Context) {
	now := r.opts.Now().UnixMilli()
	if now < r.ticked.Load()-slept.Milliseconds() {
		r.rewind(now)
	}
	if !r.opts.MayJudge() || now-r.ticked.Load() > slept.Milliseconds() {
		r.judgeFrom.Store(now)
	}
	r.ticked.Store(now)
	var silent []silence
	for _, d := range r.wheel.turn(now) {
		if s, ok := r.fire(d, now); ok {
			silent = append(silent, s)
		}
	}
	r.tellSilence(ctx, silent, now)
}

// rewind follows a clock that was set back: what waits for an hour that is gone is put where it belongs.
func (r *Roster) rewind(now int64) {
	r.judgeFrom.Store(now)
	r.wheel.rewind(now)
	r.each(func(e *entry) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.queued = 0
		r.judge(e, now)
	})
}

// fire looks at one entry whose time has come.
func (r *Roster) fire(d due, now int64) (s silence, ok bool) {
	e := d.entry
	e.mu.Lock()
	if e.gone || e.queued != d.slot {
		e.mu.Unlock()
		return s, false
	}
	e.queued = 0
	if e.push != nil {
		s, ok = e.fallSilent(now, r.judgeFrom.Load())
	}
	changed := r.judge(e, now)
	c := e.check.Load()
	e.mu.Unlock()
	if changed {
		r.opts.Changed(Change{Account: c.Account, Check: c.ID, Subject: c.Subject(), Status: true})
	}
	return s, ok
}

// renew follows a new document of a check: zones that went away are forgotten, one that is switched on
// starts anew. It says whether the status changed.
func (r *Roster) renew(e *entry, old *muster.Check) bool {
	now := r.opts.Now().UnixMilli()
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.check.Load()
	e.views = slices.DeleteFunc(e.views, func(v *view) bool { return !slices.Contains(c.Zones, v.zone) })
	if old != nil && !old.Enabled && c.Enabled {
		for _, v := range e.views {
			v.old = true
		}
	}
	if e.push != nil && old != nil && (old.Enabled != c.Enabled || old.Period != c.Period || pushGrace(old) != pushGrace(c)) {
		e.push.from = now
	}
	return r.judge(e, now)
}
