package uplink

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// load reads the names of the segments and the cursor.
func (s *Spool) load() error {
	entries, err := os.ReadDir(s.options.Dir) // sorted by name, so by position
	if err != nil {
		return err
	}
	for _, entry := range entries {
		first, ok := segmentPosition(entry.Name())
		if !ok {
			continue
		}
		path := filepath.Join(s.options.Dir, entry.Name())
		one, err := openSegment(path, first)
		if err != nil {
			s.options.Logger.Warn("A file of the spool cannot be read and is removed.", "file", path, "error", err)
			_ = os.Remove(path)
			continue
		}
		if n := len(s.segments); n > 0 {
			s.segments[n-1].end = first
		}
		s.segments = append(s.segments, one)
	}
	s.acked = s.readCursor()
	s.position = s.acked
	if n := len(s.segments); n > 0 {
		last := s.segments[n-1]
		last.measure()
		s.position = last.end
		s.acked = max(s.segments[0].first, min(s.acked, s.position))
		if last.first == last.end { // nothing in it, and the next one takes its name
			last.remove()
			s.segments = s.segments[:n-1]
		}
	}
	s.saved, s.unread = s.acked, s.acked
	s.prune()
	return nil
}

// roll begins a new segment when there is none to write, or it is full or old enough to be let go as
// one. It also is the moment at which a disk that failed is tried again.
func (s *Spool) roll(now time.Time) {
	if s.writing {
		last := s.segments[len(s.segments)-1]
		most := s.options.MaxBytes / 16
		if s.options.Dir == "" || s.diskBad {
			most = min(most, memoryBytes/16)
		}
		old := now.UnixMilli()-last.began > s.options.Keep.Milliseconds()
		if last.size < min(most, 1<<20) && !old {
			return
		}
		s.finish()
	}
	one, err := createSegment(s.options.Dir, s.position, now.UnixMilli())
	if err != nil {
		s.toMemory(err)
		return
	}
	if s.diskBad {
		s.diskBad = false
		s.options.Logger.Info("The spool can be written again.", "dir", s.options.Dir)
	}
	s.segments, s.writing = append(s.segments, one), true
}

// toMemory goes on in memory after an error of the disk.
func (s *Spool) toMemory(cause error) {
	if !s.diskBad {
		s.diskBad = true
		s.options.Logger.Error("The spool cannot be written; frames wait in memory.", "dir", s.options.Dir, "error", cause)
	}
	s.finish()
	one, _ := createSegment("", s.position, s.options.Now().UnixMilli()) // memory does not fail
	s.segments, s.writing = append(s.segments, one), true
}

// finish ends the segment that is written.
func (s *Spool) finish() {
	if s.writing {
		last := s.segments[len(s.segments)-1]
		if s.reader == nil || s.reader.segment != last {
			last.release()
		}
		s.writing = false
		s.saveCursor()
	}
}

// prune lets segments go from the oldest on: those acknowledged long enough ago, those too old, and
// as many as it takes to stay within the size.
func (s *Spool) prune() {
	now := s.options.Now().UnixMilli()
	over, memory := s.bytes()-s.options.MaxBytes, int64(-memoryBytes)
	for _, one := range s.segments {
		memory += int64(len(one.mem))
	}
	for len(s.segments) > 0 {
		first := s.segments[0]
		if s.writing && len(s.segments) == 1 {
			return
		}
		age := now - first.newest
		done := first.end <= s.acked && age > s.options.Keep.Milliseconds()
		old := age > s.options.MaxAge.Milliseconds()
		if !done && !old && over <= 0 && memory <= 0 {
			return
		}
		over, memory = over-first.size, memory-int64(len(first.mem))
		s.drop(first, old && !done)
	}
}

// drop removes the first segment and counts its frames that were not acknowledged.
func (s *Spool) drop(first *segment, old bool) {
	if lost := first.end - min(first.end, max(first.first, s.acked)); lost > 0 {
		if old {
			s.stats.Age += lost
		} else {
			s.stats.Size += lost
		}
		s.options.Logger.Warn("Frames are dropped from the spool.", "frames", lost, "too_old", old)
		s.acked = max(s.acked, first.end)
	}
	if s.reader != nil && s.reader.segment == first {
		s.reader = nil
	}
	first.remove()
	s.unread = max(s.unread, first.end)
	s.segments = slices.Delete(s.segments, 0, 1)
}

// cursorFile remembers the position up to which frames were acknowledged. When it is lost, some
// frames are sent twice, which servers notice.
const cursorFile = "cursor"

func (s *Spool) saveCursor() {
	if s.options.Dir == "" {
		return
	}
	s.saved, s.savedAt = s.acked, s.options.Now()
	path := filepath.Join(s.options.Dir, cursorFile)
	if err := writeFile(path, fmt.Appendf(nil, "%016x\n", s.acked), false); err != nil {
		s.options.Logger.Debug("The spool's cursor cannot be written.", "error", err)
	}
}

func (s *Spool) readCursor() uint64 {
	b, err := os.ReadFile(filepath.Join(s.options.Dir, cursorFile))
	if err != nil {
		return 0
	}
	acked, err := strconv.ParseUint(strings.TrimSpace(string(b)), 16, 64)
	if err != nil || acked > 1<<62 {
		return 0
	}
	return acked
}

// writeFile replaces a file as a whole: whoever reads it sees the old or the new content. With sync
// that is true after a loss of power too.
func writeFile(path string, content []byte, sync bool) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	_, err = file.Write(content) // CreateTemp makes it 0600
	if err == nil && sync {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
