package series

import (
	"slices"
	"sort"
	"time"

	"muster"
	"muster/internal/column"
)

// tailRows is how many frames stay uncompressed at the end of a window.
const tailRows = 32

// chunk is some frames of a window in compressed form; its bytes never change.
type chunk struct {
	first, last int64
	data        []byte
}

// tail is the newest frames of one schema, row by row, in order of arrival.
type tail struct {
	schema *muster.Schema
	times  []int64
	rows   []float64 // len(times) * len(schema.Metrics)
}

// window is a block that is still open: the frames of one source from start to before end.
type window struct {
	start, end int64
	times      []int64 // of all frames, ascending
	chunks     []chunk
	tails      []*tail
	arrived    time.Time // of the newest arrival
	receipt    Minute    // in which the oldest frame was received that no stored generation holds; 0 when none
	stored     Gen       // the newest generation that was written; zero when none
}

func (w *window) frames() int { return len(w.times) }

// changed says whether there are frames that no stored generation holds.
func (w *window) changed() bool { return w.frames() > int(w.stored.Frames) }

// insertTime notes an instant; false when it is known already.
func insertTime(times []int64, at int64) ([]int64, bool) {
	n := len(times)
	if n == 0 || times[n-1] < at {
		return append(times, at), true
	}
	i, found := slices.BinarySearch(times, at)
	if found {
		return times, false
	}
	return slices.Insert(times, i, at), true
}

// add takes a frame; false when one of the same instant is there. A tail that is full becomes a chunk.
func (w *window) add(f *muster.Frame, c *compressor) bool {
	var fresh bool
	if w.times, fresh = insertTime(w.times, f.At); !fresh {
		return false
	}
	t := w.tailOf(f.Schema)
	if t == nil {
		t = &tail{schema: f.Schema, times: make([]int64, 0, tailRows), rows: make([]float64, 0, tailRows*len(f.Values))}
		w.tails = append(w.tails, t)
		w.limitTails(c)
	}
	if len(t.times) == tailRows {
		w.pack(t, c)
	}
	t.times = append(t.times, f.At)
	t.rows = append(t.rows, f.Values...)
	return true
}

func (w *window) tailOf(schema *muster.Schema) *tail {
	for i := len(w.tails) - 1; i >= 0; i-- {
		if w.tails[i].schema.ID == schema.ID {
			return w.tails[i]
		}
	}
	return nil
}

// limitTails keeps a source that changes its schema often from holding a tail for each.
func (w *window) limitTails(c *compressor) {
	if len(w.tails) > 2 {
		w.pack(w.tails[0], c)
		w.tails = slices.Delete(w.tails, 0, 1)
	}
}

// rest packs all tails: no more frames are expected soon.
func (w *window) rest(c *compressor) {
	for _, t := range w.tails {
		w.pack(t, c)
	}
	w.tails = nil
	w.times = slices.Clip(w.times)
}

// pack turns a tail's frames into a chunk and leaves the tail empty.
func (w *window) pack(t *tail, c *compressor) {
	if len(t.times) == 0 {
		return
	}
	b := c.columns(t)
	w.chunks = append(w.chunks, chunk{first: b.Times[0], last: b.Times[len(b.Times)-1], data: c.compress(b)})
	t.times, t.rows = t.times[:0], t.rows[:0]
}

func (w *window) bytes() int64 {
	total := int64(cap(w.times))*8 + 160
	for i := range w.chunks {
		total += int64(cap(w.chunks[i].data)) + 48
	}
	for _, t := range w.tails {
		total += int64(cap(t.rows)+cap(t.times))*8 + 64
	}
	return total
}

// compressor packs tails; it belongs to one shard, whose lock guards it.
type compressor struct {
	codec *column.Codec
	block column.Block
	cells []float64
	order []int
	out   []byte
}

// columns turns rows into columns, ascending. The block is the compressor's own until the next call.
func (c *compressor) columns(t *tail) *column.Block {
	rows, width := len(t.times), len(t.schema.Metrics)
	c.order = c.order[:0]
	for i := range rows {
		c.order = append(c.order, i)
	}
	if !slices.IsSorted(t.times) {
		sort.Slice(c.order, func(a, b int) bool { return t.times[c.order[a]] < t.times[c.order[b]] })
	}
	b := &c.block
	b.Schemas = append(b.Schemas[:0], t.schema.ID)
	b.Times, b.Columns = b.Times[:0], b.Columns[:0]
	if cap(c.cells) < rows*width {
		c.cells = make([]float64, rows*width)
	}
	for _, row := range c.order {
		b.Times = append(b.Times, t.times[row])
	}
	for col := range width {
		cells := c.cells[col*rows : (col+1)*rows : (col+1)*rows]
		for i, row := range c.order {
			cells[i] = t.rows[row*width+col]
		}
		b.Columns = append(b.Columns, column.Column{Index: col, Values: cells})
	}
	return b
}

// compress gives the chunk of a block that columns made; it can't fail, because what does not fit was refused before.
func (c *compressor) compress(b *column.Block) []byte {
	out, err := c.codec.AppendChunk(c.out[:0], b)
	if err != nil {
		panic("series: a tail does not fit into a chunk: " + err.Error())
	}
	c.out = out
	return slices.Clone(out)
}

// view is what a window held at one instant, safe to read without the shard's lock.
type view struct {
	start, end int64
	chunks     []chunk
	tails      []tail
	frames     int
	stored     Gen
}

// look copies the window's tails and refers to its chunks.
func (w *window) look() view {
	v := view{start: w.start, end: w.end, chunks: w.chunks[:len(w.chunks):len(w.chunks)], frames: w.frames(), stored: w.stored}
	for _, t := range w.tails {
		if len(t.times) > 0 {
			v.tails = append(v.tails, tail{schema: t.schema, times: slices.Clone(t.times), rows: slices.Clone(t.rows)})
		}
	}
	return v
}
