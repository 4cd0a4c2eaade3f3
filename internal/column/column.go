// Package column gives the codecs of time series: segments (frames of many nodes that arrived
// together, for the log), blocks and chunks (frames of one node and source, column by column) and
// tiles (summaries of one metric over many nodes). It is pure: bytes in, bytes out, no files, no
// clocks. Every form is versioned, carries its own checksum, gives back every bit of every value
// (-0 and denormals too; any NaN comes back as the canonical one) and is described in
// docs/format/column.md.
package column

import (
	"fmt"
	"sync"

	"muster"
)

// Codec owns the working memory of all encoders and decoders, so that it is used again. The zero
// value is ready; it is safe for many goroutines; it must not be copied after first use. One per
// process is enough.
type Codec struct {
	scratch  sync.Pool // of *scratch
	zencoder sync.Pool // of *zstd.Encoder
	zdecoder sync.Pool // of *zstd.Decoder
}

// Limits. Builders refuse more with ErrLimited, readers with ErrInvalid, before allocating for it.
const (
	// MaxSegment is the largest segment before compression, in bytes.
	MaxSegment = 4 << 20
	// MaxRows is how many instants one block or chunk may have.
	MaxRows = 1 << 14
	// MaxColumns is how many columns one block or chunk may have.
	MaxColumns = 1 << 16
	// MaxSlots is how many slots a row of a tile may have.
	MaxSlots = 1 << 10
	// MaxTileSlots is how many slots all rows of one tile may have together.
	MaxTileSlots = 1 << 22
)

// Block is the frames of one node and source, turned into columns. AppendBlock stores it compactly
// for the disk, AppendChunk quickly for memory.
type Block struct {
	Schemas []muster.SchemaID // every schema that describes a column
	Times   []int64           // Unix ms, ascending, unique, at most MaxRows
	Columns []Column          // at most MaxColumns
}

// Column is one metric: one value per instant of its block, NaN where it has none. Schema and Index
// say where it is described: Metrics[Index] of the schema Block.Schemas[Schema]. A metric that
// several schemas describe is one column and names any of them.
type Column struct {
	Schema, Index int
	Values        []float64
}

// ColumnRef says where a stored column is described, as in Column.
type ColumnRef struct{ Schema, Index int }

// Slot is a summary of one metric over one slot of time (5 min or 1 h). Count 0 means that there was
// no value; the other fields are then zero when read.
type Slot struct {
	Count                         uint32  // how many values
	Min, Max, Sum, Last, Increase float64 // Increase is adjusted for resets; kept for counters, always 0 for gauges
}

// TileRow is one series of a tile: a node, the metric's attributes there, and its slots in order.
type TileRow struct {
	Node  muster.NodeID
	Attrs []muster.Attr
	Slots []Slot
}

// Tile is one metric of one account over many nodes and one span of time. All rows have the same
// number of slots; rows of one node follow each other.
type Tile struct {
	Unit string
	Kind muster.MetricKind
	Rows []TileRow
}

// Fields chooses what is decoded of a slot; Count always is.
type Fields uint8

// The fields of a slot.
const (
	FieldMin Fields = 1 << iota
	FieldMax
	FieldSum
	FieldLast
	FieldIncrease
	// FieldAll is every field.
	FieldAll = FieldMin | FieldMax | FieldSum | FieldLast | FieldIncrease
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: column: "+format, append([]any{muster.ErrInvalid}, args...)...)
}

func limited(format string, args ...any) error {
	return fmt.Errorf("%w: column: "+format, append([]any{muster.ErrLimited}, args...)...)
}
