package column

import (
	"encoding/binary"
	"math"
)

// The scale of a column says what its numbers are: decimal digits after the point (0 to maxScale),
// the bits of the floats (scaleBits), or nothing, the values stand there as they are (scalePlain).
const (
	maxScale   = 12
	scalePlain = 14
	scaleBits  = 15
)

// scratch is what one encoding or decoding works with.
type scratch struct {
	model       *model
	coder       rangeEncoder
	raw         bitWriter
	least       byte
	depth       uint
	list, diff  []int64
	vals, check []float64
	gaps        []byte
	body, stage []byte
	row         row
}

func (c *Codec) borrow() *scratch {
	if s, ok := c.scratch.Get().(*scratch); ok {
		return s
	}
	return &scratch{model: newModel()}
}

// power gives 10^n exactly, for n from 0 to maxScale.
func power(n int) float64 {
	p := 1.0
	for range n {
		p *= 10
	}
	return p
}

// appendColumn stores values; with quick in the quicker coding and unverified.
func (s *scratch) appendColumn(dst []byte, values []float64, quick bool) []byte {
	at := len(dst)
	present := s.present(values)
	head := byte(0)
	if len(s.gaps) > 0 {
		head = headGaps
	}
	scale, ok := s.decimals(present)
	if !ok {
		scale = scaleBits
		s.list = s.list[:0]
		for _, v := range present {
			s.list = append(s.list, int64(math.Float64bits(v)))
		}
	}
	dst = s.appendNumbers(dst, s.list, head|byte(scale)<<scaleBit, quick, s.gaps)
	if len(dst)-at > 8*len(values)+1 || !quick && !s.verify(dst[at:], values) {
		dst = appendPlain(dst[:at], values)
	}
	return dst
}

// present gives the values that are there, and fills s.gaps when some are not: the number of runs,
// then their lengths, the first one of values. All absent is stored as a constant NaN.
func (s *scratch) present(values []float64) []float64 {
	s.gaps = s.gaps[:0]
	absent := 0
	for _, v := range values {
		if v != v {
			absent++
		}
	}
	if absent == 0 {
		return values
	}
	s.vals = s.vals[:0]
	if absent == len(values) {
		for range values {
			s.vals = append(s.vals, math.NaN())
		}
		return s.vals
	}
	runs, length, there := 1, 0, true
	s.body = s.body[:0]
	for _, v := range values {
		if (v == v) != there {
			s.body = binary.AppendUvarint(s.body, uint64(length))
			runs, length, there = runs+1, 0, !there
		}
		length++
		if there {
			s.vals = append(s.vals, v)
		}
	}
	s.body = binary.AppendUvarint(s.body, uint64(length))
	s.gaps = append(binary.AppendUvarint(s.gaps, uint64(runs)), s.body...)
	return s.vals
}

// decimals finds the fewest digits after the point that give every value exactly back and fills
// s.list with the values in that unit. It gives false when there are none.
func (s *scratch) decimals(values []float64) (scale int, ok bool) {
	if cap(s.list) < len(values) {
		s.list = make([]int64, len(values)+len(values)/4)
	}
	list := s.list[:len(values)]
	s.list = list
	p := 1.0
	for i := 0; i < len(values); {
		n, exact := whole(values[i], p)
		if exact {
			list[i] = n
			i++
			continue
		}
		if scale, p = scale+1, p*10; scale > maxScale || values[i] != values[i] {
			return 0, false
		}
		for ; !digits(values[i], p); p *= 10 {
			if scale++; scale > maxScale {
				return 0, false
			}
		}
		i = 0
	}
	return scale, true
}

func digits(v, p float64) bool {
	_, exact := whole(v, p)
	return exact
}

// whole gives v*p as a whole number when dividing that by p gives back every bit of v.
func whole(v, p float64) (n int64, exact bool) {
	const most = 1 << 53
	x := v * p
	if !(x < most && x > -most) {
		return 0, false
	}
	n = int64(x + math.Copysign(0.5, x))
	return n, math.Float64bits(float64(n)/p) == math.Float64bits(v)
}

// verify says whether stored gives values back.
func (s *scratch) verify(stored []byte, values []float64) bool {
	var err error
	if s.check, err = s.readColumn(s.check[:0], stored, len(values)); err != nil {
		return false
	}
	for i, v := range values {
		if math.Float64bits(s.check[i]) != math.Float64bits(v) && v == v {
			return false
		}
	}
	return true
}

// appendPlain stores values as they are.
func appendPlain(dst []byte, values []float64) []byte {
	dst = append(dst, scalePlain<<scaleBit)
	for _, v := range values {
		if v != v {
			v = math.NaN()
		}
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
	}
	return dst
}

// readColumn appends n values to dst.
func (s *scratch) readColumn(dst []float64, b []byte, n int) ([]float64, error) {
	if len(b) == 0 {
		return dst, invalid("an empty column")
	}
	head := b[0]
	scale := int(head >> scaleBit)
	b = b[1:]
	switch {
	case scale == scalePlain && len(b) == 8*n:
		for ; len(b) > 0; b = b[8:] {
			dst = append(dst, math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}
		return dst, nil
	case scale > maxScale && scale != scaleBits:
		return dst, invalid("a column of unknown scale %d", scale)
	}
	var runs []byte
	count := n
	if head&headGaps != 0 {
		if runs, b, count = readGaps(b, n); count < 0 {
			return dst, invalid("a column whose gaps do not fit")
		}
	}
	var ok bool
	if s.list, ok = s.readNumbers(s.list[:0], b, head, count); !ok {
		return dst, invalid("a column that is cut short")
	}
	at := len(dst)
	dst = appendScaled(dst, s.list, scale)
	if runs != nil {
		dst = spreadOut(dst, at, runs, n)
	}
	return dst, nil
}

// appendScaled turns numbers into values.
func appendScaled(dst []float64, list []int64, scale int) []float64 {
	switch scale {
	case scaleBits:
		for _, n := range list {
			dst = append(dst, math.Float64frombits(uint64(n)))
		}
	case 0:
		for _, n := range list {
			dst = append(dst, float64(n))
		}
	default:
		p := power(scale)
		for _, n := range list {
			dst = append(dst, float64(n)/p)
		}
	}
	return dst
}

// readGaps checks the runs and counts the values that are there; -1 when they do not fit n.
func readGaps(b []byte, n int) (runs, rest []byte, count int) {
	number, k := binary.Uvarint(b)
	if k <= 0 || number > uint64(n)+1 {
		return nil, nil, -1
	}
	b = b[k:]
	runs = b
	total := uint64(0)
	for i := range number {
		length, k := binary.Uvarint(b)
		if k <= 0 || length > uint64(n) {
			return nil, nil, -1
		}
		b = b[k:]
		total += length
		if i%2 == 0 {
			count += int(length)
		}
	}
	if total != uint64(n) {
		return nil, nil, -1
	}
	return runs[:len(runs)-len(b)], b, count
}

// spreadOut moves the values in dst[at:] to their places among n and puts NaN between them. The runs
// have been checked.
func spreadOut(dst []float64, at int, runs []byte, n int) []float64 {
	values := append([]float64(nil), dst[at:]...)
	dst = dst[:at]
	for there := true; len(runs) > 0; there = !there {
		length, k := binary.Uvarint(runs)
		runs = runs[k:]
		if there {
			dst = append(dst, values[:length]...)
			values = values[length:]
			continue
		}
		for range length {
			dst = append(dst, math.NaN())
		}
	}
	return dst[:at+n]
}
