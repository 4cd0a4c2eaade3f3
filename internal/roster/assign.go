package roster

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"muster"
	"muster/internal/check"
)

// runnerKey is a runner of an account.
type runnerKey struct {
	account muster.AccountID
	node    muster.NodeID
}

// desk is where runners are told. Its lock is held meanwhile, so that what they hear last is what was
// decided last.
type desk struct {
	mu     sync.Mutex
	behind map[runnerKey]struct{} // those that did not get what they were told
}

// SetLocal says which node's agent is built into this server: it runs the checks of the account's zone
// "local". The zero node takes that away.
func (r *Roster) SetLocal(account muster.AccountID, node muster.NodeID) {
	r.setZone(account, muster.LocalZone, node)
}

// setZone says who the runners of a zone are. Those who were and those who are learn what they are to run.
func (r *Roster) setZone(account muster.AccountID, zone string, nodes ...muster.NodeID) {
	nodes = slices.DeleteFunc(nodes, muster.NodeID.IsZero)
	r.desk.mu.Lock()
	defer r.desk.mu.Unlock()
	before := r.zones.Set(account, zone, nodes)
	told := map[muster.NodeID]bool{}
	for _, node := range slices.Concat(before, nodes) {
		if !told[node] && r.zones.Linked(account, node) {
			r.tellAll(account, node)
		}
		told[node] = true
	}
}

// Joined hears of a runner that connected: it is told everything it is to run. Left follows each Joined.
func (r *Roster) Joined(account muster.AccountID, runner muster.NodeID) {
	r.desk.mu.Lock()
	defer r.desk.mu.Unlock()
	r.zones.Link(account, runner, 1)
	for _, node := range r.zones.Peers(account, runner) {
		r.tellAll(account, node) // others give checks to it
	}
}

// Left hears that a connection of a runner is gone; others of its zones take its checks over.
func (r *Roster) Left(account muster.AccountID, runner muster.NodeID) {
	r.desk.mu.Lock()
	defer r.desk.mu.Unlock()
	if r.zones.Link(account, runner, -1) > 0 {
		return
	}
	delete(r.desk.behind, runnerKey{account, runner})
	for _, node := range r.zones.Peers(account, runner) {
		r.tellAll(account, node)
	}
}

// assignBatch is how many assignments are told at once.
const assignBatch = 500

// tellAll tells a runner everything. The desk is locked.
func (r *Roster) tellAll(account muster.AccountID, runner muster.NodeID) {
	var add []check.Assignment
	for _, e := range r.byName(account) {
		c := e.check.Load()
		for _, zone := range c.Zones {
			if node, ok := r.zones.Pick(account, zone, c.ID); ok && node == runner && runs(c) {
				add = append(add, assignment(c, zone))
			}
		}
	}
	key := runnerKey{account, runner}
	delete(r.desk.behind, key)
	replace := true
	for {
		n := min(len(add), assignBatch)
		if !r.opts.Send(account, runner, add[:n:n], nil, replace) {
			r.desk.behind[key] = struct{}{}
			return
		}
		if add = add[n:]; len(add) == 0 {
			return
		}
		replace = false
	}
}

// tellAgain tells those everything that did not get what they were told.
func (r *Roster) tellAgain() {
	r.desk.mu.Lock()
	defer r.desk.mu.Unlock()
	for _, key := range sortedKeys(r.desk.behind) {
		if !r.zones.Linked(key.account, key.node) {
			delete(r.desk.behind, key)
			continue
		}
		r.tellAll(key.account, key.node)
	}
}

func sortedKeys(m map[runnerKey]struct{}) []runnerKey {
	keys := make([]runnerKey, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b runnerKey) int {
		return cmp.Or(slices.Compare(a.account[:], b.account[:]), slices.Compare(a.node[:], b.node[:]))
	})
	return keys
}

// runs says whether anybody runs the check.
func runs(c *muster.Check) bool { return c.Enabled && c.Kind != KindPush }

func assignment(c *muster.Check, zone string) check.Assignment {
	return check.Assignment{Check: c.ID, Kind: c.Kind, Config: c.Config, Zone: zone, Period: c.Period, Timeout: c.Timeout}
}

