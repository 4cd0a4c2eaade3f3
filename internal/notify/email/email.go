// Package email gives the channel that writes mails: text and HTML of the same content with a small chart in it, threaded
// by incident, through the server's mail server or the channel's own.
package email

import (
	"crypto/x509"
	"fmt"
	"html/template"
	"net/mail"
	"strings"
	"time"

	_ "embed"

	"muster"
	"muster/internal/check"
	"muster/internal/notify"
	"muster/internal/outbound"
)

// Options are what the channel needs of the server.
type Options struct {
	// Net is the way out for channels that name their own mail server; needed.
	Net *outbound.Client
	// SMTP is the mail server of channels that name none, smtp://user:password@host:587 or smtps://...; empty for none.
	SMTP string
	// From is the sender of channels that name none, "Muster <muster@example.org>"; made of SMTP's user when empty.
	From string
	// Hostname is what the server calls itself in EHLO; "localhost" when empty.
	Hostname string
	// Timeout is for one attempt, from resolving to the mail server's last word; 30 s when zero.
	Timeout time.Duration
	// RootCAs are trusted instead of the system's; nil for the system's.
	RootCAs *x509.CertPool
	// Now is the clock of the Date header; time.Now when nil.
	Now func() time.Time
}

// Validate fills in the defaults and reads SMTP and From; the error wraps muster.ErrInvalid and holds no password.
func (o *Options) Validate() error {
	if o.Hostname == "" {
		o.Hostname = "localhost"
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	bad := func(why string) error { return fmt.Errorf("email: options: %w: %s", muster.ErrInvalid, why) }
	switch {
	case o.Net == nil:
		return bad("Net is missing")
	case o.Timeout < 0 || o.Timeout > 10*time.Minute:
		return bad("the timeout must be between 0 and 10 minutes")
	case check.HostFault(o.Hostname) != "":
		return bad("the host name " + check.HostFault(o.Hostname))
	}
	if o.SMTP != "" {
		if _, fault := readServer(o.SMTP); fault != "" {
			return bad("the mail server " + fault)
		}
	}
	if o.From != "" {
		if _, fault := readAddress(o.From); fault != "" {
			return bad("the sender " + fault)
		}
	}
	return nil
}

// Driver makes channels of configurations.
type Driver struct {
	o        Options
	fallback *server // the server's own; nil for none
	page     *template.Template
	progress *progress
}

//go:embed mail.html
var mailHTML string

// New makes the driver; the error wraps muster.ErrInvalid.
func New(o Options) (*Driver, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	page, err := template.New("mail").Parse(mailHTML)
	if err != nil {
		return nil, fmt.Errorf("email: template: %w", err)
	}
	d := &Driver{o: o, page: page, progress: newProgress()}
	if o.SMTP != "" {
		s, _ := readServer(o.SMTP) // found good above
		d.fallback = &s
	}
	return d, nil
}

// Kind is "email".
func (d *Driver) Kind() string { return "email" }

// Secrets names the mail server's password.
func (d *Driver) Secrets() []string { return []string{"password"} }

const maxTo = 50

type fields struct {
	To       []string `json:"to"`
	From     string   `json:"from,omitempty"`
	SMTP     string   `json:"smtp,omitempty"`
	Password string   `json:"password,omitempty"`
}

// Parse reads {"to", "from", "smtp", "password"}. A password within smtp is taken out and becomes the field of that
// name, so that the rest can be shown.
func (d *Driver) Parse(config []byte) (notify.Sender, error) {
	var f fields
	in := check.ReadFields(config)
	in.Texts("to", &f.To, maxTo, 320)
	in.Text("from", &f.From, 320)
	in.Text("smtp", &f.SMTP, 1000)
	in.Text("password", &f.Password, 500)
	s := &sender{d: d}
	s.to = readRecipients(in, f.To)
	via, fault := d.readVia(&f)
	if fault != "" {
		in.Fault("smtp", "%s", fault)
	}
	s.via, s.own = via, f.SMTP != ""
	if s.from, fault = d.readFrom(f.From, via); fault != "" {
		in.Fault("from", "%s", fault)
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	f.To = f.To[:0]
	for _, a := range s.to {
		f.To = append(f.To, plain(a))
	}
	if f.From != "" {
		f.From = plain(s.from)
	}
	s.fields = f
	return s, nil
}

// readVia chooses the mail server and brings its fields into their normal form.
func (d *Driver) readVia(f *fields) (via server, fault string) {
	if f.SMTP == "" {
		f.Password = ""
		if d.fallback == nil {
			return server{}, "is needed, since this server has no mail server of its own: give one here (smtp://user:password@mail.example.org:587), " +
				"or one for all channels when the server starts (--smtp, MUSTER_SMTP)"
		}
		return *d.fallback, ""
	}
	via, fault = readServer(f.SMTP)
	if fault != "" {
		return via, fault
	}
	if via.password == "" {
		via.password = f.Password
	}
	if via.user == "" {
		via.password = ""
	}
	f.SMTP, f.Password = via.String(), via.password
	return via, ""
}

func readRecipients(in *check.Fields, texts []string) []*mail.Address {
	if len(texts) == 0 {
		in.Fault("to", "must be at least one address")
	}
	var out []*mail.Address
	seen := map[string]bool{}
	for i, text := range texts {
		a, fault := readAddress(text)
		if fault != "" {
			in.Fault(fmt.Sprintf("to[%d]", i), "%s", fault)
			continue
		}
		if key := strings.ToLower(a.Address); !seen[key] {
			seen[key] = true
			out = append(out, a)
		}
	}
	return out
}

// readFrom gives the sender: the channel's, the server's, the user at the mail server, or muster at this host.
func (d *Driver) readFrom(text string, via server) (*mail.Address, string) {
	byHand := text != ""
	if !byHand {
		text = d.o.From
	}
	if text == "" && strings.Contains(via.user, "@") {
		text = via.user
	}
	if text == "" {
		text = "muster@" + d.o.Hostname
	}
	a, fault := readAddress(text)
	if fault != "" && !byHand {
		fault = "is needed: the sender's address, which the mail server must accept"
	}
	if fault == "" && a.Name == "" {
		a.Name = "Muster"
	}
	return a, fault
}

// readAddress reads "a@example.org" or "Name <a@example.org>".
func readAddress(text string) (*mail.Address, string) {
	a, err := mail.ParseAddress(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, "must be an address such as anna@example.org"
	}
	local, domain, _ := cutLast(a.Address, "@")
	if local == "" || len(a.Address) > 254 || strings.ContainsFunc(local, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return nil, "must be an address such as anna@example.org, without spaces or accents before the @"
	}
	if fault := check.HostFault(strings.Trim(domain, "[]")); fault != "" {
		return nil, "has after its @ what is no host: it " + fault
	}
	if strings.ContainsFunc(a.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, "must not hold control characters"
	}
	return a, ""
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// plain writes an address for people: names as they are, quoted where they must be.
func plain(a *mail.Address) string {
	if a.Name == "" {
		return a.Address
	}
	if strings.ContainsAny(a.Name, `"\()<>[]:;@,.`) || a.Name != strings.TrimSpace(a.Name) || strings.Contains(a.Name, "=?") {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(a.Name) + `" <` + a.Address + ">"
	}
	return a.Name + " <" + a.Address + ">"
}

// sender is safe for concurrent use: nothing in it changes.
type sender struct {
	d *Driver
	fields
	to   []*mail.Address
	from *mail.Address
	via  server
	own  bool // via is the channel's
}

// Config gives the fields, the password included.
func (s *sender) Config() []byte { return check.Normal(s.fields) }

// Groups is true.
func (s *sender) Groups() bool { return true }
