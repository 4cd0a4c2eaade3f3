package ledger

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"muster"
)

// standing says how a shard stands with this process.
type standing int

const (
	away standing = iota // not taken yet
	held
	lost // another owner took it
)

// shard is one shard's log. What is appended waits in a queue for the writer, a goroutine that lives for
// as long as there is something to write; only it writes to the store, so seqs have one source.
type shard struct {
	l  *Ledger
	id int

	taking sync.Mutex // held while the shard is being taken

	mu      sync.Mutex
	stands  standing
	epoch   uint64
	states  map[string]state
	days    []day // that are open, oldest first; appended is to the last
	carried bool  // no state stands in an earlier day only, unless nobody keeps it
	queue   []*request
	writing bool // the writer lives
	tending bool // days are to be closed
	closing bool
}

// state is the newest of a key.
type state struct {
	bytes []byte
	at    int64 // when it was appended, Unix milliseconds
	day   int   // where its row is
}

// day is an open day.
type day struct {
	n    int
	last uint64 // the newest row known to be durable
	news uint64 // the newest row with a transition
}

// request is one Append that waits.
type request struct {
	rows []Stored // without seqs
	size int
	done chan answer // has room for one, and gets one
}

type answer struct {
	at  Position
	err error
}

type keyed struct {
	key string
	state
}

// list gives the states of keys with the prefix, in the order of keys.
func (s *shard) list(prefix string) []keyed {
	s.mu.Lock()
	var found []keyed
	for key, v := range s.states {
		if strings.HasPrefix(key, prefix) {
			found = append(found, keyed{key, v})
		}
	}
	s.mu.Unlock()
	slices.SortFunc(found, func(a, b keyed) int { return strings.Compare(a.key, b.key) })
	return found
}

// last gives the place of the newest durable row; the caller holds mu.
func (s *shard) last() Position {
	d := s.days[len(s.days)-1]
	return Position{Day: d.n, Seq: d.last}
}

// mayUse says why the shard can't be used; the caller holds mu.
func (s *shard) mayUse() error {
	switch s.stands {
	case away:
		return fmt.Errorf("%w: shard %d was not taken yet", muster.ErrUnavailable, s.id)
	case lost:
		return fmt.Errorf("%w: shard %d has another owner", muster.ErrConflict, s.id)
	}
	return nil
}

func (s *shard) append(ctx context.Context, entries []Entry) (Position, error) {
	r, err := s.l.request(entries)
	if err != nil {
		return Position{}, err
	}
	if ctx.Err() != nil {
		return Position{}, fmt.Errorf("%w: nothing was written: %w", muster.ErrUnavailable, context.Cause(ctx))
	}
	s.mu.Lock()
	if err = s.mayUse(); err == nil && s.closing {
		err = fmt.Errorf("%w: the ledger is closed", muster.ErrUnavailable)
	}
	if err != nil || len(entries) == 0 {
		defer s.mu.Unlock()
		if err != nil {
			return Position{}, err
		}
		return s.last(), nil
	}
	s.queue = append(s.queue, r)
	s.wake()
	s.mu.Unlock()
	select {
	case a := <-r.done:
		return a.at, a.err
	case <-ctx.Done():
		return s.leave(ctx, r)
	}
}

// leave takes back what nobody waits for any more, if it still waits itself.
func (s *shard) leave(ctx context.Context, r *request) (Position, error) {
	s.mu.Lock()
	at := slices.Index(s.queue, r)
	if at >= 0 {
		s.queue = slices.Delete(s.queue, at, at+1)
	}
	s.mu.Unlock()
	if at >= 0 {
		return Position{}, fmt.Errorf("%w: nothing was written: %w", muster.ErrUnavailable, context.Cause(ctx))
	}
	select {
	case a := <-r.done:
		return a.at, a.err
	default:
		return Position{}, fmt.Errorf("%w: it may be written yet: %w", muster.ErrUnavailable, context.Cause(ctx))
	}
}

// request checks entries and copies them into rows.
func (l *Ledger) request(entries []Entry) (*request, error) {
	r := &request{rows: make([]Stored, 0, len(entries)), done: make(chan answer, 1)}
	now := l.opts.Now().UnixMilli()
	for i := range entries {
		e := &entries[i]
		if e.Key == "" || len(e.Key) > MaxKey || strings.ContainsRune(e.Key, 0) {
			return nil, fmt.Errorf("%w: a key is 1 to %d bytes without zero bytes", muster.ErrInvalid, MaxKey)
		}
		stored := newRow(e.Key, now, e.State, e.Transition)
		if r.size += size(&stored); size(&stored) > MaxAppend {
			return nil, fmt.Errorf("%w: the entry of %s alone has %d bytes, at most %d are written together", muster.ErrLimited, e.Key, size(&stored), MaxAppend)
		}
		r.rows = append(r.rows, stored)
	}
	if r.size > MaxAppend {
		return nil, fmt.Errorf("%w: %d entries have %d bytes, at most %d are written together", muster.ErrLimited, len(entries), r.size, MaxAppend)
	}
	return r, nil
}

// newRow copies what is appended into one piece of memory.
func newRow(key string, at int64, state, transition []byte) Stored {
	b := make([]byte, 0, 10+len(state)+len(transition))
	b = appendState(b, at, state)
	n := len(b)
	b = append(b, transition...)
	return Stored{Key: key, State: b[:n:n], Transition: b[n:]}
}
