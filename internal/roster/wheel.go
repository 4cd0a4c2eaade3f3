package roster

import (
	"sync"
	"time"
)

// wheel holds the entries that have to be looked at, by the second in which that is due. An entry is in one
// slot at most; when its time moves on it stays where it is and is put further on when that slot comes,
// so that a result costs the wheel nothing.
type wheel struct {
	mu    sync.Mutex
	slots map[int64][]*entry
	last  int64 // the newest slot that was emptied
}

// due is an entry whose slot has come; the entry's own word is the newer one.
type due struct {
	entry *entry
	slot  int64
}

func newWheel(now time.Time) wheel {
	return wheel{slots: map[int64][]*entry{}, last: now.Unix()}
}

// set sees to it that the entry, which is locked, comes up at that instant (Unix ms) or before.
func (w *wheel) set(e *entry, at int64) {
	slot := (at + 999) / 1000
	w.mu.Lock()
	defer w.mu.Unlock()
	slot = max(slot, w.last+1)
	if e.queued != 0 && e.queued <= slot {
		return
	}
	e.queued = slot
	w.slots[slot] = append(w.slots[slot], e)
}

// turn takes out all that is due at that instant (Unix ms).
func (w *wheel) turn(now int64) (out []due) {
	w.mu.Lock()
	defer w.mu.Unlock()
	upTo := now / 1000
	if upTo-w.last > int64(len(w.slots)) {
		for slot := range w.slots {
			if slot <= upTo {
				out = w.empty(slot, out)
			}
		}
	} else {
		for slot := w.last + 1; slot <= upTo; slot++ {
			out = w.empty(slot, out)
		}
	}
	w.last = max(w.last, upTo)
	return out
}

// rewind empties the wheel and lets it go on from that instant (Unix ms).
func (w *wheel) rewind(now int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.slots)
	w.last = now / 1000
}

func (w *wheel) empty(slot int64, out []due) []due {
	for _, e := range w.slots[slot] {
		out = append(out, due{e, slot})
	}
	delete(w.slots, slot)
	return out
}
