package series

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"sort"

	"muster"
	"muster/internal/column"
)

// arena hands out floats that are all given back at once.
type arena struct {
	slabs [][]float64
	used  int // of the last slab
}

const slabFloats = 1 << 15

// floats gives n values of unknown content.
func (a *arena) floats(n int) []float64 {
	if last := len(a.slabs) - 1; last >= 0 && a.used+n <= len(a.slabs[last]) {
		a.used += n
		return a.slabs[last][a.used-n : a.used : a.used]
	}
	a.slabs = append(a.slabs, make([]float64, max(n, slabFloats)))
	a.used = n
	return a.slabs[len(a.slabs)-1][:n:n]
}

// reset takes everything back; one slab, big enough for all of what was used, is kept.
func (a *arena) reset() {
	a.used = 0
	if len(a.slabs) <= 1 {
		return
	}
	total := 0
	for _, s := range a.slabs {
		total += len(s)
	}
	a.slabs = [][]float64{make([]float64, min(total, 64*slabFloats))}
}

// gatherer decodes pieces of one source and unites them. It is for one goroutine at a time.
type gatherer struct {
	db   *DB
	room arena
	comp compressor
}

func newGatherer(db *DB) *gatherer {
	return &gatherer{db: db, comp: compressor{codec: &db.codec}}
}

// decode reads a whole block or chunk.
func (g *gatherer) decode(data []byte) (*column.Block, error) {
	r, err := g.db.codec.OpenBlock(data)
	if err != nil {
		return nil, err
	}
	refs := r.Columns()
	b := &column.Block{Schemas: r.Schemas(), Times: r.Times(nil), Columns: make([]column.Column, len(refs))}
	for i, ref := range refs {
		values, err := r.Decode(i, g.room.floats(r.Len())[:0])
		if err != nil {
			return nil, err
		}
		b.Columns[i] = column.Column{Schema: ref.Schema, Index: ref.Index, Values: values}
	}
	return b, nil
}

