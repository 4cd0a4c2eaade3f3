// Package wire gives the messages between an agent and a server: one struct for each, Marshal to
// write and Parse to read. Every message is a protobuf envelope with an opaque body, in one binary
// WebSocket message; docs/format/wire.md and wire.proto describe every field. The package is pure:
// it knows bytes, not connections.
//
// Everything that is parsed is checked: sizes, counts, UTF-8, kinds. Fields that are not known are
// skipped, and a kind that is not known is the receiver's to ignore, so that an older program can
// talk with a newer one. Errors wrap muster.ErrInvalid, or muster.ErrLimited where a count is too high.
package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"muster"
)

const (
	// Path is where a server accepts agents.
	Path = "/v1/agent"
	// Subprotocol is the WebSocket subprotocol both ends must agree on.
	Subprotocol = "muster.v1"
	// Capability is what this program speaks; each envelope carries its sender's. It grows when
	// a kind or a field is added that the other end must know of before it is used.
	Capability = 2
	// CapabilityChecks is from which on an agent understands Assign and Run, and a server Ran, notes of
	// frames, and MaxSchemas numbers of schemas.
	CapabilityChecks = 2
)

// Limits of messages, which both ends enforce.
const (
	// MaxMessage is the size of the largest message, in bytes.
	MaxMessage = 4 << 20
	// MaxGreeting is the size of the largest message before the agent was welcomed, in bytes.
	MaxGreeting = 64 << 10
	// MaxFrames is how many frames one message may carry.
	MaxFrames = 1000
	// MaxSchemas is how many numbers of schemas one connection may have in use.
	MaxSchemas = 8000
	// MaxAssigned is how many checks one Assign may add, and how many it may remove.
	MaxAssigned = 1000
	// MaxConfig is the longest configuration of a check, in bytes.
	MaxConfig = 64 << 10
	// MaxZone is the longest name of a zone, in bytes: a source holds it beside the id of a check.
	MaxZone = 64
	// MaxReadings is how many values one Ran may carry.
	MaxReadings = 500
	// MaxEvidence is how many pieces of evidence one Ran may carry.
	MaxEvidence = 64
	// MaxWords is the longest summary, error or piece of evidence, in bytes.
	MaxWords = 1000
	// MaxFacts is how many facts a node may tell.
	MaxFacts = 128
	// MaxFactKey is the longest name of a fact, in bytes.
	MaxFactKey = 100
	// MaxFactValue is the longest value of a fact, in bytes.
	MaxFactValue = 1000
	// MaxAddresses is how many addresses a node may tell.
	MaxAddresses = 64
	// MaxText is the longest of the other texts (hostname, version, reason, ...), in bytes.
	MaxText = 400
)

// Kind says which message an envelope's body is.
type Kind uint32

// The kinds, with who sends them.
const (
	KindChallenge Kind = 1  // server: the first message on a connection
	KindHello     Kind = 2  // agent: the answer to it
	KindWelcome   Kind = 3  // server: the agent may send
	KindRefusal   Kind = 4  // server: it may not, and the connection ends
	KindSchemaDef Kind = 5  // agent: what the values of coming frames mean
	KindFrames    Kind = 6  // agent: measurements
	KindAck       Kind = 7  // server: they are durable, or refused for good
	KindOrder     Kind = 8  // server: measure at another period
	KindFacts     Kind = 9  // agent: the facts changed
	KindGoodbye   Kind = 10 // agent: it leaves on purpose
	KindAssign    Kind = 11 // server: run these checks from now on
	KindRun       Kind = 12 // server: run this check once, now
	KindRan       Kind = 13 // agent: the answer to that
)

// String gives the kind's name in lower case, for logs.
func (k Kind) String() string {
	names := [...]string{"", "challenge", "hello", "welcome", "refusal", "schema", "frames", "ack", "order", "facts", "goodbye",
		"assign", "run", "ran"}
	if k > 0 && int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind-%d", uint32(k))
}

// Envelope is what travels: one message and what the receiver must know to handle it.
type Envelope struct {
	Capability uint32 // of the sender
	Kind       Kind
	Seq        uint64 // counts the sender's messages on this connection, from 1, without holes
	SentAt     int64  // when it left, in Unix milliseconds of the sender's clock
	Body       []byte // the message of that kind
}

// Message is one of the structs of this package, by pointer.
type Message interface {
	// Kind says which it is.
	Kind() Kind
	appendBody(b []byte) []byte
}

// Marshal appends an envelope with the message to dst and gives the longer slice.
func Marshal(dst []byte, seq uint64, sentAt int64, m Message) []byte {
	dst = appendUint(dst, 1, Capability)
	dst = appendUint(dst, 2, uint64(m.Kind()))
	dst = appendUint(dst, 3, seq)
	dst = appendUint(dst, 4, uint64(sentAt))
	return appendNested(dst, 5, m.appendBody)
}

// ParseEnvelope reads an envelope; its Body is a part of b, not a copy. An unknown kind is no error.
func ParseEnvelope(b []byte) (Envelope, error) {
	var e Envelope
	if len(b) > MaxMessage {
		return e, fmt.Errorf("wire: parse envelope: %w: %d bytes, at most %d are read", muster.ErrLimited, len(b), MaxMessage)
	}
	err := eachField(b, func(num protowire.Number, f *field) error {
		switch num {
		case 1:
			return f.uint32(&e.Capability)
		case 2:
			return f.uint32((*uint32)(&e.Kind))
		case 3:
			return f.uint64(&e.Seq)
		case 4:
			return f.int64(&e.SentAt)
		case 5:
			return f.bytes(&e.Body, MaxMessage)
		}
		return nil
	})
	if err == nil && e.Kind == 0 {
		err = fmt.Errorf("%w: it has no kind", muster.ErrInvalid)
	}
	if err != nil {
		return Envelope{}, fmt.Errorf("wire: parse envelope: %w", err)
	}
	return e, nil
}

// Parse reads the body of an envelope into the struct of its kind. For a kind that is not known it
// gives nil and no error: the receiver ignores it.
func Parse(e Envelope) (Message, error) {
	switch e.Kind {
	case KindChallenge:
		return orNil(ParseChallenge(e.Body))
	case KindHello:
		return orNil(ParseHello(e.Body))
	case KindWelcome:
		return orNil(ParseWelcome(e.Body))
	case KindRefusal:
		return orNil(ParseRefusal(e.Body))
	case KindSchemaDef:
		return orNil(ParseSchemaDef(e.Body))
	case KindFrames:
		return orNil(ParseFrames(e.Body))
	case KindAck:
		return orNil(ParseAck(e.Body))
	case KindOrder:
		return orNil(ParseOrder(e.Body))
	case KindFacts:
		return orNil(ParseFacts(e.Body))
	case KindGoodbye:
		return orNil(ParseGoodbye(e.Body))
	case KindAssign:
		return orNil(ParseAssign(e.Body))
	case KindRun:
		return orNil(ParseRun(e.Body))
	case KindRan:
		return orNil(ParseRan(e.Body))
	}
	return nil, nil
}

// orNil keeps a nil pointer from becoming a message that is not nil.
func orNil[M any, P interface {
	*M
	Message
}](m P, err error) (Message, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}
