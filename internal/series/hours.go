package series

import (
	"context"
	"fmt"
	"math"
	"time"

	"muster/internal/series/engine"
)

// firstHour gives the hour of the oldest frame that is known of. It is called with mu held.
func (s *shard) firstHour() int64 {
	first := int64(math.MaxInt64)
	for _, n := range s.nodes {
		for _, src := range n.Sources {
			for _, sc := range src.Schemas {
				first = min(first, int64(engine.HourOf(sc.First)))
			}
		}
	}
	return first
}

// buildHours builds the tiles that are due. It returns the first error; what is left is tried again.
func (s *shard) buildHours(ctx context.Context, g *gatherer, epoch uint64, now time.Time) error {
	s.mu.Lock()
	due := s.calendar.Due(now, s.firstHour())
	s.mu.Unlock()
	for _, hour := range due {
		if err := s.buildHour(ctx, g, epoch, Hour(hour)); err != nil {
			return err
		}
	}
	s.mu.Lock()
	days := s.calendar.DueDays(now, s.firstHour())
	s.mu.Unlock()
	for _, d := range days {
		if err := s.buildDay(ctx, epoch, Hour(d)); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calendar.Tidy(now)
	return nil
}

// buildHour unites late frames with the hour's blocks, then builds its tiles when the hour is over.
func (s *shard) buildHour(ctx context.Context, g *gatherer, epoch uint64, hour Hour) error {
	s.mu.Lock()
	through := s.applied()
	stale := s.calendar.Stale(int64(hour))
	s.mu.Unlock()
	if stale.First != 0 {
		if err := s.mergeLate(ctx, g, epoch, hour, Minute(stale.First), min(Minute(stale.Last), through)); err != nil {
			return fmt.Errorf("series: rebuild hour: %w", err)
		}
	}
	over := hour < engine.HourOf(s.db.o.Now().UnixMilli())
	if over {
		if err := s.buildTiles(ctx, g, engine.Gen{Epoch: epoch, Frames: uint32(through)}, hour); err != nil {
			return fmt.Errorf("series: build the tiles of an hour: %w", err)
		}
		if err := s.db.engine.PutBuilt(ctx, engine.Built{Shard: s.id, Res: FiveMinutes, Hour: hour, Through: through}); err != nil {
			return fmt.Errorf("series: store that an hour is built: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if over {
		s.calendar.Done(int64(hour), int64(through))
	}
	s.calendar.Merged(int64(hour), int64(through), stale)
	return nil
}
