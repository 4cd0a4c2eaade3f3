package calendar

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"muster"
)

var rewrite = flag.Bool("rewrite", false, "write the answers into testdata")

func when(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func length(t testing.TB, s string) time.Duration {
	t.Helper()
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(n) * 24 * time.Hour
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func unless(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

func show(at time.Time) string { return at.Format("Mon 2006-01-02T15:04:05-07:00") }

// answer says what a question of the script gives, a line each.
func answer(t testing.TB, times **Times, words []string) []string {
	t.Helper()
	if words[0] == "times" {
		parsed, err := Parse(when(t, words[1]), length(t, words[2]), unless(words[3]), unless(words[4]))
		if *times = parsed; err != nil {
			if !errors.Is(err, muster.ErrInvalid) {
				t.Errorf("%v: the error %v is not ErrInvalid", words, err)
			}
			return []string{err.Error()}
		}
		if parsed.Rule() != "" {
			return []string{parsed.Rule()}
		}
		return nil
	}
	at := when(t, words[1])
	switch words[0] {
	case "at":
		if until, ok := (*times).Active(at); ok {
			return []string{"until " + show(until)}
		}
		return []string{"no"}
	case "over":
		return []string{fmt.Sprint((*times).Over(at))}
	case "next":
		n, _ := strconv.Atoi(words[2])
		var out []string
		for _, span := range (*times).Next(at, n) {
			out = append(out, fmt.Sprintf("%s to %s, %s", show(span.From), show(span.To), span.To.Sub(span.From)))
		}
		return out
	}
	t.Fatalf("%v: no such question", words)
	return nil
}

func TestScript(t *testing.T) {
	const file = "testdata/times.txt"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	var times *Times
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "  ") {
			continue
		}
		fmt.Fprintln(&out, line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		for _, said := range answer(t, &times, strings.Fields(line)) {
			fmt.Fprintln(&out, "  "+said)
		}
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if out.String() != string(text) {
		t.Errorf("the answers are not those of %s; look at the difference after -rewrite:\n%s", file, out.String())
	}
}

// TestTimesAgree asks in random order what a fresh calendar says: what was worked out before must not matter.
func TestTimesAgree(t *testing.T) {
	rules := []string{"FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,FR", "FREQ=MONTHLY;BYMONTHDAY=-1", "FREQ=DAILY;COUNT=40", "FREQ=YEARLY;BYMONTH=3,10;BYDAY=-1SU"}
	zones := []string{"", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"}
	rapid.Check(t, func(t *rapid.T) {
		from := time.Unix(rapid.Int64Range(1_600_000_000, 1_900_000_000).Draw(t, "from"), 0)
		length := time.Duration(rapid.Int64Range(1, 23*3600).Draw(t, "length")) * time.Second
		rule, zone := rapid.SampledFrom(rules).Draw(t, "rule"), rapid.SampledFrom(zones).Draw(t, "zone")
		shared, err := Parse(from, length, rule, zone)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			at := from.Add(time.Duration(rapid.Int64Range(-100, 2000).Draw(t, "hours")) * time.Hour)
			fresh, _ := Parse(from, length, rule, zone)
			until, ok := shared.Active(at)
			until2, ok2 := fresh.Active(at)
			if ok != ok2 || !until.Equal(until2) {
				t.Fatalf("at %s: %v until %s, a fresh one says %v until %s", at, ok, until, ok2, until2)
			}
			if !ok {
				continue
			}
			if !until.After(at) {
				t.Fatalf("at %s it lasts until %s", at, until)
			}
			if again, still := fresh.Active(until); still && until.Sub(at) < horizon/2 {
				t.Fatalf("it ended at %s, and lasts then until %s", until, again)
			}
			if _, still := fresh.Active(until.Add(-time.Nanosecond)); !still {
				t.Fatalf("it lasts until %s, but not just before", until)
			}
		}
	})
}

func TestManyAskAtOnce(t *testing.T) {
	times, err := Parse(when(t, "2026-03-14T22:00:00Z"), time.Hour, "FREQ=DAILY", "Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 50 {
				at := when(t, "2026-03-14T22:30:00Z").AddDate(i%3, n%5, 0)
				times.Active(at)
				times.Next(at, 3)
				times.Over(at)
			}
		})
	}
	all.Wait()
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"FREQ=DAILY", "FREQ=YEARLY;BYDAY=53MO", "FREQ=MONTHLY;BYDAY=-5SU;BYSETPOS=-1", "FREQ=WEEKLY;INTERVAL=999;WKST=SU;BYMONTH=2;BYMONTHDAY=29", "FREQ=DAILY;UNTIL=20270101T000000Z", "RRULE:FREQ=DAILY;COUNT=10000;"} {
		f.Add(int64(1_773_000_000), int64(3600), s, "Europe/Berlin")
	}
	f.Fuzz(func(t *testing.T, from, seconds int64, rule, zone string) {
		times, err := Parse(time.Unix(from, 0), time.Duration(seconds)*time.Second, rule, zone)
		if err != nil {
			if !errors.Is(err, muster.ErrInvalid) {
				t.Fatalf("the error is %v", err)
			}
			return
		}
		at := time.Unix(from, 0)
		times.Over(at)
		if until, ok := times.Active(at); ok && !until.After(at) {
			t.Fatalf("at %s it lasts until %s", at, until)
		}
		for _, span := range times.Next(at, 10) {
			if !span.To.After(span.From) || !span.To.After(at) {
				t.Fatalf("a time from %s to %s after %s", span.From, span.To, at)
			}
		}
		if again, err := Parse(time.Unix(from, 0), time.Duration(seconds)*time.Second, times.Rule(), zone); err != nil || again.Rule() != times.Rule() {
			t.Fatalf("its own spelling %q gives %v", times.Rule(), err)
		}
	})
}

func BenchmarkActive(b *testing.B) {
	times, err := Parse(when(b, "2020-03-14T22:00:00Z"), 8*time.Hour, "FREQ=DAILY", "Europe/Berlin")
	if err != nil {
		b.Fatal(err)
	}
	at := when(b, "2026-03-14T23:00:00Z")
	b.ReportAllocs()
	for b.Loop() {
		times.Active(at)
	}
}
