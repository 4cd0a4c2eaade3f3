package uplink

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"muster"
)

// Frame is a measurement on its way to a server. Time is Unix milliseconds of the agent's clock.
type Frame struct {
	Source string
	At     int64
	Schema *muster.Schema
	Values []float64
	Note   []byte // what a check says in words, at most muster.MaxNote bytes; seldom there

	position uint64
}

// SpoolOptions says where frames wait and for how long. Zero values take the defaults.
type SpoolOptions struct {
	Dir      string        // made when missing; empty: in memory only, at most 4 MiB
	MaxBytes int64         // 64 MiB
	MaxAge   time.Duration // 48 h: a server refuses what is older
	Keep     time.Duration // 10 min: how long frames stay after they were acknowledged
	Now      func() time.Time
	Logger   *slog.Logger
}

func (o SpoolOptions) withDefaults() SpoolOptions {
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	if o.MaxAge == 0 {
		o.MaxAge = 48 * time.Hour
	}
	if o.Keep == 0 {
		o.Keep = 10 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Validate says what is wrong with the options; the error wraps muster.ErrInvalid.
func (o SpoolOptions) Validate() error {
	if o.MaxBytes < 0 || o.MaxBytes > 0 && o.MaxBytes < 64<<10 {
		return fmt.Errorf("uplink: spool: %w: its size must be at least 64 KiB", muster.ErrInvalid)
	}
	if o.MaxAge < 0 || o.Keep < 0 {
		return fmt.Errorf("uplink: spool: %w: negative duration", muster.ErrInvalid)
	}
	return nil
}

// memoryBytes bounds what is held in memory: by a spool without a directory, and while a directory
// cannot be written.
const memoryBytes = 4 << 20

// SpoolStats is how a spool stands. The counts of frames began with the process.
type SpoolStats struct {
	Bytes   int64  // kept, on disk and in memory
	Pending uint64 // frames that were not acknowledged yet
	Size    uint64 // frames dropped since the spool was full
	Age     uint64 // frames dropped since they were too old
	Corrupt uint64 // frames lost to damage
}

// Spool keeps frames in order until a server acknowledged them, and a while longer, in files that
// survive the process's death. When it is full, or frames are too old, the oldest go and are counted.
// It is safe for concurrent use.
type Spool struct {
	options SpoolOptions
	wake    chan struct{} // has an element after an Append

	mu       sync.Mutex
	segments []*segment // in order; the last one is written when writing is set
	writing  bool
	diskBad  bool
	scratch  []byte
	position uint64 // of the next frame
	acked    uint64 // all frames before it are dealt with
	unread   uint64 // the next frame to be given out
	reader   *reader
	savedAt  time.Time
	saved    uint64
	stats    SpoolStats
}

// OpenSpool takes up what an earlier process left in the directory. Damaged files are no error: what
// can be read of them is used, the rest is counted.
func OpenSpool(options SpoolOptions) (*Spool, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	options = options.withDefaults()
	s := &Spool{options: options, wake: make(chan struct{}, 1)}
	if options.Dir == "" {
		s.options.MaxBytes = min(options.MaxBytes, memoryBytes)
		return s, nil
	}
	if err := os.MkdirAll(options.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("uplink: open spool: %w: %w", muster.ErrUnavailable, err)
	}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("uplink: open spool: %w: %w", muster.ErrUnavailable, err)
	}
	return s, nil
}

// Append puts a frame at the end. It fails only for a frame that can never be kept (it wraps
// muster.ErrInvalid): while the disk cannot be written, frames wait in memory.
func (s *Spool) Append(f Frame) error {
	if f.Schema == nil || len(f.Values) != len(f.Schema.Metrics) {
		return fmt.Errorf("uplink: append: %w: the values do not fit the schema", muster.ErrInvalid)
	}
	if len(f.Source) > muster.MaxSource || len(f.Note) > muster.MaxNote { // a server would refuse the message, for ever
		return fmt.Errorf("uplink: append: %w: the source or the note is too long", muster.ErrInvalid)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.options.Now()
	s.roll(now)
	last := s.segments[len(s.segments)-1]
	var err error
	if s.scratch, err = last.append(s.scratch, f, now.UnixMilli()); err != nil {
		s.toMemory(err)
		last = s.segments[len(s.segments)-1]
		s.scratch, _ = last.append(s.scratch, f, now.UnixMilli()) // memory does not fail
	}
	if cap(s.scratch) > 256<<10 {
		s.scratch = nil
	}
	s.position = last.end
	s.prune()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// Wake gives a channel on which something arrives after frames were appended.
func (s *Spool) Wake() <-chan struct{} { return s.wake }

// Next gives the next frames that were not given out yet: at most frames of them, and no more after
// the first that makes the sum of their values exceed values. None: there are none at present.
func (s *Spool) Next(frames, values int) []Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Frame
	for len(list) < frames && values > 0 && s.unread < s.position {
		f, ok := s.read()
		if !ok {
			continue
		}
		list = append(list, f)
		values -= len(f.Values)
	}
	return list
}

// read gives the frame at unread, or moves unread on over what is not there.
func (s *Spool) read() (Frame, bool) {
	if s.reader == nil || s.unread < s.reader.segment.first || s.unread >= s.reader.segment.end {
		if !s.seek() {
			return Frame{}, false
		}
	}
	f, err := s.reader.next()
	if err == nil && f.position >= s.reader.segment.end {
		err = errCorrupt
	}
	if err != nil {
		s.skip(err)
		return Frame{}, false
	}
	if f.position < s.unread {
		return Frame{}, false // a reader that began before it; the next is nearer
	}
	s.unread = f.position + 1
	return f, true
}

// seek sets the reader to the segment of unread, or unread to the first segment after it.
func (s *Spool) seek() bool {
	s.leave()
	for _, one := range s.segments {
		if s.unread < one.end {
			s.unread = max(s.unread, one.first)
			s.reader = newReader(one)
			return true
		}
	}
	s.unread = s.position
	return false
}

// leave closes the segment of the reader, unless it is the one that is written.
func (s *Spool) leave() {
	if s.reader == nil {
		return
	}
	one := s.reader.segment
	if !s.writing || one != s.segments[len(s.segments)-1] {
		one.release()
	}
	s.reader = nil
}

// skip gives up the rest of the reader's segment.
func (s *Spool) skip(cause error) {
	one := s.reader.segment
	lost := one.end - s.unread
	s.stats.Corrupt += lost
	s.options.Logger.Warn("Frames of the spool are damaged and lost.", "frames", lost, "error", cause)
	if s.writing && one == s.segments[len(s.segments)-1] {
		s.writing = false // the next frame begins another
	}
	s.unread = one.end
	s.leave()
}

// Ack says that the frame and all before it are dealt with.
func (s *Spool) Ack(f Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked = max(s.acked, min(f.position+1, s.position))
	s.prune()
	if now := s.options.Now(); s.acked != s.saved && now.Sub(s.savedAt) > time.Minute {
		s.saveCursor()
	}
}

// Rewind makes Next begin again: with the first frame that was not acknowledged, or, when keep is
// set, with the oldest that is still kept after its acknowledgement.
func (s *Spool) Rewind(keep bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave()
	s.unread = s.acked
	if keep && len(s.segments) > 0 {
		s.unread = s.segments[0].first
	}
}

// Stats says how the spool stands.
func (s *Spool) Stats() SpoolStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Bytes, st.Pending = s.bytes(), s.position-s.acked
	return st
}

// Close writes down what was acknowledged and lets the files go.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave()
	s.finish()
	s.saveCursor()
	for _, one := range s.segments {
		one.release()
	}
	return nil
}

func (s *Spool) bytes() (sum int64) {
	for _, one := range s.segments {
		sum += one.size
	}
	return sum
}
