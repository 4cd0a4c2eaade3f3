package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"muster"
	"muster/internal/inventory"
	"muster/internal/wire"
)

// conn is one agent's connection. All but what the comments except belongs to the goroutine that reads.
type conn struct {
	gate   *Gateway
	ws     *websocket.Conn
	remote string
	id     inventory.Identity // zero until it is let in
	let    bool               // it was let in: Left is owed
	ready  atomic.Bool        // it was welcomed: orders may be sent
	done   chan struct{}      // closed when all is over

	heard   atomic.Int64 // Unix ns of the last sign of life
	begun   atomic.Int64 // Unix ns when a message's first bytes came; 0: none is being read
	pinging atomic.Bool

	// handling is held while a message is handled, so that leave waits for it.
	handling sync.Mutex
	leaving  bool // under handling

	capability uint32 // of the agent, from its hello
	joined     bool   // Options.Checks was told of it: Left is owed
	out        outbox
	asked      asked

	sendMu  sync.Mutex // numbers what is sent in the order in which it leaves
	sendSeq uint64     // under sendMu

	seq      uint64    // of the last message that came
	idle     time.Time // when the line was last seen empty
	first    bool      // no frames came yet
	cut      uint64    // metrics lost to limits of this room
	schemas  schemas
	farewell muster.FarewellReason
}

func newConn(g *Gateway, ws *websocket.Conn, remote string) *conn {
	c := &conn{gate: g, ws: ws, remote: remote, done: make(chan struct{}), first: true, idle: time.Now()}
	c.heard.Store(c.idle.UnixNano())
	return c
}

// run reads and handles messages until the connection ends.
func (c *conn) run() {
	defer c.finish()
	c.join()
	for {
		m, err := c.read()
		if err != nil {
			c.lost(err)
			return
		}
		bye, err := c.handleAlone(&m)
		c.release(&m)
		if bye != nil {
			c.gate.counts.refused(string(bye.Code))
			c.gate.opts.Logger.Warn("gateway: connection ended", "node", c.id.Name, "remote", c.remote, "code", string(bye.Code), "reason", bye.Reason)
			c.refuse(bye)
			return
		}
		if err != nil {
			return
		}
	}
}

// handleAlone handles a message unless the connection is being ended from elsewhere.
func (c *conn) handleAlone(m *message) (*wire.Refusal, error) {
	c.handling.Lock()
	defer c.handling.Unlock()
	if c.leaving {
		return nil, errEnded
	}
	return c.handle(m)
}

// finish ends everything, once.
func (c *conn) finish() {
	g := c.gate
	c.ws.CloseNow()
	g.mu.Lock()
	delete(g.all, c)
	g.mu.Unlock()
	if c.joined {
		g.opts.Checks.Left(c.id)
	}
	if c.let {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := g.opts.Roster.Left(ctx, c.id, c.farewell); err != nil {
			g.opts.Logger.Warn("gateway: a farewell was not saved", "node", c.id.Name, "error", err)
		}
	}
	g.mu.Lock()
	if g.nodes[c.id.Node] == c { // room is made last, so that the next one of this node is told after it
		delete(g.nodes, c.id.Node)
	}
	g.mu.Unlock()
	g.open.Add(-1)
	close(c.done)
}

// lost says in the log why reading ended, where that is worth a line.
func (c *conn) lost(err error) {
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig):
		c.gate.counts.refused(string(wire.RefusalTooLarge))
		c.gate.opts.Logger.Warn("gateway: message too large", "node", c.id.Name, "remote", c.remote)
	default:
		c.gate.opts.Logger.Debug("gateway: connection lost", "node", c.id.Name, "remote", c.remote, "error", err)
	}
}

// message is one that was read, with its envelope open.
type message struct {
	wire.Envelope
	bad      error   // why it can't be read
	raw      *[]byte // shared: good until it is released
	received time.Time
	waited   time.Duration
}

func (c *conn) release(m *message) { c.gate.buffers.put(m.raw) }

// read gives the next message. An error means that the connection is over; what makes no sense is
// noted in the message, for handle to refuse.
func (c *conn) read() (message, error) {
	before := time.Now()
	typ, r, err := c.ws.Reader(context.Background()) // ended by CloseNow, which costs no timer
	if err != nil {
		return message{}, err
	}
	now := time.Now()
	c.heard.Store(now.UnixNano())
	c.begun.Store(now.UnixNano())
	defer c.begun.Store(0)
	if now.Sub(before) > time.Millisecond {
		c.idle = now // nothing lay there: it has only just come
	}
	m := message{raw: c.gate.buffers.get(), received: now, waited: now.Sub(c.idle)}
	if *m.raw, err = readAll(r, *m.raw); err != nil {
		c.release(&m)
		return message{}, err
	}
	c.gate.counts.messages.Inc()
	c.gate.counts.bytes.Add(len(*m.raw))
	if typ == websocket.MessageBinary {
		m.Envelope, m.bad = wire.ParseEnvelope(*m.raw)
	} else {
		m.bad = errText
	}
	return m, nil
}

var errText = errors.New("it is no binary message")

// writeTime is how long a message to an agent may take to leave; one that reads nothing is ended.
const writeTime = 10 * time.Second

// send writes one message. It is safe for use by many goroutines.
func (c *conn) send(m wire.Message) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	c.sendSeq++
	b := c.gate.buffers.get()
	defer c.gate.buffers.put(b)
	*b = wire.Marshal((*b)[:0], c.sendSeq, time.Now().UnixMilli(), m)
	return c.ws.Write(ctx, websocket.MessageBinary, *b)
}

// refuse tells the agent why the connection ends, and ends it.
func (c *conn) refuse(r *wire.Refusal) {
	if err := c.send(r); err != nil {
		return
	}
	code := websocket.StatusPolicyViolation
	switch r.Code {
	case wire.RefusalMalformed:
		code = websocket.StatusProtocolError
	case wire.RefusalTooLarge:
		code = websocket.StatusMessageTooBig
	case wire.RefusalUnavailable:
		code = websocket.StatusTryAgainLater
	}
	c.ws.Close(code, string(r.Code))
}

// leave ends the connection from elsewhere, once the message that is being handled has come to its end.
func (c *conn) leave(r *wire.Refusal) {
	c.handling.Lock()
	again := c.leaving
	c.leaving = true
	c.handling.Unlock()
	if !again {
		c.refuse(r)
		c.ws.CloseNow()
	}
}

// bodyTime is how long the bytes of one message may trickle in.
const bodyTime = time.Minute

// look ends a connection that is dead: one whose message never comes to its end, and one that was silent
// and does not answer a ping. While a message is handled nobody reads, so silence means nothing then.
func (c *conn) look(now time.Time) {
	if begun := c.begun.Load(); begun != 0 && now.Sub(time.Unix(0, begun)) > bodyTime {
		c.ws.CloseNow()
		return
	}
	if now.Sub(time.Unix(0, c.heard.Load())) < c.gate.opts.PingAfter || !c.pinging.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer c.pinging.Store(false)
		if !c.alive(c.gate.opts.PingWait) {
			c.ws.CloseNow()
		}
	}()
}

// alive tests the connection; one that is busy with a message counts as alive.
func (c *conn) alive(wait time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if err := c.ws.Ping(ctx); err == nil {
		c.heard.Store(time.Now().UnixNano())
		return true
	}
	if !c.handling.TryLock() {
		return true
	}
	c.handling.Unlock()
	return false
}
