package pebble

import (
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"muster"
	"muster/internal/store"
)

// Get reads an object; here every read is serial.
func (e *Engine) Get(ctx context.Context, key store.Key, _ bool) (store.Object, error) {
	if ctx.Err() != nil {
		return store.Object{}, fmt.Errorf("pebble: read: %w: %w", muster.ErrUnavailable, context.Cause(ctx))
	}
	return e.object(keyOf(objectKeys, key))
}

func (e *Engine) object(key []byte) (store.Object, error) {
	value, err := e.read(key)
	if err != nil || value == nil {
		return store.Object{}, err
	}
	object, expires, err := readObject(value)
	if err != nil || e.expired(expires) {
		return store.Object{}, err
	}
	return object, nil
}

// GetMany reads several objects.
func (e *Engine) GetMany(ctx context.Context, keys []store.Key) ([]store.Object, error) {
	objects := make([]store.Object, len(keys))
	for i, key := range keys {
		var err error
		if objects[i], err = e.Get(ctx, key, false); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// Swap stores next if the object's rev is the one before it.
func (e *Engine) Swap(ctx context.Context, key store.Key, next store.Object, ttl time.Duration) (bool, store.Object, error) {
	if err := e.mayWrite(ctx); err != nil {
		return false, store.Object{}, err
	}
	at := keyOf(objectKeys, key)
	unlock, err := e.lock(ctx, at)
	if err != nil {
		return false, store.Object{}, err
	}
	current, err := e.object(at)
	if err != nil || current.Rev != next.Rev-1 {
		unlock()
		return false, current, err
	}
	expires := e.expiry(ttl)
	err = e.commit(ctx, unlock, func(b *pebble.Batch) error { return set(b, at, appendObject(nil, next, expires), expires) })
	if err != nil {
		return false, store.Object{}, err
	}
	return true, next, nil
}

// set writes a pair and, when it expires, the note that says when.
func set(b *pebble.Batch, key, value []byte, expires int64) error {
	if expires != 0 {
		if err := b.Set(expiryKey(expires, key), nil, nil); err != nil {
			return err
		}
	}
	return b.Set(key, value, nil)
}

// Enlist writes a row of a listing unless a higher rev is there.
func (e *Engine) Enlist(ctx context.Context, key store.Key, rev uint64, ttl time.Duration) error {
	expires := e.expiry(ttl)
	return e.relist(ctx, key, func(b *pebble.Batch, at []byte, there uint64) error {
		if there > rev {
			return nil
		}
		return set(b, at, appendListing(nil, rev, expires), expires)
	})
}

// Delist removes a row of a listing unless a higher rev is there.
func (e *Engine) Delist(ctx context.Context, key store.Key, rev uint64) error {
	return e.relist(ctx, key, func(b *pebble.Batch, at []byte, there uint64) error {
		if there > rev {
			return nil
		}
		return b.Delete(at, nil)
	})
}

func (e *Engine) relist(ctx context.Context, key store.Key, change func(b *pebble.Batch, at []byte, there uint64) error) error {
	if err := e.mayWrite(ctx); err != nil {
		return err
	}
	at := keyOf(listingKeys, key)
	unlock, err := e.lock(ctx, at)
	if err != nil {
		return err
	}
	there := uint64(0)
	value, err := e.read(at)
	if err == nil && value != nil {
		there, _, err = readListing(value)
	}
	if err != nil {
		unlock()
		return err
	}
	return e.commit(ctx, unlock, func(b *pebble.Batch) error { return change(b, at, there) })
}

// List gives rows in the order of ids.
func (e *Engine) List(ctx context.Context, account muster.AccountID, kind, after string, limit int) ([]store.Listing, error) {
	prefix := listOf(listingKeys, account, kind)
	from := prefix
	if after != "" {
		from = append(append([]byte{}, prefix...), after...)
		from = append(from, 0) // the first id greater than after
	}
	var rows []store.Listing
	if limit <= 0 {
		return nil, nil
	}
	err := e.scan(ctx, pebble.IterOptions{LowerBound: from, UpperBound: afterPrefix(prefix)}, false, func(key, value []byte) (bool, error) {
		rev, expires, err := readListing(value)
		if err == nil && !e.expired(expires) {
			rows = append(rows, store.Listing{ID: string(key[len(prefix):]), Rev: rev})
		}
		return len(rows) < limit, err
	})
	return rows, err
}
