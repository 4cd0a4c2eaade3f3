package uplink

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"muster"
	"muster/internal/wire"
)

// A segment is one file of the spool: a header, then records. docs/format/spool.md has every byte.
const (
	segmentMagic   = "mspool\x00\x01" // the last byte is the version
	segmentHeader  = len(segmentMagic) + 8
	recordHeader   = 8
	segmentSuffix  = ".spool"
	mostRecordSize = wire.MaxMessage
)

var (
	errEnd     = errors.New("end of segment")
	errCorrupt = fmt.Errorf("%w: damaged record", muster.ErrInvalid)
)

// segment holds the frames with positions from first up to, not including, end.
type segment struct {
	first, end uint64
	began      int64 // Unix milliseconds at which it was begun, when by this process
	newest     int64 // the same of its newest frame
	size       int64
	path       string   // empty when it lives in memory
	file       *os.File // open while it is written or read
	mem        []byte
	numbers    map[muster.SchemaID]uint32 // of schemas written to it
}

// createSegment starts a segment in dir, or in memory when dir is empty.
func createSegment(dir string, first uint64, now int64) (*segment, error) {
	s := &segment{first: first, end: first, began: now, newest: now, numbers: map[muster.SchemaID]uint32{}}
	header := append([]byte(segmentMagic), make([]byte, 8)...)
	binary.LittleEndian.PutUint64(header[len(segmentMagic):], first)
	if dir != "" {
		s.path = filepath.Join(dir, fmt.Sprintf("%016x%s", first, segmentSuffix))
		file, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return nil, err
		}
		s.file = file
	}
	if err := s.write(header); err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

// segmentPosition reads the first position off a file's name.
func segmentPosition(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 16, 64)
	return first, err == nil
}

// write appends to the file or the memory. After an error the file ends as it did before, or, when
// even that fails, in a damaged record, which readers take for the end.
func (s *segment) write(b []byte) error {
	if s.path == "" {
		s.mem = append(s.mem, b...)
		s.size = int64(len(s.mem))
		return nil
	}
	if _, err := s.file.WriteAt(b, s.size); err != nil {
		_ = s.file.Truncate(s.size) // best effort, see above
		return err
	}
	s.size += int64(len(b))
	return nil
}

