package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"muster"
	"muster/internal/ingest"
	"muster/internal/telemetry"
)

// fakeStore keeps what it was given; err makes it take nothing.
type fakeStore struct {
	mu     sync.Mutex
	err    error
	frames []*muster.Frame
}

func (s *fakeStore) Append(_ context.Context, frames []*muster.Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.frames = append(s.frames, frames...)
	return nil
}

type noted struct {
	off     time.Duration
	dropped uint64
}

// world is an intake over a fake store, and one node's connection to it.
type world struct {
	t         testing.TB
	store     *fakeStore
	in        *ingest.Intake
	telemetry *telemetry.Set
	account   muster.AccountID
	node      muster.NodeID
	heard     int
	notes     []noted
	now       int64 // the server's clock, ms
	ahead     int64 // by how much the node's is ahead, ms
	delay     int64 // of the line, ms
	waited    time.Duration
	first     bool
}

func newWorld(t testing.TB, o ingest.Options) *world {
	t.Helper()
	w := &world{t: t, store: &fakeStore{}, telemetry: telemetry.New(), account: muster.NewAccountID(), node: muster.NewNodeID(), now: 1_700_000_000_000, first: true}
	o.Store, o.Telemetry = w.store, w.telemetry
	o.After = []func([]*muster.Frame){func(f []*muster.Frame) { w.heard += len(f) }}
	o.Noted = func(a muster.AccountID, n muster.NodeID, off time.Duration, dropped uint64) {
		if a != w.account || n != w.node {
			t.Error("noted of somebody else")
		}
		w.notes = append(w.notes, noted{off, dropped})
	}
	in, err := ingest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	w.in = in
	return w
}

