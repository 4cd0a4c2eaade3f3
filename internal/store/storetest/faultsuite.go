package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"muster"
	"muster/internal/store"
)

// tally counts outcomes; what is neither fine nor expected fails the test.
type tally struct {
	done, refused, open atomic.Int64
}

func (c *tally) add(t *testing.T, err error, expected ...error) bool {
	t.Helper()
	switch {
	case err == nil:
		c.done.Add(1)
		return true
	case errors.Is(err, muster.ErrUnavailable):
		c.open.Add(1)
		return false
	}
	for _, kind := range expected {
		if errors.Is(err, kind) {
			c.refused.Add(1)
			return false
		}
	}
	t.Errorf("unexpected error: %v", err)
	return false
}

// countsOnce: each update that was acknowledged is in the object exactly once, and one left open at most once.
func countsOnce(t *testing.T, s *store.Store) {
	n := node(account(1), "counter", 1)
	n.Notes = "0"
	patiently(t, "create", func() error {
		if err := s.CreateNode(ctx(t), n); err == nil || !errors.Is(err, muster.ErrConflict) {
			return err
		}
		return nil // an earlier try took place
	})
	var c tally
	each(4, func(int) {
		for range 10 {
			_, err := s.UpdateNode(t.Context(), n.Account, n.ID, 0, func(n *muster.Node) error {
				value, err := strconv.Atoi(n.Notes)
				n.Notes = strconv.Itoa(value + 1)
				return err
			})
			c.add(t, err)
		}
	})
	var value int64
	patiently(t, "read", func() error {
		got, err := s.UpdateNode(ctx(t), n.Account, n.ID, 0, func(n *muster.Node) error { n.Star = !n.Star; return nil })
		if err == nil {
			value, err = strconv.ParseInt(got.Notes, 10, 64)
		}
		return err
	})
	if value < c.done.Load() || value > c.done.Load()+c.open.Load() {
		t.Fatalf("%d updates were acknowledged and %d left open, the counter shows %d", c.done.Load(), c.open.Load(), value)
	}
}

// usesOnce: an enrolment is never used more often than allowed.
func usesOnce(t *testing.T, s *store.Store) {
	const uses = 5
	e := &muster.Enrollment{Account: account(1), SecretHash: hash(1), UsesLeft: uses, ExpiresAt: NewClock().Now().Add(time.Hour)}
	patiently(t, "create", func() error {
		if err := s.CreateEnrollment(ctx(t), e); err == nil || !errors.Is(err, muster.ErrConflict) {
			return err
		}
		return nil
	})
	var c tally
	each(5, func(n int) {
		for i := range 3 {
			_, err := s.UseEnrollment(t.Context(), hash(1), hash(byte(10*n+i)), NewClock().Now())
			c.add(t, err, muster.ErrDenied)
		}
	})
	if c.done.Load() > uses || c.done.Load()+c.open.Load() < uses {
		t.Fatalf("of %d uses %d were granted and %d left open", uses, c.done.Load(), c.open.Load())
	}
}

// oneHolder: of many that create under one name at most one is told that it has it, and the listing shows it once.
func oneHolder(t *testing.T, s *store.Store) {
	const names, workers = 4, 5
	var winners [names]tally
	each(workers, func(i int) {
		for name := range names {
			err := s.CreateNode(t.Context(), node(account(1), fmt.Sprintf("web%d", name), byte(10*i+name)))
			winners[name].add(t, err, muster.ErrConflict)
		}
	})
	shown := countNames(t, s)
	for name := range names {
		w, text := &winners[name], fmt.Sprintf("web%d", name)
		if w.done.Load() > 1 || shown[text] > 1 || shown[text] < int(w.done.Load()) {
			t.Fatalf("%s: %d were told that they have it, %d left open, and the listing shows it %d times", text, w.done.Load(), w.open.Load(), shown[text])
		}
	}
}

