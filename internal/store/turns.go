package store

import (
	"context"
	"fmt"
	"hash/maphash"

	"muster"
)

// turns lets those who change one object queue up. Keys share a queue now and then, so nobody may
// enter one while standing in another.
type turns struct {
	seed   maphash.Seed
	queues [256]chan struct{}
}

func newTurns() turns {
	t := turns{seed: maphash.MakeSeed()}
	for i := range t.queues {
		t.queues[i] = make(chan struct{}, 1)
	}
	return t
}

// take waits for the key's turn; the error wraps muster.ErrUnavailable when ctx ended first.
func (t *turns) take(ctx context.Context, key Key) (leave func(), err error) {
	queue := t.queues[maphash.Comparable(t.seed, key)%uint64(len(t.queues))]
	select {
	case queue <- struct{}{}:
		return func() { <-queue }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w before it was this change's turn", muster.ErrUnavailable, ctx.Err())
	}
}
