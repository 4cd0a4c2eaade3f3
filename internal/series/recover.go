package series

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"muster"
	"muster/internal/column"
	"muster/internal/series/calendar"
	"muster/internal/series/engine"
	"muster/internal/series/head"
)

const (
	// recoverers is how many shards are read back at once.
	recoverers = 4
	// endOfTime is a minute after all others.
	endOfTime = Minute(1) << 40
)

// takeShards reads back the heads of the shards that this server owns and does not hold yet, and lets
// go of those it has lost. It returns when all are complete or ctx ends.
func (db *DB) takeShards(ctx context.Context) { db.readShards(ctx, db.claimShards()) }

// claimShards lists the shards whose heads are to be read; from now on what comes in for them is held.
func (db *DB) claimShards() (mine []*shard) {
	for _, s := range db.shards {
		epoch, owned := db.o.Owns(s.id)
		if s.claim(epoch, owned) {
			mine = append(mine, s)
		}
	}
	return mine
}

func (db *DB) readShards(ctx context.Context, mine []*shard) {
	var group sync.WaitGroup
	next := make(chan *shard)
	for range min(recoverers, len(mine)) {
		group.Go(func() {
			for s := range next {
				s.take(ctx)
			}
		})
	}
	for _, s := range mine {
		next <- s
	}
	close(next)
	group.Wait()
}

// claim moves the shard to the stage its owner is at; true when its heads are to be read now.
func (s *shard) claim(epoch uint64, owned bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case owned && s.stage == foreign:
		s.stage, s.epoch = reading, epoch
		return true
	case owned:
		s.epoch = epoch
	case s.stage == complete:
		s.stage, s.ready = foreign, make(chan struct{})
		for _, n := range s.nodes {
			for _, src := range n.Sources {
				src.Clear()
			}
		}
		s.calendar.ForgetStale()
	}
	return false
}

