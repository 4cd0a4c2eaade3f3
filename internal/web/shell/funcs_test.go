package shell

import (
	"math"
	"strings"
	"testing"
	"time"

	"muster"
)

func TestEveryStateHasItsOwnShapeAndWord(t *testing.T) {
	seen := map[string]string{}
	for _, s := range []muster.NodeState{muster.Up, muster.Down, muster.Stopped, muster.Terminated, muster.Unknown} {
		mark := string(stateMark(s))
		if !strings.Contains(mark, `aria-label="`+string(s)+`"`) {
			t.Errorf("%s has no word: %s", s, mark)
		}
		_, shape, _ := strings.Cut(mark, "</title>")
		if other := seen[shape]; other != "" {
			t.Errorf("%s looks like %s", s, other)
		}
		seen[shape] = string(s)
	}
	if got := string(stateMark(`"><script>`)); strings.Contains(got, "<script>") {
		t.Error(got)
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Percent(0.384), "38 %"}, {Percent(math.NaN()), "—"}, {Percent(math.Inf(1)), "—"},
		{Bytes(0), "0 B"}, {Bytes(999), "999 B"}, {Bytes(1024), "1 KiB"}, {Bytes(34359738368), "32 GiB"}, {Bytes(8.1e12), "7.4 TiB"}, {Bytes(math.NaN()), "—"},
		{Mbit(125000), "1.0"}, {Mbit(math.NaN()), "—"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestMeter(t *testing.T) {
	for _, c := range []struct {
		share, warn, crit float64
		want              []string
	}{
		{0.5, 0, 0, []string{`class="meter"`, `width="21.0"`, "50%"}},
		{0.99, 0, 0, []string{`class="meter"`}}, // without a rule nothing is coloured, however full
		{0.86, 0.85, 0.9, []string{`class="meter warn"`}},
		{0.9, 0.85, 0.9, []string{`class="meter crit"`}},
		{1.7, 0, 0, []string{"100%", `width="42.0"`}},
		{math.NaN(), 0.1, 0.1, []string{`class="meter na"`, "—"}},
	} {
		got := string(meter(c.share, c.warn, c.crit))
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%v: no %s in %s", c.share, want, got)
			}
		}
		if strings.Contains(got, "style") {
			t.Error("the policy forbids style attributes")
		}
	}
}

func TestSpark(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		values []float32
		want   string
	}{
		{nil, ""}, {[]float32{1}, ""},
		{[]float32{0, 10}, "M0 16.5L72 1.5"},
		{[]float32{0, 0}, "M0 16.5L72 16.5"},
		{[]float32{10, nan, 10, 5}, "M0 1.5M48 1.5L72 9"},
	} {
		got := string(Spark(c.values))
		if c.want == "" && strings.Contains(got, "path") || c.want != "" && !strings.Contains(got, `d="`+c.want+`"`) {
			t.Errorf("%v: got %s", c.values, got)
		}
	}
}

func TestTagsAreEscaped(t *testing.T) {
	if got := string(tagMark("env=<b>")); got != `<span class="tag"><i>env=</i>&lt;b&gt;</span>` {
		t.Error(got)
	}
	if got := string(tagMark("web")); got != `<span class="tag">web</span>` {
		t.Error(got)
	}
}

func TestTimes(t *testing.T) {
	now := time.Date(2026, 11, 24, 15, 0, 0, 0, time.UTC)
	for _, c := range []struct{ got, want string }{
		{string(agoMark(now.Add(-4*time.Minute), now)), `<time datetime="2026-11-24T14:56:00Z" data-ago>4 min</time>`},
		{string(agoMark(time.Time{}, now)), `<span class="dim2">—</span>`},
		{string(clockMark(now.Add(-time.Hour), now)), `<time datetime="2026-11-24T14:00:00Z" data-clock>14:00</time>`},
		{string(clockMark(now.Add(-30*time.Hour), now)), `<time datetime="2026-11-23T09:00:00Z" data-clock>23 Nov</time>`},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}
