package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"muster"
	"muster/internal/incident"
)

// Keys of this room in a shard's log.
const (
	cursorKey   = "notify/cursor"
	casePrefix  = "notify/case/"    // then the incident: who was told of it, and what is held back
	parcelKey   = "notify/message/" // then the message: what could not be delivered at once
	ourPrefix   = "notify/"
	incidentKey = "incident/"
)

// shard follows one shard's log.
type shard struct {
	room   *Room
	id     int
	wake   chan struct{} // something is to be read
	saving chan struct{} // something is to be saved

	mu    sync.Mutex
	ready bool     // the log was read up to what is heard
	inbox []Row    // heard since
	at    Position // handled
	saved Position
	steps []*step                           // handled, not passed by the cursor yet; oldest first
	cases map[muster.IncidentID]*openCase   // incidents that somebody was told of, or will be
	dirty map[string]func() ([]byte, error) // what is to be saved beside the cursor, by key; nil bytes forget it
	seq   []string                          // the keys of dirty in the order they came
}

// step is a row whose messages are not all settled or saved. What it made of its incident's case is saved
// together with the cursor that passes it: planned anew after a crash, it must find the case as it was.
type step struct {
	at   Position
	open int
	id   muster.IncidentID
	next *openCase // nil: nothing became of the case
}

// openCase is what is remembered of an incident while it is not over.
type openCase struct {
	Told []muster.ChannelID `json:"told,omitempty"`
	Held *heldStep          `json:"held,omitempty"`
	By   string             `json:"held_by,omitempty"` // the name of the suppression
}

// heldStep is the last step that was held back, as it stands in the log.
type heldStep struct {
	Incident json.RawMessage `json:"incident"`
	Change   json.RawMessage `json:"change"`
}

type cursorBody struct {
	Day int    `json:"day"`
	Seq uint64 `json:"seq"`
}

// maxInbox is how many rows wait in memory; with more the log is read instead.
const maxInbox = 10_000

func newShard(r *Room, id int) *shard {
	s := &shard{
		room: r, id: id, wake: make(chan struct{}, 1), saving: make(chan struct{}, 1),
		cases: map[muster.IncidentID]*openCase{}, dirty: map[string]func() ([]byte, error){},
	}
	if !r.opts.Owns(id) {
		return s
	}
	r.opts.Ledger.Each(id, ourPrefix, func(key string, state []byte) {
		if err := s.load(key, state); err != nil {
			r.opts.Logger.Error("notify: a line of the log can't be read and is left out", "shard", id, "key", key, "error", err)
		}
	})
	s.at = s.saved
	return s
}

