package alarm_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"muster"
	"muster/internal/alarm"
	"muster/internal/incident"
)

// world is a watch over fakes, with one account and a clock that only tests move.
type world struct {
	t       testing.TB
	account muster.AccountID
	store   *fakeStore
	fleet   *fakeFleet
	ledger  *fakeLedger
	history *fakeHistory
	w       *alarm.Watch

	mu      sync.Mutex
	now     time.Time
	mayNot  bool
	gone    muster.ChannelID // that there is none of
	changed []*muster.Incident
	lines   []muster.Event
	log     []heard // every frame that was ever durable
}

type heard struct {
	at    time.Time // when
	frame *muster.Frame
}

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const shards = 4

func shardOf(_ muster.AccountID, subject muster.NodeID) int { return int(subject[15]) % shards }

func newWorld(t testing.TB) *world {
	w := &world{t: t, account: muster.NewAccountID(), now: begin}
	w.store = &fakeStore{account: w.account, alarms: map[muster.AlarmID]*muster.Alarm{}, once: map[string]bool{}}
	w.fleet = &fakeFleet{nodes: map[muster.NodeID]*muster.Node{}, checks: map[muster.CheckID]*muster.Check{}, seen: map[muster.NodeID]time.Time{}}
	w.ledger = &fakeLedger{states: map[string][]byte{}}
	w.history = &fakeHistory{rows: map[string]alarm.Row{}}
	w.open()
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) options() alarm.Options {
	return alarm.Options{
		Ledger: w.ledger, Fleet: w.fleet, History: w.history, Shards: shards, ShardOf: shardOf, Now: w.clock,
		HasChannel: func(account muster.AccountID, id muster.ChannelID) bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return account == w.account && id != w.gone
		},
		MayJudge: func() bool { w.mu.Lock(); defer w.mu.Unlock(); return !w.mayNot },
		Changed: func(_ muster.AccountID, in *muster.Incident) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.changed = append(w.changed, in)
		},
		Tell: func(_ context.Context, e muster.Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.lines = append(w.lines, e)
		},
	}
}

