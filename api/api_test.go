package api

import (
	"testing"
	"time"
)

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "5m": 5 * time.Minute, "2h": 2 * time.Hour, "7d": 7 * 24 * time.Hour, "250ms": 250 * time.Millisecond,
		"1h30m": 90 * time.Minute, "-1h": -time.Hour, "1.5h": 90 * time.Minute, "0": 0, "0s": 0, "1095d": 1095 * 24 * time.Hour,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-", "1", "h", "1x", "--1h", "1h ", " 1h", "1h-1m", "1..5h", "99999999d", "1e9d", "9223372036854775808ms", "106751d106751d"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", 10 * time.Second: "10s", 90 * time.Minute: "90m", 48 * time.Hour: "2d",
		1500 * time.Millisecond: "1500ms", -5 * time.Minute: "-5m", time.Nanosecond: "0s"} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%v is written %s, want %s", d, got, want)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"30s", "1h30m", "-7d", "1.5h", "250ms", "99999d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if err != nil {
			return
		}
		d = d.Truncate(time.Millisecond)
		if again, err := ParseDuration(FormatDuration(d)); err != nil || again != d {
			t.Errorf("%q is %v, written %q, read back %v, %v", s, d, FormatDuration(d), again, err)
		}
	})
}

func TestTimes(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"now": now, "-1h": now.Add(-time.Hour), "+1h": now.Add(time.Hour), "-7d": now.AddDate(0, 0, -7), "2026-01-30T12:00:00Z": now.AddDate(0, 0, -1),
		"2026-01-31T14:00:00+02:00": now,
	} {
		if got, err := ParseTime(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "yesterday", "1h", "2026-01-31", "-", "+-1h5"} {
		if got, err := ParseTime(text, now); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func TestProblemInOneLine(t *testing.T) {
	p := &Problem{Title: "Invalid", Detail: "The input is not valid.", Errors: []Fault{{"body.name", "too long"}, {"", "odd"}}}
	if got := p.Error(); got != "The input is not valid: body.name: too long; odd" {
		t.Error(got)
	}
	if got := (&Problem{Title: "Not found"}).Error(); got != "Not found" {
		t.Error(got)
	}
}
