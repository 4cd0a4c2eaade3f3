package roster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/roster"
	"muster/internal/telemetry"
)

// world is a roster over a fake store and fake series, with one account.
type world struct {
	t       testing.TB
	store   *fakeStore
	series  *fakeSeries
	account muster.AccountID
	options roster.Options
	r       *roster.Roster

	mu      sync.Mutex
	changes []roster.Change
	sent    []string // what runners were told
	deaf    bool     // runners don't get what they are told
	mayNot  bool     // silence means nothing
	noNode  map[muster.NodeID]bool
	once    func(check.Assignment) (muster.Result, error)
	names   map[string]string // of ids, for reading
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, account: muster.NewAccountID(), series: &fakeSeries{}, noNode: map[muster.NodeID]bool{}, names: map[string]string{}}
	w.store = newFakeStore(w.account)
	w.options = roster.Options{
		Kinds:   map[string]check.Kind{"http": fakeKind{"http"}, "tcp": fakeKind{"tcp"}},
		Send:    w.send,
		RunOnce: w.runOnce,
		Deliver: w.deliver,
		History: w.series.past,
		HasNode: func(_ muster.AccountID, id muster.NodeID) bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return !w.noNode[id]
		},
		MayJudge:  func() bool { w.mu.Lock(); defer w.mu.Unlock(); return !w.mayNot },
		Changed:   func(c roster.Change) { w.mu.Lock(); defer w.mu.Unlock(); w.changes = append(w.changes, c) },
		Telemetry: telemetry.New(),
	}
	w.reopen()
	return w
}

// reopen is what a restart does.
func (w *world) reopen() {
	w.t.Helper()
	w.options.Telemetry = telemetry.New()
	r, err := roster.Open(context.Background(), w.store, w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	w.r = r
}

// run starts the loop; the returned func ends it and waits.
func (w *world) run() func() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	r := w.r
	go func() { defer close(done); _ = r.Run(ctx) }()
	return func() { cancel(); <-done }
}

// flush saves what waits.
func (w *world) flush() { w.run()() }

func (w *world) deliver(_ context.Context, frames []*muster.Frame) error {
	if err := w.series.add(frames); err != nil {
		return err
	}
	w.r.Observe(frames)
	return nil
}

func (w *world) runOnce(_ context.Context, account muster.AccountID, runner muster.NodeID, a check.Assignment) (muster.Result, error) {
	if account != w.account {
		w.t.Error("a run for another account")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.once(a)
}

func (w *world) send(account muster.AccountID, runner muster.NodeID, add []check.Assignment, remove []muster.CheckID, replace bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deaf {
		return false
	}
	var parts []string
	if replace {
		parts = append(parts, "replace")
	}
	for _, a := range add {
		parts = append(parts, fmt.Sprintf("+%s(%s %s %s/%s)", a.Check, a.Kind, a.Zone, a.Period, a.Timeout))
	}
	for _, id := range remove {
		parts = append(parts, "-"+string(id))
	}
	w.sent = append(w.sent, runner.String()+": "+strings.Join(parts, " "))
	return true
}

func (w *world) name(id string) string {
	if n := w.names[id]; n != "" {
		return n
	}
	return id
}

// told gives what runners were told since the last call.
func (w *world) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.sent
	w.sent = nil
	for i := range out {
		for id, name := range w.names {
			out[i] = strings.ReplaceAll(out[i], id, name)
		}
	}
	return out
}

func (w *world) changed() []roster.Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.changes
	w.changes = nil
	return out
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func web(name string) *muster.Check {
	return &muster.Check{Name: name, Kind: "http", Config: []byte(`{"url":"https://` + name + `.example/"}`), Enabled: true}
}

func (w *world) edit(id muster.CheckID) roster.Edit {
	return roster.Edit{Account: w.account, ID: id, Actor: "user_x"}
}

// create makes a check and remembers its name.
func (w *world) create(c *muster.Check) *muster.Check {
	w.t.Helper()
	row, err := w.r.Create(context.Background(), w.edit(""), c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.set(func() { w.names[string(row.Check.ID)] = row.Check.Name })
	return row.Check
}

func (w *world) update(id muster.CheckID, change func(*muster.Check)) *muster.Check {
	w.t.Helper()
	row, err := w.r.Update(context.Background(), w.edit(id), func(c *muster.Check) error { change(c); return nil })
	if err != nil {
		w.t.Fatal(err)
	}
	return row.Check
}

func (w *world) get(id muster.CheckID) roster.Row {
	w.t.Helper()
	row, err := w.r.Get(w.account, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return row
}

// run1 is one run of a check, as a runner would tell of it.
type run1 struct {
	zone   string
	at     time.Time
	status muster.CheckStatus
	took   time.Duration
	code   float64 // of the metric http.response.status_code; 0: there is none
	note   *check.Note
}

// frame makes the frame of a run.
func frame(t testing.TB, c *muster.Check, run run1) *muster.Frame {
	t.Helper()
	if run.zone == "" {
		run.zone = muster.LocalZone
	}
	attrs := []muster.Attr{{Key: muster.CheckAttr, Value: string(c.ID)}, {Key: muster.ZoneAttr, Value: run.zone}}
	metrics := []muster.Metric{
		{Name: muster.CheckStatusMetric, Unit: "1", Kind: muster.Gauge, Attrs: attrs},
		{Name: muster.CheckDurationMetric, Unit: "s", Kind: muster.Gauge, Attrs: attrs},
	}
	values := []float64{run.status.Number(), run.took.Seconds()}
	if run.code > 0 {
		metrics = append(metrics, muster.Metric{Name: "http.response.status_code", Unit: "1", Kind: muster.Gauge, Attrs: attrs})
		values = append(values, run.code)
	}
	schema, err := muster.NewSchema(metrics)
	if err != nil {
		t.Fatal(err)
	}
	f := &muster.Frame{
		Account: c.Account, Node: c.Subject(), Source: c.Source(run.zone), At: run.at.UnixMilli(), Sent: run.at.UnixMilli(), Schema: schema, Values: values,
	}
	if run.note != nil {
		f.Note = run.note.Marshal()
	}
	return f
}

// hear lets a run become durable.
func (w *world) hear(c *muster.Check, run run1) {
	w.t.Helper()
	if run.at.IsZero() {
		run.at = time.Now()
	}
	if err := w.deliver(context.Background(), []*muster.Frame{frame(w.t, c, run)}); err != nil {
		w.t.Fatal(err)
	}
}

// body reads a stored text.
func body(t testing.TB, row roster.StoredRow) (out struct {
	Status   string
	Since    int64
	Summary  string
	Class    string
	Error    string
	Evidence map[string]string
	Metrics  []string
}) {
	t.Helper()
	if err := json.Unmarshal(row.Body, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
