package calendar_test

import (
	"fmt"
	"testing"
	"time"

	"muster/internal/series/calendar"
)

var midnight = time.Date(2026, 7, 2, 0, 0, 0, 0, time.UTC)

func hour(t time.Time) int64 { return t.Unix() / 3600 }

func opened(ago time.Duration) *calendar.Calendar {
	return calendar.New(calendar.Options{Opened: midnight.Add(-ago), Grace: 90 * time.Second, RebuildAfter: 10 * time.Minute})
}

func due(c *calendar.Calendar, now time.Time, first int64) string {
	return fmt.Sprint(c.Due(now, first))
}

func TestAnHourIsBuiltWhenItIsQuiet(t *testing.T) {
	c := opened(24 * time.Hour)
	last := hour(midnight) - 1
	want := func(minutes int, list ...int64) {
		t.Helper()
		if got := due(c, midnight.Add(time.Duration(minutes)*time.Minute), last); got != fmt.Sprint(list) {
			t.Errorf("after %d minutes: %s, want %v", minutes, got, list)
		}
	}
	want(9)
	want(10, last)
	c.Touch(last, midnight.Add(8*time.Minute))
	want(12)
	want(18, last)
	c.Touch(last, midnight.Add(175*time.Minute))
	want(181, last, last+1, last+2) // at the latest
	c.Done(last, 77)
	want(18)
}

func TestAfterAStartAgentsMaySendAgain(t *testing.T) {
	c := opened(-time.Hour)
	first := hour(midnight) - 5
	if got := due(c, midnight.Add(65*time.Minute), first); got != "[]" {
		t.Errorf("5 minutes after the start: %s", got)
	}
	if got := c.Due(midnight.Add(71*time.Minute), first); len(got) != 6 {
		t.Errorf("11 minutes after the start: %v, want six hours", got)
	}
}

func TestRebuildsWaitLongerEachTime(t *testing.T) {
	c := opened(24 * time.Hour)
	h, now := hour(midnight)-10, midnight
	c.LoadHour(h, 5)
	for _, pause := range []int{10, 30, 60, 120, 240, 480, 720, 720} {
		c.MarkStale(h, now.Unix()/60, now)
		if got := due(c, now.Add(time.Duration(pause)*time.Minute-time.Second), hour(now)+99); got != "[]" {
			t.Errorf("a second before %d minutes: %s", pause, got)
		}
		now = now.Add(time.Duration(pause) * time.Minute)
		if got := due(c, now, hour(now)+99); got != fmt.Sprint([]int64{h}) {
			t.Errorf("after %d minutes: %s", pause, got)
		}
		c.Merged(h, now.Unix()/60, c.Stale(h))
		c.Done(h, now.Unix()/60)
	}
}

func TestWhatComesDuringARebuildStays(t *testing.T) {
	c := opened(24 * time.Hour)
	c.MarkStale(7, 100, midnight)
	was := c.Stale(7)
	if c.MarkStale(7, 100, midnight) || !c.MarkStale(7, 103, midnight) {
		t.Error("a mark of a known minute is told as new, or the other way round")
	}
	c.Merged(7, 101, was)
	if s := c.Stale(7); s.First != 102 || s.Last != 103 {
		t.Errorf("%+v, want minutes 102 to 103", s)
	}
	if n, minute := c.Waiting(); n != 1 || minute != 102 {
		t.Errorf("waiting: %d hours from %d", n, minute)
	}
}

func TestStoredMarks(t *testing.T) {
	c := opened(24 * time.Hour)
	c.LoadHour(7, 100)
	c.LoadStale(7, 100, midnight) // was built with it
	c.LoadStale(7, 101, midnight)
	c.LoadStale(8, 5, midnight)
	if s := c.Stale(7); s.First != 101 {
		t.Errorf("hour 7: %+v", s)
	}
	if n, _ := c.Waiting(); n != 2 {
		t.Errorf("%d hours wait, want 2", n)
	}
	c.ForgetStale()
	if n, _ := c.Waiting(); n != 0 {
		t.Errorf("%d hours wait after all is forgotten", n)
	}
}

func TestDays(t *testing.T) {
	c := opened(48 * time.Hour)
	d := hour(midnight) - 24
	first := d + 3
	now := midnight.Add(time.Hour)
	for h := first; h < d+24; h++ {
		if got := c.DueDays(now, first); len(got) != 0 {
			t.Fatalf("day is due before hour %d", h-d)
		}
		c.Done(h, 9)
	}
	if got := c.DueDays(now, first); fmt.Sprint(got) != fmt.Sprint([]int64{d}) {
		t.Fatalf("days due: %v", got)
	}
	c.DayDone(d, 9)
	if m := c.Marks(now, first); !m.Day(d) || !m.Hour(d+5) || m.Hour(d+25) {
		t.Error("marks: the day and its hours are to be read from rollups, the next day is not")
	}
	c.MarkStale(d+5, 10, now)
	if m := c.Marks(now, first); m.Day(d) || m.Hour(d+5) || !m.Hour(d+6) {
		t.Error("marks: an hour that waits for a rebuild, and its day, are not complete")
	}
	c.Merged(d+5, 10, c.Stale(d+5))
	c.Done(d+5, 10)
	if got := c.DueDays(now, first); len(got) != 1 {
		t.Errorf("the day of a rebuilt hour is to be built once more: %v", got)
	}
	if m := c.Marks(now, first); !m.Hour(d - 1000) {
		t.Error("marks: everything long ago counts as built")
	}
	c.Tidy(now.Add(30 * 24 * time.Hour))
	if c.Built(d + 5) {
		t.Error("an hour of last month is still remembered")
	}
}
