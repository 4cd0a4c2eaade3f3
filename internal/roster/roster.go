// Package roster gives the checks of every account: what is checked (documents in the store, held in
// memory), who runs it (the runners of its zones), how it is now, and what its runs gave.
//
// People come in through Create, Update, Delete and Test; runners through Joined and Left, and are told
// what to run through Options.Send; results through Observe, as the frames they are; jobs that report by
// themselves through Push. status.go has the rules by which a check's status is found.
package roster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/roster/plan"
	"muster/internal/roster/zones"
	"muster/internal/telemetry"
)

// Store is what the roster asks of the documents. Errors wrap the kinds of the root package.
type Store interface {
	Accounts(ctx context.Context) ([]*muster.Account, error)
	Checks(ctx context.Context, account muster.AccountID) ([]*muster.Check, error)
	CreateCheck(ctx context.Context, c *muster.Check) error
	UpdateCheck(ctx context.Context, account muster.AccountID, id muster.CheckID, rev uint64, change func(*muster.Check) error) (*muster.Check, error)
	DeleteCheck(ctx context.Context, account muster.AccountID, id muster.CheckID, rev uint64) error
	AppendEvents(ctx context.Context, events []muster.Event) error
	// PutRows stores entries of a stream; one written again, with the same At and ID, replaces what was there.
	PutRows(ctx context.Context, account muster.AccountID, stream string, rows []StoredRow) error
	// Rows reads entries, newest first; before is the cursor that the last answer gave as next, or "".
	Rows(ctx context.Context, account muster.AccountID, stream, before string, limit int) (rows []StoredRow, next string, err error)
}

// StoredRow is one entry of a stream. (At, ID) names it within its account and stream.
type StoredRow struct {
	At   int64 // Unix milliseconds
	ID   string
	Body []byte // JSON
}

// Past asks for the stored values of one metric of a check.
type Past struct {
	Account  muster.AccountID
	Subject  muster.NodeID
	Check    muster.CheckID
	Metric   string    // its name
	From, To time.Time // To is exclusive
}

// Line is one series of an answer to Past, as it was stored: not thinned out, not averaged.
type Line struct {
	Unit   string
	Kind   muster.MetricKind
	Attrs  []muster.Attr // muster.ZoneAttr among them
	Points []Point       // ascending
}

// Point is one value.
type Point struct {
	At    int64 // Unix milliseconds
	Value float64
}

// Options set a roster up. The zero value works, with nobody who runs anything.
type Options struct {
	// Kinds are the kinds of checks that runners know, by name. Push needs none and is not among them.
	Kinds map[string]check.Kind
	// Send tells a runner what to run: it adds or changes those of add, drops those of remove, or drops
	// all it has first (replace). It must not block; false means that the runner did not get it, and is
	// told everything a little later. Nil: nobody is told.
	Send func(account muster.AccountID, runner muster.NodeID, add []check.Assignment, remove []muster.CheckID, replace bool) bool
	// RunOnce has a runner run a check now. The error wraps muster.ErrUnavailable when it can't.
	RunOnce func(ctx context.Context, account muster.AccountID, runner muster.NodeID, a check.Assignment) (muster.Result, error)
	// Deliver makes the frames of push checks durable the way all frames become so; those of one call may
	// belong to several accounts. Observe hears of them from there.
	Deliver func(ctx context.Context, frames []*muster.Frame) error
	// History reads stored values back. Nil: only the last results of each check are known.
	History func(ctx context.Context, p Past) ([]Line, error)
	// HasNode says whether the account has that node, for checks that belong to one. Nil: every node is taken for one.
	HasNode func(account muster.AccountID, node muster.NodeID) bool
	// MayJudge says whether silence means anything at this moment: false while the server itself can't
	// take frames (a full disk). Nil means always.
	MayJudge func() bool
	// Changed hears of every change of a check once it shows; it must not block. Nil means nobody.
	Changed func(Change)
	// Told hears of changelog lines after they were saved; it must not block. Nil means nobody.
	Told func([]muster.Event)
	// MaxChecks is how many checks an account may have; 10,000 when zero.
	MaxChecks int
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Logger is slog's default when nil.
	Logger *slog.Logger
	// Telemetry counts; nil counts nothing.
	Telemetry *telemetry.Set
}

// Validate says what is wrong with the options; the error wraps ErrInvalid.
func (o *Options) Validate() error {
	if o.MaxChecks < 0 {
		return fmt.Errorf("roster: options: %w: a limit of %d checks: can't be negative", muster.ErrInvalid, o.MaxChecks)
	}
	if o.Kinds[KindPush] != nil {
		return fmt.Errorf("roster: options: %w: the kind %s is the roster's own", muster.ErrInvalid, KindPush)
	}
	return nil
}

