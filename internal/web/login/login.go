// Package login gives the way in and out: the one-time link that opens a session without a form, the form
// for name and password, signing out, and choosing a password.
package login

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"

	"muster"
	"muster/internal/auth"
	"muster/internal/web/shell"
)

//go:embed login.html assets
var files embed.FS

// Auth is what decides; *auth.Service is one.
type Auth interface {
	SignIn(ctx context.Context, name, password, remote string) (cookie string, id auth.Identity, err error)
	Redeem(ctx context.Context, code string) (cookie string, id auth.Identity, err error)
	SignOut(ctx context.Context, cookie string) error
	SetPassword(ctx context.Context, id auth.Identity, old, new string) error
}

// Options are the page's doors.
type Options struct {
	Shell *shell.Shell
	Auth  Auth
}

// Page serves the way in and out. It is safe for concurrent use.
type Page struct {
	opts Options
	view *shell.View[body]
}

// body is what login.html is filled with.
type body struct {
	Name  string
	Next  string
	Error string
	Spent bool // she came by a one-time link that is not good any more
}

// New makes the page.
func New(o Options) *Page {
	return &Page{opts: o, view: shell.NewView[body](o.Shell, "login", files, "login.html")}
}

// OpenRoutes adds what is there for people without a session.
func (p *Page) OpenRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /login", p.form)
	mux.HandleFunc("POST /login", p.signIn)
	mux.HandleFunc("GET /login/{code}", p.redeem)
}

// Routes adds what takes a session.
func (p *Page) Routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /logout", p.signOut)
	mux.HandleFunc("POST /password", p.password)
}

func (p *Page) show(w http.ResponseWriter, r *http.Request, status int, b *body) {
	p.view.Render(w, r, shell.Page{Title: "Sign in", Bare: true, Status: status, Styles: []string{"login/login.css"}}, b)
}

func (p *Page) form(w http.ResponseWriter, r *http.Request) {
	p.show(w, r, http.StatusOK, &body{Next: shell.LocalPath(r.URL.Query().Get("next"))})
}

// mostForm is the largest form read here, in bytes.
const mostForm = 16 << 10

func (p *Page) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, mostForm)
	name, password := r.PostFormValue("name"), r.PostFormValue("password")
	b := &body{Name: name, Next: shell.LocalPath(r.PostFormValue("next"))}
	cookie, _, err := p.opts.Auth.SignIn(r.Context(), name, password, remote(r))
	if err != nil {
		var limited *auth.LimitedError
		switch {
		case errors.As(err, &limited):
			seconds := int(math.Ceil(limited.After.Seconds()))
			w.Header().Set("Retry-After", fmt.Sprint(seconds))
			b.Error = fmt.Sprintf("Too many attempts. Try again in %d s.", seconds)
		case errors.Is(err, muster.ErrDenied):
			b.Error = "The name or the password is wrong."
		default:
			p.opts.Shell.Fail(w, r, err)
			return
		}
		p.show(w, r, shell.Status(err), b)
		return
	}
	shell.SetSession(w, r, cookie)
	http.Redirect(w, r, b.Next, http.StatusSeeOther)
}

// redeem turns a one-time code into a session. Only GET does: something that merely looks at the link's head must not use it up.
func (p *Page) redeem(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	if r.Method != http.MethodGet {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	cookie, _, err := p.opts.Auth.Redeem(r.Context(), r.PathValue("code"))
	switch {
	case errors.Is(err, muster.ErrDenied):
		p.show(w, r, http.StatusForbidden, &body{Next: "/", Spent: true})
		return
	case err != nil:
		p.opts.Shell.Fail(w, r, err)
		return
	}
	shell.SetSession(w, r, cookie)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (p *Page) signOut(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(shell.SessionCookie); err == nil {
		if err := p.opts.Auth.SignOut(r.Context(), c.Value); err != nil && !errors.Is(err, muster.ErrNotFound) {
			p.opts.Shell.Fail(w, r, err)
			return
		}
	}
	shell.EndSession(w, r)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// password sets the viewer's password from "new" (and "old", once there is one) and leads back to "back".
func (p *Page) password(w http.ResponseWriter, r *http.Request) {
	back := shell.LocalPath(r.PostFormValue("back"))
	v := shell.Identity(r.Context())
	err := p.opts.Auth.SetPassword(r.Context(), v.Identity, r.PostFormValue("old"), r.PostFormValue("new"))
	flash := shell.Flash{Kind: "ok", Text: fmt.Sprintf("The password is set. From now on you sign in as %s with it.", v.Name)}
	switch {
	case errors.Is(err, muster.ErrDenied):
		flash = shell.Flash{Kind: "bad", Text: "The present password is another one. The password was not changed."}
	case errors.Is(err, muster.ErrInvalid):
		flash = shell.Flash{Kind: "bad", Text: "The password was not set: " + shell.Words(err) + "."}
	case err != nil:
		p.opts.Shell.Fail(w, r, err)
		return
	}
	shell.SetFlash(w, flash)
	http.Redirect(w, r, back, http.StatusSeeOther)
}

// remote gives the address whose attempts are counted together.
func remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
