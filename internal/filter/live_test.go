package filter_test

import (
	"math"
	"testing"
	"time"

	"muster"
	"muster/internal/filter"
)

func TestLive(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "",
		"*":                               "",
		"web* tag:env=prod -is:starred":   "",
		"os:debian (ip:10.0.0.0/8 or db)": "",
		"agent:1.2* host.arch:arm64":      "",
		"node:state":                      "",
		`"cpu"`:                           "",
		"cpu>80":                          "cpu>80",
		"web or not (db cpu>80)":          "cpu>80",
		"seen>5m":                         "seen>5m",
		"tag:a created<7d":                "created<7d",
		"state:up":                        "state:up",
		"-has:error":                      "has:error",
		"is:down":                         "is:down",
		"is:Connected":                    "is:Connected",
		"agent:none":                      "agent:none",
	} {
		q, err := filter.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := q.Live(); got != want {
			t.Errorf("%s: live part %q, want %q", text, got, want)
		}
	}
}

// What is said to be of the document alone must not change when the moment does.
func TestNotLiveMeansSteady(t *testing.T) {
	nan := math.NaN()
	quiet := &muster.NodeNow{State: muster.Down, CPU: nan, Memory: nan, Disk: nan, Load: nan, Uptime: nan, NetIn: nan, NetOut: nan}
	busy := &muster.NodeNow{State: muster.Up, Connected: true, CPU: 1, Memory: 1, Disk: 1, Load: 9, Uptime: 1e6, NetIn: 1e9, NetOut: 1e9, Dropped: 3, Metrics: 7, ClockOff: time.Hour, LastSeen: noon, Since: noon}
	texts := []string{"*", "web", "is:starred", "agent:1*", "agent:connected", "os:linux", "ip:10.0.0.1"}
	for _, k := range filter.Keys() {
		for _, v := range k.Values {
			texts = append(texts, k.Name+":"+v)
		}
		if k.Compare {
			texts = append(texts, k.Name+">0", "-"+k.Name+"<1000")
		}
	}
	for _, m := range fleet(t) {
		for _, text := range texts {
			q, err := filter.Parse(text)
			if err != nil {
				continue // a value that the key's unit does not take
			}
			if q.Live() == "" && q.Match(&m.node, quiet, noon) != q.Match(&m.node, busy, noon.Add(365*24*time.Hour)) {
				t.Errorf("%s: changes with the moment for %s, and does not say so", text, m.node.Name)
			}
		}
	}
}
