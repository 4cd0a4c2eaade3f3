package shell

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Stream writes Server-Sent Events to one browser. It is for one goroutine.
type Stream struct {
	w  http.ResponseWriter
	rc *http.ResponseController
	b  bytes.Buffer
}

// writeTimeout ends a stream whose reader went away without a word.
const writeTimeout = 20 * time.Second

// OpenStream begins a stream of events; live.js is its other end. The error means that the connection can't stream.
func OpenStream(w http.ResponseWriter) (*Stream, error) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	s := &Stream{w: w, rc: http.NewResponseController(w)}
	return s, s.Beat()
}

// Send writes one event; data must be one line. The error means that the reader is gone.
func (s *Stream) Send(event string, data []byte) error {
	s.b.Reset()
	if event != "" {
		s.b.WriteString("event: " + event + "\n")
	}
	s.b.WriteString("data: ")
	s.b.Write(data)
	s.b.WriteString("\n\n")
	return s.flush()
}

// Beat writes a comment, so that both ends notice a broken connection; send one every 15 seconds or so of silence.
func (s *Stream) Beat() error {
	s.b.Reset()
	s.b.WriteString(":\n\n")
	return s.flush()
}

func (s *Stream) flush() error {
	// Not every writer has deadlines (a test's recorder has none); one that has must not stay stuck.
	if err := s.rc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("shell: stream: %w", err)
	}
	if _, err := s.w.Write(s.b.Bytes()); err != nil {
		return fmt.Errorf("shell: stream: %w", err)
	}
	if err := s.rc.Flush(); err != nil {
		return fmt.Errorf("shell: stream: %w", err)
	}
	return nil
}
