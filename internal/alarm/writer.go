package alarm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"muster"
	"muster/internal/incident"
)

// change is one step that waits to be written: a transition with the state after it, or what a person did.
type change struct {
	inst       *instance
	state      []byte
	transition *muster.Transition // nil: only the state is left to save
	who        incident.Subject
	taken      bool // by the writer: it is not to be touched any more

	// do is what a person does to an incident, or what another room does; inst is nil then.
	do   func(in *muster.Incident) (*muster.Incident, *muster.IncidentChange, error)
	id   muster.IncidentID // of that incident; empty: the one that is open on who, or nil
	old  *muster.Incident  // as history has it, where it is in memory no more
	done chan result
}

type result struct {
	incident *muster.Incident
	err      error
}

// maxWaiting is how many transitions of one instance wait for a ledger that takes nothing. One more takes the last one back:
// what stands in between is lost, how it stands now is not.
const maxWaiting = 16

// maxAsked is how many steps of people and other rooms wait in a shard.
const maxAsked = 1000

// ask puts what somebody does in line and waits until it is durable.
func (s *shard) ask(ctx context.Context, c *change) (*muster.Incident, error) {
	done := make(chan result, 1)
	c.done = done
	s.mu.Lock()
	if s.ended || s.asked >= maxAsked {
		s.mu.Unlock()
		return nil, fmt.Errorf("%w: this server does not write now", muster.ErrUnavailable)
	}
	s.asked++
	s.queue = append(s.queue, c)
	s.mu.Unlock()
	s.rouse()
	select {
	case r := <-done:
		return r.incident, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w before it was saved", muster.ErrUnavailable, ctx.Err())
	}
}

// enqueue puts a transition in line, with the state of its instance as it is now. Called with the lock held.
func (s *shard) enqueue(in *instance, t *muster.Transition) {
	c := in.newest
	switch {
	case s.ended:
		return
	case c != nil && !c.taken && c.transition == nil:
		in.waiting++
		c.transition, c.state, c.who = t, in.save(), in.sub.incident()
	case c != nil && !c.taken && in.waiting >= maxWaiting:
		in.waiting--
		c.transition, c.state = nil, in.save()
		s.w.tell.cancelled.Add(2)
	default:
		in.waiting++
		in.newest = &change{inst: in, state: in.save(), transition: t, who: in.sub.incident()}
		s.queue = append(s.queue, in.newest)
	}
	s.rouse()
}

// incident says whose an incident on the subject is.
func (sub *subject) incident() incident.Subject {
	who := incident.Subject{Account: sub.book.account, ID: sub.who.id, Name: sub.who.name()}
	if sub.who.check != nil {
		who.Check = sub.who.check.ID
	}
	return who
}

// rouse tells the writer that there is something to do.
func (s *shard) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// write is the shard's writer: it makes durable what was judged, in its order, and then tells of it, until ctx ends.
func (s *shard) write(ctx context.Context) {
	life, kill := linger(ctx, drain)
	defer kill()
	save := time.NewTicker(s.w.opts.SaveEvery)
	defer save.Stop()
	for ctx.Err() == nil {
		holds := false
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-save.C:
			holds = true
		}
		s.flush(life, holds)
	}
	s.flush(life, true)
	s.end(fmt.Errorf("alarm: write: %w: this server is stopping", muster.ErrUnavailable))
}

// drain is how long what is under way may take once Run is to end.
const drain = 2 * time.Second

// linger gives a context that ends some time after ctx: a write that is given up may take place all the same, and must
// then not be made again.
func linger(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	life, kill := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(after, kill)
		context.AfterFunc(life, func() { timer.Stop() })
	})
	return life, func() { stop(); kill() }
}

// flush writes all that waits, and the states of holds under way when it is time. What could not be written because ctx
// ended goes back in line: nothing that came after it may be written before.
func (s *shard) flush(ctx context.Context, holds bool) {
	steps := s.take(holds)
	most := len(steps)
	for len(steps) > 0 {
		b := s.batch(steps[:min(most, len(steps))])
		err := s.append(ctx, b.entries)
		switch {
		case err == nil:
			s.settleBatch(b)
		case errors.Is(err, muster.ErrUnavailable):
			s.putBack(steps)
			return
		case errors.Is(err, muster.ErrConflict):
			s.w.opts.Logger.Error("alarm: a shard has another owner now, who judges it", "shard", s.id, "error", err)
			s.putBack(steps)
			s.end(fmt.Errorf("alarm: write: %w: the shard has another owner", muster.ErrUnavailable))
			return
		case b.steps > 1:
			most = 1 // one of them can't be written: the others shall be
			continue
		default:
			s.w.opts.Logger.Error("alarm: a step can't be written and is left out", "shard", s.id, "key", b.entries[0].Key, "error", err)
			b.news = nil
			s.settleBatch(b)
			b.changes[0].answer(nil, err)
		}
		steps = steps[b.steps:]
	}
}

// putBack puts steps back in line. States that were only to be saved are newer when their turn comes again.
func (s *shard) putBack(steps []*change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kept []*change
	for _, c := range steps {
		if c.inst != nil && c.transition == nil && c.inst.newest != c {
			s.soil(c.inst)
			continue
		}
		c.taken = false
		kept = append(kept, c)
	}
	s.queue = append(kept, s.queue...)
}

// end takes nothing more, and tells those who wait.
func (s *shard) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.queue {
		c.answer(nil, err)
	}
	s.queue, s.ended = nil, true
}

// take gives what waits, in order: at last the states to be saved, which hold all that comes before them.
func (s *shard) take(holds bool) []*change {
	s.mu.Lock()
	defer s.mu.Unlock()
	steps := s.queue
	s.queue = nil
	if s.ended {
		s.dirty = nil
		return nil
	}
	for _, c := range steps {
		c.taken = true
	}
	if !holds {
		return steps
	}
	now := s.w.opts.Now()
	for _, in := range s.dirty {
		in.dirty = false
		c := &change{inst: in, taken: true}
		old := in.floor == 0 && now.Sub(in.state.Since()) > keepFor
		switch {
		case !in.state.Plain() || !old:
			c.state = in.save()
		case !in.kept:
			continue // the ledger knows nothing of it, and needs not
		}
		steps = append(steps, c)
	}
	s.dirty = nil
	return steps
}

// append makes entries durable. It tries again for as long as that may help: what was judged must not be lost.
func (s *shard) append(ctx context.Context, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := s.w.opts.Ledger.Append(ctx, s.id, entries)
		if err == nil || !errors.Is(err, muster.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
		s.w.tell.retries.Inc()
		s.w.opts.Logger.Warn("alarm: what was judged waits for the ledger", "shard", s.id, "entries", len(entries), "error", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// settleBatch tells of what is durable now.
func (s *shard) settleBatch(b *batch) {
	s.mu.Lock()
	for _, c := range b.changes {
		if c.inst == nil {
			s.asked--
			continue
		}
		c.inst.kept = c.state != nil
		if c.transition != nil {
			c.inst.waiting--
		}
		if c.inst.newest == c {
			c.inst.newest = nil
		}
	}
	s.mu.Unlock()
	s.w.tell.saved.Add(len(b.entries))
	for _, in := range b.news {
		s.w.incidents.Put(in)
		s.w.opts.Changed(in.Account, in)
	}
	for i, c := range b.changes {
		c.answer(b.results[i].incident, b.results[i].err)
	}
}

// answer tells who waits for a step what became of it.
func (c *change) answer(in *muster.Incident, err error) {
	if c.done != nil {
		c.done <- result{in, err} // it has room for one, and gets one
		c.done = nil
	}
}
