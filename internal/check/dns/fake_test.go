package dns_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"
)

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

// canned is a connection on which an answer lies ready: to whatever is asked, under the id that was asked.
type canned struct {
	net.Conn
	answer []byte
	out    bytes.Reader
}

func dialer(answer []byte) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		return &canned{answer: bytes.Clone(answer)}, nil
	}
}

func (c *canned) Write(b []byte) (int, error) {
	if len(b) > 4 && len(c.answer) > 2 {
		copy(c.answer, b[2:4])
	}
	c.out.Reset(append(binary.BigEndian.AppendUint16(nil, uint16(len(c.answer))), c.answer...))
	return len(b), nil
}

func (c *canned) Read(b []byte) (int, error) {
	n, err := c.out.Read(b)
	if n == 0 {
		return 0, io.EOF
	}
	return n, err
}

func (c *canned) Close() error                     { return nil }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }
