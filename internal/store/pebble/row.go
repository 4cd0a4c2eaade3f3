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

// PutEvents stores entries of a stream in one commit.
func (e *Engine) PutEvents(ctx context.Context, account muster.AccountID, stream string, rows []store.EventRow, ttl time.Duration) error {
	if err := e.mayWrite(ctx); err != nil {
		return err
	}
	expires := e.expiry(ttl)
	return e.commit(ctx, nil, func(b *pebble.Batch) error {
		for _, row := range rows {
			if err := set(b, eventKey(account, stream, row.At, row.ID), appendPlain(nil, row.Body, expires), expires); err != nil {
				return err
			}
		}
		return nil
	})
}

// ListEvents gives entries of a stream, newest first.
func (e *Engine) ListEvents(ctx context.Context, account muster.AccountID, stream string, before store.EventRow, limit int) ([]store.EventRow, error) {
	prefix := listOf(eventKeys, account, stream)
	var rows []store.EventRow
	if limit <= 0 {
		return nil, nil
	}
	bounds := pebble.IterOptions{LowerBound: prefix, UpperBound: eventKey(account, stream, before.At, before.ID)}
	err := e.scan(ctx, bounds, true, func(key, value []byte) (bool, error) {
		body, expires, err := readPlain(value)
		if err != nil || e.expired(expires) {
			return err == nil, err
		}
		rest := key[len(prefix):]
		if len(rest) < 8 {
			return false, fmt.Errorf("pebble: read: %w: a damaged event key", muster.ErrInvalid)
		}
		rows = append(rows, store.EventRow{At: unsortable(binary.BigEndian.Uint64(rest)), ID: string(rest[8:]), Body: body})
		return len(rows) < limit, nil
	})
	return rows, err
}

// PutEphemeral writes a row that expires.
func (e *Engine) PutEphemeral(ctx context.Context, key store.Key, body []byte, ttl time.Duration) error {
	if err := e.mayWrite(ctx); err != nil {
		return err
	}
	expires := e.expiry(ttl)
	return e.commit(ctx, nil, func(b *pebble.Batch) error {
		return set(b, keyOf(ephemeralKeys, key), appendPlain(nil, body, expires), expires)
	})
}

// Ephemeral reads a row that expires.
func (e *Engine) Ephemeral(ctx context.Context, key store.Key) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("pebble: read: %w: %w", muster.ErrUnavailable, context.Cause(ctx))
	}
	value, err := e.read(keyOf(ephemeralKeys, key))
	if err != nil {
		return nil, err
	}
	if value != nil {
		body, expires, err := readPlain(value)
		if err != nil {
			return nil, err
		}
		if !e.expired(expires) {
			return body, nil
		}
	}
	return nil, fmt.Errorf("pebble: read: %w: no such %s", muster.ErrNotFound, key.Kind)
}

// DeleteEphemeral removes a row that expires.
func (e *Engine) DeleteEphemeral(ctx context.Context, key store.Key) error {
	if err := e.mayWrite(ctx); err != nil {
		return err
	}
	return e.commit(ctx, nil, func(b *pebble.Batch) error { return b.Delete(keyOf(ephemeralKeys, key), nil) })
}
