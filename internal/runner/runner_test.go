package runner_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/runner"
)

func TestResultsBecomeFrames(t *testing.T) {
	code := check.Gauge("http.response.status_code", "1")
	size := check.Gauge("http.response.body.size", "By", "part", "1", "aaa", "2")
	bubble(t, nil, func(t *testing.T, w *world) {
		w.script("a", func(_ context.Context, out *check.Outcome) {
			time.Sleep(12 * time.Millisecond)
			out.Summary = "HTTP 200"
			out.Put(code, 200)
			out.Put(size, 77)
			out.Put(code, 201) // twice
			out.Readings = append(out.Readings, muster.Reading{Metric: check.Gauge("bad\n", "1"), Value: 1}, muster.Reading{}, muster.Reading{Metric: code, Value: math.NaN()})
		})
		other := assignment(2, "a")
		other.Zone = "eu-1"
		w.runner.Assign([]check.Assignment{assignment(1, "a"), other}, nil, true)
		time.Sleep(30 * time.Second)
		frames := w.took()
		if len(frames) != 6 {
			t.Fatalf("%d frames in 30 s, want 3 of each check", len(frames))
		}
		schemas := map[string]*muster.Schema{}
		for _, f := range frames {
			c, zone, ok := muster.CheckOfSource(f.Source)
			if !ok || f.At == 0 || len(f.Values) != len(f.Schema.Metrics) || len(f.Values) != 4 {
				t.Fatalf("frame %+v", f)
			}
			for _, m := range f.Schema.Metrics {
				if m.Attr(muster.CheckAttr) != string(c) || m.Attr(muster.ZoneAttr) != zone || m.Validate() != nil {
					t.Errorf("metric %+v in a frame of %s", m, f.Source)
				}
			}
			if value(t, f, muster.CheckStatusMetric) != 0 || value(t, f, muster.CheckDurationMetric) != 0.012 ||
				value(t, f, "http.response.status_code") != 200 || value(t, f, "http.response.body.size") != 77 {
				t.Errorf("values %v", f.Values)
			}
			if known := schemas[f.Source]; known != nil && known != f.Schema {
				t.Error("the schema was made anew though the same metrics came")
			}
			schemas[f.Source] = f.Schema
		}
		if len(schemas) != 2 || schemas[string(id(2))+"@eu-1"] == nil {
			t.Errorf("sources %v", schemas)
		}
		if st := w.runner.Stats(); st.Checks != 2 || st.Runs != 6 || st.Running != 0 || st.Busy+st.Overdue != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestTheSchemaFollowsTheMetrics(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		n := 0
		w.script("a", func(_ context.Context, out *check.Outcome) {
			n++
			out.Put(check.Gauge("a", "1"), 1) // described anew each time, but the same
			if n == 3 {
				out.Put(check.Gauge("b", "1"), 2)
			}
			if n == 5 {
				out.Put(check.Gauge("full", "1", slices.Repeat([]string{"k", "v"}, muster.MaxAttrs)...), 2)
			}
		})
		w.runner.Assign([]check.Assignment{assignment(1, "a")}, nil, true)
		time.Sleep(50 * time.Second)
		f := w.took()
		if len(f) != 5 || f[0].Schema != f[1].Schema || len(f[2].Values) != 4 || f[3].Schema.ID != f[0].Schema.ID || len(f[4].Values) != 3 {
			t.Fatalf("got %+v", f)
		}
	})
}

// What is said in words goes along only when it is of another kind than what was said last.
func TestWordsAreSaidWhenTheyChange(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		n := 0
		do := func(do func(*check.Outcome)) {
			w.script("a", func(_ context.Context, out *check.Outcome) {
				n++
				out.Summary = "answer " + strconv.Itoa(n)
				out.Note("seen", "x")
				do(out)
			})
		}
		do(func(*check.Outcome) {})
		w.runner.Assign([]check.Assignment{assignment(1, "a")}, nil, true)
		next := func(want string) {
			t.Helper()
			time.Sleep(10 * time.Second)
			f := w.took()
			if len(f) != 1 {
				t.Fatalf("%d frames", len(f))
			}
			if got := note(t, f[0]); got != want {
				t.Errorf("the note is %q, want %q", got, want)
			}
		}
		next("answer 1|||1")
		next("") // another number in the summary only
		do(func(out *check.Outcome) { out.Fail("status", "500") })
		next("answer 3|status|500|1")
		next("")
		do(func(out *check.Outcome) { out.Fail("status", "503") })
		next("answer 5|status|503|1")
		do(func(out *check.Outcome) { out.Warn("status", "503") })
		next("answer 6|status|503|1")
		do(func(out *check.Outcome) { out.Warn("body", "503") })
		next("answer 7|body|503|1")
		do(func(*check.Outcome) {})
		next("answer 8|||1")
		w.runner.Resend()
		next("answer 9|||1")
		next("")
		w.runner.Assign([]check.Assignment{assignment(1, "a")}, nil, true) // as it was
		next("")
		changed := assignment(1, "a")
		changed.Timeout = time.Second
		w.runner.Assign([]check.Assignment{changed}, nil, true)
		next("answer 12|||1")
	})
}

