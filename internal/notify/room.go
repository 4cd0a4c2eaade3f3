package notify

import (
	"context"
	"fmt"
	"sync"
	"time"

	"muster"
	"muster/internal/telemetry"
)

// Room tells people. It is safe for use by many goroutines.
type Room struct {
	store  Store
	opts   Options
	book   book
	shards []*shard
	lanes  *lanes
	log    *attemptLog

	planned, sent, failed, retried, quieted *telemetry.Counter
	seconds                                 *telemetry.Histogram
}

// Open reads all channels and suppressions, and what the log says is still to be told. Nothing is sent before Run.
func Open(ctx context.Context, store Store, o Options) (*Room, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.fill()
	t := o.Telemetry
	r := &Room{
		store: store, opts: o, book: book{accounts: map[muster.AccountID]*page{}}, log: newAttemptLog(&o),
		planned: t.Counter("muster_notify_planned_total"), sent: t.Counter("muster_notify_delivered_total"),
		failed: t.Counter("muster_notify_given_up_total"), retried: t.Counter("muster_notify_failed_attempts_total"),
		quieted: t.Counter("muster_notify_suppressed_total"), seconds: t.Histogram("muster_notify_delay_seconds"),
	}
	r.lanes = newLanes(r)
	accounts, err := store.Accounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("notify: open: %w", err)
	}
	for _, account := range accounts {
		if err := r.readAccount(ctx, account.ID); err != nil {
			return nil, fmt.Errorf("notify: open: %w", err)
		}
	}
	for id := range o.Shards {
		r.shards = append(r.shards, newShard(r, id))
	}
	t.Gauge("muster_notify_waiting", func() float64 { return float64(r.lanes.waiting()) })
	return r, nil
}

func (r *Room) readAccount(ctx context.Context, account muster.AccountID) error {
	channels, err := r.store.Channels(ctx, account)
	if err != nil {
		return err
	}
	for _, c := range channels {
		r.keep(c)
	}
	suppressions, err := r.store.Suppressions(ctx, account)
	if err != nil {
		return err
	}
	for _, s := range suppressions {
		q, err := r.read(s)
		if err != nil {
			r.opts.Logger.Error("notify: a suppression can't be understood and does not hold", "suppression", s.ID, "error", err)
			continue
		}
		r.keepQuiet(q)
	}
	return nil
}

// Appended hears of rows that became durable, in the order of a shard's log, one call at a time for a
// shard. It does not block.
func (r *Room) Appended(shard int, rows []Row) {
	if shard >= 0 && shard < len(r.shards) {
		r.shards[shard].hear(rows)
	}
}

// Done gives the place up to which a shard's log was followed and everything settled or saved.
func (r *Room) Done(shard int) Position {
	if shard < 0 || shard >= len(r.shards) {
		return Position{}
	}
	s := r.shards[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saved
}

// Run follows the logs and delivers until ctx ends; then it lets what is on its way come to its end, for
// three seconds at most, and saves once more.
func (r *Room) Run(ctx context.Context) error {
	var group sync.WaitGroup
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	r.lanes.begin(life)
	for _, s := range r.shards {
		if r.opts.Owns(s.id) {
			group.Go(func() { s.follow(ctx) })
			group.Go(func() { s.keep(ctx) })
		}
	}
	group.Go(func() { r.log.run(ctx) })
	group.Go(func() { r.tick(ctx) })
	<-ctx.Done()
	r.lanes.drain(3 * time.Second)
	end()
	group.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	for _, s := range r.shards {
		if r.opts.Owns(s.id) {
			s.save(last)
		}
	}
	r.log.flush(last)
	return nil
}

// tick looks at what time alone changes: suppressions that end, and those that ended long ago.
func (r *Room) tick(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, s := range r.shards {
			if r.opts.Owns(s.id) {
				s.release()
			}
		}
		if n%3600 == 0 {
			r.tidyQuiet(ctx)
		}
	}
}