func schema(t testing.TB, n int, prefix string) *muster.Schema {
	t.Helper()
	metrics := make([]muster.Metric, n)
	for i := range metrics {
		metrics[i] = muster.Metric{Name: fmt.Sprintf("%s.%d", prefix, i), Kind: muster.Gauge}
	}
	s, err := muster.NewSchema(metrics)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func frame(source string, s *muster.Schema, at int64) *muster.Frame {
	f := &muster.Frame{Source: source, At: at, Schema: s, Values: make([]float64, len(s.Metrics))}
	for i := range f.Values {
		f.Values[i] = float64(i)
	}
	return f
}

func (w *world) batch(frames ...*muster.Frame) *ingest.Batch {
	b := &ingest.Batch{Account: w.account, Node: w.node, Sent: w.now + w.ahead - w.delay, Received: w.now, Waited: w.waited, First: w.first, Frames: frames}
	w.first = false
	return b
}

func (w *world) take(frames ...*muster.Frame) ingest.Receipt {
	w.t.Helper()
	r, err := w.in.Take(w.t.Context(), w.batch(frames...))
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// stored gives what the store got since the last call, without the intake's own frames.
func (w *world) stored() []*muster.Frame {
	var out []*muster.Frame
	for _, f := range w.store.frames {
		if f.Source != ingest.SelfSource {
			out = append(out, f)
		}
	}
	w.store.frames = nil
	return out
}

func (w *world) count(name string) float64 {
	var v float64
	w.telemetry.Each(func(n string, _ []muster.Attr, _ muster.MetricKind, value float64) {
		if n == name {
			v = value
		}
	})
	return v
}

func TestAFrameBelongsToItsConnection(t *testing.T) {
	w := newWorld(t, ingest.Options{})
	f := frame("host", schema(t, 3, "a"), w.now)
	f.Account, f.Node = muster.NewAccountID(), muster.NewNodeID()
	if r := w.take(f); len(r.Refused) != 0 {
		t.Fatalf("refused: %+v", r)
	}
	got := w.stored()
	if len(got) != 1 || got[0].Account != w.account || got[0].Node != w.node || got[0].Sent != w.now || got[0].At != w.now {
		t.Errorf("stored %+v", got)
	}
}

func TestValuesThatAreNoNumbersAreAbsent(t *testing.T) {
	w := newWorld(t, ingest.Options{})
	f := frame("host", schema(t, 5, "a"), w.now)
	strange := math.Float64frombits(0x7ff8_0000_dead_beef) // a NaN with a message in it
	copy(f.Values, []float64{math.Inf(1), math.Inf(-1), math.NaN(), strange, math.MaxFloat64})
	w.take(f)
	got := w.stored()[0].Values
	for i, v := range got[:4] {
		if math.Float64bits(v) != math.Float64bits(math.NaN()) {
			t.Errorf("value %d became %v", i, v)
		}
	}
	if got[4] != math.MaxFloat64 || w.count("muster_ingest_infinite_values_total") != 2 {
		t.Errorf("kept %v, counted %v", got[4], w.count("muster_ingest_infinite_values_total"))
	}
}

func TestRefusals(t *testing.T) {
	s := schema(t, 2, "a")
	for name, c := range map[string]struct {
		change func(f *muster.Frame)
		reason string // "" when it is taken
	}{
		"from now":             {func(f *muster.Frame) {}, ""},
		"a little ahead":       {func(f *muster.Frame) { f.At += 119_000 }, ""},
		"from the future":      {func(f *muster.Frame) { f.At += 121_000 }, "it lies 2m1s in the future"},
		"far future":           {func(f *muster.Frame) { f.At = math.MaxInt64 }, "in the future"},
		"almost too old":       {func(f *muster.Frame) { f.At -= 48*3600_000 - 1000 }, ""},
		"too old":              {func(f *muster.Frame) { f.At -= 48*3600_000 + 1000 }, "older than 48h0m0s"},
		"before time":          {func(f *muster.Frame) { f.At = math.MinInt64 + 1 }, "older than 48h0m0s"},
		"without a source":     {func(f *muster.Frame) { f.Source = "" }, "source has no name"},
		"a long source":        {func(f *muster.Frame) { f.Source = strings.Repeat("x", 101) }, "too long"},
		"the server's source":  {func(f *muster.Frame) { f.Source = ingest.SelfSource }, "keeps for itself"},
		"without a schema":     {func(f *muster.Frame) { f.Schema = nil }, "do not fit its schema"},
		"too few values":       {func(f *muster.Frame) { f.Values = f.Values[:1] }, "do not fit its schema"},
		"more values than fit": {func(f *muster.Frame) { f.Values = append(f.Values, 1) }, "do not fit its schema"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, ingest.Options{})
			bad, good := frame("host", s, w.now), frame("host", s, w.now-1)
			c.change(bad)
			r := w.take(good, bad)
			stored := len(w.stored())
			if c.reason == "" {
				if len(r.Refused) != 0 || stored != 2 {
					t.Errorf("refused %+v", r.Refused)
				}
				return
			}
			if len(r.Refused) != 1 || r.Refused[0].Index != 1 || !strings.Contains(r.Refused[0].Reason, c.reason) || stored != 1 {
				t.Errorf("refused %+v, stored %d", r.Refused, stored)
			}
			if w.count("muster_ingest_frames_refused_total") != 1 {
				t.Error("it was not counted")
			}
		})
	}
}

