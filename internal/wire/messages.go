package wire

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"muster"
)

// NonceSize is the length of a challenge's nonce, in bytes.
const NonceSize = 32

// Challenge is the server's first message: the agent proves its identity by signing the nonce.
type Challenge struct {
	Nonce []byte // NonceSize random bytes, fresh for each connection
}

// Hello is the agent's answer: who it is.
type Hello struct {
	Key       []byte // ed25519 public key, the agent's identity
	Signature []byte // see Sign
	Token     string // of an enrolment, when the agent believes the server does not know it yet
	Hostname  string // what the node shall be called when it is new
	Version   string // of the agent
	Period    time.Duration
	BootID    string            // changes when the machine starts anew; may be empty
	Facts     map[string]string // OpenTelemetry's resource attributes where they exist
	Addresses []string          // numeric, most useful first
}

// signContext keeps a signature made here from being worth anything elsewhere.
const signContext = "muster agent hello v1\x00"

func signedBytes(nonce, key []byte) []byte {
	b := make([]byte, 0, len(signContext)+len(nonce)+len(key))
	b = append(b, signContext...)
	b = append(b, nonce...)
	return append(b, key...)
}

// Sign sets Key and Signature, with the nonce of the server's challenge.
func (h *Hello) Sign(key ed25519.PrivateKey, nonce []byte) {
	h.Key = key.Public().(ed25519.PublicKey)
	h.Signature = ed25519.Sign(key, signedBytes(nonce, h.Key))
}

// Verify says whether Signature was made with Key for this nonce; the error wraps muster.ErrDenied.
func (h *Hello) Verify(nonce []byte) error {
	if len(h.Key) != ed25519.PublicKeySize || !ed25519.Verify(h.Key, signedBytes(nonce, h.Key), h.Signature) {
		return fmt.Errorf("wire: verify hello: %w: the signature does not fit the key and the challenge", muster.ErrDenied)
	}
	return nil
}

// Welcome lets the agent send.
type Welcome struct {
	Node       muster.NodeID
	Account    string        // its name, for the agent's log
	ServerTime int64         // Unix milliseconds
	Endpoints  []string      // URLs of all servers the agent may turn to, best first; empty: only the one it knows
	Period     time.Duration // at which to measure from now on; 0: as the agent likes
}

// RefusalCode says in one word why an agent was refused.
type RefusalCode string

// The codes; an agent treats one that it does not know by Refusal.Permanent alone.
const (
	RefusalMalformed   RefusalCode = "malformed"          // a message could not be read
	RefusalSignature   RefusalCode = "bad_signature"      // the signature does not fit
	RefusalToken       RefusalCode = "bad_token"          // enrolment token unknown, used up or expired
	RefusalUnknown     RefusalCode = "unknown_identity"   // no token, and nobody enrolled this key
	RefusalDuplicate   RefusalCode = "duplicate_identity" // another agent with this key is connected and alive
	RefusalTooLarge    RefusalCode = "too_large"          // a message over a limit
	RefusalUnavailable RefusalCode = "unavailable"        // the server cannot serve now
	RefusalVersion     RefusalCode = "version"            // the agent is too old for this server
)

// Refusal ends a connection. After a permanent one it makes no sense to come again unchanged soon;
// the agent still does, at its longest pause, since a person may repair it on the server.
type Refusal struct {
	Code       RefusalCode
	Reason     string        // for people
	Permanent  bool          // it will be the same the next time
	RetryAfter time.Duration // 0: as the agent likes
}

// SchemaDef gives a schema a number, valid on this connection until the number is defined anew.
type SchemaDef struct {
	Number  uint32
	Metrics []muster.Metric // not validated: muster.NewSchema does
	Dropped int             // parsed only: how many metrics beyond muster.MaxMetrics were left out
}

// Frame is one node's metrics from one source at one instant.
type Frame struct {
	Source string
	Schema uint32    // the number of a SchemaDef
	At     int64     // Unix milliseconds of the agent's clock
	Values []float64 // one for each metric of the schema; NaN: no value
	Note   []byte    // what a check says in words, at most muster.MaxNote bytes; seldom there
}

// Frames carries measurements, oldest first. It is acknowledged by its envelope's Seq.
type Frames struct {
	Frames []Frame
}

// Ack says that all messages of the agent up to and including Through have been dealt with: their
// frames are durable, but for those refused.
type Ack struct {
	Through uint64
	Refused []Refused
	Dropped uint64 // metrics left out by a cap since the connection began
}

// Refused is a frame that will never be accepted: the agent drops and counts it.
type Refused struct {
	Seq    uint64 // of the message
	Index  uint32 // of the frame in it
	Reason string
}

// Order asks the agent to measure at another period.
type Order struct {
	Period time.Duration
	For    time.Duration // then back to its own; 0: from now on
}

// Facts replaces all the facts and addresses of the agent's Hello.
type Facts struct {
	Facts     map[string]string
	Addresses []string
}

// Goodbye says that the agent leaves on purpose.
type Goodbye struct {
	Reason muster.FarewellReason
}

// Kind is KindChallenge.
func (*Challenge) Kind() Kind { return KindChallenge }

// Kind is KindHello.
func (*Hello) Kind() Kind { return KindHello }

// Kind is KindWelcome.
func (*Welcome) Kind() Kind { return KindWelcome }

// Kind is KindRefusal.
func (*Refusal) Kind() Kind { return KindRefusal }

// Kind is KindSchemaDef.
func (*SchemaDef) Kind() Kind { return KindSchemaDef }

// Kind is KindFrames.
func (*Frames) Kind() Kind { return KindFrames }

// Kind is KindAck.
func (*Ack) Kind() Kind { return KindAck }

// Kind is KindOrder.
func (*Order) Kind() Kind { return KindOrder }

// Kind is KindFacts.
func (*Facts) Kind() Kind { return KindFacts }

// Kind is KindGoodbye.
func (*Goodbye) Kind() Kind { return KindGoodbye }
