package gateway

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"muster"
	"muster/internal/ingest"
	"muster/internal/wire"
)

// handle does what one message asks for. A refusal ends the connection with words, an error without.
func (c *conn) handle(m *message) (*wire.Refusal, error) {
	if m.bad != nil {
		return malformed(m.bad), nil
	}
	if m.Seq != c.seq+1 {
		return refusal(wire.RefusalMalformed, fmt.Sprintf("message %d came after message %d", m.Seq, c.seq)), nil
	}
	c.seq = m.Seq
	switch m.Kind {
	case wire.KindFrames:
		return c.frames(m)
	case wire.KindSchemaDef:
		def, err := wire.ParseSchemaDef(m.Body)
		if err != nil {
			return malformed(err), nil
		}
		c.cut += uint64(c.schemas.define(c.gate.schemas, def))
	case wire.KindFacts:
		return c.facts(m)
	case wire.KindRan:
		return c.ran(m)
	case wire.KindGoodbye:
		bye, err := wire.ParseGoodbye(m.Body)
		if err != nil {
			return malformed(err), nil
		}
		c.farewell = bye.Reason
		return nil, c.send(&wire.Ack{Through: m.Seq})
	case wire.KindChallenge, wire.KindHello, wire.KindWelcome, wire.KindRefusal, wire.KindAck, wire.KindOrder,
		wire.KindAssign, wire.KindRun:
		return refusal(wire.RefusalMalformed, fmt.Sprintf("an agent that was let in sends no %s", m.Kind)), nil
	}
	return nil, nil // of a kind that a newer agent knows
}

// malformed refuses what can't be read, or is more than is read.
func malformed(err error) *wire.Refusal {
	code := wire.RefusalMalformed
	if errors.Is(err, muster.ErrLimited) {
		code = wire.RefusalTooLarge
	}
	return refusal(code, reason(err))
}

func (c *conn) facts(m *message) (*wire.Refusal, error) {
	f, err := wire.ParseFacts(m.Body)
	if err != nil {
		return malformed(err), nil
	}
	if err := c.gate.opts.Roster.Facts(c.gate.life, c.id, f.Facts, f.Addresses); err != nil {
		c.gate.opts.Logger.Warn("gateway: facts were not saved", "node", c.id.Name, "error", err)
	}
	return nil, nil
}

// frames hands the frames of one message on together and acknowledges them once they are durable.
func (c *conn) frames(m *message) (*wire.Refusal, error) {
	parsed, err := wire.ParseFrames(m.Body)
	if err != nil {
		return malformed(err), nil
	}
	ack := wire.Ack{Through: m.Seq}
	batch, where := c.batch(m, parsed, &ack)
	receipt, err := c.take(batch)
	switch {
	case errors.Is(err, muster.ErrInvalid): // it will never be taken, so the agent must not keep it
		c.gate.opts.Logger.Error("gateway: frames were refused", "node", c.id.Name, "error", err)
		for i := range batch.Frames {
			receipt.Refused = append(receipt.Refused, ingest.Refused{Index: i, Reason: reason(err)})
		}
	case err != nil:
		c.gate.opts.Logger.Warn("gateway: frames can't be stored", "node", c.id.Name, "error", err)
		return c.later("the server can't store frames at the moment"), nil
	}
	for _, r := range receipt.Refused {
		index := r.Index
		if where != nil {
			index = where[index]
		}
		ack.Refused = append(ack.Refused, wire.Refused{Seq: m.Seq, Index: uint32(index), Reason: r.Reason})
	}
	ack.Dropped = receipt.Dropped
	c.first = false
	if err := c.send(&ack); err != nil {
		return nil, err
	}
	c.gate.counts.acks.Inc()
	c.gate.counts.ackTime.Update(time.Since(m.received).Seconds())
	return nil, nil
}

// batch makes frames of what came, leaving out those without a schema and those of checks that the agent
// is not to run: they are refused in the acknowledgement. Where any were left out, where tells the place of each of the others in the message.
func (c *conn) batch(m *message, parsed *wire.Frames, ack *wire.Ack) (b *ingest.Batch, where []int) {
	frames := make([]muster.Frame, len(parsed.Frames))
	b = &ingest.Batch{
		Account: c.id.Account, Node: c.id.Node, Sent: m.SentAt, Received: m.received.UnixMilli(), Waited: m.waited,
		First: c.first, Cut: c.cut, Frames: make([]*muster.Frame, 0, len(frames)),
	}
	for i := range parsed.Frames {
		if why := c.frame(&parsed.Frames[i], &frames[i]); why != "" {
			if where == nil {
				where = make([]int, i, len(frames))
				for j := range where {
					where[j] = j
				}
			}
			ack.Refused = append(ack.Refused, wire.Refused{Seq: m.Seq, Index: uint32(i), Reason: why})
			continue
		}
		if where != nil {
			where = append(where, i)
		}
		b.Frames = append(b.Frames, &frames[i])
	}
	return b, where
}

// frame makes a frame of what came; it gives why it can't, or "". The Node is set for frames of checks only.
func (c *conn) frame(p *wire.Frame, f *muster.Frame) (why string) {
	schema, why := c.schemas.get(p.Schema)
	if schema == nil {
		return why
	}
	*f = muster.Frame{Source: p.Source, At: p.At, Schema: schema, Values: p.Values, Note: p.Note}
	if _, _, check := muster.CheckOfSource(p.Source); check {
		ok := false
		if c.gate.opts.Checks != nil {
			f.Node, ok = c.gate.opts.Checks.Subject(c.id.Account, c.id.Node, p.Source)
		}
		if !ok {
			return "this agent is not to run that check, or not any more"
		}
	}
	return ""
}

// take hands a batch on. While the store takes nothing it is held and tried again for a while: most
// such troubles are short, and sending ten thousand agents away makes none of them shorter.
func (c *conn) take(b *ingest.Batch) (ingest.Receipt, error) {
	g := c.gate
	began := time.Now()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		receipt, err := g.opts.Intake.Take(g.life, b)
		if err == nil || !errors.Is(err, muster.ErrUnavailable) || time.Since(began) > g.opts.Patience {
			return receipt, err
		}
		g.counts.held.Inc()
		select {
		case <-g.stopping.Done():
			return receipt, err
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}
