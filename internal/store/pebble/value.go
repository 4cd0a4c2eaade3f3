package pebble

import (
	"encoding/binary"
	"fmt"

	"muster"
	"muster/internal/store"
)

// Every value begins with its version and, as a varint, the instant in Unix milliseconds at which it
// expires, 0 for never.
const valueVersion = 1

const deletedFlag = 1

func appendValueHead(b []byte, expires int64) []byte {
	return binary.AppendUvarint(append(b, valueVersion), uint64(expires))
}

// reader reads a value; after the first fault it is bad and yields zero values.
type reader struct {
	b   []byte
	bad bool
}

func openValue(value []byte) (r reader, expires int64) {
	r = reader{b: value}
	if r.byte() != valueVersion {
		r.bad = true
		return r, 0
	}
	expires = int64(r.uvarint())
	r.bad = r.bad || expires < 0
	return r, expires
}

func (r *reader) byte() byte {
	if r.bad || len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if r.bad || n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

// bytes reads n bytes as a copy.
func (r *reader) bytes(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	out := append([]byte{}, r.b[:n]...)
	r.b = r.b[n:]
	return out
}

func (r *reader) rest() []byte { return r.bytes(uint64(len(r.b))) }

func (r *reader) err(what string) error {
	if r.bad {
		return fmt.Errorf("pebble: read: %w: a damaged %s, or one of a newer version", muster.ErrInvalid, what)
	}
	return nil
}

// appendObject writes head, flags, rev, op, the number of recent ops and these, then the body to the end.
func appendObject(b []byte, o store.Object, expires int64) []byte {
	b = appendValueHead(b, expires)
	flags := byte(0)
	if o.Deleted {
		flags |= deletedFlag
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, o.Rev)
	b = append(b, o.Op[:]...)
	b = append(b, byte(len(o.Recent)))
	for _, op := range o.Recent {
		b = append(b, op[:]...)
	}
	return append(b, o.Body...)
}

func readObject(value []byte) (o store.Object, expires int64, err error) {
	r, expires := openValue(value)
	flags := r.byte()
	o.Deleted = flags&deletedFlag != 0
	o.Rev = r.uvarint()
	copy(o.Op[:], r.bytes(uint64(len(o.Op))))
	recent := r.byte()
	if flags&^deletedFlag != 0 || o.Rev == 0 || recent > store.RecentOps {
		r.bad = true
	}
	for range recent {
		var op store.OpID
		copy(op[:], r.bytes(uint64(len(op))))
		o.Recent = append(o.Recent, op)
	}
	o.Body = r.rest()
	if err := r.err("object"); err != nil {
		return store.Object{}, 0, err
	}
	return o, expires, nil
}

// appendListing writes head and rev.
func appendListing(b []byte, rev uint64, expires int64) []byte {
	return binary.AppendUvarint(appendValueHead(b, expires), rev)
}

func readListing(value []byte) (rev uint64, expires int64, err error) {
	r, expires := openValue(value)
	rev = r.uvarint()
	return rev, expires, r.err("listing")
}

// appendPlain writes head and body, for events and ephemerals.
func appendPlain(b, body []byte, expires int64) []byte {
	return append(appendValueHead(b, expires), body...)
}

func readPlain(value []byte) (body []byte, expires int64, err error) {
	r, expires := openValue(value)
	body = r.rest()
	return body, expires, r.err("row")
}

const closedFlag = 1

// appendHead writes head, flags, epoch, last seq, then the holder to the end.
func appendHead(b []byte, h store.ShardHead, expires int64) []byte {
	b = appendValueHead(b, expires)
	flags := byte(0)
	if h.Closed {
		flags |= closedFlag
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, h.Epoch)
	b = binary.AppendUvarint(b, h.Last)
	return append(b, h.Holder...)
}

func readHead(value []byte) (h store.ShardHead, expires int64, err error) {
	r, expires := openValue(value)
	flags := r.byte()
	h.Closed = flags&closedFlag != 0
	h.Epoch, h.Last = r.uvarint(), r.uvarint()
	h.Holder = string(r.rest())
	if flags&^closedFlag != 0 {
		r.bad = true
	}
	return h, expires, r.err("shard head")
}

// appendRow writes head, then key and state each with its length before it, then the transition to the end.
func appendRow(b []byte, row store.ShardRow) []byte {
	b = appendValueHead(b, 0)
	b = binary.AppendUvarint(b, uint64(len(row.Key)))
	b = append(b, row.Key...)
	b = binary.AppendUvarint(b, uint64(len(row.State)))
	b = append(b, row.State...)
	return append(b, row.Transition...)
}

func readRow(value []byte) (row store.ShardRow, err error) {
	r, _ := openValue(value)
	row.Key = string(r.bytes(r.uvarint()))
	row.State = r.bytes(r.uvarint())
	row.Transition = r.rest()
	return row, r.err("shard row")
}
