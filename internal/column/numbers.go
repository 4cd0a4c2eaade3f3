package column

import (
	"encoding/binary"
	"math/bits"
)

// A list of whole numbers is stored as a head, a base, and the residuals that are left when each is
// predicted: number[i] = base + step*m[i], where m is given by the order below. All arithmetic wraps
// at 64 bits, on both sides.
const (
	orderSelf     = 0 // m[i] = residual[i]
	orderDelta    = 1 // m[i] = m[i-1] + centre + residual[i], m[0] = 0
	orderDelta2   = 2 // m[i] = 2*m[i-1] - m[i-2] + residual[i], m[0] = 0, m[-1] = -centre
	orderConstant = 3 // number[i] = base
	orderMask     = 3

	headRice = 1 << 2 // residuals are Rice coded, else by the adaptive range coder
	headGaps = 1 << 3 // runs of present and absent values follow the head (columns only)
	scaleBit = 4      // the scale is in the upper half of the head

	tailStep = 1 << 7 // in the byte after the head: a step follows
	ricePlus = 1 << 6 // in the byte after the head, with headRice: no residual is negative
)

// plan is how a list is predicted.
type plan struct {
	order  int
	centre int64
	cost   int // estimated bits of the residuals
}

// appendNumbers stores list, which it changes. head brings the scale and the flag of gaps; quick asks
// for the quicker coding. gaps, when there are any, are stored after the head.
func (s *scratch) appendNumbers(dst []byte, list []int64, head byte, quick bool, gaps []byte) []byte {
	base, step := s.normalise(list, head>>scaleBit == scaleBits)
	if step == 0 {
		dst = append(append(dst, head|orderConstant), gaps...)
		return appendBase(dst, base, head)
	}
	p := s.predict(list, quick)
	residuals := list
	switch p.order {
	case orderSelf:
		for i := range list {
			list[i] -= p.centre
		}
		base = unscale(base, p.centre, step, head)
	case orderDelta:
		residuals = s.diff[1:len(list)]
		for i := range residuals {
			residuals[i] -= p.centre
		}
	case orderDelta2:
		residuals = s.diff[1:len(list)]
		last := p.centre
		for i, d := range residuals {
			residuals[i], last = d-last, d
		}
	}
	h := numbersHead{head | byte(p.order), base, step, p.centre}
	return s.appendResiduals(dst, residuals, h, gaps, quick)
}

// numbersHead is what is stored of a list before its residuals.
type numbersHead struct {
	head   byte
	base   int64
	step   uint64 // 1 when absent; with scaleBits the power of two to shift by, plus 1
	centre int64
}

// unscale gives number from m.
func unscale(base, m int64, step uint64, head byte) int64 {
	if head>>scaleBit == scaleBits {
		return base + m<<(step-1)
	}
	return base + m*int64(step)
}

// normalise turns list into m: distances from the first number in the largest step that divides all.
// Step 0 means that all numbers are equal. With shift the step is a power of two, given as its
// exponent plus 1.
func (s *scratch) normalise(list []int64, shift bool) (base int64, step uint64) {
	if len(list) == 0 {
		return 0, 0
	}
	base = list[0]
	if shift {
		var all uint64
		for i := range list {
			list[i] -= base
			all |= uint64(list[i])
		}
		if all == 0 {
			return base, 0
		}
		low := bits.TrailingZeros64(all)
		for i := range list {
			list[i] >>= low
		}
		return base, uint64(low) + 1
	}
	for i := range list {
		list[i] -= base
		if step != 1 {
			step = divisor(step, magnitude(list[i]))
		}
	}
	if step > 1 {
		for i := range list {
			list[i] /= int64(step)
		}
	}
	return base, step
}

