package email_test

import (
	"bytes"
	"encoding/base64"
	"flag"
	"image/png"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/internal/notify"
	"muster/internal/notify/email"
	"muster/internal/notify/notifytest"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew")

// parsed is a mail as a mail program sees it.
type parsed struct {
	header     mail.Header
	text, html string
	picture    []byte
	pictureID  string
}

func parse(t *testing.T, raw []byte) parsed {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	p := parsed{header: m.Header}
	p.part(t, m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Header.Get("Content-Id"), m.Body)
	return p
}

func (p *parsed) part(t *testing.T, contentType, encoding, id string, body io.Reader) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatalf("%q: %v", contentType, err)
	}
	if strings.HasPrefix(kind, "multipart/") {
		r := multipart.NewReader(body, params["boundary"])
		for {
			part, err := r.NextRawPart()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			p.part(t, part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part.Header.Get("Content-Id"), part)
		}
	}
	switch encoding {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	switch kind {
	case "text/plain":
		p.text = strings.ReplaceAll(string(b), "\r\n", "\n")
	case "text/html":
		p.html = strings.ReplaceAll(string(b), "\r\n", "\n")
	case "image/png":
		p.picture, p.pictureID = b, id
	default:
		t.Errorf("a part of the kind %s", kind)
	}
}

func header(t *testing.T, raw []byte, name string) string {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return m.Header.Get(name)
}

// send writes to two people, one with a name beyond ASCII, and gives the mail.
func send(t *testing.T, m *notify.Message) (notifytest.Mail, parsed) {
	t.Helper()
	server := (&notifytest.MailServer{}).Start(t)
	d := driver(t, email.Options{Now: func() time.Time { return notifytest.Start().Add(time.Hour) }})
	s := sender(t, d, via(server, "smtp", "", "Änna Müller <anna@example.org>", "bob@example.org"))
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := server.Got()
	if len(got) != 1 {
		t.Fatalf("%d mails", len(got))
	}
	return got[0], parse(t, got[0].Data)
}

func TestMail(t *testing.T) {
	m := notifytest.Opened()
	raw, got := send(t, m)
	root := "<" + string(m.Items[0].Incident.ID) + "@example.net>"
	for name, want := range map[string]string{
		"Message-Id": "<" + m.ID + "@example.net>", "In-Reply-To": root, "References": root, "Auto-Submitted": "auto-generated",
		"From": `"Muster" <muster@example.net>`, "To": "=?utf-8?q?=C3=84nna_M=C3=BCller?= <anna@example.org>, <bob@example.org>",
		"Subject": m.Subject(), "Date": "Sat, 14 Mar 2026 13:00:00 +0000", "Importance": "high",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.header.Get(name), want)
		}
	}
	if raw.From != "muster@example.net" || strings.Join(raw.To, " ") != "anna@example.org bob@example.org" {
		t.Errorf("envelope: %s to %v", raw.From, raw.To)
	}
	if got.text != m.Text(0) {
		t.Errorf("text\n%q\nwant\n%q", got.text, m.Text(0))
	}
	for _, want := range []string{"■", "CRITICAL", "db-1: filesystem nearly full", "97 % for 5 min, limit 95 %", "ack-token-1?a=1&amp;b=2", m.Items[0].SilenceURL, m.Items[0].URL, "cid:chart.png"} {
		if !strings.Contains(got.html, want) {
			t.Errorf("the HTML has no %q", want)
		}
	}
	if _, err := png.Decode(bytes.NewReader(got.picture)); err != nil || got.pictureID != "<chart.png>" {
		t.Errorf("picture %s: %v", got.pictureID, err)
	}
	for line := range strings.SplitSeq(string(raw.Data), "\r\n") {
		if len(line) > 998 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	if size := len(raw.Data); size > 64<<10 {
		t.Errorf("%d bytes", size)
	}
	// All mails of an incident hang together, and each has an id of its own.
	other := notifytest.Resolved()
	_, later := send(t, other)
	if later.header.Get("References") != root || later.header.Get("Message-Id") != "<"+other.ID+"@example.net>" || later.header.Get("Importance") != "" {
		t.Errorf("the mail of its end: %v", later.header)
	}
}

func TestLooks(t *testing.T) {
	for name, m := range map[string]*notify.Message{
		"opened": notifytest.Opened(), "acknowledged": notifytest.Acknowledged(), "resolved": notifytest.Resolved(), "bare": notifytest.Bare(), "several": notifytest.Several(3),
	} {
		_, got := send(t, m)
		for kind, text := range map[string]string{"html": got.html, "txt": got.text} {
			file := filepath.Join("testdata", name+"."+kind)
			if *rewrite {
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if text != string(want) {
				t.Errorf("%s.%s is not what testdata has:\n%s", name, kind, text)
			}
		}
	}
}

// TestHostile lets texts try to become headers, markup, or SMTP.
func TestHostile(t *testing.T) {
	for name, m := range map[string]*notify.Message{"one": notifytest.Hostile(1), "many": notifytest.Hostile(100)} {
		raw, got := send(t, m)
		if strings.Join(raw.To, " ") != "anna@example.org bob@example.org" || got.header.Get("Bcc") != "" {
			t.Errorf("%s: sent to %v, Bcc %q", name, raw.To, got.header.Get("Bcc"))
		}
		known := map[string]bool{}
		for _, h := range []string{"From", "To", "Subject", "Date", "Message-Id", "In-Reply-To", "References", "Auto-Submitted", "X-Auto-Response-Suppress", "X-Mailer",
			"Importance", "Priority", "X-Priority", "X-Msmail-Priority", "Mime-Version", "Content-Type", "Content-Transfer-Encoding"} {
			known[h] = true
		}
		for h := range got.header {
			if !known[h] {
				t.Errorf("%s: a header %s", name, h)
			}
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(got.header.Get("Subject"))
		if err != nil || len(subject) > 300 || strings.ContainsAny(subject, "\r\n\x00") {
			t.Errorf("%s: subject %q, %v", name, subject, err)
		}
		for _, tag := range []string{"<script", "<b>", "</b>", "<http"} {
			if strings.Contains(got.html, tag) {
				t.Errorf("%s: %s gets through", name, tag)
			}
		}
		if len(m.Items) > 1 && !strings.Contains(got.html, "80 more") {
			t.Errorf("%s: what is left out is not counted", name)
		}
		if len(raw.Data) > 1<<20 {
			t.Errorf("%s: %d bytes", name, len(raw.Data))
		}
	}
}
