// Package ntfy gives the channel that pushes to phones and desktops through a ntfy server, the public
// one or one's own.
package ntfy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

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
type Driver struct {
	o     Options
	topic *regexp.Regexp
}

// New makes the driver; the error wraps muster.ErrInvalid.
func New(o Options) (*Driver, error) {
	if o.Net == nil {
		return nil, fmt.Errorf("ntfy: options: %w: Net is missing", muster.ErrInvalid)
	}
	return &Driver{o: o, topic: regexp.MustCompile(`^[-_A-Za-z0-9]{1,64}$`)}, nil
}

// Kind is "ntfy".
func (d *Driver) Kind() string { return "ntfy" }

// Secrets names the access token.
func (d *Driver) Secrets() []string { return []string{"token"} }

const publicServer = "https://ntfy.sh"

type fields struct {
	Server string `json:"server"`
	Topic  string `json:"topic"`
	Token  string `json:"token,omitempty"`
}

// Parse reads {"server", "topic", "token"}; the server is ntfy.sh and the token none when absent.
func (d *Driver) Parse(config []byte) (notify.Sender, error) {
	f := fields{Server: publicServer}
	in := check.ReadFields(config)
	in.Text("server", &f.Server, 500)
	f.Server = strings.TrimRight(f.Server, "/")
	if fault := d.o.Net.URLFault(f.Server); fault != "" {
		in.Fault("server", "%s", fault)
	} else if strings.Contains(f.Server, "?") {
		in.Fault("server", "must be the address of the server alone, without a question")
	}
	in.Text("topic", &f.Topic, 64)
	if !d.topic.MatchString(f.Topic) {
		in.Fault("topic", "must be 1 to 64 letters, digits, - and _")
	}
	in.Text("token", &f.Token, 200)
	if strings.ContainsFunc(f.Token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		in.Fault("token", "must be an access token such as tk_..., without spaces")
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

// Config gives the fields, the token included.
func (s *sender) Config() []byte { return check.Normal(s.fields) }

// Groups is true.
func (s *sender) Groups() bool { return true }

// Send publishes the message once.
func (s *sender) Send(ctx context.Context, m *notify.Message) error {
	header := http.Header{"Content-Type": {"application/json"}}
	if s.Token != "" {
		header.Set("Authorization", "Bearer "+s.Token)
	}
	answer, err := s.o.Net.Post(ctx, s.Server+"/", header, check.Normal(s.write(m)))
	if err != nil {
		return &notify.Failure{Err: err, Permanent: errors.Is(err, muster.ErrDenied)}
	}
	if answer.OK() {
		return nil
	}
	f := &notify.Failure{Err: errors.New(answer.Words(s.Token)), RetryAfter: answer.RetryAfter}
	switch answer.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusRequestEntityTooLarge:
		f.Permanent = true
	case http.StatusGone:
		f.Permanent, f.Disable = true, true
	}
	return f
}

// message is what ntfy publishes.
type message struct {
	Topic    string   `json:"topic"`
	Title    string   `json:"title"`
	Message  string   `json:"message"`
	Priority int      `json:"priority"`
	Tags     []string `json:"tags,omitempty"`
	Click    string   `json:"click,omitempty"`
	Actions  []action `json:"actions,omitempty"`
}

type action struct {
	Action string `json:"action"`
	Label  string `json:"label"`
	URL    string `json:"url"`
}

// ntfy makes a file of a longer message, which a phone does not show.
const maxMessage, maxItems, maxFacts = 4000, 8, 6

// Priorities: urgent rings through "do not disturb", high rings, low makes no sound.
const urgent, high, usual, low = 5, 4, 3, 2

func (s *sender) write(m *notify.Message) message {
	out := message{Topic: s.Topic, Title: m.Subject(), Message: text(m)}
	switch m.Tone() {
	case notify.ToneCritical:
		out.Priority, out.Tags = urgent, []string{"rotating_light"}
	case notify.ToneWarning:
		out.Priority, out.Tags = high, []string{"warning"}
	case notify.ToneResolved:
		out.Priority, out.Tags = usual, []string{"white_check_mark"}
	case notify.ToneAcknowledged:
		out.Priority, out.Tags = low, []string{"eyes"}
	default:
		out.Priority, out.Tags = usual, []string{"test_tube"}
	}
	first := &m.Items[0]
	out.Click = first.URL
	if len(m.Items) > 1 {
		return out
	}
	add := func(label, url string) {
		if url != "" {
			out.Actions = append(out.Actions, action{Action: "view", Label: label, URL: url})
		}
	}
	add("Acknowledge", first.AckURL)
	add("Silence", first.SilenceURL)
	add("Open", first.URL)
	return out
}

// text writes the facts of one incident, or a line for each of several. The title stands above it.
func text(m *notify.Message) string {
	var b strings.Builder
	line := func(s string) {
		if b.Len()+len(s)+1 < maxMessage {
			b.WriteString(s)
			b.WriteByte('\n')
		}
	}
	items, more := m.First(maxItems)
	if len(items) == 1 && more == 0 {
		for i, f := range items[0].Facts() {
			if i < maxFacts {
				line(f.Label + ": " + cut(f.Value, 500))
			}
		}
	} else {
		for i := range items {
			line(items[i].Tone().Mark() + " " + items[i].Status() + " " + cut(items[i].Title(), 300))
		}
		if more > 0 {
			line(fmt.Sprintf("%d more", more))
		}
	}
	if b.Len() == 0 {
		line(cut(items[0].Title(), 500)) // an empty message is shown as "triggered"
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-3], "") + "..."
}
