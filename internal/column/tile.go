package column

import (
	"encoding/binary"
	"math"

	"muster"
)

// Flags of a stored row.
const (
	rowSameNode   = 1 << 0 // its node is that of the row before
	rowSameCounts = 1 << 1 // so are its counts
)

// AppendTile appends the stored form of t. The error wraps ErrInvalid when t contradicts itself and
// ErrLimited when it is too large.
func (c *Codec) AppendTile(dst []byte, t *Tile) ([]byte, error) {
	slots := 0
	if len(t.Rows) > 0 {
		slots = len(t.Rows[0].Slots)
	}
	if slots > MaxSlots || slots*len(t.Rows) > MaxTileSlots || len(t.Rows) > MaxTileSlots {
		return dst, limited("a tile of %d rows of %d slots", len(t.Rows), slots)
	}
	for i := range t.Rows {
		if len(t.Rows[i].Slots) != slots || len(t.Rows[i].Attrs) > muster.MaxAttrs {
			return dst, invalid("row %d of a tile has %d slots, not %d, or too many attributes", i, len(t.Rows[i].Slots), slots)
		}
	}
	s := c.borrow()
	defer c.scratch.Put(s)
	at := len(dst)
	dst = append(dst, formTile, byte(t.Kind))
	dst = appendText(dst, t.Unit)
	dst = binary.AppendUvarint(dst, uint64(slots))
	dst = binary.AppendUvarint(dst, uint64(len(t.Rows)))
	dst, sets := appendAttrSets(dst, t.Rows)
	var before *TileRow
	for i := range t.Rows {
		dst = s.appendRow(dst, &t.Rows[i], before, sets[i])
		before = &t.Rows[i]
	}
	return appendSum(dst, at), nil
}

func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// appendAttrSets stores the distinct sets of attributes and says which one each row has.
func appendAttrSets(dst []byte, rows []TileRow) ([]byte, []int) {
	numbers := map[string]int{}
	sets := make([]int, len(rows))
	var all, one []byte
	for i := range rows {
		one = binary.AppendUvarint(one[:0], uint64(len(rows[i].Attrs)))
		for _, a := range rows[i].Attrs {
			one = appendText(appendText(one, a.Key), a.Value)
		}
		number, known := numbers[string(one)]
		if !known {
			number = len(numbers)
			numbers[string(one)] = number
			all = append(all, one...)
		}
		sets[i] = number
	}
	dst = binary.AppendUvarint(dst, uint64(len(numbers)))
	return append(dst, all...), sets
}

func (s *scratch) appendRow(dst []byte, row, before *TileRow, set int) []byte {
	var flags byte
	if before != nil && before.Node == row.Node {
		flags |= rowSameNode
	}
	if before != nil && sameCounts(row.Slots, before.Slots) {
		flags |= rowSameCounts
	}
	dst = append(dst, flags)
	if flags&rowSameNode == 0 {
		dst = append(dst, row.Node[:]...)
	}
	if flags&rowSameCounts == 0 {
		dst = appendCounts(dst, row.Slots)
	}
	dst = binary.AppendUvarint(dst, uint64(set))
	s.stage = s.appendSlots(s.stage[:0], row.Slots)
	dst = binary.AppendUvarint(dst, uint64(len(s.stage)))
	return append(dst, s.stage...)
}

func sameCounts(a, b []Slot) bool {
	for i := range a {
		if a[i].Count != b[i].Count {
			return false
		}
	}
	return true
}

// appendCounts stores the counts as runs: the count, how often.
func appendCounts(dst []byte, slots []Slot) []byte {
	for i := 0; i < len(slots); {
		n := 1
		for i+n < len(slots) && slots[i+n].Count == slots[i].Count {
			n++
		}
		dst = binary.AppendUvarint(dst, uint64(slots[i].Count))
		dst = binary.AppendUvarint(dst, uint64(n))
		i += n
	}
	return dst
}

