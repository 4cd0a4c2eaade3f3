package store

import (
	"context"
	"time"

	"muster"
)

// Engine is what a database must do to carry the store. The contract promises only what a cluster
// without transactions over partitions can keep:
//
//   - nothing is atomic but one verb on one key;
//   - a verb that fails with muster.ErrUnavailable may have been carried out, may never be, or may be
//     carried out later, though not after a serial read of the same key has returned;
//   - a verb may be carried out twice;
//   - reads that are not serial may trail writes by a moment.
//
// Errors wrap a kind of package muster; everything that is worth another try wraps ErrUnavailable.
// Bytes handed in are not kept, bytes handed out belong to the caller.
type Engine interface {
	Objects
	Listings
	Events
	Ephemerals
	Shards
	// Sweep frees what has expired by now. It is called every few minutes and may do nothing where the
	// database expires rows itself.
	Sweep(ctx context.Context, now time.Time) error
	// Close ends the engine; nothing acknowledged is lost.
	Close() error
}

// Key names one object: one partition. Account is zero for what belongs to the whole system.
type Key struct {
	Account muster.AccountID
	Kind    string // a word such as "node"; no zero bytes
	ID      string // any text up to 512 bytes without zero bytes
}

// OpID names one attempt to change something, so that its maker can tell afterwards whether it took place.
type OpID [16]byte

// Object is the state of a key. The zero Object stands for a key that was never written or has expired.
type Object struct {
	Rev     uint64 // 1 at first, one more with each change; it goes on counting over a deletion
	Op      OpID   // the change that made this rev
	Recent  []OpID // the changes before it, newest first, at most RecentOps
	Deleted bool   // the object is gone; Body is empty
	Body    []byte // JSON
}

// RecentOps is how many earlier changes an object remembers.
const RecentOps = 15

// Objects is compare-and-set on single objects.
type Objects interface {
	// Get reads an object; the zero Object where there is none. With serial the answer holds all that
	// was acknowledged before the call, and settles what was under way.
	Get(ctx context.Context, key Key, serial bool) (Object, error)
	// GetMany reads several objects, in the order of keys, not serial.
	GetMany(ctx context.Context, keys []Key) ([]Object, error)
	// Swap stores next if the object's rev is next.Rev-1 (which a key without object has when next.Rev
	// is 1). If it is not, done is false and current is what is there. With a ttl over zero the object
	// expires; all writes of such a key must have a ttl.
	Swap(ctx context.Context, key Key, next Object, ttl time.Duration) (done bool, current Object, err error)
}

// Listings is the list of ids of an account and kind, kept apart from the objects. A row carries the
// rev at which it was written: the higher rev wins, and at the same rev removal wins.
type Listings interface {
	// Enlist writes the row of key. It comes before the object's creation at rev. With a ttl over zero the row expires.
	Enlist(ctx context.Context, key Key, rev uint64, ttl time.Duration) error
	// Delist removes the row of key unless it was written at a higher rev.
	Delist(ctx context.Context, key Key, rev uint64) error
	// List gives up to limit rows with an id greater than after, in the order of ids. Rows without an
	// object are normal.
	List(ctx context.Context, account muster.AccountID, kind, after string, limit int) ([]Listing, error)
}

// Listing is one row of a listing.
type Listing struct {
	ID  string
	Rev uint64 // of the object when the row was written
}

// EventRow is one entry of a stream. (At, ID) names it within its account and stream: written twice it is there once.
type EventRow struct {
	At   int64 // Unix milliseconds
	ID   string
	Body []byte // JSON
}

// Events are streams of entries by time, per account.
type Events interface {
	// PutEvents stores the rows; they expire after ttl.
	PutEvents(ctx context.Context, account muster.AccountID, stream string, rows []EventRow, ttl time.Duration) error
	// ListEvents gives up to limit rows, newest first and then by falling id, that come strictly before
	// (before.At, before.ID) in that order; Body of before is ignored.
	ListEvents(ctx context.Context, account muster.AccountID, stream string, before EventRow, limit int) ([]EventRow, error)
}

// Ephemerals are plain rows that expire, for what may be lost or written over without harm.
type Ephemerals interface {
	// PutEphemeral writes the row; it expires after ttl, which is over zero.
	PutEphemeral(ctx context.Context, key Key, body []byte, ttl time.Duration) error
	// Ephemeral reads the row; ErrNotFound when it is not there or has expired.
	Ephemeral(ctx context.Context, key Key) ([]byte, error)
	// DeleteEphemeral removes the row; it is no error when there is none.
	DeleteEphemeral(ctx context.Context, key Key) error
}

// ShardKey names one day's partition of a shard. Day counts from 1 January 1970 UTC; 0 is no day but
// the shard itself: its epoch is the one that owners raise and that orders them over all days.
type ShardKey struct {
	Shard  int
	Domain string // who must agree: "all", or a data centre
	Day    int
}

// ShardHead is what one day's partition of a shard says about itself.
type ShardHead struct {
	Epoch  uint64 // of the owner that may append; 0 before the first
	Holder string // who raised it: an id drawn at each start of a process
	Closed bool   // no more rows are taken
	Last   uint64 // the highest seq appended
}

// ShardRow is one entry: the state of Key after it, together with the transition that led there.
type ShardRow struct {
	Seq        uint64 // over 0, rising within the partition; given by the owner
	Key        string // whose state it is
	State      []byte
	Transition []byte // may be empty: a state alone is saved, for instance one carried from the day before
}

// Shards is a log per shard and day with one writer at a time: the holder of its epoch.
type Shards interface {
	// Head reads the head, serial; the zero head where there is none.
	Head(ctx context.Context, key ShardKey) (ShardHead, error)
	// Raise sets epoch and holder if the stored epoch is from. If it is not, done is false.
	Raise(ctx context.Context, key ShardKey, from, to uint64, holder string) (done bool, current ShardHead, err error)
	// Append stores the rows, all or none, if the stored epoch is epoch and the day is open. If not,
	// done is false. The same rows appended twice are there once.
	Append(ctx context.Context, key ShardKey, epoch uint64, rows []ShardRow) (done bool, current ShardHead, err error)
	// Scan gives up to limit rows with a seq of at least from, in order.
	Scan(ctx context.Context, key ShardKey, from uint64, limit int) ([]ShardRow, error)
	// CloseDay closes the partition if the stored epoch is epoch; its rows expire after ttl. If it is
	// not, done is false; closing twice is closing once.
	CloseDay(ctx context.Context, key ShardKey, epoch uint64, ttl time.Duration) (done bool, current ShardHead, err error)
}
