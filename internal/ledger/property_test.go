package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"muster"
	"muster/internal/ledger"
	"muster/internal/store"
	"muster/internal/store/storetest"
)

// world is a store with processes over it that come and go, and what has to be true of its log.
type world struct {
	t     *rapid.T
	inner ledger.Store
	dead  *atomic.Bool // the store of the process that runs now answers nothing any more
	p     *process
	next  int

	sent         []string // the news of all appends, in their order
	acknowledged map[string]bool
	told         []string // over all processes
	cursor       ledger.Position
	followed     follower
	read         []string // by a follower's cursor
}

// begin starts a process over a store that fails now and then, and dies when it is told to.
func (w *world) begin() {
	dead := &atomic.Bool{}
	w.dead = dead
	seed := rapid.Uint64().Draw(w.t, "seed")
	var mu sync.Mutex
	chance := rand.New(rand.NewPCG(seed, seed))
	roll := func(p float64) bool {
		mu.Lock()
		defer mu.Unlock()
		return chance.Float64() < p
	}
	s := hooked{w.inner, func(v verb, do func() error) error {
		if dead.Load() || v.name != "head" && roll(0.1) {
			return timedOut()
		}
		err := do()
		if err == nil && v.name != "scan" && v.name != "head" && roll(0.1) {
			return timedOut()
		}
		if dead.Load() {
			return timedOut()
		}
		return err
	}}
	for {
		p, err := tryStart(s, 1, func(o *ledger.Options) {
			o.Done = w.followed.done
			appended := o.Appended
			o.Appended = func(shard int, rows []ledger.Row) {
				if !dead.Load() {
					appended(shard, rows)
				}
			}
		})
		if err == nil {
			w.p = p
			return
		}
		if !errors.Is(err, muster.ErrUnavailable) {
			w.t.Fatal(err)
		}
		time.Sleep(time.Second)
	}
}

// end kills the process, or closes it.
func (w *world) end(kill bool) {
	if kill {
		w.dead.Store(true)
	}
	_ = w.p.Close()
	synctest.Wait()
	w.told = append(w.told, news(w.p.heard(0))...)
}

// append appends from several goroutines at once, and waits for a while.
func (w *world) append(ctx context.Context) {
	n := rapid.IntRange(1, 5).Draw(w.t, "appends")
	ctx, cancel := context.WithTimeout(ctx, time.Duration(rapid.IntRange(1, 60_000).Draw(w.t, "patience"))*time.Millisecond)
	defer cancel()
	var mu sync.Mutex
	var group sync.WaitGroup
	for range n {
		var entries []ledger.Entry
		var news []string
		for range rapid.IntRange(1, 3).Draw(w.t, "entries") {
			w.next++
			e := entry(fmt.Sprint("key/", rapid.IntRange(0, 5).Draw(w.t, "key")), fmt.Sprint(w.next), fmt.Sprint("t", w.next))
			entries, news = append(entries, e), append(news, fmt.Sprintf("%s=%s/%s", e.Key, e.State, e.Transition))
		}
		w.sent = append(w.sent, news...)
		group.Go(func() {
			_, err := w.p.Append(ctx, 0, entries)
			mu.Lock()
			defer mu.Unlock()
			for _, text := range news {
				w.acknowledged[text] = err == nil
			}
		})
		synctest.Wait() // so that they come in this order
	}
	if rapid.Bool().Draw(w.t, "crash") {
		time.Sleep(time.Duration(rapid.IntRange(0, 500).Draw(w.t, "after")) * time.Millisecond)
		w.dead.Store(true)
	}
	group.Wait()
	if w.dead.Load() {
		w.end(true)
		w.begin()
	}
}

// follow reads on from the cursor, as notify does.
func (w *world) follow() {
	for range 20 {
		rows, err := w.p.Rows(context.Background(), 0, w.cursor, 3)
		if err != nil && !errors.Is(err, muster.ErrUnavailable) {
			w.t.Fatal(err)
		}
		if err == nil && len(rows) == 0 {
			return
		}
		w.read = append(w.read, news(rows)...)
		if len(rows) > 0 {
			w.cursor = rows[len(rows)-1].Position()
			w.followed.follow(w.cursor)
		}
	}
}

