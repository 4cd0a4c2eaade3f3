package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"muster"
	"muster/internal/incident"
)

// How messages are gathered, retried and given up.
const (
	gatherFor     = 2 * time.Second  // further messages of a channel that groups wait for each other so long
	sendTime      = 30 * time.Second // one attempt may take so long
	parkAfter     = time.Second      // a message that is still on its way is saved, so that the cursor can pass it
	giveUpAfter   = 24 * time.Hour
	fallbackAfter = 10 * time.Minute
	maxGroup      = 200 // incidents in one message
	perChannel    = 8   // messages of one channel that are on their way at one time
	strikes       = 3   // failures in a row after which a channel is tried with one message only
	maxPause      = 10 * time.Minute
)

// pauses are the times between the first attempts; after them it is maxPause.
var pauses = [...]time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute}

// parcel is one step of one incident for one channel.
type parcel struct {
	id       string
	kind     string // TypeOpened ...
	account  muster.AccountID
	channel  muster.ChannelID
	incident *muster.Incident
	change   *muster.IncidentChange
	born     time.Time // when it was planned
	attempt  int       // made so far
	next     time.Time // not before
	fellBack bool

	shard  *shard
	step   *step // nil once it is saved by itself
	parked bool  // it stands in the log by itself
	flying bool
}

// parcelBody is how a parcel is kept in the shard's log.
type parcelBody struct {
	Kind     string           `json:"type"`
	Account  muster.AccountID `json:"account"`
	Channel  muster.ChannelID `json:"channel"`
	Incident json.RawMessage  `json:"incident"`
	Change   json.RawMessage  `json:"change"`
	ID       string           `json:"id"`
	Born     time.Time        `json:"planned_at"`
	Attempt  int              `json:"attempts,omitempty"`
	Next     time.Time        `json:"next_at,omitzero"`
	FellBack bool             `json:"fell_back,omitempty"`
}

func newParcel(kind string, in *muster.Incident, change *muster.IncidentChange, channel muster.ChannelID, now time.Time) *parcel {
	return &parcel{id: messageID(in, change, channel), kind: kind, account: in.Account, channel: channel, incident: in, change: change, born: now}
}

func readParcel(state []byte) (*parcel, error) {
	var b parcelBody
	if err := json.Unmarshal(state, &b); err != nil {
		return nil, fmt.Errorf("%w: %w", muster.ErrInvalid, err)
	}
	in, err := incident.Decode(b.Incident)
	if err != nil {
		return nil, err
	}
	change, err := incident.DecodeChange(b.Change)
	if err != nil {
		return nil, err
	}
	return &parcel{
		id: b.ID, kind: b.Kind, account: b.Account, channel: b.Channel, incident: in, change: change,
		born: b.Born, attempt: b.Attempt, next: b.Next, fellBack: b.FellBack,
	}, nil
}

func (p *parcel) body() ([]byte, error) {
	return json.Marshal(parcelBody{
		Kind: p.kind, Account: p.account, Channel: p.channel, Incident: incident.Encode(p.incident), Change: incident.EncodeChange(p.change),
		ID: p.id, Born: p.born, Attempt: p.attempt, Next: p.next, FellBack: p.fellBack,
	})
}

// lanes are the ways to the channels.
type lanes struct {
	room  *Room
	slots chan struct{}
	life  context.Context
	over  atomic.Bool
	group sync.WaitGroup

	mu  sync.Mutex
	all map[laneKey]*lane
}

type laneKey struct {
	account muster.AccountID
	channel muster.ChannelID
}

// lane is the way to one channel: what waits for it, in order.
type lane struct {
	all *lanes
	key laneKey

	mu      sync.Mutex
	waiting []*parcel // oldest first; those on their way too
	flying  int
	began   time.Time // when the last send began
	gate    time.Time // nothing is sent before
	fails   int       // in a row
	trouble bool
	timer   *time.Timer
}

func newLanes(r *Room) *lanes {
	return &lanes{room: r, slots: make(chan struct{}, r.opts.Sends), all: map[laneKey]*lane{}}
}

