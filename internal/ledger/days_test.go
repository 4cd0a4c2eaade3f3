package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"muster"
	"muster/internal/ledger"
)

func head(t testing.TB, s ledger.Store, shard, day int) ledger.Head {
	t.Helper()
	return must[ledger.Head](t)(s.ShardHead(context.Background(), ledger.Partition{Shard: shard, Domain: "all", Day: day}))
}

// follower says how far the log was followed.
type follower struct {
	at atomic.Pointer[ledger.Position]
}

func (f *follower) done(int) ledger.Position {
	if at := f.at.Load(); at != nil {
		return *at
	}
	return ledger.Position{}
}

func (f *follower) follow(at ledger.Position) { f.at.Store(&at) }

// keepAll keeps what does not begin with "plain", and plain things for an hour.
func keepAll(key string, _ []byte, age time.Duration) bool {
	return !strings.HasPrefix(key, "plain") || age < time.Hour
}

func TestDaysTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory()
		var f follower
		set := func(o *ledger.Options) { o.Done, o.Keep = f.done, keepAll }
		p := start(t, s, 1, set)
		p.run(t)
		first := today()
		time.Sleep(12 * time.Hour)
		put(t, p, 0, entry("plain/a", "1", "a1"), entry("alarm/b", "2", "b2"))
		time.Sleep(11*time.Hour + 30*time.Minute)
		news := put(t, p, 0, entry("plain/young", "3", "y3"))
		put(t, p, 0, entry("notify/cursor", "here", "")) // nobody's news: nobody waits for it
		midnight()
		at := put(t, p, 0, entry("alarm/b", "4", "b4"))
		if at.Day != first+1 || at.Seq != 4 {
			t.Errorf("the first append of the day is at %+v, want it after the three that were carried", at)
		}
		log := []string{"plain/a=1/a1", "alarm/b=2/b2", "plain/young=3/y3", "notify/cursor=here", "alarm/b=2", "notify/cursor=here", "plain/young=3", "alarm/b=4/b4"}
		same(t, "the log", brief(logOf(t, p, 0, ledger.Position{}, 3)), log)
		same(t, "told", brief(p.heard(0)), log)
		states := map[string]string{"alarm/b": "4", "plain/young": "3", "notify/cursor": "here"}
		sameStates(t, p, 0, states)
		for _, r := range p.heard(0)[4:7] {
			if age := time.Since(r.At); age < 29*time.Minute {
				t.Errorf("%s was carried as %s old", r.Key, age)
			}
		}

		time.Sleep(10 * time.Second)
		if head(t, s, 0, first).Closed {
			t.Error("the day was closed before its news was followed")
		}
		f.follow(news)
		time.Sleep(10 * time.Second)
		if !head(t, s, 0, first).Closed || head(t, s, 0, first+1).Closed {
			t.Error("the day was not closed, or the wrong one")
		}
		same(t, "the log after the closed day", brief(logOf(t, p, 0, news, 3)), log[4:])
		sameStates(t, start(t, s, 1, set), 0, states)
	})
}

// TestQuietDays turns the days of a shard to which nothing is appended.
func TestQuietDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory()
		p := start(t, s, 2, nil)
		p.run(t)
		put(t, p, 1, entry("alarm/a", "1", "a1"))
		for range 5 {
			midnight()
			time.Sleep(10 * time.Second)
		}
		for shard := range 2 {
			for day := today() - 5; day < today(); day++ {
				if !head(t, s, shard, day).Closed {
					t.Errorf("day %d of shard %d is open", day, shard)
				}
			}
		}
		again := start(t, s, 2, nil)
		sameStates(t, again, 1, map[string]string{"alarm/a": "1"})
		same(t, "the log", brief(logOf(t, again, 1, ledger.Position{}, 9)), []string{"alarm/a=1"})
	})
}

