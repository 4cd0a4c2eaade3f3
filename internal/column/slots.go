package column

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// The values of a row's slots are stored as streams of whole numbers, each predicted from the ones
// before it, all Rice coded into one run of bits. First come a byte with the scale and which streams
// there are, then for each stream a byte (as after the head of a list, with streamDelta) and, with
// streamDelta, its first number.
const (
	slotSumUlps      = 1 << 4 // sums are not whole in the scale: what they are off follows
	slotIncrease     = 1 << 5 // increases are there
	slotIncreaseUlps = 1 << 6 // and are not whole in the scale

	streamDelta = 1 << 7 // residuals are differences from the number before
)

// The streams, in stored order. Those that fewer queries need come last.
const (
	streamMin    = iota
	streamSpread // max - min
	streamSum    // sum - count*(min+max)/2
	streamSumUlps
	streamLast     // max - last
	streamIncrease // increase - (last - last of the slot before)
	streamIncreaseUlps
	streams
)

// row is the working memory for one row: the numbers of each stream, and the counts.
type row struct {
	lists  [streams][]int64
	counts []int64
}

func (r *row) reset() {
	r.counts = r.counts[:0]
	for i := range r.lists {
		r.lists[i] = r.lists[i][:0]
	}
}

// appendSlots stores the slots that have values.
func (s *scratch) appendSlots(dst []byte, slots []Slot) []byte {
	r := &s.row
	r.reset()
	head := s.fillRow(r, slots)
	if len(r.counts) == 0 {
		return dst
	}
	dst = append(dst, head)
	s.raw.reset()
	for i := range r.lists {
		if inRow(i, head) {
			dst = s.appendStream(dst, r.lists[i])
		}
	}
	return s.raw.appendReversed(dst)
}

// inRow says whether a stream is stored.
func inRow(stream int, head byte) bool {
	switch stream {
	case streamSumUlps:
		return head&slotSumUlps != 0
	case streamIncrease:
		return head&slotIncrease != 0
	case streamIncreaseUlps:
		return head&slotIncreaseUlps != 0
	}
	return true
}

// fillRow turns slots into streams.
func (s *scratch) fillRow(r *row, slots []Slot) (head byte) {
	s.vals = s.vals[:0]
	for i := range slots {
		if sl := &slots[i]; sl.Count > 0 {
			r.counts = append(r.counts, int64(sl.Count))
			s.vals = append(s.vals, sl.Min, sl.Max, sl.Last)
		}
	}
	scale, ok := s.decimals(s.vals)
	ok = ok && sumsFit(slots, power(scale))
	if !ok {
		scale = scaleBits
	}
	p := power(min(scale, maxScale))
	var before int64
	var off, offIncrease, increases uint64
	for i := range slots {
		sl := &slots[i]
		if sl.Count == 0 {
			continue
		}
		low, _ := number(sl.Min, p, ok)
		high, _ := number(sl.Max, p, ok)
		last, _ := number(sl.Last, p, ok)
		sum, ulps := number(sl.Sum, p, ok)
		increase, increaseUlps := number(sl.Increase, p, ok)
		increases |= math.Float64bits(sl.Increase)
		off |= uint64(ulps)
		offIncrease |= uint64(increaseUlps)
		if len(r.lists[streamMin]) == 0 {
			before = low
		}
		r.push(streamMin, low)
		r.push(streamSpread, high-low)
		r.push(streamSum, sum-expectedSum(ok, int64(sl.Count), low, high))
		r.push(streamSumUlps, ulps)
		r.push(streamLast, high-last)
		r.push(streamIncrease, increase-expectedIncrease(ok, before, last))
		r.push(streamIncreaseUlps, increaseUlps)
		before = last
	}
	head = byte(scale)
	if off != 0 {
		head |= slotSumUlps
	}
	if increases != 0 {
		head |= slotIncrease
		if offIncrease != 0 {
			head |= slotIncreaseUlps
		}
	}
	return head
}

func (r *row) push(stream int, v int64) { r.lists[stream] = append(r.lists[stream], v) }