func (l *lanes) lane(key laneKey) *lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.all[key]
	if w == nil {
		w = &lane{all: l, key: key}
		l.all[key] = w
	}
	return w
}

func (l *lanes) add(p *parcel) {
	w := l.lane(laneKey{p.account, p.channel})
	w.mu.Lock()
	if at := slices.IndexFunc(w.waiting, func(other *parcel) bool { return other.id == p.id }); at >= 0 {
		other, st := w.waiting[at], p.step // it was saved by itself before a crash, and is planned once more
		p.step = nil
		w.mu.Unlock()
		if st != nil && other != p {
			p.shard.settled(st)
		}
		return
	}
	w.put(p)
	w.mu.Unlock()
	if p.step != nil {
		time.AfterFunc(parkAfter, func() { w.parkSlow(p) })
	}
	w.pump()
}

// put stands a parcel in line: behind all others, but before later steps of its incident. Those may be there already after
// a crash, saved by themselves while it was not. It is called with mu held.
func (w *lane) put(p *parcel) {
	at := slices.IndexFunc(w.waiting, func(other *parcel) bool {
		return other.incident.ID == p.incident.ID && other.incident.Seq > p.incident.Seq
	})
	if at < 0 {
		at = len(w.waiting)
	}
	w.waiting = slices.Insert(w.waiting, at, p)
}

// begin lets the lanes send what waits.
func (l *lanes) begin(life context.Context) {
	l.mu.Lock()
	l.life = life
	all := make([]*lane, 0, len(l.all))
	for _, w := range l.all {
		all = append(all, w)
	}
	l.mu.Unlock()
	for _, w := range all {
		w.pump()
	}
}

func (l *lanes) wake(account muster.AccountID, channel muster.ChannelID) {
	w := l.lane(laneKey{account, channel})
	w.mu.Lock()
	w.gate, w.fails = time.Time{}, 0
	for _, p := range w.waiting {
		p.next = time.Time{}
	}
	w.mu.Unlock()
	w.pump()
}

// drain starts nothing new and waits for what is on its way.
func (l *lanes) drain(limit time.Duration) {
	l.over.Store(true)
	done := make(chan struct{})
	go func() { l.group.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(limit):
	}
}

func (l *lanes) waiting() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.all {
		w.mu.Lock()
		n += len(w.waiting)
		w.mu.Unlock()
	}
	return n
}

func (l *lanes) running() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.life
}

// pump starts every send that is due, and sees to it that it is called again when the next is.
func (w *lane) pump() {
	life := w.all.running()
	if life == nil || w.all.over.Load() || life.Err() != nil {
		return
	}
	r := w.all.room
	_, sender, err := r.sender(w.key.account, w.key.channel)
	groups := err == nil && sender.Groups()
	for {
		w.mu.Lock()
		batch, again := w.due(r.opts.Now(), groups)
		if len(batch) == 0 {
			w.sleep(again)
			w.mu.Unlock()
			return
		}
		for _, p := range batch {
			p.flying = true
		}
		w.flying++
		w.began = r.opts.Now()
		w.mu.Unlock()
		w.all.group.Go(func() { w.send(life, batch) })
	}
}

// sleep has pump called again. It is called with mu held.
func (w *lane) sleep(d time.Duration) {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	if d > 0 {
		w.timer = time.AfterFunc(d, w.pump)
	}
}

