package alarm

import (
	"context"
	"time"

	"muster"
	"muster/internal/alarm/archive"
	"muster/internal/series/graph"
)

// Store is what this room asks of the documents. Errors wrap the kinds of the root package.
type Store interface {
	Accounts(ctx context.Context) ([]*muster.Account, error)
	Alarms(ctx context.Context, account muster.AccountID) ([]*muster.Alarm, error)
	CreateAlarm(ctx context.Context, alarm *muster.Alarm) error
	UpdateAlarm(ctx context.Context, account muster.AccountID, id muster.AlarmID, rev uint64, change func(*muster.Alarm) error) (*muster.Alarm, error)
	DeleteAlarm(ctx context.Context, account muster.AccountID, id muster.AlarmID, rev uint64) error
	// Once reads what is kept under a key of the account; ErrNotFound when nothing is. PutOnce keeps it, ErrConflict when something is there.
	Once(ctx context.Context, account muster.AccountID, key string) ([]byte, error)
	PutOnce(ctx context.Context, account muster.AccountID, key string, value []byte, ttl time.Duration) error
}

// Entry is one line of a shard's log: the state of Key after it (nil forgets the key), and what led there.
type Entry struct {
	Key        string
	State      []byte
	Transition []byte
}

// Ledger is where what must happen once is kept, a log per shard.
type Ledger interface {
	// Each gives the states of a shard whose keys begin with the prefix. The bytes are not to be kept.
	Each(shard int, prefix string, fn func(key string, state []byte))
	// Append makes the entries durable, all or none. The error wraps ErrUnavailable when trying again is right, and
	// ErrConflict when the shard has another owner.
	Append(ctx context.Context, shard int, entries []Entry) error
}

// Row is one incident in its account's history.
type Row = archive.Row

// History keeps incidents for looking back, newest first.
type History = archive.History

// IncidentFilter chooses incidents.
type IncidentFilter = archive.Filter

// Series answers for the past: the door to the time-series engine.
type Series interface {
	Query(ctx context.Context, q graph.Query) (*graph.Answer, error)
}

// Fleet is who is watched. What it gives is shared and not to be changed; it must be quick.
type Fleet interface {
	// Node gives a node; nil when the account has no such one.
	Node(account muster.AccountID, id muster.NodeID) *muster.Node
	// Nodes gives all nodes of an account.
	Nodes(account muster.AccountID) []*muster.Node
	// Seen says when the node was heard of last, as far as is known; zero for never.
	Seen(account muster.AccountID, id muster.NodeID) time.Time
	// Check gives a check; nil when the account has no such one.
	Check(account muster.AccountID, id muster.CheckID) *muster.Check
}
