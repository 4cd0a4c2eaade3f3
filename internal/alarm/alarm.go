// Package alarm gives the watch: it holds the alarms of all accounts, judges every frame and every silence by them, and
// keeps what comes of it, once and in order, as transitions and incidents.
//
// Frames come in through Heard, before they are acknowledged: judging happens there, in memory and at once. What
// changed is then written to the shard's ledger by one writer per shard, and only after that are incidents renewed and
// told. So the newest state is judged by at any time, and nothing is told that a crash could take back.
package alarm

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"muster"
	"muster/internal/telemetry"
)

// Options set a watch up.
type Options struct {
	Ledger  Ledger  // needed
	Fleet   Fleet   // needed
	History History // needed
	Series  Series  // for Backtest; nil: nothing can be tried on the past
	// Shards is how many there are, ShardOf which of them a subject is in. Both needed.
	Shards  int
	ShardOf func(account muster.AccountID, subject muster.NodeID) int
	// Owns says whether this server owns a shard; nil means all.
	Owns func(shard int) bool
	// HasChannel says whether an account has a channel; nil means that it has all.
	HasChannel func(account muster.AccountID, id muster.ChannelID) bool
	// MayJudge says whether silence means anything at this moment: false while the server can't take frames. Nil means always.
	MayJudge func() bool
	// Grace is the shortest time after a start, or after MayJudge was false, in which no silence is judged; it is three of a
	// node's periods when that is longer. 30 s when zero.
	Grace time.Duration
	// SaveEvery is how often holds under way are saved; 10 s when zero.
	SaveEvery time.Duration
	// Changed hears of incidents after what changed them was saved; it must not block, nor change the incident. Nil means nobody.
	Changed func(account muster.AccountID, incident *muster.Incident)
	// Tell writes a changelog line; nil writes none.
	Tell func(ctx context.Context, event muster.Event)
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Logger is slog's default when nil.
	Logger *slog.Logger
	// Telemetry counts; nil counts nothing.
	Telemetry *telemetry.Set
}

// Validate says what is wrong with the options; the error wraps ErrInvalid.
func (o *Options) Validate() error {
	bad := func(why string) error { return fmt.Errorf("alarm: options: %w: %s", muster.ErrInvalid, why) }
	switch {
	case o.Ledger == nil || o.Fleet == nil || o.History == nil:
		return bad("a ledger, a fleet and a history are needed")
	case o.Shards < 1 || o.ShardOf == nil:
		return bad("the number of shards and who is where are needed")
	case o.Grace < 0 || o.SaveEvery < 0:
		return bad("times can't be negative")
	}
	return nil
}

// Edit says which alarm is to be changed, and by whom.
type Edit struct {
	Account muster.AccountID
	ID      muster.AlarmID
	Rev     uint64 // the rev the change was made against: ErrConflict when it is another; 0: any
	Actor   string // for the changelog
}