func TestStartsAreSpreadAndAlignedToTheClock(t *testing.T) {
	starts := func(t *testing.T, late time.Duration) (at map[string]int64) {
		at = map[string]int64{}
		bubble(t, nil, func(t *testing.T, w *world) {
			time.Sleep(late) // another process, started at another time
			var add []check.Assignment
			for n := range 1000 {
				add = append(add, assignment(n, "a"))
			}
			begun := time.Now().UnixMilli()
			w.runner.Assign(add, nil, true)
			time.Sleep(31 * time.Second) // runs that are due wait for each other a little
			seen := map[string][]int64{}
			for _, f := range w.took() {
				if f.At <= begun+30_000 {
					seen[f.Source] = append(seen[f.Source], f.At)
				}
			}
			for source, list := range seen {
				if len(list) != 3 || list[1]-list[0] != 10_000 || list[2]-list[1] != 10_000 {
					t.Fatalf("%s ran at %v", source, list)
				}
				at[source] = list[0] % 10_000
			}
		})
		return at
	}
	once, again := starts(t, 0), starts(t, 7777*time.Millisecond)
	if len(once) != 1000 || len(again) != 1000 {
		t.Fatalf("%d and %d checks ran", len(once), len(again))
	}
	slots := make([]int, 10)
	for source, at := range once {
		slots[at/1000]++
		if again[source] != at {
			t.Errorf("%s ran at %d, after a restart at %d", source, at, again[source])
		}
	}
	if slices.Min(slots) < 60 || slices.Max(slots) > 140 {
		t.Errorf("starts in the seconds of the period: %v", slots)
	}
}

func TestWhatAPersonChangesIsRunAtOnce(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		slow := assignment(1, "a")
		slow.Period = time.Hour
		w.runner.Assign([]check.Assignment{slow}, nil, false)
		time.Sleep(2 * time.Second)
		if n := len(w.took()); n != 1 {
			t.Fatalf("%d frames in the first seconds", n)
		}
		w.runner.Assign([]check.Assignment{slow}, nil, false) // nothing new
		time.Sleep(2 * time.Second)
		if n := len(w.took()); n != 0 {
			t.Fatalf("%d frames though nothing changed", n)
		}
		slow.Config = []byte("b")
		w.runner.Assign([]check.Assignment{slow}, nil, false)
		time.Sleep(2 * time.Second)
		if n := len(w.took()); n != 1 {
			t.Fatalf("%d frames after the change", n)
		}
		time.Sleep(3 * time.Hour)
		f := w.took()
		if len(f) != 3 && len(f) != 2 || f[1].At-f[0].At != time.Hour.Milliseconds() {
			t.Errorf("%d frames in three hours", len(f))
		}
	})
}

func TestAssigning(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		sources := func() (list []string) {
			time.Sleep(10 * time.Second)
			for _, f := range w.took() {
				list = append(list, f.Source)
			}
			slices.Sort(list)
			return slices.Compact(list)
		}
		want := func(ids ...int) {
			t.Helper()
			var list []string
			for _, n := range ids {
				list = append(list, string(id(n)))
			}
			if got := sources(); !slices.Equal(got, list) {
				t.Errorf("ran %v, want %v", got, list)
			}
		}
		w.runner.Assign([]check.Assignment{assignment(1, "a"), assignment(2, "a"), assignment(3, "a")}, nil, false)
		want(1, 2, 3)
		w.runner.Assign([]check.Assignment{assignment(4, "a")}, []muster.CheckID{id(2), id(9)}, false)
		want(1, 3, 4)
		parsed := w.kind.parsed
		w.runner.Assign([]check.Assignment{assignment(3, "a"), assignment(5, "a")}, nil, true)
		want(3, 5)
		if w.kind.parsed != parsed+1 {
			t.Errorf("%d configurations were read anew, want that of the new check", w.kind.parsed-parsed)
		}
		strange := assignment(6, "a")
		strange.Zone = "a\nb"
		long := assignment(7, "a")
		long.Zone = strings.Repeat("z", muster.MaxSource)
		w.runner.Assign([]check.Assignment{{Check: "nonsense", Kind: "scripted"}, {}, strange, long}, nil, false)
		if n := w.runner.Stats().Checks; n != 2 {
			t.Errorf("%d checks", n)
		}
		w.runner.Assign(nil, nil, true)
		want()
	})
}

