package web_test

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// ask sends a request as a browser that has a session (or not) would.
func (w *world) ask(method, path, session string, form url.Values, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if session != "" {
		r.AddCookie(&http.Cookie{Name: "muster_session", Value: session})
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, r)
	return out
}

func TestPagesTakeASession(t *testing.T) {
	w := newWorld(t, 3)
	for _, session := range []string{"", "forged"} {
		got := w.ask("GET", "/nodes?q=a", session, nil)
		if got.Code != 303 || got.Header().Get("Location") != "/login?next=%2Fnodes%3Fq%3Da" {
			t.Errorf("session %q: got %d %v", session, got.Code, got.Header())
		}
	}
	if got := w.ask("GET", "/nodes/rows", "", nil, "X-Muster-Part", "1"); got.Code != 401 {
		t.Errorf("a script got %d", got.Code)
	}
	if got := w.ask("GET", "/nodes/live?ids=", "", nil, "Accept", "text/event-stream"); got.Code != 401 {
		t.Errorf("a stream got %d", got.Code)
	}
	got := w.ask("GET", "/nodes", "good", nil)
	if got.Code != 200 || !strings.Contains(got.Body.String(), "acme · admin") || !strings.Contains(got.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("got %d %v", got.Code, got.Header())
	}
	if got := w.ask("GET", "/nowhere", "good", nil); got.Code != 404 || !strings.Contains(got.Body.String(), "There is nothing here.") {
		t.Errorf("got %d", got.Code)
	}
	for _, open := range []string{"/login", "/robots.txt"} {
		if got := w.ask("GET", open, "", nil); got.Code != 200 {
			t.Errorf("%s: got %d", open, got.Code)
		}
	}
}

func TestForgedRequestsAreRefused(t *testing.T) {
	w := newWorld(t, 1)
	id := w.store.nodes[0].ID.String()
	form := func(csrf string) url.Values { return url.Values{"do": {"star"}, "id": {id}, "csrf": {csrf}} }
	for name, c := range map[string]struct {
		form   url.Values
		header []string
		want   int
	}{
		"no token":         {form(""), nil, 403},
		"another token":    {form("x"), nil, 403},
		"the token":        {form("token"), nil, 303},
		"token as header":  {form(""), []string{"X-Muster-CSRF", "token"}, 303},
		"from elsewhere":   {form("token"), []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"another's origin": {form("token"), []string{"Origin", "https://evil.example"}, 403},
	} {
		if got := w.ask("POST", "/nodes/act", "good", c.form, c.header...); got.Code != c.want {
			t.Errorf("%s: got %d %s", name, got.Code, got.Body)
		}
	}
	if got := w.ask("POST", "/login", "", url.Values{"name": {"admin"}}, "Sec-Fetch-Site", "cross-site"); got.Code != 403 {
		t.Errorf("a sign-in from elsewhere: got %d", got.Code)
	}
}

func TestPasswordThenSignIn(t *testing.T) {
	w := newWorld(t, 1)
	w.auth.password = ""
	first := w.ask("GET", "/login/once", "", nil)
	if first.Code != 303 || len(first.Result().Cookies()) != 1 {
		t.Fatalf("got %d %v", first.Code, first.Header())
	}
	if got := w.ask("GET", "/login/once", "", nil); got.Code != 403 {
		t.Errorf("the link worked twice: %d", got.Code)
	}
	set := w.ask("POST", "/password", "good", url.Values{"csrf": {"token"}, "new": {"short"}, "back": {"/"}})
	told := w.ask("GET", "/", "good", nil, "Cookie", "muster_session=good; "+set.Result().Cookies()[0].String())
	if !strings.Contains(told.Body.String(), "at least 8 characters") {
		t.Error("why the password was refused is not told")
	}
	w.ask("POST", "/password", "good", url.Values{"csrf": {"token"}, "new": {"correct horse"}, "back": {"/"}})
	if got := w.ask("POST", "/login", "", url.Values{"name": {"admin"}, "password": {"correct horse"}}); got.Code != 303 {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
}

func TestAssetsAreForEverybody(t *testing.T) {
	w := newWorld(t, 1)
	page := w.ask("GET", "/login", "", nil).Body.String()
	at := strings.Index(page, "/assets/shell/shell.")
	if at < 0 {
		t.Fatal("the page names no style sheet")
	}
	address, _, _ := strings.Cut(page[at:], `"`)
	if got := w.ask("GET", address, "", nil); got.Code != 200 || !strings.Contains(got.Header().Get("Content-Type"), "css") {
		t.Errorf("got %d %v", got.Code, got.Header())
	}
}

// TestNoPageHasWhatThePolicyForbids looks for inline style and script on every page, empty and full.
func TestNoPageHasWhatThePolicyForbids(t *testing.T) {
	for _, count := range []int{0, 1, 120} {
		w := newWorld(t, count)
		w.past()
		for _, path := range []string{"/", "/nodes", "/nodes?q=tag:", "/nodes?q=zebra", "/changelog", "/nowhere", "/login"} {
			got := w.ask("GET", path, "good", nil).Body.String()
			for _, bad := range []string{" style=", " onclick=", "<style", "javascript:", "<script>"} {
				if strings.Contains(got, bad) {
					t.Errorf("%s with %d nodes has %s", path, count, bad)
				}
			}
		}
	}
}

// TestFacetsFindWhatTheyCount follows every facet and chip of the nodes page: each leads to as many nodes as it says.
func TestFacetsFindWhatTheyCount(t *testing.T) {
	w := newWorld(t, 100)
	for i := range 60 {
		w.tell(i, time.Now())
	}
	page := w.ask("GET", "/nodes", "good", nil).Body.String()
	links := regexp.MustCompile(`<a (?:class="chip" )?href="(/nodes\?q=[^"]+)" data-part[^>]*>(?:<svg.*?</svg> <span><b>(\d+)</b>|<span>[^<]*</span><span class="n">(\d+)</span>)`).FindAllStringSubmatch(page, -1)
	if len(links) < 15 {
		t.Fatalf("only %d facets are found", len(links))
	}
	for _, m := range links {
		got := w.ask("GET", html.UnescapeString(m[1]), "good", nil).Body.String()
		if want := `data-total="` + m[2] + m[3] + `"`; !strings.Contains(got, want) {
			t.Errorf("%s does not lead to %s", m[1], want)
		}
		if !strings.Contains(got, `aria-current="true"`) {
			t.Errorf("%s is not marked as chosen", m[1])
		}
	}
}
