package pebble

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"muster"
	"muster/internal/store"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

func noon() time.Time { return time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC) }

func open(t testing.TB, o Options) *Engine {
	t.Helper()
	if o.Now == nil {
		o.Now = noon
	}
	e, err := Open(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func op(n byte) (id store.OpID) {
	for i := range id {
		id[i] = n
	}
	return id
}

var (
	account = muster.AccountID{0x01, 0x8f, 15: 0xaa}
	node    = store.Key{Account: account, Kind: "node", ID: "node_01h455"}
	name    = store.Key{Account: account, Kind: "name.node", ID: "web1"}
	session = store.Key{Kind: "session", ID: "0a0b"}
	day     = store.ShardKey{Shard: 7, Domain: "all", Day: 20526}
	closed  = store.ShardKey{Shard: 7, Domain: "all", Day: 20525}
)

// fill writes one of everything.
func fill(t *testing.T, e *Engine) {
	t.Helper()
	ctx := t.Context()
	check := func(done bool, err error) {
		t.Helper()
		if err != nil || !done {
			t.Fatal(done, err)
		}
	}
	swap := func(key store.Key, next store.Object, ttl time.Duration) {
		t.Helper()
		done, _, err := e.Swap(ctx, key, next, ttl)
		check(done, err)
	}
	swap(node, store.Object{Rev: 1, Op: op(1), Body: []byte(`{"name":"web1"}`)}, 0)
	swap(node, store.Object{Rev: 2, Op: op(2), Recent: []store.OpID{op(1)}, Body: []byte(`{"name":"web2"}`)}, 0)
	swap(name, store.Object{Rev: 1, Op: op(3), Deleted: true}, time.Hour)
	check(true, e.Enlist(ctx, node, 1, 0))
	check(true, e.PutEvents(ctx, account, "changelog", []store.EventRow{{At: noon().UnixMilli(), ID: "event_1", Body: []byte(`{"kind":"node.joined"}`)}}, 24*time.Hour))
	check(true, e.PutEphemeral(ctx, session, []byte(`{"user":"user_1"}`), time.Hour))
	for _, key := range []store.ShardKey{closed, day} {
		done, _, err := e.Raise(ctx, key, 0, 3, "0123abcd")
		check(done, err)
		done, _, err = e.Append(ctx, key, 3, []store.ShardRow{{Seq: 1, Key: "k", State: []byte("s"), Transition: []byte("t")}, {Seq: 258, Key: "k2", State: []byte("s2")}})
		check(done, err)
	}
	done, _, err := e.CloseDay(ctx, closed, 3, time.Hour)
	check(done, err)
}

// dump writes every pair as a line: the key, a space, the value, in hexadecimal digits with what is readable beside it.
func dump(t *testing.T, e *Engine) string {
	t.Helper()
	it, err := e.db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	var out strings.Builder
	for ok := it.First(); ok; ok = it.Next() {
		fmt.Fprintf(&out, "%x %x # %s = %s\n", it.Key(), it.Value(), readable(it.Key()), readable(it.Value()))
	}
	return out.String()
}

func readable(b []byte) string {
	return string(bytes.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, b))
}

func TestEveryKeyAndByte(t *testing.T) {
	t.Parallel()
	e := open(t, Options{})
	fill(t, e)
	got, path := dump(t, e), filepath.Join("testdata", "format1.golden")
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wanted, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(wanted) {
		t.Fatalf("what is written has changed: raise Format, keep reading the old, and describe it in docs/format/store.md\ngot:\n%s\nwant:\n%s", got, wanted)
	}
}

// What an older program wrote is read: the golden pairs are put into an empty database and read back.
func TestReadsFormat1(t *testing.T) {
	t.Parallel()
	e := open(t, Options{})
	file, err := os.Open(filepath.Join("testdata", "format1.golden"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		parts := strings.SplitN(lines.Text(), " ", 3)
		key, err1 := hex.DecodeString(parts[0])
		value, err2 := hex.DecodeString(parts[1])
		if err := errors.Join(err1, err2, e.db.Set(key, value, pebble.NoSync)); err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	if o, err := e.Get(ctx, node, true); err != nil || o.Rev != 2 || o.Op != op(2) || o.Recent[0] != op(1) || string(o.Body) != `{"name":"web2"}` {
		t.Errorf("object: %+v, %v", o, err)
	}
	if o, err := e.Get(ctx, name, true); err != nil || o.Rev != 1 || !o.Deleted {
		t.Errorf("deleted object: %+v, %v", o, err)
	}
	if rows, err := e.List(ctx, account, "node", "", 9); err != nil || len(rows) != 1 || rows[0] != (store.Listing{ID: node.ID, Rev: 1}) {
		t.Errorf("listing: %+v, %v", rows, err)
	}
	if rows, err := e.ListEvents(ctx, account, "changelog", store.EventRow{At: 1 << 60}, 9); err != nil || len(rows) != 1 || rows[0].ID != "event_1" {
		t.Errorf("events: %+v, %v", rows, err)
	}
	if body, err := e.Ephemeral(ctx, session); err != nil || string(body) != `{"user":"user_1"}` {
		t.Errorf("ephemeral: %s, %v", body, err)
	}
	if head, err := e.Head(ctx, closed); err != nil || head != (store.ShardHead{Epoch: 3, Holder: "0123abcd", Closed: true, Last: 258}) {
		t.Errorf("head: %+v, %v", head, err)
	}
	if rows, err := e.Scan(ctx, day, 2, 9); err != nil || len(rows) != 1 || rows[0].Seq != 258 || rows[0].Key != "k2" {
		t.Errorf("rows: %+v, %v", rows, err)
	}
}
