package engine

import (
	"cmp"
	"slices"

	"muster"
)

// SortTiles orders tiles by their start, of one start the higher generations first.
func SortTiles(tiles []Tile) {
	slices.SortStableFunc(tiles, func(a, b Tile) int {
		switch {
		case a.Start != b.Start:
			return cmp.Compare(a.Start, b.Start)
		case a.Gen == b.Gen:
			return cmp.Compare(a.Tile, b.Tile)
		case a.Gen.Newer(b.Gen):
			return -1
		}
		return 1
	})
}

// Unhidden narrows want (nil wants all) to the nodes that no tile of a higher generation has. above are
// the tiles of the same start that stand before one of generation gen, as SortTiles orders them.
func Unhidden(above []Tile, gen Gen, want func(muster.NodeID) bool) func(muster.NodeID) bool {
	if len(above) == 0 || above[0].Gen == gen {
		return want
	}
	return func(id muster.NodeID) bool {
		hidden := slices.ContainsFunc(above, func(t Tile) bool { return t.Gen != gen && TileHolds(t.Tile, id) })
		return !hidden && (want == nil || want(id))
	}
}
