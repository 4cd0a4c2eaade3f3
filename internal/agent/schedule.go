package agent

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

const (
	// youth is how long after its making an agent is young: it then measures often at its start, so
	// that its page has something to show at once.
	youth       = 10 * time.Minute
	youngPeriod = time.Second
	youngFor    = 2 * time.Minute
)

// schedule says when to measure. Each agent has a phase of its own within the period, so that the
// agents of a server do not all send at the same instant.
type schedule struct {
	phase float64 // [0,1)

	mu       sync.Mutex // for period, which the uplink asks for
	base     time.Duration
	quick    time.Duration // another period until quickEnd
	quickEnd time.Time
	next     time.Time
	burst    []time.Duration // pauses of the first measurements
}

func newSchedule(period time.Duration, key ed25519.PrivateKey) *schedule {
	sum := sha256.Sum256(key.Public().(ed25519.PublicKey))
	return &schedule{base: period, phase: float64(binary.LittleEndian.Uint32(sum[:])) / (1 << 32)}
}

// start sets the first measurement to now. A share of time needs two to compare, so the second follows soon.
func (s *schedule) start(now time.Time, young bool) {
	s.next = now.Truncate(time.Millisecond)
	s.burst = []time.Duration{time.Second}
	if young {
		const pause = 400 * time.Millisecond
		s.burst = []time.Duration{pause, pause, pause, pause, pause}
		s.order(now, youngPeriod, youngFor)
	}
}

// due is when to measure next.
func (s *schedule) due() time.Time { return s.next }

// period is the base period: that at which the agent measures when nobody looks.
func (s *schedule) period() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base
}

// order changes the period for a while, or the base period when the while is zero. A shorter order does
// not shorten one that holds and is as quick.
func (s *schedule) order(now time.Time, period, span time.Duration) {
	if period <= 0 {
		return
	}
	period = min(max(period, MinPeriod), MaxPeriod)
	if span <= 0 {
		s.mu.Lock()
		s.base = period
		s.mu.Unlock()
	} else {
		end := now.Add(min(span, MaxPeriod))
		if now.Before(s.quickEnd) && s.quick <= period {
			period = s.quick
			if end.Before(s.quickEnd) {
				end = s.quickEnd
			}
		}
		s.quick, s.quickEnd = period, end
	}
	if soon := s.after(now); soon.Before(s.next) && len(s.burst) == 0 {
		s.next = soon
	}
}

// advance sets the next measurement after one at about now.
func (s *schedule) advance(now time.Time) {
	if len(s.burst) > 0 {
		s.next = s.next.Add(s.burst[0])
		s.burst = s.burst[1:]
		if s.next.After(now) {
			return
		}
	}
	s.next = s.after(now)
}

// after is the first instant after now that is in phase with the period that holds.
func (s *schedule) after(now time.Time) time.Time {
	period := s.period()
	if now.Before(s.quickEnd) {
		period = min(period, s.quick)
	}
	phase := time.Duration(s.phase * float64(period)).Truncate(time.Millisecond)
	next := now.Add(-phase).Truncate(period).Add(phase)
	for !next.After(now) {
		next = next.Add(period)
	}
	return next
}