// check: what a follower read is in the order of the appends, each at most once and all of one append
// together, with everything that was acknowledged; the states are those of the last of each key.
func (w *world) check() {
	want := map[string]string{}
	seen := map[string]bool{}
	at := 0
	for _, text := range w.read {
		for at < len(w.sent) && w.sent[at] != text {
			at++
		}
		if at == len(w.sent) {
			w.t.Fatalf("%s is out of order or there twice: %q", text, w.read)
		}
		seen[text] = true
		key, rest, _ := strings.Cut(text, "=")
		want[key], _, _ = strings.Cut(rest, "/")
	}
	for text, ok := range w.acknowledged {
		if ok && !seen[text] {
			w.t.Fatalf("%s was acknowledged and is lost: %q", text, w.read)
		}
	}
	if got := w.p.states(0); !maps.Equal(got, want) {
		w.t.Fatalf("the states are %v, want %v", got, want)
	}
	for i := 1; i < len(w.told); i++ {
		if slices.Contains(w.told[:i], w.told[i]) || slices.Index(w.sent, w.told[i-1]) > slices.Index(w.sent, w.told[i]) {
			w.t.Fatalf("%s was told out of order or twice: %q", w.told[i], w.told)
		}
	}
}

// TestNothingIsLostOrDoubled appends at random over failures, crashes, restarts and midnights.
func TestNothingIsLostOrDoubled(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		inBubble(t, func() {
			w := &world{t: rt, inner: memory(), acknowledged: map[string]bool{}}
			w.begin()
			defer func() { w.end(true) }()
			for range rapid.IntRange(1, 12).Draw(rt, "steps") {
				w.step()
			}
			w.end(false)
			w.begin()
			w.follow()
			w.check()
		})
	})
}

func (w *world) step() {
	switch rapid.IntRange(0, 5).Draw(w.t, "step") {
	case 0:
		w.end(rapid.Bool().Draw(w.t, "kill"))
		w.begin()
	case 1:
		midnight()
	case 2:
		w.follow()
	case 3:
		run, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = w.p.Run(run)
	default:
		w.append(context.Background())
	}
}

// inBubble runs f in a bubble of its own. What f panics with, as rapid does to end a case, goes on outside.
func inBubble(t *testing.T, f func()) {
	var panicked any
	synctest.Test(t, func(*testing.T) {
		defer func() { panicked = recover() }()
		f()
	})
	if panicked != nil {
		panic(panicked)
	}
}

// TestFaultyEngine runs the ledger over the real store, whose engine fails as its contract allows.
func TestFaultyEngine(t *testing.T) {
	seeds := uint64(6)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			engine := storetest.NewMemory(nil)
			faulty := storetest.NewFaulty(engine, seed, storetest.Faults{Before: 0.15, After: 0.15, Double: 0.1})
			p := start(t, door{store.New(faulty, store.Options{})}, 3, nil)
			p.run(t)
			var group sync.WaitGroup
			for shard := range 3 {
				group.Go(func() {
					for i := range 60 {
						put(t, p, shard, entry(fmt.Sprint("k", i%7), fmt.Sprint(i), fmt.Sprint("t", i)))
						time.Sleep(30 * time.Minute)
					}
				})
			}
			group.Wait()
			last := start(t, door{store.New(engine, store.Options{})}, 3, nil)
			for shard := range 3 {
				told := news(p.heard(shard))
				if len(told) != 60 {
					t.Errorf("%d transitions were told", len(told))
				}
				for i, text := range told {
					if want := fmt.Sprintf("k%d=%d/t%d", i%7, i, i); text != want {
						t.Fatalf("transition %d was told as %s", i, text)
					}
				}
				if got := last.states(shard); !maps.Equal(got, p.states(shard)) || len(got) != 7 || got["k3"] != "59" {
					t.Errorf("the next process has %v", got)
				}
			}
			if faulty.Injected() == 0 {
				t.Error("nothing failed: this tests nothing")
			}
		})
	}
}

// BenchmarkTransitions is a dead data centre: 10,000 transitions over 64 shards, as they come, on the embedded
// database with every write synced.
func BenchmarkTransitions(b *testing.B) {
	const shards, transitions = 64, 10_000
	dir, err := os.MkdirTemp(".", "bench") // on a disk: the system's own may be memory
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := start(b, onDisk(b, dir), shards, nil)
	state, incident, change := strings.Repeat("s", 60), strings.Repeat("i", 1200), strings.Repeat("c", 500)
	for b.Loop() {
		var group sync.WaitGroup
		places := make(chan struct{}, 2000)
		for i := range transitions {
			places <- struct{}{}
			group.Go(func() {
				defer func() { <-places }()
				entries := []ledger.Entry{entry(fmt.Sprint("alarm/", i), state, ""), entry(fmt.Sprint("incident/", i), incident, change)}
				if _, err := p.Append(context.Background(), i%shards, entries); err != nil {
					b.Error(err)
				}
			})
		}
		group.Wait()
	}
	b.ReportMetric(p.count("muster_ledger_batches_total")/float64(b.N), "batches/op")
	b.ReportMetric(p.count("muster_ledger_bytes_total")/float64(b.N), "bytes/op")
}
