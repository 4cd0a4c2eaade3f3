package series

import (
	"encoding/binary"
	"time"

	"muster"
)

// hash mixes the 16 bytes of an id into 64 bits (docs/format/series.md, "Placement"). It is part of
// the format: nodes would change their shard with it.
func hash(id [16]byte) uint64 {
	return mix(mix(binary.BigEndian.Uint64(id[:8])) ^ binary.BigEndian.Uint64(id[8:]))
}

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// shardOf places a node: an account begins at a shard of its own and spreads over the following ones.
func shardOf(account muster.AccountID, node muster.NodeID, spread, shards int) int {
	if spread <= 0 || spread > shards {
		spread = shards
	}
	n := uint64(shards)
	return int((hash(account)%n + hash(node)%uint64(spread)) % n)
}

// tileOf numbers the tile of a node when the nodes of a shard are cut into 1<<bits tiles.
func tileOf(node muster.NodeID, bits int) int {
	if bits == 0 {
		return 0
	}
	return bits<<16 | int(hash(node)>>(64-bits))
}

// tileHolds says whether a tile is where the node would be.
func tileHolds(tile int, node muster.NodeID) bool { return tileOf(node, tile>>16) == tile }

const (
	minuteMs = 60_000
	hourMs   = 60 * minuteMs
	dayMs    = 24 * hourMs
	// shortWindow is the length of a block at periods up to 15 s; slower sources have longer ones, so
	// that a block has about 120 frames. Both divide a day.
	shortWindow  = 20 * minuteMs
	middleWindow = 60 * minuteMs
	longWindow   = 120 * minuteMs
	// fullWindow is how many frames end a window early.
	fullWindow = 8192
)

func floorTo(t, unit int64) int64 {
	rest := t % unit
	if rest < 0 {
		rest += unit
	}
	return t - rest
}

func hourOf(at int64) Hour { return Hour(floorTo(at, hourMs) / hourMs) }

func (h Hour) start() int64 { return int64(h) * hourMs }

func (m Minute) start() int64 { return int64(m) * minuteMs }

// windowFor chooses the window around an instant for a source whose frames come every period ms (0
// when unknown). No window begins before free, up to which the source's windows are taken already.
func windowFor(at, period, free int64) (start, end int64) {
	length := int64(shortWindow)
	switch {
	case period > 45_000:
		length = longWindow
	case period > 15_000:
		length = middleWindow
	}
	start = floorTo(at, length)
	if start < free && length > shortWindow {
		length = shortWindow
		start = floorTo(at, length)
	}
	return max(start, min(free, at)), start + length
}

// expected says after which time a window's block may be sealed, spread by the node's hash.
func spreadOf(node muster.NodeID, over time.Duration) time.Duration {
	if over <= 0 {
		return 0
	}
	return time.Duration(hash(node) % uint64(over))
}
