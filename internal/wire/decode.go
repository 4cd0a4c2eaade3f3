package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"muster"
)

// ParseChallenge reads the body of a KindChallenge.
func ParseChallenge(b []byte) (*Challenge, error) {
	m := new(Challenge)
	err := eachField(b, func(num protowire.Number, f *field) error {
		if num == 1 {
			return f.bytes(&m.Nonce, NonceSize)
		}
		return nil
	})
	if err == nil && len(m.Nonce) != NonceSize {
		err = fmt.Errorf("%w: the nonce has %d bytes", muster.ErrInvalid, len(m.Nonce))
	}
	return done(m, "challenge", err)
}

// ParseHello reads the body of a KindHello. Whether the signature fits is for Verify to say.
func ParseHello(b []byte) (*Hello, error) {
	m := &Hello{Facts: map[string]string{}}
	err := eachField(b, func(num protowire.Number, f *field) error {
		switch num {
		case 1:
			return f.bytes(&m.Key, 32)
		case 2:
			return f.bytes(&m.Signature, 64)
		case 3:
			return f.text(&m.Token, MaxText)
		case 4:
			return f.text(&m.Hostname, MaxText)
		case 5:
			return f.text(&m.Version, MaxText)
		case 6:
			return f.millis(&m.Period)
		case 7:
			return f.text(&m.BootID, MaxText)
		case 8:
			return f.fact(m.Facts)
		case 9:
			return f.texts(&m.Addresses, MaxAddresses)
		}
		return nil
	})
	return done(m, "hello", err)
}

// ParseWelcome reads the body of a KindWelcome.
func ParseWelcome(b []byte) (*Welcome, error) {
	m := new(Welcome)
	var node []byte
	err := eachField(b, func(num protowire.Number, f *field) error {
		switch num {
		case 1:
			return f.bytes(&node, len(m.Node))
		case 2:
			return f.text(&m.Account, MaxText)
		case 3:
			return f.int64(&m.ServerTime)
		case 4:
			return f.texts(&m.Endpoints, MaxAddresses)
		case 5:
			return f.millis(&m.Period)
		}
		return nil
	})
	if err == nil && len(node) != len(m.Node) {
		err = fmt.Errorf("%w: the node's id has %d bytes", muster.ErrInvalid, len(node))
	}
	copy(m.Node[:], node)
	return done(m, "welcome", err)
}

// ParseRefusal reads the body of a KindRefusal.
func ParseRefusal(b []byte) (*Refusal, error) {
	m := new(Refusal)
	err := eachField(b, func(num protowire.Number, f *field) error {
		switch num {
		case 1:
			return f.text((*string)(&m.Code), MaxText)
		case 2:
			return f.text(&m.Reason, MaxText)
		case 3:
			return f.bool(&m.Permanent)
		case 4:
			return f.millis(&m.RetryAfter)
		}
		return nil
	})
	return done(m, "refusal", err)
}

// ParseSchemaDef reads the body of a KindSchemaDef. Metrics beyond muster.MaxMetrics are counted in
// Dropped and not kept; the values of frames are cut to the same length by ParseFrames.
func ParseSchemaDef(b []byte) (*SchemaDef, error) {
	m := new(SchemaDef)
	err := eachField(b, func(num protowire.Number, f *field) error {
		switch num {
		case 1:
			return f.uint32(&m.Number)
		case 2:
			if len(m.Metrics) == muster.MaxMetrics {
				m.Dropped++
				return nil
			}
			var metric muster.Metric
			if err := f.metric(&metric); err != nil {
				return err
			}
			m.Metrics = append(m.Metrics, metric)
		}
		return nil
	})
	return done(m, "schema", err)
}

// ParseFrames reads the body of a KindFrames. Neither values nor notes alias b.
func ParseFrames(b []byte) (*Frames, error) {
	m := new(Frames)
	err := eachField(b, func(num protowire.Number, f *field) error {
		if num != 1 {
			return nil
		}
		if len(m.Frames) == MaxFrames {
			return fmt.Errorf("%w: more than %d frames in one message", muster.ErrLimited, MaxFrames)
		}
		var raw []byte
		if err := f.bytes(&raw, MaxMessage); err != nil {
			return err
		}
		m.Frames = append(m.Frames, Frame{})
		return parseFrame(raw, &m.Frames[len(m.Frames)-1])
	})
	return done(m, "frames", err)
}

func parseFrame(b []byte, m *Frame) error {
	return eachField(b, func(num protowire.Number, f *field) error {
		switch num {
		case 1:
			return f.source(&m.Source)
		case 2:
			return f.uint32(&m.Schema)
		case 3:
			return f.int64(&m.At)
		case 4:
			return f.doubles(&m.Values, muster.MaxMetrics)
		case 5:
			return f.clone(&m.Note, muster.MaxNote)
		}
		return nil
	})
}

// ParseAck reads the body of a KindAck.
func ParseAck(b []byte) (*Ack, error) {
	m := new(Ack)
	err := eachField(b, func(num protowire.Number, f *field) error {
		switch num {
		case 1:
			return f.uint64(&m.Through)
		case 2:
			var raw []byte
			if err := f.bytes(&raw, MaxMessage); err != nil {
				return err
			}
			m.Refused = append(m.Refused, Refused{})
			return parseRefused(raw, &m.Refused[len(m.Refused)-1])
		case 3:
			return f.uint64(&m.Dropped)
		}
		return nil
	})
	return done(m, "ack", err)
}

func parseRefused(b []byte, m *Refused) error {
	return eachField(b, func(num protowire.Number, f *field) error {
		switch num {
		case 1:
			return f.uint64(&m.Seq)
		case 2:
			return f.uint32(&m.Index)
		case 3:
			return f.text(&m.Reason, MaxText)
		}
		return nil
	})
}

// ParseOrder reads the body of a KindOrder.
func ParseOrder(b []byte) (*Order, error) {
	m := new(Order)
	err := eachField(b, func(num protowire.Number, f *field) error {
		switch num {
		case 1:
			return f.millis(&m.Period)
		case 2:
			return f.millis(&m.For)
		}
		return nil
	})
	return done(m, "order", err)
}

// ParseFacts reads the body of a KindFacts.
func ParseFacts(b []byte) (*Facts, error) {
	m := &Facts{Facts: map[string]string{}}
	err := eachField(b, func(num protowire.Number, f *field) error {
		switch num {
		case 1:
			return f.fact(m.Facts)
		case 2:
			return f.texts(&m.Addresses, MaxAddresses)
		}
		return nil
	})
	return done(m, "facts", err)
}

// ParseGoodbye reads the body of a KindGoodbye.
func ParseGoodbye(b []byte) (*Goodbye, error) {
	m := new(Goodbye)
	err := eachField(b, func(num protowire.Number, f *field) error {
		if num == 1 {
			return f.text((*string)(&m.Reason), MaxText)
		}
		return nil
	})
	return done(m, "goodbye", err)
}

func done[M any](m *M, what string, err error) (*M, error) {
	if err != nil {
		return nil, fmt.Errorf("wire: parse %s: %w", what, err)
	}
	return m, nil
}
