// Package ingest gives the checks between a connection and the store: it stamps frames with the account
// and node of their connection, puts them on this server's clock, keeps nonsense and floods out, and
// returns when the rest is durable. What it refuses it refuses by an explicit answer, so that an agent
// drops and counts it instead of sending it for ever.
package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"muster"
	"muster/internal/telemetry"
)

// Appender makes frames durable. An error that wraps ErrUnavailable means that trying again is right.
type Appender interface {
	Append(ctx context.Context, frames []*muster.Frame) error
}

// Options set an intake up. Store is needed, the rest has defaults.
type Options struct {
	Store Appender
	// After hear of frames that are durable, in this order, before they are acknowledged; they must not
	// block, nor change or keep the slice.
	After []func(frames []*muster.Frame)
	// Noted hears of a node's clock error and of how many of its metrics were dropped since its agent
	// connected, when either changed and every minute. Nil means nobody.
	Noted func(account muster.AccountID, node muster.NodeID, clockOff time.Duration, dropped uint64)
	// MaxAge is how old a frame may be; 48 h when zero.
	MaxAge time.Duration
	// MaxAhead is how far in the future a frame may lie once it is on this server's clock; 2 min when zero.
	MaxAhead time.Duration
	// MaxSeries is how many different metrics a node may have within a day (UTC), over all its sources; 20,000 when zero.
	MaxSeries int
	// MaxSources is how many different sources a node may have within a day (UTC); 1,000 when zero.
	MaxSources int
	// MaxDescriptors is how many metric descriptions a node's new schemas may bring within a day (UTC), so
	// that one which shuffles its metrics can't fill the store with schemas; 1,000,000 when zero.
	MaxDescriptors int
	// Logger is slog's default when nil.
	Logger *slog.Logger
	// Telemetry counts; nil counts nothing.
	Telemetry *telemetry.Set
}

// Validate says what is wrong with the options; the error wraps ErrInvalid.
func (o *Options) Validate() error {
	bad := func(why string) error { return fmt.Errorf("ingest: options: %w: %s", muster.ErrInvalid, why) }
	switch {
	case o.Store == nil:
		return bad("a store is needed")
	case o.MaxAge < 0 || o.MaxAhead < 0:
		return bad("ages can't be negative")
	case o.MaxSeries < 0 || o.MaxSources < 0 || o.MaxDescriptors < 0:
		return bad("limits can't be negative")
	}
	return nil
}

func (o *Options) fill() {
	if o.MaxAge == 0 {
		o.MaxAge = 48 * time.Hour
	}
	if o.MaxAhead == 0 {
		o.MaxAhead = 2 * time.Minute
	}
	if o.MaxSeries == 0 {
		o.MaxSeries = 20_000
	}
	if o.MaxSources == 0 {
		o.MaxSources = 1000
	}
	if o.MaxDescriptors == 0 {
		o.MaxDescriptors = 1_000_000
	}
	if o.Noted == nil {
		o.Noted = func(muster.AccountID, muster.NodeID, time.Duration, uint64) {}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

// Batch is the frames of one message.
type Batch struct {
	Account  muster.AccountID // of the connection; what frames say is overwritten
	Node     muster.NodeID    // of the connection, for all frames but those of checks
	Sent     int64            // when the message left, in Unix milliseconds of the sender's clock
	Received int64            // when it came, in Unix milliseconds of this server's clock
	// Waited is how long the message may have lain unread because this server was busy: a delay that
	// says nothing about the sender's clock.
	Waited time.Duration
	// First says that this is the first batch of its connection.
	First bool
	// Cut is how many metrics the connection lost to limits before they came here.
	Cut uint64
	// Here says that this server made the frames itself: there is no clock to judge or to tell of, and
	// Node may be zero when all are of checks.
	Here bool
	// Frames have Source, At (on the sender's clock), Schema and Values, as many as the schema has
	// metrics; those of checks (see muster.CheckOfSource) have the Node they belong to besides. The batch
	// hands them over: they are changed here and kept by others.
	Frames []*muster.Frame

	checked bool // the fields below are filled, and Frames are changed
	passed  []*muster.Frame
	receipt Receipt
}

// Receipt says what became of a batch that was taken.
type Receipt struct {
	Refused  []Refused     // the others are durable
	Dropped  uint64        // metrics left out by a cap since the agent connected, Batch.Cut among them
	ClockOff time.Duration // by how much the sender's clock is ahead of this server's
}

// Refused is a frame that will never be taken.
type Refused struct {
	Index  int // in Batch.Frames
	Reason string
}
