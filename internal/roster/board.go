package roster

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"muster"
	"muster/internal/roster/plan"
)

// board is one account's checks. Roster.mu guards it; each entry has a lock of its own.
type board struct {
	rows    map[muster.CheckID]*entry
	sorted  []*entry // by name; nil when it has to be made again; never changed once made
	pending int      // places that are taken by checks being made
}

// entry is one check on the board.
type entry struct {
	account muster.AccountID
	check   atomic.Pointer[muster.Check] // replaced, never changed

	mu     sync.Mutex
	gone   bool
	status uint8 // of all zones together; see the codes in status.go
	since  int64 // Unix ms; 0: not known
	queued int64 // in which slot of the wheel it is; 0: in none
	views  []*view
	push   *pushState // nil for other kinds
}

// view is a check as one zone sees it.
type view struct {
	zone   string
	at     int64 // instant of the newest result, Unix ms
	since  int64 // of the first one with this status without another between
	told   int64 // instant of the newest text that was stored
	schema muster.SchemaID
	plan   *plan.Plan // nil while only a stored text is known
	values []float64
	said   words
	status uint8
	old    bool // it is from before the check was switched on again
	over   bool // it was too old to count once, and nothing newer came
	unsaid bool // the words are not those of the newest text that was stored
	beatAt uint8
	beats  uint8
	ring   [beatsKept]beat
}

// beatsKept is how many runs of a zone are remembered in little.
const beatsKept = 20

// beat is one run in 16 bytes.
type beat struct {
	at       int64
	duration float32 // seconds; negative when it is not known
	status   uint8
}

func (v *view) beat(b beat) {
	v.ring[v.beatAt] = b
	v.beatAt = (v.beatAt + 1) % beatsKept
	v.beats = min(v.beats+1, beatsKept)
}

// each gives the beats, oldest first.
func (v *view) each(see func(beat)) {
	first := int(v.beatAt) + beatsKept - int(v.beats)
	for i := range int(v.beats) {
		see(v.ring[(first+i)%beatsKept])
	}
}

func (e *entry) view(zone string) *view {
	for _, v := range e.views {
		if v.zone == zone {
			return v
		}
	}
	return nil
}

// admit puts a check on the board, or renews it there when it is newer than what is known. It gives the
// document that was there before, or nil.
func (r *Roster) admit(c *muster.Check) (e *entry, old *muster.Check) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.boards[c.Account]
	if b == nil {
		b = &board{rows: map[muster.CheckID]*entry{}}
		r.boards[c.Account] = b
	}
	if e = b.rows[c.ID]; e == nil {
		e = &entry{account: c.Account, status: codePending, since: c.CreatedAt.UnixMilli()}
		if c.Kind == KindPush {
			e.push = &pushState{from: c.CreatedAt.UnixMilli()}
		}
		b.rows[c.ID], r.checks[c.ID] = e, e
	} else if old = e.check.Load(); old.Rev >= c.Rev {
		return e, old
	}
	if old == nil || old.Name != c.Name {
		b.sorted = nil
	}
	e.check.Store(c)
	if c.Kind == KindPush {
		if old != nil {
			delete(r.tokens, hashToken(PushToken(old)))
		}
		r.tokens[hashToken(PushToken(c))] = e
	}
	return e, old
}

// drop forgets a check and gives what it was; nil when it is not known.
func (r *Roster) drop(account muster.AccountID, id muster.CheckID) *muster.Check {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.boards[account]
	if b == nil || b.rows[id] == nil {
		return nil
	}
	e := b.rows[id]
	c := e.check.Load()
	delete(b.rows, id)
	delete(r.checks, id)
	if c.Kind == KindPush {
		delete(r.tokens, hashToken(PushToken(c)))
	}
	b.sorted = nil
	e.mu.Lock()
	e.gone = true
	e.mu.Unlock()
	return c
}

// byName gives the account's entries in the order of their names. The slice is shared.
func (r *Roster) byName(account muster.AccountID) []*entry {
	r.mu.RLock()
	b := r.boards[account]
	if b == nil || b.sorted != nil {
		defer r.mu.RUnlock()
		if b == nil {
			return nil
		}
		return b.sorted
	}
	r.mu.RUnlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if b.sorted == nil {
		b.sorted = make([]*entry, 0, len(b.rows))
		for _, e := range b.rows {
			b.sorted = append(b.sorted, e)
		}
		slices.SortFunc(b.sorted, func(x, y *entry) int { return compareChecks(x.check.Load(), y.check.Load()) })
	}
	return b.sorted
}