func TestTimesOutOfBoundsAreBrought(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		a := assignment(1, "a")
		a.Period, a.Timeout = 0, -1
		w.runner.Assign([]check.Assignment{a}, nil, true)
		time.Sleep(10 * time.Second)
		if n := len(w.took()); n != 10 {
			t.Errorf("%d runs in 10 s, want one a second", n)
		}
	})
}

func TestRunsThatFindNoPlaceAreCountedAndNotPiledUp(t *testing.T) {
	bubble(t, func(o *runner.Options) { o.Concurrency = 3 }, func(t *testing.T, w *world) {
		under, most := 0, 0
		w.script("slow", func(ctx context.Context, _ *check.Outcome) {
			w.kind.mu.Lock()
			under++
			most = max(most, under)
			w.kind.mu.Unlock()
			time.Sleep(1900 * time.Millisecond)
			w.kind.mu.Lock()
			under--
			w.kind.mu.Unlock()
		})
		var add []check.Assignment
		for n := range 100 {
			add = append(add, assignment(n, "slow"))
		}
		w.runner.Assign(add, nil, true)
		time.Sleep(100 * time.Second)
		ran, st := len(w.took()), w.runner.Stats()
		if most != 3 || st.Busy == 0 || ran+int(st.Busy)+st.Running != 1000 {
			t.Errorf("%d at one time, %d ran, %+v", most, ran, st)
		}
		w.runner.Assign(add[:5], nil, true)
		time.Sleep(10 * time.Second)
		w.took()
		time.Sleep(100 * time.Second)
		if n := len(w.took()); n < 30 {
			t.Errorf("%d runs of five checks once there is room again", n)
		}
	})
}

func TestACheckNeverRunsTwiceAtOnce(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.script("long", func(ctx context.Context, _ *check.Outcome) { time.Sleep(2500 * time.Millisecond) })
		a := assignment(1, "long")
		a.Period, a.Timeout = time.Second, 5*time.Second
		w.runner.Assign([]check.Assignment{a}, nil, true)
		go func(a check.Assignment) {
			for range 10 {
				w.runner.Once(context.Background(), a)
			}
		}(a)
		for n := range 20 { // changed all the time, even while it runs
			a.Timeout += time.Duration(n) * time.Millisecond
			w.runner.Assign([]check.Assignment{a}, nil, false)
			time.Sleep(700 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		w.kind.mu.Lock()
		most := w.kind.most["long"]
		w.kind.mu.Unlock()
		if st := w.runner.Stats(); most != 1 || st.Overdue == 0 || len(w.took()) == 0 {
			t.Errorf("%d runs at one time, %+v", most, st)
		}
		w.runner.Assign(nil, nil, true)
		time.Sleep(time.Minute) // the last of Once
	})
}

// A probe that does not heed its end is given up in time; it costs neither a place nor a second run.
func TestAProbeThatHangs(t *testing.T) {
	bubble(t, func(o *runner.Options) { o.Concurrency = 1 }, func(t *testing.T, w *world) {
		free := make(chan struct{})
		w.script("hangs", func(_ context.Context, out *check.Outcome) {
			<-free
			out.Summary = "back"
		})
		hangs, good := assignment(1, "hangs"), assignment(2, "good")
		w.runner.Assign([]check.Assignment{hangs}, nil, true)
		var f []runner.Frame
		for len(f) == 0 {
			time.Sleep(10 * time.Millisecond)
			f = w.took()
		}
		if len(f) != 1 || note(t, f[0]) != "no answer within 2s|timeout|it did not end within 2s|0" || value(t, f[0], muster.CheckStatusMetric) != 2 {
			t.Fatalf("got %+v", f)
		}
		if took := value(t, f[0], muster.CheckDurationMetric); took < 2 || took > 3 {
			t.Errorf("given up after %v s", took)
		}
		w.runner.Assign([]check.Assignment{good}, nil, false)
		time.Sleep(30 * time.Second)
		counts := map[string]int{}
		for _, f := range w.took() {
			counts[f.Source]++
			if f.Source == string(id(1)) && (value(t, f, muster.CheckStatusMetric) != 2 || f.Note != nil) {
				t.Errorf("while it hangs: %+v", f)
			}
		}
		if counts[string(id(1))] != 3 || counts[string(id(2))] < 3 || w.kind.most["hangs"] != 1 {
			t.Errorf("%v, %d at one time", counts, w.kind.most["hangs"])
		}
		r := w.runner.Once(context.Background(), hangs)
		if r.Status != muster.StatusUnknown || r.Class != "busy" {
			t.Errorf("once, meanwhile: %+v", r)
		}
		w.runner.Assign(nil, []muster.CheckID{id(2)}, false)
		close(free)
		time.Sleep(10 * time.Second)
		if f := w.took(); len(f) != 1 || note(t, f[0]) != "back|||0" {
			t.Errorf("after it came back: %+v", f)
		}
	})
}

