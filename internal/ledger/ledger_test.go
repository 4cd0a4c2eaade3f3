package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"muster"
	"muster/internal/ledger"
	"muster/internal/store"
)

func TestOptions(t *testing.T) {
	if ledger.MaxAppend != store.MaxShardBatch {
		t.Errorf("one append takes %d bytes, the store %d", ledger.MaxAppend, store.MaxShardBatch)
	}
	if _, err := ledger.Open(t.Context(), memory(), ledger.Options{}); !errors.Is(err, muster.ErrInvalid) {
		t.Error(err)
	}
}

func TestAppendReadReopen(t *testing.T) {
	s := onDisk(t, t.TempDir())
	p := start(t, s, 2, nil)
	first := put(t, p, 1, entry("alarm/a", "1", ""), entry("incident/i", "open", "opened"))
	if first.Seq != 2 || first.Day < 20000 {
		t.Errorf("the second row is at %+v", first)
	}
	put(t, p, 1, entry("alarm/a", "2", "news"))
	put(t, p, 1, entry("alarm/b", "3", ""), ledger.Entry{Key: "incident/i", Transition: []byte("gone")})
	if at := put(t, p, 1); at.Seq != 5 {
		t.Errorf("appending nothing gave %+v", at)
	}
	log := []string{"alarm/a=1", "incident/i=open/opened", "alarm/a=2/news", "alarm/b=3", "incident/i=/gone"}
	states := map[string]string{"alarm/a": "2", "alarm/b": "3"}
	check := func(p *process) {
		t.Helper()
		sameStates(t, p, 1, states)
		sameStates(t, p, 0, nil)
		for limit := 1; limit < 7; limit++ {
			same(t, "the log", brief(logOf(t, p, 1, ledger.Position{}, limit)), log)
			same(t, "the log after the second row", brief(logOf(t, p, 1, first, limit)), log[2:])
		}
		if state, ok := p.Get(1, "alarm/a"); !ok || string(state) != "2" {
			t.Errorf("alarm/a is %q %v", state, ok)
		}
		if _, ok := p.Get(1, "incident/i"); ok {
			t.Error("what was forgotten is there")
		}
		var keys []string
		p.Each(1, "alarm/", func(key string, _ []byte) { keys = append(keys, key) })
		same(t, "keys", keys, []string{"alarm/a", "alarm/b"})
	}
	check(p)
	same(t, "what was told", brief(p.heard(1)), log)
	if at := p.heard(1)[0].At; time.Since(at) > time.Hour || time.Since(at) < -time.Hour {
		t.Errorf("the row is of %s", at)
	}
	again := start(t, s, 2, nil)
	check(again)
	if len(again.heard(1)) != 0 {
		t.Error("what an earlier process appended was told")
	}
	if last, ok := again.Last(1); !ok || last != (ledger.Position{Day: first.Day, Seq: 5}) {
		t.Errorf("the last row is at %+v %v", last, ok)
	}
}

func TestRefused(t *testing.T) {
	p := start(t, memory(), 2, nil)
	for _, c := range []struct {
		key  string
		size int
		want error
	}{
		{"", 1, muster.ErrInvalid}, {"a\x00b", 1, muster.ErrInvalid}, {strings.Repeat("k", ledger.MaxKey+1), 1, muster.ErrInvalid},
		{"k", ledger.MaxAppend, muster.ErrLimited}, {"k", ledger.MaxAppend / 2, nil}, {"k", ledger.MaxAppend - 20, nil},
	} {
		_, err := p.Append(t.Context(), 0, []ledger.Entry{entry("ok", "1", ""), {Key: c.key, State: make([]byte, c.size)}})
		if !errors.Is(err, c.want) {
			t.Errorf("%d bytes of %.5q: %v", c.size, c.key, err)
		}
	}
	half := ledger.Entry{Key: "half", Transition: make([]byte, ledger.MaxAppend/2)}
	if _, err := p.Append(t.Context(), 0, []ledger.Entry{half, half}); !errors.Is(err, muster.ErrLimited) {
		t.Errorf("two halves: %v", err)
	}
	if _, err := p.Append(t.Context(), 0, []ledger.Entry{{Key: "big/one", State: make([]byte, ledger.MaxAppend)}}); err == nil || !strings.Contains(err.Error(), "big/one") {
		t.Errorf("it does not say which entry is too big: %v", err)
	}
	if n := len(logOf(t, p, 0, ledger.Position{}, 10)); n != 4 {
		t.Errorf("%d rows were written, want those of the two that were taken", n)
	}
	if _, err := p.Append(t.Context(), 2, nil); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("a shard that is none: %v", err)
	}
	if _, ok := p.Get(-1, "k"); ok {
		t.Error("a state of shard -1")
	}
	if _, ok := p.Last(7); ok {
		t.Error("a last row of shard 7")
	}
	p.Each(7, "", func(string, []byte) { t.Error("a state of shard 7") })
}

