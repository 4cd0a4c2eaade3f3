package rules_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/alarm/rules"
	"muster/internal/judge"
)

func metric(name string, attrs ...string) *muster.Metric {
	m := &muster.Metric{Name: name, Unit: "1", Kind: muster.Gauge}
	for i := 0; i < len(attrs); i += 2 {
		m.Attrs = append(m.Attrs, muster.Attr{Key: attrs[i], Value: attrs[i+1]})
	}
	return m
}

func TestHits(t *testing.T) {
	id := muster.NewCheckID()
	for _, c := range []struct {
		alarm  muster.Alarm
		metric *muster.Metric
		want   bool
	}{
		{muster.Alarm{Metric: "a"}, metric("a"), true},
		{muster.Alarm{Metric: "a"}, metric("a", "k", "v"), true},
		{muster.Alarm{Metric: "a"}, metric("b"), false},
		{muster.Alarm{}, metric(""), false},
		{muster.Alarm{Metric: "a", Attrs: map[string]string{"k": "v"}}, metric("a"), false},
		{muster.Alarm{Metric: "a", Attrs: map[string]string{"k": "v"}}, metric("a", "k", "v"), true},
		{muster.Alarm{Metric: "a", Attrs: map[string]string{"k": "/var*"}}, metric("a", "k", "/var/lib"), true},
		{muster.Alarm{Metric: "a", Attrs: map[string]string{"k": "/var*"}}, metric("a", "k", "/srv/var"), false},
		{muster.Alarm{Metric: "a", Attrs: map[string]string{"k": "*b*c"}}, metric("a", "k", "abbbcxc"), true},
		{muster.Alarm{Metric: "a", Attrs: map[string]string{"k": "*b*c"}}, metric("a", "k", "abbbcx"), false},
		{muster.Alarm{Metric: "a", Attrs: map[string]string{"k": "?"}}, metric("a", "k", "ü"), true},
		{muster.Alarm{Metric: "a", Attrs: map[string]string{"k": "?"}}, metric("a", "k", ""), false},
		{muster.Alarm{Metric: "a", Attrs: map[string]string{"k": "v", "l": "*"}}, metric("a", "k", "v", "l", ""), true},
		{muster.Alarm{Check: id}, metric(muster.CheckStatusMetric, muster.CheckAttr, string(id)), true},
		{muster.Alarm{Check: id}, metric(muster.CheckStatusMetric, muster.CheckAttr, string(muster.NewCheckID())), false},
		{muster.Alarm{Check: id, Metric: "http.duration"}, metric("http.duration", muster.CheckAttr, string(id)), true},
	} {
		looks := rules.MetricsOf(&c.alarm)
		if got := looks.Hits(c.metric); got != c.want {
			t.Errorf("%s %v on %q: %v", c.alarm.Metric, c.alarm.Attrs, c.metric.Key(), got)
		}
		if c.want {
			for key, value := range looks.Exact() {
				if c.metric.Attr(key) != value {
					t.Errorf("%q does not have the exact %s=%s", c.metric.Key(), key, value)
				}
			}
		}
	}
}

// A pattern that backtracks for ever would stop a shard.
func TestPatternsAreBounded(t *testing.T) {
	a := muster.Alarm{Metric: "a", Attrs: map[string]string{"k": strings.Repeat("*a", 180)}}
	looks := rules.MetricsOf(&a)
	m := metric("a", "k", strings.Repeat("a", 390)+"b")
	for range 1000 {
		looks.Hits(m)
	}
}

