package storetest

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"muster"
	"muster/internal/store"
)

func object(rev uint64, body string) store.Object {
	return store.Object{Rev: rev, Op: store.OpID{0: byte(rev), 1: 7}, Body: []byte(body)}
}

func sameObject(t *testing.T, got, wanted store.Object) {
	t.Helper()
	if got.Rev != wanted.Rev || got.Op != wanted.Op || got.Deleted != wanted.Deleted || !bytes.Equal(got.Body, wanted.Body) || !slices.Equal(got.Recent, wanted.Recent) {
		t.Fatalf("got object %+v, want %+v", got, wanted)
	}
}

func objects(t *testing.T, e store.Engine, _ *Clock) {
	key := store.Key{Account: account(1), Kind: "thing", ID: "a"}
	got, err := e.Get(ctx(t), key, true)
	must(t, err)
	sameObject(t, got, store.Object{})

	first := object(1, `{"n":1}`)
	swap := func(next store.Object) (bool, store.Object) {
		t.Helper()
		done, current, err := e.Swap(ctx(t), key, next, 0)
		must(t, err)
		return done, current
	}
	if done, _ := swap(object(2, "too early")); done {
		t.Fatal("a swap to rev 2 took place where nothing was")
	}
	if done, _ := swap(first); !done {
		t.Fatal("the first swap was refused")
	}
	done, current := swap(object(1, "again"))
	if done {
		t.Fatal("a second object was made over the first")
	}
	sameObject(t, current, first)
	second := store.Object{Rev: 2, Op: store.OpID{9}, Recent: []store.OpID{first.Op, {8}, {7}}, Deleted: true}
	if done, _ := swap(second); !done {
		t.Fatal("the swap from rev 1 to 2 was refused")
	}
	for _, serial := range []bool{true, false} {
		got, err := e.Get(ctx(t), key, serial)
		must(t, err)
		sameObject(t, got, second)
	}
	third := object(3, "back")
	if done, _ := swap(third); !done {
		t.Fatal("a deleted object can't be made again")
	}
	many, err := e.GetMany(ctx(t), []store.Key{{Account: account(1), Kind: "thing", ID: "nothing"}, key})
	must(t, err)
	if len(many) != 2 {
		t.Fatalf("GetMany gave %d objects for 2 keys", len(many))
	}
	sameObject(t, many[0], store.Object{})
	sameObject(t, many[1], third)
}

func swapRace(t *testing.T, e store.Engine, _ *Clock) {
	const workers, rounds = 8, 10
	key := store.Key{Account: account(1), Kind: "thing", ID: "contested"}
	var won atomic.Int64
	each(workers, func(i int) {
		for round := range uint64(rounds) {
			done, _, err := e.Swap(t.Context(), key, store.Object{Rev: round + 1, Op: store.OpID{byte(i), byte(round)}, Body: []byte("x")}, 0)
			if err != nil {
				t.Error(err)
			}
			if done {
				won.Add(1)
			}
		}
	})
	got, err := e.Get(ctx(t), key, true)
	must(t, err)
	if uint64(won.Load()) != got.Rev {
		t.Fatalf("%d swaps were said to be done, but the object is at rev %d", won.Load(), got.Rev)
	}
}

func objectsExpire(t *testing.T, e store.Engine, clock *Clock) {
	key := store.Key{Account: account(1), Kind: "thing", ID: "mortal"}
	put := func(next store.Object, ttl time.Duration) {
		t.Helper()
		done, _, err := e.Swap(ctx(t), key, next, ttl)
		must(t, err)
		if !done {
			t.Fatalf("the swap to rev %d was refused", next.Rev)
		}
	}
	put(object(1, "a"), time.Minute)
	clock.Move(30 * time.Second)
	put(object(2, "b"), time.Minute)
	clock.Move(45 * time.Second)
	must(t, e.Sweep(ctx(t), clock.Now()))
	got, err := e.Get(ctx(t), key, true)
	must(t, err)
	sameObject(t, got, object(2, "b")) // written again to live longer
	clock.Move(16 * time.Second)
	for range 2 {
		got, err = e.Get(ctx(t), key, true)
		must(t, err)
		sameObject(t, got, store.Object{})
		must(t, e.Sweep(ctx(t), clock.Now()))
	}
	put(object(1, "anew"), time.Minute)
}

func keysApart(t *testing.T, e store.Engine, _ *Clock) {
	last := muster.AccountID{}
	for i := range last {
		last[i] = 0xff
	}
	keys := []store.Key{
		{Kind: "node", ID: "a"}, {Kind: "node", ID: "ab"}, {Kind: "nodea", ID: "b"}, {Kind: "node.a", ID: "b"}, {Kind: "n", ID: "odea"},
		{Account: account(1), Kind: "node", ID: "a"}, {Account: last, Kind: "node", ID: "a"}, {Account: last, Kind: "node", ID: "\xff\xff"}, {Kind: "node", ID: "ä ö/\n"},
	}
	for i, key := range keys {
		done, _, err := e.Swap(ctx(t), key, object(1, fmt.Sprint(i)), 0)
		must(t, err)
		if !done {
			t.Fatalf("%q is taken for another key", key)
		}
		must(t, e.Enlist(ctx(t), key, 1, 0))
		must(t, e.PutEphemeral(ctx(t), key, []byte(fmt.Sprint(i)), time.Hour))
	}
	for i, key := range keys {
		got, err := e.Get(ctx(t), key, false)
		must(t, err)
		body, err := e.Ephemeral(ctx(t), key)
		must(t, err)
		if string(got.Body) != fmt.Sprint(i) || string(body) != fmt.Sprint(i) {
			t.Fatalf("%q gives what belongs to another key", key)
		}
	}
	rows, err := e.List(ctx(t), last, "node", "", 10)
	must(t, err)
	if len(rows) != 2 || rows[0].ID != "a" || rows[1].ID != "\xff\xff" {
		t.Fatalf("the listing of the last account is %q", ids(rows))
	}
}

