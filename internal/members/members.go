// Package members gives the answer to who owns what: every shard has one owner among the live
// servers, found by rendezvous hashing, and an epoch that the owner raised when it took the shard. A
// single process is a cluster of one: the same table with one name in it.
package members

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"sync"
	"sync/atomic"
)

// Owner gives the name, of those in live, that owns the id: the one with the highest hash of both, so
// that a server that comes or goes moves only its own share. It is "" when live is empty.
func Owner(live []string, id string) string {
	best, top := "", uint64(0)
	for _, name := range live {
		h := fnv.New64a()
		h.Write([]byte(name))
		h.Write([]byte{0})
		h.Write([]byte(id))
		if score := mix(h.Sum64()); best == "" || score > top || score == top && name < best {
			best, top = name, score
		}
	}
	return best
}

// mix spreads the weak low bits of FNV over the whole word (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Take raises the epoch of a shard in the store for this process and gives the new one, over zero.
type Take func(ctx context.Context, shard int) (epoch uint64, err error)

// Shards is this server's view of the shards it owns. It is safe for use by many goroutines.
type Shards struct {
	self   string
	epochs []atomic.Uint64 // 0: not owned
	take   Take
}

// New makes a view of count shards, none of them owned yet, for the server named self.
func New(self string, count int, take Take) *Shards {
	return &Shards{self: self, epochs: make([]atomic.Uint64, count), take: take}
}

// Claim takes every shard that self owns among the live servers and that is not held already, all at
// once since each is a round trip to the store, and lets go of those that became another's. What could
// not be taken is named in the error; Claim may be called again.
func (s *Shards) Claim(ctx context.Context, live []string) error {
	var group sync.WaitGroup
	faults := make([]error, len(s.epochs))
	for shard := range s.epochs {
		if Owner(live, "shard "+strconv.Itoa(shard)) != s.self {
			s.epochs[shard].Store(0)
			continue
		}
		if s.epochs[shard].Load() != 0 {
			continue
		}
		group.Go(func() {
			epoch, err := s.take(ctx, shard)
			if err != nil {
				faults[shard] = fmt.Errorf("members: take shard %d: %w", shard, err)
				return
			}
			s.epochs[shard].Store(epoch)
		})
	}
	group.Wait()
	return errors.Join(faults...)
}

// Owns says whether this server owns the shard, and under which epoch.
func (s *Shards) Owns(shard int) (epoch uint64, mine bool) {
	if shard < 0 || shard >= len(s.epochs) {
		return 0, false
	}
	epoch = s.epochs[shard].Load()
	return epoch, epoch != 0
}
