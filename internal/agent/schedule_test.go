package agent

import (
	"crypto/ed25519"
	"testing"
	"testing/synctest"
	"time"
)

func key(n byte) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = n
	return ed25519.NewKeyFromSeed(seed)
}

// play measures when it is due, for so long, and gives the instants.
func play(s *schedule, now time.Time, span time.Duration) (at []time.Time) {
	end := now.Add(span)
	for !s.due().After(end) {
		at = append(at, s.due())
		s.advance(s.due().Add(time.Millisecond)) // measuring takes a while
	}
	return at
}

func TestAYoungAgentBeginsWithABurst(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 3, 0, time.UTC)
	s := newSchedule(10*time.Second, key(1))
	s.start(now, true)
	at := play(s, now, 5*time.Minute)
	for i := range 5 {
		if want := now.Add(time.Duration(i) * 400 * time.Millisecond); !at[i].Equal(want) {
			t.Errorf("measurement %d at %v, want %v", i, at[i], want)
		}
	}
	within := func(from, to time.Duration) (n int) {
		for _, a := range at {
			if d := a.Sub(now); d >= from && d < to {
				n++
			}
		}
		return n
	}
	if n := within(60*time.Second, 120*time.Second); n < 58 || n > 61 {
		t.Errorf("%d measurements in the second minute", n)
	}
	if n := within(130*time.Second, 290*time.Second); n != 16 {
		t.Errorf("%d measurements afterwards", n)
	}
}

func TestAnOldAgentBeginsWithTwo(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 3, 0, time.UTC)
	s := newSchedule(10*time.Second, key(1))
	s.start(now, false)
	at := play(s, now, time.Minute)
	if !at[0].Equal(now) || !at[1].Equal(now.Add(time.Second)) || len(at) < 7 || len(at) > 8 {
		t.Errorf("got %v", at)
	}
	for i := 3; i < len(at); i++ {
		if at[i].Sub(at[i-1]) != 10*time.Second {
			t.Errorf("from %v to %v", at[i-1], at[i])
		}
	}
}

func TestAgentsHavePhasesOfTheirOwnThatStay(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	phases := map[time.Duration]bool{}
	for n := range byte(20) {
		s := newSchedule(10*time.Second, key(n))
		next := s.after(now)
		if later := s.after(now.Add(time.Hour)); later.Sub(next) != time.Hour {
			t.Errorf("the phase moved by %v", later.Sub(next)-time.Hour)
		}
		phases[next.Sub(now)] = true
	}
	if len(phases) < 19 {
		t.Errorf("20 agents have %d phases", len(phases))
	}
}

func TestOrdersQuickenForAWhile(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	s := newSchedule(10*time.Second, key(1))
	s.start(now, false)
	play(s, now, time.Minute)
	now = now.Add(time.Minute)
	s.order(now, time.Second, 30*time.Second)
	s.order(now, 5*time.Second, time.Minute) // a lesser one
	if d := s.due().Sub(now); d > time.Second {
		t.Errorf("the first is due after %v", d)
	}
	if n := len(play(s, now, 30*time.Second)); n < 29 || n > 31 {
		t.Errorf("%d measurements in half a minute", n)
	}
	s.order(now, 20*time.Minute, 0)
	if s.period() != 20*time.Minute {
		t.Errorf("the period is %v", s.period())
	}
	s.order(now, time.Nanosecond, 0)
	if s.period() != MinPeriod {
		t.Errorf("the period is %v", s.period())
	}
	s.order(now, -time.Second, 0)
	if s.period() != MinPeriod {
		t.Errorf("a negative period was taken: %v", s.period())
	}
}

func TestAJumpOfTheClockIsTakenOverOnlyWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		c.shift = -time.Hour // as if the machine's clock had gone an hour ahead since
		before := c.Now()
		time.Sleep(time.Second)
		c.settle(false)
		if d := c.Now().Sub(before); d != time.Second {
			t.Errorf("the clock went %v in a second", d)
		}
		c.settle(true)
		if d := time.Until(c.Now()); d != 0 {
			t.Errorf("still off by %v", d)
		}
	})
}
