// Package zones gives who runs the checks of a zone: its runners, which of them are connected, and the one
// that each check falls to.
package zones

import (
	"hash/fnv"
	"slices"
	"sync"

	"muster"
)

// Zones knows who runs checks where. A zone of an account has runners; each check of the zone is run by
// one of those that are connected, chosen by rendezvous so that few checks move when one comes or goes. It is safe for use by many goroutines.
type Zones struct {
	mu      sync.RWMutex
	members map[zoneKey][]muster.NodeID
	linked  map[runnerKey]int
}

type zoneKey struct {
	account muster.AccountID
	zone    string
}

type runnerKey struct {
	account muster.AccountID
	node    muster.NodeID
}

// New makes zones without runners.
func New() *Zones {
	return &Zones{members: map[zoneKey][]muster.NodeID{}, linked: map[runnerKey]int{}}
}

// Runners gives how many are connected that run checks.
func (z *Zones) Runners() int {
	z.mu.RLock()
	defer z.mu.RUnlock()
	n := 0
	for key, nodes := range z.members {
		for _, node := range nodes {
			if z.linked[runnerKey{key.account, node}] > 0 {
				n++
			}
		}
	}
	return n
}

// Known says whether the account has that zone.
func (z *Zones) Known(account muster.AccountID, zone string) bool {
	z.mu.RLock()
	defer z.mu.RUnlock()
	return zone == muster.LocalZone || len(z.members[zoneKey{account, zone}]) > 0
}

// Serves says whether the node is a runner of the zone.
func (z *Zones) Serves(account muster.AccountID, node muster.NodeID, zone string) bool {
	z.mu.RLock()
	defer z.mu.RUnlock()
	return slices.Contains(z.members[zoneKey{account, zone}], node)
}

// Pick chooses who runs a check in a zone; false when none of its runners is connected.
func (z *Zones) Pick(account muster.AccountID, zone string, id muster.CheckID) (runner muster.NodeID, ok bool) {
	z.mu.RLock()
	defer z.mu.RUnlock()
	var best uint64
	for _, node := range z.members[zoneKey{account, zone}] {
		if z.linked[runnerKey{account, node}] == 0 {
			continue
		}
		if weight := rendezvous(node, id); !ok || weight > best {
			runner, best, ok = node, weight, true
		}
	}
	return runner, ok
}

func rendezvous(node muster.NodeID, id muster.CheckID) uint64 {
	h := fnv.New64a()
	h.Write(node[:])
	h.Write([]byte(id))
	sum := h.Sum64() // its low bits hardly differ between ids that end alike
	sum ^= sum >> 33
	sum *= 0xff51afd7ed558ccd
	return sum ^ sum>>33
}

// Peers gives the connected runners that share a zone with the node, itself included if it is connected.
func (z *Zones) Peers(account muster.AccountID, node muster.NodeID) []muster.NodeID {
	z.mu.RLock()
	defer z.mu.RUnlock()
	var out []muster.NodeID
	for key, nodes := range z.members {
		if key.account != account || !slices.Contains(nodes, node) {
			continue
		}
		for _, n := range nodes {
			if z.linked[runnerKey{account, n}] > 0 && !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	slices.SortFunc(out, func(a, b muster.NodeID) int { return slices.Compare(a[:], b[:]) })
	return out
}

// Set says who the runners of a zone are, and gives who they were.
func (z *Zones) Set(account muster.AccountID, zone string, nodes []muster.NodeID) (before []muster.NodeID) {
	z.mu.Lock()
	defer z.mu.Unlock()
	key := zoneKey{account, zone}
	before = z.members[key]
	z.members[key] = nodes
	return before
}

// Linked says whether the node is connected as a runner.
func (z *Zones) Linked(account muster.AccountID, node muster.NodeID) bool {
	z.mu.RLock()
	defer z.mu.RUnlock()
	return z.linked[runnerKey{account, node}] > 0
}

// Link counts a connection of a runner, or with -1 its end, and gives how many it has.
func (z *Zones) Link(account muster.AccountID, node muster.NodeID, by int) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	key := runnerKey{account, node}
	n := max(z.linked[key]+by, 0)
	if z.linked[key] = n; n == 0 {
		delete(z.linked, key)
	}
	return n
}
