package judge_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/judge"
)

// sample gives a state of each kind, by name, in this order.
func samples(t testing.TB) (names []string, states []judge.State) {
	t.Helper()
	add := func(name string, s judge.State) { names, states = append(names, name), append(states, s) }
	feed := func(rule *judge.Rule, values ...float64) (s judge.State) {
		for i, v := range values {
			in := judge.Input{At: midnight.Add(time.Duration(i) * 10 * time.Second).UnixMilli(), Value: v, Text: "HTTP 502, expected 200-299"}
			s, _ = rule.Judge(s, in, midnight)
		}
		return s
	}
	rule := memoryRule(t)
	short, _ := alarm(t, strings.Fields("metric=m op=> value=0.95 for=10s recover.for=1m nodata=1m is=critical"))
	forecast, _ := alarm(t, strings.Fields("metric=m fn=forecast within=24h op=> value=1"))
	add("nothing heard", judge.State{})
	add("ok", feed(rule, 0.5, 0.5, 0.5))
	add("pending", feed(rule, 0.5, 0.97, 0.98))
	add("firing", feed(must(t, short), 0.97, 0.98, 0.99))
	add("recovering", feed(must(t, short), 0.97, 0.98, 0.5))
	silent, _ := must(t, short).Silence(feed(must(t, short), 0.5, 0.5), midnight.Add(time.Hour))
	add("silent", silent)
	add("forecast", feed(must(t, forecast), 0.5, 0.625, 0.75))
	return names, states
}

// The bytes of a state stay what they are: a newer program reads what an older one wrote.
func TestGoldenStates(t *testing.T) {
	const path = "testdata/states.golden"
	names, states := samples(t)
	var got strings.Builder
	for i, s := range states {
		fmt.Fprintf(&got, "%s: %x\n", names[i], judge.AppendState(nil, s))
	}
	if *rewrite {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(raw) {
		t.Errorf("got\n%swant\n%s", got.String(), raw)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		_, text, _ := strings.Cut(line, ": ")
		b, _ := hex.DecodeString(text)
		s, err := judge.ParseState(b)
		if err != nil || s.Status() != states[i].Status() || s.Since() != states[i].Since() || s.Through() != states[i].Through() || s.Silent() != states[i].Silent() {
			t.Errorf("%s: %+v, %v", line, s, err)
		}
	}
}

func TestStatesAreSmall(t *testing.T) {
	names, states := samples(t)
	for i, most := range []int{8, 25, 100, 120, 120, 40, 80} {
		if n := len(judge.AppendState(nil, states[i])); n > most {
			t.Errorf("%s: %d bytes, at most %d are expected", names[i], n, most)
		}
	}
}

// What a check says is bounded and stays valid text, however long it is.
func TestLongTextsAreCut(t *testing.T) {
	rule := must(t, &muster.Alarm{Check: scriptCheck, Level: muster.LevelCritical})
	s, v := rule.Judge(judge.State{}, judge.Input{At: 1, Value: 2, Text: strings.Repeat("ä", 5000) + "\xff"}, midnight)
	if v == nil || len(v.Inputs[0].Text) > 300 || len(v.Why) > 300 {
		t.Fatalf("%+v", v)
	}
	if _, err := judge.ParseState(judge.AppendState(nil, s)); err != nil {
		t.Fatal(err)
	}
}

func TestBrokenStatesAreRefused(t *testing.T) {
	names, states := samples(t)
	for i, s := range states {
		raw := judge.AppendState(nil, s)
		for n := range raw {
			if _, err := judge.ParseState(raw[:n]); !errors.Is(err, muster.ErrInvalid) {
				t.Errorf("%s cut to %d bytes: %v", names[i], n, err)
			}
		}
		if _, err := judge.ParseState(append(raw, 0)); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%s with a byte behind it: %v", names[i], err)
		}
		raw[0] = 2
		if _, err := judge.ParseState(raw); !errors.Is(err, muster.ErrInvalid) || !strings.Contains(err.Error(), "version 2") {
			t.Errorf("%s of another version: %v", names[i], err)
		}
	}
}

// Whatever bytes are read as a state are written the same way again, and can be judged on.
func FuzzParseState(f *testing.F) {
	_, states := samples(f)
	for _, s := range states {
		f.Add(judge.AppendState(nil, s))
	}
	rule := memoryRule(f)
	forecast, _ := alarm(f, strings.Fields("metric=m fn=forecast within=24h op=> value=1 nodata=1m is=ok"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := judge.ParseState(b)
		if err != nil {
			if !errors.Is(err, muster.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		raw := judge.AppendState(nil, s)
		again, err := judge.ParseState(raw)
		if err != nil || !bytes.Equal(judge.AppendState(nil, again), raw) {
			t.Fatalf("%x is written %x, then %v", b, raw, err)
		}
		for _, r := range []*judge.Rule{rule, must(t, forecast)} {
			next, _ := r.Silence(s, midnight)
			for _, in := range []judge.Input{{At: s.Through() + 10_000, Value: 1}, {At: s.Through() + 20_000, Value: math.NaN()}, {At: s.Through() + 1e9, Value: 0}} {
				var v *judge.Verdict
				if next, v = r.Judge(next, in, midnight); v != nil && v.Why == "" {
					t.Fatal("no words")
				}
			}
			if _, err := judge.ParseState(judge.AppendState(nil, r.Settle(next, midnight))); err != nil {
				t.Fatal(err)
			}
		}
	})
}
