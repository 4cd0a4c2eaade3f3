package disk

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// wanting is a database with so many compactions to run and so many allowed at once.
type wanting struct {
	mu      sync.Mutex
	allowed int
	wants   int
	asked   int
	running []pebble.CompactionGrantHandle
}

func (w *wanting) GetAllowedWithoutPermission() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	return w.allowed
}

func (w *wanting) GetWaitingCompaction() (bool, pebble.WaitingCompaction) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wants > 0, pebble.WaitingCompaction{}
}

func (w *wanting) Schedule(h pebble.CompactionGrantHandle) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wants--
	w.running = append(w.running, h)
	return true
}

func TestCompactionsWaitTheirTurnAndIdleIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, db := newCompactions(), &wanting{allowed: 1}
		c.Register(2, db)
		ok, first := c.TrySchedule()
		if !ok {
			t.Fatal("nothing runs, yet the first is refused")
		}
		db.wants = 1
		if ok, _ := c.TrySchedule(); ok {
			t.Fatal("two run, though one is allowed")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(db.running) != 0 {
			t.Fatal("the second began before the first ended")
		}
		first.Done()
		synctest.Wait()
		if len(db.running) != 1 {
			t.Fatal("the first ended, and the second does not begin")
		}
		db.wants = 1
		c.TrySchedule()
		db.mu.Lock()
		db.allowed = 2 // without a word
		db.mu.Unlock()
		time.Sleep(time.Second)
		synctest.Wait()
		if len(db.running) != 2 {
			t.Fatal("more is allowed, and the third does not begin")
		}
		for _, h := range db.running {
			h.Done()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		asked := db.asked
		time.Sleep(time.Hour)
		synctest.Wait()
		if db.asked != asked {
			t.Errorf("an idle database was asked %d times in an hour", db.asked-asked)
		}
		c.Unregister()
		if ok, _ := c.TrySchedule(); ok {
			t.Error("granted after the end")
		}
	})
}

// TestCompactionsRun writes over the same keys until Pebble has to compact, under our scheduler.
func TestCompactionsRun(t *testing.T) {
	db, err := Open(t.TempDir(), Options{Room: "store", Format: 1, MemTable: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	value := make([]byte, 1000)
	for i := range 20000 {
		value[0] = byte(i)
		if err := db.Set(fmt.Appendf(nil, "key %04d", i%997), value, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(20 * time.Second); db.Metrics().Compact.Count == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no compaction in 20 s")
		}
	}
}
