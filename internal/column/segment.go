package column

import (
	"encoding/binary"

	"github.com/klauspost/compress/zstd"

	"muster"
)

// SegmentBuilder gathers frames of one shard, of any accounts, into one segment. It is for one
// goroutine at a time.
type SegmentBuilder struct {
	codec    *Codec
	raw      []byte
	count    int
	at       int64 // of the last frame
	accounts index[muster.AccountID]
	schemas  index[muster.SchemaID]
	sources  index[string]
}

// index numbers the distinct values of a segment in the order in which they come.
type index[K comparable] struct {
	numbers map[K]int
	last    K
	number  int // of last, plus 1; 0 before the first
}

// find gives the number of k, the next free one when k was not known.
func (x *index[K]) find(k K) (number int, known bool) {
	if x.number > 0 && x.last == k {
		return x.number - 1, true
	}
	if number, known = x.numbers[k]; !known {
		number = len(x.numbers)
		x.numbers[k] = number
	}
	x.last, x.number = k, number+1
	return number, known
}

func (x *index[K]) reset() {
	if x.numbers == nil {
		x.numbers = map[K]int{}
	}
	clear(x.numbers)
	x.number = 0
}

// NewSegmentBuilder makes an empty builder.
func (c *Codec) NewSegmentBuilder() *SegmentBuilder {
	b := &SegmentBuilder{codec: c}
	b.Reset()
	return b
}

// frameOverhead bounds what a frame takes beside its source and values.
const frameOverhead = 128

// Add puts a frame into the segment; the frame is not kept. The error wraps ErrLimited when the
// segment would grow beyond MaxSegment (nothing was added: write this one, Reset, add again) and
// ErrInvalid when the frame has no schema, another number of values, or a source longer than
// muster.MaxSource.
func (b *SegmentBuilder) Add(f *muster.Frame) error {
	if f.Schema == nil || len(f.Values) != len(f.Schema.Metrics) {
		return invalid("a frame of %d values does not fit its schema", len(f.Values))
	}
	if len(f.Source) > muster.MaxSource {
		return invalid("a source of %d bytes", len(f.Source))
	}
	if most := frameOverhead + len(f.Source) + 9*len(f.Values); len(b.raw)+most > MaxSegment {
		return limited("a segment of %d frames is full", b.count)
	}
	schema, known := b.schemas.find(f.Schema.ID)
	b.raw = binary.AppendUvarint(b.raw, uint64(schema))
	if !known {
		b.raw = append(b.raw, f.Schema.ID[:]...)
		b.raw = binary.AppendUvarint(b.raw, uint64(len(f.Values)))
	}
	b.addOrigin(f)
	b.raw = binary.AppendVarint(b.raw, f.At-b.at)
	b.raw = binary.AppendVarint(b.raw, f.Sent-f.At)
	b.raw = appendValues(b.raw, f.Values)
	b.at = f.At
	b.count++
	return nil
}

// addOrigin writes account, source and node.
func (b *SegmentBuilder) addOrigin(f *muster.Frame) {
	account, known := b.accounts.find(f.Account)
	b.raw = binary.AppendUvarint(b.raw, uint64(account))
	if !known {
		b.raw = append(b.raw, f.Account[:]...)
	}
	source, known := b.sources.find(f.Source)
	b.raw = binary.AppendUvarint(b.raw, uint64(source))
	if !known {
		b.raw = binary.AppendUvarint(b.raw, uint64(len(f.Source)))
		b.raw = append(b.raw, f.Source...)
	}
	b.raw = append(b.raw, f.Node[:]...)
}

// Len gives the bytes gathered so far, before compression.
func (b *SegmentBuilder) Len() int { return len(b.raw) }

// Count gives the number of frames gathered so far.
func (b *SegmentBuilder) Count() int { return b.count }

// AppendTo appends the finished segment: header, compressed frames, checksum.
func (b *SegmentBuilder) AppendTo(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, formSegment)
	dst = binary.AppendUvarint(dst, uint64(b.count))
	dst = binary.AppendUvarint(dst, uint64(len(b.raw)))
	z := b.codec.borrowEncoder()
	dst = z.EncodeAll(b.raw, dst)
	b.codec.zencoder.Put(z)
	return appendSum(dst, at)
}

// Reset empties the builder and keeps its memory.
func (b *SegmentBuilder) Reset() {
	b.raw, b.count, b.at = b.raw[:0], 0, 0
	b.accounts.reset()
	b.schemas.reset()
	b.sources.reset()
}

func (c *Codec) borrowEncoder() *zstd.Encoder {
	if z, ok := c.zencoder.Get().(*zstd.Encoder); ok {
		return z
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic("column: options of zstd: " + err.Error()) // they are constant
	}
	return z
}

func (c *Codec) borrowDecoder() *zstd.Decoder {
	if z, ok := c.zdecoder.Get().(*zstd.Decoder); ok {
		return z
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(MaxSegment), zstd.WithDecoderMaxWindow(MaxSegment))
	if err != nil {
		panic("column: options of zstd: " + err.Error()) // they are constant
	}
	return z
}
