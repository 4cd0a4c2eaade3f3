package gateway

import (
	"errors"
	"io"
	"sync"
)

// buffers are shared by all connections: one holds a message only while that is read, handled or written.
type buffers struct {
	pool sync.Pool
}

// Sizes of buffers, in bytes.
const (
	newBuffer  = 4 << 10
	keptBuffer = 256 << 10 // a longer one is rare and goes back to the system
)

func (bs *buffers) get() *[]byte {
	if b, ok := bs.pool.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, newBuffer)
	return &b
}

func (bs *buffers) put(b *[]byte) {
	if cap(*b) <= keptBuffer {
		bs.pool.Put(b)
	}
}

// readAll is io.ReadAll into a buffer that is used again.
func readAll(r io.Reader, b []byte) ([]byte, error) {
	b = b[:0]
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}