// due gives what is to be sent now as one message, or after how long to look again (0: when something
// changes). Steps of one incident stay in their order. It is called with mu held.
func (w *lane) due(now time.Time, groups bool) (batch []*parcel, again time.Duration) {
	limit := perChannel
	if groups || w.fails >= strikes {
		limit = 1
	}
	if w.flying >= limit || len(w.waiting) == 0 {
		return nil, 0
	}
	if wait := w.gate.Sub(now); wait > 0 {
		return nil, wait
	}
	later := time.Duration(0)
	blocked := map[muster.IncidentID]bool{}
	for _, p := range w.waiting {
		id := p.incident.ID
		switch wait := p.next.Sub(now); {
		case p.flying || blocked[id]:
		case wait > 0:
			if later == 0 || wait < later {
				later = wait
			}
		case len(batch) > 0 && (!groups || p.kind != batch[0].kind || len(batch) == maxGroup):
		default:
			batch = append(batch, p)
			continue // a later step of the same incident is of another kind, or belongs in the same message
		}
		blocked[id] = true
	}
	if len(batch) == 0 {
		return nil, later
	}
	// The first message leaves at once. While others left a moment ago, further ones gather.
	if groups && !w.began.IsZero() && now.Sub(w.began) < gatherFor && len(batch) < maxGroup {
		oldest := batch[0].born
		if batch[0].attempt > 0 {
			oldest = batch[0].next
		}
		if wait := oldest.Add(gatherFor).Sub(now); wait > 0 {
			return nil, min(wait, gatherFor)
		}
	}
	return batch, 0
}

// send makes one attempt with one message.
func (w *lane) send(life context.Context, batch []*parcel) {
	l, r := w.all, w.all.room
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-life.Done():
		w.land(batch)
		return
	}
	ctx, cancel := context.WithTimeout(life, sendTime)
	defer cancel()
	channel, sender, err := r.sender(w.key.account, w.key.channel)
	switch {
	case err != nil:
		err = &Failure{Err: errors.New(wordsOf(err)), Permanent: true}
	default:
		err = r.attempt(ctx, sender, batch)
	}
	if err != nil && life.Err() != nil { // cut short by the end of this process: it was no attempt
		w.land(batch)
		return
	}
	w.outcome(ctx, channel, batch, err)
	w.pump()
}

// attempt sends; a panic of a driver is a failure of this message.
func (r *Room) attempt(ctx context.Context, sender Sender, batch []*parcel) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			r.opts.Logger.Error("notify: a driver failed", "channel", batch[0].channel, "fault", fault)
			err = &Failure{Err: errors.New("a fault of this server; its log says more"), Permanent: true}
		}
	}()
	return sender.Send(ctx, r.message(batch))
}

// land takes parcels off their way as if they had not been tried.
func (w *lane) land(batch []*parcel) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flying--
	for _, p := range batch {
		p.flying = false
	}
}

// outcome deals with what became of an attempt.
func (w *lane) outcome(ctx context.Context, channel *muster.Channel, batch []*parcel, err error) {
	r := w.all.room
	now := r.opts.Now()
	var f *Failure
	if !errors.As(err, &f) {
		f = &Failure{}
	}
	w.mu.Lock()
	w.flying--
	for _, p := range batch { // each is on its way until it is concluded: nobody may send it meanwhile
		p.attempt++
	}
	healed := err == nil && w.trouble
	switch {
	case err == nil:
		if w.fails > 0 { // the way is free again: what waited goes now
			for _, p := range w.waiting {
				p.next = time.Time{}
			}
		}
		w.fails, w.gate = 0, time.Time{}
		w.trouble = false
	case !f.Permanent && !f.Disable:
		w.fails++
	}
	if f.RetryAfter > 0 {
		w.gate = now.Add(min(f.RetryAfter, giveUpAfter))
	}
	w.mu.Unlock()
	if f.Disable {
		r.disable(ctx, w.key.account, w.key.channel, f.Err.Error())
	}
	for _, p := range batch {
		w.conclude(channel, p, err, f, now)
	}
	if healed {
		if err := r.opts.TroubleOver(context.WithoutCancel(ctx), w.key.account, troubleKey(w.key.channel), "a message was delivered"); err != nil {
			r.opts.Logger.Warn("notify: an incident of a channel stays open", "channel", w.key.channel, "error", err)
		}
	}
}

