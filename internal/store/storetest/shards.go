package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"muster"
	"muster/internal/store"
)

func rowsFrom(seq uint64, n int, text string) (rows []store.ShardRow) {
	for i := range uint64(n) {
		rows = append(rows, store.ShardRow{Seq: seq + i, Key: fmt.Sprintf("alarm %d", i), State: []byte(text), Transition: []byte("to " + text)})
	}
	return rows
}

func sameRows(t *testing.T, got, wanted []store.ShardRow) {
	t.Helper()
	same := slices.EqualFunc(got, wanted, func(a, b store.ShardRow) bool {
		return a.Seq == b.Seq && a.Key == b.Key && bytes.Equal(a.State, b.State) && bytes.Equal(a.Transition, b.Transition)
	})
	if !same {
		t.Fatalf("got rows %+v, want %+v", got, wanted)
	}
}

func sameHead(t *testing.T, got, wanted store.ShardHead) {
	t.Helper()
	if got != wanted {
		t.Fatalf("the head is %+v, want %+v", got, wanted)
	}
}

func shards(t *testing.T, e store.Engine, _ *Clock) {
	key := store.ShardKey{Shard: 7, Domain: "all", Day: 20000}
	head, err := e.Head(ctx(t), key)
	must(t, err)
	sameHead(t, head, store.ShardHead{})
	if done, _, err := e.Append(ctx(t), key, 1, rowsFrom(1, 1, "x")); err != nil || done {
		t.Fatalf("rows were taken before there was an owner: %v %v", done, err)
	}
	done, head, err := e.Raise(ctx(t), key, 0, 5, "one")
	must(t, err)
	sameHead(t, head, store.ShardHead{Epoch: 5, Holder: "one"})
	if !done {
		t.Fatal("the first owner was refused")
	}
	done, head, err = e.Raise(ctx(t), key, 0, 6, "two")
	must(t, err)
	if sameHead(t, head, store.ShardHead{Epoch: 5, Holder: "one"}); done {
		t.Fatal("an epoch was raised from one that it had no more")
	}
	for range 2 { // twice is once
		done, head, err = e.Append(ctx(t), key, 5, rowsFrom(1, 3, "a"))
		must(t, err)
		if sameHead(t, head, store.ShardHead{Epoch: 5, Holder: "one", Last: 3}); !done {
			t.Fatal("the owner's rows were refused")
		}
	}
	_, _, err = e.Raise(ctx(t), key, 5, 6, "two")
	must(t, err)
	if done, head, err = e.Append(ctx(t), key, 5, rowsFrom(4, 1, "stale")); err != nil || done {
		t.Fatalf("a stale epoch was not refused: %v %v", done, err)
	}
	sameHead(t, head, store.ShardHead{Epoch: 6, Holder: "two", Last: 3})
	_, _, err = e.Append(ctx(t), key, 6, rowsFrom(4, 2, "b"))
	must(t, err)
	all := append(rowsFrom(1, 3, "a"), rowsFrom(4, 2, "b")...)
	for _, c := range []struct {
		from  uint64
		limit int
		rows  []store.ShardRow
	}{{0, 100, all}, {1, 2, all[:2]}, {4, 100, all[3:]}, {6, 100, nil}} {
		got, err := e.Scan(ctx(t), key, c.from, c.limit)
		must(t, err)
		sameRows(t, got, c.rows)
	}
	for _, other := range []store.ShardKey{{Shard: 7, Domain: "all", Day: 20001}, {Shard: 8, Domain: "all", Day: 20000}, {Shard: 7, Domain: "al", Day: 20000}} {
		got, err := e.Scan(ctx(t), other, 0, 100)
		must(t, err)
		sameRows(t, got, nil)
	}
}

func shardRace(t *testing.T, e store.Engine, _ *Clock) {
	key := store.ShardKey{Shard: 1, Domain: "all", Day: 1}
	const workers = 8
	var winners atomic.Int64
	each(workers, func(i int) {
		done, _, err := e.Raise(t.Context(), key, 0, 1, fmt.Sprint(i))
		if err != nil {
			t.Error(err)
		}
		if done {
			winners.Add(1)
		}
	})
	if winners.Load() != 1 {
		t.Fatalf("%d owners raised the same epoch", winners.Load())
	}
}

