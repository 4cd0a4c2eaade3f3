package pebble

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"muster"
	"muster/internal/store"
)

// Head reads the head of a partition.
func (e *Engine) Head(ctx context.Context, key store.ShardKey) (store.ShardHead, error) {
	if ctx.Err() != nil {
		return store.ShardHead{}, fmt.Errorf("pebble: read: %w: %w", muster.ErrUnavailable, context.Cause(ctx))
	}
	head, _, err := e.head(shardKey(headKeys, key))
	return head, err
}

func (e *Engine) head(at []byte) (store.ShardHead, int64, error) {
	value, err := e.read(at)
	if err != nil || value == nil {
		return store.ShardHead{}, 0, err
	}
	head, expires, err := readHead(value)
	if err != nil || e.expired(expires) {
		return store.ShardHead{}, 0, err
	}
	return head, expires, nil
}

// Raise sets epoch and holder if the epoch is from.
func (e *Engine) Raise(ctx context.Context, key store.ShardKey, from, to uint64, holder string) (bool, store.ShardHead, error) {
	return e.underHead(ctx, key, func(b *pebble.Batch, head *store.ShardHead, _ *int64) (bool, error) {
		if head.Epoch != from {
			return false, nil
		}
		head.Epoch, head.Holder = to, holder
		return true, nil
	})
}

// Append stores rows if the epoch is epoch and the day is open.
func (e *Engine) Append(ctx context.Context, key store.ShardKey, epoch uint64, rows []store.ShardRow) (bool, store.ShardHead, error) {
	return e.underHead(ctx, key, func(b *pebble.Batch, head *store.ShardHead, _ *int64) (bool, error) {
		if head.Epoch != epoch || head.Closed {
			return false, nil
		}
		for _, row := range rows {
			if err := b.Set(rowKey(key, row.Seq), appendRow(nil, row), nil); err != nil {
				return false, err
			}
			head.Last = max(head.Last, row.Seq)
		}
		return true, nil
	})
}

// CloseDay closes a partition if the epoch is epoch; head and rows expire together.
func (e *Engine) CloseDay(ctx context.Context, key store.ShardKey, epoch uint64, ttl time.Duration) (bool, store.ShardHead, error) {
	return e.underHead(ctx, key, func(_ *pebble.Batch, head *store.ShardHead, expires *int64) (bool, error) {
		if head.Epoch != epoch {
			return false, nil
		}
		if !head.Closed {
			head.Closed, *expires = true, e.expiry(ttl)
		}
		return true, nil
	})
}

// underHead changes a partition with its head locked: change says whether it may, alters the head and adds to the batch.
func (e *Engine) underHead(ctx context.Context, key store.ShardKey, change func(*pebble.Batch, *store.ShardHead, *int64) (bool, error)) (bool, store.ShardHead, error) {
	if err := e.mayWrite(ctx); err != nil {
		return false, store.ShardHead{}, err
	}
	at := shardKey(headKeys, key)
	unlock, err := e.lock(ctx, at)
	if err != nil {
		return false, store.ShardHead{}, err
	}
	before, expires, err := e.head(at)
	if err != nil {
		unlock()
		return false, store.ShardHead{}, err
	}
	head, done := before, false
	err = e.commit(ctx, unlock, func(b *pebble.Batch) error {
		var err error
		if done, err = change(b, &head, &expires); err != nil || !done {
			return err
		}
		return set(b, at, appendHead(nil, head, expires), expires)
	})
	switch {
	case err != nil:
		return false, store.ShardHead{}, err
	case !done:
		return false, before, nil
	}
	return true, head, nil
}

// Scan gives rows by rising seq.
func (e *Engine) Scan(ctx context.Context, key store.ShardKey, from uint64, limit int) ([]store.ShardRow, error) {
	head, err := e.Head(ctx, key)
	if err != nil || head.Epoch == 0 || limit <= 0 { // rows live as long as their head
		return nil, err
	}
	prefix := shardKey(rowKeys, key)
	var rows []store.ShardRow
	err = e.scan(ctx, pebble.IterOptions{LowerBound: rowKey(key, from), UpperBound: afterPrefix(prefix)}, false, func(at, value []byte) (bool, error) {
		row, err := readRow(value)
		if err != nil {
			return false, err
		}
		if len(at) != len(prefix)+8 {
			return false, fmt.Errorf("pebble: read: %w: a damaged row key", muster.ErrInvalid)
		}
		row.Seq = binary.BigEndian.Uint64(at[len(prefix):])
		rows = append(rows, row)
		return len(rows) < limit, nil
	})
	return rows, err
}