func TestNotOwned(t *testing.T) {
	p := start(t, memory(), 1, nil)
	put(t, p, 0, entry("k", "1", ""))
	p.away.Store(true)
	if _, err := p.Append(t.Context(), 0, []ledger.Entry{entry("k", "2", "")}); !errors.Is(err, muster.ErrUnavailable) {
		t.Error(err)
	}
	if _, err := p.Rows(t.Context(), 0, ledger.Position{}, 1); !errors.Is(err, muster.ErrUnavailable) {
		t.Error(err)
	}
	if err := p.Take(t.Context(), 0); !errors.Is(err, muster.ErrUnavailable) {
		t.Error(err)
	}
}

// TestTakenLater has a shard that comes to a process after its start.
func TestTakenLater(t *testing.T) {
	s := memory()
	put(t, start(t, s, 1, nil), 0, entry("k", "1", ""))
	var mine bool
	p := start(t, s, 1, func(o *ledger.Options) {
		owns := o.Owns
		o.Owns = func(shard int) (uint64, bool) { epoch, _ := owns(shard); return epoch, mine }
	})
	mine = true
	if _, err := p.Append(t.Context(), 0, []ledger.Entry{entry("k", "2", "")}); !errors.Is(err, muster.ErrUnavailable) {
		t.Errorf("a shard that was not read yet: %v", err)
	}
	for range 2 {
		if err := p.Take(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	sameStates(t, p, 0, map[string]string{"k": "1"})
	put(t, p, 0, entry("k", "2", ""))
}

// TestGroups holds a write back, lets many appends come, and sees them share the next write.
func TestGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var sizes []int
		p := start(t, hooked{memory(), func(v verb, do func() error) error {
			if v.name == "append" {
				size := 0
				for _, r := range v.rows {
					size += len(r.Key) + len(r.State) + len(r.Transition)
				}
				sizes = append(sizes, size)
				<-release
			}
			return do()
		}}, 1, nil)
		const many, each = 40, 20 << 10
		var group sync.WaitGroup
		for i := range many {
			group.Go(func() {
				at, err := p.Append(context.Background(), 0, []ledger.Entry{entry(fmt.Sprint("k", i), strings.Repeat("x", each), fmt.Sprint(i))})
				if err != nil {
					t.Error(err)
				}
				rows, err := p.Rows(context.Background(), 0, ledger.Position{Day: at.Day, Seq: at.Seq - 1}, 1)
				if err != nil || len(rows) != 1 || string(rows[0].Transition) != fmt.Sprint(i) {
					t.Errorf("at %+v is %v, not append %d (%v)", at, brief(rows), i, err)
				}
			})
			synctest.Wait()
		}
		close(release)
		group.Wait()
		if len(sizes) != 5 { // the first alone, 39 of 20 KiB by twelve
			t.Errorf("%d appends were %d writes of %v bytes", many, len(sizes), sizes)
		}
		for _, size := range sizes {
			if size > ledger.MaxAppend {
				t.Errorf("a write of %d bytes", size)
			}
		}
		for i, r := range p.heard(0) {
			if r.Seq != uint64(i+1) || string(r.Transition) != fmt.Sprint(i) {
				t.Fatalf("row %d was told as %d, %s", i+1, r.Seq, r.Transition)
			}
		}
		if p.count("muster_ledger_batches_total") != 5 || p.count("muster_ledger_appends_total") != many || p.count("muster_ledger_rows_total") != many {
			t.Error("the counters say something else")
		}
	})
}

