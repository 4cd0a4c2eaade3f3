package series

import (
	"context"
	"fmt"
	"math"
	"slices"

	"muster"
	"muster/internal/column"
	"muster/internal/series/engine"
	"muster/internal/series/head"
)

// packer packs the rows of heads into chunks; it belongs to one shard, whose lock guards it.
type packer struct {
	codec *column.Codec
	block column.Block
	out   []byte
}

// Pack fits head.Packer.
func (c *packer) Pack(p *head.Piece) []byte {
	c.block.Schemas, c.block.Times = p.Schemas, p.Times
	c.block.Columns = c.block.Columns[:0]
	for _, col := range p.Columns {
		c.block.Columns = append(c.block.Columns, column.Column(col))
	}
	out, err := c.codec.AppendChunk(c.out[:0], &c.block)
	if err != nil {
		panic("series: a tail does not fit into a chunk: " + err.Error())
	}
	c.out = out
	return slices.Clone(out)
}

// gatherer decodes pieces of one source and unites them. It is for one goroutine at a time.
type gatherer struct {
	db   *DB
	room head.Room
}

func newGatherer(db *DB) *gatherer { return &gatherer{db: db} }

// decode reads a whole block or chunk.
func (g *gatherer) decode(data []byte) (*head.Piece, error) {
	r, err := g.db.codec.OpenBlock(data)
	if err != nil {
		return nil, err
	}
	refs := r.Columns()
	p := &head.Piece{Schemas: r.Schemas(), Times: r.Times(nil), Columns: make([]head.Column, len(refs))}
	for i, ref := range refs {
		values, err := r.Decode(i, g.room.Floats(r.Len())[:0])
		if err != nil {
			return nil, err
		}
		p.Columns[i] = head.Column{Schema: ref.Schema, Index: ref.Index, Values: values}
	}
	return p, nil
}

// gather makes one piece of what a window held, together with others of the same source.
func (g *gatherer) gather(ctx context.Context, pieces []*head.Piece, views ...head.View) (*head.Piece, error) {
	for i := range views {
		more, err := views[i].Pieces(&g.room, g.decode)
		if err != nil {
			return nil, fmt.Errorf("series: read a head: %w", err)
		}
		pieces = append(pieces, more...)
	}
	return head.Unite(&g.room, pieces, g.db.metricIn(ctx))
}

// encode makes the stored form of a block and reads it back to make sure that nothing was changed.
func (g *gatherer) encode(p *head.Piece, isSealed bool, length int64) ([]byte, error) {
	b := &column.Block{Schemas: p.Schemas, Times: p.Times, Columns: make([]column.Column, len(p.Columns))}
	for i := range p.Columns {
		b.Columns[i] = column.Column(p.Columns[i])
	}
	data, err := g.db.codec.AppendBlock(engine.AppendEnvelope(nil, isSealed, length), b)
	if err != nil {
		return nil, err
	}
	r, err := g.db.codec.OpenBlock(data[engine.EnvelopeSize:])
	if err != nil {
		return nil, fmt.Errorf("series: a block can't be read back: %w", err)
	}
	check := g.room.Floats(len(b.Times))
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
