package series

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

const (
	// keepMarks is how far back marks are looked at: longer than data may be late, and than the log is kept.
	keepMarks = 96 * time.Hour
	// buildAfter is when an hour's tiles are built at the latest, although frames still come in.
	buildAfter = 3 * time.Hour
	// slowestRebuild bounds the growing pause between rebuilds of one hour.
	slowestRebuild = 12 * time.Hour
)

// dueHours lists the hours whose tiles are to be built or built again, oldest first.
func (s *shard) dueHours(now time.Time) []Hour {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := map[Hour]bool{}
	first, ok := s.firstHour()
	if ok {
		oldest := hourOf(now.Add(-keepMarks + day).UnixMilli())
		for hour := max(first, oldest); hour < hourOf(now.UnixMilli()); hour++ {
			if _, built := s.built[hour]; !built && s.settled(hour, now) {
				due[hour] = true
			}
		}
	}
	for hour, stale := range s.dirty {
		if now.Sub(stale.since) >= s.rebuildPause(hour) {
			due[hour] = true
		}
	}
	return slices.Sorted(maps.Keys(due))
}

// settled says whether an hour is over and no frames of it come in any more.
func (s *shard) settled(hour Hour, now time.Time) bool {
	end := time.UnixMilli((hour + 1).start())
	if now.Sub(end) >= buildAfter && now.Sub(s.db.opened) >= s.db.o.RebuildAfter {
		return true
	}
	quiet := end.Add(s.db.o.Grace)
	for _, t := range []time.Time{s.db.opened, s.touched[hour], end} {
		if t = t.Add(s.db.o.RebuildAfter); t.After(quiet) {
			quiet = t
		}
	}
	// The shards take turns rather than all coming at once.
	turn := s.db.o.SealSpread * time.Duration(s.id) / time.Duration(len(s.db.shards))
	return !now.Before(quiet.Add(turn))
}

func (s *shard) rebuildPause(hour Hour) time.Duration {
	pause := s.db.o.RebuildAfter
	if n := s.rebuilt[hour]; n > 0 {
		pause = min(3*pause<<min(n-1, 16), max(slowestRebuild, pause))
	}
	return pause
}

// firstHour gives the hour of the oldest frame that is known of.
func (s *shard) firstHour() (first Hour, ok bool) {
	for _, n := range s.nodes {
		for _, src := range n.sources {
			for _, sc := range src.schemas {
				if h := hourOf(sc.first); !ok || h < first {
					first, ok = h, true
				}
			}
		}
	}
	return first, ok
}

// buildHours builds what is due. It returns the first error; the others are tried again as well.
func (s *shard) buildHours(ctx context.Context, g *gatherer, epoch uint64, now time.Time) error {
	for _, hour := range s.dueHours(now) {
		if err := s.buildHour(ctx, g, epoch, hour); err != nil {
			return err
		}
	}
	for _, d := range s.dueDays(now) {
		if err := s.buildDay(ctx, epoch, d); err != nil {
			return err
		}
	}
	return nil
}

// buildHour unites late frames with the hour's blocks, then builds its tiles when the hour is over.
func (s *shard) buildHour(ctx context.Context, g *gatherer, epoch uint64, hour Hour) error {
	s.mu.Lock()
	through := s.applied()
	var stale staleHour
	if d := s.dirty[hour]; d != nil {
		stale = *d
	}
	s.mu.Unlock()
	if stale.first != 0 {
		if err := s.mergeLate(ctx, g, epoch, hour, stale.first, min(stale.last, through)); err != nil {
			return fmt.Errorf("series: rebuild hour: %w", err)
		}
	}
	over := hour < hourOf(s.db.o.Now().UnixMilli())
	if over {
		if err := s.buildTiles(ctx, g, Gen{epoch, uint32(through)}, hour); err != nil {
			return fmt.Errorf("series: build the tiles of an hour: %w", err)
		}
		if err := s.db.engine.PutBuilt(ctx, Built{s.id, FiveMinutes, hour, through}); err != nil {
			return fmt.Errorf("series: store that an hour is built: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if over {
		s.built[hour] = through
		delete(s.touched, hour)
	}
	if d := s.dirty[hour]; d != nil && stale.first != 0 {
		s.rebuilt[hour]++
		if d.last <= through {
			delete(s.dirty, hour)
		} else {
			d.first = through + 1
		}
	}
	// A day that holds the hour is to be built once more.
	delete(s.days, dayOf(hour))
	return nil
}

func dayOf(hour Hour) Hour { return hour - hour%24 }

// dueDays lists the days whose hours are all built and that are not built since.
func (s *shard) dueDays(now time.Time) (due []Hour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := dayOf(hourOf(now.UnixMilli()))
	oldest := dayOf(hourOf(now.Add(-keepMarks + day).UnixMilli()))
	seen := map[Hour]bool{}
	for hour := range s.built {
		d := dayOf(hour)
		if _, built := s.days[d]; built || seen[d] || d < oldest || d >= current {
			continue
		}
		seen[d] = true
		if s.allBuilt(d) {
			due = append(due, d)
		}
	}
	slices.Sort(due)
	return due
}

// allBuilt says whether every hour of the day that can have data is built and none waits for a rebuild.
func (s *shard) allBuilt(d Hour) bool {
	first, _ := s.firstHour()
	for hour := max(d, first); hour < d+24; hour++ {
		if _, built := s.built[hour]; !built || s.dirty[hour] != nil {
			return false
		}
	}
	return true
}

// tidyMarks forgets what is too old to matter.
func (s *shard) tidyMarks(now time.Time) {
	oldest := hourOf(now.Add(-keepMarks).UnixMilli())
	s.mu.Lock()
	defer s.mu.Unlock()
	old := func(h Hour, _ Minute) bool { return h < oldest-24 }
	maps.DeleteFunc(s.built, old)
	maps.DeleteFunc(s.days, old)
	maps.DeleteFunc(s.touched, func(h Hour, _ time.Time) bool { return h < oldest })
	maps.DeleteFunc(s.rebuilt, func(h Hour, _ int) bool { return h < oldest })
}
