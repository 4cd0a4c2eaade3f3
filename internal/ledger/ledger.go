// Package ledger gives what must happen once: a log per shard in the store, and the newest state of
// every key in it held in memory. A state and the transition that led to it are saved by one append or
// not at all, appends that come together share a write, and the log is what others follow by a cursor.
//
// The log of a shard is cut into days (UTC). When a day turns, the states worth keeping are carried
// into the new one; the old day is closed once all its news was followed. docs/format/store.md has every byte.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"muster"
	"muster/internal/telemetry"
)

// MaxAppend is how many bytes one Append takes: of keys, states and transitions, and some 10 bytes more
// for each entry. They are written together.
const MaxAppend = 256 << 10

// MaxKey is the longest key, in bytes.
const MaxKey = 512

// Entry is one step: the state of Key after it, together with the transition that led there.
type Entry struct {
	Key        string // "alarm/...", "incident/...", "notify/..."; no zero bytes
	State      []byte // empty: the key is forgotten
	Transition []byte // empty: nobody's news, the state alone is saved
}

// Row is an entry as it stands in the log. Its bytes are shared: not to be changed.
type Row struct {
	Day        int       // days since 1 January 1970 UTC
	Seq        uint64    // over 0, rising within the day
	At         time.Time // when the state was appended, to the millisecond; a carried state keeps it
	Key        string
	State      []byte // empty: the key was forgotten
	Transition []byte // empty: nobody's news; so are states that were carried into a new day
}

// Position is a place in a shard's log: that of a row, or the zero Position before all.
type Position struct {
	Day int
	Seq uint64
}

// Before says whether p comes before other in the log.
func (p Position) Before(other Position) bool {
	return p.Day < other.Day || p.Day == other.Day && p.Seq < other.Seq
}

// Position gives the row's place.
func (r *Row) Position() Position { return Position{Day: r.Day, Seq: r.Seq} }

// Options set a ledger up.
type Options struct {
	// Shards is how many there are. Needed.
	Shards int
	// Domain names who must agree on a shard's epoch: "all", or a data centre. "all" when empty.
	Domain string
	// Holder is the id that this process drew at its start and took its shards with. Needed.
	Holder string
	// Owns says whether this server owns a shard, and under which epoch. Needed.
	Owns func(shard int) (epoch uint64, mine bool)
	// Keep says whether a state is carried into a new day; age is how long ago it was appended. A state
	// that is not is forgotten. It must be quick. Nil keeps all.
	Keep func(key string, state []byte, age time.Duration) bool
	// Done says up to where the shard's log was followed: a day is closed when no row with a transition is
	// after that. It must be quick and safe to call from anywhere. Nil means that nobody follows.
	Done func(shard int) Position
	// Appended hears of rows once they are durable, in the order of the log, each once, one call at a time
	// for a shard, before the Append that brought them returns. It must not block, nor call Append. Nil means nobody.
	Appended func(shard int, rows []Row)
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Logger is slog's default when nil.
	Logger *slog.Logger
	// Telemetry counts; nil counts nothing.
	Telemetry *telemetry.Set
}

// Validate says what is wrong with the options; the error wraps ErrInvalid.
func (o *Options) Validate() error {
	if o.Shards < 1 || o.Holder == "" || o.Owns == nil {
		return fmt.Errorf("ledger: options: %w: the number of shards, a holder and who owns what are needed", muster.ErrInvalid)
	}
	return nil
}

