package column

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"muster"
)

// The first byte of each form. A new version takes a new byte; readers keep the old ones.
const (
	formBlock   = 0xb1
	formSegment = 0x51
	formTile    = 0x71
)

// AppendBlock appends the stored form of b, as small as this package can make it, after decoding and
// comparing every column. The error wraps ErrInvalid when b contradicts itself and ErrLimited when it
// is too large.
func (c *Codec) AppendBlock(dst []byte, b *Block) ([]byte, error) {
	return c.appendBlock(dst, b, false)
}

// AppendChunk appends a form of b for memory: quicker to write and to read than AppendBlock's, and
// larger. OpenBlock opens both.
func (c *Codec) AppendChunk(dst []byte, b *Block) ([]byte, error) { return c.appendBlock(dst, b, true) }

func (c *Codec) appendBlock(dst []byte, b *Block, quick bool) ([]byte, error) {
	if err := b.check(); err != nil {
		return dst, err
	}
	s := c.borrow()
	defer c.scratch.Put(s)
	at := len(dst)
	dst = append(dst, formBlock)
	dst = binary.AppendUvarint(dst, uint64(len(b.Times)))
	dst = binary.AppendUvarint(dst, uint64(len(b.Schemas)))
	for i := range b.Schemas {
		dst = append(dst, b.Schemas[i][:]...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(b.Columns)))
	dst = appendRefs(dst, b.Columns)

	s.list = append(s.list[:0], b.Times...)
	s.stage = s.appendNumbers(s.stage[:0], s.list, 0, false, nil)
	dst = binary.AppendUvarint(dst, uint64(len(s.stage)))
	for i := range b.Columns {
		from := len(s.stage)
		s.stage = s.appendColumn(s.stage, b.Columns[i].Values, quick)
		dst = binary.AppendUvarint(dst, uint64(len(s.stage)-from))
	}
	dst = append(dst, s.stage...)
	return appendSum(dst, at), nil
}

// check says what contradicts itself in b, or is too large.
func (b *Block) check() error {
	if len(b.Times) > MaxRows || len(b.Columns) > MaxColumns || len(b.Schemas) > MaxColumns {
		return limited("a block of %d instants, %d columns and %d schemas", len(b.Times), len(b.Columns), len(b.Schemas))
	}
	for i := 1; i < len(b.Times); i++ {
		if b.Times[i] <= b.Times[i-1] {
			return invalid("a block's instants do not ascend at %d", i)
		}
	}
	for i := range b.Columns {
		col := &b.Columns[i]
		if len(col.Values) != len(b.Times) {
			return invalid("column %d has %d values for %d instants", i, len(col.Values), len(b.Times))
		}
		if col.Schema < 0 || col.Schema >= len(b.Schemas) || col.Index < 0 || col.Index >= muster.MaxMetrics {
			return invalid("column %d is described nowhere", i)
		}
	}
	return nil
}

// appendRefs stores what columns are, as runs of columns whose descriptions follow each other.
func appendRefs(dst []byte, columns []Column) []byte {
	for i := 0; i < len(columns); {
		n := 1
		for i+n < len(columns) && columns[i+n].Schema == columns[i].Schema && columns[i+n].Index == columns[i].Index+n {
			n++
		}
		dst = binary.AppendUvarint(dst, uint64(columns[i].Schema))
		dst = binary.AppendUvarint(dst, uint64(columns[i].Index))
		dst = binary.AppendUvarint(dst, uint64(n))
		i += n
	}
	return dst
}

// appendSum appends the CRC-32C of dst[at:].
func appendSum(dst []byte, at int) []byte {
	return binary.LittleEndian.AppendUint32(dst, checksum(dst[at:]))
}

// checkSum verifies form and CRC-32C and gives what is between them.
func checkSum(b []byte, form byte, what string) ([]byte, error) {
	if len(b) < 5 {
		return nil, invalid("%s of %d bytes", what, len(b))
	}
	if b[0] != form {
		return nil, invalid("%s of unknown form %#x", what, b[0])
	}
	body := b[:len(b)-4]
	if checksum(body) != binary.LittleEndian.Uint32(b[len(body):]) {
		return nil, invalid("%s whose checksum is wrong", what)
	}
	return body[1:], nil
}

