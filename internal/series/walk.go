package series

import (
	"context"
	"errors"
	"fmt"

	"muster"
	"muster/internal/column"
	"muster/internal/series/engine"
)

// tileRow is called for a row of a tile that begins at start. The row and its slots are valid only during the call.
type tileRow func(start int64, kind muster.MetricKind, row *column.TileRow) error

// walkTiles calls each for the rows of the tiles of a range, ascending by the tiles' starts, each node
// once per start: a higher generation of the part of a shard that holds the node hides lower ones.
// want may be nil. It gives the unit that the newest tile says the metric has.
func (db *DB) walkTiles(ctx context.Context, r engine.TileRange, fields column.Fields, want func(muster.NodeID) bool, each tileRow) (unit string, err error) {
	tiles, err := db.scanTiles(ctx, r)
	for len(tiles) > 0 && err == nil {
		n := 1
		for n < len(tiles) && tiles[n].Start == tiles[0].Start {
			n++
		}
		for i := range tiles[:n] {
			var u string
			if u, err = db.walkTile(&tiles[i], fields, engine.Unhidden(tiles[:i], tiles[i].Gen, want), each); err != nil {
				break
			}
			if u != "" {
				unit = u
			}
		}
		tiles = tiles[n:]
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: series: read tiles: %w", muster.ErrUnavailable, context.Cause(ctx))
		}
	}
	return unit, err
}

// scanTiles reads the tiles of a range, ordered by start, higher generations first.
func (db *DB) scanTiles(ctx context.Context, r engine.TileRange) (tiles []engine.Tile, err error) {
	var slab []byte
	err = db.engine.ScanTiles(ctx, r, func(t *engine.Tile) error {
		if cap(slab)-len(slab) < len(t.Data) {
			slab = make([]byte, 0, max(len(t.Data), 64<<10))
		}
		begin := len(slab)
		slab = append(slab, t.Data...)
		tiles = append(tiles, engine.Tile{TileKey: t.TileKey, Data: slab[begin:len(slab):len(slab)]})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("series: read tiles: %w", err)
	}
	engine.SortTiles(tiles)
	return tiles, nil
}

// walkTile reads one tile. A damaged one is told, counted and left out.
func (db *DB) walkTile(t *engine.Tile, fields column.Fields, want func(muster.NodeID) bool, each tileRow) (unit string, err error) {
	if len(t.Data) < 2 || t.Data[0] != tileVersion {
		err = fmt.Errorf("%w: a tile of an unknown version", muster.ErrInvalid)
	} else {
		kind := muster.MetricKind(t.Data[1])
		var head *column.Tile
		head, err = db.codec.WalkTile(t.Data[2:], fields, want, func(row *column.TileRow) error { return each(t.Start, kind, row) })
		if err == nil {
			return head.Unit, nil
		}
	}
	if !errors.Is(err, muster.ErrInvalid) {
		return "", err
	}
	db.tell.corrupt.Inc()
	db.o.Logger.Error("a tile can't be read and is left out", "metric", t.Metric, "shard", t.Shard, "start", t.Start, "error", err)
	return "", nil
}
