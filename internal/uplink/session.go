package uplink

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"muster"
	"muster/internal/wire"
)

const (
	dialPatience  = 15 * time.Second // to connect and be welcomed
	writePatience = 30 * time.Second
	ackPatience   = 3 * time.Minute  // for an acknowledgement
	quietFor      = 20 * time.Second // without a word from the server, it is asked whether it lives
	partPatience  = 2 * time.Second  // to take leave

	batchFrames  = 1000 // in one message, at most
	batchValues  = 32 << 10
	window       = 4 // messages that wait for their acknowledgement, at most
	closedByUser = websocket.StatusNormalClosure
)

// session is one connection.
type session struct {
	uplink   *Uplink
	conn     *websocket.Conn
	endpoint string
	seq      uint64
	buf      []byte
	flying   []flight
	numbers  numbers
	answers  chan *wire.Ran
	assign   *wire.Assign // the parts that came of one that is not whole yet
	peer     uint32       // capability of the server; set before listen begins
	heard    atomic.Int64 // monotonic nanoseconds since started
	started  time.Time
}

// flight is a message that was not acknowledged yet.
type flight struct {
	seq  uint64
	last Frame // of the frames in it
	at   time.Time
}

// session connects, is welcomed and sends until something breaks or ctx ends. The error is why it ended.
func (u *Uplink) session(ctx context.Context, endpoint string) error {
	client, transport := u.client()
	defer transport.CloseIdleConnections()
	greeting, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	conn, response, err := websocket.Dial(greeting, endpoint, &websocket.DialOptions{
		HTTPClient: client, Subprotocols: []string{wire.Subprotocol}, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return dialError(response, err)
	}
	defer conn.CloseNow()
	if conn.Subprotocol() != wire.Subprotocol {
		return fmt.Errorf("%w: it does not speak %s: is this a Muster server?", muster.ErrInvalid, wire.Subprotocol)
	}
	s := &session{uplink: u, conn: conn, endpoint: endpoint, answers: make(chan *wire.Ran, 1), started: time.Now()}
	welcome, err := s.greet(greeting)
	if err != nil {
		return err
	}
	cancel()
	if err := u.welcomed(welcome, endpoint); err != nil {
		return err
	}
	s.numbers = newNumbers(s.peer)
	u.connected.Store(true)
	defer u.connected.Store(false)
	u.connections.Add(1)
	return s.run(ctx)
}

// run sends until something breaks or ctx ends.
func (s *session) run(ctx context.Context) error {
	// The connection outlives ctx by the time it takes to say goodbye.
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	incoming := make(chan wire.Message, 1)
	go s.listen(life, end, incoming)
	go s.watch(life, end)
	look := time.NewTicker(quietFor)
	defer look.Stop()
	for {
		if err := s.sendFrames(life); err != nil {
			return because(life, err)
		}
		select {
		case <-ctx.Done():
			return s.part(life, incoming)
		case <-life.Done():
			return context.Cause(life)
		case message := <-incoming:
			s.handle(life, message)
		case answer := <-s.answers:
			if err := s.send(life, answer); err != nil {
				return because(life, err)
			}
		case <-s.uplink.options.Spool.Wake():
		case <-look.C:
			if len(s.flying) > 0 && time.Since(s.flying[0].at) > ackPatience {
				return fmt.Errorf("%w: the server acknowledges nothing", muster.ErrUnavailable)
			}
		case <-s.uplink.facts:
			s.uplink.mu.Lock()
			facts := s.uplink.lastFacts
			s.uplink.mu.Unlock()
			if err := s.send(life, facts); err != nil {
				return because(life, err)
			}
		}
	}
}

// because prefers the reason for which the connection was given up over the error that followed from it.
func because(life context.Context, err error) error {
	if cause := context.Cause(life); cause != nil {
		return cause
	}
	return err
}

// listen hands on what the server sends.
func (s *session) listen(life context.Context, end context.CancelCauseFunc, incoming chan<- wire.Message) {
	// What was read waits here while the session writes: a server that waits for its own words to be read reads
	// nothing meanwhile, and the two would wait for each other.
	var waiting []wire.Message
	read := make(chan wire.Message)
	go func() {
		for {
			message, err := s.receive(life)
			if err != nil {
				end(err)
				return
			}
			if message == nil {
				continue // of a newer server
			}
			select {
			case read <- message:
			case <-life.Done():
				return
			}
		}
	}()
	for {
		var out chan<- wire.Message
		var next wire.Message
		if len(waiting) > 0 {
			out, next = incoming, waiting[0]
		}
		in := read
		if len(waiting) >= maxWaiting {
			in = nil
		}
		select {
		case message := <-in:
			waiting = append(waiting, message)
		case out <- next:
			waiting = slices.Delete(waiting, 0, 1)
		case <-life.Done():
			return
		}
	}
}

// maxWaiting is how many messages of the server wait to be handled: more than it sends at one time.
const maxWaiting = 4096

// watch asks a server that is silent whether it is still there.
func (s *session) watch(life context.Context, end context.CancelCauseFunc) {
	ticker := time.NewTicker(quietFor)
	defer ticker.Stop()
	for {
		select {
		case <-life.Done():
			return
		case <-ticker.C:
		}
		if time.Since(s.started)-time.Duration(s.heard.Load()) < quietFor {
			continue
		}
		ping, cancel := context.WithTimeout(life, quietFor)
		err := s.conn.Ping(ping)
		cancel()
		if err != nil {
			end(fmt.Errorf("%w: the server does not answer: %w", muster.ErrUnavailable, err))
			return
		}
	}
}

// handle deals with one message of the server.
func (s *session) handle(life context.Context, message wire.Message) {
	switch m := message.(type) {
	case *wire.Ack:
		s.acknowledged(m)
	case *wire.Order:
		s.uplink.options.OnOrder(*m)
	case *wire.Assign:
		s.assigned(m)
	case *wire.Run:
		s.uplink.options.OnRun(life, *m, func(answer *wire.Ran) {
			answer.Request = m.Request
			select {
			case s.answers <- answer:
			case <-life.Done():
			}
		})
	}
}

// maxAssigned bounds the checks of all parts of one assignment.
const maxAssigned = 50_000

// assigned puts the parts of an assignment together and hands it on when it is whole.
func (s *session) assigned(m *wire.Assign) {
	if whole := s.assign; whole != nil {
		whole.Add, whole.Remove, whole.Replace = append(whole.Add, m.Add...), append(whole.Remove, m.Remove...), whole.Replace || m.Replace
		whole.More = m.More
		m = whole
	}
	if n := max(len(m.Add), len(m.Remove)); n > maxAssigned {
		s.uplink.options.Logger.Error("The server assigns more checks than an agent takes.", "checks", n, "at_most", maxAssigned)
		m.Add, m.Remove = m.Add[:min(len(m.Add), maxAssigned)], m.Remove[:min(len(m.Remove), maxAssigned)]
	}
	s.assign = nil
	if m.More {
		s.assign = m
		return
	}
	s.uplink.options.OnAssign(*m)
}

func (s *session) acknowledged(ack *wire.Ack) {
	done := 0
	for done < len(s.flying) && s.flying[done].seq <= ack.Through {
		done++
	}
	if done > 0 {
		s.uplink.options.Spool.Ack(s.flying[done-1].last)
		s.flying = s.flying[:copy(s.flying, s.flying[done:])]
		s.uplink.ackedBy = s.endpoint
		s.uplink.pause.reset()
	}
	s.uplink.serverDropped.Store(ack.Dropped)
	if n := len(ack.Refused); n > 0 {
		s.uplink.refused.Add(uint64(n))
		s.uplink.options.Logger.Warn("The server refused frames; they are dropped.", "frames", n, "reason", ack.Refused[0].Reason)
	}
}

// sendFrames sends what waits in the spool, as long as not too much waits for its acknowledgement.
func (s *session) sendFrames(ctx context.Context) error {
	for len(s.flying) < window {
		frames := s.uplink.options.Spool.Next(batchFrames, batchValues)
		if len(frames) == 0 {
			return nil
		}
		if err := s.sendBatch(ctx, frames); err != nil {
			return err
		}
	}
	return nil
}

// sendBatch sends frames as one message; as more when they have more schemas than there are numbers.
func (s *session) sendBatch(ctx context.Context, frames []Frame) error {
	message := &wire.Frames{Frames: make([]wire.Frame, 0, len(frames))}
	flush := func(last Frame) error {
		if len(message.Frames) == 0 {
			return nil
		}
		if err := s.send(ctx, message); err != nil {
			return err
		}
		s.uplink.sent.Add(uint64(len(message.Frames)))
		s.flying = append(s.flying, flight{seq: s.seq, last: Frame{position: last.position}, at: time.Now()})
		message.Frames = message.Frames[:0]
		return nil
	}
	for i, f := range frames {
		number, known := s.numbers.of[f.Schema.ID]
		if !known && s.numbers.full(f.Schema) {
			// The numbers begin anew, which does not touch messages that were sent before.
			if err := flush(frames[max(0, i-1)]); err != nil {
				return err
			}
			s.numbers.clear()
		}
		if !known {
			number = s.numbers.add(f.Schema)
			if err := s.send(ctx, &wire.SchemaDef{Number: number, Metrics: f.Schema.Metrics}); err != nil {
				return err
			}
		}
		message.Frames = append(message.Frames, wire.Frame{Source: f.Source, Schema: number, At: f.At, Values: f.Values, Note: f.Note})
	}
	return flush(frames[len(frames)-1])
}

// part sends what is left and says goodbye, without waiting long for anybody.
func (s *session) part(life context.Context, incoming <-chan wire.Message) error {
	life, cancel := context.WithTimeout(life, partPatience)
	defer cancel()
	if err := s.sendFrames(life); err != nil {
		return err
	}
	for len(s.flying) > 0 {
		select {
		case <-life.Done():
			return context.Cause(life)
		case message := <-incoming:
			s.handle(life, message)
		}
	}
	if err := s.send(life, &wire.Goodbye{Reason: s.uplink.options.Farewell()}); err != nil {
		return err
	}
	return s.conn.Close(closedByUser, "")
}

func (s *session) send(ctx context.Context, message wire.Message) error {
	s.seq++
	s.buf = wire.Marshal(s.buf[:0], s.seq, s.uplink.options.Now().UnixMilli(), message)
	ctx, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	err := s.conn.Write(ctx, websocket.MessageBinary, s.buf)
	if cap(s.buf) > 64<<10 {
		s.buf = nil
	}
	if err != nil {
		return fmt.Errorf("%w: send a %s: %w", muster.ErrUnavailable, message.Kind(), err)
	}
	return nil
}

// receive gives the next message; nil without an error when its kind is not known. A refusal is an error.
func (s *session) receive(ctx context.Context) (wire.Message, error) {
	kind, b, err := s.conn.Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", muster.ErrUnavailable, err)
	}
	s.heard.Store(int64(time.Since(s.started)))
	if kind != websocket.MessageBinary {
		return nil, fmt.Errorf("%w: the server sent text where a binary message should come", muster.ErrInvalid)
	}
	env, err := wire.ParseEnvelope(b)
	if err != nil {
		return nil, err
	}
	if s.peer == 0 {
		s.peer = env.Capability
	}
	message, err := wire.Parse(env)
	if refusal, ok := message.(*wire.Refusal); ok && err == nil {
		return nil, &refusedError{refusal}
	}
	return message, err
}
