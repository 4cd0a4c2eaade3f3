package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"muster"
)

// MaxShardBatch is how many bytes of rows one AppendShard takes.
const MaxShardBatch = 256 << 10

// MaxShards is the largest number of shards a store may have.
const MaxShards = 4096

// layoutBody is the body of the object that says how the store is laid out.
type layoutBody struct {
	Shards int `json:"shards"`
}

// Shards gives the number of shards, which is fixed for good by the first call: to want, or to 64 when want is 0.
func (s *Store) Shards(ctx context.Context, want int) (int, error) {
	if want == 0 {
		want = 64
	}
	if want < 1 || want > MaxShards {
		return 0, fmt.Errorf("store: fix shards: %w: 1 to %d shards are possible", muster.ErrInvalid, MaxShards)
	}
	key := Key{Kind: "layout", ID: "shards"}
	object, err := s.get(ctx, key, true)
	if err == nil && object.Rev == 0 {
		var body []byte
		if body, err = json.Marshal(layoutBody{Shards: want}); err == nil {
			object, _, err = s.put(ctx, key, object, after(object, body, false), 0)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("store: fix shards: %w", err)
	}
	body, err := parse[layoutBody](key, object.Body)
	if err == nil && (body.Shards < 1 || body.Shards > MaxShards) {
		err = fmt.Errorf("%w: the layout says %d shards", muster.ErrInvalid, body.Shards)
	}
	if err != nil {
		return 0, fmt.Errorf("store: fix shards: %w", err)
	}
	return body.Shards, nil
}

// TakeShard makes holder, an id drawn at each start of a process, the only one that may append to the
// partition. With epoch 0 the epoch is raised by one; that is how an owner takes the shard itself (Day 0)
// and so learns its epoch. With another epoch the partition, a day's, is raised to it; ErrConflict when it has that or a
// higher one of another holder: the caller's ownership is over. Taking again what one holds changes nothing.
func (s *Store) TakeShard(ctx context.Context, key ShardKey, holder string, epoch uint64) (ShardHead, error) {
	if err := checkShard(key); err != nil || holder == "" {
		return ShardHead{}, fmt.Errorf("store: take shard: %w: a shard, a domain and a holder are needed", muster.ErrInvalid)
	}
	head, err := s.head(ctx, key)
	for try := 0; err == nil && try < tries; try++ {
		if head.Holder == holder && head.Epoch >= max(epoch, 1) {
			return head, nil
		}
		to := head.Epoch + 1
		if epoch != 0 {
			to = epoch
		}
		if to <= head.Epoch {
			return head, fmt.Errorf("store: take shard: %w: shard %d has epoch %d of another owner", muster.ErrConflict, key.Shard, head.Epoch)
		}
		var done bool
		done, current, raised := s.engine.Raise(ctx, key, head.Epoch, to, holder)
		if raised == nil && done {
			return current, nil
		}
		if raised == nil {
			head = current
			continue
		}
		if !errors.Is(raised, muster.ErrUnavailable) || !pause(ctx, try) {
			return ShardHead{}, fmt.Errorf("store: take shard: %w", raised)
		}
		head, err = s.head(ctx, key)
	}
	if err == nil {
		err = fmt.Errorf("%w: others take shard %d all the time", muster.ErrConflict, key.Shard)
	}
	return ShardHead{}, fmt.Errorf("store: take shard: %w", err)
}

func (s *Store) head(ctx context.Context, key ShardKey) (head ShardHead, err error) {
	err = persist(ctx, func() error {
		head, err = s.engine.Head(ctx, key)
		return err
	})
	return head, err
}

// ShardHead reads who holds the partition, whether it is closed and its last seq; zero when it was never taken.
func (s *Store) ShardHead(ctx context.Context, key ShardKey) (ShardHead, error) {
	head, err := s.head(ctx, key)
	if err != nil {
		return ShardHead{}, fmt.Errorf("store: read shard: %w", err)
	}
	return head, nil
}

// AppendShard stores rows under the epoch, all or none, at most MaxShardBatch bytes of them (ErrLimited).
// Their seqs rise and go on from the head's Last; the same call may be repeated after ErrUnavailable. ErrConflict when a
// newer owner took the shard or the day is closed.
func (s *Store) AppendShard(ctx context.Context, key ShardKey, epoch uint64, rows []ShardRow) error {
	if err := checkRows(key, epoch, rows); err != nil {
		return fmt.Errorf("store: append to shard: %w", err)
	}
	if len(rows) == 0 {
		return nil
	}
	err := persist(ctx, func() error {
		done, current, err := s.engine.Append(ctx, key, epoch, rows)
		return refused(key, epoch, done, current, err)
	})
	if err != nil {
		return fmt.Errorf("store: append to shard: %w", err)
	}
	return nil
}

// ScanShard reads up to limit rows of the partition with a seq of at least from, in order.
func (s *Store) ScanShard(ctx context.Context, key ShardKey, from uint64, limit int) ([]ShardRow, error) {
	rows, err := s.engine.Scan(ctx, key, from, limit)
	if err != nil {
		return nil, fmt.Errorf("store: scan shard: %w", err)
	}
	return rows, nil
}

// CloseDay closes the partition under the epoch: no row is taken any more, and its rows expire after
// Options.ClosedTTL. ErrConflict when a newer owner took the shard. Closing twice is closing once.
func (s *Store) CloseDay(ctx context.Context, key ShardKey, epoch uint64) error {
	if err := checkRows(key, epoch, nil); err != nil {
		return fmt.Errorf("store: close day: %w", err)
	}
	err := persist(ctx, func() error {
		done, current, err := s.engine.CloseDay(ctx, key, epoch, s.options.ClosedTTL)
		return refused(key, epoch, done, current, err)
	})
	if err != nil {
		return fmt.Errorf("store: close day: %w", err)
	}
	return nil
}

func refused(key ShardKey, epoch uint64, done bool, current ShardHead, err error) error {
	switch {
	case err != nil || done:
		return err
	case current.Epoch != epoch:
		return fmt.Errorf("%w: shard %d has epoch %d now, not %d: it has another owner", muster.ErrConflict, key.Shard, current.Epoch, epoch)
	}
	return fmt.Errorf("%w: day %d of shard %d is closed", muster.ErrConflict, key.Day, key.Shard)
}

func checkShard(key ShardKey) error {
	if key.Shard < 0 || key.Shard >= MaxShards || key.Day < 0 || key.Day > 1<<24 {
		return fmt.Errorf("%w: no such shard or day", muster.ErrInvalid)
	}
	return checkKey(Key{Kind: "shard", ID: key.Domain})
}

func checkRows(key ShardKey, epoch uint64, rows []ShardRow) error {
	if err := checkShard(key); err != nil {
		return err
	}
	if epoch == 0 || key.Day == 0 {
		return fmt.Errorf("%w: rows belong to a day and are written under an epoch", muster.ErrInvalid)
	}
	size, last := 0, uint64(0)
	for i := range rows {
		row := &rows[i]
		if row.Seq <= last || row.Key == "" || len(row.Key) > maxID {
			return fmt.Errorf("%w: rows have rising seqs over 0 and keys of 1 to %d bytes", muster.ErrInvalid, maxID)
		}
		last = row.Seq
		size += len(row.Key) + len(row.State) + len(row.Transition)
	}
	if size > MaxShardBatch {
		return fmt.Errorf("%w: %d bytes in one batch, at most %d are taken", muster.ErrLimited, size, MaxShardBatch)
	}
	return nil
}