// load reads one of our states.
func (s *shard) load(key string, state []byte) error {
	switch {
	case key == cursorKey:
		var c cursorBody
		if err := json.Unmarshal(state, &c); err != nil {
			return err
		}
		s.saved = Position(c)
	case strings.HasPrefix(key, casePrefix):
		c := new(openCase)
		if err := json.Unmarshal(state, c); err != nil {
			return err
		}
		s.cases[muster.IncidentID(strings.TrimPrefix(key, casePrefix))] = c
	case strings.HasPrefix(key, parcelKey):
		p, err := readParcel(state)
		if err != nil {
			return err
		}
		p.shard, p.parked = s, true
		s.room.lanes.add(p)
	}
	return nil
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// hear takes rows that became durable.
func (s *shard) hear(rows []Row) {
	news := slices.ContainsFunc(rows, isNews)
	s.mu.Lock()
	if len(s.inbox)+len(rows) > maxInbox {
		s.inbox, s.ready = nil, false
	}
	if s.ready {
		for _, row := range rows {
			if isNews(row) {
				s.inbox = append(s.inbox, row)
			}
		}
	}
	s.mu.Unlock()
	if news {
		poke(s.wake)
	}
}

func isNews(row Row) bool {
	return len(row.Transition) > 0 && strings.HasPrefix(row.Key, incidentKey)
}

// follow handles the log in order until ctx ends: what was there first, then what is heard.
func (s *shard) follow(ctx context.Context) {
	for pause := 50 * time.Millisecond; ; {
		err := s.catchUp(ctx)
		if err != nil && ctx.Err() == nil {
			s.room.opts.Logger.Warn("notify: a shard's log can't be read, trying again", "shard", s.id, "error", err)
			pause = min(2*pause, 10*time.Second)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			continue
		}
		pause = 50 * time.Millisecond
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
	}
}

// catchUp handles all there is.
func (s *shard) catchUp(ctx context.Context) error {
	const page = 500
	for {
		s.mu.Lock()
		if s.ready {
			rows := s.inbox
			s.inbox = nil
			s.mu.Unlock()
			if len(rows) == 0 {
				return nil
			}
			s.handle(rows)
			continue
		}
		after := s.at
		s.mu.Unlock()
		rows, err := s.room.opts.Ledger.Rows(ctx, s.id, after, page)
		if err != nil {
			return err
		}
		s.handle(rows)
		if len(rows) == page {
			continue
		}
		// What comes from now on is heard; what came since the last look is read once more.
		s.mu.Lock()
		s.ready, s.inbox = true, nil
		after = s.at
		s.mu.Unlock()
		if rows, err = s.room.opts.Ledger.Rows(ctx, s.id, after, page); err != nil || len(rows) == page {
			s.mu.Lock()
			s.ready = false
			s.mu.Unlock()
			if err != nil {
				return err
			}
		}
		s.handle(rows)
	}
}

// handle plans what rows ask for. Rows at or before the place that was handled are left out.
func (s *shard) handle(rows []Row) {
	for i := range rows {
		row := &rows[i]
		at := Position{row.Day, row.Seq}
		s.mu.Lock()
		known := at.Day < s.at.Day || at.Day == s.at.Day && at.Seq <= s.at.Seq
		s.mu.Unlock()
		if known {
			continue
		}
		var parcels []*parcel
		st := &step{at: at, open: 1}
		if isNews(*row) {
			var err error
			if parcels, err = s.plan(row, st); err != nil {
				s.room.opts.Logger.Error("notify: a step of an incident can't be read and nobody is told", "key", row.Key, "error", err)
			}
		}
		s.mu.Lock()
		s.at = at
		s.steps = append(s.steps, st)
		s.mu.Unlock()
		s.dispatch(st, parcels)
	}
	poke(s.saving)
}

// dispatch hands parcels to their lanes; the step is done with when all are.
func (s *shard) dispatch(st *step, parcels []*parcel) {
	s.mu.Lock()
	st.open += len(parcels) - 1 // and the one that kept it from being passed while it was planned
	s.mu.Unlock()
	for _, p := range parcels {
		p.shard, p.step = s, st
		s.room.planned.Inc()
		s.room.lanes.add(p)
	}
}

// plan decides who is told of a row.
func (s *shard) plan(row *Row, st *step) ([]*parcel, error) {
	in, err := incident.Decode(row.State)
	if err != nil {
		return nil, err
	}
	change, err := incident.DecodeChange(row.Transition)
	if err != nil {
		return nil, err
	}
	parcels, next := s.planStep(in, change)
	if next != nil {
		st.id, st.next = in.ID, next
		s.set(in.ID, next)
	}
	return parcels, nil
}

// planStep decides who is told of a step of an incident, and what its case is after it (nil: as it was).
func (s *shard) planStep(in *muster.Incident, change *muster.IncidentChange) ([]*parcel, *openCase) {
	r := s.room
	s.mu.Lock()
	c := s.cases[in.ID]
	s.mu.Unlock()
	if c == nil {
		c = &openCase{}
	}
	next := openCase{Told: slices.Clone(c.Told), Held: c.Held, By: c.By}
	var to []muster.ChannelID
	kind := TypeOpened
	switch change.Kind {
	case muster.IncidentOpened, muster.IncidentWorsened, muster.IncidentJoined:
		all := r.recipients(in, change.Transition)
		if change.Kind == muster.IncidentJoined { // those who know of the incident are not told again
			all = slices.DeleteFunc(all, func(id muster.ChannelID) bool { return slices.Contains(next.Told, id) })
		}
		if quiet := r.suppressed(in, change.Transition, r.opts.Now()); quiet != nil {
			r.noteHeld(in, change, all, quiet)
			if len(all) > 0 {
				next.Held, next.By = &heldStep{incident.Encode(in), incident.EncodeChange(change)}, quiet.Name
			}
			break
		}
		to = all
		next.Held, next.By = nil, ""
		for _, id := range to {
			if !slices.Contains(next.Told, id) {
				next.Told = append(next.Told, id)
			}
		}
	case muster.IncidentTaken:
		kind, to = TypeAcknowledged, next.Told
		if next.Held != nil {
			next.Held = nil // somebody knows
		}
	case muster.IncidentClosed:
		kind, to = TypeResolved, next.Told
		next = openCase{}
	default:
		return nil, nil
	}
	parcels := make([]*parcel, 0, len(to))
	for _, id := range to {
		parcels = append(parcels, newParcel(kind, in, change, id, r.opts.Now()))
	}
	return parcels, &next
}

func (c *openCase) over() bool { return len(c.Told) == 0 && c.Held == nil }

// set keeps a case in memory, or forgets one that is over.
func (s *shard) set(id muster.IncidentID, c *openCase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.over() {
		delete(s.cases, id)
	} else {
		s.cases[id] = c
	}
}

func (c *openCase) state() ([]byte, error) {
	if c.over() {
		return nil, nil
	}
	return json.Marshal(c)
}

// remember keeps a case and has it saved by itself.
func (s *shard) remember(id muster.IncidentID, c *openCase) {
	s.set(id, c)
	s.note(casePrefix+string(id), c.state)
}

// note has a state saved; nil bytes forget the key.
func (s *shard) note(key string, state func() ([]byte, error)) {
	s.mu.Lock()
	if _, again := s.dirty[key]; !again {
		s.seq = append(s.seq, key)
	}
	s.dirty[key] = state
	s.mu.Unlock()
	poke(s.saving)
}

// recipients gives the channels that hear of a transition: its own, as far as they are still there, else the default ones.
func (r *Room) recipients(in *muster.Incident, t *muster.Transition) []muster.ChannelID {
	var out []muster.ChannelID
	if t != nil {
		for _, id := range t.Channels {
			if r.entry(in.Account, id) != nil && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	if len(out) > 0 {
		return out
	}
	for _, c := range r.Channels(in.Account) {
		if c.Default {
			out = append(out, c.ID)
		}
	}
	return out
}

// noteHeld writes down who was not told, and because of what.
func (r *Room) noteHeld(in *muster.Incident, change *muster.IncidentChange, to []muster.ChannelID, quiet *muster.Suppression) {
	r.quieted.Inc()
	for _, id := range to {
		c, err := r.Channel(in.Account, id)
		if err != nil {
			continue
		}
		r.log.add(in.Account, muster.Delivery{
			Message: messageID(in, change, id), Incident: in.ID, Type: TypeOpened, Channel: id, Name: c.Name, At: r.opts.Now(),
			Status: muster.DeliverySuppressed, Error: "held back by " + quiet.Name,
		})
	}
}

// release tells what was held back by suppressions that are over, as far as the incident is not.
func (s *shard) release() {
	s.mu.Lock()
	held := map[muster.IncidentID]*openCase{}
	for id, c := range s.cases {
		if c.Held != nil {
			held[id] = c
		}
	}
	s.mu.Unlock()
	for id, c := range held {
		in, err := incident.Decode(c.Held.Incident)
		var change *muster.IncidentChange
		if err == nil {
			change, err = incident.DecodeChange(c.Held.Change)
		}
		if err != nil {
			s.room.opts.Logger.Error("notify: what was held back can't be read", "incident", id, "error", err)
			s.remember(id, &openCase{Told: c.Told})
			continue
		}
		if s.room.suppressed(in, change.Transition, s.room.opts.Now()) != nil {
			continue
		}
		s.mu.Lock()
		same := s.cases[id] == c // else a step came meanwhile
		s.mu.Unlock()
		if !same {
			continue
		}
		parcels, next := s.planStep(in, change)
		for _, p := range parcels { // no row of the log stands for them any more: they are saved by themselves, before the case
			p.shard = s
			s.room.planned.Inc()
			s.room.park(p)
		}
		s.remember(id, next)
		for _, p := range parcels {
			s.room.lanes.add(p)
		}
	}
}

// keep saves what is to be saved until ctx ends, a few times a second at most.
func (s *shard) keep(ctx context.Context) {
	const rest = 100 * time.Millisecond
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.saving:
		}
		s.save(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(rest):
		}
	}
}

// maxSave is how many states, and how many steps, one save takes; maxBatch how many bytes one write has.
const (
	maxSave  = 200
	maxBatch = 200 << 10
)

// harvest is what one save takes out of a shard.
type harvest struct {
	keys   []string
	states []func() ([]byte, error)
	steps  []*step
	more   bool
}

// harvest takes what is to be saved. Steps are passed only when no state waits: what the cursor passes is
// settled, or saved before it.
func (s *shard) harvest() (h harvest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.keys = slices.Clone(s.seq[:min(len(s.seq), maxSave)])
	s.seq = s.seq[len(h.keys):]
	for _, key := range h.keys {
		h.states = append(h.states, s.dirty[key])
		delete(s.dirty, key)
	}
	if len(s.seq) > 0 {
		h.more = true
		return h
	}
	for len(s.steps) > 0 && s.steps[0].open == 0 && len(h.steps) < maxSave {
		h.steps = append(h.steps, s.steps[0])
		s.steps = s.steps[1:]
	}
	h.more = len(h.steps) == maxSave
	return h
}

// restore puts back what could not be saved.
func (s *shard) restore(h harvest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var back []string
	for i, key := range h.keys {
		if _, newer := s.dirty[key]; !newer {
			s.dirty[key] = h.states[i]
			back = append(back, key)
		}
	}
	s.seq = append(back, s.seq...)
	s.steps = append(h.steps, s.steps...)
}

// save writes the cursor and what belongs beside it.
func (s *shard) save(ctx context.Context) {
	for {
		h := s.harvest()
		err := s.write(ctx, &h)
		if err != nil {
			s.restore(h)
			if !errors.Is(err, muster.ErrConflict) { // else the shard is another's now
				s.room.opts.Logger.Warn("notify: what was told can't be saved yet", "shard", s.id, "error", err)
				time.AfterFunc(time.Second, func() { poke(s.saving) })
			}
			return
		}
		if !h.more {
			return
		}
	}
}

// write makes a harvest durable, states first and the cursor last.
func (s *shard) write(ctx context.Context, h *harvest) error {
	var entries []Entry
	size := 0
	add := func(key string, state []byte) error {
		if size+len(key)+len(state) > maxBatch {
			if err := s.room.opts.Ledger.Append(ctx, s.id, entries); err != nil {
				return err
			}
			entries, size = nil, 0
		}
		entries, size = append(entries, Entry{Key: key, State: state}), size+len(key)+len(state)
		return nil
	}
	for i, key := range h.keys {
		state, err := h.states[i]()
		if err != nil {
			s.room.opts.Logger.Error("notify: a state can't be saved", "key", key, "error", err)
			continue
		}
		if err := add(key, state); err != nil {
			return err
		}
	}
	at := Position{}
	for _, st := range h.steps {
		at = st.at
		if st.next == nil {
			continue
		}
		state, err := st.next.state()
		if err != nil {
			s.room.opts.Logger.Error("notify: a case can't be saved", "incident", st.id, "error", err)
			continue
		}
		if size+len(state) > maxBatch { // the cursor goes with the cases of what it passes
			entries = append(entries, cursorEntry(at))
		}
		if err := add(casePrefix+string(st.id), state); err != nil {
			return err
		}
	}
	if at != (Position{}) {
		entries = append(entries, cursorEntry(at))
	}
	if len(entries) == 0 {
		return nil
	}
	if err := s.room.opts.Ledger.Append(ctx, s.id, entries); err != nil {
		return err
	}
	if at != (Position{}) {
		s.mu.Lock()
		s.saved = at
		s.mu.Unlock()
	}
	return nil
}

func cursorEntry(at Position) Entry {
	body, _ := json.Marshal(cursorBody(at)) // numbers can't fail
	return Entry{Key: cursorKey, State: body}
}

// settled notes that a parcel of a step needs no more care: it was delivered, given up or saved.
func (s *shard) settled(st *step) {
	s.mu.Lock()
	st.open--
	s.mu.Unlock()
	poke(s.saving)
}

// messageID names what one channel is told of one step: the same whenever it is planned.
func messageID(in *muster.Incident, change *muster.IncidentChange, channel muster.ChannelID) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "muster message 1\x00%s\x00%s\x00%d\x00%s", in.ID, change.Kind, in.Seq, channel))
	return "message_" + hex.EncodeToString(sum[:16])
}
