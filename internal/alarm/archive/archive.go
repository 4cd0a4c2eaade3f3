// Package archive gives the incidents of all accounts for looking up: those that are not over from memory, the others from a
// history that is written behind them.
package archive

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"muster"
)

// Row is one incident in its account's history. (At, ID) is its place; one written again replaces what was there.
type Row struct {
	At   int64 // when it was opened, in Unix milliseconds
	ID   string
	Body []byte
}

// History keeps incidents for looking back, newest first.
type History interface {
	// Put writes rows.
	Put(ctx context.Context, account muster.AccountID, rows []Row) error
	// Rows gives up to limit rows that come strictly before the place (before.At, before.ID), newest first, then by falling id.
	// Nothing comes before the zero Row: it stands for the beginning of the list.
	Rows(ctx context.Context, account muster.AccountID, before Row, limit int) ([]Row, error)
}

// Options say what an archive works with. All are needed.
type Options struct {
	History History
	Encode  func(*muster.Incident) []byte
	Decode  func([]byte) (*muster.Incident, error) // its error wraps ErrInvalid
	Logger  *slog.Logger
}

// Archive holds the incidents that are durable: those that are not over, and those that the history
// does not have yet. It is safe for use by many goroutines.
type Archive struct {
	o    Options
	wake chan struct{}

	mu       sync.RWMutex
	accounts map[muster.AccountID]*incidents
	open     int
}

type incidents struct {
	byID    map[muster.IncidentID]*muster.Incident
	open    map[muster.NodeID]*muster.Incident     // by subject
	unsaved map[muster.IncidentID]*muster.Incident // whose history is to be written
}

// New makes an archive that holds nothing yet.
func New(o Options) *Archive {
	return &Archive{o: o, wake: make(chan struct{}, 1), accounts: map[muster.AccountID]*incidents{}}
}

// Put takes an incident in, unless a newer form of it is known. It is not to be changed any more.
func (x *Archive) Put(in *muster.Incident) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a := x.accounts[in.Account]
	if a == nil {
		a = &incidents{map[muster.IncidentID]*muster.Incident{}, map[muster.NodeID]*muster.Incident{}, map[muster.IncidentID]*muster.Incident{}}
		x.accounts[in.Account] = a
	}
	if known := a.byID[in.ID]; known != nil && known.Seq > in.Seq {
		return
	}
	a.byID[in.ID], a.unsaved[in.ID] = in, in
	x.open -= len(a.open)
	if in.State != muster.IncidentResolved {
		a.open[in.Subject] = in
	} else if known := a.open[in.Subject]; known != nil && known.ID == in.ID {
		delete(a.open, in.Subject)
	}
	x.open += len(a.open)
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// Get gives an incident that is held in memory; nil when it is not.
func (x *Archive) Get(account muster.AccountID, id muster.IncidentID) *muster.Incident {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if a := x.accounts[account]; a != nil {
		return a.byID[id]
	}
	return nil
}

// OpenOn gives the incident that is not over on a subject; nil for none.
func (x *Archive) OpenOn(account muster.AccountID, subject muster.NodeID) *muster.Incident {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if a := x.accounts[account]; a != nil {
		return a.open[subject]
	}
	return nil
}

// Held gives an account's incidents that are held in memory, in no order.
func (x *Archive) Held(account muster.AccountID) (list []*muster.Incident) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if a := x.accounts[account]; a != nil {
		for _, in := range a.byID {
			list = append(list, in)
		}
	}
	return list
}

// Size says how many incidents are not over.
func (x *Archive) Size() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.open
}

// Run writes the history until ctx ends, then once more.
func (x *Archive) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			x.Save(last)
			return
		case <-x.wake:
		}
		for pause := time.Second; !x.Save(ctx) && ctx.Err() == nil; pause = min(2*pause, 30*time.Second) {
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}
}

// rowsAtOnce is how many rows of the history are written together.
const rowsAtOnce = 50

// Save writes what the history does not have yet, and says whether it has all. What is over is forgotten here then.
func (x *Archive) Save(ctx context.Context) bool {
	complete := true
	for account, list := range x.missing() {
		for some := range slices.Chunk(list, rowsAtOnce) {
			rows := make([]Row, len(some))
			for i, in := range some {
				rows[i] = placeOf(in)
				rows[i].Body = x.o.Encode(in)
			}
			if err := x.o.History.Put(ctx, account, rows); err != nil {
				x.o.Logger.Warn("alarm: the history of incidents waits", "incidents", len(list), "error", err)
				complete = false
				break
			}
			x.saved(account, some)
		}
	}
	return complete
}

func (x *Archive) missing() map[muster.AccountID][]*muster.Incident {
	x.mu.RLock()
	defer x.mu.RUnlock()
	out := map[muster.AccountID][]*muster.Incident{}
	for account, a := range x.accounts {
		for _, in := range a.unsaved {
			out[account] = append(out[account], in)
		}
	}
	return out
}

func (x *Archive) saved(account muster.AccountID, list []*muster.Incident) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a := x.accounts[account]
	for _, in := range list {
		if a.unsaved[in.ID] != in {
			continue // it changed meanwhile
		}
		delete(a.unsaved, in.ID)
		if in.State == muster.IncidentResolved {
			delete(a.byID, in.ID)
		}
	}
}