func TestAProbeThatBreaks(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.script("panics", func(_ context.Context, out *check.Outcome) {
			out.Fail("status", "half of the truth")
			panic("index out of range")
		})
		w.script("lies", func(_ context.Context, out *check.Outcome) {
			out.Status = "excellent"
			out.Summary = "a\nb\x00" + strings.Repeat("ä", 1000)
			out.Error = strings.Repeat("\xff", 5000)
			out.Class = strings.Repeat("c", 500)
			out.Evidence = map[string]string{"": "no key"}
			for i := range 1000 {
				out.Evidence[strings.Repeat("k", i+1)] = strings.Repeat("v", 5000)
				out.Put(check.Gauge("m"+strconv.Itoa(i), "1"), math.MaxFloat64)
			}
		})
		bad, unknown, lies := assignment(2, `"bad"`), assignment(3, "x"), assignment(4, "lies")
		unknown.Kind = "smtp"
		w.runner.Assign([]check.Assignment{assignment(1, "panics"), bad, unknown, lies}, nil, true)
		time.Sleep(30 * time.Second)
		said := map[string]string{}
		for _, f := range w.took() {
			if value(t, f, muster.CheckStatusMetric) != 3 {
				t.Errorf("%s is %v, want unknown", f.Source, value(t, f, muster.CheckStatusMetric))
			}
			if len(f.Note) > muster.MaxNote || len(f.Values) > 502 {
				t.Errorf("a note of %d bytes, %d values", len(f.Note), len(f.Values))
			}
			if f.Note != nil {
				said[f.Source] += note(t, f)
			}
		}
		for n, want := range map[int]string{
			1: "the check broke: index out of range|panic|the check broke: index out of range|0",
			2: "url is needed|config|url is needed|0",
			3: `this agent can't run checks of the kind "smtp"; it may be older than its server|kind|`,
			4: "a b ää",
		} {
			if got := said[string(id(n))]; !strings.HasPrefix(got, want) {
				t.Errorf("check %d said %q, want %q", n, got, want)
			}
		}
		if w.kind.parsed != 3 {
			t.Errorf("%d configurations were read, want each once", w.kind.parsed)
		}
		r := w.runner.Once(context.Background(), lies)
		if len(r.Summary) > 300 || len(r.Error) > 1000 || len(r.Class) > 64 || len(r.Evidence) > 64 || len(r.Metrics) != 500 {
			t.Errorf("once: %d %d %d %d %d", len(r.Summary), len(r.Error), len(r.Class), len(r.Evidence), len(r.Metrics))
		}
	})
}

// However much a probe tells, its frame's schema fits a message.
func TestADescriptionHasABound(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.script("wordy", func(_ context.Context, out *check.Outcome) {
			for i := range 400 {
				m := check.Gauge("m"+strconv.Itoa(i), "1")
				for k := range 14 {
					m.Attrs = append(m.Attrs, muster.Attr{Key: "k" + string(rune('a'+k)), Value: strings.Repeat("v", muster.MaxAttrValue)})
				}
				out.Put(m, 1)
			}
		})
		w.runner.Assign([]check.Assignment{assignment(1, "wordy")}, nil, true)
		time.Sleep(10 * time.Second)
		f := w.took()
		if len(f) != 1 || len(f[0].Values) < 10 || len(f[0].Schema.AppendCanonical(nil)) > 512<<10 {
			t.Errorf("%d frames; a description of %d bytes", len(f), len(f[0].Schema.AppendCanonical(nil)))
		}
	})
}