func TestClocksAreCorrected(t *testing.T) {
	s := schema(t, 1, "a")
	type step struct {
		ahead, delay int64
		waited       time.Duration
		at           int64 // of the stored frame, against the server's clock, for one measured just now
		off          time.Duration
	}
	hour := int64(3600_000)
	for name, steps := range map[string][]step{
		"right":              {{at: 0}, {at: 0}},
		"a second off":       {{ahead: 1000, at: 1000, off: time.Second}},
		"an hour ahead":      {{ahead: hour, at: 0, off: time.Hour}, {ahead: hour, at: 0, off: time.Hour}},
		"an hour behind":     {{ahead: -hour, at: 0, off: -time.Hour}},
		"a day behind":       {{ahead: -24 * hour, at: 0, off: -24 * time.Hour}},
		"jumps ahead":        {{}, {ahead: hour, at: 0, off: time.Hour}},
		"jumps back":         {{}, {ahead: -hour, at: 0, off: -time.Hour}},
		"is set right":       {{ahead: hour, at: 0, off: time.Hour}, {ahead: 0, at: 0, off: 0}},
		"whole seconds":      {{ahead: 5400, at: 400, off: 5400 * time.Millisecond}},
		"steady while moved": {{ahead: 5400, at: 400, off: 5400 * time.Millisecond}, {ahead: 5900, at: 900, off: 5900 * time.Millisecond}},
		// The line stood still for 8 s, once: the clock did not move. Frames of this moment come from 8 s ago.
		"one slow message": {{}, {delay: 8000, at: -8000}, {at: 0}},
		// 8 s back, and it stays so: the clock was set. The first frame is believed on its own.
		"set back a little": {{}, {ahead: -8000, at: -8000}, {ahead: -8000, at: 0, off: -8 * time.Second}},
		// This server was busy for a minute; that is nobody's clock.
		"waited here": {{}, {delay: 60_000, waited: time.Minute, at: -60_000}, {delay: 59_000, waited: time.Minute, at: -59_000}, {at: 0}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, ingest.Options{})
			for i, st := range steps {
				w.now += 10_000
				w.ahead, w.delay, w.waited = st.ahead, st.delay, st.waited
				r := w.take(frame("host", s, w.now+w.ahead-w.delay))
				got := w.stored()
				if len(got) != 1 {
					t.Fatalf("step %d: refused %+v", i, r.Refused)
				}
				if at := got[0].At - w.now; at != st.at {
					t.Errorf("step %d: stored at %+d ms, want %+d", i, at, st.at)
				}
				if got[0].Sent != got[0].At {
					t.Errorf("step %d: sent %d, at %d: moved differently", i, got[0].Sent, got[0].At)
				}
				if r.ClockOff != st.off {
					t.Errorf("step %d: clock is off by %s, want %s", i, r.ClockOff, st.off)
				}
			}
		})
	}
}

func TestASlowDriftIsFollowed(t *testing.T) {
	w := newWorld(t, ingest.Options{})
	s := schema(t, 1, "a")
	for range 500 {
		w.now += 10_000
		w.ahead -= 10 // a clock that loses a second in a thousand
		w.take(frame("host", s, w.now+w.ahead))
	}
	r := w.take(frame("host", s, w.now+1+w.ahead))
	if diff := r.ClockOff - time.Duration(w.ahead)*time.Millisecond; diff < 0 || diff > 200*time.Millisecond {
		t.Errorf("the clock is off by %d ms, the estimate says %s", w.ahead, r.ClockOff)
	}
	last := w.stored()
	if off := last[len(last)-1].At - w.now; off < -1500 || off > 1500 {
		t.Errorf("frames lie %d ms off", off)
	}
}

func TestTheClockIsToldAndStored(t *testing.T) {
	w := newWorld(t, ingest.Options{})
	w.ahead = 3600_000
	s := schema(t, 1, "a")
	for range 13 {
		w.take(frame("host", s, w.now+w.ahead))
		w.now += 10_000
	}
	var own []*muster.Frame
	for _, f := range w.store.frames {
		if f.Source == ingest.SelfSource {
			own = append(own, f)
		}
	}
	if len(own) != 3 { // at once, after a minute and after two
		t.Fatalf("%d frames of the clock in two minutes", len(own))
	}
	f := own[0]
	if f.Schema.Metrics[0].Name != "muster.node.clock_offset" || f.Values[0] != 3600 || f.Node != w.node || f.At != w.store.frames[0].At {
		t.Errorf("%+v", f)
	}
	if len(w.notes) != 3 || w.notes[0].off != time.Hour || w.heard != 16 {
		t.Errorf("notes %+v, heard %d", w.notes, w.heard)
	}
}

