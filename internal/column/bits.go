package column

import (
	"encoding/binary"
	"slices"
)

// bitWriter gathers bits, the first one lowest. Its bytes are stored in reverse, so that they can
// grow towards a range-coded stream from the other end of a column, without a length between them.
type bitWriter struct {
	buf []byte
	acc uint64
	n   uint // bits in acc, below 32 between calls
}

func (w *bitWriter) reset() { w.buf, w.acc, w.n = w.buf[:0], 0, 0 }

// put writes the low width bits of v, which has no others; width is at most 32.
func (w *bitWriter) put(v uint64, width uint) {
	w.acc |= v << w.n
	w.n += width
	if w.n >= 32 {
		w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(w.acc))
		w.acc >>= 32
		w.n -= 32
	}
}

// put64 is put for widths up to 64.
func (w *bitWriter) put64(v uint64, width uint) {
	if width > 32 {
		w.put(v&(1<<32-1), 32)
		v, width = v>>32, width-32
	}
	w.put(v, width)
}

// appendReversed appends what was written, its first byte last.
func (w *bitWriter) appendReversed(dst []byte) []byte {
	for ; w.n > 0; w.n -= min(w.n, 8) {
		w.buf = append(w.buf, byte(w.acc))
		w.acc >>= 8
	}
	at := len(dst)
	dst = append(dst, w.buf...)
	slices.Reverse(dst[at:])
	return dst
}

// bitReader reads what appendReversed stored, from the end of b backwards. Beyond the beginning it
// reads zeros: what is stored is guarded by a checksum, so that this needs to be safe, not told.
type bitReader struct {
	b   []byte
	acc uint64
	n   uint
}

// fill makes at least 56 bits ready.
func (r *bitReader) fill() {
	if last := len(r.b); last >= 8 {
		r.acc |= binary.BigEndian.Uint64(r.b[last-8:]) << (r.n & 63)
		r.b = r.b[:last-int((63-r.n)>>3)]
		r.n |= 56
		return
	}
	r.fillSlowly()
}

func (r *bitReader) fillSlowly() {
	for r.n < 56 {
		if last := len(r.b) - 1; last >= 0 {
			r.acc |= uint64(r.b[last]) << r.n
			r.b = r.b[:last]
		}
		r.n += 8
	}
}

// take gives the next width bits, at most 56.
func (r *bitReader) take(width uint) uint64 {
	if r.n < width {
		r.fill()
	}
	v := r.acc & (1<<width - 1)
	r.acc >>= width
	r.n -= width
	return v
}

// take64 is take for widths up to 64.
func (r *bitReader) take64(width uint) uint64 {
	if width <= 32 {
		return r.take(width)
	}
	low := r.take(32)
	return low | r.take(width-32)<<32
}