// sumsFit says whether sums and increases can be rounded to whole numbers in the scale.
func sumsFit(slots []Slot, p float64) bool {
	const most = 1 << 62
	for i := range slots {
		sum, inc := slots[i].Sum*p, slots[i].Increase*p
		if slots[i].Count > 0 && !(math.Abs(sum) < most && math.Abs(inc) < most) {
			return false
		}
	}
	return true
}

// number gives a value in the scale, and what its bits are off from what that number gives back.
func number(v, p float64, decimal bool) (n, ulps int64) {
	if !decimal {
		return int64(math.Float64bits(v)), 0
	}
	n = int64(v*p + math.Copysign(0.5, v))
	return n, int64(math.Float64bits(v) - math.Float64bits(float64(n)/p))
}

func expectedSum(decimal bool, count, low, high int64) int64 {
	if !decimal {
		return 0
	}
	return count * ((low + high) >> 1)
}

func expectedIncrease(decimal bool, before, last int64) int64 {
	if !decimal {
		return 0
	}
	return last - before
}

// appendStream stores the head of one stream in dst and its bits in s.raw; list is changed.
func (s *scratch) appendStream(dst []byte, list []int64) []byte {
	var self, delta, last int64
	for i, v := range list {
		self += int64(bits.Len64(magnitude(v)))
		if i > 0 {
			delta += int64(bits.Len64(magnitude(v - last)))
		}
		last = v
	}
	var tail byte
	first := list[0]
	residuals := list
	const firstCost = 16
	if delta+firstCost < self {
		tail = streamDelta
		last = first
		residuals = list[1:]
		for i, v := range residuals {
			residuals[i], last = v-last, v
		}
	}
	if len(residuals) > 0 {
		tail |= riceParameter(residuals)
	}
	dst = append(dst, tail)
	if tail&streamDelta != 0 {
		dst = binary.AppendVarint(dst, first)
	}
	writeRice(&s.raw, residuals, tail)
	return dst
}

// readSlots fills the fields asked for of the slots that have a count. It gives false when b is cut
// short.
func (s *scratch) readSlots(b []byte, slots []Slot, want Fields) bool {
	n := 0
	for i := range slots {
		if slots[i].Count > 0 {
			n++
		}
	}
	if n == 0 {
		return len(b) == 0
	}
	if len(b) == 0 {
		return false
	}
	head := b[0]
	b = b[1:]
	if scale := head & 15; scale > maxScale && scale != scaleBits || head&(1<<7) != 0 {
		return false
	}
	r := &s.row
	r.reset()
	var heads [streams]streamHead
	for i := range heads {
		if inRow(i, head) {
			if b = heads[i].read(b); b == nil {
				return false
			}
		}
	}
	most := streams
	if want&(FieldLast|FieldIncrease) == 0 {
		most = streamLast
	} else if want&FieldIncrease == 0 {
		most = streamIncrease
	}
	bitsOf := bitReader{b: b}
	for i := range most {
		if inRow(i, head) {
			r.lists[i] = heads[i].numbers(r.lists[i], &bitsOf, n)
		}
	}
	r.restore(slots, head, want)
	return true
}

// streamHead is what is stored of a stream before the bits.
type streamHead struct {
	tail  byte
	first int64
}

func (h *streamHead) read(b []byte) (rest []byte) {
	if len(b) == 0 {
		return nil
	}
	h.tail = b[0]
	b = b[1:]
	if h.tail&streamDelta != 0 {
		var n int
		if h.first, n = binary.Varint(b); n <= 0 {
			return nil
		}
		b = b[n:]
	}
	return b[:len(b):len(b)]
}

func (h *streamHead) numbers(dst []int64, r *bitReader, n int) []int64 {
	if h.tail&streamDelta == 0 {
		return r.rice(dst, h.tail, n)
	}
	dst = r.rice(append(dst, h.first), h.tail, n-1)
	for i := 1; i < len(dst); i++ {
		dst[i] += dst[i-1]
	}
	return dst
}
