package disk

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// roomToGoOn is how much must be free before a write that met a full disk is tried again.
const roomToGoOn = 64 << 20

// stuckFS holds Pebble's writes up while the disk is full. Pebble ends the process when a commit
// fails; the guard keeps it from coming to that, unless something else fills the disk within a second.
// Then writes wait here, with the guard tripped, and go on when there is room.
type stuckFS struct {
	fs     vfs.FS
	dir    string
	guard  *Guard
	logger *slog.Logger
	usage  func(path string) (avail, total uint64, err error)
	pause  time.Duration

	mu   sync.Mutex
	held chan struct{} // closed while a write is held up
}

func newStuckFS(inner vfs.FS, dir string, guard *Guard, logger *slog.Logger) *stuckFS {
	s := &stuckFS{dir: dir, guard: guard, logger: logger, usage: free, pause: time.Second, held: make(chan struct{})}
	if guard != nil {
		s.usage = guard.options.Usage
	}
	s.fs = vfs.OnDiskFull(inner, s.wait)
	return s
}

// wait is called by one writer; all other writers wait for its return.
func (s *stuckFS) wait() {
	if s.guard != nil {
		s.guard.Trip()
	}
	s.logger.Error("a write met a full disk and waits", "path", s.dir)
	s.mu.Lock()
	close(s.held)
	s.mu.Unlock()
	for {
		time.Sleep(s.pause)
		if avail, _, err := s.usage(s.dir); err == nil && avail >= roomToGoOn {
			break
		}
		if s.guard != nil {
			s.guard.Trip()
		}
	}
	s.mu.Lock()
	s.held = make(chan struct{})
	s.mu.Unlock()
	s.logger.Info("writes go on", "path", s.dir)
}

// heldUp gives a channel that is closed while a write is held up.
func (s *stuckFS) heldUp() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

// pebbleLogger passes on what Pebble says; its chatter about flushes is for debugging.
type pebbleLogger struct{ logger *slog.Logger }

// Infof logs at the debug level.
func (l pebbleLogger) Infof(format string, args ...any) {
	l.logger.Debug("pebble: " + fmt.Sprintf(format, args...))
}

// Errorf logs an error.
func (l pebbleLogger) Errorf(format string, args ...any) {
	l.logger.Error("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf logs and panics, which ends the process: Pebble calls it on its own goroutines when going on
// could lose what was acknowledged, and counts on no return.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	text := "pebble: the database cannot go on; the process ends, nothing acknowledged is lost: " + fmt.Sprintf(format, args...)
	l.logger.Error(text)
	panic(text)
}

// listener tells what an operator should know and nothing else.
func listener(logger *slog.Logger) *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) { logger.Error("pebble: background work failed and is tried again", "error", err) },
		DiskSlow: func(info pebble.DiskSlowInfo) {
			logger.Warn("pebble: the disk is slow", "path", info.Path, "took", info.Duration)
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			logger.Warn("pebble: writes wait for flushes or compactions", "reason", info.Reason)
		},
	}
}
