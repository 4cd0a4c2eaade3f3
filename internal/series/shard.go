package series

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"muster"
	"muster/internal/series/calendar"
	"muster/internal/series/engine"
	"muster/internal/series/head"
)

// shard holds the heads of its nodes and what is to be done for them.
type shard struct {
	db *DB
	id int

	indexed chan struct{} // closed when the nodes the store knows are known here

	hearing  sync.Mutex // held over Options.Heard, taken before mu: what is read back comes before what comes in
	mu       sync.Mutex
	stage    stage
	epoch    uint64        // under which the shard is owned
	ready    chan struct{} // closed when the stage is complete; made anew when the shard is lost
	nodes    map[nodeKey]*head.Node
	pack     *head.Worker
	held     []receipt      // durable, but not in the heads before they are complete
	writing  Minute         // of the segment that is being written; 0 when none is
	unsaved  []engine.Dirty // marks that could not be stored yet
	calendar *calendar.Calendar
	publish  time.Time // when open blocks are stored next
	stirred  bool      // frames came in since they were
	covered  Minute
}

// stage says whether a shard's heads can be relied on.
type stage uint8

const (
	foreign  stage = iota // another server has them
	reading               // they are being read back from the store
	complete              // they hold all there is
)

// nodeKey names a node within its account.
type nodeKey struct {
	account muster.AccountID
	node    muster.NodeID
}

// receipt is frames with the minute they were received in.
type receipt struct {
	frames []*muster.Frame
	minute Minute
}

func newShard(db *DB, id int) *shard {
	return &shard{
		db: db, id: id, indexed: make(chan struct{}), ready: make(chan struct{}),
		nodes: map[nodeKey]*head.Node{}, pack: head.NewWorker(&packer{codec: &db.codec}),
		calendar: calendar.New(calendar.Options{
			Opened: db.opened, Grace: db.o.Grace, RebuildAfter: db.o.RebuildAfter,
			Turn: db.o.SealSpread * time.Duration(id) / time.Duration(db.o.Shards),
		}),
	}
}

// introduce makes sure that the store knows which node has which schema, before the frames are acknowledged.
func (s *shard) introduce(ctx context.Context, frames []*muster.Frame) error {
	rows := s.unknown(frames)
	if len(rows) == 0 {
		return nil
	}
	// What looks new may be old: the store's memory has to be read before it is written.
	select {
	case <-s.indexed:
	case <-ctx.Done():
		return fmt.Errorf("%w: series: append: %w", muster.ErrUnavailable, context.Cause(ctx))
	}
	if rows = s.unknown(frames); len(rows) == 0 {
		return nil
	}
	if err := s.db.engine.PutNodeSchemas(ctx, rows); err != nil {
		return fmt.Errorf("series: store which node has which schema: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range rows {
		s.see(row)
	}
	return nil
}

func (s *shard) unknown(frames []*muster.Frame) (rows []engine.NodeSchema) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range frames {
		if i > 0 && f.Schema == frames[i-1].Schema && f.Node == frames[i-1].Node && f.Source == frames[i-1].Source {
			continue
		}
		if n := s.nodes[nodeKey{f.Account, f.Node}]; n != nil {
			if src := n.Find(f.Source); src != nil {
				if sc := src.Seen(f.Schema.ID); sc != nil && sc.Saved {
					continue
				}
			}
		}
		row := engine.NodeSchema{Shard: s.id, Account: f.Account, Node: f.Node, Source: f.Source, Schema: f.Schema.ID, First: f.At}
		if !slices.ContainsFunc(rows, func(r engine.NodeSchema) bool { return sameRow(r, row) }) {
			rows = append(rows, row)
		}
	}
	return rows
}

func sameRow(row, other engine.NodeSchema) bool {
	return row.Node == other.Node && row.Schema == other.Schema && row.Source == other.Source && row.Account == other.Account
}

// sourceOf gives the source, making it and its node when they are new.
func (s *shard) sourceOf(key nodeKey, name string) *head.Source {
	n := s.nodes[key]
	if n == nil {
		n = &head.Node{}
		s.nodes[key] = n
	}
	return n.Source(name)
}

// see notes a row of the store.
func (s *shard) see(row engine.NodeSchema) {
	src := s.sourceOf(nodeKey{row.Account, row.Node}, row.Source)
	src.See(head.Seen{ID: row.Schema, First: row.First, Last: row.Last, Sealed: row.Last, Saved: true})
}

