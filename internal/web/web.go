// Package web gives the pages as one handler: it looks at the session, refuses forged requests, hands each
// page its viewer, and serves the assets. The pages themselves are the packages below it.
package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"muster"
	"muster/internal/auth"
	"muster/internal/web/shell"
)

// Auth says who a session belongs to; *auth.Service is one.
type Auth interface {
	Session(ctx context.Context, cookie string) (id auth.Identity, csrf string, err error)
	CheckCSRF(cookie, token string) bool
	HasPassword(ctx context.Context, id auth.Identity) bool
}

// Router is a page: it adds its addresses.
type Router interface {
	Routes(mux *http.ServeMux)
}

// Options are the parts of the site.
type Options struct {
	Shell *shell.Shell
	Auth  Auth
	// AccountName gives the name of an account, for reading. Nil shows none.
	AccountName func(ctx context.Context, id muster.AccountID) string
	// Open adds the addresses that take no session.
	Open func(mux *http.ServeMux)
	// Pages take a session. Every form and unsafe request to them is checked for its CSRF token first.
	Pages []Router
}

// New joins the pages to a handler for "/". It panics when two pages want the same address.
func New(o Options) http.Handler {
	inner := http.NewServeMux()
	for _, p := range o.Pages {
		p.Routes(inner)
	}
	inner.HandleFunc("/", o.Shell.NotFound)
	s := &site{Options: o, inner: inner}

	outer := http.NewServeMux()
	outer.Handle(shell.AssetPrefix, o.Shell.AssetHandler())
	outer.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, o.Shell.Asset("shell/icon.svg"), http.StatusFound)
	})
	outer.HandleFunc("GET /robots.txt", func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("User-agent: *\nDisallow: /\n"))
	})
	if o.Open != nil {
		o.Open(outer)
	}
	outer.HandleFunc("/", s.closed)
	forged := http.NewCrossOriginProtection()
	forged.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.Shell.Fail(w, r, errForged)
	}))
	return shell.Secure(forged.Handler(outer))
}

var errForged = fmt.Errorf("web: %w: this form was not sent from a page of this server, or the page is too old: load it again", muster.ErrDenied)

type site struct {
	Options
	inner http.Handler
}

// closed lets through who has a session, with her viewer in the context.
func (s *site) closed(w http.ResponseWriter, r *http.Request) {
	c, err := r.Cookie(shell.SessionCookie)
	if err != nil || c.Value == "" {
		s.away(w, r)
		return
	}
	id, csrf, err := s.Auth.Session(r.Context(), c.Value)
	switch {
	case errors.Is(err, muster.ErrDenied), errors.Is(err, muster.ErrNotFound):
		s.away(w, r)
		return
	case err != nil:
		s.Shell.Fail(w, r, err)
		return
	}
	v := shell.Viewer{Identity: id, CSRF: csrf, HasPassword: s.Auth.HasPassword(r.Context(), id)}
	if s.AccountName != nil {
		v.AccountName = s.AccountName(r.Context(), id.Account)
	}
	r = r.WithContext(shell.WithViewer(r.Context(), v))
	if !shell.Safe(r.Method) && !s.Auth.CheckCSRF(c.Value, shell.GivenCSRF(w, r)) {
		s.Shell.Fail(w, r, errForged)
		return
	}
	s.inner.ServeHTTP(w, r)
}

// away leads people to the form, and tells scripts that the session is over.
func (s *site) away(w http.ResponseWriter, r *http.Request) {
	to := "/login"
	if r.Method == http.MethodGet && r.URL.Path != "/" {
		to += "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	if r.Header.Get("X-Muster-Part") != "" || strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		http.Error(w, "You were signed out. Load the page again to sign in.", http.StatusUnauthorized)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}
