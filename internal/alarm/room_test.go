package alarm_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"muster"
	"muster/internal/alarm"
	"muster/internal/incident"
	"muster/internal/ledger"
	"muster/internal/store"
	"muster/internal/store/pebble"
)

// shardStore fits the store to the ledger.
type shardStore struct{ s *store.Store }

func (d shardStore) TakeShard(ctx context.Context, key ledger.Partition, holder string, epoch uint64) (ledger.Head, error) {
	head, err := d.s.TakeShard(ctx, store.ShardKey(key), holder, epoch)
	return ledger.Head(head), err
}

func (d shardStore) ShardHead(ctx context.Context, key ledger.Partition) (ledger.Head, error) {
	head, err := d.s.ShardHead(ctx, store.ShardKey(key))
	return ledger.Head(head), err
}

func (d shardStore) AppendShard(ctx context.Context, key ledger.Partition, epoch uint64, rows []ledger.Stored) error {
	stored := make([]store.ShardRow, len(rows))
	for i := range rows {
		stored[i] = store.ShardRow(rows[i])
	}
	return d.s.AppendShard(ctx, store.ShardKey(key), epoch, stored)
}

func (d shardStore) ScanShard(ctx context.Context, key ledger.Partition, from uint64, limit int) ([]ledger.Stored, error) {
	stored, err := d.s.ScanShard(ctx, store.ShardKey(key), from, limit)
	rows := make([]ledger.Stored, len(stored))
	for i := range stored {
		rows[i] = ledger.Stored(stored[i])
	}
	return rows, err
}

func (d shardStore) CloseDay(ctx context.Context, key ledger.Partition, epoch uint64) error {
	return d.s.CloseDay(ctx, store.ShardKey(key), epoch)
}

// stream fits the store to the history.
type stream struct{ s *store.Store }

func (h stream) Put(ctx context.Context, account muster.AccountID, rows []alarm.Row) error {
	out := make([]store.EventRow, len(rows))
	for i := range rows {
		out[i] = store.EventRow(rows[i])
	}
	return h.s.PutRows(ctx, account, "incidents", out)
}

func (h stream) Rows(ctx context.Context, account muster.AccountID, before alarm.Row, limit int) ([]alarm.Row, error) {
	rows, err := h.s.RowsBefore(ctx, account, "incidents", store.EventRow(before), limit)
	out := make([]alarm.Row, len(rows))
	for i := range rows {
		out[i] = alarm.Row(rows[i])
	}
	return out, err
}

// house is the watch with a real store and ledger on disk, run as a process is; it can be killed.
type house struct {
	*world
	documents *store.Store
	account   *muster.Account
	killed    atomic.Bool
	book      *ledger.Ledger
	end       func()
}

// mortal is a ledger that a kill parts from its process.
type mortal struct{ h *house }

func (m mortal) Each(shard int, prefix string, fn func(string, []byte)) {
	m.h.book.Each(shard, prefix, fn)
}

func (m mortal) Append(ctx context.Context, shard int, entries []alarm.Entry) error {
	if m.h.killed.Load() {
		return fmt.Errorf("killed: %w", muster.ErrConflict) // the next process has the shard
	}
	out := make([]ledger.Entry, len(entries))
	for i := range entries {
		out[i] = ledger.Entry(entries[i])
	}
	_, err := m.h.book.Append(ctx, shard, out)
	return err
}

