// Package engine gives the contract between the time-series engine and what stores for it: the verbs an
// engine implements, the keys it stores under, and the placement of nodes in shards and tiles. It is
// written with a distributed store in mind; internal/series/seriestest proves that an engine keeps it.
package engine

import (
	"context"
	"time"

	"muster"
)

// Minute counts minutes since the Unix epoch; the log is ordered by the minute of receipt.
type Minute int64

// Hour counts hours since the Unix epoch; tiles are built hour by hour.
type Hour int64

// HourMs is the milliseconds of an hour.
const HourMs = 60 * 60_000

// HourOf gives the hour of an instant in Unix ms.
func HourOf(at int64) Hour {
	if at < 0 {
		at -= HourMs - 1
	}
	return Hour(at / HourMs)
}

// Start gives the hour's beginning in Unix ms.
func (h Hour) Start() int64 { return int64(h) * HourMs }

// Day gives the first hour of the hour's day (UTC).
func (h Hour) Day() Hour { return h - h%24 }

// Start gives the minute's beginning in Unix ms.
func (m Minute) Start() int64 { return int64(m) * 60_000 }

// Engine stores what series has made: opaque bytes under ordered keys. It promises only what a
// distributed store can keep: every put is durable when it returns nil, may be repeated with the
// same key and bytes, and may have happened when it returned an error (which then wraps
// muster.ErrUnavailable). Nothing is atomic across two keys. A scan sees at least every put that
// returned before it began. Bytes handed to a callback are valid only until the callback returns;
// a callback's error ends the scan and is returned as it is.
type Engine interface {
	// AppendSegment stores one segment of the log. Segments are never changed; they expire.
	AppendSegment(ctx context.Context, key SegmentKey, data []byte) error
	// ScanSegments calls each for the shard's segments of the minutes from..through, in the order of their minutes.
	ScanSegments(ctx context.Context, shard int, from, through Minute, each func(SegmentKey, []byte) error) error

	// PutSchema stores the canonical bytes of a schema under their content address.
	PutSchema(ctx context.Context, id muster.SchemaID, canonical []byte) error
	// GetSchema gives them back; the error wraps muster.ErrNotFound when there are none.
	GetSchema(ctx context.Context, id muster.SchemaID) ([]byte, error)

	// PutNodeSchemas remembers which node had which schema when; a row replaces the one of the same key.
	PutNodeSchemas(ctx context.Context, rows []NodeSchema) error
	// ScanNodeSchemas calls each for every row of the shard, rows of one node together.
	ScanNodeSchemas(ctx context.Context, shard int, each func(NodeSchema) error) error

	// PutBlocks stores blocks. An engine that can delete cheaply may drop the generations in Block.Over.
	PutBlocks(ctx context.Context, blocks []Block) error
	// ScanBlocks calls each for the blocks of one node that start within the range, ordered by start.
	ScanBlocks(ctx context.Context, r BlockRange, each func(*Block) error) error

	// PutTiles stores tiles; of two with the same key an engine keeps at least the one of the higher generation put last.
	PutTiles(ctx context.Context, tiles []Tile) error
	// ScanTiles calls each for the tiles of one metric of one account in one shard, in no promised order.
	ScanTiles(ctx context.Context, r TileRange, each func(*Tile) error) error

	// PutDirty marks hours of shards as in need of a rebuild.
	PutDirty(ctx context.Context, marks []Dirty) error
	// ScanDirty calls each for the shard's marks that arrived at the given minute or later (earlier ones may come too).
	ScanDirty(ctx context.Context, shard int, from Minute, each func(Dirty) error) error

	// PutBuilt says that the shard's tiles of one span hold everything the log got through the given minute.
	PutBuilt(ctx context.Context, b Built) error
	// ScanBuilt calls each for the shard's tiles of one resolution from the given hour on, ascending.
	ScanBuilt(ctx context.Context, shard int, res Resolution, from Hour, each func(Built) error) error

	// PutCovered says that blocks hold, or dirty marks name, all that the shard's log got through the given minute.
	PutCovered(ctx context.Context, c Covered) error
	// GetCovered gives the newest such mark; the error wraps muster.ErrNotFound when there is none.
	GetCovered(ctx context.Context, shard int) (Covered, error)

	// Expire says what is not needed any more. Engines whose rows carry a time to live ignore it.
	Expire(ctx context.Context, e Expiry) error
}

