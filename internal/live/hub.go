package live

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"muster"
	"muster/internal/telemetry"
)

// Hub joins those who change things with those who show them. It is safe for use by many goroutines.
type Hub struct {
	opts  Options
	epoch string // of this process: ids of another one are not understood

	mu     sync.RWMutex
	rooms  map[muster.AccountID]*room
	base   uint64 // where a new room begins to count: after all that were forgotten
	closed bool

	published *telemetry.Counter
	resyncs   *telemetry.Counter
}

// New makes a hub.
func New(o Options) *Hub {
	o.fill()
	var raw [4]byte
	rand.Read(raw[:])
	h := &Hub{
		opts:      o,
		epoch:     hex.EncodeToString(raw[:]),
		rooms:     map[muster.AccountID]*room{},
		published: o.Telemetry.Counter("muster_live_published_total"),
		resyncs:   o.Telemetry.Counter("muster_live_resyncs_total"),
	}
	o.Telemetry.Gauge("muster_live_subscribers", func() float64 { return float64(h.Subscribers()) })
	return h
}

// Publish tells the account's subscribers of a change. It never blocks on them.
func (h *Hub) Publish(e Event) {
	h.mu.RLock()
	r := h.rooms[e.Account]
	h.mu.RUnlock()
	if r == nil {
		return
	}
	h.published.Inc()
	if r.publish(e) {
		h.tidy(e.Account, r)
	}
}

// Wanted says whether publishing for the account would reach anybody, now or when they come back: a
// caller for whom making an event is dear may ask first.
func (h *Hub) Wanted(account muster.AccountID) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.rooms[account] != nil
}

// Subscribers gives how many there are over all accounts.
func (h *Hub) Subscribers() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	n := 0
	for _, r := range h.rooms {
		n += r.size()
	}
	return n
}

// Close ends all subscriptions, so that the requests which serve them end; the hub takes no new ones.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, r := range h.rooms {
		r.end()
	}
	clear(h.rooms)
}

// tidy forgets a room that nobody came back to.
func (h *Hub) tidy(account muster.AccountID, r *room) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rooms[account] != r {
		return
	}
	if last, stale := r.stale(); stale {
		delete(h.rooms, account)
		h.base = max(h.base, last+1)
	}
}

// key is what changes are coalesced by: one node, or one thing with a key, within a topic; anything else stands for itself.
type key struct {
	topic string
	text  string
	node  muster.NodeID
	seq   uint64 // zero for those that coalesce
}

func (rec *record) key() key {
	k := key{topic: rec.event.Topic, text: rec.event.Key, node: rec.event.Node}
	if k.node.IsZero() && k.text == "" {
		k.seq = rec.seq
	}
	return k
}

// record is the newest change of a key.
type record struct {
	seq   uint64
	event Event
}

// room is an account's part of the hub.
type room struct {
	opts  *Options
	epoch string

	mu       sync.Mutex
	seq      uint64
	floor    uint64 // changes up to this one are forgotten
	recent   map[key]record
	subs     map[*Subscription]struct{}
	lastLeft time.Time
}

func newRoom(h *Hub) *room {
	return &room{opts: &h.opts, epoch: h.epoch, seq: h.base, floor: h.base, recent: map[key]record{}, subs: map[*Subscription]struct{}{}}
}

// publish says whether nobody was there for so long that the room may go.
func (r *room) publish(e Event) (stale bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	if r.staleLocked() {
		clear(r.recent)
		r.floor = r.seq // for one who comes back in this very moment
		return true
	}
	rec := record{seq: r.seq, event: e}
	k := rec.key()
	if len(r.recent) >= r.opts.Remember {
		if _, known := r.recent[k]; !known {
			clear(r.recent)
			r.floor = r.seq - 1
		}
	}
	r.recent[k] = rec
	for s := range r.subs {
		s.offer(k, rec)
	}
	return false
}

func (r *room) stale() (last uint64, stale bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seq, r.staleLocked()
}

func (r *room) staleLocked() bool {
	return len(r.subs) == 0 && !r.lastLeft.IsZero() && r.opts.Now().Sub(r.lastLeft) > r.opts.Keep
}

func (r *room) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.subs)
}

func (r *room) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.subs {
		s.end(errClosed)
	}
	clear(r.subs)
}

// join adds a subscriber and hands it what it missed since lastID.
func (r *room) join(s *Subscription, lastID string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.subs) >= r.opts.MaxSubscribers {
		return false
	}
	r.subs[s] = struct{}{}
	s.seen = r.seq
	if lastID == "" {
		return true
	}
	epoch, text, _ := strings.Cut(lastID, "-")
	seq, err := strconv.ParseUint(text, 10, 64)
	if err != nil || epoch != r.epoch || seq < r.floor || seq > r.seq {
		s.lose(r.seq)
		return true
	}
	var missed []record
	for _, rec := range r.recent {
		if rec.seq > seq {
			missed = append(missed, rec)
		}
	}
	slices.SortFunc(missed, func(a, b record) int { return cmp.Compare(a.seq, b.seq) })
	for _, rec := range missed {
		s.offer(rec.key(), rec)
	}
	return true
}

func (r *room) leave(s *Subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, here := r.subs[s]; here {
		delete(r.subs, s)
		r.lastLeft = r.opts.Now()
	}
}

func (r *room) id(seq uint64) string { return r.epoch + "-" + strconv.FormatUint(seq, 10) }
