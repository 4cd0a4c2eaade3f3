// Package calendar gives a shard's memory of which hours and days of rollups are built, which are to be
// built and when, and which wait for a rebuild because late frames came in. It is pure: the clock is
// told, nothing is stored, who locks is the caller.
//
// Hours count from 1970, a day is named by its first hour (UTC), minutes are those of the log.
package calendar

import (
	"maps"
	"slices"
	"time"
)

const (
	// Keep is how far back marks are looked at: longer than data may be late, and than the log is kept.
	Keep = 96 * time.Hour
	// buildAfter is when an hour is built at the latest, although frames still come in.
	buildAfter = 3 * time.Hour
	// slowestRebuild bounds the growing pause between rebuilds of one hour.
	slowestRebuild = 12 * time.Hour
	oneDay         = 24 * time.Hour
)

// Stale says that an hour has frames which its blocks or its rollups lack.
type Stale struct {
	First, Last int64     // minutes of the log's segments that hold them
	Since       time.Time // when the last of them came
}

// Options are the times that a calendar goes by.
type Options struct {
	Opened       time.Time     // since when this process looks: agents may still send again what they had
	Grace        time.Duration // how long after an hour's end stragglers come
	RebuildAfter time.Duration // how long an hour must be free of late frames
	Turn         time.Duration // added to every hour, so that shards do not come all at once
}

// Calendar is the memory of one shard.
type Calendar struct {
	o       Options
	built   map[int64]int64 // hours, and through which minute of the log
	days    map[int64]int64
	stale   map[int64]*Stale
	touched map[int64]time.Time // when frames of hours that are not built came in last
	rebuilt map[int64]int       // how often an hour was rebuilt
}

// New makes a calendar that knows nothing.
func New(o Options) *Calendar {
	return &Calendar{o: o, built: map[int64]int64{}, days: map[int64]int64{}, stale: map[int64]*Stale{}, touched: map[int64]time.Time{}, rebuilt: map[int64]int{}}
}

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

func dayOf(hour int64) int64 { return hour - hour%24 }

// Oldest gives the oldest hour that is looked at; before it everything counts as built.
func Oldest(now time.Time) int64 { return hourOf(now.Add(oneDay - Keep)) }

// LoadHour and LoadDay take what the store knows.
func (c *Calendar) LoadHour(hour, through int64) { c.built[hour] = max(c.built[hour], through) }

// LoadDay takes what the store knows.
func (c *Calendar) LoadDay(day, through int64) { c.days[day] = max(c.days[day], through) }

// LoadStale takes a mark of the store, unless the hour was built with it.
func (c *Calendar) LoadStale(hour, minute int64, now time.Time) {
	if through, ok := c.built[hour]; !ok || minute > through {
		c.MarkStale(hour, minute, now)
	}
}

// Built says whether an hour's rollups are built.
func (c *Calendar) Built(hour int64) bool {
	_, ok := c.built[hour]
	return ok
}

// Touch notes that frames of an hour came in.
func (c *Calendar) Touch(hour int64, now time.Time) { c.touched[hour] = now }

// MarkStale notes that an hour lacks frames which the log got in that minute; false when it is known already.
func (c *Calendar) MarkStale(hour, minute int64, now time.Time) bool {
	s := c.stale[hour]
	if s == nil {
		c.stale[hour] = &Stale{First: minute, Last: minute, Since: now}
		return true
	}
	s.Since = now
	fresh := minute > s.Last
	s.First, s.Last = min(s.First, minute), max(s.Last, minute)
	return fresh
}

// Stale gives what an hour lacks; zero when nothing.
func (c *Calendar) Stale(hour int64) Stale {
	if s := c.stale[hour]; s != nil {
		return *s
	}
	return Stale{}
}

// Waiting gives the number of hours that wait for a rebuild, and the oldest minute of the log that they need (0 when none).
func (c *Calendar) Waiting() (hours int, minute int64) {
	for _, s := range c.stale {
		if minute == 0 || s.First < minute {
			minute = s.First
		}
	}
	return len(c.stale), minute
}

// ForgetStale forgets all that waits; it stays in the store for whoever owns the shard next.
func (c *Calendar) ForgetStale() { clear(c.stale) }

