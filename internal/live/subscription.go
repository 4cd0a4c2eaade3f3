package live

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"muster"
	"muster/internal/telemetry"
)

var (
	errClosed = fmt.Errorf("live: next: %w: the stream has ended", muster.ErrUnavailable)
	errMany   = fmt.Errorf("live: subscribe: %w: too many open streams in this account", muster.ErrLimited)
)

// Subscription is one client's view of an account's changes. Next is for one goroutine; Close may be
// called from any.
type Subscription struct {
	room    *room
	queue   int
	resyncs *telemetry.Counter
	topics  []string
	nodes   map[muster.NodeID]struct{}
	wake    chan struct{} // holds one token while something waits

	mu      sync.Mutex
	pending map[key]record
	seen    uint64 // the newest change when the queue was last lost or begun
	lost    bool
	ended   error
}

// Subscribe begins to collect changes of one account for one client. It never fails by itself: an
// account with too many subscribers learns it from Next. The caller must Close it.
func (h *Hub) Subscribe(account muster.AccountID, want Want) *Subscription {
	s := &Subscription{
		queue:   h.opts.Queue,
		resyncs: h.resyncs,
		topics:  slices.Clone(want.Topics),
		nodes:   want.Nodes,
		wake:    make(chan struct{}, 1),
		pending: map[key]record{},
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		s.end(errClosed)
		return s
	}
	r := h.rooms[account]
	if r == nil {
		r = newRoom(h)
		h.rooms[account] = r
	}
	s.room = r
	if !r.join(s, want.LastID) {
		s.end(errMany)
	}
	return s
}

// Next waits until something changed and gives all of it, oldest first, each node once; or one resync
// when the client was too slow or came back too late. The error wraps ErrUnavailable when the hub or
// the subscription was closed, ErrLimited when the account has too many, or is the context's.
func (s *Subscription) Next(ctx context.Context) ([]Message, error) {
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.wake:
		}
		records, lostAt, lost, err := s.take()
		if err != nil {
			return nil, err
		}
		if lost {
			return []Message{{ID: s.room.id(lostAt), Kind: KindResync}}, nil
		}
		if messages := s.fetch(records); len(messages) > 0 {
			return messages, nil
		}
	}
}

// Close ends the subscription; a waiting Next returns.
func (s *Subscription) Close() {
	if s.room != nil {
		s.room.leave(s)
	}
	s.end(errClosed)
}

// Cursor gives an id for "everything up to now", to be sent before the first message: a client that
// loses its line before any change still knows where it was.
func (s *Subscription) Cursor() string {
	if s.room == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.room.id(s.seen)
}

func (s *Subscription) fetch(records []record) []Message {
	messages := make([]Message, 0, len(records))
	for _, rec := range records {
		e := &rec.event
		var data any
		if e.Data != nil {
			if data = e.Data(); data == nil {
				continue
			}
		}
		messages = append(messages, Message{ID: s.room.id(rec.seq), Topic: e.Topic, Kind: e.Kind, Node: e.Node, Data: data})
	}
	return messages
}

func (s *Subscription) take() (records []record, lostAt uint64, lost bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		s.signal() // for whoever asks again
		return nil, 0, false, s.ended
	}
	if s.lost {
		s.lost = false
		return nil, s.seen, true, nil
	}
	records = make([]record, 0, len(s.pending))
	for _, rec := range s.pending {
		records = append(records, rec)
	}
	clear(s.pending)
	// In the order of their ids, so that whatever was sent last is where a client can go on from.
	slices.SortFunc(records, func(a, b record) int { return cmp.Compare(a.seq, b.seq) })
	return records, 0, false, nil
}

// offer is called with the room locked.
func (s *Subscription) offer(k key, rec record) {
	if !slices.Contains(s.topics, k.topic) {
		return
	}
	if s.nodes != nil && k.topic == TopicNodes {
		if _, shown := s.nodes[k.node]; !shown {
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost {
		s.seen = rec.seq // the resync covers this one too
		return
	}
	if _, waits := s.pending[k]; !waits && len(s.pending) >= s.queue {
		s.loseLocked(rec.seq)
		return
	}
	s.pending[k] = rec
	s.signal()
}

func (s *Subscription) lose(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loseLocked(seq)
}

func (s *Subscription) loseLocked(seq uint64) {
	s.resyncs.Inc()
	clear(s.pending)
	s.lost, s.seen = true, seq
	s.signal()
}

func (s *Subscription) end(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = why
	}
	s.signal()
}

// signal is called with s.mu held, or before anybody else knows s.
func (s *Subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
