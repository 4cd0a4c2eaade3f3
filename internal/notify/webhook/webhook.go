// Package webhook gives the channel that calls a program: a signed POST after the Standard Webhooks
// specification, one for each change of an incident, with the incident as the API shows it.
package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/notify"
	"muster/internal/outbound"
)

// Options are what a webhook needs of the server.
type Options struct {
	// Net is the way out; needed.
	Net *outbound.Client
	// Now is the clock of the webhook-timestamp header; time.Now when nil.
	Now func() time.Time
	// NodeNow tells how a node is; nil, or not ok, leaves its state out of the body.
	NodeNow func(account muster.AccountID, node muster.NodeID) (now muster.NodeNow, ok bool)
}

// Validate fills in the defaults; the error wraps muster.ErrInvalid.
func (o *Options) Validate() error {
	if o.Net == nil {
		return fmt.Errorf("webhook: options: %w: Net is missing", muster.ErrInvalid)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

// Driver makes webhooks of configurations.
type Driver struct{ o Options }

// New makes the driver; the error wraps muster.ErrInvalid.
func New(o Options) (*Driver, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return &Driver{o: o}, nil
}

// Kind is "webhook".
func (d *Driver) Kind() string { return "webhook" }

// Secrets names the key that messages are signed with.
func (d *Driver) Secrets() []string { return []string{"secret"} }

// Keys are as Standard Webhooks has them: a prefix, then base64 of 24 to 64 bytes.
const (
	keyPrefix        = "whsec_"
	minKey, maxKey   = 24, 64
	madeKey          = 32
	maxURL           = 2000
	contentTypeValue = "application/json"
)

type fields struct {
	URL    string `json:"url"`
	Secret string `json:"secret"`
}

// Parse reads {"url", "secret"}; a secret is made when there is none.
func (d *Driver) Parse(config []byte) (notify.Sender, error) {
	var f fields
	in := check.ReadFields(config)
	in.Text("url", &f.URL, maxURL)
	if fault := d.o.Net.URLFault(f.URL); fault != "" {
		in.Fault("url", "%s", fault)
	}
	in.Text("secret", &f.Secret, 200)
	key, fault := readKey(f.Secret)
	if fault != "" {
		in.Fault("secret", "%s", fault)
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	f.Secret = keyPrefix + base64.StdEncoding.EncodeToString(key)
	return &sender{o: &d.o, fields: f, key: key}, nil
}

// readKey gives the key that a text stands for; a fresh one for no text.
func readKey(text string) (key []byte, fault string) {
	if text == "" {
		key = make([]byte, madeKey)
		rand.Read(key) // never fails: the process ends instead
		return key, ""
	}
	coded := strings.TrimPrefix(text, keyPrefix)
	key, err := base64.StdEncoding.DecodeString(coded)
	if err != nil {
		if key, err = base64.RawStdEncoding.DecodeString(coded); err != nil {
			return nil, "must be " + keyPrefix + " followed by base64; leave it out and one is made"
		}
	}
	if len(key) < minKey || len(key) > maxKey {
		return nil, fmt.Sprintf("must be base64 of %d to %d bytes; leave it out and one is made", minKey, maxKey)
	}
	return key, ""
}

type sender struct {
	o *Options
	fields
	key []byte
}

// Config gives the fields, the secret included.
func (s *sender) Config() []byte { return check.Normal(s.fields) }

// Groups is false: one message for each incident.
func (s *sender) Groups() bool { return false }

// Send posts the message once.
func (s *sender) Send(ctx context.Context, m *notify.Message) error {
	if len(m.Items) != 1 {
		return &notify.Failure{Err: fmt.Errorf("webhook: %w: a message of %d incidents", muster.ErrInvalid, len(m.Items)), Permanent: true}
	}
	body := check.Normal(s.payload(m))
	answer, err := s.o.Net.Post(ctx, s.URL, s.headers(m.ID, body), body)
	if err != nil {
		return &notify.Failure{Err: err, Permanent: errors.Is(err, muster.ErrDenied)}
	}
	if answer.OK() {
		return nil
	}
	// Whatever else the receiver says may pass: its deployment is broken, its owner is mending a typing error.
	gone := answer.Status == http.StatusGone
	words := answer.Words(s.Secret, strings.TrimPrefix(s.Secret, keyPrefix))
	return &notify.Failure{Err: errors.New(words), Permanent: gone, Disable: gone, RetryAfter: answer.RetryAfter}
}

// headers identify and sign a body as Standard Webhooks has it. The time is that of the attempt: receivers refuse old ones.
func (s *sender) headers(id string, body []byte) http.Header {
	stamp := strconv.FormatInt(s.o.Now().Unix(), 10)
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	h := http.Header{}
	h.Set("Content-Type", contentTypeValue)
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", stamp)
	h.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return h
}