// divisor gives the greatest common divisor; 0 divides nothing and is divided by all.
func divisor(a, b uint64) uint64 {
	if a == 0 {
		return b
	}
	if a&(a-1) == 0 { // the common case is cheap
		if b&(a-1) == 0 {
			return a
		}
		return b & -b
	}
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func magnitude(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}

// predict chooses order and centre, and leaves the differences of list in s.diff[1:].
func (s *scratch) predict(list []int64, quick bool) plan {
	n := len(list)
	if cap(s.diff) < n {
		s.diff = make([]int64, n+n/4)
	}
	diff := s.diff[:n]
	diff[0] = 0
	for i := 1; i < n; i++ {
		diff[i] = list[i] - list[i-1]
	}
	samples := 23
	if quick {
		samples = 9
	}
	best := plan{orderDelta, 0, spread(diff[1:], 0)}
	try := func(order int, over []int64, centre int64) {
		if cost := spread(over, centre); cost < best.cost {
			best = plan{order, centre, cost}
		}
	}
	if c := middle(diff[1:], samples); c != 0 {
		try(orderDelta, diff[1:], c)
	}
	try(orderSelf, list, middle(list, samples))
	if !quick {
		try(orderDelta, diff[1:], least(diff[1:]))
		try(orderSelf, list, least(list))
		if cost := spread2(diff[1:]); cost < best.cost {
			best = plan{orderDelta2, diff[1], cost}
		}
	}
	return best
}

// spread estimates the bits that the distances of list from centre take.
func spread(list []int64, centre int64) int {
	size, signs := 0, 0
	var below int64
	for _, v := range list {
		d := v - centre
		below |= d
		l := bits.Len64(magnitude(d))
		size += l
		if l != 0 {
			signs++
		}
	}
	if below < 0 {
		size += signs
	}
	return size
}

// spread2 is spread for the differences of diff, about 0.
func spread2(diff []int64) int {
	size := 0
	for i := 1; i < len(diff); i++ {
		if l := bits.Len64(magnitude(diff[i] - diff[i-1])); l != 0 {
			size += l + 1
		}
	}
	return size
}

func least(list []int64) int64 {
	low := list[0]
	for _, v := range list {
		low = min(low, v)
	}
	return low
}

// middle gives the median of at most samples numbers, taken evenly over list.
func middle(list []int64, samples int) int64 {
	var few [32]int64
	n := min(len(list), samples)
	for i := range n {
		v := list[i*len(list)/n]
		at := i
		for ; at > 0 && few[at-1] > v; at-- {
			few[at] = few[at-1]
		}
		few[at] = v
	}
	return few[n/2]
}

// readNumbers appends n numbers to dst. It gives false when b is cut short.
func (s *scratch) readNumbers(dst []int64, b []byte, head byte, n int) ([]int64, bool) {
	h := numbersHead{head: head, step: 1}
	if head&orderMask == orderConstant {
		base, _, ok := readBase(b, head)
		for range n {
			dst = append(dst, base)
		}
		return dst, ok
	}
	if len(b) < 1 || n < 1 {
		return dst, false
	}
	tail := b[0]
	b = b[1:]
	if b, h.base, h.step, h.centre = readHead(b, head, tail); b == nil {
		return dst, false
	}
	at := len(dst)
	count := n
	if head&orderMask != orderSelf {
		dst = append(dst, 0) // m[0]
		count--
	}
	ok := true
	if head&headRice != 0 {
		r := bitReader{b: b}
		dst = r.rice(dst, tail, count)
	} else {
		dst, ok = s.readAdaptive(dst, b, tail, count)
	}
	restore(dst[at:], h)
	return dst, ok
}

// restore turns residuals into numbers.
func restore(list []int64, h numbersHead) {
	switch h.head & orderMask {
	case orderDelta:
		for i := 1; i < len(list); i++ {
			list[i] += list[i-1] + h.centre
		}
	case orderDelta2:
		last := h.centre
		for i := 1; i < len(list); i++ {
			last += list[i]
			list[i] = list[i-1] + last
		}
	}
	if h.step == 1 {
		for i := range list {
			list[i] += h.base
		}
		return
	}
	for i, m := range list {
		list[i] = unscale(h.base, m, h.step, h.head)
	}
}

func readHead(b []byte, head, tail byte) (rest []byte, base int64, step uint64, centre int64) {
	base, b, ok := readBase(b, head)
	step = 1
	if ok && tail&tailStep != 0 {
		var n int
		if step, n = binary.Uvarint(b); n <= 0 || head>>scaleBit == scaleBits && (step < 1 || step > 64) {
			return nil, 0, 0, 0
		}
		b = b[n:]
	}
	if ok && head&orderMask != orderSelf {
		var n int
		if centre, n = binary.Varint(b); n <= 0 {
			return nil, 0, 0, 0
		}
		b = b[n:]
	}
	if !ok {
		return nil, 0, 0, 0
	}
	return b[:len(b):len(b)], base, step, centre
}

// appendBase stores a base: floats as their bytes in reverse, since their last ones are often 0.
func appendBase(dst []byte, base int64, head byte) []byte {
	if head>>scaleBit == scaleBits {
		return binary.AppendUvarint(dst, bits.ReverseBytes64(uint64(base)))
	}
	return binary.AppendVarint(dst, base)
}

func readBase(b []byte, head byte) (base int64, rest []byte, ok bool) {
	var n int
	if head>>scaleBit == scaleBits {
		var u uint64
		u, n = binary.Uvarint(b)
		base = int64(bits.ReverseBytes64(u))
	} else {
		base, n = binary.Varint(b)
	}
	if n <= 0 {
		return 0, nil, false
	}
	return base, b[n:], true
}
