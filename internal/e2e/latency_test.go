package e2e

import (
	"slices"
	"testing"
	"time"

	"muster/api"
)

// TestAlarmFigures measures how soon a webhook tells of a target that was stopped; nothing in it can fail for being slow.
func TestAlarmFigures(t *testing.T) {
	if !*figures {
		t.Skip("-figures measures")
	}
	s := watchman(t)
	h := s.hookOf("hook", fields{"default": true})
	s.failsAtOnce()
	g := newTarget(t).up()
	c := s.check("http", fields{"url": g.url()}, fields{"period": "1s", "timeout": "500ms"})
	s.awaits(c.ID, "ok")
	var fromRun, fromStop []time.Duration
	for n := range 20 {
		time.Sleep(time.Duration(n) * 53 * time.Millisecond) // all over the period
		stopped := time.Now()
		g.down()
		arrived := h.next(n*2+1, "incident.opened")
		m := h.heard()[n*2]
		fromRun = append(fromRun, arrived.Sub(m.Data.Incident.Transitions[0].At))
		fromStop = append(fromStop, arrived.Sub(stopped))
		g.up()
		h.next(n*2+2, "incident.resolved")
	}
	for what, all := range map[string][]time.Duration{"the failing run's start": fromRun, "the target's stop": fromStop} {
		slices.Sort(all)
		t.Logf("%s to the webhook, 1 s checks, no hold, %d times: p50 %s, p99 %s", what, len(all), all[len(all)/2].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond))
	}
	if open := list[api.Incident](s, api.PathIncidents+"?state=unresolved"); len(open) > 0 {
		t.Errorf("in the end there is still %+v", open)
	}
}

// next waits for the n-th message, which has to be of a kind, and gives when it came.
func (h *hook) next(n int, kind string) (at time.Time) {
	h.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if got := h.taken.Load(); got >= int64(n) {
			at = time.Now()
			break
		}
		if time.Now().After(end) {
			h.t.Fatalf("message %d does not come", n)
		}
	}
	if all := h.heard(); all[n-1].Type != kind {
		h.t.Fatalf("message %d is %s, want %s", n, all[n-1].Type, kind)
	}
	return at
}