func TestKeysAndColumns(t *testing.T) {
	for _, m := range []*muster.Metric{metric("a"), metric("a", "k", "v", "l", ""), metric("a", "k", "x=y, z")} {
		got := rules.ParseKey(m.Key())
		if got.Name != m.Name || !slices.Equal(got.Attrs, m.Attrs) {
			t.Errorf("%q reads as %+v", m.Key(), got)
		}
	}
	s, err := muster.NewSchema([]muster.Metric{*metric("u", "m", "/"), *metric("u", "m", "/x"), *metric("r", "m", "/x")})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"r": 2, "u": 1, "": -1, "q": -1} {
		if got := rules.Sibling(s, &s.Metrics[1], name); got != want {
			t.Errorf("beside %q stands %d, want %d", name, got, want)
		}
	}
	if got := rules.Sibling(s, &s.Metrics[0], "r"); got != -1 {
		t.Errorf("a sibling of other attributes: %d", got)
	}
}

func TestSeries(t *testing.T) {
	check := &muster.Check{ID: muster.NewCheckID(), Name: "site"}
	for want, c := range map[string]struct {
		m     *muster.Metric
		check *muster.Check
	}{
		"":                                  {metric("a"), nil},
		"system.filesystem.mountpoint=/var": {metric("u", "system.device", "sda1", "system.filesystem.mountpoint", "/var", "system.filesystem.type", "ext4"), nil},
		"system.device=sda":                 {metric("io", "system.device", "sda"), nil},
		"site":                              {metric("s", muster.CheckAttr, string(check.ID), muster.ZoneAttr, muster.LocalZone), check},
		"site, muster.zone=fra":             {metric("s", muster.CheckAttr, string(check.ID), muster.ZoneAttr, "fra"), check},
	} {
		if got := rules.Series(c.m, c.check); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := rules.Series(metric("a", "k", strings.Repeat("ü", 399)), nil); len(got) > 210 {
		t.Errorf("a name of %d bytes", len(got))
	}
}

func TestWords(t *testing.T) {
	for want, got := range map[string]string{
		"5 min": rules.Span(5 * time.Minute), "1 h 30 min": rules.Span(90 * time.Minute), "2 d": rules.Span(48 * time.Hour), "1m0.5s"[:0] + "500ms": rules.Span(500 * time.Millisecond),
		"97 %": rules.Amount(0.97, "1"), "99.9 %": rules.Amount(0.9994, "1"), "12": rules.Amount(12, "{thread}"), "1.5 s": rules.Amount(1.5, "s"), "nothing": rules.Amount(math.NaN(), "s"),
		"that agents report of nodes web*, silence of 1 min is critical": rules.Describe(&muster.Alarm{Query: "web*", NoData: muster.NoData{After: time.Minute, Is: muster.NoDataCritical}}),
		"a k=v, fires when > 0.9 for 5 min, well when < 0.8 for 2 min": rules.Describe(&muster.Alarm{Metric: "a", Attrs: map[string]string{"k": "v"},
			Condition: &muster.Condition{Op: ">", Value: 0.9, For: 5 * time.Minute, Recover: muster.Recovery{Op: "<", Value: 0.8, For: 2 * time.Minute}}}),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range rules.Defaults() {
		if seen[a.BuiltIn] || seen[a.Name] || a.Query != "" || a.Enabled {
			t.Errorf("%+v", a)
		}
		seen[a.BuiltIn], seen[a.Name] = true, true
		if _, err := judge.Compile(a); err != nil {
			t.Errorf("%s: %v", a.Name, err)
		}
		for _, loud := range []string{"cpu", "load", "network.io"} {
			if strings.Contains(a.Metric, loud) {
				t.Errorf("%s is loud", a.Name)
			}
		}
		if c := a.Condition; c != nil && c.For == 0 {
			t.Errorf("%s has no hold", a.Name)
		}
	}
	if len(seen) != 2*9 {
		t.Errorf("%d defaults", len(seen)/2)
	}
	own := rules.Defaults()[5]
	if q := rules.QuirkOf(own); q.See(-3) != 3 {
		t.Error("a clock that is behind counts")
	}
	own.Metric = "other"
	if q := rules.QuirkOf(own); q != (rules.Quirk{}) {
		t.Error("a built-in alarm that looks at something else keeps its ways")
	}
}
