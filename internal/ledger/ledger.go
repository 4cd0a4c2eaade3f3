// Package ledger gives what must happen once: a log per shard in the store, and the newest state of
// every key in it held in memory. A state and the transition that led to it are saved by one append or
// not at all, appends that come together share a write, and the log is what others follow by a cursor.
//
// The log of a shard is cut into days (UTC). When a day turns, the states worth keeping are carried
// into the new one; the old day is closed once all its news was followed. docs/format/store.md has every byte.
package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"muster"
	"muster/internal/telemetry"
)

// MaxAppend is how many bytes of keys, states and transitions one Append takes: they are written together.
const MaxAppend = 250 << 10

// MaxKey is the longest key, in bytes.
const MaxKey = 512

// Entry is one step: the state of Key after it, together with the transition that led there.
type Entry struct {
	Key        string // "alarm/...", "incident/...", "notify/..."; no zero bytes
	State      []byte // empty: the key is forgotten
	Transition []byte // empty: nobody's news, the state alone is saved
}

// Row is an entry as it stands in the log. Its bytes are shared: not to be changed.
type Row struct {
	Day        int       // days since 1 January 1970 UTC
	Seq        uint64    // over 0, rising within the day
	At         time.Time // when the state was appended, to the millisecond; a carried state keeps it
	Key        string
	State      []byte // empty: the key was forgotten
	Transition []byte // empty: nobody's news; so are states that were carried into a new day
}

// Position is a place in a shard's log: that of a row, or the zero Position before all.
type Position struct {
	Day int
	Seq uint64
}

// Before says whether p comes before other in the log.
func (p Position) Before(other Position) bool {
	return p.Day < other.Day || p.Day == other.Day && p.Seq < other.Seq
}

// Position gives the row's place.
func (r *Row) Position() Position { return Position{Day: r.Day, Seq: r.Seq} }

// Options set a ledger up.
type Options struct {
	// Shards is how many there are. Needed.
	Shards int
	// Domain names who must agree on a shard's epoch: "all", or a data centre. "all" when empty.
	Domain string
	// Holder is the id that this process drew at its start and took its shards with. Needed.
	Holder string
	// Owns says whether this server owns a shard, and under which epoch. Needed.
	Owns func(shard int) (epoch uint64, mine bool)
	// Keep says whether a state is carried into a new day; age is how long ago it was appended. A state
	// that is not is forgotten. It must be quick. Nil keeps all.
	Keep func(key string, state []byte, age time.Duration) bool
	// Done says up to where the shard's log was followed: a day is closed when no row with a transition is
	// after that. It must be quick and safe to call from anywhere. Nil means that nobody follows.
	Done func(shard int) Position
	// Appended hears of rows once they are durable, in the order of the log, each once, one call at a time
	// for a shard, before the Append that brought them returns. It must not block, nor call Append. Nil means nobody.
	Appended func(shard int, rows []Row)
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Logger is slog's default when nil.
	Logger *slog.Logger
	// Telemetry counts; nil counts nothing.
	Telemetry *telemetry.Set
}

// Validate says what is wrong with the options; the error wraps ErrInvalid.
func (o *Options) Validate() error {
	if o.Shards < 1 || o.Holder == "" || o.Owns == nil {
		return fmt.Errorf("ledger: options: %w: the number of shards, a holder and who owns what are needed", muster.ErrInvalid)
	}
	return nil
}

// Ledger holds the logs of the shards that this process owns. It is safe for use by many goroutines.
type Ledger struct {
	store Store
	opts  Options
}

// Open takes the open days of all owned shards and reads their states. Nothing of the log is handed to
// Appended: who follows reads Rows from its cursor first. Close ends the ledger.
func Open(ctx context.Context, store Store, o Options) (*Ledger, error) {
	return nil, muster.ErrUnavailable
}

// Take takes and reads one shard that this process came to own after Open, or owns again under a higher
// epoch after it was lost. It changes nothing for one that is held.
func (l *Ledger) Take(ctx context.Context, shard int) error { return muster.ErrUnavailable }

// Get gives the state of a key, which must not be changed; false when there is none.
func (l *Ledger) Get(shard int, key string) ([]byte, bool) { return nil, false }

// Each calls fn for every key of the shard that begins with prefix, in the order of keys. The states
// must not be changed. fn may use the ledger.
func (l *Ledger) Each(shard int, prefix string, fn func(key string, state []byte)) {}

// Append makes the entries durable, all or none, in their order, and gives the place of the last.
// Appends of one shard that come together share a write.
//
//   - ErrLimited: they are more than MaxAppend bytes; nothing was written.
//   - ErrInvalid: a key is not one; nothing was written.
//   - ErrUnavailable: the shard is not owned, or ctx ended first. In the second case the entries may
//     become durable yet; then Appended hears of them.
//   - ErrConflict: another owner took the shard. Its states are dropped and all further appends fail.
func (l *Ledger) Append(ctx context.Context, shard int, entries []Entry) (Position, error) {
	return Position{}, muster.ErrUnavailable
}

// Rows reads up to limit rows after the place, in order and over days, up to the newest that is known
// to be durable. Fewer than limit means that there are no more now. Days that were closed are skipped: they hold no news.
func (l *Ledger) Rows(ctx context.Context, shard int, after Position, limit int) ([]Row, error) {
	return nil, muster.ErrUnavailable
}

// Last gives the place of the newest durable row of the shard; false when the shard is not held.
func (l *Ledger) Last(shard int) (Position, bool) { return Position{}, false }

// Run turns days at midnight UTC and closes those that were followed, until ctx ends.
func (l *Ledger) Run(ctx context.Context) error { return nil }

// Close takes no more appends and waits, for a few seconds at most, for what is under way.
func (l *Ledger) Close() error { return nil }