// TestLongAway finds what was open when nothing ran for months, without looking through them at each start.
func TestLongAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memory()
		var looks atomic.Int64
		s := hooked{inner, func(v verb, do func() error) error {
			if v.name == "head" {
				looks.Add(1)
			}
			return do()
		}}
		first := start(t, s, 1, nil)
		put(t, first, 0, entry("alarm/a", "1", "a1"))
		if looks.Load() > 6 {
			t.Errorf("the first start looked for %d days", looks.Load())
		}
		looks.Store(0)
		start(t, s, 1, nil)
		if looks.Load() > 6 {
			t.Errorf("the second start looked for %d days", looks.Load())
		}
		time.Sleep(100 * 24 * time.Hour)
		p := start(t, s, 1, nil)
		p.run(t)
		sameStates(t, p, 0, map[string]string{"alarm/a": "1"})
		at := put(t, p, 0, entry("alarm/b", "2", "b2"))
		if at.Day != today() {
			t.Errorf("it was appended to day %d, today is %d", at.Day, today())
		}
		same(t, "the log", brief(logOf(t, p, 0, ledger.Position{}, 9)), []string{"alarm/a=1/a1", "alarm/a=1", "alarm/b=2/b2"})
		time.Sleep(10 * time.Second)
		looks.Store(0)
		sameStates(t, start(t, s, 1, nil), 0, map[string]string{"alarm/a": "1", "alarm/b": "2"})
		if looks.Load() > 6 {
			t.Errorf("the start after that looked for %d days", looks.Load())
		}
	})
}

// TestClockSetBack keeps the order when the clock was ahead: for a moment, or for days.
func TestClockSetBack(t *testing.T) {
	for _, ahead := range []time.Duration{25 * time.Hour, 10 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s := memory()
			var wrong atomic.Int64
			set := func(o *ledger.Options) {
				o.Now = func() time.Time { return time.Now().Add(time.Duration(wrong.Load())) }
			}
			p := start(t, s, 1, set)
			p.run(t)
			put(t, p, 0, entry("k", "1", "t1"))
			wrong.Store(int64(ahead))
			put(t, p, 0, entry("k", "2", "t2"))
			time.Sleep(10 * time.Second)
			wrong.Store(0)
			put(t, p, 0, entry("k", "3", "t3"))
			again := start(t, s, 1, set)
			again.run(t)
			sameStates(t, again, 0, map[string]string{"k": "3"})
			put(t, again, 0, entry("k", "4", "t4"))
			time.Sleep(10 * time.Second)
			sameStates(t, start(t, s, 1, set), 0, map[string]string{"k": "4"})
		})
	}
}

// TestClosedToday has nothing open at all, for today was closed by a clock that was ahead and the day after it has no row.
func TestClosedToday(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory()
		key := ledger.Partition{Domain: "all", Day: today()}
		must[ledger.Head](t)(s.TakeShard(t.Context(), key, "somebody", 1))
		if err := s.CloseDay(t.Context(), key, 1); err != nil {
			t.Fatal(err)
		}
		p := start(t, s, 1, nil)
		if at := put(t, p, 0, entry("k", "1", "t1")); at.Day != today()+1 {
			t.Errorf("it was appended to %+v", at)
		}
		sameStates(t, start(t, s, 1, nil), 0, map[string]string{"k": "1"})
	})
}

// TestStaleOwnerOnTheNextDay reads what an owner that did not know that it was over wrote to a new day first.
func TestStaleOwnerOnTheNextDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory()
		var early atomic.Int64
		stale := start(t, s, 1, func(o *ledger.Options) {
			o.Now = func() time.Time { return time.Now().Add(time.Duration(early.Load())) }
		})
		put(t, stale, 0, entry("k", "1", "t1"))
		p := start(t, s, 1, nil)
		early.Store(int64(24 * time.Hour))
		put(t, stale, 0, entry("stale", "2", "t2")) // it was acknowledged: it must not be lost
		time.Sleep(time.Minute)
		put(t, p, 0, entry("k", "3", "t3")) // newer than what was carried there
		check := func(p *process) {
			t.Helper()
			sameStates(t, p, 0, map[string]string{"k": "3", "other": "4", "stale": "2"})
		}
		midnight()
		put(t, p, 0, entry("other", "4", "t4"))
		check(p)
		want := []string{"k=1/t1", "k=3/t3", "k=1", "stale=2/t2", "k=3", "other=4/t4"}
		same(t, "the log", brief(logOf(t, p, 0, ledger.Position{}, 9)), want)
		check(start(t, s, 1, nil))
		early.Store(0)
		if _, err := stale.Append(t.Context(), 0, []ledger.Entry{entry("k", "stale", "t")}); !errors.Is(err, muster.ErrConflict) {
			t.Error(err)
		}
	})
}

