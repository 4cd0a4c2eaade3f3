package engine

import (
	"encoding/binary"

	"muster"
)

// Hash mixes the 16 bytes of an id into 64 bits (docs/format/series.md, "Placement"). It is part of
// the format: nodes would change their shard with it.
func Hash(id [16]byte) uint64 {
	return mix(mix(binary.BigEndian.Uint64(id[:8])) ^ binary.BigEndian.Uint64(id[8:]))
}

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// ShardOf places a node: an account begins at a shard of its own and spreads over the following ones.
// A spread of 0, or of more than all, is over all shards.
func ShardOf(account muster.AccountID, node muster.NodeID, spread, shards int) int {
	if spread <= 0 || spread > shards {
		spread = shards
	}
	n := uint64(shards)
	return int((Hash(account)%n + Hash(node)%uint64(spread)) % n)
}

// TileOf numbers the tile of a node when the nodes of a shard are cut into 1<<bits tiles.
func TileOf(node muster.NodeID, bits int) int {
	if bits == 0 {
		return 0
	}
	return bits<<16 | int(Hash(node)>>(64-bits))
}

// TileHolds says whether a tile is where the node would be.
func TileHolds(tile int, node muster.NodeID) bool { return TileOf(node, tile>>16) == tile }

const (
	// nodesPerTile and rowsPerTile bound a tile, and with it the memory that building one needs.
	nodesPerTile = 256
	rowsPerTile  = 40_000
)

// TileBits gives into how many tiles (as a power of two) the nodes of an account in a shard are cut, by
// their number and that of their series.
func TileBits(nodes, series int) (bits int) {
	for bits < 15 && (nodes>>bits > nodesPerTile || series>>bits > rowsPerTile) {
		bits++
	}
	return bits
}
