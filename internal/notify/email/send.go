package email

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/mail"
	"net/textproto"
	"strings"
	"sync"

	"github.com/wneessen/go-mail/smtp"

	"muster"
	"muster/internal/check"
	"muster/internal/notify"
	"muster/internal/outbound"
)

// Send delivers the mail to every recipient who has not got it yet. Some may be refused while others are not: what became
// of each is remembered until all are settled, so that nobody gets it twice because of another.
func (s *sender) Send(ctx context.Context, m *notify.Message) error {
	late := fmt.Errorf("%w: the mail server took longer than %s", muster.ErrUnavailable, s.d.o.Timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, s.d.o.Timeout, late)
	defer cancel()
	waiting := s.d.progress.waiting(m.ID, s.to)
	if len(waiting) == 0 { // another attempt was faster
		return nil
	}
	body, err := s.compose(ctx, m)
	if err != nil {
		return &notify.Failure{Err: fmt.Errorf("the mail could not be written: %w", err), Permanent: true}
	}
	client, close, err := s.connect(ctx)
	defer close()
	if err != nil {
		return s.failure(ctx, err)
	}
	put, err := s.deliver(client, waiting, body, m.ID)
	if err != nil {
		return s.failure(ctx, err)
	}
	quit(client)
	if put != nil {
		return s.failure(ctx, put)
	}
	if refused := s.d.progress.settle(m.ID); refused != "" {
		return &notify.Failure{Err: errors.New(outbound.Strike("the mail server refused "+refused, s.secrets()...)), Permanent: true}
	}
	return nil
}

// deliver sends the mail to those who wait. What the server says of single recipients goes into the progress; of those it
// asks to try later, put is the last.
func (s *sender) deliver(client *smtp.Client, waiting []string, body []byte, id string) (put, err error) {
	if err := client.Mail("<" + s.from.Address + ">"); err != nil {
		return nil, err
	}
	var taken []string
	for _, to := range waiting {
		err := client.Rcpt("<" + to + ">")
		var said *textproto.Error
		switch {
		case err == nil:
			taken = append(taken, to)
		case !errors.As(err, &said):
			return nil, err
		case said.Code >= 500 && said.Code != 552: // 552 is "too many recipients" where 452 is meant: RFC 5321, 4.5.3.1.10
			s.d.progress.refuse(id, to, said.Error())
		default:
			put = fmt.Errorf("%s: %w", to, said)
		}
	}
	if len(taken) == 0 {
		return put, nil
	}
	w, err := client.Data()
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	s.d.progress.done(id, taken)
	return put, nil
}

// failure says what to do about an error: a mail server's 5xx stays, everything else may pass.
func (s *sender) failure(ctx context.Context, err error) error {
	f := &notify.Failure{}
	var text string
	var said *textproto.Error
	var mine *outbound.Error
	switch {
	case errors.As(err, &said):
		f.Permanent = said.Code >= 500
		text = "the mail server says: " + err.Error()
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), muster.ErrUnavailable):
		text = muster.Words(context.Cause(ctx))
	case ctx.Err() != nil:
		text = "it was stopped before the mail server had taken it"
	case errors.As(err, &mine):
		f.Permanent = mine.Denied
		text = mine.Text
	default:
		text = "talking to the mail server: " + check.Cause(err)
	}
	f.Err = errors.New(outbound.Strike(clean(text, 300), s.secrets()...))
	return f
}

// secrets gives the forms in which a server could repeat the password.
func (s *sender) secrets() []string {
	user, word := s.via.user, s.via.password
	if word == "" {
		return nil
	}
	code := base64.StdEncoding.EncodeToString
	return []string{word, code([]byte(word)), code([]byte("\x00" + user + "\x00" + word))}
}

// clean makes one line of text and cuts it.
func clean(s string, most int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, ""), func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-3], "") + "..."
}

// maxProgress is how many mails are remembered that some have and others have not.
const maxProgress = 1000

// progress remembers, of mails under way, what became of each recipient. It is lost with the process: then a mail may come
// twice, under the same id.
type progress struct {
	mu    sync.Mutex
	mails map[string]*underWay
	order []string
}

type underWay struct {
	settled map[string]bool
	refused []string
}

func newProgress() *progress { return &progress{mails: map[string]*underWay{}} }

func (p *progress) get(id string) *underWay {
	u := p.mails[id]
	if u == nil {
		u = &underWay{settled: map[string]bool{}}
		p.mails[id] = u
		if p.order = append(p.order, id); len(p.order) > maxProgress {
			delete(p.mails, p.order[0])
			p.order = p.order[1:]
		}
	}
	return u
}

func (p *progress) done(id string, to []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.get(id)
	for _, address := range to {
		u.settled[address] = true
	}
}

func (p *progress) refuse(id, to, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.get(id)
	if !u.settled[to] {
		u.settled[to] = true
		u.refused = append(u.refused, to+": "+clean(why, 200))
	}
}

// settle forgets the mail and tells who was refused.
func (p *progress) settle(id string) (refused string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u := p.mails[id]; u != nil {
		refused = strings.Join(u.refused, "; ")
		delete(p.mails, id)
		for i, other := range p.order {
			if other == id {
				p.order = append(p.order[:i], p.order[i+1:]...)
				break
			}
		}
	}
	return refused
}

func (p *progress) waiting(id string, to []*mail.Address) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	u := p.mails[id]
	for _, a := range to {
		if u == nil || !u.settled[a.Address] {
			out = append(out, a.Address)
		}
	}
	return out
}
