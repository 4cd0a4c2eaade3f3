package email_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/internal/notify"
	"muster/internal/notify/email"
	"muster/internal/notify/notifytest"
)

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		server    *notifytest.MailServer
		permanent bool
		words     string
	}{
		"mail put off":      {&notifytest.MailServer{Data: func(int) error { return notifytest.Fault(452, "disk full") }}, false, "disk full"},
		"mail refused":      {&notifytest.MailServer{Data: func(int) error { return notifytest.Fault(554, "looks like spam") }}, true, "looks like spam"},
		"recipient put off": {&notifytest.MailServer{Rcpt: func(string) error { return notifytest.Fault(450, "greylisted") }}, false, "greylisted"},
		"recipient refused": {&notifytest.MailServer{Rcpt: func(string) error { return notifytest.Fault(550, "no such user") }}, true, "anna@example.org"},
		"sign in first":     {&notifytest.MailServer{User: "u", Password: "p", PlainAuth: true}, true, "sign in first"},
	} {
		m := c.server.Start(t)
		f := failure(t, sender(t, driver(t, email.Options{}), via(m, "smtp", "")), notifytest.Opened())
		if f.Permanent != c.permanent || f.Disable || !strings.Contains(f.Error(), c.words) {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// greet answers the first lines of a session as a good server would.
func greet(read func() (string, error), say func(string) error, until string) bool {
	_ = say("220 mail.test ready\r\n")
	for {
		line, err := read()
		if err != nil {
			return false
		}
		word, _, _ := strings.Cut(strings.ToUpper(line), " ")
		if word == until {
			return true
		}
		switch word {
		case "DATA":
			_ = say("354 go on\r\n")
			for line != "." && err == nil {
				line, err = read()
			}
			if until == "." {
				return err == nil
			}
		case "QUIT":
			_ = say("221 bye\r\n")
			return false
		}
		_ = say("250 fine\r\n")
	}
}

// TestStrangeServers talks to servers that no mail program was written for.
func TestStrangeServers(t *testing.T) {
	type script = func(read func() (string, error), say func(string) error)
	endless := func(code string) func(say func(string) error) {
		return func(say func(string) error) {
			for say(strings.Repeat(code+"-"+strings.Repeat("x", 500)+"\r\n", 50)) == nil {
			}
		}
	}
	for name, c := range map[string]struct {
		script    script
		permanent bool
		hangs     bool
	}{
		"hangs up":         {script: func(func() (string, error), func(string) error) {}},
		"busy":             {script: func(_ func() (string, error), say func(string) error) { _ = say("421 too busy\r\n") }},
		"no service":       {script: func(_ func() (string, error), say func(string) error) { _ = say("554 go away\r\n") }, permanent: true},
		"speaks HTTP":      {script: func(_ func() (string, error), say func(string) error) { _ = say("HTTP/1.1 400 Bad Request\r\n\r\n") }},
		"endless greeting": {script: func(_ func() (string, error), say func(string) error) { endless("220")(say) }},
		"endless line": {script: func(_ func() (string, error), say func(string) error) {
			for say(strings.Repeat("x", 32<<10)) == nil {
			}
		}},
		"endless answer to EHLO": {script: func(read func() (string, error), say func(string) error) {
			greet(read, say, "EHLO")
			endless("250")(say)
		}},
		"endless answer to RCPT": {script: func(read func() (string, error), say func(string) error) {
			greet(read, say, "RCPT")
			endless("550")(say)
		}},
		"gone at MAIL":        {script: func(read func() (string, error), say func(string) error) { greet(read, say, "MAIL") }},
		"gone within DATA":    {script: func(read func() (string, error), say func(string) error) { greet(read, say, "DATA") }},
		"gone after the mail": {script: func(read func() (string, error), say func(string) error) { greet(read, say, ".") }},
		"silent":              {script: func(read func() (string, error), _ func(string) error) { _, _ = read() }, hangs: true},
		"silent after the mail": {script: func(read func() (string, error), say func(string) error) {
			greet(read, say, ".")
			_, _ = read()
		}, hangs: true},
	} {
		t.Run(name, func(t *testing.T) {
			o := email.Options{}
			if c.hangs {
				o.Timeout = 500 * time.Millisecond
			}
			address := notifytest.RawMailServer(t, c.script)
			s := sender(t, driver(t, o), at(address, "smtp", ""))
			if f := failure(t, s, notifytest.Bare()); f.Permanent != c.permanent {
				t.Errorf("permanent %v: %v", f.Permanent, f)
			}
		})
	}
}

// TestGoodbyeDoesNotMatter: once the mail is taken it is taken.
func TestGoodbyeDoesNotMatter(t *testing.T) {
	address := notifytest.RawMailServer(t, func(read func() (string, error), say func(string) error) {
		greet(read, say, "QUIT") // and hangs up
	})
	if err := sender(t, driver(t, email.Options{}), at(address, "smtp", "")).Send(t.Context(), notifytest.Bare()); err != nil {
		t.Error(err)
	}
}

// TestEachRecipientOnce: one is taken, one comes later, one does not exist.
func TestEachRecipientOnce(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	m := (&notifytest.MailServer{Rcpt: func(to string) error {
		mu.Lock()
		defer mu.Unlock()
		asked[to]++
		switch {
		case to == "nobody@example.org":
			return notifytest.Fault(550, "no such user")
		case to == "late@example.org" && asked[to] < 3:
			return notifytest.Fault(450, "greylisted")
		}
		return nil
	}}).Start(t)
	d := driver(t, email.Options{})
	config := via(m, "smtp", "", "anna@example.org", "late@example.org", "nobody@example.org")
	message := notifytest.Bare()
	for range 2 {
		// A channel may be read anew between attempts.
		if f := failure(t, sender(t, d, config), message); f.Permanent || !strings.Contains(f.Error(), "late@example.org") {
			t.Fatalf("%+v", f)
		}
	}
	if f := failure(t, sender(t, d, config), message); !f.Permanent || !strings.Contains(f.Error(), "nobody@example.org") || strings.Contains(f.Error(), "late") {
		t.Fatalf("%+v", f)
	}
	var got []string
	for _, mail := range m.Got() {
		got = append(got, mail.To...)
		if id := header(t, mail.Data, "Message-Id"); id != "<"+message.ID+"@example.net>" {
			t.Errorf("id %s", id)
		}
	}
	if want := []string{"anna@example.org", "late@example.org"}; !slices.Equal(got, want) {
		t.Errorf("got it: %v, want %v", got, want)
	}
	// The next message begins anew.
	if f := failure(t, sender(t, d, config), notifytest.Resolved()); !f.Permanent {
		t.Errorf("%+v", f)
	}
	if n := len(m.Got()); n != 3 {
		t.Errorf("%d mails", n)
	}
}

func TestEndsWithItsContext(t *testing.T) {
	address := notifytest.RawMailServer(t, func(read func() (string, error), _ func(string) error) { _, _ = read() })
	s := sender(t, driver(t, email.Options{}), at(address, "smtp", ""))
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if err := s.Send(ctx, notifytest.Bare()); err == nil {
		t.Error("success although the context ended")
	}
}

func TestTogether(t *testing.T) {
	m := (&notifytest.MailServer{}).Start(t)
	s := sender(t, driver(t, email.Options{}), via(m, "smtp", ""))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for _, message := range []*notify.Message{notifytest.Opened(), notifytest.Resolved()} {
				message.ID += strconv.Itoa(i)
				if err := s.Send(t.Context(), message); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(m.Got()); n != 16 {
		t.Errorf("%d mails of 16", n)
	}
}

func TestPictureMayFail(t *testing.T) {
	for name, chart := range map[string]func(context.Context) ([]byte, error){
		"fails": func(context.Context) ([]byte, error) { return nil, errors.New("no") },
		"empty": func(context.Context) ([]byte, error) { return nil, nil },
		"huge":  func(context.Context) ([]byte, error) { return make([]byte, 1<<20), nil },
		"none":  nil,
	} {
		m := (&notifytest.MailServer{}).Start(t)
		message := notifytest.Opened()
		message.Chart = chart
		if err := sender(t, driver(t, email.Options{}), via(m, "smtp", "")).Send(t.Context(), message); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := parse(t, m.Got()[0].Data); got.picture != nil || strings.Contains(got.html, "cid:") {
			t.Errorf("%s: there is a picture", name)
		}
	}
}

// TestNoWayToSignIn: what the server offers is known before anything secret is said.
func TestNoWayToSignIn(t *testing.T) {
	for _, offer := range []string{"250 mail.test\r\n", "250-mail.test\r\n250 AUTH XOAUTH2 GSSAPI\r\n"} {
		address := notifytest.RawMailServer(t, func(read func() (string, error), say func(string) error) {
			_ = say("220 mail.test\r\n")
			for {
				line, err := read()
				if err != nil {
					return
				}
				if strings.Contains(line, "AUTH") {
					t.Errorf("the server heard %q", line)
				}
				_ = say(offer)
			}
		})
		s := sender(t, driver(t, email.Options{}), `{"to":["anna@example.org"],"from":"m@example.net","smtp":"smtp://u:HIDDEN@`+address+`"}`)
		if f := failure(t, s, notifytest.Bare()); f.Permanent || !strings.Contains(f.Error(), "no way to sign in") {
			t.Errorf("%q: %v", offer, f)
		}
	}
}
