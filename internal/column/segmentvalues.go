package column

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// In a segment a value is a nibble that says its form, and the bytes of that form. The forms are what
// measurements look like: whole numbers and decimals of 2, 4 or 6 digits after the point.
const (
	formZero  = 0  // +0
	formNaN   = 1  // no value
	formWhole = 2  // 2 to 7: a whole number above 0 in 1 to 6 bytes
	formPlain = 8  // the 8 bytes of the float
	form2     = 9  // 9, 10, 11: hundredths in 1, 2, 4 bytes
	form4     = 12 // 12, 13, 14: ten-thousandths in 1, 2, 4 bytes
	form6     = 15 // millionths in 6 bytes
)

// formWidth gives the bytes that follow each form, a nibble each: 0 0 1 2 3 4 5 6 8 1 2 4 1 2 4 6.
const formWidth = 0x6421421865432100

// appendValues stores values: their forms, two in a byte, then their bytes, little endian.
func appendValues(dst []byte, values []float64) []byte {
	forms := len(dst)
	need := (len(values)+1)/2 + 8*len(values) + 8
	dst = append(dst, make([]byte, need)...)
	out := forms + (len(values)+1)/2
	for i, v := range values {
		form, u := shape(v)
		dst[forms+i/2] |= form << (i % 2 * 4)
		binary.LittleEndian.PutUint64(dst[out:], u)
		out += int(formWidth >> (form * 4) & 15)
	}
	return dst[:out]
}

// shape chooses the form of a value and gives its bytes.
func shape(v float64) (form byte, u uint64) {
	raw := math.Float64bits(v)
	if raw == 0 {
		return formZero, 0
	}
	if v > 0 && v < 1<<48 {
		if n := int64(v); float64(n) == v {
			return formWhole - 1 + byte(bits.Len64(uint64(n))+7)>>3, uint64(n)
		}
		if n := int64(v*100 + 0.5); n < 1<<32 && float64(n)/100 == v {
			return form2 + width124(uint64(n)), uint64(n)
		}
		if n := int64(v*1e4 + 0.5); n < 1<<32 && float64(n)/1e4 == v {
			return form4 + width124(uint64(n)), uint64(n)
		}
		if n := int64(v*1e6 + 0.5); n < 1<<48 && float64(n)/1e6 == v {
			return form6, uint64(n)
		}
		return formPlain, raw
	}
	if v != v {
		return formNaN, 0
	}
	return formPlain, raw
}

// width124 gives 0, 1 or 2 for numbers that need 1, 2 or 4 bytes.
func width124(u uint64) byte {
	switch {
	case u < 1<<8:
		return 0
	case u < 1<<16:
		return 1
	}
	return 2
}

// readValues fills values and gives what follows them; false when b is cut short.
func readValues(values []float64, b []byte) (rest []byte, ok bool) {
	forms := (len(values) + 1) / 2
	if len(b) < forms {
		return nil, false
	}
	at := forms
	for i := range values {
		form := b[i/2] >> (i % 2 * 4) & 15
		width := int(formWidth >> (form * 4) & 15)
		var u uint64
		switch {
		case at+8 <= len(b):
			u = binary.LittleEndian.Uint64(b[at:]) & (1<<(width*8) - 1)
		case at+width <= len(b):
			var few [8]byte
			copy(few[:], b[at:at+width])
			u = binary.LittleEndian.Uint64(few[:])
		default:
			return nil, false
		}
		at += width
		values[i] = unshape(form, u)
	}
	return b[at:], true
}

func unshape(form byte, u uint64) float64 {
	switch {
	case form == formZero:
		return 0
	case form == formNaN:
		return math.NaN()
	case form == formPlain:
		return math.Float64frombits(u)
	case form < formPlain:
		return float64(u)
	case form < form4:
		return float64(u) / 100
	case form < form6:
		return float64(u) / 1e4
	}
	return float64(u) / 1e6
}
