package column

import "muster"

// AppendTile appends the stored form of t. The error wraps ErrInvalid when t contradicts itself and
// ErrLimited when it is too large.
func (c *Codec) AppendTile(dst []byte, t *Tile) ([]byte, error) { panic("being written") }

// ReadTile reads the rows of those nodes that want wants, or of all when want is nil. The error wraps
// ErrInvalid.
func (c *Codec) ReadTile(b []byte, want func(muster.NodeID) bool) (*Tile, error) {
	panic("being written")
}

// WalkTile reads like ReadTile, but only the fields asked for (the others stay zero), and hands each
// row to each instead of keeping it: the row and its slots are valid only during the call. The tile
// it returns has no rows. It is what queries over a fleet use.
func (c *Codec) WalkTile(b []byte, fields Fields, want func(muster.NodeID) bool, each func(*TileRow) error) (*Tile, error) {
	panic("being written")
}