// compareChecks orders checks by name without regard to case; the id decides between the rest.
func compareChecks(x, y *muster.Check) int {
	if c := strings.Compare(strings.ToLower(x.Name), strings.ToLower(y.Name)); c != 0 {
		return c
	}
	return strings.Compare(string(x.ID), string(y.ID))
}

// each calls see for every check of every account, outside all locks.
func (r *Roster) each(see func(*entry)) {
	r.mu.RLock()
	all := make([]*entry, 0, len(r.checks))
	for _, e := range r.checks {
		all = append(all, e)
	}
	r.mu.RUnlock()
	for _, e := range all {
		see(e)
	}
}

// row copies the entry for the world.
func (e *entry) row(evidence bool) Row {
	e.mu.Lock()
	defer e.mu.Unlock()
	row := Row{Check: e.check.Load(), Status: statusOf(e.status), Since: instant(e.since)}
	n := 0
	for _, v := range e.views {
		n += int(v.beats)
	}
	row.Recent = make([]Beat, 0, n)
	for _, v := range e.views {
		if v.plan != nil {
			row.Last = append(row.Last, v.result(row.Check, evidence))
		}
		v.each(func(b beat) { row.Recent = append(row.Recent, b.open()) })
	}
	if len(e.views) > 1 {
		slices.SortFunc(row.Last, func(a, b muster.Result) int { return strings.Compare(a.Zone, b.Zone) })
		slices.SortStableFunc(row.Recent, func(a, b Beat) int { return a.At.Compare(b.At) })
	}
	return row
}

func (b beat) open() Beat {
	return Beat{At: instant(b.at), Status: statusOf(b.status), Duration: plan.Duration(float64(b.duration))}
}

// instant gives the time of Unix ms; zero for 0.
func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// ListOptions choose what List gives. The zero value chooses all.
type ListOptions struct {
	Node   muster.NodeID      // only those that belong to this node
	Text   string             // only those with this in the name or the target, upper and lower case alike
	Status muster.CheckStatus // only those with this status
	Kind   string             // only those of this kind
}

// List gives the account's checks that match, by name.
func (r *Roster) List(account muster.AccountID, o ListOptions) []Row {
	text := strings.ToLower(o.Text)
	var rows []Row
	for _, e := range r.byName(account) {
		c := e.check.Load()
		if !o.Node.IsZero() && c.Node != o.Node || o.Kind != "" && c.Kind != o.Kind ||
			text != "" && !strings.Contains(strings.ToLower(c.Name), text) && !strings.Contains(strings.ToLower(c.Target), text) {
			continue
		}
		if o.Status != "" && e.standing() != o.Status {
			continue
		}
		rows = append(rows, e.row(false))
	}
	return rows
}

func (e *entry) standing() muster.CheckStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	return statusOf(e.status)
}

// Get gives one check; the error wraps ErrNotFound when the account has no such one.
func (r *Roster) Get(account muster.AccountID, id muster.CheckID) (Row, error) {
	e := r.entryOf(account, id)
	if e == nil {
		return Row{}, fmt.Errorf("roster: get: %w: no check %.64q", muster.ErrNotFound, id)
	}
	return e.row(true), nil
}

// Find gives the check of that id or, failing that, of that name, upper and lower case alike; the error wraps ErrNotFound.
func (r *Roster) Find(account muster.AccountID, idOrName string) (Row, error) {
	if e := r.entryOf(account, muster.CheckID(idOrName)); e != nil {
		return e.row(true), nil
	}
	for _, e := range r.byName(account) {
		if strings.EqualFold(e.check.Load().Name, idOrName) {
			return e.row(true), nil
		}
	}
	return Row{}, fmt.Errorf("roster: find: %w: no check %.64q", muster.ErrNotFound, idOrName)
}

// Counts gives how many of the account's checks have each status. Those that are switched off are not counted.
func (r *Roster) Counts(account muster.AccountID) map[muster.CheckStatus]int {
	counts := map[muster.CheckStatus]int{}
	for _, e := range r.byName(account) {
		if e.check.Load().Enabled {
			counts[e.standing()]++
		}
	}
	return counts
}
