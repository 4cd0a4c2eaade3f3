package column

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// Rice coding's quotient is written in ones up to riceMost; more of them mean that the length (6 bits,
// less 1) and the number itself follow.
const riceMost = 20

// appendResiduals stores a list whose residuals are known, in the coding that should take less, or in
// the quicker one.
func (s *scratch) appendResiduals(dst []byte, residuals []int64, h numbersHead, gaps []byte, quick bool) []byte {
	var tail byte
	if h.step != 1 {
		tail = tailStep
	}
	parameter := riceParameter(residuals)
	rice := quick || riceBits(residuals, parameter) <= s.adaptiveBits(residuals)
	if rice {
		h.head |= headRice
		tail |= parameter
	} else {
		tail |= s.least
	}
	dst = append(append(append(dst, h.head), gaps...), tail)
	dst = appendBase(dst, h.base, h.head)
	if h.step != 1 {
		dst = binary.AppendUvarint(dst, h.step)
	}
	if h.head&orderMask != orderSelf {
		dst = binary.AppendVarint(dst, h.centre)
	}
	s.raw.reset()
	if rice {
		writeRice(&s.raw, residuals, tail)
		return s.raw.appendReversed(dst)
	}
	dst = append(dst, byte(s.depth))
	if s.least != 0 || s.depth != 0 {
		s.coder.reset(s.coder.out[:0])
		s.writeAdaptive(residuals)
		dst = append(dst, s.coder.finish()...)
	}
	return s.raw.appendReversed(dst)
}

// adaptiveBits estimates what writeAdaptive will take: the entropy of classes and signs, the cost of
// learning them, and the bits that stand as they are. It fills s.least and s.depth.
func (s *scratch) adaptiveBits(residuals []int64) int {
	var seen [65]int32
	negative := 0
	for _, v := range residuals {
		seen[bits.Len64(magnitude(v))]++
		negative += int(uint64(v) >> 63)
	}
	total, used, plain := float64(len(residuals)), 0, 0
	least, most := 64, 0
	cost := total * math.Log2(total)
	for class, n := range seen {
		if n == 0 {
			continue
		}
		least, most = min(least, class), class
		used++
		plain += int(n) * max(class-1, 0)
		cost -= float64(n) * math.Log2(float64(n))
	}
	if negative > 0 {
		cost += float64(len(residuals) - int(seen[0]))
	}
	s.least, s.depth = byte(least), uint(bits.Len(uint(most-least)))
	const learning = 4 // bits for each class that occurs
	return int(cost) + plain + learning*(used-1) + 16
}

// riceBits gives what writeRice will take.
func riceBits(residuals []int64, tail byte) int {
	k := uint(tail & (ricePlus - 1))
	total := len(residuals) * int(k+1)
	for _, v := range residuals {
		u := uint64(v)
		if tail&ricePlus == 0 {
			u = zigzag(v)
		}
		if q := u >> k; q < riceMost {
			total += int(q)
		} else {
			total += riceMost + 6 + bits.Len64(u)
		}
	}
	return total
}

// writeAdaptive codes each residual as its class (its bit length, by a tree of learning decisions),
// its sign (a learning decision), and its bits below the highest (as they are, to s.raw).
func (s *scratch) writeAdaptive(residuals []int64) {
	m := s.model
	m.reset(s.depth)
	for _, v := range residuals {
		size := magnitude(v)
		class := uint(bits.Len64(size))
		leaf := uint32(class - uint(s.least))
		node := uint32(1)
		for level := int(s.depth) - 1; level >= 0; level-- {
			bit := leaf >> uint(level) & 1
			s.coder.put(m, int(node), bit)
			node = node<<1 | bit
		}
		if class == 0 {
			continue
		}
		s.coder.put(m, signBit, uint32(uint64(v)>>63))
		if class > 1 {
			s.raw.put64(size&^(1<<(class-1)), class-1)
		}
	}
}

// readAdaptive appends count residuals.
func (s *scratch) readAdaptive(dst []int64, b []byte, tail byte, count int) ([]int64, bool) {
	least := uint(tail &^ tailStep)
	if len(b) < 1 || b[0] > 7 || least > 64 {
		return dst, false
	}
	depth := uint(b[0])
	if least == 0 && depth == 0 {
		for range count {
			dst = append(dst, 0)
		}
		return dst, true
	}
	m := s.model
	m.reset(depth)
	d := rangeDecoder{}
	d.reset(b[1:])
	raw := bitReader{b: b[1:]}
	for range count {
		node := uint32(1)
		for range depth {
			node = node<<1 | d.take(m, int(node))
		}
		class := least + uint(node-1<<depth)
		if class == 0 {
			dst = append(dst, 0)
			continue
		}
		if class > 64 {
			return dst, false
		}
		negative := d.take(m, signBit) != 0
		size := uint64(1)<<(class-1) | raw.take64(class-1)
		if negative {
			size = -size
		}
		dst = append(dst, int64(size))
	}
	return dst, true
}

// riceParameter gives the byte after the head: how many low bits are written as they are, and ricePlus.
func riceParameter(residuals []int64) byte {
	var sum, signs uint64
	for _, v := range residuals {
		sum += min(magnitude(v), 1<<48)
		signs |= uint64(v)
	}
	mean := sum / uint64(len(residuals))
	if signs>>63 != 0 {
		return byte(bits.Len64(mean))
	}
	return byte(bits.Len64(mean/2)) | ricePlus
}

func zigzag(v int64) uint64   { return uint64(v<<1) ^ uint64(v>>63) }
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

func writeRice(w *bitWriter, residuals []int64, tail byte) {
	k := uint(tail & (ricePlus - 1))
	for _, v := range residuals {
		u := uint64(v)
		if tail&ricePlus == 0 {
			u = zigzag(v)
		}
		q := u >> k
		if q < riceMost {
			w.put(1<<q-1, uint(q)+1)
			w.put64(u&(1<<k-1), k)
			continue
		}
		w.put(1<<riceMost-1, riceMost)
		size := uint(bits.Len64(u))
		w.put(uint64(size-1), 6)
		w.put64(u, size)
	}
}

// rice appends count residuals that writeRice wrote.
func (r *bitReader) rice(dst []int64, tail byte, count int) []int64 {
	k := uint(tail & (ricePlus - 1))
	at := len(dst)
	dst = slices.Grow(dst, count)[:at+count]
	list := dst[at:]
	need := min(riceMost+k, 56) // what an ordinary number takes at most
	mask := uint64(1)<<k - 1
	for i := range list {
		if r.n < need {
			r.fill()
		}
		q := uint(bits.TrailingZeros64(^r.acc))
		if q >= riceMost || k > 36 {
			list[i] = int64(r.longRice(k))
			continue
		}
		list[i] = int64(uint64(q)<<(k&63) | r.acc>>((q+1)&63)&mask)
		r.acc >>= (q + 1 + k) & 63
		r.n -= q + 1 + k
	}
	if tail&ricePlus == 0 {
		for i, v := range list {
			list[i] = unzigzag(uint64(v))
		}
	}
	return dst
}

// longRice reads a number that is far above the others, or that has many low bits.
func (r *bitReader) longRice(k uint) uint64 {
	if r.n < riceMost+1 {
		r.fill()
	}
	q := min(uint(bits.TrailingZeros64(^r.acc)), riceMost)
	if q == riceMost {
		r.acc >>= riceMost
		r.n -= riceMost
		return r.take64(uint(r.take(6)) + 1)
	}
	r.acc >>= q + 1
	r.n -= q + 1
	return uint64(q)<<k | r.take64(k)
}
