package pebble

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"muster"
	"muster/internal/series/engine"
)

// AppendSegment stores one segment of the log.
func (e *Engine) AppendSegment(ctx context.Context, key engine.SegmentKey, data []byte) error {
	return e.put(ctx, segmentKey(key), data)
}

// ScanSegments jumps from minute to minute, over minutes and shards that have nothing.
func (e *Engine) ScanSegments(ctx context.Context, shard int, from, through engine.Minute, each func(engine.SegmentKey, []byte) error) error {
	it, err := e.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: segmentPrefix(from, 0), UpperBound: segmentPrefix(through+1, 0)})
	if err != nil {
		return failed("scan", err)
	}
	return errors.Join(scanShard(ctx, it, shard, from, each), closed(it))
}

func scanShard(ctx context.Context, it *pebble.Iterator, shard int, minute engine.Minute, each func(engine.SegmentKey, []byte) error) error {
	for valid := it.SeekGE(segmentPrefix(minute, shard)); valid; {
		key, err := parseSegment(it.Key())
		if err != nil {
			return err
		}
		switch {
		case key.Shard < shard:
			valid = it.SeekGE(segmentPrefix(key.Minute, shard))
			continue
		case key.Shard > shard:
			valid = it.SeekGE(segmentPrefix(key.Minute+1, shard))
			continue
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return failed("scan", err)
		}
		if err := each(key, value); err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return failed("scan", err)
		}
		valid = it.Next()
	}
	return nil
}

func parseSegment(b []byte) (engine.SegmentKey, error) {
	f := fields{b: b}
	f.byte()
	key := engine.SegmentKey{Minute: engine.Minute(f.time()), Shard: f.uint16(), Gateway: f.uint64(), N: f.uint64()}
	return key, f.done("segment")
}

// PutSchema stores the canonical bytes of a schema.
func (e *Engine) PutSchema(ctx context.Context, id muster.SchemaID, canonical []byte) error {
	return e.put(ctx, schemaKey(id), canonical)
}

// GetSchema gives them back.
func (e *Engine) GetSchema(_ context.Context, id muster.SchemaID) ([]byte, error) {
	return e.get(schemaKey(id))
}

// PutNodeSchemas remembers which node had which schema when.
func (e *Engine) PutNodeSchemas(ctx context.Context, rows []engine.NodeSchema) error {
	b := e.db.NewBatch()
	for i := range rows {
		value := appendTime(appendTime(nil, rows[i].First), rows[i].Last)
		forgotten := byte(0)
		if rows[i].Forgotten {
			forgotten = 1
		}
		if err := b.Set(nodeKey(&rows[i]), append(value, forgotten), nil); err != nil {
			return failed("write", err)
		}
	}
	return e.commit(ctx, b)
}

// ScanNodeSchemas calls each for the rows of a shard.
func (e *Engine) ScanNodeSchemas(ctx context.Context, shard int, each func(engine.NodeSchema) error) error {
	prefix := nodePrefix(shard)
	return e.scan(ctx, prefix, after(prefix), func(key, value []byte) error {
		k, v := fields{b: key[len(prefix):]}, fields{b: value}
		row := engine.NodeSchema{Shard: shard, Account: muster.AccountID(k.bytes(16)), Node: muster.NodeID(k.bytes(16)), Source: k.text(), Schema: muster.SchemaID(k.bytes(16))}
		row.First, row.Last, row.Forgotten = v.time(), v.time(), v.byte() == 1
		if err := errors.Join(k.done("node"), v.done("node")); err != nil {
			return err
		}
		return each(row)
	})
}

// PutDirty marks hours as in need of a rebuild.
func (e *Engine) PutDirty(ctx context.Context, marks []engine.Dirty) error {
	b := e.db.NewBatch()
	for _, m := range marks {
		if err := b.Set(dirtyKey(m), nil, nil); err != nil {
			return failed("write", err)
		}
	}
	return e.commit(ctx, b)
}

// ScanDirty calls each for the marks of a shard from a minute of arrival on.
func (e *Engine) ScanDirty(ctx context.Context, shard int, from engine.Minute, each func(engine.Dirty) error) error {
	end := after(dirtyPrefix(shard, 0)[:3])
	return e.scan(ctx, dirtyPrefix(shard, from), end, func(key, _ []byte) error {
		f := fields{b: key[3:]}
		d := engine.Dirty{Shard: shard, Arrival: engine.Minute(f.time()), Hour: engine.Hour(f.time())}
		if err := f.done("mark"); err != nil {
			return err
		}
		return each(d)
	})
}

// PutBuilt says through which minute of the log tiles are complete.
func (e *Engine) PutBuilt(ctx context.Context, b engine.Built) error {
	return e.put(ctx, builtKey(b.Shard, b.Res, b.Hour), appendTime(nil, int64(b.Through)))
}

// ScanBuilt calls each for the built spans of a shard, ascending.
func (e *Engine) ScanBuilt(ctx context.Context, shard int, res engine.Resolution, from engine.Hour, each func(engine.Built) error) error {
	end := after(builtKey(shard, res, 0)[:4])
	return e.scan(ctx, builtKey(shard, res, from), end, func(key, value []byte) error {
		k, v := fields{b: key[4:]}, fields{b: value}
		b := engine.Built{Shard: shard, Res: res, Hour: engine.Hour(k.time()), Through: engine.Minute(v.time())}
		if err := errors.Join(k.done("built span"), v.done("built span")); err != nil {
			return err
		}
		return each(b)
	})
}

// PutCovered says through which minute a shard's log is in blocks.
func (e *Engine) PutCovered(ctx context.Context, c engine.Covered) error {
	return e.put(ctx, coveredKey(c.Shard), appendTime(binary.BigEndian.AppendUint64(nil, c.Epoch), int64(c.Minute)))
}

// GetCovered gives the mark back.
func (e *Engine) GetCovered(_ context.Context, shard int) (engine.Covered, error) {
	value, err := e.get(coveredKey(shard))
	if err != nil {
		return engine.Covered{}, err
	}
	f := fields{b: value}
	c := engine.Covered{Shard: shard, Epoch: f.uint64(), Minute: engine.Minute(f.time())}
	return c, f.done("covered mark")
}
