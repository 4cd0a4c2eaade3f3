package pebble

import (
	"encoding/binary"
	"fmt"
	"time"

	"muster"
	"muster/internal/series/engine"
)

// The first byte of a key says what it names. docs/format/series.md describes every byte.
const (
	kindSegment = 'S'
	kindSchema  = 'C'
	kindNode    = 'N'
	kindBlock   = 'B'
	kindRollup  = 'R'
	kindDirty   = 'D'
	kindBuilt   = 'U'
	kindCovered = 'V'
	kindMeta    = 'M'
)

const dayMs = 24 * 60 * 60 * 1000

func appendText(key []byte, text string) []byte {
	return append(append(key, byte(len(text))), text...)
}

// appendTime writes a signed number so that bytes sort as numbers do.
func appendTime(key []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(key, uint64(v)^1<<63)
}

func segmentPrefix(minute engine.Minute, shard int) []byte {
	key := appendTime([]byte{kindSegment}, int64(minute))
	return binary.BigEndian.AppendUint16(key, uint16(shard))
}

func segmentKey(k engine.SegmentKey) []byte {
	key := binary.BigEndian.AppendUint64(segmentPrefix(k.Minute, k.Shard), k.Gateway)
	return binary.BigEndian.AppendUint64(key, k.N)
}

func schemaKey(id muster.SchemaID) []byte { return append([]byte{kindSchema}, id[:]...) }

func nodePrefix(shard int) []byte {
	return binary.BigEndian.AppendUint16([]byte{kindNode}, uint16(shard))
}

func nodeKey(row *engine.NodeSchema) []byte {
	key := append(nodePrefix(row.Shard), row.Account[:]...)
	key = append(key, row.Node[:]...)
	key = appendText(key, row.Source)
	return append(key, row.Schema[:]...)
}

// blockDay begins the keys of all blocks of a class that start on a day (days since 1970, UTC).
func blockDay(class string, day int64) []byte {
	return appendTime(appendText([]byte{kindBlock}, class), day)
}

func blockStart(r *engine.BlockRange, start int64) []byte {
	key := append(blockDay(r.Class, dayOf(start)), r.Account[:]...)
	key = append(key, r.Node[:]...)
	return appendTime(key, start)
}

// blockKey sorts generations of one block from the newest to the oldest.
func blockKey(k *engine.BlockKey) []byte {
	r := engine.BlockRange{Class: k.Class, Account: k.Account, Node: k.Node}
	key := appendText(blockStart(&r, k.Start), k.Source)
	key = binary.BigEndian.AppendUint64(key, ^k.Gen.Epoch)
	return binary.BigEndian.AppendUint32(key, ^k.Gen.Frames)
}

func dayOf(ms int64) int64 {
	day := ms / dayMs
	if ms%dayMs < 0 {
		day--
	}
	return day
}

// tileBucket gives the day of which all tiles go together: for 5-minute tiles their own, for 1-hour
// tiles the first of their month.
func tileBucket(res engine.Resolution, start int64) int64 {
	if res == engine.OneHour {
		t := time.UnixMilli(start).UTC()
		return dayOf(time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC).UnixMilli())
	}
	return dayOf(start)
}

// nextBucket gives the bucket after one.
func nextBucket(res engine.Resolution, bucket int64) int64 {
	if res == engine.OneHour {
		return dayOf(time.UnixMilli(bucket*dayMs).UTC().AddDate(0, 1, 0).UnixMilli())
	}
	return bucket + 1
}

func rollupBucket(res engine.Resolution, class string, bucket int64) []byte {
	return appendTime(appendText([]byte{kindRollup, byte(res)}, class), bucket)
}

func tilePrefix(r *engine.TileRange, bucket int64) []byte {
	key := append(rollupBucket(r.Res, r.Class, bucket), r.Account[:]...)
	key = appendText(key, r.Metric)
	return binary.BigEndian.AppendUint16(key, uint16(r.Shard))
}

func tileKey(k *engine.TileKey) []byte {
	r := engine.TileRange{Class: k.Class, Res: k.Res, Account: k.Account, Metric: k.Metric, Shard: k.Shard}
	key := binary.BigEndian.AppendUint32(tilePrefix(&r, tileBucket(k.Res, k.Start)), uint32(k.Tile))
	return appendTime(key, k.Start)
}

func dirtyPrefix(shard int, from engine.Minute) []byte {
	key := binary.BigEndian.AppendUint16([]byte{kindDirty}, uint16(shard))
	return appendTime(key, int64(from))
}

func dirtyKey(d engine.Dirty) []byte {
	return appendTime(dirtyPrefix(d.Shard, d.Arrival), int64(d.Hour))
}

func builtKey(shard int, res engine.Resolution, hour engine.Hour) []byte {
	key := binary.BigEndian.AppendUint16([]byte{kindBuilt}, uint16(shard))
	return appendTime(append(key, byte(res)), int64(hour))
}

func coveredKey(shard int) []byte {
	return binary.BigEndian.AppendUint16([]byte{kindCovered}, uint16(shard))
}

// after gives the first key that does not begin with prefix.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// fields takes a key or value apart; after the first fault it is bad and gives zeros.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) bytes(n int) []byte {
	if n > len(f.b) {
		f.bad, f.b = true, nil
		return make([]byte, n)
	}
	b := f.b[:n]
	f.b = f.b[n:]
	return b
}

func (f *fields) byte() byte     { return f.bytes(1)[0] }
func (f *fields) uint16() int    { return int(binary.BigEndian.Uint16(f.bytes(2))) }
func (f *fields) uint32() uint32 { return binary.BigEndian.Uint32(f.bytes(4)) }
func (f *fields) uint64() uint64 { return binary.BigEndian.Uint64(f.bytes(8)) }
func (f *fields) time() int64    { return int64(f.uint64() ^ 1<<63) }
func (f *fields) text() string   { return string(f.bytes(int(f.byte()))) }

// done says whether everything was read and nothing was missing.
func (f *fields) done(what string) error {
	if f.bad || len(f.b) != 0 {
		return fmt.Errorf("%w: pebble: a key or value of a %s has a strange shape", muster.ErrInvalid, what)
	}
	return nil
}