func (o *Options) fill() {
	if o.Domain == "" {
		o.Domain = "all"
	}
	if o.Keep == nil {
		o.Keep = func(string, []byte, time.Duration) bool { return true }
	}
	if o.Appended == nil {
		o.Appended = func(int, []Row) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

// Ledger holds the logs of the shards that this process owns. It is safe for use by many goroutines.
type Ledger struct {
	store  Store
	opts   Options
	shards []*shard
	life   context.Context // of the writers: it ends when Close does not wait any longer
	kill   context.CancelFunc
	writer sync.WaitGroup
	tell   tell
}

type tell struct {
	appends, rows, batches, bytes, retries, lost, turned, closed *telemetry.Counter
	seconds                                                      *telemetry.Histogram
}

// Open takes the open days of all owned shards and reads their states. Nothing of the log is handed to
// Appended: who follows reads Rows from its cursor first. Close ends the ledger.
func Open(ctx context.Context, store Store, o Options) (*Ledger, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.fill()
	t := o.Telemetry
	l := &Ledger{store: store, opts: o, tell: tell{
		appends: t.Counter("muster_ledger_appends_total"), rows: t.Counter("muster_ledger_rows_total"),
		batches: t.Counter("muster_ledger_batches_total"), bytes: t.Counter("muster_ledger_bytes_total"),
		retries: t.Counter("muster_ledger_retries_total"), lost: t.Counter("muster_ledger_shards_lost_total"),
		turned: t.Counter("muster_ledger_days_turned_total"), closed: t.Counter("muster_ledger_days_closed_total"),
		seconds: t.Histogram("muster_ledger_batch_seconds"),
	}}
	for i := range o.Shards {
		l.shards = append(l.shards, &shard{l: l, id: i})
	}
	if err := l.takeAll(ctx); err != nil {
		return nil, err
	}
	l.life, l.kill = context.WithCancel(context.WithoutCancel(ctx))
	t.Gauge("muster_ledger_states", func() float64 { return l.sum(func(s *shard) int { return len(s.states) }) })
	t.Gauge("muster_ledger_waiting", func() float64 { return l.sum(func(s *shard) int { return len(s.queue) }) })
	return l, nil
}

// atOnce is how many shards are taken at the same time: each is some round trips to the store.
const atOnce = 16

func (l *Ledger) takeAll(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for _, s := range l.shards {
		if _, mine := l.opts.Owns(s.id); !mine {
			continue
		}
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			err := s.take(ctx)
			if errors.Is(err, muster.ErrConflict) {
				l.opts.Logger.Error("ledger: a shard has another owner", "shard", s.id, "error", err)
			} else if err != nil {
				cancel(fmt.Errorf("ledger: open: %w", err))
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

func (l *Ledger) sum(of func(*shard) int) (sum float64) {
	for _, s := range l.shards {
		s.mu.Lock()
		sum += float64(of(s))
		s.mu.Unlock()
	}
	return sum
}

// Take takes and reads one shard that this process came to own after Open, or owns again under a higher
// epoch after it was lost. It changes nothing for one that is held.
func (l *Ledger) Take(ctx context.Context, shard int) error {
	s, err := l.shard(shard)
	if err == nil {
		err = s.take(ctx)
	}
	if err != nil {
		return fmt.Errorf("ledger: take: %w", err)
	}
	return nil
}

// shard gives one that this process owns as far as it knows.
func (l *Ledger) shard(id int) (*shard, error) {
	if id < 0 || id >= len(l.shards) {
		return nil, fmt.Errorf("%w: there is no shard %d", muster.ErrInvalid, id)
	}
	if _, mine := l.opts.Owns(id); !mine {
		return nil, fmt.Errorf("%w: shard %d is not owned", muster.ErrUnavailable, id)
	}
	return l.shards[id], nil
}

// Get gives the state of a key, which must not be changed; false when there is none.
func (l *Ledger) Get(shard int, key string) ([]byte, bool) {
	if shard < 0 || shard >= len(l.shards) {
		return nil, false
	}
	s := l.shards[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.states[key]
	return v.bytes, ok
}

// Each calls fn for every key of the shard that begins with prefix, in the order of keys. The states
// must not be changed. fn may use the ledger.
func (l *Ledger) Each(shard int, prefix string, fn func(key string, state []byte)) {
	if shard < 0 || shard >= len(l.shards) {
		return
	}
	for _, found := range l.shards[shard].list(prefix) {
		fn(found.key, found.bytes)
	}
}

// Append makes the entries durable, all or none, in their order, and gives the place of the last; their
// bytes are copied. Appends of one shard that come together share a write.
//
//   - ErrLimited: they are more than MaxAppend; nothing was written.
//   - ErrInvalid: a key is not one; nothing was written.
//   - ErrUnavailable: the shard is not owned or the ledger closed, and nothing was written; or ctx ended
//     first, and the entries may become durable yet: then Appended hears of them.
//   - ErrConflict: another owner took the shard. Its states are dropped and all further appends fail. The
//     entries may have become durable before, and the new owner then knows of them.
func (l *Ledger) Append(ctx context.Context, shard int, entries []Entry) (Position, error) {
	s, err := l.shard(shard)
	if err != nil {
		return Position{}, fmt.Errorf("ledger: append: %w", err)
	}
	at, err := s.append(ctx, entries)
	if err != nil {
		return Position{}, fmt.Errorf("ledger: append: %w", err)
	}
	return at, nil
}

// Last gives the place of the newest durable row of the shard; false when the shard is not held.
func (l *Ledger) Last(shard int) (Position, bool) {
	if shard < 0 || shard >= len(l.shards) {
		return Position{}, false
	}
	s := l.shards[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stands != held {
		return Position{}, false
	}
	return s.last(), true
}

// Run turns days at midnight UTC and closes those that were followed, until ctx ends.
func (l *Ledger) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			for _, s := range l.shards {
				s.tend()
			}
		}
	}
}

// patience is how long Close waits for writes under way.
const patience = 5 * time.Second

// Close takes no more appends and waits, for a few seconds at most, for what is under way.
func (l *Ledger) Close() error {
	for _, s := range l.shards {
		s.mu.Lock()
		s.closing = true
		s.mu.Unlock()
	}
	timer := time.AfterFunc(patience, l.kill)
	defer timer.Stop()
	l.writer.Wait()
	l.kill()
	return nil
}
