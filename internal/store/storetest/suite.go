package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"muster"
	"muster/internal/store"
)

// Clock is a clock that stands until it is moved.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock makes a clock that shows noon of some day.
func NewClock() *Clock { return &Clock{at: time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)} }

// Now gives the time shown.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Move moves the clock on.
func (c *Clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// Open makes a fresh, empty engine that tells expiry by now; it is closed by the suite.
type Open func(t *testing.T, now func() time.Time) store.Engine

// Run puts an engine through the whole suite.
func Run(t *testing.T, open Open) {
	fresh := func(t *testing.T) (store.Engine, *Clock) {
		clock := NewClock()
		engine := open(t, clock.Now)
		t.Cleanup(func() {
			if err := engine.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		return engine, clock
	}
	for name, test := range map[string]func(*testing.T, store.Engine, *Clock){
		"objects": objects, "one of many swaps wins": swapRace, "objects expire": objectsExpire,
		"keys stay apart": keysApart, "listings": listings, "events": events, "ephemerals": ephemerals,
		"shards": shards, "one owner at a time": shardRace, "closed days": closedDays, "an ended context": endedContext,
	} {
		t.Run("engine/"+name, func(t *testing.T) {
			engine, clock := fresh(t)
			test(t, engine, clock)
		})
	}
	for name, test := range map[string]func(*testing.T, *store.Store, *Clock){
		"nouns": nouns, "unique names": uniqueNames, "revisions": revisions, "enrolments": enrollments,
		"changelog": changelog, "values": values, "shards": storeShards, "watching": watching, "streams": streams,
	} {
		t.Run("store/"+name, func(t *testing.T) {
			engine, clock := fresh(t)
			test(t, store.New(engine, store.Options{Now: clock.Now}), clock)
		})
	}
	for name, test := range map[string]func(*testing.T, *store.Store){
		"every change counts once": countsOnce, "an enrolment's uses": usesOnce, "a name has one holder": oneHolder,
		"renames": renames, "one of many": onceOnly, "acknowledged rows stay": rowsStay,
	} {
		t.Run("faults/"+name, func(t *testing.T) {
			for _, seed := range []uint64{1, 2, 3} {
				engine, clock := fresh(t)
				faulty := NewFaulty(engine, seed, Faults{Before: 0.05, After: 0.05, Late: 0.05, Double: 0.1, Stale: 0.2, Reorder: 0.2})
				test(t, store.New(faulty, store.Options{Now: clock.Now}))
				if faulty.Injected() == 0 {
					t.Error("no fault was injected: the test proves nothing")
				}
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got error %v, want one of the kind %q", err, kind)
	}
}

// patiently repeats what trails or is unavailable for a moment.
func patiently(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for range 200 {
		if err = try(); err == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%s: still not so: %v", what, err)
}

func account(n byte) muster.AccountID { return muster.AccountID{0: n, 15: n} }

// each runs work n times at once and waits.
func each(n int, work func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { work(i) })
	}
	all.Wait()
}

func ctx(t *testing.T) context.Context { return t.Context() }