// TestUnknownOutcome has a store that fails after it stored, or before, or again and again: the same rows
// come again under the same seqs, what comes meanwhile waits, and nothing is there twice.
func TestUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memory()
		var calls []verb
		failures := []bool{true, false, false, true, true} // whether it was stored nevertheless
		p := start(t, hooked{inner, func(v verb, do func() error) error {
			if v.name != "append" {
				return do()
			}
			calls = append(calls, v)
			if n := len(calls); n <= len(failures) {
				if failures[n-1] {
					if err := do(); err != nil {
						t.Error(err)
					}
				}
				return timedOut()
			}
			return do()
		}}, 1, nil)
		var group sync.WaitGroup
		group.Go(func() { put(t, p, 0, entry("a", "1", "t1"), entry("b", "1", "t2")) })
		synctest.Wait()
		group.Go(func() { put(t, p, 0, entry("a", "2", "t3")) })
		synctest.Wait()
		if len(p.heard(0)) != 0 || len(p.states(0)) != 0 {
			t.Error("rows of unknown outcome were told")
		}
		if rows := logOf(t, p, 0, ledger.Position{}, 10); len(rows) != 0 {
			t.Errorf("rows of unknown outcome were read: %v", brief(rows))
		}
		group.Wait()
		for i, call := range calls[1:6] {
			if len(call.rows) != 2 || call.rows[0].Seq != 1 || call.rows[1].Seq != 2 || !bytes.Equal(call.rows[1].Transition, []byte("t2")) {
				t.Errorf("try %d had %+v", i+2, call.rows)
			}
		}
		want := []string{"a=1/t1", "b=1/t2", "a=2/t3"}
		same(t, "told", brief(p.heard(0)), want)
		same(t, "the log", brief(logOf(t, p, 0, ledger.Position{}, 2)), want)
		same(t, "the log of the next process", brief(logOf(t, start(t, inner, 1, nil), 0, ledger.Position{}, 2)), want)
		if p.count("muster_ledger_retries_total") != float64(len(failures)) {
			t.Errorf("%v retries", p.count("muster_ledger_retries_total"))
		}
	})
}

// TestRefusalAfterDoubt has a store that refuses rows whose first try it may have stored: no other rows may have their seqs.
func TestRefusalAfterDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		p := start(t, hooked{memory(), func(v verb, do func() error) error {
			if v.name != "append" {
				return do()
			}
			switch n++; n {
			case 1:
				return fmt.Errorf("%w: injected: too much", muster.ErrLimited)
			case 2:
				_ = do()
				return timedOut()
			case 3:
				return fmt.Errorf("%w: injected: too much", muster.ErrLimited)
			}
			return do()
		}}, 1, nil)
		if _, err := p.Append(t.Context(), 0, []ledger.Entry{entry("a", "0", "t0")}); !errors.Is(err, muster.ErrLimited) {
			t.Errorf("a plain refusal: %v", err)
		}
		put(t, p, 0, entry("a", "1", "t1"))
		put(t, p, 0, entry("a", "2", "t2"))
		same(t, "the log", brief(logOf(t, p, 0, ledger.Position{}, 9)), []string{"a=1/t1", "a=2/t2"})
	})
}

// TestImpatience has callers that leave: one whose entries wait still, one whose entries are under way.
func TestImpatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p := start(t, hooked{memory(), func(v verb, do func() error) error {
			if v.name == "append" {
				<-release
			}
			return do()
		}}, 1, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for i, says := range []string{"it may be written yet", "nothing was written"} {
			group.Go(func() {
				_, err := p.Append(ctx, 0, []ledger.Entry{entry("k", fmt.Sprint(i), "t")})
				if !errors.Is(err, muster.ErrUnavailable) || !strings.Contains(err.Error(), says) {
					t.Errorf("append %d: %v", i, err)
				}
			})
			synctest.Wait()
		}
		cancel()
		group.Wait()
		if _, err := p.Append(ctx, 0, []ledger.Entry{entry("k", "9", "t")}); !errors.Is(err, muster.ErrUnavailable) {
			t.Error(err)
		}
		close(release)
		synctest.Wait()
		same(t, "told", brief(p.heard(0)), []string{"k=0/t"})
	})
}

func TestLost(t *testing.T) {
	s := memory()
	old := start(t, s, 2, nil)
	put(t, old, 0, entry("k", "1", "t1"))
	put(t, old, 1, entry("k", "1", "t1"))
	epoch := uint64(0)
	next := start(t, s, 1, func(o *ledger.Options) { epoch, _ = o.Owns(0) })
	sameStates(t, next, 0, map[string]string{"k": "1"})
	for range 2 {
		if _, err := old.Append(t.Context(), 0, []ledger.Entry{entry("k", "stale", "stale")}); !errors.Is(err, muster.ErrConflict) {
			t.Errorf("an owner that is over: %v", err)
		}
	}
	if _, err := old.Rows(t.Context(), 0, ledger.Position{}, 1); !errors.Is(err, muster.ErrConflict) {
		t.Error(err)
	}
	if err := old.Take(t.Context(), 0); !errors.Is(err, muster.ErrConflict) {
		t.Error(err)
	}
	sameStates(t, old, 0, nil)
	if _, ok := old.Last(0); ok {
		t.Error("a lost shard has a last row")
	}
	put(t, old, 1, entry("k", "2", "t2")) // the other is its own still
	put(t, next, 0, entry("k", "2", "t2"))
	same(t, "the log", brief(logOf(t, next, 0, ledger.Position{}, 9)), []string{"k=1/t1", "k=2/t2"})
	if old.count("muster_ledger_shards_lost_total") != 1 {
		t.Error("the loss was not counted")
	}
	if epoch < 2 {
		t.Errorf("the second owner has epoch %d", epoch)
	}
}

