package email

import (
	"bytes"
	"context"
	"html/template"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"muster/internal/notify"
)

// How much of a message is written out, and what a picture may cost.
const (
	maxItems    = 20
	maxPicture  = 512 << 10
	pictureTime = 5 * time.Second
	pictureID   = "chart.png"
)

// compose writes the whole mail.
func (s *sender) compose(ctx context.Context, m *notify.Message) ([]byte, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(s.from)
	msg.ToMailAddress(s.to...)
	msg.Subject(clean(m.Subject(), 250))
	msg.SetDateWithValue(s.d.o.Now())
	s.identify(msg, m)
	if m.Tone() == notify.ToneCritical {
		msg.SetImportance(gomail.ImportanceHigh)
	}
	picture := chart(ctx, m)
	html, err := s.html(m, picture != nil)
	if err != nil {
		return nil, err
	}
	msg.SetBodyString(gomail.TypeTextPlain, m.Text(0))
	msg.AddAlternativeString(gomail.TypeTextHTML, html)
	if picture != nil {
		if err := msg.EmbedReader(pictureID, bytes.NewReader(picture), gomail.WithFileContentType("image/png")); err != nil {
			return nil, err
		}
	}
	var out bytes.Buffer
	if _, err := msg.WriteTo(&out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// identify gives the mail the message's id, ties it to the other mails of its incidents, and tells machines not to answer. The
// mail that all of an incident refer to was never sent: whichever comes first, readers show them together.
func (s *sender) identify(msg *gomail.Msg, m *notify.Message) {
	_, domain, _ := cutLast(s.from.Address, "@")
	msg.SetMessageIDWithValue(safeID(m.ID) + "@" + domain)
	var roots []string
	for i := range m.Items {
		if in := m.Items[i].Incident; in != nil && len(roots) < 10 {
			roots = append(roots, "<"+safeID(string(in.ID))+"@"+domain+">")
		}
	}
	if len(roots) > 0 && !m.Test {
		msg.SetGenHeader(gomail.HeaderInReplyTo, roots[0])
		msg.SetGenHeader(gomail.HeaderReferences, strings.Join(roots, " "))
	}
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")
	msg.SetGenHeader("X-Mailer", "Muster")
}

// safeID keeps an id to what may stand in a Message-ID.
func safeID(id string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z' {
			return r
		}
		return '-'
	}, id)
}

// chart draws the picture, where there is one: a mail without it is better than none.
func chart(ctx context.Context, m *notify.Message) []byte {
	if m.Chart == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, pictureTime)
	defer cancel()
	picture, err := m.Chart(ctx)
	if err != nil || len(picture) == 0 || len(picture) > maxPicture {
		return nil
	}
	return picture
}

// page is what the template shows.
type page struct {
	Subject string
	Account string
	Items   []view
	More    int
	Alone   bool
}

type view struct {
	*notify.Item
	Style   tint
	Picture template.URL // cid:
}

// tint holds the colours of a tone: of its words, and the class that gives it others in the dark.
type tint struct {
	Ink   template.CSS
	Class string
}

func tintOf(t notify.Tone) tint {
	switch t {
	case notify.ToneCritical:
		return tint{"#c4322b", "crit"}
	case notify.ToneWarning:
		return tint{"#a86a00", "warn"}
	case notify.ToneResolved:
		return tint{"#1f8a4c", "ok"}
	}
	return tint{"#565b62", "dim"}
}

func (s *sender) html(m *notify.Message, picture bool) (string, error) {
	items, more := m.First(maxItems)
	p := page{Subject: m.Subject(), Account: m.Account, More: more, Alone: len(items) == 1 && more == 0}
	for i := range items {
		v := view{Item: &items[i], Style: tintOf(items[i].Tone())}
		if picture && i == 0 {
			v.Picture = "cid:" + pictureID
		}
		p.Items = append(p.Items, v)
	}
	var out strings.Builder
	if err := s.d.page.Execute(&out, p); err != nil {
		return "", err
	}
	return out.String(), nil
}
