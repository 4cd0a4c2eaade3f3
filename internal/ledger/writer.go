package ledger

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"muster"
)

// wake makes sure that the writer lives; the caller holds mu.
func (s *shard) wake() {
	if !s.writing {
		s.writing = true
		s.l.writer.Go(s.write)
	}
}

// tend wakes the writer when a day is to be turned or closed.
func (s *shard) tend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stands == held && !s.closing && (len(s.days) > 1 || s.due()) {
		s.tending = true
		s.wake()
	}
}

// write is the writer.
func (s *shard) write() {
	for s.pending() {
		if err := s.turn(); err != nil {
			if !errors.Is(err, muster.ErrConflict) {
				s.pause(longestPause)
			}
			continue
		}
		if batch := s.gather(); len(batch) > 0 {
			s.commit(batch)
		}
		s.closeDays()
	}
}

// pending says whether there is something to write, and ends the writer's life when there is not.
func (s *shard) pending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.l.life.Err() != nil {
		s.refuse(fmt.Errorf("%w: nothing was written: the ledger is closed", muster.ErrUnavailable))
	}
	s.writing = s.stands == held && (len(s.queue) > 0 || s.tending && !s.closing)
	return s.writing
}

// refuse answers all that wait; the caller holds mu.
func (s *shard) refuse(err error) {
	for _, r := range s.queue {
		r.done <- answer{err: err}
	}
	s.queue, s.tending = nil, false
}

// gather takes from the queue what is written together.
func (s *shard) gather() (batch []*request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum, n := 0, 0
	for n < len(s.queue) && sum+s.queue[n].size <= MaxAppend {
		sum += s.queue[n].size
		n++
	}
	batch = slices.Clone(s.queue[:n])
	s.queue = slices.Delete(s.queue, 0, n)
	return batch
}

// commit writes the requests and answers them.
func (s *shard) commit(batch []*request) {
	var rows []Stored
	for _, r := range batch {
		rows = append(rows, r.rows...)
	}
	first, err := s.save(rows)
	for _, r := range batch {
		if err != nil {
			r.done <- answer{err: err}
			continue
		}
		first.Seq += uint64(len(r.rows))
		r.done <- answer{at: Position{Day: first.Day, Seq: first.Seq - 1}}
	}
	if err == nil {
		s.l.tell.appends.Add(len(batch))
	}
}

// save makes rows durable under the next seqs, renews the states and tells who follows. It gives the place of the first row.
func (s *shard) save(rows []Stored) (Position, error) {
	s.mu.Lock()
	at := s.last()
	epoch := s.epoch
	s.mu.Unlock()
	at.Seq++
	for i := range rows {
		rows[i].Seq = at.Seq + uint64(i)
	}
	begun := time.Now()
	if err := s.persist(Partition{s.id, s.l.opts.Domain, at.Day}, epoch, rows); err != nil {
		return at, err
	}
	s.l.tell.seconds.Update(time.Since(begun).Seconds())
	s.l.tell.batches.Inc()
	s.l.tell.rows.Add(len(rows))
	told := make([]Row, len(rows))
	s.mu.Lock()
	d := &s.days[len(s.days)-1]
	for i := range rows {
		s.l.tell.bytes.Add(size(&rows[i]))
		told[i], _ = row(at.Day, &rows[i]) // made by newRow: it is sound
		s.apply(d, &told[i])
	}
	s.mu.Unlock()
	s.l.opts.Appended(s.id, told)
	return at, nil
}

// apply takes a durable row into the states and its day; the caller holds mu.
func (s *shard) apply(d *day, r *Row) {
	d.note(r)
	if r.State == nil {
		delete(s.states, r.Key)
		return
	}
	s.states[r.Key] = state{bytes: r.State, at: r.At.UnixMilli(), day: r.Day}
}

// note takes a durable row into its day.
func (d *day) note(r *Row) {
	d.last = r.Seq
	if r.Transition != nil {
		d.news = r.Seq
	}
}

// persist appends the same rows under the same seqs until their fate is known. As long as it is not, no
// other rows may have these seqs: even a refusal says nothing of an earlier try.
func (s *shard) persist(key Partition, epoch uint64, rows []Stored) error {
	doubt := false
	for wait := firstPause; ; wait = min(2*wait, longestPause) {
		err := s.l.store.AppendShard(s.l.life, key, epoch, rows)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, muster.ErrConflict):
			return s.lose(err)
		case !doubt && (errors.Is(err, muster.ErrInvalid) || errors.Is(err, muster.ErrLimited)):
			return err
		}
		if !doubt {
			s.l.opts.Logger.Warn("ledger: rows wait for the store", "shard", s.id, "rows", len(rows), "error", err)
		}
		doubt = true
		s.l.tell.retries.Inc()
		if !s.pause(wait) {
			return fmt.Errorf("%w: the ledger was closed before the outcome was known: %w", muster.ErrUnavailable, err)
		}
	}
}

const firstPause, longestPause = 50 * time.Millisecond, 2 * time.Second

// pause waits; false when the ledger's life ended.
func (s *shard) pause(wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-s.l.life.Done():
		return false
	case <-timer.C:
		return true
	}
}

// lose gives the shard up to its new owner.
func (s *shard) lose(cause error) error {
	err := fmt.Errorf("%w: shard %d has another owner: %w", muster.ErrConflict, s.id, cause)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stands, s.states, s.days = lost, nil, nil
	s.refuse(err)
	s.l.tell.lost.Inc()
	s.l.opts.Logger.Error("ledger: a shard is lost", "shard", s.id, "error", cause)
	return err
}
