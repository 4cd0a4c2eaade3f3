package uplink_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"

	"muster"
	"muster/internal/uplink"
	"muster/internal/wire"
)

// orders keeps what an uplink was told.
type orders struct {
	mu      sync.Mutex
	assigns []wire.Assign
	runs    []wire.Run
	answers []func(*wire.Ran)
	lives   []context.Context
}

func (o *orders) options(u *uplink.Options) {
	u.Logger = slog.New(slog.DiscardHandler)
	u.OnAssign = func(a wire.Assign) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.assigns = append(o.assigns, a)
	}
	u.OnRun = func(ctx context.Context, run wire.Run, answer func(*wire.Ran)) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.runs, o.answers, o.lives = append(o.runs, run), append(o.answers, answer), append(o.lives, ctx)
	}
}

func (o *orders) count() (assigns, runs int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.assigns), len(o.runs)
}

func checks(from, to int) (list []wire.Assignment) {
	for n := from; n < to; n++ {
		list = append(list, wire.Assignment{Check: muster.CheckID("check_" + strconv.Itoa(n)), Kind: "http", Zone: "local"})
	}
	return list
}

func TestAssignmentsComeWhole(t *testing.T) {
	server := newFakeServer(t)
	var told orders
	newRig(t, server.http.URL, told.options)
	server.until("connection", func() bool { return len(server.conns) == 1 })
	server.push(&wire.Assign{Add: checks(0, 3), Remove: []muster.CheckID{"check_9"}})
	server.push(&wire.Assign{Add: checks(0, 1000), Replace: true, More: true})
	server.push(&wire.Assign{Add: checks(1000, 1500), Remove: []muster.CheckID{"check_a"}, More: true})
	server.push(&wire.Assign{Add: checks(1500, 1600), Remove: []muster.CheckID{"check_b"}})
	server.push(&wire.Assign{Remove: []muster.CheckID{"check_0"}})
	waitFor(t, "three assignments", func() bool { n, _ := told.count(); return n == 3 })
	a := told.assigns
	if len(a[0].Add) != 3 || a[0].Replace || a[0].Remove[0] != "check_9" {
		t.Errorf("the first is %+v", a[0])
	}
	if len(a[1].Add) != 1600 || !a[1].Replace || a[1].More || a[1].Add[1599].Check != "check_1599" || !slices.Equal(a[1].Remove, []muster.CheckID{"check_a", "check_b"}) {
		t.Errorf("the parts became %d checks, replace %t, remove %v", len(a[1].Add), a[1].Replace, a[1].Remove)
	}
	if a[2].Add != nil || a[2].Replace || len(a[2].Remove) != 1 {
		t.Errorf("the last is %+v", a[2])
	}
}

func TestPartsOfABrokenConnectionAreForgotten(t *testing.T) {
	server := newFakeServer(t)
	var told orders
	newRig(t, server.http.URL, told.options)
	server.until("connection", func() bool { return len(server.conns) == 1 })
	server.push(&wire.Assign{Add: checks(0, 10), Replace: true, More: true})
	server.push(&wire.Run{Request: 1, Assignment: checks(0, 1)[0]}) // behind it, so that the part came before the cut
	waitFor(t, "the run", func() bool { _, n := told.count(); return n == 1 })
	server.cut()
	server.until("another connection", func() bool { return len(server.hellos) == 2 && len(server.conns) == 1 })
	server.push(&wire.Assign{Add: checks(20, 22)})
	waitFor(t, "an assignment", func() bool { n, _ := told.count(); return n == 1 })
	if a := told.assigns[0]; len(a.Add) != 2 || a.Replace {
		t.Errorf("parts of two connections became one: %+v", a)
	}
	if told.lives[0].Err() == nil {
		t.Error("the context of a run outlives its connection")
	}
	told.answers[0](&wire.Ran{Status: muster.StatusOK}) // goes nowhere, and does not hang
}

func TestAnAssignmentHasItsBounds(t *testing.T) {
	server := newFakeServer(t)
	var told orders
	newRig(t, server.http.URL, told.options)
	server.until("connection", func() bool { return len(server.conns) == 1 })
	for n := range 60 {
		server.push(&wire.Assign{Add: checks(n*1000, (n+1)*1000), More: n < 59})
	}
	waitFor(t, "an assignment", func() bool { n, _ := told.count(); return n == 1 })
	if n := len(told.assigns[0].Add); n != 50_000 {
		t.Errorf("%d checks were taken", n)
	}
}