// TestTakenBack has a shard that was lost and then owned again.
func TestTakenBack(t *testing.T) {
	s := memory()
	epoch := uint64(0)
	p := start(t, s, 1, func(o *ledger.Options) {
		o.Holder = "back"
		epoch = must[ledger.Head](t)(s.TakeShard(t.Context(), ledger.Partition{Domain: "all"}, "back", 0)).Epoch
		o.Owns = func(int) (uint64, bool) { return epoch, true }
	})
	put(t, p, 0, entry("k", "1", "t1"))
	put(t, start(t, s, 1, nil), 0, entry("k", "2", "t2"))
	if _, err := p.Append(t.Context(), 0, []ledger.Entry{entry("k", "stale", "stale")}); !errors.Is(err, muster.ErrConflict) {
		t.Fatal(err)
	}
	epoch = must[ledger.Head](t)(s.TakeShard(t.Context(), ledger.Partition{Domain: "all"}, "back", 0)).Epoch
	if err := p.Take(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	sameStates(t, p, 0, map[string]string{"k": "2"})
	put(t, p, 0, entry("k", "3", "t3"))
	same(t, "the log", brief(logOf(t, p, 0, ledger.Position{}, 9)), []string{"k=1/t1", "k=2/t2", "k=3/t3"})
}

// TestAnotherOwnerAtOpen has a process whose shard was taken before it could read it: the others are good.
func TestAnotherOwnerAtOpen(t *testing.T) {
	s := memory()
	var stranger *process
	p := start(t, s, 2, func(*ledger.Options) { stranger = start(t, s, 1, nil) })
	if _, err := p.Append(t.Context(), 0, []ledger.Entry{entry("k", "1", "")}); !errors.Is(err, muster.ErrUnavailable) {
		t.Error(err)
	}
	put(t, p, 1, entry("k", "1", ""))
	put(t, stranger, 0, entry("k", "1", ""))
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		p := start(t, hooked{memory(), func(v verb, do func() error) error {
			if v.name == "append" {
				select {
				case <-stuck:
				default:
					return timedOut()
				}
			}
			return do()
		}}, 2, nil)
		var group sync.WaitGroup
		for i := range 3 {
			group.Go(func() {
				if _, err := p.Append(context.Background(), 0, []ledger.Entry{entry("k", fmt.Sprint(i), "t")}); !errors.Is(err, muster.ErrUnavailable) {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		begun := time.Now()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		group.Wait()
		if took := time.Since(begun); took < time.Second || took > 10*time.Second {
			t.Errorf("it waited for %s", took)
		}
		close(stuck)
		if _, err := p.Append(context.Background(), 1, []ledger.Entry{entry("k", "1", "t")}); !errors.Is(err, muster.ErrUnavailable) {
			t.Error(err)
		}
	})
}

// TestTrailingReads has a store whose reads trail its writes: rows are late then, but none is skipped.
func TestTrailingReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memory()
		var hide atomic.Uint64
		s := trailing{inner, &hide}
		p := start(t, s, 1, nil)
		for i := range 5 {
			put(t, p, 0, entry("k", fmt.Sprint(i), fmt.Sprint(i)))
		}
		hide.Store(3) // the third row can't be seen yet
		rows := must[[]ledger.Row](t)(p.Rows(t.Context(), 0, ledger.Position{}, 10))
		same(t, "what can be read", brief(rows), []string{"k=0/0", "k=1/1"})
		if _, err := p.Rows(t.Context(), 0, rows[1].Position(), 10); !errors.Is(err, muster.ErrUnavailable) {
			t.Errorf("a row that can't be read yet: %v", err)
		}
		go func() {
			time.Sleep(time.Second)
			hide.Store(0)
		}()
		again := start(t, s, 1, nil) // waits for it
		sameStates(t, again, 0, map[string]string{"k": "4"})
		if len(logOf(t, again, 0, ledger.Position{}, 10)) != 5 {
			t.Error("rows are missing")
		}
	})
}

type trailing struct {
	ledger.Store
	hide *atomic.Uint64
}

func (s trailing) ScanShard(ctx context.Context, key ledger.Partition, from uint64, limit int) (rows []ledger.Stored, err error) {
	all, err := s.Store.ScanShard(ctx, key, from, limit)
	for _, r := range all {
		if r.Seq != s.hide.Load() {
			rows = append(rows, r)
		}
	}
	return rows, err
}
