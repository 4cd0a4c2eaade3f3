package disk

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// compactions lets one database run as many compactions as it says it may. Pebble's own scheduler asks ten
// times a second for ever; this one asks only while a compaction was refused and waits, so that an idle
// database costs nothing.
type compactions struct {
	db pebble.DBForCompaction

	mu       sync.Mutex
	idle     *sync.Cond // no grant is under way
	running  int
	waiting  *time.Timer // asks again; nil while nothing waits
	granting bool
	ended    bool
}

// askAgain is how often a waiting compaction is looked at: what is allowed may change without a word.
const askAgain = 100 * time.Millisecond

func newCompactions() *compactions {
	c := &compactions{}
	c.idle = sync.NewCond(&c.mu)
	return c
}

// Register is called once, before anything else.
func (c *compactions) Register(_ int, db pebble.DBForCompaction) { c.db = db }

// Unregister ends granting and waits for a grant under way.
func (c *compactions) Unregister() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.waiting != nil {
		c.waiting.Stop()
	}
	for c.granting {
		c.idle.Wait()
	}
}

// TrySchedule lets the caller run one now, or remembers that one waits.
func (c *compactions) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false, nil
	}
	if c.db.GetAllowedWithoutPermission() > c.running {
		c.running++
		return true, grant{owner: c}
	}
	c.askLater(askAgain)
	return false, nil
}

// UpdateGetAllowedWithoutPermission says that more may be allowed than before.
func (c *compactions) UpdateGetAllowedWithoutPermission() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting != nil {
		c.askLater(0) // not here: the caller may hold the database's locks
	}
}

// askLater is called with mu held.
func (c *compactions) askLater(after time.Duration) {
	switch {
	case c.ended:
	case c.waiting == nil:
		c.waiting = time.AfterFunc(after, c.grantWaiting)
	default:
		c.waiting.Reset(after)
	}
}

// grantWaiting starts what waits, as far as it is allowed, and looks again later when some is left.
func (c *compactions) grantWaiting() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.granting {
		c.idle.Wait()
	}
	if c.ended {
		return
	}
	c.granting = true
	left := true
	for free := c.db.GetAllowedWithoutPermission() - c.running; free > 0; free-- {
		c.running++ // before the grant, whose end may come at once
		c.mu.Unlock()
		left, _ = c.db.GetWaitingCompaction()
		granted := left && c.db.Schedule(grant{owner: c})
		c.mu.Lock()
		if !granted {
			c.running--
			left = false
			break
		}
	}
	c.granting = false
	c.idle.Broadcast()
	if left {
		c.askLater(askAgain)
	} else {
		c.waiting = nil
	}
}

// grant is the permission to run one compaction.
type grant struct{ owner *compactions }

// Started, MeasureCPU and CumulativeStats take Pebble's reports on a compaction, which nobody here reads.
func (grant) Started() {}

// MeasureCPU does nothing.
func (grant) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats does nothing.
func (grant) CumulativeStats(pebble.CompactionGrantHandleStats) {}

// Done gives the permission back, and has it passed on.
func (g grant) Done() {
	g.owner.mu.Lock()
	defer g.owner.mu.Unlock()
	g.owner.running--
	if g.owner.waiting != nil {
		g.owner.askLater(0)
	}
}
