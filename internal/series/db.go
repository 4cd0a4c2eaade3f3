// Package series gives the time-series engine: frames go in and are acknowledged when they are
// durable, series come out as points. Between the two stand a log per shard (group commit), heads in
// memory, sealed blocks of columns, and rollup tiles; what stores them is an Engine.
package series

import (
	"context"
	"time"

	"muster"
)

// Query asks for the series of one metric.
type Query struct {
	Account muster.AccountID
	Nodes   []muster.NodeID   // nil means all nodes of the account
	Metric  string            // its name
	Attrs   map[string]string // attributes a series must have with these values
	From    time.Time
	To      time.Time     // exclusive
	Points  int           // at most so many points a series; 300 when zero
	MinStep time.Duration // the step is never finer; 0 leaves it to the data
	// Fn says what the middle number of a point is: "avg" (the default), "min", "max", "sum", "last",
	// "count". Counters come as per-second rates whatever Fn is ("rate" says so openly, and is refused
	// for gauges), unless it is "raw", which gives the counter itself.
	Fn string
}

// Answer is what a query found.
type Answer struct {
	Metric   string
	Unit     string            // of the points: "By/s" for the rate of a counter in "By"
	Kind     muster.MetricKind // zero when nothing was found
	From, To time.Time
	Step     time.Duration
	Lines    []Line // ordered by node, then attributes; series without a point in the range are left out
}

// Line is one series.
type Line struct {
	Node   muster.NodeID
	Attrs  []muster.Attr
	Points []Point // ascending; a step without data is left out
}

// Point is one step of a series. T is its beginning in Unix ms, a multiple of the step.
type Point struct {
	T             int64
	Min, Avg, Max float64
}

// MetricNow is one series of a node and its newest value.
type MetricNow struct {
	Metric muster.Metric
	Source string
	At     int64   // Unix ms of the newest value; 0 when none is known
	Value  float64 // the counter itself for counters; NaN when none is known
}

// Stats tells how the DB is.
type Stats struct {
	Nodes          int           // nodes with a head in memory
	HeadBytes      int64         // what the heads occupy, by count of their buffers
	OpenBlocks     int           // windows not sealed yet
	Frames         uint64        // stored since the start
	Samples        uint64        // stored since the start
	Duplicates     uint64        // frames dropped because they were known
	Segments       uint64        // written since the start
	Corrupt        uint64        // segments and blocks that could not be read
	SealLag        time.Duration // by how much the oldest block that should be sealed is late
	Dirty          int           // hours of shards that wait for a rebuild
	Waiting        int           // frames that wait for their segment
	Recovering     int           // shards whose heads are not complete yet
	StoreBytes     int64         // what the engine occupies; 0 when it can't tell
	BytesPerSample float64       // of the blocks sealed since the start; 0 while there are none
}

// DB is the time-series engine of one process. It is safe for concurrent use.
type DB struct{}

// Open makes a DB over an engine and returns at once: frames are taken immediately, queries wait for
// the heads to be read back from the log. The engine stays the caller's to close, after Close.
func Open(ctx context.Context, engine Engine, o Options) (*DB, error) { panic("being written") }

// Append stores frames and returns when all are durable. Frames must not be changed afterwards. The
// error wraps muster.ErrInvalid (a frame that can never be stored), or muster.ErrUnavailable (the
// outcome is unknown: send them again, doubles are dropped).
func (db *DB) Append(ctx context.Context, frames []*muster.Frame) error { panic("being written") }

// Run seals, publishes, rolls up, rebuilds and expires until ctx ends.
func (db *DB) Run(ctx context.Context) error { panic("being written") }

// Query answers from heads, blocks and tiles as if they were one. The error wraps muster.ErrInvalid, muster.ErrLimited, or muster.ErrUnavailable.
func (db *DB) Query(ctx context.Context, q Query) (*Answer, error) { panic("being written") }

// Metrics lists the series of a node with their newest values, ordered by name and attributes.
func (db *DB) Metrics(ctx context.Context, account muster.AccountID, node muster.NodeID) ([]MetricNow, error) {
	panic("being written")
}

// Classes lists the classes of retention with what they cost here.
func (db *DB) Classes() []Class { panic("being written") }

// Stats tells how the DB is.
func (db *DB) Stats() Stats { panic("being written") }

// ForgetNode drops a node's head and its place in the memory of schemas; its data ends with its class.
func (db *DB) ForgetNode(ctx context.Context, account muster.AccountID, node muster.NodeID) error {
	panic("being written")
}

// Close waits for what is under way; frames not yet durable fail with muster.ErrUnavailable.
func (db *DB) Close() error { panic("being written") }
