package alarm

import (
	"context"
	"time"

	"muster"
)

var errSoon = muster.ErrUnavailable

// Watch holds alarms, their states and incidents. It is safe for use by many goroutines.
type Watch struct{}

// Open reads all alarms, and the states and incidents of the owned shards.
func Open(ctx context.Context, store Store, o Options) (*Watch, error) { return nil, errSoon }

// Run writes what was judged, and judges silences, until ctx ends; then it saves what waits once more.
func (w *Watch) Run(ctx context.Context) error { return errSoon }

// Heard takes a shard's frames in the order of its log, before they are acknowledged. It is quick and keeps nothing of the slice.
func (w *Watch) Heard(shard int, frames []*muster.Frame) {}

// Caught notes that all which the log had of a shard was heard: from now on, silence counts.
func (w *Watch) Caught(shard int) {}

// NodeChanged looks at a node again whose document changed or went.
func (w *Watch) NodeChanged(account muster.AccountID, node muster.NodeID) {}

// CheckChanged looks at a check again that was changed, switched or deleted.
func (w *Watch) CheckChanged(account muster.AccountID, check muster.CheckID) {}

// Keep says whether a state, last written so long ago, has to be carried into the ledger's next day. ours is false for keys of others.
func Keep(key string, state []byte, age time.Duration) (keep, ours bool) { return true, false }

// List gives the account's alarms by name. They are shared and not to be changed.
func (w *Watch) List(account muster.AccountID) []*muster.Alarm { return nil }

// Get gives one alarm; the error wraps ErrNotFound.
func (w *Watch) Get(account muster.AccountID, id muster.AlarmID) (*muster.Alarm, error) {
	return nil, errSoon
}

// Find gives the alarm of that id or, failing that, of that name; the error wraps ErrNotFound.
func (w *Watch) Find(account muster.AccountID, idOrName string) (*muster.Alarm, error) {
	return nil, errSoon
}

// Create stores a new alarm; edit.ID and edit.Rev are not looked at. The error wraps ErrInvalid, ErrConflict (the name is taken) or ErrLimited.
func (w *Watch) Create(ctx context.Context, edit Edit, a *muster.Alarm) (*muster.Alarm, error) {
	return nil, errSoon
}

// Update changes an alarm; what change does to ID, Account, BuiltIn and times is undone. The error wraps ErrNotFound, ErrConflict, ErrInvalid, or is change's.
func (w *Watch) Update(ctx context.Context, edit Edit, change func(*muster.Alarm) error) (*muster.Alarm, error) {
	return nil, errSoon
}

// Delete removes an alarm and closes what it has open. The error wraps ErrNotFound or ErrConflict.
func (w *Watch) Delete(ctx context.Context, edit Edit) error { return errSoon }

// EnsureDefaults makes the built-in alarms that the account never had.
func (w *Watch) EnsureDefaults(ctx context.Context, account muster.AccountID) error { return errSoon }

// Standing is how one alarm stands on one series of one subject.
type Standing struct {
	Alarm   *muster.Alarm
	Subject muster.NodeID
	Series  string        // which one, for people; empty when there is only one
	Check   muster.CheckID // of the series, when it is one of a check
	State   muster.AlarmState
	Since   time.Time // when the state began; zero when it never changed
	At      time.Time // instant of the last value; zero when there is none
	Value   float64   // the last value; NaN when there is none
	Why     string    // why it fires, or why not
	Applies bool      // false: the alarm does not look at this subject, Why says why
}

// StandingOf tells of every alarm of the account how it stands on a subject, those that apply first.
func (w *Watch) StandingOf(account muster.AccountID, subject muster.NodeID) []Standing { return nil }

// StandingBy tells how one alarm stands on everything it looks at: worst first.
func (w *Watch) StandingBy(account muster.AccountID, id muster.AlarmID) ([]Standing, error) {
	return nil, errSoon
}

// BacktestOptions say on what past an alarm is tried.
type BacktestOptions struct {
	From, To time.Time
	Points   int // of the chart, at most; 300 when zero
	Nodes    int // how many subjects are tried at most, those with the most first; 500 when zero
}

// Backtest is what an alarm would have done.
type Backtest struct {
	From, To time.Time
	Step     time.Duration // of what was judged: coarser than reality where the past is kept in rollups
	Matched  int           // subjects that the alarm looks at
	Tried    int           // of which had data and were tried
	Fired    int           // how often it would have fired
	Firing   int           // on how many subjects
	Lines    []TestLine    // one for each series that would have fired, the longest time first; then, if none would, the one that came nearest
	Unit     string
}

// TestLine is one series of a backtest.
type TestLine struct {
	Subject muster.NodeID
	Name    string // of the node or check
	Series  string
	Spans   []TestSpan
	Total   time.Duration // how long it would have fired
	Points  []TestPoint   // of the first line only, for the chart
}

// TestSpan is a time in which an alarm would have fired.
type TestSpan struct {
	From, To time.Time // To is zero when it would fire still
	Why      string
}

// TestPoint is one point of the chart: Unix milliseconds, the least, mean and greatest value.
type TestPoint struct {
	T             int64
	Min, Avg, Max float64
}

// Backtest tries an alarm, saved or not, on the past, by the evaluator that judges live. The error wraps ErrInvalid, ErrLimited or ErrUnavailable.
func (w *Watch) Backtest(ctx context.Context, account muster.AccountID, a *muster.Alarm, o BacktestOptions) (*Backtest, error) {
	return nil, errSoon
}

// IncidentFilter chooses incidents.
type IncidentFilter struct {
	State   muster.IncidentState // empty: all
	Open    bool                 // open or acknowledged; State is then not looked at
	Subject muster.NodeID        // only its; zero: all
	Before  string               // the cursor that the last answer gave
	Limit   int                  // 100 when zero, at most 1000
}

// Incidents gives incidents, newest first; next is "" at the end. They are shared and not to be changed.
func (w *Watch) Incidents(ctx context.Context, account muster.AccountID, f IncidentFilter) (list []*muster.Incident, next string, err error) {
	return nil, "", errSoon
}

// Incident gives one incident, open or past; the error wraps ErrNotFound.
func (w *Watch) Incident(ctx context.Context, account muster.AccountID, id muster.IncidentID) (*muster.Incident, error) {
	return nil, errSoon
}

// Acknowledge says that somebody takes an incident; once saved, the incident as it is then. Acknowledging twice changes nothing. The error
// wraps ErrNotFound, ErrConflict (it is resolved) or ErrUnavailable.
func (w *Watch) Acknowledge(ctx context.Context, account muster.AccountID, id muster.IncidentID, actor string) (*muster.Incident, error) {
	return nil, errSoon
}

// Comment adds what a person says to an incident; the error is as Acknowledge's.
func (w *Watch) Comment(ctx context.Context, account muster.AccountID, id muster.IncidentID, c muster.Comment) (*muster.Incident, error) {
	return nil, errSoon
}

// Open says how many incidents of the account are open and acknowledged, and how bad the worst is.
func (w *Watch) OpenCount(account muster.AccountID) (open, acknowledged int, worst muster.Level) {
	return 0, 0, ""
}

// Trouble opens an incident that is of no alarm's: the system's own, known by a key. Telling it again changes nothing while it is open.
func (w *Watch) Trouble(ctx context.Context, account muster.AccountID, key, title, why string) error {
	return errSoon
}

// TroubleOver resolves what Trouble opened; nothing happens when it is not open.
func (w *Watch) TroubleOver(ctx context.Context, account muster.AccountID, key, why string) error {
	return errSoon
}