func TestNothingIsTakenWhileTheStoreTakesNothing(t *testing.T) {
	w := newWorld(t, ingest.Options{})
	w.ahead = 3600_000
	w.store.err = fmt.Errorf("full: %w", muster.ErrUnavailable)
	f := frame("host", schema(t, 2, "a"), w.now+w.ahead)
	b := w.batch(f)
	for range 3 {
		if _, err := w.in.Take(t.Context(), b); !errors.Is(err, muster.ErrUnavailable) {
			t.Fatalf("%v", err)
		}
	}
	if w.heard != 0 || len(w.notes) != 0 {
		t.Error("told of what was not saved")
	}
	w.store.err = nil
	if r, err := w.in.Take(t.Context(), b); err != nil || r.ClockOff != time.Hour {
		t.Fatalf("%+v, %v", r, err)
	}
	if got := w.stored(); len(got) != 1 || got[0].At != w.now {
		t.Errorf("stored %+v, want it moved once", got)
	}
}

func TestTooManyMetrics(t *testing.T) {
	w := newWorld(t, ingest.Options{MaxSeries: 10})
	a, b := schema(t, 8, "a"), schema(t, 8, "b")
	if r := w.take(frame("host", a, w.now)); r.Dropped != 0 {
		t.Errorf("dropped %d at once", r.Dropped)
	}
	w.now += 1000
	for i := range 3 {
		r := w.take(frame("host", b, w.now+int64(i)), frame("host", a, w.now+int64(i)))
		if r.Dropped != 6 || len(r.Refused) != 0 {
			t.Errorf("dropped %d, refused %+v; want the 6 metrics over the cap, once", r.Dropped, r.Refused)
		}
	}
	got := w.stored()
	f := got[1]
	if len(f.Values) != 2 || len(f.Schema.Metrics) != 2 || f.Schema.Metrics[1].Name != "b.1" || f.Values[1] != 1 {
		t.Errorf("of the second schema %d values of %d metrics were stored", len(f.Values), len(f.Schema.Metrics))
	}
	if len(got[2].Values) != 8 {
		t.Errorf("the first schema has only %d left", len(got[2].Values))
	}
	if w.count("muster_ingest_metrics_dropped_total") != 6 {
		t.Error("it was not counted")
	}
	c := schema(t, 4, "c")
	before := len(w.stored())
	if r := w.take(frame("host", c, w.now+10)); r.Dropped != 10 || len(r.Refused) != 0 || len(w.stored()) != before {
		t.Errorf("a schema with nothing admitted: %+v", r)
	}
	if last := w.notes[len(w.notes)-1]; last.dropped != 10 {
		t.Errorf("noted %+v", last)
	}
	w.now += 24 * 3600_000 // another day, another chance
	w.stored()
	w.take(frame("host", c, w.now))
	if got := w.stored(); len(got) != 1 || len(got[0].Values) != 4 {
		t.Errorf("the next day %d frames were stored", len(got))
	}
	w.first = true
	if r := w.take(frame("host", c, w.now+1)); r.Dropped != 0 {
		t.Errorf("a new connection begins with %d dropped", r.Dropped)
	}
}

// TestAFloodOfMetrics has one node tell of a hundred thousand metrics in schemas that change all the time.
func TestAFloodOfMetrics(t *testing.T) {
	w := newWorld(t, ingest.Options{})
	series := map[string]bool{}
	for i := range 100 {
		w.now += 1000
		w.take(frame("host", schema(t, 1000, fmt.Sprintf("flood%d", i)), w.now))
	}
	for _, f := range w.stored() {
		for i := range f.Schema.Metrics {
			series[f.Schema.Metrics[i].Key()] = true
		}
	}
	last := w.notes[len(w.notes)-1]
	if len(series) != 20_000 || last.dropped != 80_000 {
		t.Errorf("%d series were stored, %d dropped", len(series), last.dropped)
	}
}

func TestTooManySources(t *testing.T) {
	w := newWorld(t, ingest.Options{MaxSources: 2})
	s := schema(t, 3, "a")
	r := w.take(frame("host", s, w.now), frame("c1", s, w.now), frame("c2", s, w.now), frame("c2", s, w.now+1), frame("c1", s, w.now+1))
	if len(r.Refused) != 2 || r.Refused[0].Index != 2 || r.Refused[1].Index != 3 || !strings.Contains(r.Refused[0].Reason, "more than 2 sources") || r.Dropped != 3 {
		t.Errorf("%+v", r)
	}
	if got := w.stored(); len(got) != 3 {
		t.Errorf("stored %d", len(got))
	}
}