// countNames counts nodes by name, looking until reads trail no more.
func countNames(t *testing.T, s *store.Store) map[string]int {
	t.Helper()
	shown := map[muster.NodeID]string{}
	for range 20 { // a read may trail by one change: what is seen in the end, by most, is so
		all, err := s.Nodes(ctx(t), account(1))
		must(t, err)
		for _, n := range all {
			if fresh, err := s.UpdateNode(ctx(t), n.Account, n.ID, 0, func(n *muster.Node) error { n.Star = !n.Star; return nil }); err == nil {
				shown[n.ID] = strings.ToLower(fresh.Name)
			}
		}
	}
	counts := map[string]int{}
	for _, name := range shown {
		counts[name]++
	}
	return counts
}

// renames: however nodes swap names about, no two have the same.
func renames(t *testing.T, s *store.Store) {
	const nodes = 4
	var all [nodes]*muster.Node
	for i := range all {
		all[i] = node(account(1), fmt.Sprintf("start%d", i), byte(i+1))
		patiently(t, "create", func() error {
			if err := s.CreateNode(ctx(t), all[i]); err == nil || !errors.Is(err, muster.ErrConflict) {
				return err
			}
			return nil
		})
	}
	var c tally
	each(nodes, func(i int) {
		for round := range 8 {
			name := fmt.Sprintf("name%d", (i+round)%3)
			_, err := s.UpdateNode(t.Context(), account(1), all[i].ID, 0, func(n *muster.Node) error { n.Name = name; return nil })
			c.add(t, err, muster.ErrConflict)
		}
	})
	total := 0
	for name, count := range countNames(t, s) {
		if total += count; count > 1 {
			t.Fatalf("%d nodes have the name %s", count, name)
		}
	}
	if total != nodes {
		t.Fatalf("%d nodes are left of %d", total, nodes)
	}
}

// onceOnly: of many that put under one key at most one is told that it was first.
func onceOnly(t *testing.T, s *store.Store) {
	for key := range 5 {
		var c tally
		var first sync.Map
		each(4, func(i int) {
			if c.add(t, s.PutOnce(t.Context(), account(1), fmt.Sprint(key), fmt.Append(nil, i), time.Hour), muster.ErrConflict) {
				first.Store(i, true)
			}
		})
		if c.done.Load() > 1 {
			t.Fatalf("%d callers were told that they were first", c.done.Load())
		}
		if c.done.Load() == 0 {
			continue
		}
		patiently(t, "read", func() error {
			value, err := s.Once(ctx(t), account(1), fmt.Sprint(key))
			if err != nil {
				return err
			}
			winner, err := strconv.Atoi(string(value))
			if _, ok := first.Load(winner); err == nil && !ok {
				t.Fatalf("%d is kept, but another was told to be first", winner)
			}
			return err
		})
	}
}

// rowsStay: with owners that take a shard from each other, every acknowledged row is there, under the epoch it was written.
func rowsStay(t *testing.T, s *store.Store) {
	day := store.ShardKey{Shard: 1, Domain: "all", Day: 1}
	acknowledged := map[uint64]string{}
	for round := range 6 {
		holder := fmt.Sprint("owner", round)
		var head store.ShardHead
		patiently(t, "take", func() (err error) {
			head, err = s.TakeShard(ctx(t), day, holder, 0)
			return err
		})
		if head.Holder != holder || head.Epoch < uint64(round+1) {
			t.Fatalf("%s took the shard and reads %+v", holder, head)
		}
		for i := range uint64(5) {
			row := store.ShardRow{Seq: head.Last + 1 + i, Key: "k", State: []byte(holder)}
			patiently(t, "append", func() error { return s.AppendShard(ctx(t), day, head.Epoch, []store.ShardRow{row}) })
			acknowledged[row.Seq] = holder
		}
		if round > 0 {
			want(t, s.AppendShard(ctx(t), day, head.Epoch-1, rowsFrom(1, 1, "stale")), muster.ErrConflict)
		}
	}
	rows, err := s.ScanShard(ctx(t), day, 0, 1000)
	must(t, err)
	if len(rows) != len(acknowledged) {
		t.Fatalf("%d rows are there, %d were acknowledged", len(rows), len(acknowledged))
	}
	for _, row := range rows {
		if string(row.State) != acknowledged[row.Seq] {
			t.Fatalf("row %d is of %q, acknowledged to %q", row.Seq, row.State, acknowledged[row.Seq])
		}
	}
}