func TestRunsAreAnsweredInAnyOrder(t *testing.T) {
	server := newFakeServer(t)
	var told orders
	r := newRig(t, server.http.URL, told.options)
	server.until("connection", func() bool { return len(server.conns) == 1 })
	for n := range uint64(20) {
		server.push(&wire.Run{Request: n + 1, Assignment: checks(int(n), int(n)+1)[0]})
	}
	waitFor(t, "twenty runs", func() bool { _, n := told.count(); return n == 20 })
	for n, answer := range slices.Backward(told.answers) {
		go answer(&wire.Ran{Status: muster.StatusOK, Summary: fmt.Sprint(n + 1)})
	}
	r.add(0, 50) // frames go on beside them
	server.until("twenty answers and the frames", func() bool { return len(server.answers) == 20 && len(server.distinct()) == 50 })
	seen := map[uint64]bool{}
	for _, a := range server.answers {
		if seen[a.Request] || a.Summary != fmt.Sprint(a.Request) || a.Status != muster.StatusOK {
			t.Errorf("answer %+v", a)
		}
		seen[a.Request] = true
	}
}

func TestAnAgentThatRunsNothingSaysSo(t *testing.T) {
	server := newFakeServer(t)
	newRig(t, server.http.URL, nil)
	server.until("connection", func() bool { return len(server.conns) == 1 })
	server.push(&wire.Assign{Add: checks(0, 1)})
	for n := range uint64(5) {
		server.push(&wire.Run{Request: n + 7, Assignment: checks(0, 1)[0]})
	}
	server.until("answers", func() bool { return len(server.answers) == 5 })
	if a := server.answers[0]; a.Status != muster.StatusUnknown || a.Error == "" || a.Request < 7 {
		t.Errorf("%+v", a)
	}
}

func TestNotesTravel(t *testing.T) {
	server := newFakeServer(t)
	r := newRig(t, server.http.URL, nil)
	for at := range int64(4) {
		f := frame(at, 2)
		if at%2 == 1 {
			f.Note = []byte("note " + strconv.FormatInt(at, 10))
		}
		if err := r.spool.Append(f); err != nil {
			t.Fatal(err)
		}
	}
	server.until("frames", func() bool { return len(server.distinct()) == 4 })
	for _, f := range server.frames {
		want := ""
		if f.At%2 == 1 {
			want = "note " + strconv.FormatInt(f.At, 10)
		}
		if string(f.Note) != want {
			t.Errorf("frame %d says %q", f.At, f.Note)
		}
	}
}

// Every check has a schema of its own: they keep their numbers as long as the server bears it.
func TestNumbersOfSchemas(t *testing.T) {
	for name, c := range map[string]struct {
		capability byte
		most       uint32
		defined    int
	}{
		"a server of before": {1, 1000, 3000},
		"a server of today":  {0, 1500, 1500},
	} {
		t.Run(name, func(t *testing.T) {
			server := newFakeServer(t)
			server.capability = c.capability
			r := newRig(t, server.http.URL, nil)
			for round := range int64(2) {
				for n := range int64(1500) {
					schema, err := muster.NewSchema([]muster.Metric{{Name: "m", Kind: muster.Gauge, Attrs: []muster.Attr{{Key: "check", Value: strconv.FormatInt(n, 10)}}}})
					if err != nil {
						t.Fatal(err)
					}
					f := uplink.Frame{Source: "s", At: round*1500 + n, Schema: schema, Values: []float64{float64(n)}}
					if err := r.spool.Append(f); err != nil {
						t.Fatal(err)
					}
				}
			}
			server.until("frames", func() bool { return len(server.distinct()) == 3000 })
			server.mu.Lock()
			defer server.mu.Unlock()
			if most := slices.Max(server.numbers); most != c.most || len(server.numbers) != c.defined {
				t.Errorf("%d schemas were defined, up to number %d", len(server.numbers), most)
			}
		})
	}
}

func TestWideSchemasMakeTheNumbersBeginAnew(t *testing.T) {
	server := newFakeServer(t)
	r := newRig(t, server.http.URL, nil)
	for n := range 60 { // 120,000 metrics, more than a server bears in one go
		metrics := make([]muster.Metric, 2000)
		for i := range metrics {
			metrics[i] = muster.Metric{Name: fmt.Sprintf("m%d.%d", n, i), Kind: muster.Gauge}
		}
		schema, err := muster.NewSchema(metrics)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.spool.Append(uplink.Frame{Source: "s", At: int64(n), Schema: schema, Values: make([]float64, 2000)}); err != nil {
			t.Fatal(err)
		}
	}
	server.until("frames", func() bool { return len(server.distinct()) == 60 })
	server.mu.Lock()
	defer server.mu.Unlock()
	if most := slices.Max(server.numbers); most != 48 || len(server.numbers) != 60 {
		t.Errorf("%d schemas were defined, up to number %d", len(server.numbers), most)
	}
}
