package series

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"muster"
	"muster/internal/series/engine"
	"muster/internal/telemetry"
)

// Options are what a DB needs to know. The zero value is a cluster of one with the defaults.
type Options struct {
	// Shards is fixed when the store is made; 64 when zero.
	Shards int
	// Owns says whether this server owns a shard, and under which epoch; nil means all, under epoch 1.
	Owns func(shard int) (epoch uint64, mine bool)
	// Shared says that other servers write to the same store: the log is then read for what they stored.
	Shared bool
	// Spread gives over how many shards an account's nodes are spread; nil or 0 means all.
	Spread func(muster.AccountID) int
	// Class gives the name of an account's class of retention; nil or an unknown name means the first class.
	Class func(muster.AccountID) string
	// Classes are the classes of retention; three defaults when empty.
	Classes []Class
	// Now is the server's clock; time.Now when nil.
	Now func() time.Time
	// MayWrite is asked before frames are taken; its error (wrapping muster.ErrUnavailable) is handed back. Nil allows.
	MayWrite func() error
	// Heard gets the frames of every shard that this server owns in the order of its log: first those that are read back
	// after a start, then each before it is acknowledged. Frames from the last minutes before what is covered may come
	// again. There is one call at a time for a shard; it must be quick, and must not keep the slice (the frames do not
	// change any more). Nil means nobody.
	Heard func(shard int, frames []*muster.Frame)
	// Caught is told, after a start, once all that the log had of a shard was heard. Nil means nobody.
	Caught func(shard int)
	// Telemetry and Logger are where the DB tells how it is; both may be nil.
	Telemetry *telemetry.Set
	Logger    *slog.Logger

	// Grace is how long after a window's end stragglers still enter its block; 90 s when zero.
	Grace time.Duration
	// SealSpread spreads sealing by the hash of the node, so that no storm meets the full hour; 3 min when zero.
	SealSpread time.Duration
	// PublishEvery is how often open blocks are stored, so that a restart reads little log; 10 min when zero.
	PublishEvery time.Duration
	// RebuildAfter is how long an hour must be free of late data before it is rebuilt; 10 min when zero.
	// The second rebuild of an hour waits three times as long, every further one twice as long as the one before.
	RebuildAfter time.Duration
	// KeepLog is how long a segment stays after everything in it is sealed; 2 h when zero.
	KeepLog time.Duration

	// Limits bound a query before anything is read.
	Limits Limits
}

const (
	day      = 24 * time.Hour
	minuteMs = 60_000
	dayMs    = 24 * engine.HourMs
)

// withDefaults fills what was left zero.
func (o Options) withDefaults() Options {
	o.Shards = cmp.Or(o.Shards, 64)
	if o.Owns == nil {
		o.Owns = func(int) (uint64, bool) { return 1, true }
	}
	if o.Spread == nil {
		o.Spread = func(muster.AccountID) int { return 0 }
	}
	if o.Class == nil {
		o.Class = func(muster.AccountID) string { return "" }
	}
	if len(o.Classes) == 0 {
		o.Classes = engine.DefaultClasses()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MayWrite == nil {
		o.MayWrite = func() error { return nil }
	}
	if o.Heard == nil {
		o.Heard = func(int, []*muster.Frame) {}
	}
	if o.Caught == nil {
		o.Caught = func(int) {}
	}
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	o.Grace = cmp.Or(o.Grace, 90*time.Second)
	o.SealSpread = cmp.Or(o.SealSpread, 3*time.Minute)
	o.PublishEvery = cmp.Or(o.PublishEvery, 10*time.Minute)
	o.RebuildAfter = cmp.Or(o.RebuildAfter, 10*time.Minute)
	o.KeepLog = cmp.Or(o.KeepLog, 2*time.Hour)
	return o
}

// Validate says what is wrong with the options; the error wraps muster.ErrInvalid.
func (o Options) Validate() error {
	if o.Shards < 0 || o.Shards > 4096 {
		return fmt.Errorf("%w: series: options: %d shards, want 1 to 4096", muster.ErrInvalid, o.Shards)
	}
	seen := map[string]bool{}
	for _, c := range o.Classes {
		if err := c.Validate(); err != nil || seen[c.Name] {
			return fmt.Errorf("%w: series: options: class %q: its name is taken, or: %w", muster.ErrInvalid, c.Name, err)
		}
		seen[c.Name] = true
	}
	for _, d := range []time.Duration{o.Grace, o.SealSpread, o.PublishEvery, o.RebuildAfter, o.KeepLog} {
		if d < 0 {
			return fmt.Errorf("%w: series: options: a duration is negative", muster.ErrInvalid)
		}
	}
	return nil
}
