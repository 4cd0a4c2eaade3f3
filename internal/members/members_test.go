package members_test

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"

	"muster"
	"muster/internal/members"
)

func TestOneServerLessMovesOnlyItsShare(t *testing.T) {
	five := []string{"a", "b", "c", "d", "e"}
	share := map[string]int{}
	for i := range 10000 {
		id := strconv.Itoa(i)
		owner := members.Owner(five, id)
		share[owner]++
		if without := members.Owner(five[:4], id); owner != "e" && without != owner {
			t.Fatalf("%s moved from %s to %s though its owner lives", id, owner, without)
		}
		if turned := members.Owner([]string{"e", "d", "c", "b", "a"}, id); turned != owner {
			t.Fatalf("the order of the list decides: %s or %s", owner, turned)
		}
	}
	for name, n := range share {
		if n < 1800 || n > 2200 {
			t.Errorf("%s owns %d of 10000", name, n)
		}
	}
	if members.Owner(nil, "x") != "" {
		t.Error("nobody lives, yet somebody owns")
	}
}

func TestClaim(t *testing.T) {
	var next atomic.Uint64
	broken := true
	s := members.New("a", 8, func(_ context.Context, shard int) (uint64, error) {
		if broken && shard == 3 {
			return 0, muster.ErrUnavailable
		}
		return next.Add(1), nil
	})
	if _, mine := s.Owns(0); mine {
		t.Fatal("owned before it was claimed")
	}
	if err := s.Claim(t.Context(), []string{"a"}); !errors.Is(err, muster.ErrUnavailable) {
		t.Fatalf("the failed shard is not told: %v", err)
	}
	if _, mine := s.Owns(3); mine {
		t.Error("owned, though taking it failed")
	}
	broken = false
	first, _ := s.Owns(0)
	if err := s.Claim(t.Context(), []string{"a"}); err != nil {
		t.Fatal(err)
	}
	if epoch, mine := s.Owns(3); !mine || epoch == 0 {
		t.Error("not owned after the second claim")
	}
	if again, _ := s.Owns(0); again != first {
		t.Error("a shard held already was taken again: its epoch rose for nothing")
	}
	if err := s.Claim(t.Context(), []string{"b"}); err != nil {
		t.Fatal(err)
	}
	if _, mine := s.Owns(0); mine {
		t.Error("still owned after another took over")
	}
	if _, mine := s.Owns(99); mine {
		t.Error("owns a shard that does not exist")
	}
}
