// Package inventory gives the nodes of every account: who they are (documents in the store), how they
// are now (a board held in memory, fed by every durable frame), and what became of them (the changelog).
//
// Agents come in through Identify, Enroll, Connected, Refresh and Left; frames through Observe; people
// through List, Get, Update and Delete. A node's state is judged by the arrival of its frames against
// this server's clock: state.go has the rules.
package inventory

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"muster"
	"muster/internal/telemetry"
)

// Store is what the inventory asks of the documents. Errors wrap the kinds of the root package.
type Store interface {
	Accounts(ctx context.Context) ([]*muster.Account, error)
	Account(ctx context.Context, id muster.AccountID) (*muster.Account, error)
	Nodes(ctx context.Context, account muster.AccountID) ([]*muster.Node, error)
	NodeByKey(ctx context.Context, publicKey []byte) (*muster.Node, error)
	CreateNode(ctx context.Context, node *muster.Node) error
	UpdateNode(ctx context.Context, account muster.AccountID, id muster.NodeID, rev uint64, change func(*muster.Node) error) (*muster.Node, error)
	DeleteNode(ctx context.Context, account muster.AccountID, id muster.NodeID, rev uint64) error
	CreateEnrollment(ctx context.Context, enrollment *muster.Enrollment) error
	Enrollments(ctx context.Context, account muster.AccountID) ([]*muster.Enrollment, error)
	UseEnrollment(ctx context.Context, hash, agent []byte, now time.Time) (muster.Enrollment, error)
	DeleteEnrollment(ctx context.Context, account muster.AccountID, id muster.EnrollmentID, rev uint64) error
	AppendEvents(ctx context.Context, events []muster.Event) error
}

// Options set an inventory up. The zero value works.
type Options struct {
	// SilentAfter is the shortest silence that makes a node down; it is three of the node's periods when that is longer. 30 s when zero.
	SilentAfter time.Duration
	// MayJudge says whether silence means anything at this moment: false while the server itself can't
	// take frames (a full disk). Nil means always.
	MayJudge func() bool
	// Changed hears of every change of a node's row once it is on the board; it must not block. Nil means nobody.
	Changed func(Change)
	// Told hears of changelog lines after they were saved; it must not block. Nil means nobody.
	Told func([]muster.Event)
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Logger is slog's default when nil.
	Logger *slog.Logger
	// Telemetry counts; nil counts nothing.
	Telemetry *telemetry.Set
}

// Validate says what is wrong with the options; the error wraps ErrInvalid.
func (o *Options) Validate() error {
	if o.SilentAfter < 0 || o.SilentAfter > 24*time.Hour {
		return fmt.Errorf("inventory: options: %w: silent after %s: must be between 0 and 24 h", muster.ErrInvalid, o.SilentAfter)
	}
	return nil
}

func (o *Options) fill() {
	if o.SilentAfter == 0 {
		o.SilentAfter = 30 * time.Second
	}
	if o.MayJudge == nil {
		o.MayJudge = func() bool { return true }
	}
	if o.Changed == nil {
		o.Changed = func(Change) {}
	}
	if o.Told == nil {
		o.Told = func([]muster.Event) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

// Change says that a node's row is not what it was.
type Change struct {
	Account muster.AccountID
	Node    muster.NodeID
	Edited  bool // its document is another, or new
	Gone    bool // the node was deleted
}

// Row is a node as it is shown: what is known of it and how it is now.
type Row struct {
	Node *muster.Node // shared: not to be changed
	Now  muster.NodeNow
}

// Inventory holds the boards of all accounts. It is safe for use by many goroutines.
type Inventory struct {
	store   Store
	opts    Options
	started time.Time // when this process opened it
	plans   *plans
	events  outbox
	names   sync.Map // muster.AccountID -> string

	judgeFrom atomic.Int64 // Unix ns: silence counts from here on
	ticked    atomic.Int64 // Unix ns: when states were judged last

	mu     sync.RWMutex
	boards map[muster.AccountID]*board
	keys   map[[keySize]byte]*entry
}

// Open reads all nodes of all accounts. The nodes are unknown or pending until Seed and Observe say more.
func Open(ctx context.Context, store Store, o Options) (*Inventory, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.fill()
	inv := &Inventory{
		store:   store,
		opts:    o,
		started: o.Now(),
		plans:   newPlans(),
		boards:  map[muster.AccountID]*board{},
		keys:    map[[keySize]byte]*entry{},
	}
	inv.judgeFrom.Store(o.Now().UnixNano())
	inv.ticked.Store(o.Now().UnixNano())
	inv.events.dropped = o.Telemetry.Counter("muster_inventory_events_dropped_total")
	accounts, err := store.Accounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("inventory: open: %w", err)
	}
	for _, account := range accounts {
		nodes, err := store.Nodes(ctx, account.ID)
		if err != nil {
			return nil, fmt.Errorf("inventory: open: %w", err)
		}
		b := inv.board(account.ID)
		for _, node := range nodes {
			inv.admit(b, node)
		}
	}
	o.Telemetry.Gauge("muster_inventory_nodes", func() float64 { return float64(inv.size()) })
	o.Telemetry.Gauge("muster_inventory_events_waiting", func() float64 { return float64(inv.events.size()) })
	return inv, nil
}

// Run judges states every second and saves changelog lines, until ctx ends; then it saves what waits once more.
func (inv *Inventory) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			inv.flush(last)
			return nil
		case <-tick.C:
			inv.judgeAll()
			inv.flush(ctx)
		}
	}
}

// board gives the account's board, making it at first use.
func (inv *Inventory) board(account muster.AccountID) *board {
	inv.mu.RLock()
	b := inv.boards[account]
	inv.mu.RUnlock()
	if b != nil {
		return b
	}
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if b = inv.boards[account]; b == nil {
		b = newBoard(account)
		inv.boards[account] = b
	}
	return b
}

// known gives the account's board, or nil when nothing is on it.
func (inv *Inventory) known(account muster.AccountID) *board {
	inv.mu.RLock()
	defer inv.mu.RUnlock()
	return inv.boards[account]
}

// admit puts a node on the board, or renews it there when it is newer than what is known.
func (inv *Inventory) admit(b *board, node *muster.Node) *entry {
	e := b.put(node, inv.opts.SilentAfter)
	e.mu.Lock()
	if e.now.State == "" {
		inv.judge(e, inv.opts.Now())
	}
	e.mu.Unlock()
	if len(node.AgentKey) == keySize {
		inv.mu.Lock()
		inv.keys[[keySize]byte(node.AgentKey)] = e
		inv.mu.Unlock()
	}
	return e
}

// entryOf finds a node's entry; nil when the account has no such node.
func (inv *Inventory) entryOf(account muster.AccountID, id muster.NodeID) *entry {
	b := inv.known(account)
	if b == nil {
		return nil
	}
	return b.get(id)
}

func (inv *Inventory) size() int {
	inv.mu.RLock()
	defer inv.mu.RUnlock()
	n := 0
	for _, b := range inv.boards {
		n += b.size()
	}
	return n
}
