package column

import "muster"

// SegmentBuilder gathers frames of one shard, of any accounts, into one segment. It is for one
// goroutine at a time.
type SegmentBuilder struct {
	codec *Codec
	raw   []byte
	count int
}

// NewSegmentBuilder makes an empty builder.
func (c *Codec) NewSegmentBuilder() *SegmentBuilder { return &SegmentBuilder{codec: c} }

// Add puts a frame into the segment; the frame is not kept. The error wraps ErrLimited when the
// segment would grow beyond MaxSegment (nothing was added: write this one, Reset, add again) and
// ErrInvalid when the frame has no schema, another number of values, or a source longer than
// muster.MaxSource.
func (b *SegmentBuilder) Add(f *muster.Frame) error { panic("being written") }

// Len gives the bytes gathered so far, before compression.
func (b *SegmentBuilder) Len() int { return len(b.raw) }

// Count gives the number of frames gathered so far.
func (b *SegmentBuilder) Count() int { return b.count }

// AppendTo appends the finished segment: header, compressed frames, checksum.
func (b *SegmentBuilder) AppendTo(dst []byte) []byte { panic("being written") }

// Reset empties the builder and keeps its memory.
func (b *SegmentBuilder) Reset() {}

// ReadSegment calls each for every frame of a segment in the order of Add; frames may be kept. schema
// finds the schema of an id, once per id; its error and that of each end the reading and come back
// as they are. Damage gives an error that wraps ErrInvalid, and then each was called for no frame:
// the checksum is verified first.
func (c *Codec) ReadSegment(b []byte, schema func(muster.SchemaID) (*muster.Schema, error), each func(*muster.Frame) error) error {
	panic("being written")
}
