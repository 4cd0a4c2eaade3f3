package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"muster"
	"muster/internal/disk"
	"muster/internal/store"
)

func TestEverythingIsThereAfterAStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := Open(dir, Options{Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, first)
	before := dump(t, first)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Get(t.Context(), node, true); !errors.Is(err, muster.ErrUnavailable) {
		t.Errorf("a read after the close: %v", err)
	}
	second, err := Open(dir, Options{Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if after := dump(t, second); after != before {
		t.Fatalf("after a start:\n%s\nbefore:\n%s", after, before)
	}
}

// Once everything has expired and was swept nothing is left but what lives for ever.
func TestSweepLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	var late atomic.Int64
	e := open(t, Options{Now: func() time.Time { return noon().Add(time.Duration(late.Load())) }})
	for i := range sweepMost + 1 { // more than one round of the sweep takes
		if err := e.PutEphemeral(t.Context(), store.Key{Kind: "session", ID: fmt.Sprint(i)}, []byte("x"), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, e)
	late.Store(int64(48 * time.Hour))
	if err := e.Sweep(t.Context(), e.options.Now()); err != nil {
		t.Fatal(err)
	}
	for _, line := range bytes.Split([]byte(dump(t, e)), []byte("\n")) {
		text := string(line)
		if len(text) > 2 && text[:2] != fmt.Sprintf("%x", objectKeys) && text[:2] != fmt.Sprintf("%x", listingKeys) &&
			!bytes.Contains(line, fmt.Appendf(nil, "%x", shardKey(0, day)[1:])) {
			t.Errorf("left behind: %s", text)
		}
	}
}

func TestNothingIsWrittenWithoutRoom(t *testing.T) {
	t.Parallel()
	var avail atomic.Uint64
	avail.Store(1 << 40)
	guard := disk.NewGuard("/", disk.GuardOptions{Every: time.Nanosecond, Usage: func(string) (uint64, uint64, error) { return avail.Load(), 1 << 40, nil }})
	e := open(t, Options{Guard: guard})
	fill(t, e)
	avail.Store(0)
	_, _, err := e.Swap(t.Context(), node, store.Object{Rev: 3, Op: op(9)}, 0)
	_, _, raised := e.Raise(t.Context(), day, 3, 4, "x")
	for what, err := range map[string]error{
		"swap": err, "raise": raised, "enlist": e.Enlist(t.Context(), node, 1, 0), "ephemeral": e.PutEphemeral(t.Context(), session, nil, time.Hour),
		"events": e.PutEvents(t.Context(), account, "s", []store.EventRow{{ID: "x"}}, time.Hour),
	} {
		if !errors.Is(err, muster.ErrUnavailable) {
			t.Errorf("%s on a full disk: %v", what, err)
		}
	}
	if o, err := e.Get(t.Context(), node, true); err != nil || o.Rev != 2 {
		t.Errorf("reading must go on: %+v, %v", o, err)
	}
	avail.Store(1 << 40)
	if done, _, err := e.Swap(t.Context(), node, store.Object{Rev: 3, Op: op(9)}, 0); err != nil || !done {
		t.Errorf("with room again: %v, %v", done, err)
	}
}

func TestDamagedValuesAreSaid(t *testing.T) {
	t.Parallel()
	e := open(t, Options{})
	for _, value := range []string{"", "\x02", "\x01", "\x01\x00\x00\x01short", "\x01\x00\xff\x01aaaaaaaaaaaaaaaa\x00"} {
		if err := e.db.Set(keyOf(objectKeys, node), []byte(value), nil); err != nil {
			t.Fatal(err)
		}
		if o, err := e.Get(t.Context(), node, true); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%q reads as %+v, %v", value, o, err)
		}
	}
}

func FuzzReadObject(f *testing.F) {
	f.Add(appendObject(nil, store.Object{Rev: 300, Op: op(1), Recent: []store.OpID{op(2)}, Body: []byte("{}")}, 12345))
	f.Add([]byte{1, 0, 1, 1})
	f.Fuzz(func(t *testing.T, value []byte) {
		o, expires, err := readObject(value)
		if err != nil {
			if !errors.Is(err, muster.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		again, expiresAgain, err := readObject(appendObject(nil, o, expires))
		if err != nil || again.Rev != o.Rev || again.Op != o.Op || len(again.Recent) != len(o.Recent) || !bytes.Equal(again.Body, o.Body) || expiresAgain != expires {
			t.Fatalf("%+v became %+v, %v", o, again, err)
		}
	})
}

func FuzzReadRow(f *testing.F) {
	f.Add(appendRow(nil, store.ShardRow{Key: "k", State: []byte("s"), Transition: []byte("t")}))
	f.Add(appendHead(nil, store.ShardHead{Epoch: 3, Holder: "h", Closed: true, Last: 9}, 7))
	f.Fuzz(func(t *testing.T, value []byte) {
		row, err := readRow(value)
		if err == nil {
			if again, err := readRow(appendRow(nil, row)); err != nil || again.Key != row.Key || !bytes.Equal(again.State, row.State) || !bytes.Equal(again.Transition, row.Transition) {
				t.Fatalf("%+v became %+v, %v", row, again, err)
			}
		}
		for _, err := range []error{err, second(readHead(value)), second(readListing(value)), second(readPlain(value))} {
			if err != nil && !errors.Is(err, muster.ErrInvalid) {
				t.Fatal(err)
			}
		}
	})
}

func second[A any](_ A, _ int64, err error) error { return err }

// BenchmarkSwap measures a synced compare-and-set: alone, and with many at once, whose syncs are shared.
func BenchmarkSwap(b *testing.B) {
	for _, workers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			e := open(b, Options{Now: time.Now})
			body := bytes.Repeat([]byte("x"), 500)
			var next atomic.Int64
			b.ResetTimer()
			var all sync.WaitGroup
			for w := range workers {
				all.Go(func() {
					key := store.Key{Kind: "node", ID: fmt.Sprint(w)}
					for rev := uint64(1); next.Add(1) <= int64(b.N); rev++ {
						if done, _, err := e.Swap(b.Context(), key, store.Object{Rev: rev, Op: op(1), Body: body}, 0); err != nil || !done {
							b.Error(done, err)
							return
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "swaps/s")
		})
	}
}

// BenchmarkGet measures a read of one object of 10,000.
func BenchmarkGet(b *testing.B) {
	e := open(b, Options{Now: time.Now})
	for i := range 10_000 {
		batch := e.db.NewBatch()
		if err := errors.Join(batch.Set(keyOf(objectKeys, store.Key{Kind: "node", ID: fmt.Sprint(i)}), appendObject(nil, store.Object{Rev: 1, Body: make([]byte, 500)}, 0), nil), batch.Commit(pebble.NoSync)); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for i := range b.N {
		if o, err := e.Get(b.Context(), store.Key{Kind: "node", ID: fmt.Sprint(i % 10_000)}, true); err != nil || o.Rev != 1 {
			b.Fatal(err)
		}
	}
}
