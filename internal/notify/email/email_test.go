package email_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/notify"
	"muster/internal/notify/email"
	"muster/internal/notify/notifytest"
	"muster/internal/outbound"
)

// generous is far beyond what anything here needs.
const generous = 2 * time.Minute

// driver makes one whose names all lead to this machine.
func driver(t testing.TB, o email.Options) notify.Driver {
	t.Helper()
	if o.Net == nil {
		o.Net = way(t, nil)
	}
	if o.Timeout == 0 {
		o.Timeout = generous
	}
	d, err := email.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func way(t testing.TB, allow func(netip.Addr) error) *outbound.Client {
	t.Helper()
	resolve := func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	client, err := outbound.New(outbound.Options{Env: check.Env{Resolve: resolve, Allow: allow}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func sender(t testing.TB, d notify.Driver, config string) notify.Sender {
	t.Helper()
	s, err := d.Parse([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// via gives a configuration that names the server by a name, as one that is not on this machine.
func via(m *notifytest.MailServer, scheme, user string, to ...string) string {
	return at(m.Address, scheme, user, to...)
}

func at(address, scheme, user string, to ...string) string {
	_, port, _ := net.SplitHostPort(address)
	if len(to) == 0 {
		to = []string{"anna@example.org"}
	}
	return `{"to":["` + strings.Join(to, `","`) + `"],"from":"muster@example.net","smtp":"` + scheme + `://` + user + `example.com:` + port + `"}`
}

func failure(t *testing.T, s notify.Sender, m *notify.Message) *notify.Failure {
	t.Helper()
	err := s.Send(t.Context(), m)
	if err == nil {
		t.Fatal("a failure was taken for success")
	}
	if strings.Contains(err.Error(), "HIDDEN") || strings.ContainsAny(err.Error(), "\r\n") || len(err.Error()) > 1500 {
		t.Errorf("not for people: %q", err)
	}
	var f *notify.Failure
	if !errors.As(err, &f) {
		f = &notify.Failure{Err: err}
	}
	return f
}

func TestConfigs(t *testing.T) {
	with := func(rest string) string { return `{"to":["anna@example.org"]` + rest + `}` }
	d := driver(t, email.Options{SMTP: "smtp://localhost"})
	notifytest.Configs(t, d, []string{
		with(``), `{"to":"anna@example.org"}`,
		`{"to":["Anna Müller <anna@example.org>","\"B, b\" <bob@example.org>","ANNA@example.org"]}`,
		with(`,"from":"Night Watch <watch@example.org>"`),
		with(`,"smtp":"smtp://u%40example.org:p%2Fw@mail.example.org"`),
		with(`,"smtp":"smtp://user@example.org:pw@mail.example.org:2525/"`),
		with(`,"smtp":"smtps://mail.example.org"`),
		with(`,"smtp":"smtp://[::1]:25"`),
		with(`,"smtp":"smtp://u@mail.example.org","password":"pw"`),
		with(`,"password":"left over"`),
	}, map[string]string{
		`{}`:                               "to",
		`{"to":[]}`:                        "to",
		`{"to":7}`:                         "to",
		`{"to":["anna"]}`:                  "to[0]",
		`{"to":["anna@example.org","@x"]}`: "to[1]",
		`{"to":["anna@example.org\r\nBcc: x@y"]}`: "to[0]",
		`{"to":["änna@example.org"]}`:             "to[0]",
		`{"to":["anna@exämple.org"]}`:             "to[0]",
		`{"to":["a@b, c@d"]}`:                     "to[0]",
		with(`,"from":"nobody"`):                  "from",
		with(`,"from":"a@b\nX: y"`):               "from",
		with(`,"smtp":"mail.example.org:HIDDEN"`): "smtp",
		with(`,"smtp":"http://mail.example.org"`): "smtp",
		with(`,"smtp":"smtp://u:HIDDEN@"`):        "smtp",
		with(`,"smtp":"smtp://u:HIDDEN/x@mail"`):  "smtp",
		with(`,"smtp":"smtp://u:HIDDEN@mail:0"`):  "smtp",
		with(`,"smtp":"smtp://u:HID%0ADEN@mail"`): "smtp",
		with(`,"smtp":"smtp://mail/?x=HIDDEN"`):   "smtp",
		with(`,"cc":["x@y"]`):                     "cc",
	}, "HIDDEN")
	if strings.Join(d.Secrets(), " ") != "password" || d.Kind() != "email" {
		t.Errorf("%s seals %v", d.Kind(), d.Secrets())
	}
	got := string(sender(t, d, with(`,"smtp":"smtp://u%40x.org:p%2Fw@mail.example.org"`)).Config())
	if want := with(`,"smtp":"smtp://u%40x.org@mail.example.org:587","password":"p/w"`); got != want {
		t.Errorf("the password stays in what is shown: %s, want %s", got, want)
	}
	// What a person types replaces what was sealed before.
	got = string(sender(t, d, with(`,"smtp":"smtp://u:new@mail.example.org:587","password":"old"`)).Config())
	if !strings.Contains(got, `"password":"new"`) {
		t.Errorf("%s", got)
	}
}

func TestWithoutMailServer(t *testing.T) {
	d := driver(t, email.Options{})
	_, err := d.Parse([]byte(`{"to":["anna@example.org"]}`))
	var fault *notify.ConfigError
	if !errors.As(err, &fault) || fault.Fields[0].Field != "smtp" || !strings.Contains(err.Error(), "--smtp") {
		t.Errorf("%v", err)
	}
	sender(t, d, `{"to":["anna@example.org"],"smtp":"smtp://mail.example.org"}`)
}

func TestOptions(t *testing.T) {
	net := way(t, nil)
	for name, o := range map[string]email.Options{
		"no way out": {}, "server": {Net: net, SMTP: "mail:HIDDEN@x"}, "sender": {Net: net, From: "x"}, "name": {Net: net, Hostname: "a b"}, "timeout": {Net: net, Timeout: -1},
	} {
		if _, err := email.New(o); !errors.Is(err, muster.ErrInvalid) || strings.Contains(err.Error(), "HIDDEN") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheServersOwn(t *testing.T) {
	m := (&notifytest.MailServer{User: "muster@example.com", Password: "HIDDEN", PlainAuth: true}).Start(t)
	closed := way(t, func(netip.Addr) error { return errors.New("closed") }) // binds channels, not who runs the server
	d := driver(t, email.Options{Net: closed, SMTP: "smtp://muster@example.com:HIDDEN@" + m.Address})
	s := sender(t, d, `{"to":["anna@example.org"]}`)
	if strings.Contains(string(s.Config()), "HIDDEN") || !s.Groups() {
		t.Errorf("%s", s.Config())
	}
	if err := s.Send(t.Context(), notifytest.Opened()); err != nil {
		t.Fatal(err)
	}
	got := m.Got()[0]
	if got.From != "muster@example.com" || got.User != "muster@example.com" || strings.Join(got.To, " ") != "anna@example.org" {
		t.Errorf("%s to %v as %s", got.From, got.To, got.User)
	}
	own := sender(t, d, via(m, "smtp", ""))
	if f := failure(t, own, notifytest.Opened()); !f.Permanent || !strings.Contains(f.Error(), "closed") {
		t.Errorf("a closed address: %+v", f)
	}
}

func TestEncryption(t *testing.T) {
	cert, pool := notifytest.Certificate(t)
	for name, c := range map[string]struct {
		server *notifytest.MailServer
		scheme string
		user   string
		trust  bool
		good   bool
		safe   bool
		words  string
	}{
		"starttls with password":             {&notifytest.MailServer{TLS: cert, User: "u", Password: "HIDDEN"}, "smtp", "u:HIDDEN@", true, true, true, ""},
		"starttls, certificate of nobody":    {&notifytest.MailServer{TLS: cert, User: "u", Password: "HIDDEN"}, "smtp", "u:HIDDEN@", false, false, false, "certificate"},
		"password without encryption":        {&notifytest.MailServer{User: "u", Password: "HIDDEN", PlainAuth: true}, "smtp", "u:HIDDEN@", true, false, false, "STARTTLS"},
		"no password, certificate of nobody": {&notifytest.MailServer{TLS: cert}, "smtp", "", false, true, true, ""},
		"no password, no encryption":         {&notifytest.MailServer{}, "smtp", "", false, true, false, ""},
		"smtps":                              {&notifytest.MailServer{TLS: cert, Implicit: true, User: "u", Password: "HIDDEN"}, "smtps", "u:HIDDEN@", true, true, true, ""},
		"smtps, certificate of nobody":       {&notifytest.MailServer{TLS: cert, Implicit: true}, "smtps", "", false, false, false, "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			m := c.server.Start(t)
			o := email.Options{}
			if c.trust {
				o.RootCAs = pool
			}
			s := sender(t, driver(t, o), via(m, c.scheme, c.user))
			if !c.good {
				if f := failure(t, s, notifytest.Opened()); f.Permanent || !strings.Contains(f.Error(), c.words) {
					t.Errorf("permanent %v: %v", f.Permanent, f)
				}
				if n := len(m.Got()); n != 0 {
					t.Errorf("%d mails came through", n)
				}
				return
			}
			if err := s.Send(t.Context(), notifytest.Opened()); err != nil {
				t.Fatal(err)
			}
			if got := m.Got()[0]; got.TLS != c.safe {
				t.Errorf("encrypted: %v, want %v", got.TLS, c.safe)
			}
		})
	}
}

func TestWrongPassword(t *testing.T) {
	cert, pool := notifytest.Certificate(t)
	m := (&notifytest.MailServer{TLS: cert, User: "u", Password: "right"}).Start(t)
	s := sender(t, driver(t, email.Options{RootCAs: pool}), via(m, "smtp", "u:HIDDEN@"))
	if f := failure(t, s, notifytest.Opened()); !f.Permanent || !strings.Contains(f.Error(), "535") || !strings.Contains(f.Error(), "***") {
		t.Errorf("%+v", f)
	}
}

func FuzzParse(f *testing.F) {
	d := driver(f, email.Options{SMTP: "smtp://localhost"})
	notifytest.Fuzz(f, d, `{"to":["a@b"]}`, `{"to":["\"a\\\" <x>\" <a@b>"],"from":"x <a@[1.2.3.4]>","smtp":"smtp://u:%70@[::1]:25"}`, `{"to":"=?utf-8?q?x?= <a@b>","smtp":"smtps://@x"}`)
}

// FuzzFields has the fields from outside and the JSON from here: what is taken stays as it is and writes no header of its own.
func FuzzFields(f *testing.F) {
	d := driver(f, email.Options{SMTP: "smtp://localhost"})
	f.Add("anna@example.org", "Night <n@example.org>", "smtp://u:p@mail:25")
	f.Add(`"a b" <"x y"@z>`, `=?utf-8?q?=0D=0AX:_y?= <a@b>`, "smtps://[::1]")
	f.Add("(c) a@b", `"\"\\" <a@b>`, "smtp://%40:%2F@h/")
	f.Add("a@[127.0.0.1]", "é <a@b>", "smtp://u@u@h")
	f.Fuzz(func(t *testing.T, to, from, smtp string) {
		config, err := json.Marshal(map[string]any{"to": []string{to}, "from": from, "smtp": smtp})
		if err != nil {
			t.Skip()
		}
		s, err := d.Parse(config)
		if err != nil {
			if !errors.Is(err, muster.ErrInvalid) {
				t.Fatalf("%s: %v", config, err)
			}
			return
		}
		again, err := d.Parse(s.Config())
		if err != nil || string(again.Config()) != string(s.Config()) {
			t.Fatalf("%s becomes %s: %v", config, s.Config(), err)
		}
		if strings.ContainsAny(string(s.Config()), "\x00\r\n") || strings.Contains(string(s.Config()), `\n`) {
			t.Fatalf("%s becomes %s", config, s.Config())
		}
	})
}
