package head

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"muster"
)

// Piece is frames of one source as columns.
type Piece struct {
	Schemas []muster.SchemaID
	Times   []int64 // Unix ms, ascending
	Columns []Column
}

// Column is one metric of a piece, described by Metrics[Index] of the schema Schemas[Schema]: a value
// per instant, NaN where there is none.
type Column struct {
	Schema, Index int
	Values        []float64
}

// Room hands out floats that are all given back at once.
type Room struct {
	slabs [][]float64
	used  int // of the last slab
}

const slabFloats = 1 << 15

// Floats gives n values of unknown content.
func (r *Room) Floats(n int) []float64 {
	if last := len(r.slabs) - 1; last >= 0 && r.used+n <= len(r.slabs[last]) {
		r.used += n
		return r.slabs[last][r.used-n : r.used : r.used]
	}
	r.slabs = append(r.slabs, make([]float64, max(n, slabFloats)))
	r.used = n
	return r.slabs[len(r.slabs)-1][:n:n]
}

// Reset takes everything back; one slab, big enough for all of what was used, is kept.
func (r *Room) Reset() {
	r.used = 0
	if len(r.slabs) <= 1 {
		return
	}
	total := 0
	for _, s := range r.slabs {
		total += len(s)
	}
	r.slabs = [][]float64{make([]float64, min(total, 64*slabFloats))}
}

// Describe finds the description of a column.
type Describe func(muster.SchemaID, int) (*muster.Metric, error)

// Unite makes one piece of several of the same source, in floats of the room. Of an instant that several have, the values of
// the first stand, and the others fill what it lacks.
func Unite(room *Room, pieces []*Piece, metric Describe) (*Piece, error) {
	if len(pieces) == 1 {
		return pieces[0], nil
	}
	out := &Piece{}
	for _, b := range pieces {
		out.Times = append(out.Times, b.Times...)
	}
	ids := merger{out: out, metric: metric, columns: map[columnID]int{}, names: map[string]int{}, same: sameSchema(pieces)}
	offset := 0
	for _, b := range pieces {
		for i := range b.Columns {
			at, err := ids.place(b, i)
			if err != nil {
				return nil, err
			}
			if out.Columns[at].Values == nil {
				out.Columns[at].Values = Absent(room.Floats(len(out.Times)))
			}
			copy(out.Columns[at].Values[offset:], b.Columns[i].Values)
		}
		offset += len(b.Times)
	}
	out.order(room)
	return out, nil
}

// Absent fills values with NaN.
func Absent(values []float64) []float64 {
	for i := range values {
		values[i] = math.NaN()
	}
	return values
}

// sameSchema says whether all columns are described by one and the same schema, as nearly always.
func sameSchema(pieces []*Piece) bool {
	for _, b := range pieces {
		if len(b.Schemas) != 1 || b.Schemas[0] != pieces[0].Schemas[0] {
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
	out     *Piece
	metric  Describe
	columns map[columnID]int
	names   map[string]int
	same    bool
}

func (m *merger) place(b *Piece, i int) (int, error) {
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
	m.out.Columns = append(m.out.Columns, Column{Schema: schema, Index: id.index})
	m.columns[id] = at
	if !m.same {
		m.names[name] = at
	}
	return at, nil
}

// order sorts the rows by time and joins those of one instant.
func (b *Piece) order(room *Room) {
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
		into := room.Floats(len(times))
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

// Pieces gives what a view holds: its chunks as unpack reads them, and its tails.
func (v *View) Pieces(room *Room, unpack func([]byte) (*Piece, error)) ([]*Piece, error) {
	out := make([]*Piece, 0, len(v.Chunks)+len(v.Tails))
	for i := range v.Chunks {
		p, err := unpack(v.Chunks[i].Data)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	for i := range v.Tails {
		out = append(out, v.Tails[i].columns(&Piece{}, room))
	}
	return out, nil
}
