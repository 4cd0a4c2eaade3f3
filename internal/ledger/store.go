package ledger

import "context"

// Store is what the ledger asks of the store, in its own words: the fields are those of package store's
// types of the same purpose, so that a conversion joins them. Errors wrap the kinds of the root package.
type Store interface {
	// TakeShard makes holder the only one that may append to the day, under an epoch over zero; ErrConflict when it has that
	// or a higher one of another holder.
	TakeShard(ctx context.Context, key Partition, holder string, epoch uint64) (Head, error)
	// ShardHead reads the head of a day; zero when it was never taken.
	ShardHead(ctx context.Context, key Partition) (Head, error)
	// AppendShard stores rows under the epoch, all or none. ErrUnavailable when the outcome is unknown: the
	// same rows are then appended again. ErrConflict when a newer owner took the day or it is closed.
	AppendShard(ctx context.Context, key Partition, epoch uint64, rows []Stored) error
	// ScanShard reads up to limit rows with a seq of at least from, in order.
	ScanShard(ctx context.Context, key Partition, from uint64, limit int) ([]Stored, error)
	// CloseDay closes the day under the epoch; closing twice is closing once.
	CloseDay(ctx context.Context, key Partition, epoch uint64) error
}

// Partition names one day of a shard.
type Partition struct {
	Shard  int
	Domain string
	Day    int // since 1 January 1970 UTC
}

// Head is what a day says about itself.
type Head struct {
	Epoch  uint64 // of the owner that may append; 0 before the first
	Holder string
	Closed bool   // no more rows are taken
	Last   uint64 // the highest seq appended
}

// Stored is a row as the store has it.
type Stored struct {
	Seq        uint64
	Key        string
	State      []byte // see codec.go
	Transition []byte
}