// conclude settles one parcel, or has it tried again.
func (w *lane) conclude(channel *muster.Channel, p *parcel, err error, f *Failure, now time.Time) {
	r := w.all.room
	d := muster.Delivery{
		Message: p.id, Incident: p.incident.ID, Type: p.kind, Channel: p.channel, At: now, Attempt: p.attempt, Status: muster.DeliverySent,
	}
	if channel != nil {
		d.Name = channel.Name
	}
	if err == nil {
		r.sent.Inc()
		r.seconds.Update(now.Sub(p.born).Seconds())
		r.log.add(p.account, d)
		w.finish(p)
		return
	}
	r.retried.Inc()
	d.Error = err.Error()
	if f.Permanent || f.Disable || now.Sub(p.born) >= giveUpAfter {
		d.Status = muster.DeliveryFailed
		r.failed.Inc()
		r.log.add(p.account, d)
		w.fallBack(channel, p, d.Error)
		w.finish(p)
		return
	}
	pause := maxPause
	if p.attempt <= len(pauses) {
		pause = pauses[p.attempt-1]
	}
	w.mu.Lock()
	p.next = now.Add(max(pause*3/4+rand.N(pause/2), f.RetryAfter))
	p.flying = false
	w.mu.Unlock()
	d.Status, d.Next = muster.DeliveryWaiting, p.next
	r.log.add(p.account, d)
	if now.Sub(p.born) >= fallbackAfter {
		w.fallBack(channel, p, d.Error)
	}
	r.park(p)
}

// finish takes a parcel out: it needs no more care.
func (w *lane) finish(p *parcel) {
	w.mu.Lock()
	w.waiting = slices.DeleteFunc(w.waiting, func(other *parcel) bool { return other == p })
	st := p.step
	p.step = nil
	parked := p.parked
	p.parked = false
	w.mu.Unlock()
	if parked {
		p.shard.note(parcelKey+p.id, func() ([]byte, error) { return nil, nil })
	}
	if st != nil {
		p.shard.settled(st)
	}
}

// parkSlow saves a parcel that is not settled a while after it was planned, so that the cursor is not held up.
func (w *lane) parkSlow(p *parcel) {
	w.mu.Lock()
	open := slices.Contains(w.waiting, p) && p.step != nil
	w.mu.Unlock()
	if open {
		w.all.room.park(p)
	}
}

// park has a parcel saved by itself, beside the cursor that may then pass its step.
func (r *Room) park(p *parcel) {
	w := r.lanes.lane(laneKey{p.account, p.channel})
	w.mu.Lock()
	st := p.step
	p.step = nil
	p.parked = true
	w.mu.Unlock()
	p.shard.note(parcelKey+p.id, func() ([]byte, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !p.parked { // settled since
			return nil, nil
		}
		return p.body()
	})
	if st != nil {
		p.shard.settled(st)
	}
}

// fallBack tells the fallback channel in the place of one that can't be, once, and says that this one is in trouble.
func (w *lane) fallBack(channel *muster.Channel, p *parcel, why string) {
	r := w.all.room
	w.mu.Lock()
	before := p.fellBack
	p.fellBack = true
	w.mu.Unlock()
	if before || channel == nil { // nobody can mend a channel that was deleted
		return
	}
	if channel.Fallback != "" && r.entry(p.account, channel.Fallback) != nil {
		other := newParcel(p.kind, p.incident, p.change, channel.Fallback, r.opts.Now())
		other.shard, other.parked = p.shard, true
		other.fellBack = true // one fallback is enough: two that name each other would never end
		r.planned.Inc()
		r.park(other)
		r.lanes.add(other)
		p.shard.alsoTold(p.incident.ID, channel.Fallback)
	}
	w.mu.Lock()
	first := !w.trouble
	w.trouble = true
	w.mu.Unlock()
	if first {
		err := r.opts.Trouble(context.Background(), p.account, troubleKey(p.channel), "channel "+channel.Name+" can't be reached", why)
		if err != nil {
			r.opts.Logger.Warn("notify: that a channel can't be reached could not be told", "channel", p.channel, "error", err)
		}
	}
}

func troubleKey(id muster.ChannelID) string { return "channel/" + string(id) }

// alsoTold notes that a channel was told of an incident in another's place.
func (s *shard) alsoTold(id muster.IncidentID, channel muster.ChannelID) {
	s.mu.Lock()
	c := s.cases[id]
	s.mu.Unlock()
	if c == nil || slices.Contains(c.Told, channel) {
		return
	}
	next := *c
	next.Told = append(slices.Clone(c.Told), channel)
	s.remember(id, &next)
}
