package login

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jba/templatecheck"

	"muster"
	"muster/internal/auth"
	"muster/internal/web/shell"
)

type fakeAuth struct {
	err   error
	asked []string
}

func (a *fakeAuth) SignIn(_ context.Context, name, password, remote string) (string, auth.Identity, error) {
	a.asked = append(a.asked, name+"/"+password+"/"+remote)
	return "fresh", auth.Identity{}, a.err
}

func (a *fakeAuth) Redeem(_ context.Context, code string) (string, auth.Identity, error) {
	a.asked = append(a.asked, code)
	return "fresh", auth.Identity{}, a.err
}

func (a *fakeAuth) SignOut(_ context.Context, cookie string) error {
	a.asked = append(a.asked, cookie)
	return a.err
}

func (a *fakeAuth) SetPassword(_ context.Context, id auth.Identity, old, fresh string) error {
	a.asked = append(a.asked, string(id.User)+"/"+old+"/"+fresh)
	return a.err
}

func newSite() (*fakeAuth, *Page, http.Handler) {
	a := &fakeAuth{}
	p := New(Options{Shell: shell.New(shell.Options{}), Auth: a})
	mux := http.NewServeMux()
	p.OpenRoutes(mux)
	p.Routes(mux)
	return a, p, mux
}

func do(h http.Handler, method, path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.AddCookie(&http.Cookie{Name: shell.SessionCookie, Value: "mine"})
	r = r.WithContext(shell.WithViewer(r.Context(), shell.Viewer{Identity: auth.Identity{User: "user_1", Name: "ada"}}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func session(w *httptest.ResponseRecorder) *http.Cookie {
	for _, c := range w.Result().Cookies() {
		if c.Name == shell.SessionCookie {
			return c
		}
	}
	return nil
}

func TestTemplatesFitTheirTypes(t *testing.T) {
	_, p, _ := newSite()
	if err := templatecheck.CheckHTML(p.view.Template("body"), &body{}); err != nil {
		t.Error(err)
	}
}

func TestSignIn(t *testing.T) {
	a, _, h := newSite()
	w := do(h, "POST", "/login", url.Values{"name": {"ada"}, "password": {"pass word"}, "next": {"/nodes?q=x"}})
	c := session(w)
	if w.Code != 303 || w.Header().Get("Location") != "/nodes?q=x" || c == nil || c.Value != "fresh" || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
	if len(a.asked) != 1 || a.asked[0] != "ada/pass word/192.0.2.1" {
		t.Errorf("asked %v", a.asked)
	}
	if w := do(h, "POST", "/login", url.Values{"next": {"//evil.example"}}); w.Header().Get("Location") != "/" {
		t.Errorf("led to %s", w.Header().Get("Location"))
	}
	r := httptest.NewRequest("POST", "https://muster.example/login", nil)
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if c := session(w); c == nil || !c.Secure {
		t.Error("over TLS the cookie is for TLS only")
	}
}

func TestSignInThatFails(t *testing.T) {
	a, _, h := newSite()
	for _, c := range []struct {
		err    error
		status int
		want   string
	}{
		{fmt.Errorf("auth: %w: no such user", muster.ErrDenied), 403, "The name or the password is wrong."},
		{&auth.LimitedError{After: 1500 * time.Millisecond}, 429, "Try again in 2 s."},
		{fmt.Errorf("auth: %w", muster.ErrUnavailable), 503, "The store does not answer now."},
	} {
		a.err = c.err
		w := do(h, "POST", "/login", url.Values{"name": {`a"b`}, "password": {"hunter2"}})
		got := w.Body.String()
		if w.Code != c.status || !strings.Contains(got, c.want) || strings.Contains(got, "hunter2") || strings.Contains(got, "no such user") || session(w) != nil {
			t.Errorf("%v: got %d %s", c.err, w.Code, got)
		}
	}
}

func TestOneTimeLink(t *testing.T) {
	a, _, h := newSite()
	if w := do(h, "HEAD", "/login/abc", nil); len(a.asked) != 0 || w.Code != 204 {
		t.Error("a look at the head used the link up")
	}
	w := do(h, "GET", "/login/abc", nil)
	if w.Code != 303 || w.Header().Get("Location") != "/" || session(w) == nil || w.Header().Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
	a.err = fmt.Errorf("auth: %w", muster.ErrDenied)
	if w := do(h, "GET", "/login/abc", nil); w.Code != 403 || !strings.Contains(w.Body.String(), "used already") || session(w) != nil {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	a.err = fmt.Errorf("auth: %w", muster.ErrUnavailable)
	if w := do(h, "GET", "/login/abc", nil); w.Code != 503 {
		t.Errorf("got %d", w.Code)
	}
}

func TestSignOut(t *testing.T) {
	a, _, h := newSite()
	w := do(h, "POST", "/logout", nil)
	if c := session(w); w.Code != 303 || c == nil || c.MaxAge >= 0 || len(a.asked) != 1 || a.asked[0] != "mine" {
		t.Errorf("got %d %v, asked %v", w.Code, w.Header(), a.asked)
	}
}

func TestPassword(t *testing.T) {
	a, _, h := newSite()
	for _, c := range []struct {
		err  error
		code int
		want string
	}{
		{nil, 303, "/settings"},
		{fmt.Errorf("auth: %w: old", muster.ErrDenied), 303, "/settings"},
		{fmt.Errorf("auth: %w: too short", muster.ErrInvalid), 303, "/settings"},
		{fmt.Errorf("auth: %w", muster.ErrUnavailable), 503, ""},
	} {
		a.err = c.err
		w := do(h, "POST", "/password", url.Values{"old": {"o"}, "new": {"n"}, "back": {"/settings"}})
		if w.Code != c.code || w.Header().Get("Location") != c.want {
			t.Errorf("%v: got %d %v", c.err, w.Code, w.Header())
		}
	}
	if a.asked[0] != "user_1/o/n" {
		t.Errorf("asked %v", a.asked)
	}
}

func TestFormKeepsWhereToGo(t *testing.T) {
	_, _, h := newSite()
	if got := do(h, "GET", "/login?next=%2Fnodes%3Fq%3Da", nil).Body.String(); !strings.Contains(got, `name="next" value="/nodes?q=a"`) {
		t.Error(got)
	}
}
