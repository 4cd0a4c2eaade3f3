package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"muster"
	"muster/internal/inventory"
	"muster/internal/wire"
)

// greet lets an agent in or refuses it. An error means that it was not let in.
func (c *conn) greet() error {
	g := c.gate
	late := time.AfterFunc(g.opts.Handshake, func() { c.ws.CloseNow() })
	defer late.Stop()
	ctx, cancel := context.WithTimeout(g.life, g.opts.Handshake)
	defer cancel()

	nonce := make([]byte, wire.NonceSize)
	rand.Read(nonce)
	if err := c.send(&wire.Challenge{Nonce: nonce}); err != nil {
		return fmt.Errorf("challenge: %w", err)
	}
	m, err := c.read()
	if err != nil {
		c.lost(err)
		return fmt.Errorf("hello: %w", err)
	}
	sighting, no := c.hello(&m, nonce)
	c.release(&m)
	if no == nil {
		no = c.recognise(ctx, sighting)
	}
	if no == nil {
		no = c.takePlace(ctx, sighting)
	}
	if no == nil {
		no = c.arrive(ctx, sighting)
	}
	if no == nil && g.stopping.Err() != nil { // Run may have looked for connections before this one was there
		no = c.later("this server is being stopped")
	}
	if no != nil {
		g.counts.refused(string(no.Code))
		c.refuse(no)
		return fmt.Errorf("%s: %s", no.Code, no.Reason)
	}
	c.ws.SetReadLimit(wire.MaxMessage)
	if err := c.send(c.welcome()); err != nil {
		return fmt.Errorf("welcome: %w", err)
	}
	c.ready.Store(true)
	return nil
}

func (c *conn) welcome() *wire.Welcome {
	return &wire.Welcome{
		Node: c.id.Node, Account: c.id.AccountName, ServerTime: time.Now().UnixMilli(), Endpoints: c.gate.opts.Endpoints(),
	}
}

// hello reads the agent's answer to the challenge. A newer agent than this server is welcome: it sees the
// server's capability in every envelope and speaks to that.
func (c *conn) hello(m *message, nonce []byte) (inventory.Sighting, *wire.Refusal) {
	var none inventory.Sighting
	if m.bad != nil {
		return none, refusal(wire.RefusalMalformed, "the first message can't be read: "+reason(m.bad))
	}
	if m.Kind != wire.KindHello || m.Seq != 1 {
		return none, refusal(wire.RefusalMalformed, fmt.Sprintf("the first message must be a hello with number 1, not %s with %d", m.Kind, m.Seq))
	}
	if m.Capability < 1 {
		return none, refusal(wire.RefusalVersion, "the agent does not say what it is capable of: it is too old or no agent")
	}
	h, err := wire.ParseHello(m.Body)
	if err != nil {
		return none, malformed(err)
	}
	if err := h.Verify(nonce); err != nil {
		return none, refusal(wire.RefusalSignature, "the signature does not fit the key and this connection's challenge")
	}
	c.seq, c.capability = m.Seq, m.Capability
	return inventory.Sighting{
		Key: bytes.Clone(h.Key), Token: h.Token, Hostname: h.Hostname, Version: h.Version, Period: h.Period,
		Facts: h.Facts, Addresses: h.Addresses, Remote: c.remote,
	}, nil
}

// recognise finds or makes the agent's node.
func (c *conn) recognise(ctx context.Context, s inventory.Sighting) *wire.Refusal {
	id, err := c.gate.opts.Roster.Identify(ctx, s.Key)
	if errors.Is(err, muster.ErrNotFound) {
		if s.Token == "" {
			return refusal(wire.RefusalUnknown, "nobody enrolled this agent here, or its node was removed: start it with an enrolment token")
		}
		id, err = c.gate.opts.Roster.Enroll(ctx, s)
	}
	switch {
	case err == nil:
		c.id = id
		return nil
	case errors.Is(err, muster.ErrDenied):
		return refusal(wire.RefusalToken, reason(err))
	default:
		c.gate.opts.Logger.Error("gateway: an agent can't be recognised", "remote", c.remote, "error", err)
		return c.later("the server can't look agents up at the moment")
	}
}

// takePlace makes this the connection of its node. When another one holds the place, the newcomer gets
// it only if that one is dead.
func (c *conn) takePlace(ctx context.Context, s inventory.Sighting) *wire.Refusal {
	g := c.gate
	for {
		g.mu.Lock()
		old := g.nodes[c.id.Node]
		if old == nil {
			g.nodes[c.id.Node] = c
		}
		g.mu.Unlock()
		if old == nil {
			return nil
		}
		if old.alive(min(g.opts.PingWait, g.opts.Handshake/2)) {
			g.opts.Logger.Warn("gateway: two agents with one identity", "node", c.id.Name, "connected", old.remote, "refused", c.remote)
			g.opts.Duplicate(c.id, s)
			return &wire.Refusal{
				Code: wire.RefusalDuplicate, RetryAfter: time.Minute,
				Reason: fmt.Sprintf("another agent with this identity is connected from %s; give each machine its own state directory", old.remote),
			}
		}
		old.ws.CloseNow()
		select {
		case <-old.done:
		case <-ctx.Done():
			return c.later("the agent's former connection is still being ended")
		}
	}
}

// arrive tells the roster. That a document could not be changed keeps nobody out: it is tried again when
// the agent comes the next time.
func (c *conn) arrive(ctx context.Context, s inventory.Sighting) *wire.Refusal {
	err := c.gate.opts.Roster.Connected(ctx, c.id, s)
	if errors.Is(err, muster.ErrNotFound) {
		return refusal(wire.RefusalUnknown, "the node was removed")
	}
	c.let = true
	if err != nil {
		c.gate.opts.Logger.Warn("gateway: what an agent says of itself was not saved", "node", c.id.Name, "error", err)
	}
	return nil
}

// later sends an agent away for a while; not all for the same, lest they come back all at once.
func (c *conn) later(reason string) *wire.Refusal {
	var b [1]byte
	rand.Read(b[:])
	return &wire.Refusal{Code: wire.RefusalUnavailable, Reason: reason, RetryAfter: 3*time.Second + time.Duration(b[0])*20*time.Millisecond}
}
