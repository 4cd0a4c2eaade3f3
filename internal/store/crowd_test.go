package store_test

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"muster"
	"muster/internal/store/storetest"
)

// TestACrowdGetsThrough lets hundreds use one enrolment at once: each gets exactly one use.
func TestACrowdGetsThrough(t *testing.T) {
	clock := storetest.NewClock()
	s := newStore(storetest.NewMemory(clock.Now), clock)
	hash := make([]byte, 32)
	const crowd = 400
	e := &muster.Enrollment{Account: muster.NewAccountID(), SecretHash: hash, UsesLeft: crowd, ExpiresAt: clock.Now().Add(time.Hour)}
	if err := s.CreateEnrollment(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range crowd {
		group.Go(func() {
			agent := binary.BigEndian.AppendUint64(nil, uint64(i))
			if _, err := s.UseEnrollment(t.Context(), hash, agent, clock.Now()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if left, err := s.EnrollmentByHash(t.Context(), hash); err != nil || left.UsesLeft != 0 {
		t.Errorf("%+v, %v", left, err)
	}
}