// ReadTile reads the rows of those nodes that want wants, or of all when want is nil. The error wraps
// ErrInvalid.
func (c *Codec) ReadTile(b []byte, want func(muster.NodeID) bool) (*Tile, error) {
	var rows []TileRow
	t, err := c.WalkTile(b, FieldAll, want, func(row *TileRow) error {
		kept := *row
		kept.Slots = append([]Slot(nil), row.Slots...)
		rows = append(rows, kept)
		return nil
	})
	if err != nil {
		return nil, err
	}
	t.Rows = rows
	return t, nil
}

// WalkTile reads like ReadTile, but only the fields asked for (the others stay zero), and hands each
// row to each instead of keeping it: the row and its slots are valid only during the call, its
// attributes stay. An error of each ends the walk and comes back as it is. The tile that comes back
// has no rows. It is what queries over a fleet use.
func (c *Codec) WalkTile(b []byte, fields Fields, want func(muster.NodeID) bool, each func(*TileRow) error) (*Tile, error) {
	body, err := checkSum(b, formTile, "tile")
	if err != nil {
		return nil, err
	}
	s := c.borrow()
	defer c.scratch.Put(s)
	w := tileWalk{s: s, fields: fields, want: want, each: each}
	w.f.b = body
	t := &Tile{Kind: muster.MetricKind(w.f.byte()), Unit: w.f.text(math.MaxInt32)}
	slots, rows := w.f.count(MaxSlots), w.f.count(MaxTileSlots)
	if slots*rows > MaxTileSlots {
		return nil, invalid("a tile of %d rows of %d slots", rows, slots)
	}
	w.readAttrSets()
	w.row.Slots = make([]Slot, slots)
	for range rows {
		if err := w.next(); err != nil {
			return nil, err
		}
	}
	if w.f.bad || len(w.f.b) != 0 {
		return nil, invalid("a tile with bytes after its last row")
	}
	return t, nil
}

// tileWalk is where a reader of a tile is.
type tileWalk struct {
	s      *scratch
	f      fields
	fields Fields
	want   func(muster.NodeID) bool
	each   func(*TileRow) error
	sets   [][]muster.Attr
	row    TileRow
	wanted bool
	begun  bool
}

func (w *tileWalk) readAttrSets() {
	n := w.f.count(len(w.f.b))
	for range n {
		var set []muster.Attr
		for range w.f.count(muster.MaxAttrs) {
			set = append(set, muster.Attr{Key: w.f.text(math.MaxInt32), Value: w.f.text(math.MaxInt32)})
		}
		if w.f.bad {
			return
		}
		w.sets = append(w.sets, set)
	}
}

func (w *tileWalk) next() error {
	f := &w.f
	flags := f.byte()
	if flags&^(rowSameNode|rowSameCounts) != 0 || flags != 0 && !w.begun {
		return invalid("a tile's row of unknown kind %#x", flags)
	}
	w.begun = true
	if flags&rowSameNode == 0 {
		w.row.Node = muster.NodeID(f.bytes(len(w.row.Node)))
		w.wanted = w.want == nil || w.want(w.row.Node)
	}
	if flags&rowSameCounts == 0 && !w.readCounts() {
		return invalid("a tile's row whose counts do not fit")
	}
	set := f.count(len(w.sets) - 1)
	body := f.bytes(f.count(len(f.b)))
	if f.bad {
		return invalid("a tile whose rows are cut short")
	}
	if !w.wanted {
		return nil
	}
	w.row.Attrs = w.sets[set]
	if !w.s.readSlots(body, w.row.Slots, w.fields) {
		return invalid("a tile's row that is cut short")
	}
	return w.each(&w.row)
}

func (w *tileWalk) readCounts() bool {
	slots := w.row.Slots
	for i := 0; i < len(slots); {
		count := w.f.count(math.MaxUint32)
		n := w.f.count(len(slots) - i)
		if n == 0 {
			return false
		}
		for range n {
			slots[i] = Slot{Count: uint32(count)}
			i++
		}
	}
	return true
}