// appendRecord appends a record with the message to b.
func appendRecord(b []byte, seq uint64, m wire.Message) []byte {
	start := len(b)
	b = append(b, make([]byte, recordHeader)...)
	b = wire.Marshal(b, seq, 0, m)
	payload := b[start+recordHeader:]
	binary.LittleEndian.PutUint32(b[start:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[start+4:], crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// append adds a frame, with its schema before it when the segment has not got that yet. scratch is
// used for the bytes and given back.
func (s *segment) append(scratch []byte, f Frame, now int64) ([]byte, error) {
	number, known := s.numbers[f.Schema.ID]
	scratch = scratch[:0]
	if !known {
		number = uint32(len(s.numbers) + 1)
		scratch = appendRecord(scratch, 0, &wire.SchemaDef{Number: number, Metrics: f.Schema.Metrics})
	}
	scratch = appendRecord(scratch, s.end, &wire.Frames{Frames: []wire.Frame{
		{Source: f.Source, Schema: number, At: f.At, Values: f.Values, Note: f.Note},
	}})
	if err := s.write(scratch); err != nil {
		return scratch, err
	}
	s.numbers[f.Schema.ID] = number
	s.end++
	s.newest = now
	return scratch, nil
}

// release closes the file; a later reader opens it again.
func (s *segment) release() {
	if s.file != nil {
		_ = s.file.Close() // nothing is promised to survive a loss of power
		s.file = nil
	}
	s.numbers = nil
}

func (s *segment) remove() {
	s.release()
	if s.path != "" {
		_ = os.Remove(s.path) // what stays is taken up at the next start
	}
	s.mem = nil
}

func (s *segment) readAt(b []byte, at int64) error {
	if s.path == "" {
		if at+int64(len(b)) > int64(len(s.mem)) {
			return io.ErrUnexpectedEOF
		}
		copy(b, s.mem[at:])
		return nil
	}
	if s.file == nil {
		file, err := os.Open(s.path)
		if err != nil {
			return err
		}
		s.file = file
	}
	_, err := s.file.ReadAt(b, at)
	return err
}

// reader goes through a segment's frames.
type reader struct {
	segment *segment
	offset  int64
	buf     []byte
	schemas map[uint32]*muster.Schema
}

func newReader(s *segment) *reader {
	return &reader{segment: s, offset: int64(segmentHeader), schemas: map[uint32]*muster.Schema{}}
}

// next gives the next frame, whose values do not alias the reader; errEnd when there is none yet, and
// an error that is errCorrupt or the system's when the rest of the segment cannot be read.
func (r *reader) next() (Frame, error) {
	for {
		payload, err := r.record()
		if err != nil {
			return Frame{}, err
		}
		env, err := wire.ParseEnvelope(payload)
		if err != nil {
			return Frame{}, errCorrupt
		}
		switch env.Kind {
		case wire.KindSchemaDef:
			err = r.define(env.Body)
		case wire.KindFrames:
			return r.frame(env)
		}
		if err != nil {
			return Frame{}, err
		}
	}
}

func (r *reader) record() ([]byte, error) {
	if r.offset == r.segment.size {
		return nil, errEnd
	}
	var head [recordHeader]byte
	if r.segment.size-r.offset < recordHeader {
		return nil, errCorrupt
	}
	if err := r.segment.readAt(head[:], r.offset); err != nil {
		return nil, err
	}
	size := int64(binary.LittleEndian.Uint32(head[:]))
	if size > mostRecordSize || size > r.segment.size-r.offset-recordHeader {
		return nil, errCorrupt
	}
	if int64(cap(r.buf)) < size {
		r.buf = make([]byte, size)
	}
	payload := r.buf[:size]
	if err := r.segment.readAt(payload, r.offset+recordHeader); err != nil {
		return nil, err
	}
	if crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli)) != binary.LittleEndian.Uint32(head[4:]) {
		return nil, errCorrupt
	}
	r.offset += recordHeader + size
	return payload, nil
}

func (r *reader) define(body []byte) error {
	def, err := wire.ParseSchemaDef(body)
	if err != nil {
		return errCorrupt
	}
	schema, err := muster.NewSchema(def.Metrics)
	if err != nil {
		return errCorrupt
	}
	r.schemas[def.Number] = schema
	return nil
}

func (r *reader) frame(env wire.Envelope) (Frame, error) {
	frames, err := wire.ParseFrames(env.Body)
	if err != nil || len(frames.Frames) != 1 {
		return Frame{}, errCorrupt
	}
	f := &frames.Frames[0]
	schema := r.schemas[f.Schema]
	if schema == nil || len(schema.Metrics) != len(f.Values) {
		return Frame{}, errCorrupt
	}
	return Frame{Source: f.Source, At: f.At, Schema: schema, Values: f.Values, Note: f.Note, position: env.Seq}, nil
}

// openSegment takes up a file that an earlier process wrote; it is not written any more.
func openSegment(path string, first uint64) (*segment, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	s := &segment{first: first, end: first, newest: info.ModTime().UnixMilli(), size: info.Size(), path: path}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	header := make([]byte, segmentHeader)
	if _, err := io.ReadFull(bufio.NewReaderSize(file, segmentHeader), header); err != nil {
		return nil, errCorrupt
	}
	if string(header[:len(segmentMagic)]) != segmentMagic || binary.LittleEndian.Uint64(header[len(segmentMagic):]) != first {
		return nil, errCorrupt
	}
	return s, nil
}

// measure finds the end by reading: the last segment has no next one to tell it. What is damaged at
// the tail is cut off in memory, not in the file.
func (s *segment) measure() {
	defer s.release()
	r := newReader(s)
	for {
		f, err := r.next()
		if err != nil || f.position != s.end {
			s.size = r.offset
			return
		}
		s.end++
	}
}