// TestCarryIsCut carries more than one write takes.
func TestCarryIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory()
		p := start(t, s, 1, nil)
		const many = 30
		for i := range many {
			put(t, p, 0, entry(fmt.Sprintf("alarm/%02d", i), strings.Repeat("x", 30<<10), "t"))
		}
		midnight()
		at := put(t, p, 0, entry("k", "1", "t"))
		if at.Seq != many+1 || p.count("muster_ledger_batches_total") != many+4+1 {
			t.Errorf("at %+v after %v writes", at, p.count("muster_ledger_batches_total"))
		}
		if len(start(t, s, 1, nil).states(0)) != many+1 {
			t.Error("states were lost")
		}
	})
}

// TestCrashWhileTurning ends the process at each of its calls to the store around midnight, before or
// after the call had its effect. The next process finds all states, and each transition once.
func TestCrashWhileTurning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, effect := range []bool{false, true} {
			for n := 1; ; n++ {
				if !crash(t, n, effect) {
					if n < 6 {
						t.Errorf("only %d calls were made: this tests nothing", n)
					}
					break
				}
			}
		}
	})
}

// crash lets the n-th call after midnight be the last; false when there were fewer.
func crash(t *testing.T, n int, effect bool) (crashed bool) {
	inner := memory()
	var calls atomic.Int64
	var armed atomic.Bool
	s := hooked{inner, func(v verb, do func() error) error {
		if !armed.Load() {
			return do()
		}
		switch call := int(calls.Add(1)); {
		case call < n:
			return do()
		case call == n && effect:
			_ = do()
		}
		return timedOut()
	}}
	p, err := tryStart(s, 1, func(o *ledger.Options) { o.Keep = keepAll })
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() { _ = p.Run(ctx) }()
	var log, acknowledged []string
	step := func(key, state, transition string) {
		short, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		log = append(log, key+"="+state+"/"+transition)
		if _, err := p.Append(short, 0, []ledger.Entry{entry(key, state, transition)}); err == nil {
			acknowledged = log
		}
	}
	for i := range 4 { // 200 KiB: they are carried in several writes
		step(fmt.Sprint("alarm/", i), strings.Repeat("x", 200<<10), fmt.Sprint("t", i))
	}
	step("plain/old", "1", "t4")
	time.Sleep(2 * time.Hour)
	armed.Store(true)
	midnight()
	step("alarm/9", "1", "t5")
	step("alarm/9", "2", "t6")
	time.Sleep(10 * time.Second)
	crashed = int(calls.Load()) >= n
	stop()
	_ = p.Close()

	next := start(t, inner, 1, func(o *ledger.Options) {
		o.Keep, o.Done = keepAll, func(int) ledger.Position { return ledger.Position{} }
	})
	put(t, next, 0, entry("k", "1", "t"))
	if crashed {
		// The old day is open still, or closed after all was carried; the transitions of an open day are all there, each once.
		got := news(logOf(t, next, 0, ledger.Position{}, 3))
		if !head(t, inner, 0, today()-1).Closed && !hasPrefix(got, acknowledged) || hasDouble(got) {
			t.Fatalf("call %d (effect %v): the log is %q, %q were acknowledged", n, effect, shorten(got), shorten(acknowledged))
		}
	}
	for i := range 4 {
		if state, ok := next.Get(0, fmt.Sprint("alarm/", i)); !ok || len(state) != 200<<10 {
			t.Fatalf("call %d (effect %v): the state of alarm/%d is lost", n, effect, i)
		}
	}
	if _, ok := next.Get(0, "plain/old"); ok {
		t.Fatalf("call %d (effect %v): what nobody keeps was carried", n, effect)
	}
	if state, _ := next.Get(0, "alarm/9"); strings.HasSuffix(acknowledged[len(acknowledged)-1], "t6") && string(state) != "2" {
		t.Fatalf("call %d (effect %v): alarm/9 is %q", n, effect, state)
	}
	return crashed
}

func news(rows []ledger.Row) (out []string) {
	for _, r := range rows {
		if r.Transition != nil {
			out = append(out, r.Key+"="+string(r.State)+"/"+string(r.Transition))
		}
	}
	return out
}

func hasPrefix(list, prefix []string) bool {
	if len(prefix) > len(list) {
		return false
	}
	for i := range prefix {
		if list[i] != prefix[i] {
			return false
		}
	}
	return true
}

func hasDouble(list []string) bool {
	seen := map[string]bool{}
	for _, s := range list {
		if seen[s] {
			return true
		}
		seen[s] = true
	}
	return false
}

func shorten(list []string) (out []string) {
	for _, s := range list {
		out = append(out, s[max(0, len(s)-4):])
	}
	return out
}