// checksum is CRC-32C; the table is made once by the library.
func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// BlockReader reads one block or chunk. It is for one goroutine at a time.
type BlockReader struct {
	codec   *Codec
	rows    int
	schemas []muster.SchemaID
	columns []ColumnRef
	times   []int64
	ends    []int32 // where each column ends in bodies
	bodies  []byte
}

// OpenBlock checks the checksum and the directory of a block or chunk; columns are decoded when asked
// for. The reader refers to b, which must not change. The error wraps ErrInvalid.
func (c *Codec) OpenBlock(b []byte) (*BlockReader, error) {
	body, err := checkSum(b, formBlock, "block")
	if err != nil {
		return nil, err
	}
	f := fields{b: body}
	r := &BlockReader{codec: c, rows: f.count(MaxRows)}
	for range f.count(min(MaxColumns, len(f.b)/len(muster.SchemaID{}))) {
		r.schemas = append(r.schemas, muster.SchemaID(f.bytes(len(muster.SchemaID{}))))
	}
	r.readRefs(&f)
	times := f.count(math.MaxInt32)
	r.ends = make([]int32, len(r.columns))
	end := 0
	for i := range r.ends {
		end += f.count(math.MaxInt32)
		r.ends[i] = int32(min(end, math.MaxInt32))
	}
	timesBody := f.bytes(times)
	if r.bodies = f.b; f.bad || end != len(f.b) {
		return nil, invalid("a block whose directory does not fit")
	}
	return r, r.readTimes(timesBody)
}

// readRefs reads what the columns are. Each column needs a byte of directory, which bounds them.
func (r *BlockReader) readRefs(f *fields) {
	n := f.count(min(MaxColumns, len(f.b)))
	r.columns = make([]ColumnRef, 0, n)
	for len(r.columns) < n && !f.bad {
		schema, index, run := f.count(len(r.schemas)-1), f.count(muster.MaxMetrics-1), f.count(n-len(r.columns))
		if run == 0 || len(r.schemas) == 0 {
			f.bad = true
		}
		for i := range run {
			r.columns = append(r.columns, ColumnRef{schema, index + i})
		}
	}
}

func (r *BlockReader) readTimes(b []byte) error {
	s := r.codec.borrow()
	defer r.codec.scratch.Put(s)
	ok := len(b) > 0 && b[0]&^(orderMask|headRice) == 0
	if ok {
		r.times, ok = s.readNumbers(make([]int64, 0, r.rows), b[1:], b[0], r.rows)
	}
	for i := 1; ok && i < len(r.times); i++ {
		ok = r.times[i] > r.times[i-1]
	}
	if !ok {
		return invalid("a block whose instants are damaged")
	}
	return nil
}

// Len gives the number of instants.
func (r *BlockReader) Len() int { return r.rows }

// Bounds gives the first and the last instant, in Unix ms; zeros when Len is 0.
func (r *BlockReader) Bounds() (first, last int64) {
	if r.rows == 0 {
		return 0, 0
	}
	return r.times[0], r.times[r.rows-1]
}

// Schemas gives the ids that ColumnRef.Schema indexes; not to be changed.
func (r *BlockReader) Schemas() []muster.SchemaID { return r.schemas }

// Columns says what each column is; not to be changed.
func (r *BlockReader) Columns() []ColumnRef { return r.columns }

// Times appends the instants, in Unix ms.
func (r *BlockReader) Times(dst []int64) []int64 { return append(dst, r.times...) }

// Decode appends the values of column i, one per instant, NaN where absent. It panics when there is
// no column i; the error wraps ErrInvalid.
func (r *BlockReader) Decode(i int, dst []float64) ([]float64, error) {
	from := int32(0)
	if i > 0 {
		from = r.ends[i-1]
	}
	s := r.codec.borrow()
	defer r.codec.scratch.Put(s)
	return s.readColumn(dst, r.bodies[from:r.ends[i]], r.rows)
}
