package host

import (
	"bytes"
	"io"
	"os"

	"muster/internal/check"
)

// text is a piece of a file of procfs; its methods cut words off its front without copying.
type text []byte

// line cuts the next line off; ok is false at the end.
func (t *text) line() (line text, ok bool) {
	if len(*t) == 0 {
		return nil, false
	}
	end := bytes.IndexByte(*t, '\n')
	if end < 0 {
		line, *t = *t, nil
		return line, true
	}
	line, *t = (*t)[:end], (*t)[end+1:]
	return line, true
}

// word cuts the next word off; it is empty at the end.
func (t *text) word() text {
	b := *t
	start := 0
	for start < len(b) && blank(b[start]) {
		start++
	}
	end := start
	for end < len(b) && !blank(b[end]) {
		end++
	}
	*t = b[end:]
	return b[start:end]
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' }

// number cuts the next word off and reads it as a decimal number without a sign. What is no number
// gives NaN: the metric then has no value.
func (t *text) number() float64 { return t.word().value() }

// value reads the whole text as a decimal number, with a fraction if there is one.
func (t text) value() float64 {
	var whole uint64
	digits, fraction := 0, -1
	for _, c := range t {
		switch {
		case c >= '0' && c <= '9' && digits < 19:
			whole = whole*10 + uint64(c-'0')
			digits++
			if fraction >= 0 {
				fraction++
			}
		case c == '.' && fraction < 0:
			fraction = 0
		default:
			return none()
		}
	}
	if digits == 0 {
		return none()
	}
	return float64(whole) / pow10(fraction)
}

func pow10(n int) float64 {
	p := 1.0
	for ; n > 0; n-- {
		p *= 10
	}
	return p
}

// skip cuts n words off.
func (t *text) skip(n int) {
	for range n {
		t.word()
	}
}

// procFile is a file that is read again and again. It is held open: procfs makes its content anew at
// each read from the start.
type procFile struct {
	path string
	file *os.File
	buf  []byte
}

// read gives the whole content, good until the next call.
func (f *procFile) read() (text, error) {
	if f.file == nil {
		file, err := os.Open(f.path)
		if err != nil {
			return nil, err
		}
		f.file = file
	}
	if f.buf == nil {
		f.buf = make([]byte, 4096)
	}
	n := 0
	for {
		m, err := f.file.ReadAt(f.buf[n:], int64(n))
		n += m
		if err == io.EOF {
			return f.buf[:n], nil
		}
		if err != nil {
			f.close()
			return nil, err
		}
		if n == len(f.buf) {
			f.buf = append(f.buf, make([]byte, len(f.buf))...)
		}
	}
}

func (f *procFile) close() {
	if f.file != nil {
		_ = f.file.Close() // it was only read
		f.file = nil
	}
}

// none is the value of a metric that has none.
func none() float64 { return check.None() }
