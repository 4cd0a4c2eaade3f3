// Package pebble gives the store's engine for a single machine: documents in an embedded Pebble, every
// change on disk before it is acknowledged, changes that come together synced together. What its keys
// and values look like is in docs/format/store.md.
package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"muster"
	"muster/internal/disk"
	"muster/internal/store"
	"muster/internal/telemetry"
)

// Format is the version of the keys and values that this package writes.
const Format = 1

// Options are the engine's settings; the zero value is good.
type Options struct {
	Guard     *disk.Guard      // asked before each write; nil for none
	Cache     int64            // bytes of blocks kept in memory; disk's default when zero
	Now       func() time.Time // the clock by which rows expire; time.Now when nil
	Logger    *slog.Logger     // discarded when nil
	Telemetry *telemetry.Set   // may be nil
}

// Engine is the open database.
type Engine struct {
	db      *disk.DB
	options Options
	seed    maphash.Seed
	stripes [stripes]chan struct{} // each a lock that can be waited for with a context
	commits *telemetry.Histogram
}

// stripes is how many changes can be under way at the same time.
const stripes = 256

// Open opens the database in dir, making it when it is not there. Errors are those of disk.Open.
func Open(dir string, o Options) (*Engine, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	db, err := disk.Open(dir, disk.Options{Room: "store", Format: Format, Cache: o.Cache, MemTable: 1 << 20, Guard: o.Guard, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	e := &Engine{db: db, options: o, seed: maphash.MakeSeed(), commits: o.Telemetry.Histogram("muster_store_commit_seconds")}
	for i := range e.stripes {
		e.stripes[i] = make(chan struct{}, 1)
	}
	o.Telemetry.Gauge("muster_store_disk_bytes", func() float64 { return float64(db.Size()) })
	return e, nil
}

// Close closes the database and frees its directory.
func (e *Engine) Close() error { return e.db.Close() }

// lock waits until nobody else changes the key; unlock must be called once.
func (e *Engine) lock(ctx context.Context, key []byte) (unlock func(), err error) {
	stripe := e.stripes[maphash.Bytes(e.seed, key)%stripes]
	select {
	case stripe <- struct{}{}:
		return func() { <-stripe }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("pebble: lock: %w: %w", muster.ErrUnavailable, context.Cause(ctx))
	}
}

// mayWrite says whether the caller still waits, and whether there is room on the disk.
func (e *Engine) mayWrite(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("pebble: write: %w: %w", muster.ErrUnavailable, context.Cause(ctx))
	}
	if e.options.Guard == nil {
		return nil
	}
	return e.options.Guard.Check()
}

// commit writes what fill puts into a batch and calls after once the outcome stands. It owns after.
func (e *Engine) commit(ctx context.Context, after func(), fill func(*pebble.Batch) error) error {
	batch := e.db.NewBatch()
	if err := fill(batch); err != nil {
		if after != nil {
			after()
		}
		return errors.Join(fmt.Errorf("pebble: write: %w: %w", muster.ErrUnavailable, err), batch.Close())
	}
	if batch.Empty() {
		if after != nil {
			after()
		}
		return batch.Close()
	}
	begun := time.Now()
	err := e.db.Commit(ctx, batch, after)
	e.commits.Update(time.Since(begun).Seconds())
	return err
}

// read gives a copy of the value at key, nil when there is none.
func (e *Engine) read(key []byte) ([]byte, error) {
	done, err := e.db.Use()
	if err != nil {
		return nil, err
	}
	defer done()
	value, closer, err := e.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("pebble: read: %w: %w", muster.ErrUnavailable, err)
	}
	copied := bytes.Clone(value)
	if copied == nil {
		copied = []byte{}
	}
	return copied, closer.Close()
}

// expiry turns a time to live into the stored instant, 0 for never.
func (e *Engine) expiry(ttl time.Duration) int64 {
	if ttl <= 0 {
		return 0
	}
	return e.options.Now().Add(ttl).UnixMilli()
}

func (e *Engine) expired(at int64) bool { return at != 0 && at <= e.options.Now().UnixMilli() }

// scan calls each for the pairs from lower to before upper, backwards if so, until it says stop.
// The bytes are good only during the call.
func (e *Engine) scan(ctx context.Context, bounds pebble.IterOptions, backwards bool, each func(key, value []byte) (more bool, err error)) (err error) {
	done, err := e.db.Use()
	if err != nil {
		return err
	}
	defer done()
	it, err := e.db.NewIterWithContext(ctx, &bounds)
	if err != nil {
		return fmt.Errorf("pebble: scan: %w: %w", muster.ErrUnavailable, err)
	}
	defer func() {
		if closed := it.Close(); err == nil && closed != nil {
			err = fmt.Errorf("pebble: scan: %w: %w", muster.ErrUnavailable, closed)
		}
	}()
	first, next := it.First, it.Next
	if backwards {
		first, next = it.Last, it.Prev
	}
	for ok := first(); ok; ok = next() {
		if ctx.Err() != nil {
			return fmt.Errorf("pebble: scan: %w: %w", muster.ErrUnavailable, context.Cause(ctx))
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("pebble: scan: %w: %w", muster.ErrUnavailable, err)
		}
		if more, err := each(it.Key(), value); err != nil || !more {
			return err
		}
	}
	return nil
}

var _ store.Engine = (*Engine)(nil)
