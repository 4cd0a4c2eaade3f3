package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"muster"
)

// How far a shard's open days are looked for when it is taken. Days are closed in their order, so a closed
// day ends the search; only days without any row or owner in between (nothing ran) make it long.
const (
	lookAhead = 2   // a clock that was set back
	lookBack  = 3   // at least
	lookMost  = 400 // at most
)

// take takes the open days of the shard and reads them, oldest first.
func (s *shard) take(ctx context.Context) error {
	s.taking.Lock()
	defer s.taking.Unlock()
	epoch, mine := s.l.opts.Owns(s.id)
	if !mine || epoch == 0 {
		return fmt.Errorf("%w: shard %d is not owned", muster.ErrUnavailable, s.id)
	}
	s.mu.Lock()
	stands, before := s.stands, s.epoch
	s.mu.Unlock()
	if stands == held || stands == lost && epoch <= before {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.mayUse()
	}
	numbers, err := s.find(ctx, epoch)
	if err != nil {
		return fmt.Errorf("shard %d: %w", s.id, err)
	}
	fresh := &shard{l: s.l, id: s.id, epoch: epoch, states: map[string]state{}}
	for _, n := range numbers { // all are taken before any is read: nobody else may append behind the reader
		d, err := fresh.takeDay(ctx, n)
		if err != nil {
			return fmt.Errorf("shard %d: %w", s.id, err)
		}
		fresh.days = append(fresh.days, d)
	}
	for i := range fresh.days {
		if err := fresh.readDay(ctx, &fresh.days[i]); err != nil {
			return fmt.Errorf("shard %d: %w", s.id, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stands, s.epoch, s.states, s.days, s.carried = held, epoch, fresh.states, fresh.days, false
	return nil
}

// find gives the numbers of the days to take, in order: those that are open, and the one to append to.
func (s *shard) find(ctx context.Context, epoch uint64) (numbers []int, err error) {
	today := dayOf(s.l.opts.Now())
	newest, closed := 0, false // that there is
	look := func(n int) error {
		head, err := s.l.store.ShardHead(ctx, s.partition(n))
		if err == nil && head.Epoch != 0 {
			newest, closed = max(newest, n), closed || head.Closed
			if !head.Closed {
				numbers = append(numbers, n)
			}
		}
		return err
	}
	for n := today + lookAhead; n > max(0, today-lookMost) && (n >= today-lookBack || !closed && epoch > 1); n-- {
		if err := look(n); err != nil {
			return nil, err
		}
	}
	slices.Reverse(numbers)
	if len(numbers) > 0 && numbers[len(numbers)-1] >= today {
		return numbers, nil
	}
	if newest < today {
		return s.findNew(ctx, epoch, numbers, newest, today)
	}
	open := len(numbers)
	for n := today + lookAhead + 1; n <= today+lookMost && len(numbers) == open; n++ {
		if err := look(n); err != nil {
			return nil, err
		}
	}
	if len(numbers) == open {
		numbers = append(numbers, newest+1)
	}
	s.l.opts.Logger.Error("ledger: today is closed: the clock was ahead once", "shard", s.id, "day", today, "appending_to", numbers[len(numbers)-1])
	return numbers, nil
}

// findNew adds the day before and today, which has no owner yet. The day before is taken too: an owner that
// is over but does not know may stand there still, and must not append where nobody reads. Under the first
// epoch it is closed at once: it says that there is nothing before it.
func (s *shard) findNew(ctx context.Context, epoch uint64, numbers []int, newest, today int) ([]int, error) {
	yesterday := today - 1
	if newest >= yesterday {
		return append(numbers, today), nil
	}
	if epoch > 1 {
		return append(numbers, yesterday, today), nil
	}
	_, err := s.l.store.TakeShard(ctx, s.partition(yesterday), s.l.opts.Holder, epoch)
	if err == nil {
		err = s.l.store.CloseDay(ctx, s.partition(yesterday), epoch)
	}
	return append(numbers, today), err
}

func (s *shard) partition(day int) Partition {
	return Partition{Shard: s.id, Domain: s.l.opts.Domain, Day: day}
}

// takeDay makes this process the only one that appends to the day.
func (s *shard) takeDay(ctx context.Context, n int) (day, error) {
	head, err := s.l.store.TakeShard(ctx, s.partition(n), s.l.opts.Holder, s.epoch)
	return day{n: n, last: head.Last}, err
}

// readDay reads the rows of a day that was taken into the states. s is not shared yet, or the caller is its writer.
func (s *shard) readDay(ctx context.Context, d *day) error {
	last := d.last
	for wait := firstPause; ; wait *= 2 {
		read := uint64(0)
		err := s.scan(ctx, d.n, 1, last, func(r *Row) bool {
			s.mu.Lock()
			if v, known := s.states[r.Key]; known && v.day != r.Day && v.at > r.At.UnixMilli() {
				d.note(r) // of an owner that was over already, see begin: it carried what had changed since
			} else {
				s.apply(d, r)
			}
			s.mu.Unlock()
			read = r.Seq
			return true
		})
		if err == nil && read == last {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("%w: day %d: rows up to %d were found, there are %d", muster.ErrUnavailable, d.n, read, last)
		}
		if !errors.Is(err, muster.ErrUnavailable) || wait > longestPause {
			return err
		}
		select { // a read may trail the writes by a moment
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", err, context.Cause(ctx))
		case <-time.After(wait):
		}
	}
}

// page is how many rows are read at a time: some of them are large.
const page = 200

// scan hands out the rows from one seq to another until see says false, or one can't be read yet.
func (s *shard) scan(ctx context.Context, n int, from, to uint64, see func(*Row) bool) error {
	for from <= to {
		rows, err := s.l.store.ScanShard(ctx, s.partition(n), from, int(min(to-from+1, page)))
		if err != nil {
			return err
		}
		for i := range rows {
			if rows[i].Seq != from || from > to {
				return nil // a hole: what is missing comes with another read
			}
			r, err := row(n, &rows[i])
			if err != nil {
				return err
			}
			from++
			if !see(&r) {
				return nil
			}
		}
		if len(rows) == 0 {
			return nil
		}
	}
	return nil
}

// due says whether a day is to be turned; the caller holds mu.
func (s *shard) due() bool {
	return !s.carried || dayOf(s.l.opts.Now()) > s.days[len(s.days)-1].n
}

// turn begins a new day when it is time, and carries into it what is kept: before anything else is
// appended to it. A crash on the way costs nothing: the old day stays open until all is carried, and the
// next owner finds what is not. It fails when the ledger's life ended or the shard is lost.
func (s *shard) turn() error {
	s.mu.Lock()
	if s.stands != held || !s.due() {
		defer s.mu.Unlock()
		return s.mayUse()
	}
	today, newest := dayOf(s.l.opts.Now()), s.days[len(s.days)-1].n
	s.mu.Unlock()
	if today <= newest {
		return s.carry(newest)
	}
	if err := s.begin(today); err != nil {
		return err
	}
	s.l.tell.turned.Inc()
	return s.carry(today)
}

// begin takes the new day. An owner that was wrong about the time, or did not know that it was over, may
// have written to it: that is read first.
func (s *shard) begin(n int) error {
	for wait := firstPause; ; wait = min(2*wait, longestPause) {
		d, err := s.takeDay(s.l.life, n)
		if err == nil {
			err = s.readDay(s.l.life, &d)
		}
		switch {
		case err == nil:
			s.mu.Lock()
			s.days, s.carried = append(s.days, d), false
			s.mu.Unlock()
			return nil
		case errors.Is(err, muster.ErrConflict):
			return s.lose(err)
		}
		s.l.opts.Logger.Warn("ledger: a new day waits for the store", "shard", s.id, "day", n, "error", err)
		s.l.tell.retries.Inc()
		if !s.pause(wait) {
			return fmt.Errorf("%w: the ledger was closed", muster.ErrUnavailable)
		}
	}
}

// carry appends the states that stand in earlier days only to today, as rows without transition,
// and forgets those that nobody keeps.
func (s *shard) carry(today int) error {
	now := s.l.opts.Now()
	var rows []Stored
	sum := 0
	flush := func() error {
		if len(rows) == 0 {
			return nil
		}
		_, err := s.save(rows)
		rows, sum = nil, 0
		return err
	}
	for _, v := range s.list("") {
		if v.day >= today {
			continue
		}
		if !s.l.opts.Keep(v.key, v.bytes, now.Sub(time.UnixMilli(v.at))) {
			s.mu.Lock()
			delete(s.states, v.key)
			s.mu.Unlock()
			continue
		}
		r := newRow(v.key, v.at, v.bytes, nil)
		if sum+size(&r) > MaxAppend {
			if err := flush(); err != nil {
				return err
			}
		}
		rows, sum = append(rows, r), sum+size(&r)
	}
	if err := flush(); err != nil {
		return err
	}
	s.mu.Lock()
	s.carried = true
	s.mu.Unlock()
	return nil
}

// closeDays closes earlier days, oldest first, up to the first with news that was not followed yet.
func (s *shard) closeDays() {
	s.mu.Lock()
	due := s.tending && s.stands == held
	s.tending = false
	s.mu.Unlock()
	for due {
		s.mu.Lock()
		if s.stands != held || len(s.days) < 2 {
			s.mu.Unlock()
			return
		}
		d, epoch := s.days[0], s.epoch
		s.mu.Unlock()
		if s.l.opts.Done != nil && d.news > 0 && s.l.opts.Done(s.id).Before(Position{Day: d.n, Seq: d.news}) {
			return
		}
		if err := s.l.store.CloseDay(s.l.life, s.partition(d.n), epoch); err != nil {
			if errors.Is(err, muster.ErrConflict) {
				_ = s.lose(err) // it is told to those who append
				return
			}
			s.l.opts.Logger.Warn("ledger: a day can't be closed yet", "shard", s.id, "day", d.n, "error", err)
			return
		}
		s.l.tell.closed.Inc()
		s.mu.Lock()
		s.days = s.days[1:]
		s.mu.Unlock()
	}
}