func TestARemovedCheckSaysNoMore(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.script("slow", func(context.Context, *check.Outcome) { time.Sleep(time.Second) })
		w.runner.Assign([]check.Assignment{assignment(1, "slow")}, nil, false)
		for w.runner.Stats().Running == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		w.runner.Assign(nil, []muster.CheckID{id(1)}, false)
		time.Sleep(20 * time.Second)
		if f := w.took(); len(f) != 0 {
			t.Errorf("%d frames of a check that was removed while it ran", len(f))
		}
	})
}

func TestTheEndOfTheRunnerIsNoResult(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.script("slow", func(ctx context.Context, out *check.Outcome) {
			<-ctx.Done()
			out.Fail("timeout", "cut short")
		})
		w.runner.Assign([]check.Assignment{assignment(1, "slow")}, nil, false)
		for w.runner.Stats().Running == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		if err := w.stop(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if f := w.took(); len(f) != 0 {
			t.Errorf("%d frames after the end", len(f))
		}
		w.runner.Assign([]check.Assignment{assignment(2, "a")}, nil, false) // harmless
	})
}

func TestAClockThatIsSet(t *testing.T) {
	for name, shift := range map[string]time.Duration{"forward": 3 * time.Hour, "back": -3 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, w *world) {
				var add []check.Assignment
				for n := range 100 {
					add = append(add, assignment(n, "a"))
				}
				w.runner.Assign(add, nil, true)
				time.Sleep(30 * time.Second)
				before := w.took()
				w.mu.Lock()
				w.shift = shift
				w.mu.Unlock()
				time.Sleep(10 * time.Second)
				if n := len(w.took()); n < 80 || n > 120 {
					t.Errorf("%d runs of 100 checks in the period of the jump", n)
				}
				time.Sleep(20 * time.Second)
				after := w.took()
				if len(before) != 300 || len(after) != 200 {
					t.Errorf("%d runs before, %d after", len(before), len(after))
				}
				phases := map[string]int64{}
				for _, f := range before {
					phases[f.Source] = f.At % 10_000
				}
				for _, f := range after {
					if f.At%10_000 != phases[f.Source] {
						t.Errorf("%s runs at %d, ran at %d", f.Source, f.At%10_000, phases[f.Source])
					}
				}
			})
		})
	}
}

func TestOnce(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		code := check.Gauge("code", "1")
		w.script("a", func(_ context.Context, out *check.Outcome) {
			time.Sleep(20 * time.Millisecond)
			out.Put(code, 500)
			out.Fail("status", "500")
			out.Note("server", "nginx")
		})
		a := assignment(1, "a")
		a.Zone = "eu-1"
		at := time.Now()
		r := w.runner.Once(t.Context(), a)
		if r.Check != a.Check || r.Zone != "eu-1" || !r.At.Equal(at) || r.Duration != 20*time.Millisecond || r.Status != muster.StatusCritical ||
			r.Summary != "500" || r.Class != "status" || r.Error != "500" || r.Evidence["server"] != "nginx" || len(r.Metrics) != 1 || r.Metrics[0].Metric != code {
			t.Errorf("%+v", r)
		}
		w.script("long", func(ctx context.Context, out *check.Outcome) { <-ctx.Done(); out.Fail("timeout", "none") })
		if r := w.runner.Once(t.Context(), assignment(2, "long")); r.Status != muster.StatusCritical || r.Class != "timeout" || r.Duration != 2*time.Second {
			t.Errorf("%+v", r)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if r := w.runner.Once(ctx, assignment(3, "long")); r.Status != muster.StatusUnknown || r.Class != "timeout" || r.Duration != time.Second {
			t.Errorf("cut short: %+v", r)
		}
		results := make(chan muster.Result, 100)
		for n := range 100 {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				results <- w.runner.Once(ctx, assignment(n+10, "long"))
			}()
		}
		count := map[string]int{}
		for range 100 {
			r := <-results
			count[string(r.Status)+" "+r.Class]++
		}
		// When the second sixteen are cut short, others may still begin before their own time is over.
		if count["critical timeout"] != 16 || count["unknown busy"] == 0 || count["unknown timeout"] < 16 || len(count) != 3 {
			t.Errorf("a hundred at one time: %v", count)
		}
		if f := w.took(); len(f) != 0 {
			t.Errorf("%d frames were delivered", len(f))
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []runner.Options{{}, {Deliver: func(runner.Frame) {}, Concurrency: -1}} {
		if _, err := runner.New(o); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