func newHouse(t *testing.T) *house {
	t.Helper()
	e, err := pebble.Open(filepath.Join(t.TempDir(), "documents"), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{world: newWorld(t), documents: store.New(e, store.Options{})}
	t.Cleanup(func() {
		if err := h.documents.Close(); err != nil {
			t.Error(err)
		}
	})
	h.account = &muster.Account{Name: "acme", Spread: shards}
	if err := h.documents.CreateAccount(t.Context(), h.account); err != nil {
		t.Fatal(err)
	}
	h.world.account = h.account.ID
	h.start(begin)
	return h
}

var processes atomic.Int64

// start opens ledger and watch as a fresh process does, hears the log from an instant on, and runs.
func (h *house) start(from time.Time) {
	h.t.Helper()
	holder := fmt.Sprintf("process %d", processes.Add(1))
	epochs := make([]uint64, shards)
	for i := range epochs {
		head, err := h.documents.TakeShard(h.context(), store.ShardKey{Shard: i, Domain: "all"}, holder, 0)
		if err != nil {
			h.t.Fatal(err)
		}
		epochs[i] = head.Epoch
	}
	var err error
	h.book, err = ledger.Open(h.context(), shardStore{h.documents}, ledger.Options{
		Shards: shards, Holder: holder, Owns: func(i int) (uint64, bool) { return epochs[i], true }, Now: h.clock, Logger: slog.New(slog.DiscardHandler),
		Keep: func(key string, state []byte, age time.Duration) bool {
			keep, ours := alarm.Keep(key, state, age)
			return keep || !ours
		},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.killed.Store(false)
	o := h.options()
	o.Ledger, o.History, o.SaveEvery, o.Logger = mortal{h}, stream{h.documents}, 20*time.Millisecond, slog.New(slog.DiscardHandler)
	if h.w, err = alarm.Open(h.context(), h.documents, o); err != nil {
		h.t.Fatal(err)
	}
	for _, f := range h.log {
		if !f.at.Before(from) {
			h.w.Heard(shardOf(f.frame.Account, f.frame.Node), []*muster.Frame{f.frame})
		}
	}
	h.caught()
	ctx, cancel := context.WithCancel(h.context())
	done, book := make(chan struct{}), h.book
	go func() { defer close(done); _ = h.w.Run(ctx) }()
	h.end = func() {
		cancel()
		<-done
		if err := book.Close(); err != nil {
			h.t.Error(err)
		}
	}
}

// kill ends the process at once: what it had not written is gone.
func (h *house) kill() {
	h.killed.Store(true)
	h.end()
}

// rows gives all transitions in the shards' logs.
func (h *house) rows() (out []muster.Transition) {
	h.t.Helper()
	for shard := range shards {
		rows, err := h.book.Rows(h.context(), shard, ledger.Position{}, 1_000_000)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, row := range rows {
			if len(row.Transition) == 0 {
				continue
			}
			c, err := incident.DecodeChange(row.Transition)
			if err != nil {
				h.t.Fatal(err)
			}
			if c.Transition != nil {
				out = append(out, *c.Transition)
			}
		}
	}
	return out
}

// until polls.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for begun := time.Now(); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// The whole room over a real ledger and store on disk: processes are killed at any point, and each incident is there once.
func TestWholeRoomThroughKills(t *testing.T) {
	h := newHouse(t)
	const nodes, rounds = 12, 25
	var fleet []*muster.Node
	for i := range nodes {
		fleet = append(fleet, h.node(fmt.Sprintf("node-%d", i)))
	}
	h.alarm(busy(20 * time.Second))
	for round := range rounds {
		for step := range 8 { // four frames that are bad, then four that are well
			h.pass(period)
			for _, n := range fleet {
				h.hear(h.frame(n.ID, map[string]float64{"cpu": []float64{1, 0.1}[step/4]}))
			}
			if rand.IntN(6) == 0 {
				time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
				h.kill()
				h.start(begin) // minutes pass here in milliseconds, so what was not saved in time may be old
			}
		}
		if round%4 == 3 { // or transitions were taken back, which wait for too slow a disk
			until(t, "what waits is written", func() bool { return h.w.Waiting() == 0 })
		}
		if round == rounds/2 {
			h.end() // a clean stop
			h.start(h.clock())
		}
	}
	until(t, "everything is written", func() bool { return len(h.rows()) >= 2*nodes*rounds })
	seen, per := map[string]bool{}, map[muster.NodeID][]muster.AlarmState{}
	for _, tr := range h.rows() {
		if seen[tr.ID] {
			t.Fatalf("the transition %s is there twice", tr.ID)
		}
		seen[tr.ID] = true
		per[tr.Subject] = append(per[tr.Subject], tr.To)
	}
	for _, n := range fleet {
		if len(per[n.ID]) != 2*rounds {
			t.Errorf("%s has %d transitions, want %d", n.Name, len(per[n.ID]), 2*rounds)
		}
		for i, to := range per[n.ID] {
			if want := []muster.AlarmState{muster.AlarmFiring, muster.AlarmOK}[i%2]; to != want {
				t.Fatalf("%s: transition %d goes to %s", n.Name, i, to)
			}
		}
	}
	h.past(nodes * rounds)
	h.end()
}

// past reads all incidents page by page, and one by one.
func (h *house) past(want int) {
	t := h.t
	t.Helper()
	until(t, "the history is complete", func() bool {
		rows, err := h.documents.RowsBefore(h.context(), h.account.ID, "incidents", store.EventRow{}, 1000)
		resolved := 0
		for _, row := range rows {
			if in, err := incident.Decode(row.Body); err == nil && in.State == muster.IncidentResolved {
				resolved++
			}
		}
		return err == nil && resolved == want
	})
	seen := map[muster.IncidentID]bool{}
	for next := ""; ; {
		list, more, err := h.w.Incidents(h.context(), h.account.ID, alarm.IncidentFilter{State: muster.IncidentResolved, Before: next, Limit: 17})
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range list {
			if seen[in.ID] {
				t.Fatalf("%s is listed twice", in.ID)
			}
			seen[in.ID] = true
			one, err := h.w.Incident(h.context(), h.account.ID, in.ID)
			if err != nil || one.Title != in.Title || one.Account != h.account.ID {
				t.Fatalf("%s: %+v, %v", in.ID, one, err)
			}
		}
		if next = more; next == "" {
			break
		}
	}
	if len(seen) != want {
		t.Errorf("%d incidents are listed, want %d", len(seen), want)
	}
}

// What people do is written in the same order as what is judged, and waits for it.
func TestWhatPeopleDo(t *testing.T) {
	h := newHouse(t)
	n := h.node("web-1")
	h.alarm(busy(0))
	open := func() []*muster.Incident {
		list, _, err := h.w.Incidents(h.context(), h.account.ID, alarm.IncidentFilter{Open: true})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	h.pass(period)
	h.hear(h.frame(n.ID, map[string]float64{"cpu": 1}))
	until(t, "an incident", func() bool { return len(open()) == 1 })
	id := open()[0].ID
	for range 2 {
		in, err := h.w.Acknowledge(t.Context(), h.account.ID, id, "user_x")
		if err != nil || in.State != muster.IncidentAcknowledged || in.AcknowledgedBy != "user_x" {
			t.Fatalf("%+v, %v", in, err)
		}
	}
	in, err := h.w.Comment(t.Context(), h.account.ID, id, muster.Comment{By: "user_x", Name: "Ada", Text: "on it"})
	if err != nil || len(in.Comments) != 1 {
		t.Fatalf("%+v, %v", in, err)
	}
	h.kill()
	h.start(begin)
	if opened, taken, worst := h.w.OpenCount(h.account.ID); opened != 0 || taken != 1 || worst != muster.LevelCritical {
		t.Errorf("%d open, %d acknowledged, worst %s after a kill", opened, taken, worst)
	}
	for range 2 { // recovers after ten seconds
		h.pass(period)
		h.hear(h.frame(n.ID, map[string]float64{"cpu": 0}))
	}
	until(t, "it is over", func() bool { return len(open()) == 0 })
	_, err = h.w.Acknowledge(t.Context(), h.account.ID, id, "user_x")
	isKind(t, err, muster.ErrConflict)
	if in, err = h.w.Comment(t.Context(), h.account.ID, id, muster.Comment{By: "user_x", Text: "it was the cat"}); err != nil || len(in.Comments) != 2 {
		t.Errorf("a comment afterwards: %+v, %v", in, err)
	}
	_, err = h.w.Comment(t.Context(), h.account.ID, "incident_01h455vb4pex5vsknk084sn02q", muster.Comment{Text: "x"})
	isKind(t, err, muster.ErrNotFound)
	_, err = h.w.Acknowledge(t.Context(), muster.NewAccountID(), id, "user_x")
	isKind(t, err, muster.ErrNotFound)
	for range 2 {
		if err := h.w.Trouble(t.Context(), h.account.ID, "channel/1", "could not deliver to pager", "timed out for 10 min"); err != nil {
			t.Fatal(err)
		}
	}
	list := open()
	if len(list) != 1 || list[0].Title != "Muster · could not deliver to pager" || list[0].Subject != alarm.TroubleSubject(h.account.ID, "channel/1") {
		t.Fatalf("%+v", list)
	}
	for range 2 {
		if err := h.w.TroubleOver(t.Context(), h.account.ID, "channel/1", "it takes messages again"); err != nil {
			t.Fatal(err)
		}
	}
	if len(open()) != 0 {
		t.Error("trouble is not over")
	}
	h.end()
	_, err = h.w.Comment(t.Context(), h.account.ID, id, muster.Comment{Text: "too late"})
	isKind(t, err, muster.ErrUnavailable)
}