func closedDays(t *testing.T, e store.Engine, clock *Clock) {
	key := store.ShardKey{Shard: 1, Domain: "all", Day: 9}
	_, _, err := e.Raise(ctx(t), key, 0, 1, "one")
	must(t, err)
	_, _, err = e.Append(ctx(t), key, 1, rowsFrom(1, 2, "a"))
	must(t, err)
	if done, _, err := e.CloseDay(ctx(t), key, 2, time.Hour); err != nil || done {
		t.Fatalf("a stranger closed the day: %v %v", done, err)
	}
	for range 2 { // twice is once
		done, head, err := e.CloseDay(ctx(t), key, 1, time.Hour)
		must(t, err)
		if sameHead(t, head, store.ShardHead{Epoch: 1, Holder: "one", Closed: true, Last: 2}); !done {
			t.Fatal("the owner could not close the day")
		}
		clock.Move(10 * time.Minute)
	}
	if done, _, err := e.Append(ctx(t), key, 1, rowsFrom(3, 1, "late")); err != nil || done {
		t.Fatalf("a closed day took a row: %v %v", done, err)
	}
	got, err := e.Scan(ctx(t), key, 0, 10)
	must(t, err)
	sameRows(t, got, rowsFrom(1, 2, "a"))
	clock.Move(41 * time.Minute)
	for range 2 {
		got, err = e.Scan(ctx(t), key, 0, 10)
		must(t, err)
		sameRows(t, got, nil)
		must(t, e.Sweep(ctx(t), clock.Now()))
	}
}

func storeShards(t *testing.T, s *store.Store, _ *Clock) {
	n, err := s.Shards(ctx(t), 16)
	must(t, err)
	again, err := s.Shards(ctx(t), 64)
	must(t, err)
	if n != 16 || again != 16 {
		t.Fatalf("the number of shards is %d and then %d, want the first that was asked for", n, again)
	}
	_, err = s.Shards(ctx(t), 100_000)
	want(t, err, muster.ErrInvalid)

	whole := store.ShardKey{Shard: 3, Domain: "all"}
	day := store.ShardKey{Shard: 3, Domain: "all", Day: 20500}
	one, err := s.TakeShard(ctx(t), whole, "one", 0)
	must(t, err)
	same, err := s.TakeShard(ctx(t), whole, "one", 0)
	must(t, err)
	sameHead(t, same, one)
	_, err = s.TakeShard(ctx(t), day, "one", one.Epoch)
	must(t, err)
	must(t, s.AppendShard(ctx(t), day, one.Epoch, rowsFrom(1, 2, "a")))

	two, err := s.TakeShard(ctx(t), whole, "two", 0)
	must(t, err)
	if two.Epoch <= one.Epoch {
		t.Fatalf("the second owner has epoch %d, the first had %d", two.Epoch, one.Epoch)
	}
	head, err := s.TakeShard(ctx(t), day, "two", two.Epoch)
	must(t, err)
	sameHead(t, head, store.ShardHead{Epoch: two.Epoch, Holder: "two", Last: 2})
	want(t, s.AppendShard(ctx(t), day, one.Epoch, rowsFrom(3, 1, "stale")), muster.ErrConflict)
	_, err = s.TakeShard(ctx(t), day, "one", one.Epoch)
	want(t, err, muster.ErrConflict)
	want(t, s.CloseDay(ctx(t), day, one.Epoch), muster.ErrConflict)

	must(t, s.AppendShard(ctx(t), day, two.Epoch, rowsFrom(3, 1, "b")))
	rows, err := s.ScanShard(ctx(t), day, 2, 10)
	must(t, err)
	sameRows(t, rows, append(rowsFrom(1, 2, "a")[1:], rowsFrom(3, 1, "b")...))
	must(t, s.CloseDay(ctx(t), day, two.Epoch))
	must(t, s.CloseDay(ctx(t), day, two.Epoch))
	want(t, s.AppendShard(ctx(t), day, two.Epoch, rowsFrom(4, 1, "late")), muster.ErrConflict)

	for _, bad := range [][]store.ShardRow{{{Seq: 0, Key: "k"}}, {{Seq: 2, Key: "k"}, {Seq: 2, Key: "l"}}, {{Seq: 1}}} {
		want(t, s.AppendShard(ctx(t), day, two.Epoch, bad), muster.ErrInvalid)
	}
	big := []store.ShardRow{{Seq: 1, Key: "k", State: make([]byte, store.MaxShardBatch)}}
	want(t, s.AppendShard(ctx(t), day, two.Epoch, big), muster.ErrLimited)
}
