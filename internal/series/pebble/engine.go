// Package pebble gives the time-series engine for a single machine: segments, blocks and tiles in an
// embedded Pebble, keys that begin with time so that old data goes by dropping whole ranges, and
// commits of all shards synced together. What keys and values look like is in docs/format/series.md.
package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable/block"

	"muster"
	"muster/internal/disk"
	"muster/internal/series/engine"
	"muster/internal/telemetry"
)

// Format is the version of the keys and values that this package writes.
const Format = 1

// Options are the engine's settings; the zero value is good for a server with few nodes.
type Options struct {
	Shards    int            // of a new store; 64 when zero. An existing store must have as many
	Guard     *disk.Guard    // tripped when a write meets a full disk; nil for none
	Cache     int64          // bytes of blocks kept in memory; disk's default when zero
	MemTable  uint64         // bytes of one memtable; disk's default when zero
	Gather    time.Duration  // how long commits wait for others to be synced together; at most 5 ms, which is the default
	Logger    *slog.Logger   // discarded when nil
	Telemetry *telemetry.Set // may be nil
}

// Engine is the open database.
type Engine struct {
	db     *disk.DB
	shards int
	syncs  *telemetry.Histogram
}

var _ engine.Engine = (*Engine)(nil)
var _ engine.Sizer = (*Engine)(nil)

// Open opens the database in dir, making it when it is not there. Errors are those of disk.Open; another
// number of shards than the store was made with wraps muster.ErrInvalid.
func Open(dir string, o Options) (*Engine, error) {
	if o.Gather == 0 {
		o.Gather = 5 * time.Millisecond
	}
	tune := func(p *pebble.Options) {
		p.WALMinSyncInterval = func() time.Duration { return min(o.Gather, 5*time.Millisecond) }
		for i := range p.Levels {
			// What is big is compressed already.
			p.Levels[i].Compression = func() *block.CompressionProfile { return block.NoCompression }
			p.Levels[i].BlockSize = 32 << 10
		}
	}
	db, err := disk.Open(dir, disk.Options{Room: "series", Format: Format, Cache: o.Cache, MemTable: o.MemTable, Guard: o.Guard, Tune: tune, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	e := &Engine{db: db, syncs: o.Telemetry.Histogram("muster_series_commit_seconds")}
	if err := e.checkShards(o.Shards); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	o.Telemetry.Gauge("muster_series_disk_bytes", func() float64 { return float64(e.Size()) })
	return e, nil
}

// checkShards remembers the number of shards when the store is made, and insists on it later.
func (e *Engine) checkShards(want int) error {
	key := []byte{kindMeta, 's'}
	value, err := e.get(key)
	if errors.Is(err, muster.ErrNotFound) {
		if want == 0 {
			want = 64
		}
		e.shards = want
		return e.put(context.Background(), key, binary.BigEndian.AppendUint16(nil, uint16(want)))
	}
	if err != nil {
		return err
	}
	f := fields{b: value}
	e.shards = f.uint16()
	if err := f.done("number of shards"); err != nil {
		return err
	}
	if want != 0 && want != e.shards {
		return fmt.Errorf("%w: pebble: open: the store was made with %d shards, not %d; the number is fixed", muster.ErrInvalid, e.shards, want)
	}
	return nil
}

// Shards gives the number of shards the store was made with.
func (e *Engine) Shards() int { return e.shards }

// Size gives the bytes on disk, the log included.
func (e *Engine) Size() int64 { return int64(e.db.Size()) }

// Close closes the database and frees its directory.
func (e *Engine) Close() error { return e.db.Close() }

// commit makes a batch durable.
func (e *Engine) commit(ctx context.Context, b *pebble.Batch) error {
	if ctx.Err() != nil {
		_ = b.Close()
		return fmt.Errorf("pebble: commit: %w: %w", muster.ErrUnavailable, context.Cause(ctx))
	}
	begun := time.Now()
	err := e.db.Commit(ctx, b, nil)
	e.syncs.Update(time.Since(begun).Seconds())
	return err
}

func (e *Engine) put(ctx context.Context, key, value []byte) error {
	b := e.db.NewBatch()
	if err := b.Set(key, value, nil); err != nil {
		return failed("write", err)
	}
	return e.commit(ctx, b)
}

func (e *Engine) get(key []byte) ([]byte, error) {
	value, closer, err := e.db.Get(key)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return nil, fmt.Errorf("%w: pebble: get", muster.ErrNotFound)
	case err != nil:
		return nil, failed("get", err)
	}
	defer closer.Close()
	return append([]byte(nil), value...), nil
}

// scan calls each for the keys from low to before high.
func (e *Engine) scan(ctx context.Context, low, high []byte, each func(key, value []byte) error) error {
	it, err := e.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return failed("scan", err)
	}
	err = walk(ctx, it, it.First(), each)
	return errors.Join(err, closed(it))
}

func walk(ctx context.Context, it *pebble.Iterator, valid bool, each func(key, value []byte) error) error {
	for ; valid; valid = it.Next() {
		if ctx.Err() != nil {
			return fmt.Errorf("pebble: scan: %w: %w", muster.ErrUnavailable, context.Cause(ctx))
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return failed("scan", err)
		}
		if err := each(it.Key(), value); err != nil {
			return err
		}
	}
	return nil
}

// closed closes an iterator; an error of reading appears here.
func closed(it *pebble.Iterator) error {
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return failed("scan", err)
	}
	return nil
}

func failed(what string, err error) error {
	return fmt.Errorf("pebble: %s: %w: %w", what, muster.ErrUnavailable, err)
}