// pieces decodes what a window held.
func (g *gatherer) pieces(v *view) ([]*column.Block, error) {
	out := make([]*column.Block, 0, len(v.chunks)+len(v.tails))
	for i := range v.chunks {
		b, err := g.decode(v.chunks[i].data)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	for i := range v.tails {
		b := g.comp.columns(&v.tails[i])
		own := &column.Block{Schemas: slices.Clone(b.Schemas), Times: slices.Clone(b.Times), Columns: slices.Clone(b.Columns)}
		for j := range own.Columns {
			values := g.room.floats(len(own.Times))
			copy(values, own.Columns[j].Values)
			own.Columns[j].Values = values
		}
		out = append(out, own)
	}
	return out, nil
}

// unite makes one block of several of the same source. Of an instant that several have, the values of
// the first stand, and the others fill what it lacks. metric finds the description of a column.
func (g *gatherer) unite(blocks []*column.Block, metric func(muster.SchemaID, int) (*muster.Metric, error)) (*column.Block, error) {
	if len(blocks) == 1 {
		return blocks[0], nil
	}
	out := &column.Block{}
	for _, b := range blocks {
		out.Times = append(out.Times, b.Times...)
	}
	ids := merger{out: out, metric: metric, columns: map[columnID]int{}, names: map[string]int{}, same: sameSchema(blocks)}
	offset := 0
	for _, b := range blocks {
		for i := range b.Columns {
			at, err := ids.place(b, i)
			if err != nil {
				return nil, err
			}
			if out.Columns[at].Values == nil {
				out.Columns[at].Values = absent(g.room.floats(len(out.Times)))
			}
			copy(out.Columns[at].Values[offset:], b.Columns[i].Values)
		}
		offset += len(b.Times)
	}
	g.order(out)
	return out, nil
}

func absent(values []float64) []float64 {
	for i := range values {
		values[i] = math.NaN()
	}
	return values
}

// sameSchema says whether all columns are described by one and the same schema, as nearly always.
func sameSchema(blocks []*column.Block) bool {
	for _, b := range blocks {
		if len(b.Schemas) != 1 || b.Schemas[0] != blocks[0].Schemas[0] {
			return false
		}
	}
	return true
}

type columnID struct {
	schema muster.SchemaID
	index  int
}

// merger finds the place of a column among the united ones: equal metrics share one.
type merger struct {
	out     *column.Block
	metric  func(muster.SchemaID, int) (*muster.Metric, error)
	columns map[columnID]int
	names   map[string]int
	same    bool
}

func (m *merger) place(b *column.Block, i int) (int, error) {
	id := columnID{b.Schemas[b.Columns[i].Schema], b.Columns[i].Index}
	if at, ok := m.columns[id]; ok {
		return at, nil
	}
	var name string
	if !m.same {
		metric, err := m.metric(id.schema, id.index)
		if err != nil {
			return 0, err
		}
		name = fmt.Sprintf("%d\x00%s\x00%s", metric.Kind, metric.Unit, metric.Key())
		if at, ok := m.names[name]; ok {
			m.columns[id] = at
			return at, nil
		}
	}
	schema := slices.Index(m.out.Schemas, id.schema)
	if schema < 0 {
		schema = len(m.out.Schemas)
		m.out.Schemas = append(m.out.Schemas, id.schema)
	}
	at := len(m.out.Columns)
	m.out.Columns = append(m.out.Columns, column.Column{Schema: schema, Index: id.index})
	m.columns[id] = at
	if !m.same {
		m.names[name] = at
	}
	return at, nil
}

// order sorts the rows by time and joins those of one instant.
func (g *gatherer) order(b *column.Block) {
	if ascending(b.Times) {
		return
	}
	rows := make([]int, len(b.Times))
	for i := range rows {
		rows[i] = i
	}
	sort.SliceStable(rows, func(x, y int) bool { return b.Times[rows[x]] < b.Times[rows[y]] })
	times := make([]int64, 0, len(rows))
	for _, row := range rows {
		if n := len(times); n == 0 || times[n-1] != b.Times[row] {
			times = append(times, b.Times[row])
		}
	}
	for i := range b.Columns {
		from := b.Columns[i].Values
		into := g.room.floats(len(times))
		at := -1
		for n, row := range rows {
			if n == 0 || b.Times[row] != b.Times[rows[n-1]] {
				at++
				into[at] = from[row]
			} else if math.IsNaN(into[at]) {
				into[at] = from[row]
			}
		}
		b.Columns[i].Values = into
	}
	b.Times = times
}

func ascending(times []int64) bool {
	for i := 1; i < len(times); i++ {
		if times[i] <= times[i-1] {
			return false
		}
	}
	return true
}

// The stored form of a block: a header of 12 bytes, then what column writes (docs/format/series.md).
const (
	envelopeVersion = 1
	envelopeSize    = 12
	flagSealed      = 1
)

func castagnoli(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func appendEnvelope(dst []byte, isSealed bool, length int64) []byte {
	begin := len(dst)
	var flags byte
	if isSealed {
		flags = flagSealed
	}
	dst = append(dst, envelopeVersion, flags, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(length))
	return binary.BigEndian.AppendUint32(dst, castagnoli(dst[begin:begin+8]))
}

// openEnvelope reads the header: whether the block is sealed, and the length of its window in ms.
func openEnvelope(data []byte) (isSealed bool, length int64, body []byte, err error) {
	if len(data) < envelopeSize || data[0] != envelopeVersion || binary.BigEndian.Uint32(data[8:]) != castagnoli(data[:8]) {
		return false, 0, nil, fmt.Errorf("%w: series: a block's header is damaged or of an unknown version", muster.ErrInvalid)
	}
	return data[1]&flagSealed != 0, int64(binary.BigEndian.Uint32(data[4:])), data[envelopeSize:], nil
}

// encode makes the stored form of a block and reads it back to make sure that nothing was changed.
func (g *gatherer) encode(b *column.Block, isSealed bool, length int64) ([]byte, error) {
	data, err := g.db.codec.AppendBlock(appendEnvelope(nil, isSealed, length), b)
	if err != nil {
		return nil, err
	}
	r, err := g.db.codec.OpenBlock(data[envelopeSize:])
	if err != nil {
		return nil, fmt.Errorf("series: a block can't be read back: %w", err)
	}
	check := g.room.floats(len(b.Times))
	if r.Len() != len(b.Times) || len(r.Columns()) != len(b.Columns) || !slices.Equal(r.Times(nil), b.Times) || !slices.Equal(r.Schemas(), b.Schemas) {
		return nil, fmt.Errorf("%w: series: a block reads back with another shape", muster.ErrInvalid)
	}
	for i, ref := range r.Columns() {
		c := &b.Columns[i]
		values, err := r.Decode(i, check[:0])
		if err != nil || ref.Schema != c.Schema || ref.Index != c.Index || !slices.EqualFunc(values, c.Values, sameBits) {
			return nil, fmt.Errorf("%w: series: column %d of a block reads back differently (%w)", muster.ErrInvalid, i, err)
		}
	}
	return data, nil
}

func sameBits(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || a != a && b != b
}