func (o *Options) fill() {
	if o.Send == nil {
		o.Send = func(muster.AccountID, muster.NodeID, []check.Assignment, []muster.CheckID, bool) bool { return true }
	}
	if o.RunOnce == nil {
		o.RunOnce = func(context.Context, muster.AccountID, muster.NodeID, check.Assignment) (muster.Result, error) {
			return muster.Result{}, fmt.Errorf("%w: nobody here runs checks", muster.ErrUnavailable)
		}
	}
	if o.Deliver == nil {
		o.Deliver = func(context.Context, []*muster.Frame) error {
			return fmt.Errorf("%w: nobody here takes results", muster.ErrUnavailable)
		}
	}
	if o.HasNode == nil {
		o.HasNode = func(muster.AccountID, muster.NodeID) bool { return true }
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
	if o.MaxChecks == 0 {
		o.MaxChecks = 10_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

// Change says that a check is not what it was.
type Change struct {
	Account muster.AccountID
	Check   muster.CheckID
	Subject muster.NodeID // what its metrics belong to
	Zone    string        // where the result that Latest gives now came from; empty when there is no new result
	Status  bool          // the check's status is another
	Edited  bool          // its document is another, or new
	Gone    bool          // it was deleted
}

// Row is a check as it is shown: what is known of it and how it is now.
type Row struct {
	Check  *muster.Check // shared: not to be changed
	Status muster.CheckStatus
	Since  time.Time       // when the status began; zero when that is not known
	Last   []muster.Result // the newest of each zone, by zone; without Evidence where List made it
	Recent []Beat          // the last runs over all zones, oldest first, for a strip; at most 20 a zone
}

// Beat is one run in little.
type Beat struct {
	At       time.Time
	Status   muster.CheckStatus
	Duration time.Duration // negative when it is not known
}

// Edit says which check is to be changed, and by whom.
type Edit struct {
	Account muster.AccountID
	ID      muster.CheckID // empty for Create
	Rev     uint64         // the rev the change was made against: ErrConflict when it is another; 0: any
	Actor   string         // for the changelog
}

// Roster holds the checks of all accounts. It is safe for use by many goroutines.
type Roster struct {
	store   Store
	opts    Options
	started time.Time // when this process opened it
	plans   *plan.Cache
	events  eventBox
	texts   textBox
	wheel   wheel
	zones   *zones.Zones
	desk    desk
	gone    goneNodes

	judgeFrom atomic.Int64 // Unix ms: silence counts from here on
	ticked    atomic.Int64 // Unix ms: when the wheel turned last

	results, stray *telemetry.Counter

	mu     sync.RWMutex
	boards map[muster.AccountID]*board
	checks map[muster.CheckID]*entry
	tokens map[tokenHash]*entry // of push checks
}

// Open reads all checks of all accounts, and how each was when it changed last. Nobody runs them until
// SetLocal and Joined say who does.
func Open(ctx context.Context, store Store, o Options) (*Roster, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.fill()
	now := o.Now()
	r := &Roster{
		store: store, opts: o, started: now, plans: plan.NewCache(), zones: zones.New(), desk: desk{behind: map[runnerKey]struct{}{}}, wheel: newWheel(now),
		boards: map[muster.AccountID]*board{}, checks: map[muster.CheckID]*entry{}, tokens: map[tokenHash]*entry{},
		results: o.Telemetry.Counter("muster_roster_results_total"),
		stray:   o.Telemetry.Counter("muster_roster_stray_results_total"),
	}
	r.judgeFrom.Store(now.UnixMilli())
	r.ticked.Store(now.UnixMilli())
	r.events.dropped = o.Telemetry.Counter("muster_roster_events_dropped_total")
	r.texts.dropped = o.Telemetry.Counter("muster_roster_texts_dropped_total")
	accounts, err := store.Accounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("roster: open: %w", err)
	}
	for _, account := range accounts {
		checks, err := store.Checks(ctx, account.ID)
		if err != nil {
			return nil, fmt.Errorf("roster: open: %w", err)
		}
		for _, c := range checks {
			r.admit(c)
		}
	}
	if err := r.restore(ctx); err != nil {
		return nil, fmt.Errorf("roster: open: %w", err)
	}
	o.Telemetry.Gauge("muster_roster_checks", func() float64 { return float64(r.size()) })
	o.Telemetry.Gauge("muster_roster_texts_waiting", func() float64 { return float64(r.texts.size()) })
	o.Telemetry.Gauge("muster_roster_runners", func() float64 { return float64(r.zones.Runners()) })
	return r, nil
}

// Run judges silence every second, saves texts and changelog lines, and tells runners what they did not get,
// until ctx ends; then it saves what waits once more.
func (r *Roster) Run(ctx context.Context) error {
	r.sweep()
	var recalling sync.WaitGroup
	recalling.Go(func() { r.recall(ctx) })
	defer recalling.Wait()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			r.flush(last)
			return nil
		case <-tick.C:
			r.turn(ctx)
			r.tellAgain()
			r.bury(ctx)
			r.flush(ctx)
		}
	}
}

// entryOf finds a check; nil when the account has no such one.
func (r *Roster) entryOf(account muster.AccountID, id muster.CheckID) *entry {
	r.mu.RLock()
	e := r.checks[id]
	r.mu.RUnlock()
	if e == nil || e.account != account {
		return nil
	}
	return e
}

func (r *Roster) size() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.checks)
}