// Due lists the hours to be built or built again, oldest first. first is the hour of the oldest frame there is.
func (c *Calendar) Due(now time.Time, first int64) []int64 {
	due := map[int64]bool{}
	for hour := max(first, Oldest(now)); hour < hourOf(now); hour++ {
		if !c.Built(hour) && c.settled(hour, now) {
			due[hour] = true
		}
	}
	for hour, s := range c.stale {
		if now.Sub(s.Since) >= c.pause(hour) {
			due[hour] = true
		}
	}
	return slices.Sorted(maps.Keys(due))
}

// settled says whether an hour is over and no frames of it come in any more.
func (c *Calendar) settled(hour int64, now time.Time) bool {
	end := time.Unix((hour+1)*3600, 0)
	if now.Sub(end) >= buildAfter && now.Sub(c.o.Opened) >= c.o.RebuildAfter {
		return true
	}
	quiet := end.Add(c.o.Grace)
	for _, t := range []time.Time{c.o.Opened, c.touched[hour], end} {
		if t = t.Add(c.o.RebuildAfter); t.After(quiet) {
			quiet = t
		}
	}
	return !now.Before(quiet.Add(c.o.Turn))
}

// pause gives how long an hour must be free of late frames: three times as long the second time, then doubling.
func (c *Calendar) pause(hour int64) time.Duration {
	pause := c.o.RebuildAfter
	if n := c.rebuilt[hour]; n > 0 {
		pause = min(3*pause<<min(n-1, 16), max(slowestRebuild, pause))
	}
	return pause
}

// Merged notes that late frames through a minute are in blocks; was is what Stale gave before.
func (c *Calendar) Merged(hour, through int64, was Stale) {
	s := c.stale[hour]
	if s == nil || was.First == 0 {
		return
	}
	c.rebuilt[hour]++
	if s.Last <= through {
		delete(c.stale, hour)
	} else {
		s.First = through + 1
	}
}

// Done notes that an hour's rollups are built through a minute of the log; its day is then to be built once more.
func (c *Calendar) Done(hour, through int64) {
	c.built[hour] = through
	delete(c.touched, hour)
	delete(c.days, dayOf(hour))
}

// DueDays lists the days that are over, of which every hour is built, and that are not built since.
func (c *Calendar) DueDays(now time.Time, first int64) (due []int64) {
	current, oldest := dayOf(hourOf(now)), dayOf(Oldest(now))
	seen := map[int64]bool{}
	for hour := range c.built {
		d := dayOf(hour)
		if _, built := c.days[d]; built || seen[d] || d < oldest || d >= current {
			continue
		}
		seen[d] = true
		if c.whole(d, first) {
			due = append(due, d)
		}
	}
	slices.Sort(due)
	return due
}

// whole says whether every hour of a day that can have data is built and none waits for a rebuild.
func (c *Calendar) whole(d, first int64) bool {
	for hour := max(d, first); hour < d+24; hour++ {
		if !c.Built(hour) || c.stale[hour] != nil {
			return false
		}
	}
	return true
}

// DayDone notes that a day is built.
func (c *Calendar) DayDone(d, through int64) { c.days[d] = through }

// Tidy forgets what is too old to matter.
func (c *Calendar) Tidy(now time.Time) {
	oldest := hourOf(now.Add(-Keep))
	old := func(hour, _ int64) bool { return hour < oldest-24 }
	maps.DeleteFunc(c.built, old)
	maps.DeleteFunc(c.days, old)
	maps.DeleteFunc(c.touched, func(hour int64, _ time.Time) bool { return hour < oldest })
	maps.DeleteFunc(c.rebuilt, func(hour int64, _ int) bool { return hour < oldest })
	maps.DeleteFunc(c.stale, func(hour int64, s *Stale) bool { return hour < oldest && now.Sub(s.Since) > Keep })
}

// Marks is what can be read from rollups, as it was at one instant.
type Marks struct {
	oldest      int64
	hours, days map[int64]bool
}

// Marks tells which hours and days rollups hold completely.
func (c *Calendar) Marks(now time.Time, first int64) Marks {
	m := Marks{oldest: Oldest(now), hours: make(map[int64]bool, len(c.built)), days: map[int64]bool{}}
	for hour := range c.built {
		m.hours[hour] = c.stale[hour] == nil
	}
	for d := range c.days {
		m.days[d] = c.whole(d, first)
	}
	return m
}

// Hour says whether an hour can be read from 5-minute rollups.
func (m Marks) Hour(hour int64) bool { return hour < m.oldest || m.hours[hour] }

// Day says whether a day, named by its first hour, can be read from 1-hour rollups.
func (m Marks) Day(day int64) bool { return day+24 <= m.oldest || m.days[day] }
