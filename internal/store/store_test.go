package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"muster"
	"muster/internal/store"
	"muster/internal/store/storetest"
	"muster/internal/telemetry"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

var home = muster.AccountID{0x01, 0x8f, 15: 0xaa}

func key(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

func newStore(engine store.Engine, clock *storetest.Clock) *store.Store {
	return store.New(engine, store.Options{Now: clock.Now, Telemetry: telemetry.New()})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Bodies are what an operator reads and what a newer program must still read.
func TestBodies(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	engine := storetest.NewMemory(clock.Now)
	s := newStore(engine, clock)
	ctx := t.Context()
	nodeID := muster.NodeID{0x01, 0x8f, 15: 0xbb}
	check(t, s.CreateAccount(ctx, &muster.Account{ID: home, Name: "Home", Spread: 64, Retention: "standard"}))
	check(t, s.CreateUser(ctx, &muster.User{ID: "user_1", Account: home, Name: "Ada", Role: muster.Admin, PasswordHash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$a2V5"}))
	check(t, s.CreateToken(ctx, &muster.Token{ID: "token_1", Account: home, Name: "ci", Role: muster.Observer, SecretHash: key(1), LastUsedAt: clock.Now()}))
	check(t, s.CreateEnrollment(ctx, &muster.Enrollment{ID: "enrollment_1", Account: home, SecretHash: key(2), UsesLeft: 1, ExpiresAt: clock.Now().Add(time.Hour)}))
	check(t, s.CreateNode(ctx, &muster.Node{
		ID: nodeID, Account: home, Name: "Web1", Hostname: "web1.example", Addresses: []string{"192.0.2.1"}, Tags: []string{"env=prod", "web"}, Star: true,
		Colour: "teal", Notes: "by the <door>", Facts: map[string]string{"os.type": "linux"}, AgentKey: key(3), AgentVersion: "1.0", Period: 10 * time.Second,
		Farewell: muster.Farewell{Reason: muster.FarewellStop, At: clock.Now()},
	}))
	check(t, s.CreateCheck(ctx, &muster.Check{
		ID: "check_1", Account: home, Name: "Site", Kind: "http", Node: nodeID, Config: []byte(`{"url":"https://example.org/?<a>"}`), Target: "https://example.org/",
		Period: 10 * time.Second, Timeout: 5 * time.Second, Zones: []string{"local"}, Enabled: true,
	}))
	check(t, s.CreateAlarm(ctx, &muster.Alarm{
		ID: "alarm_1", Account: home, Name: "Memory", Query: "tag:web", Metric: "system.memory.utilization", Attrs: map[string]string{"system.memory.state": "used"},
		Condition: &muster.Condition{Fn: muster.FnForecast, Within: time.Hour, Op: ">", Value: 0.95, For: 5 * time.Minute, Recover: muster.Recovery{Op: "<", Value: 0.9, For: 2 * time.Minute}},
		NoData:    muster.NoData{After: time.Minute, Is: muster.NoDataKeep}, Level: muster.LevelCritical, Channels: []muster.ChannelID{"channel_1"}, Enabled: true, BuiltIn: "memory",
	}))
	check(t, s.CreateChannel(ctx, &muster.Channel{ID: "channel_1", Account: home, Name: "Ops", Kind: "webhook", Config: []byte(`{"url":"https://example.org/"}`), Sealed: key(4), Default: true, Fallback: "channel_2"}))
	check(t, s.CreateSuppression(ctx, &muster.Suppression{
		ID: "suppression_1", Account: home, Name: "Nights", Query: "*", Node: nodeID, From: clock.Now(), Length: 8 * time.Hour, Rule: "FREQ=DAILY", Zone: "Europe/Berlin", Reason: "backups", By: "user_1",
	}))
	check(t, s.PutOnce(ctx, home, "POST /v1/nodes abc", []byte("answer"), time.Hour))
	check(t, s.PutSecret(ctx, "ca", []byte("value")))
	_, err := s.Shards(ctx, 64)
	check(t, err)
	check(t, s.AppendEvents(ctx, []muster.Event{{ID: "event_1", Account: home, At: clock.Now(), Kind: "node.joined", Actor: "agent", Subject: nodeID.String(), Name: "Web1", Text: "joined"}}))

	var got strings.Builder
	for _, k := range []store.Key{
		{Kind: "account", ID: home.String()}, {Account: home, Kind: "user", ID: "user_1"}, {Account: home, Kind: "token", ID: "token_1"},
		{Account: home, Kind: "enrollment", ID: "enrollment_1"}, {Account: home, Kind: "node", ID: nodeID.String()},
		{Kind: "name.user", ID: "ada"}, {Account: home, Kind: "name.node", ID: "web1"}, {Kind: "name.agent_key", ID: fmt.Sprintf("%x", key(3))},
		{Kind: "name.token", ID: fmt.Sprintf("%x", key(1))}, {Kind: "name.enrollment", ID: fmt.Sprintf("%x", key(2))},
		{Account: home, Kind: "check", ID: "check_1"}, {Account: home, Kind: "alarm", ID: "alarm_1"}, {Account: home, Kind: "channel", ID: "channel_1"},
		{Account: home, Kind: "suppression", ID: "suppression_1"}, {Account: home, Kind: "name.check", ID: "site"},
		{Account: home, Kind: "once", ID: "POST /v1/nodes abc"}, {Kind: "secret", ID: "ca"}, {Kind: "layout", ID: "shards"},
	} {
		object, err := engine.Get(ctx, k, true)
		check(t, err)
		fmt.Fprintf(&got, "%s\n%s\n\n", describe(k), indented(t, object.Body))
	}
	rows, err := engine.ListEvents(ctx, home, "changelog", store.EventRow{At: 1 << 60}, 1)
	check(t, err)
	fmt.Fprintf(&got, "event %s\n%s\n", rows[0].ID, indented(t, rows[0].Body))
	golden(t, "bodies.golden", got.String())
}

func describe(k store.Key) string {
	if k.Account.IsZero() {
		return fmt.Sprintf("- %s %s", k.Kind, k.ID)
	}
	return fmt.Sprintf("%s %s %s", k.Account, k.Kind, k.ID)
}

func indented(t *testing.T, body []byte) string {
	t.Helper()
	var out bytes.Buffer
	check(t, json.Indent(&out, body, "", "  "))
	return out.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		check(t, os.WriteFile(path, []byte(got), 0o600))
	}
	wanted, err := os.ReadFile(path)
	check(t, err)
	if got != string(wanted) {
		t.Fatalf("%s has changed: what is stored must be read for ever, describe it in docs/format/store.md\ngot:\n%s\nwant:\n%s", name, got, wanted)
	}
}

// script is an engine whose Swap can be told what to do.
type script struct {
	store.Engine
	swap func(key store.Key, next store.Object, do func() (bool, store.Object, error)) (bool, store.Object, error)
}

func (s *script) Swap(ctx context.Context, key store.Key, next store.Object, ttl time.Duration) (bool, store.Object, error) {
	do := func() (bool, store.Object, error) { return s.Engine.Swap(ctx, key, next, ttl) }
	if s.swap == nil {
		return do()
	}
	return s.swap(key, next, do)
}

var errTimeout = fmt.Errorf("%w: timed out", muster.ErrUnavailable)

// A name whose maker died before its object was there is respected for a while, then anybody's.
func TestAnAbandonedReservationIsTakenOver(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	engine := &script{Engine: storetest.NewMemory(clock.Now)}
	s := newStore(engine, clock)
	died := errors.New("the process died")
	engine.swap = func(key store.Key, _ store.Object, do func() (bool, store.Object, error)) (bool, store.Object, error) {
		if key.Kind == "node" {
			return false, store.Object{}, fmt.Errorf("%w: %w", muster.ErrUnavailable, died)
		}
		return do()
	}
	ended, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := s.CreateNode(ended, &muster.Node{Account: home, Name: "web1"}); !errors.Is(err, muster.ErrUnavailable) {
		t.Fatalf("a creation that died: %v", err)
	}
	engine.swap = nil
	if _, err := s.NodeByName(t.Context(), home, "web1"); !errors.Is(err, muster.ErrNotFound) {
		t.Fatalf("a reservation without an object is read as a node: %v", err)
	}
	if err := s.CreateNode(t.Context(), &muster.Node{Account: home, Name: "web1"}); !errors.Is(err, muster.ErrConflict) {
		t.Fatalf("a fresh reservation was taken over: %v", err)
	}
	clock.Move(time.Minute)
	n := &muster.Node{Account: home, Name: "web1"}
	check(t, s.CreateNode(t.Context(), n))
	if got, err := s.NodeByName(t.Context(), home, "web1"); err != nil || got.ID != n.ID {
		t.Fatalf("web1 is %v, %v", got, err)
	}
	if all, err := s.Nodes(t.Context(), home); err != nil || len(all) != 1 {
		t.Fatalf("there are %d nodes, %v", len(all), err)
	}
}

// A maker that slept so long that its reservation was taken over undoes what it made.
func TestASlowMakerLosesItsName(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	engine := &script{Engine: storetest.NewMemory(clock.Now)}
	s, other := newStore(engine, clock), newStore(engine.Engine, clock)
	winner := &muster.Node{Account: home, Name: "web1"}
	engine.swap = func(key store.Key, _ store.Object, do func() (bool, store.Object, error)) (bool, store.Object, error) {
		if key.Kind == "node" && winner.Rev == 0 {
			clock.Move(time.Minute)
			check(t, other.CreateNode(t.Context(), winner))
		}
		return do()
	}
	slow := &muster.Node{Account: home, Name: "web1"}
	if err := s.CreateNode(t.Context(), slow); !errors.Is(err, muster.ErrConflict) {
		t.Fatalf("the slow one was told %v", err)
	}
	if _, err := s.Node(t.Context(), home, slow.ID); !errors.Is(err, muster.ErrNotFound) {
		t.Errorf("its node is still there: %v", err)
	}
	if got, err := s.NodeByName(t.Context(), home, "web1"); err != nil || got.ID != winner.ID {
		t.Errorf("web1 is %v, %v", got, err)
	}

	renamed := &muster.Node{Account: home, Name: "db1"}
	check(t, s.CreateNode(t.Context(), renamed))
	winner = &muster.Node{Account: home, Name: "db2"}
	if _, err := s.UpdateNode(t.Context(), home, renamed.ID, 0, func(n *muster.Node) error { n.Name = "db2"; return nil }); !errors.Is(err, muster.ErrConflict) {
		t.Fatalf("the slow rename was told %v", err)
	}
	if got, err := s.Node(t.Context(), home, renamed.ID); err != nil || got.Name != "db1" {
		t.Errorf("after the lost rename: %+v, %v", got, err)
	}
	if got, err := s.NodeByName(t.Context(), home, "db1"); err != nil || got.ID != renamed.ID {
		t.Errorf("db1 is %v, %v", got, err)
	}
}

// A change that took place although it was said to have failed is not made again.
func TestAnUnknownOutcomeIsLookedUp(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	engine := &script{Engine: storetest.NewMemory(clock.Now)}
	s, other := newStore(engine, clock), newStore(engine.Engine, clock)
	n := &muster.Node{Account: home, Name: "web1", Notes: "."}
	check(t, s.CreateNode(t.Context(), n))
	grow := func(n *muster.Node) error { n.Notes += "."; return nil }

	overtaken := 0 // by how many changes of others before the outcome is looked up
	engine.swap = func(_ store.Key, _ store.Object, do func() (bool, store.Object, error)) (bool, store.Object, error) {
		if done, _, err := do(); err != nil || !done {
			t.Errorf("the swap itself: %v, %v", done, err)
		}
		for range overtaken {
			_, err := other.UpdateNode(t.Context(), home, n.ID, 0, func(n *muster.Node) error { n.Star = !n.Star; return nil })
			check(t, err)
		}
		return false, store.Object{}, errTimeout
	}
	dots := 1
	for _, overtaken = range []int{0, 1, store.RecentOps} {
		_, err := s.UpdateNode(t.Context(), home, n.ID, 0, grow)
		check(t, err)
		dots++
	}
	overtaken = store.RecentOps + 1
	_, err := s.UpdateNode(t.Context(), home, n.ID, 0, grow)
	if !errors.Is(err, muster.ErrUnavailable) || errors.Is(err, muster.ErrConflict) {
		t.Errorf("an outcome that nobody can tell any more was told as %v", err)
	}
	dots++
	if got, err := other.Node(t.Context(), home, n.ID); err != nil || len(got.Notes) != dots {
		t.Fatalf("%d changes show as %d dots, %v", dots, len(got.Notes), err)
	}
}

func TestAnUnreadableObjectDoesNotHideTheOthers(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	engine := storetest.NewMemory(clock.Now)
	var log bytes.Buffer
	s := store.New(engine, store.Options{Now: clock.Now, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	good, bad := &muster.Node{Account: home, Name: "good"}, &muster.Node{Account: home, Name: "bad"}
	check(t, s.CreateNode(t.Context(), good))
	check(t, s.CreateNode(t.Context(), bad))
	_, _, err := engine.Swap(t.Context(), store.Key{Account: home, Kind: "node", ID: bad.ID.String()}, store.Object{Rev: 2, Body: []byte("{")}, 0)
	check(t, err)
	if _, err := s.Node(t.Context(), home, bad.ID); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("the damaged one reads as %v", err)
	}
	if all, err := s.Nodes(t.Context(), home); err != nil || len(all) != 1 || all[0].ID != good.ID {
		t.Errorf("the list is %v, %v", all, err)
	}
	if !strings.Contains(log.String(), bad.ID.String()) {
		t.Errorf("the log does not name the damaged one: %s", log.String())
	}
}

func TestListingsAreTidied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := storetest.NewMemory(nil)
		s := store.New(engine, store.Options{})
		a := &muster.Account{Name: "Home", Spread: 1}
		check(t, s.CreateAccount(t.Context(), a))
		kept := &muster.Node{Account: a.ID, Name: "kept"}
		check(t, s.CreateNode(t.Context(), kept))
		check(t, engine.Enlist(t.Context(), store.Key{Account: a.ID, Kind: "node", ID: "node_stray"}, 1, 0))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		rows := func() int {
			rows, err := engine.List(t.Context(), a.ID, "node", "", 10)
			check(t, err)
			return len(rows)
		}
		time.Sleep(90 * time.Minute)
		if got := rows(); got != 2 {
			t.Errorf("after one pass %d rows are left: a creation under way must not lose its row", got)
		}
		time.Sleep(60 * time.Minute)
		if got := rows(); got != 1 {
			t.Errorf("after two passes %d rows are left, want the one with an object", got)
		}
		cancel()
		check(t, <-done)
	})
}

func TestManyNodesAreListedInPages(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	engine := storetest.NewMemory(clock.Now)
	s := newStore(engine, clock)
	const n = 1001
	for i := range n {
		k := store.Key{Account: home, Kind: "node", ID: muster.NewNodeID().String()}
		check(t, engine.Enlist(t.Context(), k, 1, 0))
		_, _, err := engine.Swap(t.Context(), k, store.Object{Rev: 1, Body: fmt.Appendf(nil, `{"name":"n%d"}`, i)}, 0)
		check(t, err)
	}
	if all, err := s.Nodes(t.Context(), home); err != nil || len(all) != n {
		t.Fatalf("%d of %d nodes are listed, %v", len(all), n, err)
	}
}

func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add("MTIgZXZlbnRfMQ")
	f.Fuzz(func(t *testing.T, cursor string) {
		s := store.New(storetest.NewMemory(nil), store.Options{})
		if _, _, err := s.Events(t.Context(), home, cursor, 1); err != nil && !errors.Is(err, muster.ErrInvalid) {
			t.Fatal(err)
		}
	})
}

// BenchmarkUpdate measures the layer itself, over memory.
func BenchmarkUpdate(b *testing.B) {
	s := store.New(storetest.NewMemory(nil), store.Options{})
	n := &muster.Node{Account: home, Name: "web1"}
	if err := s.CreateNode(b.Context(), n); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.UpdateNode(b.Context(), home, n.ID, 0, func(n *muster.Node) error { n.Star = !n.Star; return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
