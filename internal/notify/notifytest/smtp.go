package notifytest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Mail is what a mail server took.
type Mail struct {
	From string
	To   []string
	Data []byte
	TLS  bool
	User string // who signed in; empty for nobody
}

// MailServer is an SMTP server on the loopback that behaves as it is told. Set the fields before Start.
type MailServer struct {
	Address string // host:port, after Start
	// TLS is offered by STARTTLS when there is one; from the first byte with Implicit.
	TLS      *tls.Config
	Implicit bool
	// User and Password must be given when there are any. PlainAuth lets them come without encryption.
	User, Password string
	PlainAuth      bool
	// Rcpt and Data decide about recipients and mails; nil takes all. An error of Fault is sent as it is.
	Rcpt func(to string) error
	Data func(n int) error // n is 1 for the first mail

	mu    sync.Mutex
	mails []Mail
	tried int
}

// Fault is an answer such as 550 "no such user".
func Fault(code int, text string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 1, 1}, Message: text}
}

// Start opens the server; it ends with the test.
func (m *MailServer) Start(t testing.TB) *MailServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.Address = l.Addr().String()
	s := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &session{m: m, conn: c}, nil }))
	s.Domain, s.ReadTimeout, s.WriteTimeout = "mail.test", time.Minute, time.Minute
	s.AllowInsecureAuth, s.TLSConfig, s.MaxMessageBytes = m.PlainAuth, m.TLS, 10<<20
	s.ErrorLog = quiet()
	if m.Implicit {
		l = tls.NewListener(l, m.TLS)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return m
}

// Got gives the mails that were taken.
func (m *MailServer) Got() []Mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Mail(nil), m.mails...)
}

// session is one connection.
type session struct {
	m    *MailServer
	conn *smtp.Conn
	mail Mail
	user string
}

func (s *session) Reset() { s.mail = Mail{} }

func (s *session) Logout() error { return nil }

func (s *session) AuthMechanisms() []string {
	if s.m.User == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != s.m.User || password != s.m.Password {
			return Fault(535, "wrong: "+user+" "+password) // a server that says too much
		}
		s.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.m.User != "" && s.user == "" {
		return Fault(530, "sign in first")
	}
	s.mail.From = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.m.Rcpt != nil {
		if err := s.m.Rcpt(to); err != nil {
			return err
		}
	}
	s.mail.To = append(s.mail.To, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.tried++
	if s.m.Data != nil {
		if err := s.m.Data(s.m.tried); err != nil {
			return err
		}
	}
	got := s.mail
	got.Data, got.User = b, s.user
	_, got.TLS = s.conn.TLSConnectionState()
	s.m.mails = append(s.m.mails, got)
	return nil
}

// RawMailServer speaks as the script says, for what no real mail server does, and gives its address. Each connection
// runs the script anew with what it reads, line by line, and what it says.
func RawMailServer(t testing.TB, script func(read func() (string, error), say func(string) error)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(generous))
				script(lineReader(c), func(s string) error { _, err := io.WriteString(c, s); return err })
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

func lineReader(r io.Reader) func() (string, error) {
	one := make([]byte, 1)
	return func() (string, error) {
		var b strings.Builder
		for b.Len() < 1<<16 {
			if _, err := r.Read(one); err != nil {
				return b.String(), err
			}
			if one[0] == '\n' {
				return strings.TrimSuffix(b.String(), "\r"), nil
			}
			b.WriteByte(one[0])
		}
		return "", errors.New("a line without end")
	}
}

// Certificate gives a certificate for example.com and 127.0.0.1, and the pool that vouches for it.
func Certificate(t testing.TB) (*tls.Config, *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates, MinVersion: tls.VersionTLS12}, pool
}