// take reads the shard's heads back, again and again until it succeeds or ctx ends.
func (s *shard) take(ctx context.Context) {
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		err := s.readBack(ctx)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			return
		}
		s.db.o.Logger.Error("the heads of a shard could not be read, trying again", "shard", s.id, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// index reads which nodes the shard has.
func (s *shard) index(ctx context.Context) error {
	return s.db.engine.ScanNodeSchemas(ctx, s.id, func(row engine.NodeSchema) error {
		if row.Forgotten {
			return nil
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.see(row)
		return nil
	})
}

func (s *shard) readBack(ctx context.Context) error {
	select {
	case <-s.indexed:
	case <-ctx.Done():
		return ctx.Err()
	}
	covered, err := s.db.engine.GetCovered(ctx, s.id)
	if err != nil && !errors.Is(err, muster.ErrNotFound) {
		return fmt.Errorf("series: read how far the log is covered: %w", err)
	}
	s.mu.Lock()
	s.covered = max(s.covered, covered.Minute)
	s.mu.Unlock()
	if err := s.readMarks(ctx); err != nil {
		return err
	}
	for _, key := range s.keys() {
		if err := s.readBlocks(ctx, key); err != nil {
			return err
		}
	}
	if err := s.readLog(ctx); err != nil {
		return err
	}
	s.hearing.Lock()
	defer s.hearing.Unlock()
	s.mu.Lock()
	now := s.db.o.Now()
	held := s.held
	for _, r := range held {
		s.unsaved = append(s.unsaved, s.apply(r.frames, r.minute, now)...)
	}
	s.held = nil
	s.stage = complete
	close(s.ready)
	s.mu.Unlock()
	for _, r := range held {
		s.db.o.Heard(s.id, r.frames)
	}
	s.db.o.Caught(s.id)
	return nil
}

// readMarks reads what is built and what waits for a rebuild.
func (s *shard) readMarks(ctx context.Context) error {
	now := s.db.o.Now()
	oldest := engine.HourOf(now.Add(-calendar.Keep).UnixMilli())
	under := func(do func()) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		do()
		return nil
	}
	hours := func(b engine.Built) error {
		return under(func() { s.calendar.LoadHour(int64(b.Hour), int64(b.Through)) })
	}
	days := func(b engine.Built) error {
		return under(func() { s.calendar.LoadDay(int64(b.Hour), int64(b.Through)) })
	}
	stale := func(d engine.Dirty) error {
		return under(func() { s.calendar.LoadStale(int64(d.Hour), int64(d.Arrival), now) })
	}
	err := s.db.engine.ScanBuilt(ctx, s.id, FiveMinutes, oldest, hours)
	if err == nil {
		err = s.db.engine.ScanBuilt(ctx, s.id, OneHour, oldest, days)
	}
	if err == nil {
		err = s.db.engine.ScanDirty(ctx, s.id, Minute(oldest)*60, stale)
	}
	if err != nil {
		return fmt.Errorf("series: read what is built and what waits for a rebuild: %w", err)
	}
	return nil
}

// readBlocks brings the open windows of a node back, and the instants of blocks that were sealed lately.
func (s *shard) readBlocks(ctx context.Context, key nodeKey) error {
	// A clock that was set back must not hide what is newer than it.
	now := max(s.db.o.Now().UnixMilli(), s.db.minute().Start())
	s.mu.Lock()
	sources := slices.Clone(s.nodes[key].Sources)
	s.mu.Unlock()
	for _, src := range sources {
		s.mu.Lock()
		last := src.SealedTo()
		if last > 0 {
			// What is older and not sealed, although newer things are, came late: its hour is rebuilt when more comes.
			src.Take(head.Interval{End: last + 1})
		}
		s.mu.Unlock()
		from := max(last-head.LongWindow, now-calendar.Keep.Milliseconds())
		for _, class := range s.db.o.Classes {
			r := engine.BlockRange{Class: class.Name, Account: key.account, Node: key.node, Source: src.Name, From: from, To: now + head.LongWindow}
			if err := s.readOpen(ctx, src, r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *shard) readOpen(ctx context.Context, src *head.Source, r engine.BlockRange) error {
	err := s.db.scanNewest(ctx, r, func(b *engine.Block, isSealed bool, length int64, body []byte) error {
		return s.restore(ctx, src, b, isSealed, head.Interval{Start: b.Start, End: b.Start + length}, body)
	})
	if err != nil {
		return fmt.Errorf("series: read open blocks: %w", err)
	}
	return nil
}

// restore takes a stored block back into memory: whole when it is open, only its instants when it is sealed.
func (s *shard) restore(ctx context.Context, src *head.Source, b *engine.Block, isSealed bool, t head.Interval, body []byte) error {
	r, err := s.db.codec.OpenBlock(body)
	if err != nil {
		return err
	}
	times := r.Times(nil)
	newest, err := s.db.newestOf(ctx, r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if newest != nil {
		src.Learn(newest)
	}
	now := s.db.o.Now()
	if isSealed {
		src.Sealed(t, times, now.UnixMilli())
		return nil
	}
	w := &head.Window{Start: b.Start, End: t.End, Receipt: b.Start / minuteMs, Stored: head.Version(b.Gen), Arrived: now}
	src.Restore(w, times, body)
	return nil
}

// newestOf gives the last row of a block as a frame of the last schema it names; nil when it is empty.
func (db *DB) newestOf(ctx context.Context, r *column.BlockReader) (*muster.Frame, error) {
	ids := r.Schemas()
	if r.Len() == 0 || len(ids) == 0 {
		return nil, nil
	}
	schema, err := db.schemas.Get(ctx, ids[len(ids)-1])
	if err != nil {
		return nil, err
	}
	_, last := r.Bounds()
	f := &muster.Frame{At: last, Schema: schema, Values: head.Absent(make([]float64, len(schema.Metrics)))}
	buffer := make([]float64, 0, r.Len())
	for i, ref := range r.Columns() {
		if ids[ref.Schema] != schema.ID || ref.Index >= len(f.Values) {
			continue
		}
		values, err := r.Decode(i, buffer[:0])
		if err != nil {
			return nil, err
		}
		f.Values[ref.Index] = values[len(values)-1]
	}
	return f, nil
}

// readLog lets the heads have the frames that came after what the stored blocks cover.
func (s *shard) readLog(ctx context.Context) error {
	from := s.covered + 1
	if s.covered == 0 {
		from = s.db.minute() - Minute(calendar.Keep/time.Minute)
	}
	// What hears the log saves what comes of it a moment after the heads were stored, and the process may
	// have ended in between: so it hears the last minutes before once more.
	const again = 2
	return s.readSegments(ctx, from-again, from, endOfTime, 0) // whatever the clock says now
}

// catchUp reads what other servers stored, before anything is said to be complete.
func (s *shard) catchUp(ctx context.Context) error {
	if !s.db.o.Shared {
		return nil
	}
	return s.readSegments(ctx, s.covered+1, s.covered+1, s.db.minute(), s.db.gateway)
}

// readSegments hears what the log got in the minutes first..through, but for that of one gateway; the heads have it from the minute from on.
func (s *shard) readSegments(ctx context.Context, first, from, through Minute, but uint64) error {
	err := s.db.engine.ScanSegments(ctx, s.id, first, through, func(key engine.SegmentKey, data []byte) error {
		if key.Gateway == but {
			return nil
		}
		frames, err := s.db.readSegment(ctx, key, data)
		if err != nil || len(frames) == 0 {
			return err
		}
		if key.Minute >= from {
			s.mu.Lock()
			s.unsaved = append(s.unsaved, s.apply(frames, key.Minute, s.db.o.Now())...)
			s.mu.Unlock()
		}
		s.db.o.Heard(s.id, frames)
		return nil
	})
	if err != nil {
		return fmt.Errorf("series: read the log: %w", err)
	}
	return nil
}

// readSegment gives the frames of a segment. A damaged one is told, counted and left out: what was
// acknowledged was whole when it was written.
func (db *DB) readSegment(ctx context.Context, key engine.SegmentKey, data []byte) (frames []*muster.Frame, err error) {
	find := func(id muster.SchemaID) (*muster.Schema, error) { return db.schemas.Get(ctx, id) }
	err = db.codec.ReadSegment(data, find, func(f *muster.Frame) error {
		frames = append(frames, f)
		return nil
	})
	if errors.Is(err, muster.ErrInvalid) || errors.Is(err, muster.ErrNotFound) {
		db.tell.corrupt.Inc()
		db.o.Logger.Error("a segment of the log can't be read and is left out", "shard", key.Shard, "minute", time.UnixMilli(key.Minute.Start()).UTC(), "bytes", len(data), "error", err)
		return nil, nil
	}
	return frames, err
}

func (db *DB) corruptBlock(b *engine.Block, err error) {
	db.tell.corrupt.Inc()
	db.o.Logger.Error("a block can't be read and is left out", "node", b.Node, "source", b.Source, "start", time.UnixMilli(b.Start).UTC(), "error", err)
}
