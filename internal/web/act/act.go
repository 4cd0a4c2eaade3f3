// Package act gives the pages behind the links in messages: who has one may acknowledge an incident, or silence it,
// without signing in.
//
// Programs that look into messages open every link they find. So opening one does nothing but show a button; the
// button does it. The link itself is the proof: no cookie is read, none is set, and a page shows no more than the
// incident's title and state.
package act

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net/http"
	"time"

	"muster"
	"muster/internal/notify"
	"muster/internal/web/shell"
)

//go:embed act.html assets
var files embed.FS

// Links reads links; *notify.Room is one. The error wraps ErrInvalid when the token is none that was given out, and
// ErrDenied when its time is over.
type Links interface {
	OpenLink(token string) (notify.LinkTarget, error)
}

// Watch is where incidents are looked up and taken; *alarm.Watch is one. Errors wrap the kinds of the root package.
type Watch interface {
	Incident(ctx context.Context, account muster.AccountID, id muster.IncidentID) (*muster.Incident, error)
	Acknowledge(ctx context.Context, account muster.AccountID, id muster.IncidentID, actor string) (*muster.Incident, error)
}

// Options are the page's doors. All are needed.
type Options struct {
	Shell *shell.Shell
	Links Links
	Watch Watch
	// Silence keeps people from being told of an incident's node or check for so long. The error wraps ErrNotFound,
	// ErrInvalid (it is about neither), ErrConflict (it is over) or ErrLimited.
	Silence func(ctx context.Context, account muster.AccountID, id muster.IncidentID, length time.Duration, actor string) error
}

// Actor is who acts by a link, for the records.
const Actor = "link"

// Page serves links. It is safe for concurrent use.
type Page struct {
	opts Options
	view *shell.View[body]
}

// body is what act.html is filled with.
type body struct {
	Incident *muster.Incident // nil when the link leads to none
	Mark     string           // a state that has a shape
	State    string           // how it is, in words
	Silence  bool             // the link is for silencing
	Lengths  []length         // how long it may be silenced
	Done     string           // what was done just now
	Failed   string           // why nothing was done
	Head     string           // instead of an incident: what is wrong with the link
	Text     string           // and what to do
	Href     string           // of the incident's page, for those who may sign in
}

// length is a time that can be chosen.
type length struct {
	Value, Title string
	Length       time.Duration
	Usual        bool
}

var lengths = []length{{"1h", "1 hour", time.Hour, true}, {"4h", "4 hours", 4 * time.Hour, false}, {"12h", "12 hours", 12 * time.Hour, false}, {"1d", "1 day", 24 * time.Hour, false}, {"3d", "3 days", 72 * time.Hour, false}}

// New makes the page.
func New(o Options) *Page {
	return &Page{opts: o, view: shell.NewView[body](o.Shell, "act", files, "act.html")}
}

// OpenRoutes adds the addresses, which take no session.
func (p *Page) OpenRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /act/{token}", p.look)
	mux.HandleFunc("POST /act/{token}", p.do)
}

// show answers with the page. The address is the secret: it is kept from caches and lists. The referrer policy stays
// that of all pages, which tells other servers nothing: without any, browsers would send the form without its origin.
func (p *Page) show(w http.ResponseWriter, r *http.Request, status int, b *body) {
	w.Header().Set("X-Robots-Tag", "noindex, nofollow, noarchive")
	title := "Link in a message"
	if b.Incident != nil {
		title = b.Incident.Title
	}
	p.view.Render(w, r, shell.Page{Title: title, Bare: true, Status: status, Styles: []string{"act/act.css"}}, b)
}

// open reads the link and finds its incident; when it can't it has answered.
func (p *Page) open(w http.ResponseWriter, r *http.Request) (*body, notify.LinkTarget, bool) {
	target, err := p.opts.Links.OpenLink(r.PathValue("token"))
	if err == nil && target.Purpose != notify.LinkAcknowledge && target.Purpose != notify.LinkSilence {
		err = fmt.Errorf("act: %w: a link for %.20q", muster.ErrInvalid, target.Purpose)
	}
	var in *muster.Incident
	if err == nil {
		in, err = p.opts.Watch.Incident(r.Context(), target.Account, target.Incident)
	}
	if err != nil {
		p.refuse(w, r, err)
		return nil, target, false
	}
	b := &body{Silence: target.Purpose == notify.LinkSilence, Lengths: lengths}
	b.about(in)
	return b, target, true
}

// about takes the incident in.
func (b *body) about(in *muster.Incident) {
	b.Incident, b.Href = in, "/incidents/"+string(in.ID)
	switch in.State {
	case muster.IncidentResolved:
		b.Mark, b.State = "ok", "All is well again."
	case muster.IncidentAcknowledged:
		b.Mark, b.State = string(in.Level), "It is not over. Somebody has it."
	default:
		b.Mark, b.State = string(in.Level), "It is not over. Nobody has it yet."
	}
}

// refuse answers for a link that leads nowhere.
func (p *Page) refuse(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, muster.ErrDenied):
		p.show(w, r, http.StatusGone, &body{Head: "This link is too old", Text: "Links in messages work for a week. Sign in to see how it is now.", Href: "/incidents"})
	case errors.Is(err, muster.ErrInvalid):
		p.show(w, r, http.StatusNotFound, &body{Head: "This link leads nowhere", Text: "A part of it may be missing: copy all of it from the message, or press the button there once more."})
	case errors.Is(err, muster.ErrNotFound):
		p.show(w, r, http.StatusNotFound, &body{Head: "This incident is gone", Text: "It is not kept any more. There is nothing to be done."})
	default:
		p.opts.Shell.Fail(w, r, err)
	}
}

func (p *Page) look(w http.ResponseWriter, r *http.Request) {
	if b, _, ok := p.open(w, r); ok {
		p.show(w, r, http.StatusOK, b)
	}
}

// mostForm is the largest form read here, in bytes.
const mostForm = 4 << 10

// do does what the link is for.
func (p *Page) do(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, mostForm)
	b, target, ok := p.open(w, r)
	if !ok {
		return
	}
	var err error
	if b.Silence {
		err = p.silence(r, b, target)
	} else {
		err = p.acknowledge(r, b, target)
	}
	status := http.StatusOK
	if err != nil {
		if status = shell.Status(err); status >= http.StatusInternalServerError || shell.Words(err) == "" {
			p.opts.Shell.Fail(w, r, err)
			return
		}
		b.Failed = shell.Words(err)
	}
	p.show(w, r, status, b)
}

func (p *Page) acknowledge(r *http.Request, b *body, target notify.LinkTarget) error {
	in, err := p.opts.Watch.Acknowledge(r.Context(), target.Account, target.Incident, Actor)
	if err != nil {
		return fmt.Errorf("act: %w", err)
	}
	b.about(in)
	b.Done = "You have it. The others are told, and everybody hears when it is over."
	return nil
}

func (p *Page) silence(r *http.Request, b *body, target notify.LinkTarget) error {
	for _, l := range lengths {
		if l.Value != r.PostFormValue("for") {
			continue
		}
		if err := p.opts.Silence(r.Context(), target.Account, target.Incident, l.Length, Actor); err != nil {
			return fmt.Errorf("act: %w", err)
		}
		b.Done = "Nobody is told of it for " + l.Title + ". That all is well again is still told."
		return nil
	}
	return fmt.Errorf("act: silence: %w: choose for how long", muster.ErrInvalid)
}
