package column

import "muster"

// AppendBlock appends the stored form of b, compressed for the disk. The error wraps ErrInvalid when
// b contradicts itself and ErrLimited when it is too large.
func (c *Codec) AppendBlock(dst []byte, b *Block) ([]byte, error) { panic("being written") }

// AppendChunk appends a form of b for memory: quicker to write and to read than AppendBlock's, a
// little larger. OpenBlock opens both.
func (c *Codec) AppendChunk(dst []byte, b *Block) ([]byte, error) { panic("being written") }

// OpenBlock checks the checksum and the directory of a block or chunk; columns are decoded when asked
// for. The reader refers to b, which must not change. The error wraps ErrInvalid.
func (c *Codec) OpenBlock(b []byte) (*BlockReader, error) { panic("being written") }

// BlockReader reads one block or chunk. It is for one goroutine at a time.
type BlockReader struct {
	schemas []muster.SchemaID
	columns []ColumnRef
	times   []int64
}

// Len gives the number of instants.
func (r *BlockReader) Len() int { return len(r.times) }

// Bounds gives the first and the last instant, in Unix ms; zeros when Len is 0.
func (r *BlockReader) Bounds() (first, last int64) { panic("being written") }

// Schemas gives the ids that ColumnRef.Schema indexes; not to be changed.
func (r *BlockReader) Schemas() []muster.SchemaID { return r.schemas }

// Columns says what each column is; not to be changed.
func (r *BlockReader) Columns() []ColumnRef { return r.columns }

// Times appends the instants, in Unix ms.
func (r *BlockReader) Times(dst []int64) []int64 { return append(dst, r.times...) }

// Decode appends the values of column i, one per instant, NaN where absent. It panics when there is
// no column i; the error wraps ErrInvalid.
func (r *BlockReader) Decode(i int, dst []float64) ([]float64, error) { panic("being written") }

// Gather turns frames of one node and source, ordered by At, into a block; of frames with equal At
// the last one stands. A metric that several schemas describe becomes one column, described by the
// newest of them.
func Gather(frames []*muster.Frame) *Block { panic("being written") }
