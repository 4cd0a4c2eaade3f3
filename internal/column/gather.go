package column

import (
	"math"

	"muster"
)

// Gather turns frames of one node and source, ordered by At, into a block; of frames with equal At
// the last one stands. A metric that several schemas describe becomes one column, described by the
// newest of them.
func Gather(frames []*muster.Frame) *Block {
	rows := make([]*muster.Frame, 0, len(frames))
	for _, f := range frames {
		if n := len(rows); n > 0 && rows[n-1].At == f.At {
			rows[n-1] = f
			continue
		}
		rows = append(rows, f)
	}
	b := &Block{Times: make([]int64, len(rows))}
	places := map[muster.SchemaID][]int{} // which column each metric of a schema is
	columns := map[string]int{}
	for i := len(rows) - 1; i >= 0; i-- {
		b.Times[i] = rows[i].At
		schema := rows[i].Schema
		place, known := places[schema.ID]
		if !known {
			place = b.describe(schema, columns, len(rows))
			places[schema.ID] = place
		}
		for j, v := range rows[i].Values {
			b.Columns[place[j]].Values[i] = v
		}
	}
	return b
}

// describe adds a schema and the columns that only it has, and says which column each metric is.
func (b *Block) describe(schema *muster.Schema, columns map[string]int, rows int) []int {
	b.Schemas = append(b.Schemas, schema.ID)
	place := make([]int, len(schema.Metrics))
	values := make([]float64, 0, rows*len(schema.Metrics))
	for i := range schema.Metrics {
		key := schema.Metrics[i].Key()
		at, known := columns[key]
		if !known {
			at = len(b.Columns)
			columns[key] = at
			from := len(values)
			for range rows {
				values = append(values, math.NaN())
			}
			b.Columns = append(b.Columns, Column{Schema: len(b.Schemas) - 1, Index: i, Values: values[from:len(values):len(values)]})
		}
		place[i] = at
	}
	return place
}