// order is what one runner is told of one change.
type order struct {
	add    []check.Assignment
	remove []muster.CheckID
}

// tellOne tells the runners of a check what became of it. What they hear is what the board says now, so
// that two changes at one time can't cross.
func (r *Roster) tellOne(account muster.AccountID, id muster.CheckID, old *muster.Check) {
	r.desk.mu.Lock()
	defer r.desk.mu.Unlock()
	orders := map[muster.NodeID]*order{}
	to := func(node muster.NodeID) *order {
		if orders[node] == nil {
			orders[node] = &order{}
		}
		return orders[node]
	}
	if old != nil && runs(old) {
		for _, zone := range old.Zones {
			if node, ok := r.zones.Pick(account, zone, id); ok {
				to(node).remove = []muster.CheckID{id}
			}
		}
	}
	if e := r.entryOf(account, id); e != nil {
		c := e.check.Load()
		if old != nil && sameRuns(old, c) {
			return
		}
		for _, zone := range c.Zones {
			if node, ok := r.zones.Pick(account, zone, id); ok && runs(c) {
				o := to(node)
				o.add, o.remove = append(o.add, assignment(c, zone)), nil
			}
		}
	}
	nodes := slices.SortedFunc(maps.Keys(orders), func(a, b muster.NodeID) int { return slices.Compare(a[:], b[:]) })
	for _, node := range nodes {
		if o := orders[node]; !r.opts.Send(account, node, o.add, o.remove, false) {
			r.desk.behind[runnerKey{account, node}] = struct{}{}
		}
	}
}

// sameRuns says whether two states of a check make no difference to who runs it.
func sameRuns(a, b *muster.Check) bool {
	return runs(a) == runs(b) && bytes.Equal(a.Config, b.Config) && a.Period == b.Period && a.Timeout == b.Timeout && slices.Equal(a.Zones, b.Zones)
}

// Subject gives what the metrics of a check belong to, by the source of its frames; false when that runner
// is not one to run it. Results of a check that was switched off meanwhile are still taken.
func (r *Roster) Subject(account muster.AccountID, runner muster.NodeID, source string) (subject muster.NodeID, ok bool) {
	id, zone, ok := splitSource(source)
	if !ok {
		return subject, false
	}
	e := r.entryOf(account, id)
	if e == nil {
		return subject, false
	}
	c := e.check.Load()
	if c.Kind == KindPush || !slices.Contains(c.Zones, zone) || !r.zones.Serves(account, runner, zone) {
		return subject, false
	}
	return c.Subject(), true
}

// Test runs a check once, saved or not, in the first of its zones, and gives what it found. Nothing is kept. The
// error wraps ErrInvalid as for Create, ErrUnavailable when no runner of the zone is there, or is Options.RunOnce's.
func (r *Roster) Test(ctx context.Context, c *muster.Check) (muster.Result, error) {
	try := *c
	if try.ID == "" {
		try.ID = muster.NewCheckID()
	}
	if try.Kind == KindPush {
		return muster.Result{}, fmt.Errorf("roster: test: %w: a push check can't be tested: its job has to call", muster.ErrInvalid)
	}
	if err := r.tidy(&try, nil); err != nil {
		return muster.Result{}, fmt.Errorf("roster: test: %w", err)
	}
	zone := try.Zones[0]
	runner, ok := r.zones.Pick(try.Account, zone, try.ID)
	if !ok {
		return muster.Result{}, fmt.Errorf("roster: test: %w: nobody in zone %s runs checks now", muster.ErrUnavailable, zone)
	}
	res, err := r.opts.RunOnce(ctx, try.Account, runner, assignment(&try, zone))
	if err != nil {
		return muster.Result{}, fmt.Errorf("roster: test: %w", err)
	}
	res.Account, res.Check, res.Zone = try.Account, try.ID, zone
	if res.Class == "" && res.Error == "" {
		res.Summary = timed(res.Summary, res.Duration)
	}
	return res, nil
}