// Sizer is fitted by engines that know how many bytes they occupy.
type Sizer interface {
	// Size gives the bytes on disk, the log included.
	Size() int64
}

// SegmentKey names a segment: no restart and no second gateway ever uses the same one.
type SegmentKey struct {
	Shard   int
	Minute  Minute // of receipt
	Gateway uint64 // drawn at random at each start of a process
	N       uint64 // counts the gateway's segments
}

// NodeSchema is one row of the memory of which node had which schema when.
type NodeSchema struct {
	Shard     int
	Account   muster.AccountID
	Node      muster.NodeID
	Source    string
	Schema    muster.SchemaID
	First     int64 // Unix ms of the oldest frame known to have it, in steps of sealing
	Last      int64 // Unix ms of the newest in a sealed block; 0 while none is sealed
	Forgotten bool  // the node was deleted; its data only waits for its end
}

// Gen orders the versions of one block: within an epoch the one with more frames holds the other;
// versions of different epochs are to be united.
type Gen struct {
	Epoch  uint64
	Frames uint32
}

// Newer says whether g is read rather than another version of the same tile.
func (g Gen) Newer(other Gen) bool {
	return g.Epoch > other.Epoch || g.Epoch == other.Epoch && g.Frames > other.Frames
}

// BlockKey names one version of a block.
type BlockKey struct {
	Class   string // of retention
	Account muster.AccountID
	Node    muster.NodeID
	Source  string
	Start   int64 // Unix ms of the window's beginning
	Gen     Gen
}

// Block is the frames of one node and source over a window of time, as stored.
type Block struct {
	BlockKey
	Data []byte
	Over []Gen // on put only: older generations of this epoch that this one holds
}

// BlockRange selects the blocks of one node with From <= Start < To, in Unix ms. An empty Source means all.
type BlockRange struct {
	Class    string
	Account  muster.AccountID
	Node     muster.NodeID
	Source   string
	From, To int64
}

// Resolution is the length of a tile's slots.
type Resolution uint8

const (
	// FiveMinutes tiles have 12 slots: an hour.
	FiveMinutes Resolution = 1
	// OneHour tiles have 24 slots: a day (UTC).
	OneHour Resolution = 2
)

// Slot gives the length of one slot.
func (r Resolution) Slot() time.Duration {
	if r == OneHour {
		return time.Hour
	}
	return 5 * time.Minute
}

// Span gives the length of a whole tile.
func (r Resolution) Span() time.Duration {
	if r == OneHour {
		return 24 * time.Hour
	}
	return time.Hour
}

// TileKey names one version of a tile: one metric name of some nodes of one account and shard over a span of time.
type TileKey struct {
	Class   string
	Res     Resolution
	Account muster.AccountID
	Metric  string
	Shard   int
	Start   int64 // Unix ms of the beginning
	Tile    int   // which part of the shard's nodes: 65536 * bits + the first bits of the nodes' hash
	Gen     Gen   // Frames holds the minute of the log it was built through
}

// Tile is a tile as stored.
type Tile struct {
	TileKey
	Data []byte
}

// TileRange selects the tiles of one metric with From <= Start < To, in Unix ms.
type TileRange struct {
	Class    string
	Res      Resolution
	Account  muster.AccountID
	Metric   string
	Shard    int
	From, To int64
}

// Dirty says that frames of an hour came after its blocks were sealed or its tiles built.
type Dirty struct {
	Shard   int
	Hour    Hour   // of the frames
	Arrival Minute // of the segment that holds them
}

// Built says through which minute of the log a shard's tiles of one span are complete.
type Built struct {
	Shard   int
	Res     Resolution
	Hour    Hour // at which the tiles begin
	Through Minute
}

// Covered says through which minute a shard's log is in blocks.
type Covered struct {
	Shard  int
	Epoch  uint64
	Minute Minute
}

// Expiry lists what may go. Zero values and absent classes mean nothing of that kind.
type Expiry struct {
	Segments Minute               // segments of earlier minutes, of all shards
	Marks    Hour                 // dirty marks and built hours before it
	Classes  map[string]ClassEnds // by name of the class
}

// ClassEnds says from when on data of a class is kept, in Unix ms; engines drop whole days or months.
type ClassEnds struct {
	Blocks, FiveMinutes, OneHour int64
}
