package notify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"muster"
)

// maxDeliveries is how many attempts of an incident are shown.
const maxDeliveries = 500

// attemptLog writes down what became of messages, a moment later and together.
type attemptLog struct {
	opts *Options
	wake chan struct{}

	mu      sync.Mutex
	waiting map[muster.AccountID][]muster.Delivery
	count   int
}

// maxUnsaved is how many attempts wait to be written while the store takes none; more are lost, and told.
const maxUnsaved = 50_000

func newAttemptLog(o *Options) *attemptLog {
	return &attemptLog{opts: o, wake: make(chan struct{}, 1), waiting: map[muster.AccountID][]muster.Delivery{}}
}

func (l *attemptLog) add(account muster.AccountID, d muster.Delivery) {
	l.mu.Lock()
	if l.count < maxUnsaved {
		l.waiting[account] = append(l.waiting[account], d)
		l.count++
	} else {
		l.opts.Logger.Error("notify: an attempt is not written down: too many wait", "message", d.Message, "status", d.Status)
	}
	l.mu.Unlock()
	poke(l.wake)
}

// run writes until ctx ends.
func (l *attemptLog) run(ctx context.Context) {
	const rest = 50 * time.Millisecond
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		l.flush(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(rest):
		}
	}
}

func (l *attemptLog) flush(ctx context.Context) {
	l.mu.Lock()
	all := l.waiting
	l.waiting = map[muster.AccountID][]muster.Delivery{}
	l.count = 0
	l.mu.Unlock()
	for account, list := range all {
		if err := l.opts.Attempts.Put(ctx, account, list); err != nil {
			l.opts.Logger.Warn("notify: attempts can't be written down yet", "attempts", len(list), "error", err)
			l.mu.Lock()
			l.waiting[account] = append(list, l.waiting[account]...)
			l.count += len(list)
			l.mu.Unlock()
			time.AfterFunc(time.Second, func() { poke(l.wake) })
		}
	}
}

// Deliveries gives every attempt to tell somebody of an incident, oldest first; of very many the newest 500.
func (r *Room) Deliveries(ctx context.Context, account muster.AccountID, id muster.IncidentID) ([]muster.Delivery, error) {
	list, err := r.opts.Attempts.Of(ctx, account, id, maxDeliveries)
	if err != nil {
		return nil, fmt.Errorf("notify: deliveries: %w", err)
	}
	slices.Reverse(list)
	type key struct {
		message string
		attempt int
		status  muster.DeliveryStatus
	}
	known := make(map[key]bool, len(list))
	for _, d := range list {
		known[key{d.Message, d.Attempt, d.Status}] = true
	}
	r.log.mu.Lock()
	for _, d := range r.log.waiting[account] {
		if d.Incident == id && !known[key{d.Message, d.Attempt, d.Status}] {
			list = append(list, d)
		}
	}
	r.log.mu.Unlock()
	slices.SortStableFunc(list, func(a, b muster.Delivery) int { return cmp.Compare(a.At.UnixMilli(), b.At.UnixMilli()) })
	return list, nil
}
