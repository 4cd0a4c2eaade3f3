// Package notify gives word of incidents to people: it follows the log of every shard, decides who is to
// be told of each step of an incident, holds back what is suppressed, gathers what comes together, and
// delivers, again and again for a day if need be.
//
// The log is the outbox: nothing is queued that a crash could lose. What is not settled when the cursor
// passes it is saved beside the cursor, in the shard's log as well. So a message is sent at least once; it
// is sent twice only across a crash, and then with the same id. follow.go reads the log, lane.go sends, book.go keeps
// channels, quiet.go keeps suppressions.
package notify

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"muster"
	"muster/internal/telemetry"
)

// Store is what the room asks of the documents. Errors wrap the kinds of the root package.
type Store interface {
	Accounts(ctx context.Context) ([]*muster.Account, error)
	Channels(ctx context.Context, account muster.AccountID) ([]*muster.Channel, error)
	CreateChannel(ctx context.Context, c *muster.Channel) error
	UpdateChannel(ctx context.Context, account muster.AccountID, id muster.ChannelID, rev uint64, change func(*muster.Channel) error) (*muster.Channel, error)
	DeleteChannel(ctx context.Context, account muster.AccountID, id muster.ChannelID, rev uint64) error
	Suppressions(ctx context.Context, account muster.AccountID) ([]*muster.Suppression, error)
	CreateSuppression(ctx context.Context, s *muster.Suppression) error
	UpdateSuppression(ctx context.Context, account muster.AccountID, id muster.SuppressionID, rev uint64, change func(*muster.Suppression) error) (*muster.Suppression, error)
	DeleteSuppression(ctx context.Context, account muster.AccountID, id muster.SuppressionID, rev uint64) error
}

// Position is a place in a shard's log; the zero Position is before all.
type Position struct {
	Day int
	Seq uint64
}

// Row is one line of a shard's log.
type Row struct {
	Day        int
	Seq        uint64
	At         time.Time
	Key        string
	State      []byte
	Transition []byte
}

// Entry is one line to be written; State nil forgets the key.
type Entry struct {
	Key        string
	State      []byte
	Transition []byte
}

// Ledger is the shards' log.
type Ledger interface {
	// Each gives the states of a shard whose keys begin with the prefix. The bytes are not to be changed.
	Each(shard int, prefix string, fn func(key string, state []byte))
	// Rows reads up to limit rows after the place, in order; fewer mean that there are no more now.
	Rows(ctx context.Context, shard int, after Position, limit int) ([]Row, error)
	// Append makes the entries durable, all or none. The error wraps ErrUnavailable when trying again is right, and
	// ErrConflict when the shard has another owner.
	Append(ctx context.Context, shard int, entries []Entry) error
}

// Attempts keeps what became of messages, newest first.
type Attempts interface {
	// Put writes deliveries of one account.
	Put(ctx context.Context, account muster.AccountID, list []muster.Delivery) error
	// Of gives the newest deliveries of an incident, newest first, up to limit.
	Of(ctx context.Context, account muster.AccountID, incident muster.IncidentID, limit int) ([]muster.Delivery, error)
}

// Sealer encrypts secrets; what is sealed for one purpose opens for no other.
type Sealer interface {
	Seal(plain []byte, purpose string) []byte
	Open(sealed []byte, purpose string) ([]byte, error)
}

// Matcher is a query of nodes, read.
type Matcher interface {
	Match(n *muster.Node, now *muster.NodeNow, at time.Time) bool
}

// Options set a room up.
type Options struct {
	Drivers  map[string]Driver // by kind. Needed
	Ledger   Ledger            // needed
	Attempts Attempts          // needed
	Sealer   Sealer            // needed
	// Shards is how many there are; Owns says which of them are followed here, all when nil.
	Shards int
	Owns   func(shard int) bool
	// Query reads the node query language, for suppressions; its error wraps ErrInvalid. Needed.
	Query func(text string) (Matcher, error)
	// Node gives a node; nil when the account has no such one. Needed.
	Node func(account muster.AccountID, id muster.NodeID) *muster.Node
	// Who gives the name of whoever acted, for people; nil gives nothing.
	Who func(account muster.AccountID, actor string) string
	// AccountName gives the name of an account, for people; nil gives nothing.
	AccountName func(account muster.AccountID) string
	// BaseURL gives the address of this server as people reach it, without a slash at its end. Needed.
	BaseURL func() string
	// LinkKey signs the links in messages: at least 16 random bytes, the same on every start. Needed.
	LinkKey []byte
	// Chart draws what led to an incident, as a PNG; nil draws nothing.
	Chart func(ctx context.Context, incident *muster.Incident, change *muster.IncidentChange) ([]byte, error)
	// Trouble opens an incident of the system's own, known by a key; TroubleOver resolves it. Nil: nobody hears.
	Trouble     func(ctx context.Context, account muster.AccountID, key, title, why string) error
	TroubleOver func(ctx context.Context, account muster.AccountID, key, why string) error
	// Tell writes a changelog line; nil writes none.
	Tell func(ctx context.Context, event muster.Event)
	// Sends is how many messages are on their way at one time; 64 when zero.
	Sends int
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Logger is slog's default when nil.
	Logger *slog.Logger
	// Telemetry counts; nil counts nothing.
	Telemetry *telemetry.Set
}

// Validate says what is wrong with the options; the error wraps ErrInvalid.
func (o *Options) Validate() error {
	bad := func(why string) error { return fmt.Errorf("notify: options: %w: %s", muster.ErrInvalid, why) }
	switch {
	case o.Ledger == nil || o.Attempts == nil || o.Sealer == nil:
		return bad("a ledger, a memory of attempts and a sealer are needed")
	case o.Query == nil || o.Node == nil || o.BaseURL == nil:
		return bad("a query language, nodes and the server's address are needed")
	case o.Shards < 1 || o.Sends < 0:
		return bad("the number of shards is needed, and limits are not negative")
	case len(o.LinkKey) < 16:
		return bad("the key of links has at least 16 bytes")
	}
	return nil
}

func (o *Options) fill() {
	if o.Owns == nil {
		o.Owns = func(int) bool { return true }
	}
	if o.Who == nil {
		o.Who = func(muster.AccountID, string) string { return "" }
	}
	if o.Trouble == nil {
		o.Trouble = func(context.Context, muster.AccountID, string, string, string) error { return nil }
	}
	if o.TroubleOver == nil {
		o.TroubleOver = func(context.Context, muster.AccountID, string, string) error { return nil }
	}
	if o.Tell == nil {
		o.Tell = func(context.Context, muster.Event) {}
	}
	if o.Sends == 0 {
		o.Sends = 64
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

// Edit says which channel or suppression is to be changed, and by whom.
type Edit struct {
	Account muster.AccountID
	ID      string // empty for something new
	Rev     uint64 // the rev the change was made against: ErrConflict when it is another; 0: any
	Actor   string // for the changelog
}