// beginWrite notes that a segment of this minute is being written, so that no later mark says the log is covered up to it.
func (s *shard) beginWrite(minute Minute) Minute {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = max(minute, s.covered+1)
	return s.writing
}

// endWrite lets the heads have durable frames, and stores marks of hours to rebuild before the log may be said to be covered.
func (s *shard) endWrite(ctx context.Context, frames []*muster.Frame, minute Minute) {
	s.hearing.Lock()
	defer s.hearing.Unlock()
	s.mu.Lock()
	var marks []engine.Dirty
	switch s.stage {
	case complete:
		marks = s.apply(frames, minute, s.db.o.Now())
		if len(frames) > 0 {
			defer s.db.o.Heard(s.id, frames) // once mu is free
		}
	case reading:
		s.held = append(s.held, receipt{frames, minute})
	}
	if len(marks) == 0 {
		s.writing = 0
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	err := s.db.engine.PutDirty(ctx, marks)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.db.o.Logger.Warn("marks of late data could not be stored yet", "shard", s.id, "error", err)
		s.unsaved = append(s.unsaved, marks...)
	}
	s.writing = 0
}

// apply adds frames to the heads. It is called with mu held.
func (s *shard) apply(frames []*muster.Frame, minute Minute, now time.Time) (marks []engine.Dirty) {
	current := engine.HourOf(now.UnixMilli())
	for _, f := range frames {
		src := s.sourceOf(nodeKey{f.Account, f.Node}, f.Source)
		what := src.Add(f, int64(minute), now, s.pack)
		if what == head.Double {
			s.db.tell.doubles.Inc()
			continue
		}
		s.stirred = true
		hour := engine.HourOf(f.At)
		built := s.calendar.Built(int64(hour))
		switch {
		case what == head.Late || built:
			s.db.tell.late.Inc()
			if s.calendar.MarkStale(int64(hour), int64(minute), now) {
				marks = append(marks, engine.Dirty{Shard: s.id, Hour: hour, Arrival: minute})
			}
		case hour < current:
			s.calendar.Touch(int64(hour), now)
		}
	}
	return marks
}

// flushDirty stores the marks that could not be stored before.
func (s *shard) flushDirty(ctx context.Context) error {
	s.mu.Lock()
	marks := s.unsaved
	s.unsaved = nil
	s.mu.Unlock()
	if len(marks) == 0 {
		return nil
	}
	if err := s.db.engine.PutDirty(ctx, marks); err != nil {
		s.mu.Lock()
		s.unsaved = append(s.unsaved, marks...)
		s.mu.Unlock()
		return fmt.Errorf("series: store marks of late data: %w", err)
	}
	return nil
}

// applied gives the last minute of the log of which everything is in the heads. It is called with mu held.
func (s *shard) applied() Minute {
	minute := s.db.minute()
	if s.writing != 0 {
		minute = min(minute, s.writing)
	}
	return minute - 1
}

// await waits until the heads are complete.
func (s *shard) await(ctx context.Context) error {
	for {
		s.mu.Lock()
		stage, ready := s.stage, s.ready
		s.mu.Unlock()
		switch stage {
		case complete:
			return nil
		case foreign:
			if _, mine := s.db.o.Owns(s.id); !mine {
				return fmt.Errorf("%w: series: shard %d belongs to another server", muster.ErrUnavailable, s.id)
			}
		}
		select {
		case <-ready:
		case <-s.db.life.Done():
			return fmt.Errorf("%w: series: closed", muster.ErrUnavailable)
		case <-ctx.Done():
			return fmt.Errorf("%w: series: the log is still being read: %w", muster.ErrUnavailable, context.Cause(ctx))
		}
	}
}

// working says whether the heads are complete and this server is to work on them, and under which epoch.
func (s *shard) working() (epoch uint64, ok bool) {
	epoch, mine := s.db.o.Owns(s.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	return epoch, mine && s.stage == complete && s.epoch == epoch
}

// keys gives the nodes of the shard in a steady order.
func (s *shard) keys() []nodeKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Keys(s.nodes), nodeKey.compare)
}

func (k nodeKey) compare(other nodeKey) int {
	if c := slices.Compare(k.account[:], other.account[:]); c != 0 {
		return c
	}
	return slices.Compare(k.node[:], other.node[:])
}