// open opens the watch as a fresh process would.
func (w *world) open() {
	w.t.Helper()
	var err error
	if w.w, err = alarm.Open(w.context(), w.store, w.options()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) context() context.Context { return context.Background() }

// crash loses what was not written, opens again and hears the log from an instant on.
func (w *world) crash(from time.Time) {
	w.open()
	for _, h := range w.log {
		if !h.at.Before(from) {
			w.w.Heard(shardOf(h.frame.Account, h.frame.Node), []*muster.Frame{h.frame})
		}
	}
	w.caught()
}

func (w *world) caught() {
	for s := range shards {
		w.w.Caught(s)
	}
}

// tick lets time pass in seconds, as Run does, and writes what comes of it.
func (w *world) tick(d time.Duration) {
	for range d / time.Second {
		w.pass(time.Second)
		w.w.Tick()
		w.w.Flush(w.context(), w.clock().Second()%10 == 0)
	}
}

func (w *world) hear(f *muster.Frame) {
	w.mu.Lock()
	w.log = append(w.log, heard{w.now, f})
	w.mu.Unlock()
	w.w.Heard(shardOf(f.Account, f.Node), []*muster.Frame{f})
}

func (w *world) node(name string) *muster.Node {
	n := &muster.Node{ID: muster.NewNodeID(), Account: w.account, Name: name, AgentKey: []byte(name), Period: 10 * time.Second, CreatedAt: w.clock()}
	w.fleet.setNode(n)
	return n
}

func (w *world) check(name string, node muster.NodeID) *muster.Check {
	c := &muster.Check{ID: muster.NewCheckID(), Account: w.account, Name: name, Kind: "http", Node: node, Period: 10 * time.Second, Enabled: true}
	w.fleet.setCheck(c)
	return c
}

func (w *world) alarm(a *muster.Alarm) *muster.Alarm {
	w.t.Helper()
	a.Enabled = true
	a.Level = cmp.Or(a.Level, muster.LevelCritical)
	made, err := w.w.Create(w.context(), alarm.Edit{Account: w.account, Actor: "user_x"}, a)
	if err != nil {
		w.t.Fatal(err)
	}
	return made
}

// schemas are shared, as gateways do.
var schemas sync.Map

func schemaOf(t testing.TB, metrics []muster.Metric) *muster.Schema {
	t.Helper()
	key := fmt.Sprintf("%v", metrics)
	if s, ok := schemas.Load(key); ok {
		return s.(*muster.Schema)
	}
	s, err := muster.NewSchema(metrics)
	if err != nil {
		t.Fatal(err)
	}
	schemas.Store(key, s)
	return s
}

func gauge(name string, attrs ...string) muster.Metric {
	m := muster.Metric{Name: name, Unit: "1", Kind: muster.Gauge}
	for i := 0; i < len(attrs); i += 2 {
		m.Attrs = append(m.Attrs, muster.Attr{Key: attrs[i], Value: attrs[i+1]})
	}
	return m
}

// frame makes one of a node's host, measured now.
func (w *world) frame(node muster.NodeID, values map[string]float64) *muster.Frame {
	var metrics []muster.Metric
	var v []float64
	for _, name := range slices.Sorted(maps.Keys(values)) {
		metric, mount, _ := strings.Cut(name, "@")
		m := gauge(metric)
		if mount != "" {
			m = gauge(metric, "system.filesystem.mountpoint", mount)
		}
		if strings.HasSuffix(metric, ".count") {
			m.Kind, m.Unit = muster.Counter, "By"
		}
		metrics, v = append(metrics, m), append(v, values[name])
	}
	at := w.clock().UnixMilli()
	return &muster.Frame{Account: w.account, Node: node, Source: muster.HostSource, At: at, Sent: at, Schema: schemaOf(w.t, metrics), Values: v}
}

// result makes the frame of a check's run.
func (w *world) result(c *muster.Check, status float64, note string) *muster.Frame {
	m := gauge(muster.CheckStatusMetric, muster.CheckAttr, string(c.ID), muster.ZoneAttr, muster.LocalZone)
	m.Unit = ""
	at := w.clock().UnixMilli()
	f := &muster.Frame{Account: w.account, Node: c.Subject(), Source: c.Source(muster.LocalZone), At: at, Sent: at, Schema: schemaOf(w.t, []muster.Metric{m}), Values: []float64{status}}
	if note != "" && status > 0 {
		f.Note = []byte(fmt.Sprintf(`{"e":%q}`, note))
	} else if note != "" {
		f.Note = []byte(fmt.Sprintf(`{"s":%q}`, note))
	}
	return f
}

// news gives what was told since the last call, in words.
func (w *world) news() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, in := range w.changed {
		out = append(out, fmt.Sprintf("%s %s %s: %d open", in.State, in.Level, in.Title, len(in.Open)))
	}
	w.changed = nil
	return out
}

func (w *world) expect(want ...string) {
	w.t.Helper()
	if got := w.news(); !slices.Equal(got, want) {
		w.t.Errorf("told:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// fakeStore keeps documents.
type fakeStore struct {
	mu      sync.Mutex
	account muster.AccountID
	alarms  map[muster.AlarmID]*muster.Alarm
	once    map[string]bool
	fail    error
}

func (s *fakeStore) Accounts(context.Context) ([]*muster.Account, error) {
	return []*muster.Account{{ID: s.account}}, s.fail
}

func (s *fakeStore) Alarms(context.Context, muster.AccountID) (out []*muster.Alarm, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.alarms {
		copied := *a
		out = append(out, &copied)
	}
	return out, s.fail
}

func (s *fakeStore) taken(name string, by muster.AlarmID) bool {
	for _, a := range s.alarms {
		if strings.EqualFold(a.Name, name) && a.ID != by {
			return true
		}
	}
	return false
}

func (s *fakeStore) CreateAlarm(_ context.Context, a *muster.Alarm) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alarms[a.ID] != nil || s.taken(a.Name, a.ID) {
		return fmt.Errorf("store: create: %w: name", muster.ErrConflict)
	}
	a.Rev = 1
	copied := *a
	s.alarms[a.ID] = &copied
	return s.fail
}

func (s *fakeStore) UpdateAlarm(_ context.Context, _ muster.AccountID, id muster.AlarmID, rev uint64, change func(*muster.Alarm) error) (*muster.Alarm, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.alarms[id]
	if a == nil {
		return nil, fmt.Errorf("store: update: %w", muster.ErrNotFound)
	}
	if rev != 0 && rev != a.Rev {
		return nil, fmt.Errorf("store: update: %w", muster.ErrConflict)
	}
	next := *a
	if err := change(&next); err != nil {
		return nil, err
	}
	next.Rev++
	s.alarms[id] = &next
	copied := next
	return &copied, s.fail
}

func (s *fakeStore) DeleteAlarm(_ context.Context, _ muster.AccountID, id muster.AlarmID, _ uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alarms[id] == nil {
		return fmt.Errorf("store: delete: %w", muster.ErrNotFound)
	}
	delete(s.alarms, id)
	return s.fail
}

func (s *fakeStore) Once(_ context.Context, _ muster.AccountID, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.once[key] {
		return nil, fmt.Errorf("store: once: %w", muster.ErrNotFound)
	}
	return []byte("made"), nil
}

func (s *fakeStore) PutOnce(_ context.Context, _ muster.AccountID, key string, _ []byte, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.once[key] = true
	return nil
}

// fakeFleet is who is watched.
type fakeFleet struct {
	mu     sync.Mutex
	nodes  map[muster.NodeID]*muster.Node
	checks map[muster.CheckID]*muster.Check
	seen   map[muster.NodeID]time.Time
}

func (f *fakeFleet) setNode(n *muster.Node)   { f.mu.Lock(); defer f.mu.Unlock(); f.nodes[n.ID] = n }
func (f *fakeFleet) setCheck(c *muster.Check) { f.mu.Lock(); defer f.mu.Unlock(); f.checks[c.ID] = c }

func (f *fakeFleet) Node(_ muster.AccountID, id muster.NodeID) *muster.Node {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nodes[id]
}

func (f *fakeFleet) Nodes(muster.AccountID) []*muster.Node {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Values(f.nodes))
}

func (f *fakeFleet) Seen(_ muster.AccountID, id muster.NodeID) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[id]
}

