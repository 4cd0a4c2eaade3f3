package series

import (
	"context"
	"errors"
	"sync"
	"time"

	"muster/internal/series/calendar"
	"muster/internal/series/engine"
	"muster/internal/series/head"
)

const (
	// tick is how often it is looked whether something is due.
	tick = 5 * time.Second
	// hourTick is the same for hours and days.
	hourTick = time.Minute
	// expireEvery is how often old data is let go.
	expireEvery = 30 * time.Minute
)

// Run seals, publishes, rolls up, rebuilds and expires until ctx ends. Faults are told in the log and
// by counters, and what failed is tried again.
func (db *DB) Run(ctx context.Context) error {
	var group sync.WaitGroup
	group.Go(func() { db.sealLoop(ctx) })
	group.Go(func() { db.hourLoop(ctx) })
	group.Wait()
	return nil
}

// Work does once what Run does again and again: whatever is due by the clock of the options, and
// publishes all open blocks. It is for programs that end, and for tests.
func (db *DB) Work(ctx context.Context) error {
	db.takeShards(ctx)
	g := newGatherer(db)
	now := db.o.Now()
	var errs []error
	for _, s := range db.shards {
		if err := s.await(ctx); err != nil {
			errs = append(errs, err)
			continue
		}
		epoch, ok := s.working()
		if !ok {
			continue
		}
		_, err := s.seal(ctx, g, epoch, now, db.pressed())
		errs = append(errs, err, s.publishOpen(ctx, g, epoch), s.buildHours(ctx, g, epoch, now))
	}
	return errors.Join(append(errs, db.expire(ctx, now))...)
}

// every calls do at once and then each period, until ctx ends.
func (db *DB) every(ctx context.Context, period time.Duration, do func(now time.Time)) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do(db.o.Now())
		}
	}
}

func (db *DB) sealLoop(ctx context.Context) {
	g := newGatherer(db)
	db.every(ctx, tick, func(now time.Time) {
		db.takeShards(ctx)
		if db.o.MayWrite() != nil {
			return // sealing frees no space; what is open stays in memory and in the log
		}
		db.sealDue(ctx, g, now)
	})
}

// sealDue seals and publishes what is due in all shards.
func (db *DB) sealDue(ctx context.Context, g *gatherer, now time.Time) {
	pressed := db.pressed()
	var lag time.Duration
	for _, s := range db.shards {
		epoch, ok := s.working()
		if !ok || ctx.Err() != nil {
			continue
		}
		late, err := s.seal(ctx, g, epoch, now, pressed)
		db.report(ctx, "seal", s, err)
		if err != nil {
			lag = max(lag, late)
		}
		if s.publishDue(now) {
			db.report(ctx, "publish", s, s.publishOpen(ctx, g, epoch))
		}
	}
	db.tell.lag.Store(int64(lag))
	g.room = head.Room{} // what a full hour needed is not kept
}

// publishDue says whether the shard's open blocks are to be stored; the shards take turns.
func (s *shard) publishDue(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	every := s.db.o.PublishEvery
	if s.publish.IsZero() {
		s.publish = now.Add(every * time.Duration(s.id+1) / time.Duration(len(s.db.shards)))
	}
	if now.Before(s.publish) {
		return false
	}
	s.publish = now.Add(every)
	return true
}

// pressed says whether the heads occupy more than they should.
func (db *DB) pressed() bool {
	size := db.headSize()
	return size.bytes > headFloor+headPerNode*int64(size.nodes)
}

func (db *DB) hourLoop(ctx context.Context) {
	g := newGatherer(db)
	var expired time.Time
	db.every(ctx, hourTick, func(now time.Time) {
		if db.o.MayWrite() == nil {
			db.buildDue(ctx, g, now)
		}
		if now.Sub(expired) >= expireEvery {
			expired = now
			db.report(ctx, "expire", nil, db.expire(ctx, now))
		}
	})
}

// buildDue builds the tiles that are due in all shards.
func (db *DB) buildDue(ctx context.Context, g *gatherer, now time.Time) {
	for _, s := range db.shards {
		if epoch, ok := s.working(); ok && ctx.Err() == nil {
			db.report(ctx, "roll up", s, s.buildHours(ctx, g, epoch, now))
		}
	}
	g.room = head.Room{}
}

func (db *DB) report(ctx context.Context, what string, s *shard, err error) {
	if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return
	}
	db.tell.faults.Inc()
	args := []any{"work", what, "error", err}
	if s != nil {
		args = append(args, "shard", s.id)
	}
	db.o.Logger.Error("work on the series failed and is tried again", args...)
}

// expire lets the engine drop what its class does not keep, and segments of which all is sealed.
func (db *DB) expire(ctx context.Context, now time.Time) error {
	e := engine.Expiry{Marks: engine.HourOf(now.Add(-calendar.Keep - day).UnixMilli()), Classes: map[string]engine.ClassEnds{}}
	for _, c := range db.o.Classes {
		e.Classes[c.Name] = engine.ClassEnds{
			Blocks: now.Add(-c.Raw).UnixMilli(), FiveMinutes: now.Add(-c.Tile5m).UnixMilli(), OneHour: now.Add(-c.Tile1h).UnixMilli(),
		}
	}
	keep := Minute(now.Unix() / 60)
	for _, s := range db.shards {
		if _, ok := s.working(); !ok {
			keep = 0
			break
		}
		keep = min(keep, s.needed())
	}
	e.Segments = max(0, keep-Minute(db.o.KeepLog/time.Minute))
	return db.engine.Expire(ctx, e)
}

// needed gives the oldest minute of the log that holds something which is not in a sealed block.
func (s *shard) needed() Minute {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := s.applied() + 1
	for _, n := range s.nodes {
		for _, src := range n.Sources {
			for _, w := range src.Windows() {
				if w.Receipt != 0 {
					oldest = min(oldest, Minute(w.Receipt))
				}
			}
		}
	}
	if n, first := s.calendar.Waiting(); n > 0 {
		oldest = min(oldest, Minute(first))
	}
	for _, d := range s.unsaved {
		oldest = min(oldest, d.Arrival)
	}
	return oldest
}

// readIndex reads which nodes the store knows, shard by shard, until it has all.
func (db *DB) readIndex(ctx context.Context) {
	for _, s := range db.shards {
		for pause := 100 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
			err := s.index(ctx)
			if err == nil {
				break
			}
			db.report(ctx, "read which nodes there are", s, err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
		}
		close(s.indexed)
	}
}
