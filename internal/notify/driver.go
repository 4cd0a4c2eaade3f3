package notify

import (
	"context"
	"time"

	"muster"
	"muster/internal/check"
)

// Driver is one kind of channel: a directory of its own.
type Driver interface {
	// Kind is what stands in Channel.Kind: "webhook".
	Kind() string
	// Secrets names the fields of a configuration that are sealed at rest and never shown again.
	Secrets() []string
	// Parse reads the kind's own fields, a JSON object in which unknown fields are errors. A secret that may be made
	// (a webhook's) is made when it is absent: the room sees it in Sender.Config and shows it once. The error wraps
	// muster.ErrInvalid and is a *ConfigError where it can name the fields; it never holds a secret.
	Parse(config []byte) (Sender, error)
}

// ConfigError says which fields of a channel's configuration are wrong; it wraps muster.ErrInvalid.
type ConfigError = check.ConfigError

// FieldError is what is wrong with one field.
type FieldError = check.FieldError

// Sender is a channel's configuration, read and found good. It is safe for use by many goroutines.
type Sender interface {
	// Config gives the fields back as a JSON object, defaults written out, secrets included, in a fixed order.
	Config() []byte
	// Groups says whether one message may speak of several incidents. If not, each has exactly one item.
	Groups() bool
	// Send delivers the message once, without trying again, and returns when ctx ends at the latest. Nil means that the
	// receiver took it. An error is worth another try unless it is a *Failure that says otherwise; its text is shown to
	// people on the incident's page, so it holds no secret.
	Send(ctx context.Context, m *Message) error
}

// Failure is an error of Send that says what to do about it.
type Failure struct {
	Err        error         // what went wrong
	Permanent  bool          // trying this message again is useless
	Disable    bool          // the receiver wants nothing any more (HTTP 410): the channel is switched off; implies Permanent
	RetryAfter time.Duration // nothing is to be sent to the channel for so long; 0 when the receiver did not say
}

// Error gives what went wrong.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap gives Err.
func (f *Failure) Unwrap() error { return f.Err }

// Types of messages. An incident that got worse is told as opened again.
const (
	TypeOpened       = "incident.opened"
	TypeAcknowledged = "incident.acknowledged"
	TypeResolved     = "incident.resolved"
	TypeTest         = "incident.test"
)

// Message is what one channel is told at once. It is shared between attempts and must not be changed.
type Message struct {
	ID      string    // the same over all attempts, also across a crash: "message_..."; letters, digits and _ only
	Type    string    // one of the types above, of all items
	At      time.Time // of the first item's change
	Account string    // the account's name, for people
	Items   []Item    // at least one, oldest first
	Test    bool      // made by the test button: no incident exists
	// Chart draws what led to the first item's incident as a small PNG image; nil where nothing can be drawn. It may
	// take a second and fail: a message without its picture is still sent.
	Chart func(ctx context.Context) ([]byte, error)
}

// Item is one change of one incident. The pointers are never changed by anybody.
type Item struct {
	ID         string           // of this change for this channel; equal to Message.ID in a message of one item
	Incident   *muster.Incident // after the change
	Change     muster.IncidentChange
	By         string       // who acknowledged or resolved it, for people; empty when nobody did
	Node       *muster.Node // nil for a check without node, or a node that is gone
	URL        string       // of the incident's page
	AckURL     string       // a signed link to acknowledge without signing in; empty when that is done already
	SilenceURL string       // a signed link to silence without signing in; empty when resolved
}
