package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"muster"
	"muster/api"
)

// maxEvent is the longest event that is read, in bytes.
const maxEvent = 4 << 20

// StreamOptions choose what a stream brings.
type StreamOptions struct {
	Topics []string // nodes, ...; everything when empty
	Nodes  []string // ids; all of the account when empty
	LastID string   // go on after this event
}

// StreamEvent is one event of the live stream.
type StreamEvent struct {
	ID   string
	Kind string // node, ...; "resync" means that something was left out: read anew what is shown
	Data []byte // JSON
}

// Stream is an open live stream; one goroutine may read it.
type Stream struct {
	body   io.ReadCloser
	lines  *bufio.Reader
	lastID string
	retry  time.Duration
}

// Stream opens the live stream. It stays open until ctx ends, Close is called or the server goes away;
// Follow also opens it again.
func (c *Client) Stream(ctx context.Context, o StreamOptions) (*Stream, error) {
	v := url.Values{}
	set(v, "topics", strings.Join(o.Topics, ","))
	for _, n := range o.Nodes {
		v.Add("node", n)
	}
	req, err := c.request(ctx, http.MethodGet, api.PathStream, v, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	if o.LastID != "" {
		req.Header.Set(api.HeaderLastEventID, o.LastID)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, answer(resp, nil)
	}
	if ct := resp.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/event-stream") {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("client: stream: %w: the server answered with %q instead of an event stream", muster.ErrInvalid, ct)
	}
	return &Stream{body: resp.Body, lines: bufio.NewReaderSize(resp.Body, 16<<10), lastID: o.LastID}, nil
}

// Next waits for the next event; io.EOF when the server ended the stream.
func (s *Stream) Next() (StreamEvent, error) {
	e := StreamEvent{Kind: "message"}
	seen := false
	for {
		line, err := s.line()
		if err != nil {
			return StreamEvent{}, err
		}
		if line == "" {
			if !seen {
				e = StreamEvent{Kind: "message"}
				continue
			}
			e.ID = s.lastID
			return e, nil
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			e.Kind = value
		case "id":
			s.lastID = value
		case "retry":
			if ms, err := strconv.ParseUint(value, 10, 31); err == nil {
				s.retry = time.Duration(ms) * time.Millisecond
			}
		case "data":
			if seen {
				e.Data = append(e.Data, '\n')
			}
			seen = true
			e.Data = append(e.Data, value...)
		}
		if len(e.Data) > maxEvent {
			return StreamEvent{}, fmt.Errorf("client: stream: %w: an event of more than %d bytes", muster.ErrInvalid, maxEvent)
		}
	}
}

// line reads one line without its end.
func (s *Stream) line() (string, error) {
	var long []byte
	for {
		part, err := s.lines.ReadSlice('\n')
		if err == nil && long == nil {
			return strings.TrimRight(string(part), "\r\n"), nil
		}
		long = append(long, part...)
		switch {
		case err == nil:
			return strings.TrimRight(string(long), "\r\n"), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", err
		case len(long) > maxEvent:
			return "", fmt.Errorf("client: stream: %w: a line of more than %d bytes", muster.ErrInvalid, maxEvent)
		}
	}
}

// LastID gives the id of the newest event that was read.
func (s *Stream) LastID() string { return s.lastID }

// Close ends the stream; a Next that waits returns.
func (s *Stream) Close() error { return s.body.Close() }

// Follow calls each for every event and opens the stream again, where it stood, whenever it breaks. It
// ends when ctx does, when each returns an error, or when the server refuses for good.
func (c *Client) Follow(ctx context.Context, o StreamOptions, each func(StreamEvent) error) error {
	pause := time.Second
	for {
		stream, err := c.Stream(ctx, o)
		if err == nil {
			pause = time.Second
			err = follow(ctx, stream, each)
			o.LastID = stream.LastID()
			if stream.retry > 0 {
				pause = stream.retry
			}
		}
		var stop *stopped
		if errors.As(err, &stop) {
			return stop.err
		}
		var refused *Error
		if errors.As(err, &refused) && !errors.Is(err, muster.ErrUnavailable) && !errors.Is(err, muster.ErrLimited) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, 30*time.Second)
		}
	}
}

// stopped carries the error by which the caller ended a stream.
type stopped struct{ err error }

func (s *stopped) Error() string { return s.err.Error() }

func follow(ctx context.Context, s *Stream, each func(StreamEvent) error) error {
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	defer func() { _ = s.Close() }()
	for {
		e, err := s.Next()
		if err != nil {
			return err
		}
		if err := each(e); err != nil {
			return &stopped{err}
		}
	}
}