func (f *fakeFleet) Check(_ muster.AccountID, id muster.CheckID) *muster.Check {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.checks[id]
}

// fakeLedger keeps states and the log of what happened.
type fakeLedger struct {
	mu      sync.Mutex
	states  map[string][]byte // shard and key
	entries []alarm.Entry
	fail    error
	refuse  func([]alarm.Entry) error // asked for each append; nil: nothing is refused
}

func stateKey(shard int, key string) string { return fmt.Sprintf("%d %s", shard, key) }

func (l *fakeLedger) Each(shard int, prefix string, fn func(string, []byte)) {
	l.mu.Lock()
	states := maps.Clone(l.states)
	l.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(states)) {
		if rest, ok := strings.CutPrefix(key, stateKey(shard, "")); ok && strings.HasPrefix(rest, prefix) {
			fn(rest, states[key])
		}
	}
}

func (l *fakeLedger) Append(_ context.Context, shard int, entries []alarm.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	if l.refuse != nil {
		if err := l.refuse(entries); err != nil {
			return err
		}
	}
	for _, e := range entries {
		l.states[stateKey(shard, e.Key)] = bytes.Clone(e.State)
		if e.State == nil {
			delete(l.states, stateKey(shard, e.Key))
		}
		l.entries = append(l.entries, e)
	}
	return nil
}

func (l *fakeLedger) setFail(err error) { l.mu.Lock(); defer l.mu.Unlock(); l.fail = err }

// transitions gives all transitions that were ever written, in order.
func (l *fakeLedger) transitions(t testing.TB) (out []muster.Transition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if e.Transition == nil {
			continue
		}
		c, err := incident.DecodeChange(e.Transition)
		if err != nil {
			t.Fatal(err)
		}
		if c.Transition != nil {
			out = append(out, *c.Transition)
		}
	}
	return out
}

// fakeHistory keeps incidents for looking back.
type fakeHistory struct {
	mu   sync.Mutex
	rows map[string]alarm.Row
	fail error
}

func (h *fakeHistory) Put(_ context.Context, _ muster.AccountID, rows []alarm.Row) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range rows {
		if h.fail == nil {
			h.rows[r.ID] = r
		}
	}
	return h.fail
}

func (h *fakeHistory) Rows(_ context.Context, _ muster.AccountID, before alarm.Row, limit int) (out []alarm.Row, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.rows {
		if before.ID == "" || r.At < before.At || r.At == before.At && r.ID < before.ID {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(x, y alarm.Row) int { return cmp.Or(cmp.Compare(y.At, x.At), cmp.Compare(y.ID, x.ID)) })
	return out[:min(len(out), limit)], h.fail
}

var errAway = fmt.Errorf("ledger: %w: away", muster.ErrUnavailable)

func isKind(t testing.TB, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error %v, want one that wraps %v", err, kind)
	}
}
