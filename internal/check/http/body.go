package http

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"strings"

	"muster/internal/check"
)

// errTooMuch ends the reading of an answer that is longer than is taken.
var errTooMuch = errors.New("more than is taken")

// feed reads from a connection up to a bound that moves from part to part.
type feed struct {
	from io.Reader
	left int
	err  error // of the connection
}

// Read is io.Reader's; errTooMuch after the bound.
func (f *feed) Read(b []byte) (int, error) {
	if f.left <= 0 {
		return 0, errTooMuch
	}
	n, err := f.from.Read(b[:min(len(b), f.left)])
	f.left -= n
	if err != nil {
		f.err = err
	}
	return n, err
}

// body is what was read of an answer's body.
type body struct {
	text []byte // unpacked; only its beginning when nothing is searched in it
	size int    // as it came, without the lengths of its pieces
	cut  bool   // there is more
}

func (b *body) cutNumber() float64 {
	if b.cut {
		return 1
	}
	return 0
}

// counter counts what passes and ends it at the bound.
type counter struct {
	from io.Reader
	n    int
}

// Read is io.Reader's; errTooMuch when there is more than the bound.
func (c *counter) Read(b []byte) (int, error) {
	if c.n == maxBody {
		var one [1]byte
		n, err := c.from.Read(one[:])
		if n > 0 {
			return 0, errTooMuch
		}
		return 0, err
	}
	n, err := c.from.Read(b[:min(len(b), maxBody-c.n)])
	c.n += n
	return n, err
}

// readBody reads up to maxBody of the body, packed as well as unpacked. More is cut off, which is no error.
func (r *run) readBody(answer *nethttp.Response) (b body, err error) {
	wire := &counter{from: answer.Body}
	keep := maxShown
	if r.bodyMatch != nil || len(r.matches) > 0 {
		keep = maxBody
	}
	if strings.EqualFold(answer.Header.Get("Content-Encoding"), "gzip") && answer.ContentLength != 0 && answer.Request.Method != "HEAD" {
		err = b.unpack(wire, keep)
	} else {
		err = b.fill(wire, keep, answer.ContentLength)
	}
	b.size = wire.n
	if errors.Is(err, errTooMuch) {
		b.cut, err = true, nil
	}
	if err == nil {
		return b, nil
	}
	var already *check.Failure
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return b, &check.Failure{Class: check.ClassProtocol, Text: fmt.Sprintf("the body was cut off after %d bytes", b.size)}
	}
	if errors.As(err, &already) {
		return b, already
	}
	return b, check.Failed(r.ctx, check.ClassProtocol, "reading the body", err)
}

// fill reads all there is and keeps the beginning.
func (b *body) fill(from io.Reader, keep int, announced int64) error {
	size := 4096
	if announced >= 0 {
		size = min(max(int(min(announced, maxBody))+1, 64), 32<<10)
	}
	buf := make([]byte, size)
	for total := 0; ; {
		n, err := from.Read(buf)
		if total += n; total > maxBody {
			n, err = n-(total-maxBody), errTooMuch
		}
		if room := keep - len(b.text); room > 0 && n > 0 {
			b.text = append(b.text, buf[:min(n, room)]...)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// unpack does the same through gzip; errors of the connection come out as they are.
func (b *body) unpack(wire *counter, keep int) error {
	tell := &teller{from: wire}
	packed, err := gzip.NewReader(tell)
	if errors.Is(err, io.EOF) && wire.n == 0 {
		return nil // no body at all
	}
	if err == nil {
		err = b.fill(packed, keep, -1)
	}
	switch {
	case err == nil, errors.Is(err, errTooMuch):
		return err
	case tell.err != nil && !errors.Is(tell.err, io.EOF):
		return tell.err
	}
	return &check.Failure{Class: check.ClassProtocol, Text: "the body says that it is gzip and is not"}
}

// teller remembers the error of what it reads from.
type teller struct {
	from io.Reader
	err  error
}

// Read is io.Reader's.
func (t *teller) Read(b []byte) (n int, err error) {
	n, err = t.from.Read(b)
	t.err = err
	return n, err
}
