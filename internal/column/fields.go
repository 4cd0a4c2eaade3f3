package column

import "encoding/binary"

// fields reads the parts of a stored form; after the first fault it is bad and yields zeros.
type fields struct {
	b   []byte
	bad bool
}

// count reads a uvarint of at most most; most below 0 allows nothing.
func (f *fields) count(most int) int {
	v, n := binary.Uvarint(f.b)
	if n <= 0 || most < 0 || v > uint64(most) {
		f.bad, f.b = true, nil
		return 0
	}
	f.b = f.b[n:]
	return int(v)
}

// signed reads a varint.
func (f *fields) signed() int64 {
	v, n := binary.Varint(f.b)
	if n <= 0 {
		f.bad, f.b = true, nil
		return 0
	}
	f.b = f.b[n:]
	return v
}

// bytes gives the next n bytes without copying; when there are fewer, n bytes of zeros if that is at
// most the length of an id, else none.
func (f *fields) bytes(n int) []byte {
	if n > len(f.b) {
		f.bad, f.b = true, nil
		return make([]byte, min(n, 16))
	}
	b := f.b[:n]
	f.b = f.b[n:]
	return b
}

func (f *fields) byte() byte           { return f.bytes(1)[0] }
func (f *fields) text(most int) string { return string(f.bytes(f.count(most))) }
