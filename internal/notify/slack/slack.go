// Package slack gives the channel that writes to Slack, or to a chat that understands Slack's messages,
// through an incoming webhook.
package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"muster"
	"muster/internal/check"
	"muster/internal/notify"
	"muster/internal/outbound"
)

// Options are what the channel needs of the server.
type Options struct {
	// Net is the way out; needed.
	Net *outbound.Client
}

// Driver makes channels of configurations.
type Driver struct{ o Options }

// New makes the driver; the error wraps muster.ErrInvalid.
func New(o Options) (*Driver, error) {
	if o.Net == nil {
		return nil, fmt.Errorf("slack: options: %w: Net is missing", muster.ErrInvalid)
	}
	return &Driver{o: o}, nil
}

// Kind is "slack".
func (d *Driver) Kind() string { return "slack" }

// Secrets names the address: who knows it may write.
func (d *Driver) Secrets() []string { return []string{"url"} }

type fields struct {
	URL string `json:"url"`
}

// Parse reads {"url"}: the address of an incoming webhook.
func (d *Driver) Parse(config []byte) (notify.Sender, error) {
	var f fields
	in := check.ReadFields(config)
	in.Text("url", &f.URL, 2000)
	if fault := d.o.Net.URLFault(f.URL); fault != "" {
		in.Fault("url", "%s", fault)
	} else if u, err := url.Parse(f.URL); err == nil && (u.Path == "" || u.Path == "/") {
		in.Fault("url", "must be the whole address of an incoming webhook: https://hooks.slack.com/services/...")
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	return &sender{o: &d.o, fields: f}, nil
}

type sender struct {
	o *Options
	fields
}

// Config gives the fields, the address included.
func (s *sender) Config() []byte { return check.Normal(s.fields) }

// Groups is true.
func (s *sender) Groups() bool { return true }

// Send posts the message once.
func (s *sender) Send(ctx context.Context, m *notify.Message) error {
	header := http.Header{"Content-Type": {"application/json"}}
	answer, err := s.o.Net.Post(ctx, s.URL, header, check.Normal(write(m)))
	if err != nil {
		return &notify.Failure{Err: err, Permanent: errors.Is(err, muster.ErrDenied)}
	}
	if answer.OK() {
		return nil
	}
	f := &notify.Failure{Err: errors.New(answer.Words(s.secrets()...)), RetryAfter: answer.RetryAfter}
	switch answer.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound: // bad message, no such webhook
		f.Permanent = true
	case http.StatusGone: // the room was archived
		f.Permanent, f.Disable = true, true
	}
	return f
}

// secrets gives what must not be repeated from an answer: the address, its path and what is asked.
func (s *sender) secrets() []string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return []string{s.URL}
	}
	return []string{s.URL, u.RequestURI(), u.Path, u.RawQuery}
}
