package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"muster/internal/series/engine"
)

// PutBlocks stores blocks and drops the generations that they hold.
func (e *Engine) PutBlocks(ctx context.Context, blocks []engine.Block) error {
	b := e.db.NewBatch()
	for i := range blocks {
		if err := b.Set(blockKey(&blocks[i].BlockKey), blocks[i].Data, nil); err != nil {
			return failed("write", err)
		}
		for _, gen := range blocks[i].Over {
			if gen == blocks[i].Gen {
				continue
			}
			old := blocks[i].BlockKey
			old.Gen = gen
			if err := b.Delete(blockKey(&old), nil); err != nil {
				return failed("write", err)
			}
		}
	}
	return e.commit(ctx, b)
}

// ScanBlocks goes through the days of the range, in each straight to the node.
func (e *Engine) ScanBlocks(ctx context.Context, r engine.BlockRange, each func(*engine.Block) error) error {
	if r.From >= r.To {
		return nil
	}
	low, high := blockDay(r.Class, dayOf(r.From)), blockDay(r.Class, dayOf(r.To-1)+1)
	it, err := e.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return failed("scan", err)
	}
	return errors.Join(scanDays(ctx, it, &r, each), closed(it))
}

func scanDays(ctx context.Context, it *pebble.Iterator, r *engine.BlockRange, each func(*engine.Block) error) error {
	head := len(blockDay(r.Class, 0)) + 32 // up to and with the node
	for day := dayOf(r.From); day <= dayOf(r.To-1); day++ {
		prefix := blockStart(r, day*dayMs)[:head]
		valid := it.SeekGE(blockStart(r, max(r.From, day*dayMs)))
		if !valid {
			return nil
		}
		for ; valid && bytes.HasPrefix(it.Key(), prefix); valid = it.Next() {
			f := fields{b: it.Key()[head:]}
			b := engine.Block{BlockKey: engine.BlockKey{Class: r.Class, Account: r.Account, Node: r.Node, Start: f.time(), Source: f.text()}}
			b.Gen = engine.Gen{Epoch: ^f.uint64(), Frames: ^f.uint32()}
			if err := f.done("block"); err != nil {
				return err
			}
			if b.Start >= r.To {
				break
			}
			if r.Source != "" && b.Source != r.Source {
				continue
			}
			value, err := it.ValueAndErr()
			if err != nil {
				return failed("scan", err)
			}
			b.Data = value
			if err := each(&b); err != nil {
				return err
			}
		}
		if err := context.Cause(ctx); err != nil {
			return failed("scan", err)
		}
		if valid { // over days that have nothing
			f := fields{b: it.Key()[head-40:]}
			day = max(day, f.time()-1)
		}
	}
	return nil
}

// PutTiles stores tiles; the generation stands before the tile's bytes, a later put of the same key replaces it.
func (e *Engine) PutTiles(ctx context.Context, tiles []engine.Tile) error {
	b := e.db.NewBatch()
	for i := range tiles {
		t := &tiles[i]
		value := binary.BigEndian.AppendUint64(make([]byte, 0, 12+len(t.Data)), t.Gen.Epoch)
		value = append(binary.BigEndian.AppendUint32(value, t.Gen.Frames), t.Data...)
		if err := b.Set(tileKey(&t.TileKey), value, nil); err != nil {
			return failed("write", err)
		}
	}
	return e.commit(ctx, b)
}

// ScanTiles goes through the buckets of the range.
func (e *Engine) ScanTiles(ctx context.Context, r engine.TileRange, each func(*engine.Tile) error) error {
	if r.From >= r.To {
		return nil
	}
	first, last := tileBucket(r.Res, r.From), tileBucket(r.Res, r.To-1)
	it, err := e.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: rollupBucket(r.Res, r.Class, first), UpperBound: rollupBucket(r.Res, r.Class, last+1)})
	if err != nil {
		return failed("scan", err)
	}
	for bucket := first; bucket <= last && err == nil; bucket = nextBucket(r.Res, bucket) {
		err = scanBucket(ctx, it, &r, tilePrefix(&r, bucket), each)
	}
	return errors.Join(err, closed(it))
}

func scanBucket(ctx context.Context, it *pebble.Iterator, r *engine.TileRange, prefix []byte, each func(*engine.Tile) error) error {
	valid := it.SeekGE(prefix)
	for valid && bytes.HasPrefix(it.Key(), prefix) {
		k := fields{b: it.Key()[len(prefix):]}
		number := k.uint32()
		start := k.time()
		switch {
		case start < r.From:
			valid = it.SeekGE(appendTime(binary.BigEndian.AppendUint32(bytes.Clone(prefix), number), r.From))
			continue
		case start >= r.To:
			valid = it.SeekGE(binary.BigEndian.AppendUint32(bytes.Clone(prefix), number+1))
			continue
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return failed("scan", err)
		}
		v := fields{b: value}
		t := engine.Tile{TileKey: engine.TileKey{Class: r.Class, Res: r.Res, Account: r.Account, Metric: r.Metric, Shard: r.Shard, Start: start, Tile: int(number)}}
		t.Gen = engine.Gen{Epoch: v.uint64(), Frames: v.uint32()}
		t.Data = v.b
		if err := errors.Join(k.done("tile"), badTile(&v)); err != nil {
			return err
		}
		if err := each(&t); err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return failed("scan", err)
		}
		valid = it.Next()
	}
	return nil
}

func badTile(v *fields) error {
	rest := *v
	rest.b = nil
	return rest.done("tile")
}

// Expire drops whole ranges: the log before a minute, days of blocks and 5-minute tiles, months of 1-hour tiles.
func (e *Engine) Expire(ctx context.Context, x engine.Expiry) error {
	b := e.db.NewBatch()
	drop := func(low, high []byte) error {
		if bytes.Compare(low, high) >= 0 || !e.any(low, high) {
			return nil // a deletion of nothing would still have to be kept and read over
		}
		return b.DeleteRange(low, high, nil)
	}
	var errs []error
	if x.Segments > 0 {
		errs = append(errs, drop([]byte{kindSegment}, segmentPrefix(x.Segments, 0)))
	}
	for class, ends := range x.Classes {
		errs = append(errs,
			drop(appendText([]byte{kindBlock}, class), blockDay(class, dayOf(ends.Blocks))),
			drop(appendText([]byte{kindRollup, byte(engine.FiveMinutes)}, class), rollupBucket(engine.FiveMinutes, class, dayOf(ends.FiveMinutes))),
			drop(appendText([]byte{kindRollup, byte(engine.OneHour)}, class), rollupBucket(engine.OneHour, class, tileBucket(engine.OneHour, ends.OneHour))))
	}
	for shard := range e.shards {
		if x.Marks == 0 {
			break
		}
		errs = append(errs,
			drop(dirtyPrefix(shard, 0)[:3], dirtyPrefix(shard, engine.Minute(x.Marks)*60)),
			drop(builtKey(shard, engine.FiveMinutes, 0)[:4], builtKey(shard, engine.FiveMinutes, x.Marks)),
			drop(builtKey(shard, engine.OneHour, 0)[:4], builtKey(shard, engine.OneHour, x.Marks)))
	}
	if err := errors.Join(errs...); err != nil {
		_ = b.Close()
		return failed("expire", err)
	}
	if b.Empty() {
		return b.Close()
	}
	return e.commit(ctx, b)
}

// any says whether there is a key in a range.
func (e *Engine) any(low, high []byte) bool {
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return true
	}
	defer it.Close()
	return it.First()
}