func TestSchemasThatChangeAllTheTime(t *testing.T) {
	w := newWorld(t, ingest.Options{MaxDescriptors: 30})
	s := schema(t, 10, "a")
	for i := range 5 { // the same metrics in another order each time
		metrics := append(append([]muster.Metric(nil), s.Metrics[i:]...), s.Metrics[:i]...)
		turned, err := muster.NewSchema(metrics)
		if err != nil {
			t.Fatal(err)
		}
		r := w.take(frame("host", turned, w.now+int64(i)))
		if refused := len(r.Refused) == 1; refused != (i >= 3) {
			t.Errorf("schema %d: %+v", i, r)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []ingest.Options{{}, {Store: &fakeStore{}, MaxAge: -1}, {Store: &fakeStore{}, MaxSeries: -1}} {
		if _, err := ingest.New(o); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// A check may run on one node and belong to another, or to none: then it is its own subject.
func TestFramesOfChecksBelongToTheirSubject(t *testing.T) {
	w := newWorld(t, ingest.Options{})
	w.ahead = 10_000 // the runner's clock, which the checks share
	s := schema(t, 3, "a")
	mine, id, other := muster.NewNodeID(), muster.NewCheckID(), muster.NewCheckID()
	host := frame("host", s, w.now+w.ahead)
	host.Node, host.Note = mine, []byte("no check says this")
	one, two, lost := frame(string(id), s, w.now+w.ahead-3000), frame(string(other)+"@eu-1", s, w.now+w.ahead), frame(string(other), s, w.now+w.ahead)
	one.Node, one.Note = mine, []byte("words")
	two.Node = other.Subject()
	long := frame(string(id), s, w.now+w.ahead)
	long.Node, long.Note = mine, make([]byte, muster.MaxNote+1)
	r := w.take(host, one, two, lost, long)
	if len(r.Refused) != 2 || r.Refused[0].Index != 3 || r.Refused[1].Index != 4 {
		t.Errorf("refused %+v, want the one that nobody owns and the one that says too much", r.Refused)
	}
	got := w.stored()
	if len(got) != 3 {
		t.Fatalf("%d frames are stored", len(got))
	}
	if got[0].Node != w.node || got[0].Note != nil {
		t.Errorf("the host's frame is of %v and says %q", got[0].Node, got[0].Note)
	}
	if got[1].Node != mine || string(got[1].Note) != "words" || got[1].At != w.now-3000 || got[1].Sent != w.now || got[1].Account != w.account {
		t.Errorf("the check's frame is %+v", got[1])
	}
	if got[2].Node != other.Subject() || w.heard != 4 { // the intake's own among them
		t.Errorf("the other's is of %v, %d were heard", got[2].Node, w.heard)
	}
}

// Those who run thousands of checks do so within caps of the checks, not of their own.
func TestChecksHaveCapsOfTheirOwn(t *testing.T) {
	w := newWorld(t, ingest.Options{MaxSources: 5, MaxSeries: 10, MaxDescriptors: 1000})
	checked := func(id muster.CheckID, s *muster.Schema) *muster.Frame {
		w.now++
		f := frame(string(id), s, w.now)
		f.Node = id.Subject()
		return f
	}
	s := schema(t, 8, "a")
	for range 200 {
		if r := w.take(checked(muster.NewCheckID(), s)); len(r.Refused) != 0 || r.Dropped != 0 {
			t.Fatalf("%+v", r)
		}
	}
	if n := len(w.stored()); n != 200 {
		t.Errorf("%d frames of 200 checks are stored", n)
	}
	if r := w.take(frame("host", schema(t, 10, "h"), w.now)); r.Dropped != 0 {
		t.Errorf("the checks took the room of the node: %d metrics are dropped", r.Dropped)
	}
	flood := muster.NewCheckID()
	for i := range 5 {
		w.take(checked(flood, schema(t, 8, fmt.Sprint(i))))
	}
	series := map[string]bool{}
	for _, f := range w.stored() {
		if f.Source == string(flood) {
			for i := range f.Schema.Metrics {
				series[f.Schema.Metrics[i].Name] = true
			}
		}
	}
	if len(series) != 10 {
		t.Errorf("a check that floods has %d series", len(series))
	}
	if r := w.take(checked(muster.NewCheckID(), s)); r.Dropped != 30 { // of the flood, since the agent connected
		t.Errorf("%d metrics are dropped", r.Dropped)
	}
}

// What the server itself finds, as that a job did not call, passes by every clock.
func TestFramesMadeHere(t *testing.T) {
	w := newWorld(t, ingest.Options{})
	s := schema(t, 2, "a")
	w.ahead = 30_000
	w.take(frame("host", s, w.now+w.ahead))
	w.stored()
	notes := len(w.notes)
	for _, node := range []muster.NodeID{{}, w.node} {
		id := muster.NewCheckID()
		f := frame(string(id), s, w.now)
		f.Node = w.node
		r, err := w.in.Take(t.Context(), &ingest.Batch{Account: w.account, Node: node, Sent: w.now, Received: w.now, Here: true, Frames: []*muster.Frame{f}})
		if err != nil || len(r.Refused) != 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		if len(w.store.frames) != 1 || w.store.frames[0].At != w.now || w.store.frames[0].Sent != w.now || w.store.frames[0].Node != w.node {
			t.Errorf("stored %+v", w.store.frames)
		}
		w.stored()
	}
	w.now += 10_000
	if r := w.take(frame("host", s, w.now+w.ahead)); r.ClockOff != 30*time.Second || len(w.notes) != notes {
		t.Errorf("the node's clock is off by %v now, %d more notes", r.ClockOff, len(w.notes)-notes)
	}
}

func TestChecksFromManyConnectionsAtOnce(t *testing.T) {
	in, err := ingest.New(ingest.Options{Store: &fakeStore{}})
	if err != nil {
		t.Fatal(err)
	}
	s := schema(t, 5, "a")
	checks := []muster.CheckID{muster.NewCheckID(), muster.NewCheckID()}
	var wg sync.WaitGroup
	for range 10 { // runners in zones, each with all checks
		node := muster.NewNodeID()
		wg.Go(func() {
			for i := range int64(50) {
				now := 1_700_000_000_000 + i*1000
				b := &ingest.Batch{Node: node, Sent: now, Received: now}
				for _, id := range checks {
					f := frame(string(id)+"@"+node.String(), s, now)
					f.Node = node
					b.Frames = append(b.Frames, f)
				}
				if r, err := in.Take(context.Background(), b); err != nil || len(r.Refused) != 0 {
					t.Error(r, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestManyNodesAtOnce(t *testing.T) {
	store := &fakeStore{}
	in, err := ingest.New(ingest.Options{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	s := schema(t, 5, "a")
	var wg sync.WaitGroup
	for range 20 {
		node := muster.NewNodeID()
		wg.Go(func() {
			for i := range int64(50) {
				now := 1_700_000_000_000 + i*1000
				b := &ingest.Batch{Node: node, Sent: now, Received: now, Frames: []*muster.Frame{frame("host", s, now)}}
				if _, err := in.Take(context.Background(), b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(store.frames); n != 20*(50+1) {
		t.Errorf("stored %d", n)
	}
}

type nowhere struct{}

func (nowhere) Append(context.Context, []*muster.Frame) error { return nil }

func BenchmarkTake(b *testing.B) {
	in, err := ingest.New(ingest.Options{Store: nowhere{}})
	if err != nil {
		b.Fatal(err)
	}
	s := schema(b, 100, "a")
	node := muster.NewNodeID()
	f := frame("host", s, 0)
	values := f.Values
	now := int64(1_700_000_000_000)
	b.ReportAllocs()
	for b.Loop() {
		now += 10_000
		f.At, f.Schema, f.Values = now, s, values
		batch := ingest.Batch{Node: node, Sent: now, Received: now, Frames: []*muster.Frame{f}}
		if _, err := in.Take(context.Background(), &batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "samples/s")
}
