package alarm

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"muster"
	"muster/internal/alarm/archive"
	"muster/internal/incident"
	"muster/internal/telemetry"
)

// Watch holds alarms, their states and incidents. It is safe for use by many goroutines.
type Watch struct {
	store     Store
	opts      Options
	books     sync.Map // muster.AccountID -> *book
	shards    []*shard
	incidents *archive.Archive
	tell      counters

	judgeFrom atomic.Int64 // Unix ns: silence counts from here on
	ticked    atomic.Int64 // Unix ns: when silences were judged last
}

type counters struct {
	judged, transitions, cancelled, saved, retries, silences *telemetry.Counter
	heard                                                    *telemetry.Histogram
}

// fill sets what was left out.
func (o *Options) fill() {
	if o.Owns == nil {
		o.Owns = func(int) bool { return true }
	}
	if o.HasChannel == nil {
		o.HasChannel = func(muster.AccountID, muster.ChannelID) bool { return true }
	}
	if o.MayJudge == nil {
		o.MayJudge = func() bool { return true }
	}
	if o.Changed == nil {
		o.Changed = func(muster.AccountID, *muster.Incident) {}
	}
	if o.Tell == nil {
		o.Tell = func(context.Context, muster.Event) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Grace == 0 {
		o.Grace = 30 * time.Second
	}
	if o.SaveEvery == 0 {
		o.SaveEvery = 10 * time.Second
	}
}

// Open reads all alarms, and the states and incidents of the owned shards from the ledger. Frames may be heard
// at once; what comes of them is written once Run runs. The error wraps ErrInvalid (options) or is the store's.
func Open(ctx context.Context, store Store, o Options) (*Watch, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.fill()
	w := &Watch{store: store, opts: o, incidents: archive.New(archive.Options{History: o.History, Encode: incident.Encode, Decode: incident.Decode, Logger: o.Logger}), shards: make([]*shard, o.Shards)}
	t := o.Telemetry
	w.tell = counters{
		judged: t.Counter("muster_alarm_judged_total"), transitions: t.Counter("muster_alarm_transitions_total"),
		cancelled: t.Counter("muster_alarm_transitions_cancelled_total"), saved: t.Counter("muster_alarm_states_saved_total"),
		retries: t.Counter("muster_alarm_ledger_retries_total"), silences: t.Counter("muster_alarm_silences_judged_total"),
		heard: t.Histogram("muster_alarm_heard_seconds"),
	}
	w.judgeFrom.Store(o.Now().UnixNano())
	w.ticked.Store(o.Now().UnixNano())
	accounts, err := store.Accounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("alarm: open: %w", err)
	}
	for _, account := range accounts {
		if err := w.readAlarms(ctx, account.ID); err != nil {
			return nil, err
		}
	}
	for id := range w.shards {
		w.shards[id] = newShard(w, id)
		if o.Owns(id) {
			w.shards[id].load()
		}
	}
	t.Gauge("muster_alarm_instances", func() float64 { return float64(w.count((*shard).instances)) })
	t.Gauge("muster_alarm_transitions_waiting", func() float64 { return float64(w.count((*shard).waiting)) })
	t.Gauge("muster_alarm_incidents_open", func() float64 { return float64(w.incidents.Size()) })
	return w, nil
}

// readAlarms reads an account's alarms. One that does not compile any more is told and left out.
func (w *Watch) readAlarms(ctx context.Context, account muster.AccountID) error {
	alarms, err := w.store.Alarms(ctx, account)
	if err != nil {
		return fmt.Errorf("alarm: open: %w", err)
	}
	b := w.book(account)
	for _, a := range alarms {
		r, err := compile(a)
		if err != nil {
			w.opts.Logger.Error("an alarm can't be understood and watches nothing", "alarm", a.ID, "error", err)
			continue
		}
		b.put(r)
	}
	return nil
}

func (w *Watch) count(of func(*shard) int) (n int) {
	for _, s := range w.shards {
		n += of(s)
	}
	return n
}

// shardOf gives the shard of a subject.
func (w *Watch) shardOf(account muster.AccountID, subject muster.NodeID) *shard {
	return w.shards[w.opts.ShardOf(account, subject)]
}

// Heard takes a shard's frames in the order of its log, before they are acknowledged; one call at a time for a shard.
// It is quick: what follows is written later. Frames that were heard before change nothing. It keeps nothing of the slice.
func (w *Watch) Heard(shard int, frames []*muster.Frame) {
	begun := time.Now()
	s := w.shards[shard]
	now := w.opts.Now()
	s.mu.Lock()
	for _, f := range frames {
		s.hear(f, now)
	}
	s.mu.Unlock()
	w.tell.heard.Update(time.Since(begun).Seconds())
}

// Caught notes that all which the log had of a shard was heard: every state is looked at once against the documents of
// today, and from now on silence counts.
func (w *Watch) Caught(shard int) {
	s := w.shards[shard]
	now := w.opts.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.caught = true
	s.caughtAt = now.UnixNano()
	s.meetFleet()
	s.settle(now)
	for _, sub := range s.subjects {
		s.refresh(sub, now)
	}
}

// NodeChanged looks at a node again whose document changed or went. It costs next to nothing when it is what it was.
func (w *Watch) NodeChanged(account muster.AccountID, node muster.NodeID) {
	s := w.shardOf(account, node)
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub := s.subjects[subjectKey{account, node}]; sub != nil && sub.who.node != w.opts.Fleet.Node(account, node) {
		s.refresh(sub, w.opts.Now())
	}
}

// CheckChanged looks at a check again that was changed, switched, moved or deleted.
func (w *Watch) CheckChanged(account muster.AccountID, check muster.CheckID) {
	now := w.opts.Now()
	for _, s := range w.shards { // it may have belonged to another node until now
		s.mu.Lock()
		for _, sub := range s.results[check] {
			if sub.book.account == account && !sub.who.gone() {
				s.refresh(sub, now)
			}
		}
		s.mu.Unlock()
	}
}

// rematch looks at all subjects of an account again after its alarms changed.
func (w *Watch) rematch(b *book) {
	now := w.opts.Now()
	for _, s := range w.shards {
		s.mu.Lock()
		for _, sub := range s.subjects {
			if sub.book == b {
				s.refresh(sub, now)
			}
		}
		s.mu.Unlock()
	}
}

// slept is how late a tick may be before the process is taken to have been stopped or suspended.
const slept = 10 * time.Second

// Run writes what was judged, judges silences every second and keeps the history, until ctx ends; then it saves what waits once more.
func (w *Watch) Run(ctx context.Context) error {
	var group sync.WaitGroup
	for _, s := range w.shards {
		group.Go(func() { s.write(ctx) })
	}
	group.Go(func() { w.incidents.Run(ctx) })
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			group.Wait()
			return nil
		case <-tick.C:
			w.tick()
		}
	}
}

// tick judges the silences that are due.
func (w *Watch) tick() {
	now := w.opts.Now()
	last := time.Unix(0, w.ticked.Swap(now.UnixNano()))
	mayJudge := w.opts.MayJudge()
	if !mayJudge || now.Sub(last) > slept || last.Sub(now) > slept {
		w.judgeFrom.Store(now.UnixNano())
	}
	wentBack := last.Sub(now) > slept
	for _, s := range w.shards {
		s.mu.Lock()
		if wentBack {
			s.settle(now)
		}
		if mayJudge && s.caught {
			s.judgeSilence(now)
			s.sweep(now)
		}
		s.mu.Unlock()
	}
}
