package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/cockroachdb/pebble/v2/record"
)

// Of Pebble's log: a block's size, and where the number of the log stands in the header of a chunk.
const (
	logBlock   = 32 << 10
	logNumber  = 7
	shortChunk = logNumber + 4
)

// tellTorn says in the log when the newest log of dir ends within a record, as after a power cut: Pebble leaves
// that record out without a word. Nobody was told that it is durable, unless the disk lied.
func tellTorn(dir string, logger *slog.Logger) {
	names, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	if len(names) == 0 {
		return
	}
	name := slices.Max(names)
	at, err := tornAt(name)
	switch {
	case err != nil:
		logger.Debug("the end of a log can't be looked at", "path", name, "error", err) // Pebble will say more
	case at >= 0:
		logger.Warn("a log ends within a record, as after a power cut; that record is left out, all before it is there", "path", name, "offset", at)
	}
}

// tornAt gives where the record begins within which a log ends; -1 when the log ends between two.
func tornAt(name string) (at int64, err error) {
	var number uint64
	if _, err := fmt.Sscanf(filepath.Base(name), "%d", &number); err != nil {
		return -1, err
	}
	file, err := os.Open(name)
	if err != nil {
		return -1, err
	}
	defer file.Close()
	reader := numbered(record.NewReader, file, number)
	for whole := int64(0); ; whole = reader.Offset() {
		chunk, err := reader.Next()
		if err == nil {
			_, err = io.Copy(io.Discard, chunk)
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return -1, nil
		case errors.Is(err, record.ErrUnexpectedEOF), errors.Is(err, record.ErrInvalidChunk), errors.Is(err, record.ErrZeroedChunk):
			return begun(file, whole, uint32(number))
		default:
			return -1, err
		}
	}
}

// numbered makes a reader: the type of a log's number has no name outside of Pebble.
func numbered[N ~uint64](newReader func(io.Reader, N) *record.Reader, r io.Reader, number uint64) *record.Reader {
	return newReader(r, N(number))
}

// begun says whether a chunk of this log begins at an offset. Else what stands there is room that was never
// used, or is left of an older log in the same file.
func begun(file io.ReaderAt, at int64, number uint32) (int64, error) {
	if left := logBlock - at%logBlock; left < shortChunk {
		at += left
	}
	header := make([]byte, shortChunk)
	n, err := file.ReadAt(header, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return -1, err
	}
	if n < shortChunk && slices.ContainsFunc(header[:n], func(b byte) bool { return b != 0 }) ||
		n == shortChunk && binary.LittleEndian.Uint32(header[logNumber:]) == number {
		return at, nil
	}
	return -1, nil
}
