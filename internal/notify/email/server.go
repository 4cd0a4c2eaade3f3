package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"muster/internal/check"
	"muster/internal/outbound"
)

// server is a mail server and who asks it.
type server struct {
	tls            bool // from the first byte: smtps
	host           string
	port           int
	user, password string
}

// readServer reads smtp://user:password@host:port, or smtps. Without port it is 465 for smtps, 587 with a user and 25
// without. The fault holds no part of the text.
func readServer(text string) (s server, fault string) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" {
		return s, "must be an address such as smtp://user:password@mail.example.org:587, or smtps://... for encryption from the start; " +
			"characters such as / ? # @ and % in the password are written %2F %3F %23 %40 %25"
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery {
		return s, "must end after the host and port"
	}
	s = server{tls: u.Scheme == "smtps", host: u.Hostname()}
	if fault := check.HostFault(s.host); fault != "" {
		return s, "has a host that is not one: it " + fault
	}
	if u.User != nil {
		s.user = u.User.Username()
		s.password, _ = u.User.Password()
	}
	if strings.ContainsFunc(s.user+s.password, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return s, "must not hold control characters"
	}
	switch {
	case u.Port() != "":
		if s.port, err = strconv.Atoi(u.Port()); err != nil || s.port < 1 || s.port > 65535 {
			return s, "has a port that is not one: it must be 1 to 65535"
		}
	case s.tls:
		s.port = 465
	case s.user != "":
		s.port = 587
	default:
		s.port = 25
	}
	return s, ""
}

// String gives the address without the password.
func (s server) String() string {
	u := url.URL{Scheme: "smtp", Host: net.JoinHostPort(s.host, strconv.Itoa(s.port))}
	if s.tls {
		u.Scheme = "smtps"
	}
	if s.user != "" {
		u.User = url.User(s.user)
	}
	return u.String()
}

// local says whether the server is on this machine: what is said to it leaves no wire.
func (s server) local() bool {
	if s.host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(s.host)
	return err == nil && addr.Unmap().IsLoopback()
}

// tlsConfig verifies the certificate where a password follows or encryption was asked for. Elsewhere plain text would
// do, so that a certificate nobody signed is better than nothing.
func (s *sender) tlsConfig() *tls.Config {
	must := s.via.tls || s.via.user != ""
	return &tls.Config{
		ServerName: s.via.host, MinVersion: tls.VersionTLS12, RootCAs: s.d.o.RootCAs,
		InsecureSkipVerify: !must || s.via.local(),
	}
}

// maxReplies bounds what a mail server may say in one session, in bytes.
const maxReplies = 1 << 20

// bounded ends a connection whose other side never stops talking.
type bounded struct {
	net.Conn
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("the mail server says too much")
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// connect opens a session and says who asks. The connection ends with ctx; close ends both.
func (s *sender) connect(ctx context.Context) (client *smtp.Client, close func(), err error) {
	end := func() {}
	close = func() { end() } // whatever was dialled by then: the library leaves it open after an error
	dial := func(dialing context.Context, network, address string) (net.Conn, error) {
		open := s.d.o.Net.Dial
		if !s.own {
			open = (&net.Dialer{}).DialContext // chosen by who runs the server: allowed wherever it is
		}
		raw, err := open(dialing, network, address)
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(ctx, func() { raw.Close() })
		end = func() { stop(); raw.Close() }
		conn := net.Conn(&bounded{Conn: raw, left: maxReplies})
		if s.via.tls {
			conn = tls.Client(conn, s.tlsConfig())
		}
		return conn, nil
	}
	options := []gomail.Option{
		gomail.WithPort(s.via.port), gomail.WithTimeout(s.d.o.Timeout), gomail.WithHELO(s.d.o.Hostname), gomail.WithDialContextFunc(dial),
		gomail.WithTLSConfig(s.tlsConfig()), gomail.WithTLSPolicy(gomail.TLSOpportunistic), gomail.WithoutSMTPUTF8(),
	}
	if s.via.tls {
		options = append(options, gomail.WithSSL())
	}
	if s.via.user != "" {
		options = append(options, gomail.WithSMTPAuthCustom(&signIn{server: s.via}))
	}
	c, err := gomail.NewClient(s.via.host, options...)
	if err != nil {
		return nil, close, fmt.Errorf("the mail server cannot be used: %w", err)
	}
	client, err = c.DialToSMTPClientWithContext(ctx)
	return client, close, err
}

// signIn chooses how to prove who asks from what the server offers, the safest first. Without encryption nothing is
// proved, except within this machine.
type signIn struct {
	server
	chosen smtp.Auth
}

// Start is smtp.Auth's. The error is an *outbound.Error.
func (a *signIn) Start(info *smtp.ServerInfo) (way string, first []byte, err error) {
	if !info.TLS && !a.local() {
		return "", nil, &outbound.Error{Text: "the mail server offers no encryption (STARTTLS), and without it no password is sent"}
	}
	open := !info.TLS
	for _, w := range []struct {
		name string
		make func() smtp.Auth
	}{
		{"SCRAM-SHA-256", func() smtp.Auth { return smtp.ScramSHA256Auth(a.user, a.password) }},
		{"SCRAM-SHA-1", func() smtp.Auth { return smtp.ScramSHA1Auth(a.user, a.password) }},
		{"PLAIN", func() smtp.Auth { return smtp.PlainAuth("", a.user, a.password, a.host, open) }},
		{"LOGIN", func() smtp.Auth { return smtp.LoginAuth(a.user, a.password, a.host, open) }},
		{"CRAM-MD5", func() smtp.Auth { return smtp.CRAMMD5Auth(a.user, a.password) }},
	} {
		if slices.Contains(info.Auth, w.name) {
			a.chosen = w.make()
			return a.chosen.Start(info)
		}
	}
	return "", nil, &outbound.Error{Text: "the mail server offers no way to sign in that is known here (PLAIN, LOGIN, CRAM-MD5, SCRAM)"}
}

// Next is smtp.Auth's.
func (a *signIn) Next(said []byte, more bool) ([]byte, error) { return a.chosen.Next(said, more) }

// quit says goodbye, without caring for the answer: the mail was taken before.
func quit(client *smtp.Client) {
	_ = client.UpdateDeadline(2 * time.Second)
	_ = client.Quit()
}
