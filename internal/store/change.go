package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"muster"
)

// tries bounds how often one change is attempted, for lost races and unknown outcomes alike.
const tries = 12

func newOp() (op OpID) {
	rand.Read(op[:]) // never fails since Go 1.24: the process ends instead
	return op
}

func jitter(d time.Duration) time.Duration { return d/2 + mathrand.N(d/2+1) }

// verdict is what became of a change.
type verdict int

const (
	applied   verdict = iota // it took place, whatever came after it
	untouched                // nothing happened: it may be tried again
	lost                     // somebody else was faster
	unknown                  // so much happened since that nobody can tell
)

// judge tells from what is stored now what became of the change from base to next. With doubt an
// earlier try of it may have taken place.
func judge(base, next, current Object, doubt bool) verdict {
	switch {
	case current.Op == next.Op && current.Rev == next.Rev, slices.Contains(current.Recent, next.Op):
		return applied
	case current.Rev == base.Rev && current.Op == base.Op:
		return untouched
	case doubt && current.Rev > next.Rev+uint64(len(current.Recent)):
		return unknown
	}
	return lost
}

// after makes the object that follows base.
func after(base Object, body []byte, deleted bool) Object {
	next := Object{Rev: base.Rev + 1, Op: newOp(), Deleted: deleted, Body: body}
	if base.Rev > 0 {
		next.Recent = append(next.Recent, base.Op)
		next.Recent = append(next.Recent, base.Recent[:min(len(base.Recent), RecentOps-1)]...)
	}
	return next
}

// put changes base to next and makes sure of the outcome: with done the change took place; without and
// without error somebody was faster and current is what is there. An error that wraps ErrUnavailable leaves it open.
func (s *Store) put(ctx context.Context, key Key, base, next Object, ttl time.Duration) (current Object, done bool, err error) {
	if len(next.Body) > maxBody {
		return Object{}, false, fmt.Errorf("%w: %s would take %d bytes, at most %d are kept", muster.ErrLimited, key.ID, len(next.Body), maxBody)
	}
	s.counts.swaps.Inc()
	why, doubt := error(muster.ErrConflict), false
	for try := range tries {
		done, current, err = s.engine.Swap(ctx, key, next, ttl)
		if err == nil && done {
			return next, true, nil
		}
		if err != nil {
			if !errors.Is(err, muster.ErrUnavailable) {
				return Object{}, false, err
			}
			s.counts.unknown.Inc()
			why, doubt = err, true
			if current, err = s.settled(ctx, key, err); err != nil {
				return Object{}, false, err
			}
		}
		switch judge(base, next, current, doubt) {
		case applied:
			return next, true, nil
		case lost:
			s.counts.lost.Inc()
			return current, false, nil
		case unknown:
			return Object{}, false, fmt.Errorf("%w: %s was changed so often since that the outcome can't be told", muster.ErrUnavailable, key.ID)
		case untouched:
		}
		if !pause(ctx, try) {
			break
		}
	}
	// The kind is that of an unknown outcome alone: the cause is told as text, so that nobody reads it as a conflict.
	return Object{}, false, fmt.Errorf("%w: the change of %s did not get through: %v", muster.ErrUnavailable, key.ID, why)
}

// settled reads what is there after a change failed with an unknown outcome.
func (s *Store) settled(ctx context.Context, key Key, why error) (Object, error) {
	for try := range tries {
		current, err := s.engine.Get(ctx, key, true)
		if err == nil {
			return current, nil
		}
		if !errors.Is(err, muster.ErrUnavailable) || !pause(ctx, try) {
			break
		}
	}
	return Object{}, fmt.Errorf("%w: the outcome of the change of %s is unknown: %w", muster.ErrUnavailable, key.ID, why)
}

// get reads with patience: a read has no outcome, so it may be tried again.
func (s *Store) get(ctx context.Context, key Key, serial bool) (object Object, err error) {
	for try := range tries / 3 {
		if object, err = s.engine.Get(ctx, key, serial); err == nil || !errors.Is(err, muster.ErrUnavailable) {
			return object, err
		}
		if !pause(ctx, try) {
			break
		}
	}
	return Object{}, err
}

// persist repeats a verb that may be carried out twice until its outcome is known.
func persist(ctx context.Context, verb func() error) (err error) {
	for try := range tries {
		if err = verb(); err == nil || !errors.Is(err, muster.ErrUnavailable) {
			return err
		}
		if !pause(ctx, try) {
			break
		}
	}
	return err
}
