package ledger

import (
	"context"
	"fmt"
	"slices"

	"muster"
)

// Rows reads up to limit rows after the place, in order and over days, up to the newest that is known
// to be durable. No rows mean that there are none now. Days that were closed are skipped: they hold no
// news for who is where Options.Done says.
func (l *Ledger) Rows(ctx context.Context, shard int, after Position, limit int) ([]Row, error) {
	s, err := l.shard(shard)
	if err != nil {
		return nil, fmt.Errorf("ledger: read: %w", err)
	}
	s.mu.Lock()
	days := slices.Clone(s.days)
	err = s.mayUse()
	s.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("ledger: read: %w", err)
	}
	var out []Row
	for _, d := range days {
		from := uint64(1)
		if d.n == after.Day {
			from = after.Seq + 1
		}
		if d.n < after.Day || from > d.last {
			continue
		}
		to := min(d.last, from+uint64(max(limit-len(out), 0))-1)
		err := s.scan(ctx, d.n, from, to, func(r *Row) bool {
			out = append(out, *r)
			from++
			return true
		})
		if err != nil {
			return nil, fmt.Errorf("ledger: read: %w", err)
		}
		if from <= d.last {
			break // enough, or one can't be read yet: what comes after it must wait
		}
	}
	if len(out) == 0 && limit > 0 && slices.ContainsFunc(days, after.precedes) {
		return nil, fmt.Errorf("ledger: read: %w: rows after %d/%d of shard %d can't be read yet", muster.ErrUnavailable, after.Day, after.Seq, shard)
	}
	return out, nil
}

// precedes says whether the day has a row after the place.
func (p Position) precedes(d day) bool { return d.last > 0 && p.Before(Position{d.n, d.last}) }