func ids(rows []store.Listing) (out []string) {
	for _, row := range rows {
		out = append(out, row.ID)
	}
	return out
}

func listings(t *testing.T, e store.Engine, clock *Clock) {
	key := func(id string) store.Key { return store.Key{Account: account(1), Kind: "thing", ID: id} }
	list := func(after string, limit int, wanted ...string) {
		t.Helper()
		rows, err := e.List(ctx(t), account(1), "thing", after, limit)
		must(t, err)
		if !slices.Equal(ids(rows), wanted) {
			t.Fatalf("the listing after %q is %q, want %q", after, ids(rows), wanted)
		}
	}
	list("", 10)
	for _, id := range []string{"b", "a", "c", "aa"} {
		must(t, e.Enlist(ctx(t), key(id), 1, 0))
	}
	list("", 10, "a", "aa", "b", "c")
	list("a", 10, "aa", "b", "c")
	list("aa", 1, "b")
	list("", 2, "a", "aa")
	list("c", 10)
	must(t, e.Enlist(ctx(t), key("b"), 3, 0))
	must(t, e.Delist(ctx(t), key("b"), 2)) // of an earlier life
	list("", 10, "a", "aa", "b", "c")
	must(t, e.Delist(ctx(t), key("b"), 3)) // at the same rev removal wins
	must(t, e.Delist(ctx(t), key("nothing"), 1))
	must(t, e.Delist(ctx(t), key("a"), 5))
	list("", 10, "aa", "c")
	must(t, e.Enlist(ctx(t), key("d"), 1, time.Minute))
	list("c", 10, "d")
	clock.Move(time.Hour)
	list("", 10, "aa", "c")
	must(t, e.Sweep(ctx(t), clock.Now()))
	list("", 10, "aa", "c")
}

func events(t *testing.T, e store.Engine, clock *Clock) {
	end := store.EventRow{At: math.MaxInt64}
	row := func(at int64, id string) store.EventRow {
		return store.EventRow{At: at, ID: id, Body: []byte("of " + id)}
	}
	read := func(before store.EventRow, limit int, wanted ...string) {
		t.Helper()
		rows, err := e.ListEvents(ctx(t), account(1), "s", before, limit)
		must(t, err)
		var got []string
		for _, r := range rows {
			got = append(got, fmt.Sprint(r.At, r.ID))
			if string(r.Body) != "of "+r.ID {
				t.Fatalf("entry %s has the body %q", r.ID, r.Body)
			}
		}
		if !slices.Equal(got, wanted) {
			t.Fatalf("before %d %q: %q, want %q", before.At, before.ID, got, wanted)
		}
	}
	put := func(stream string, ttl time.Duration, rows ...store.EventRow) {
		t.Helper()
		must(t, e.PutEvents(ctx(t), account(1), stream, rows, ttl))
	}
	read(end, 10)
	put("s", time.Hour, row(10, "b"), row(10, "a"), row(-5, "x"))
	put("s", 2*time.Hour, row(300, "c"), row(10, "a")) // one twice
	put("s2", time.Hour, row(11, "other"))
	read(end, 10, "300c", "10b", "10a", "-5x")
	read(end, 2, "300c", "10b")
	read(row(10, "b"), 10, "10a", "-5x")
	read(row(-5, "x"), 10)
	read(row(11, ""), 1, "10b")
	clock.Move(61 * time.Minute)
	for range 2 {
		read(end, 10, "300c", "10a")
		must(t, e.Sweep(ctx(t), clock.Now()))
	}
}

func ephemerals(t *testing.T, e store.Engine, clock *Clock) {
	key := store.Key{Kind: "session", ID: "s"}
	_, err := e.Ephemeral(ctx(t), key)
	want(t, err, muster.ErrNotFound)
	must(t, e.PutEphemeral(ctx(t), key, []byte("a"), time.Minute))
	must(t, e.PutEphemeral(ctx(t), key, []byte("b"), 2*time.Minute))
	clock.Move(90 * time.Second)
	must(t, e.Sweep(ctx(t), clock.Now()))
	body, err := e.Ephemeral(ctx(t), key)
	must(t, err)
	if string(body) != "b" {
		t.Fatalf("read %q, want what was written last", body)
	}
	clock.Move(time.Minute)
	for range 2 {
		_, err = e.Ephemeral(ctx(t), key)
		want(t, err, muster.ErrNotFound)
		must(t, e.Sweep(ctx(t), clock.Now()))
	}
	must(t, e.PutEphemeral(ctx(t), key, []byte("c"), time.Minute))
	must(t, e.DeleteEphemeral(ctx(t), key))
	must(t, e.DeleteEphemeral(ctx(t), key))
	_, err = e.Ephemeral(ctx(t), key)
	want(t, err, muster.ErrNotFound)
}

func endedContext(t *testing.T, e store.Engine, _ *Clock) {
	ended, cancel := context.WithCancel(ctx(t))
	cancel()
	key := store.Key{Kind: "thing", ID: "a"}
	_, err := e.Get(ended, key, true)
	want(t, err, muster.ErrUnavailable)
	_, _, err = e.Swap(ended, key, object(1, "x"), 0)
	want(t, err, muster.ErrUnavailable)
	want(t, e.PutEphemeral(ended, key, []byte("x"), time.Hour), muster.ErrUnavailable)
	_, _, err = e.Append(ended, store.ShardKey{Day: 1, Domain: "all"}, 1, []store.ShardRow{{Seq: 1, Key: "k"}})
	want(t, err, muster.ErrUnavailable)
}
