package head

import (
	"slices"
	"sort"
	"time"

	"muster"
)

// tailRows is how many frames stay uncompressed at the end of a window.
const tailRows = 32

// Chunk is some frames of a window in compressed form; its bytes never change.
type Chunk struct {
	First, Last int64
	Data        []byte
}

// Tail is the newest frames of one schema, row by row, in order of arrival.
type Tail struct {
	Schema *muster.Schema
	Times  []int64
	Rows   []float64 // len(Times) * len(Schema.Metrics)
}

// Version says which stored generation of a window there is: its epoch and its number of frames.
type Version struct {
	Epoch  uint64
	Frames uint32
}

// Window is a block that is still open: the frames of one source from Start to before End, in Unix ms.
type Window struct {
	Start, End int64
	Arrived    time.Time // of the newest arrival
	Receipt    int64     // minute in which the oldest frame was received; 0 when there is none
	Stored     Version   // the newest generation that was written; zero when none

	times  []int64 // of all frames, ascending
	chunks []Chunk
	tails  []*Tail
}

// Frames gives the number of frames.
func (w *Window) Frames() int { return len(w.times) }

// Changed says whether there are frames that no stored generation holds.
func (w *Window) Changed() bool { return w.Frames() > int(w.Stored.Frames) }

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
func (w *Window) add(f *muster.Frame, c *Worker) bool {
	var fresh bool
	if w.times, fresh = insertTime(w.times, f.At); !fresh {
		return false
	}
	t := w.tailOf(f.Schema)
	if t == nil {
		t = &Tail{Schema: f.Schema, Times: make([]int64, 0, tailRows), Rows: make([]float64, 0, tailRows*len(f.Values))}
		w.tails = append(w.tails, t)
		w.limitTails(c)
	}
	if len(t.Times) == tailRows {
		w.pack(t, c)
	}
	t.Times = append(t.Times, f.At)
	t.Rows = append(t.Rows, f.Values...)
	return true
}

func (w *Window) tailOf(schema *muster.Schema) *Tail {
	for i := len(w.tails) - 1; i >= 0; i-- {
		if w.tails[i].Schema.ID == schema.ID {
			return w.tails[i]
		}
	}
	return nil
}

// limitTails keeps a source that changes its schema often from holding a tail for each.
func (w *Window) limitTails(c *Worker) {
	if len(w.tails) > 2 {
		w.pack(w.tails[0], c)
		w.tails = slices.Delete(w.tails, 0, 1)
	}
}

// rest packs all tails: no more frames are expected soon.
func (w *Window) rest(c *Worker) {
	for _, t := range w.tails {
		w.pack(t, c)
	}
	w.tails = nil
	w.times = slices.Clip(w.times)
}

// pack turns a tail's frames into a chunk and leaves the tail empty.
func (w *Window) pack(t *Tail, c *Worker) {
	if len(t.Times) == 0 {
		return
	}
	c.room.Reset()
	p := t.columns(&c.piece, &c.room)
	w.chunks = append(w.chunks, Chunk{First: p.Times[0], Last: p.Times[len(p.Times)-1], Data: c.packer.Pack(p)})
	t.Times, t.Rows = t.Times[:0], t.Rows[:0]
}

func (w *Window) bytes() int64 {
	total := int64(cap(w.times))*8 + 160
	for i := range w.chunks {
		total += int64(cap(w.chunks[i].Data)) + 48
	}
	for _, t := range w.tails {
		total += int64(cap(t.Rows)+cap(t.Times))*8 + 64
	}
	return total
}

// Packer turns rows into the bytes of a chunk. It can't fail: what does not fit was refused before.
// The piece is valid only during the call.
type Packer interface {
	Pack(p *Piece) []byte
}

// columns turns the tail's rows into columns of p, ascending, in floats of the room.
func (t *Tail) columns(p *Piece, room *Room) *Piece {
	rows, width := len(t.Times), len(t.Schema.Metrics)
	var places [tailRows]int
	order := places[:rows]
	for i := range order {
		order[i] = i
	}
	if !slices.IsSorted(t.Times) {
		sort.Slice(order, func(a, b int) bool { return t.Times[order[a]] < t.Times[order[b]] })
	}
	p.Schemas = append(p.Schemas[:0], t.Schema.ID)
	p.Times, p.Columns = p.Times[:0], slices.Grow(p.Columns[:0], width)
	for _, row := range order {
		p.Times = append(p.Times, t.Times[row])
	}
	for col := range width {
		values := room.Floats(rows)
		for i, row := range order {
			values[i] = t.Rows[row*width+col]
		}
		p.Columns = append(p.Columns, Column{Index: col, Values: values})
	}
	return p
}

// Worker packs the tails of sources. It is for one goroutine at a time, like the sources it is used with.
type Worker struct {
	packer Packer
	piece  Piece
	room   Room
}

// NewWorker makes a worker.
func NewWorker(p Packer) *Worker { return &Worker{packer: p} }

// Times gives the instants of all frames, ascending; not to be changed.
func (w *Window) Times() []int64 { return w.times }

// Chunks gives the packed frames; neither the list nor its bytes are ever changed.
func (w *Window) Chunks() []Chunk { return w.chunks[:len(w.chunks):len(w.chunks)] }

// Tails calls each for the frames that are not packed; they are valid only under the source's lock.
func (w *Window) Tails(each func(t *Tail)) {
	for _, t := range w.tails {
		each(t)
	}
}

// View is what a window held at one instant, safe to read without the shard's lock.
type View struct {
	Start, End int64
	Chunks     []Chunk
	Tails      []Tail
	Frames     int
	Stored     Version
}

// Look copies the window's tails and refers to its chunks.
func (w *Window) Look() View {
	v := View{Start: w.Start, End: w.End, Chunks: w.chunks[:len(w.chunks):len(w.chunks)], Frames: w.Frames(), Stored: w.Stored}
	for _, t := range w.tails {
		if len(t.Times) > 0 {
			v.Tails = append(v.Tails, Tail{Schema: t.Schema, Times: slices.Clone(t.Times), Rows: slices.Clone(t.Rows)})
		}
	}
	return v
}
