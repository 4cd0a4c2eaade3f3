package shell

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jba/templatecheck"

	"muster"
	"muster/internal/auth"
)

type hello struct{ Name string }

var pageFiles = fstest.MapFS{
	"hello.html":       {Data: []byte(`{{define "body"}}<p>Hello {{.Name}} <img src="{{asset "hello/dot.svg"}}"></p>{{end}}{{define "bit"}}<b>{{.}}</b>{{end}}`)},
	"assets/hello.js":  {Data: []byte("import { a } from \"./other.js\";\nimport { csrf } from \"../../shell/assets/api.js\";\nconst later = import(\"./other.js\");\n")},
	"assets/other.js":  {Data: []byte("export const a = 1;\n")},
	"assets/dot.svg":   {Data: []byte("<svg/>")},
	"assets/README.md": {Data: []byte("not served")},
}

func newHello(t *testing.T) (*Shell, *View[hello]) {
	t.Helper()
	s := New(Options{Version: "1.2.3", Nav: []NavItem{{Key: "hello", Title: "Hello", Href: "/hello"}}, Counts: func(context.Context, Viewer) map[string]Count {
		return map[string]Count{"hello": {Text: "7", Bad: true}}
	}})
	return s, NewView[hello](s, "hello", pageFiles, "*.html")
}

func signedIn(method, path string) *http.Request {
	r := httptest.NewRequest(method, path, nil)
	return r.WithContext(WithViewer(r.Context(), Viewer{Identity: auth.Identity{User: "user_1", Name: "ada", Role: muster.Admin}, AccountName: "acme", CSRF: "secret-token", HasPassword: true}))
}

func TestTemplatesFitTheirTypes(t *testing.T) {
	_, v := newHello(t)
	if err := templatecheck.CheckHTML(v.Template("layout.html"), frame{}); err != nil {
		t.Error(err)
	}
	if err := templatecheck.CheckHTML(v.Template("error"), failure{}); err != nil {
		t.Error(err)
	}
}

func TestPage(t *testing.T) {
	_, v := newHello(t)
	w := httptest.NewRecorder()
	v.Render(w, signedIn("GET", "/hello"), Page{Title: "Hi", Nav: "hello", Query: `tag:"x"`, Modules: []string{"hello/hello.js"}, Scripts: []string{UPlot}}, &hello{Name: "<Ada>"})
	got := w.Body.String()
	for _, want := range []string{
		"<title>Hi · Muster</title>", "Hello &lt;Ada&gt;", `aria-current="page">Hello<span class="n crit">7</span>`, "acme · ada", "muster 1.2.3",
		`name="csrf" content="secret-token"`, `value="tag:&#34;x&#34;"`, `<script type="module" src="/assets/hello/hello.`, `<script defer src="/assets/shell/vendor/uplot.min.`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Error("a page with somebody's data must not be kept")
	}
	if m := regexp.MustCompile(`(?i)\sstyle=|\son[a-z]+=|<style|<script>|javascript:`).FindString(got); m != "" {
		t.Errorf("the page has %q, which the policy forbids", m)
	}
}

func TestPartAndHTML(t *testing.T) {
	_, v := newHello(t)
	w := httptest.NewRecorder()
	v.Part(w, signedIn("GET", "/"), "bit", "<x>")
	if got := w.Body.String(); got != "<b>&lt;x&gt;</b>" {
		t.Errorf("got %s", got)
	}
	if b, err := v.HTML("bit", "y"); err != nil || string(b) != "<b>y</b>" {
		t.Errorf("got %s, %v", b, err)
	}
	if _, err := v.HTML("nothing", nil); err == nil {
		t.Error("a template that is not there must be an error")
	}
}

func TestBrokenTemplateLeavesNothingHalfWritten(t *testing.T) {
	s := New(Options{})
	v := NewView[hello](s, "p", fstest.MapFS{"p.html": {Data: []byte(`{{define "body"}}half {{index .Name 99}}{{end}}`)}}, "*.html")
	w := httptest.NewRecorder()
	v.Render(w, signedIn("GET", "/"), Page{}, &hello{Name: "short"})
	if w.Code != 500 || strings.Contains(w.Body.String(), "half") || !strings.Contains(w.Body.String(), "Something broke here.") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestAssetsCarryTheirHashAndImportEachOtherByIt(t *testing.T) {
	s, _ := newHello(t)
	h := s.AssetHandler()
	url := s.Asset("hello/hello.js")
	w := get(h, url, "")
	if w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Fatalf("got %d %v", w.Code, w.Header())
	}
	sum := sha256.Sum256(w.Body.Bytes())
	if !strings.Contains(url, hex.EncodeToString(sum[:])[:hashDigits]) {
		t.Errorf("%s is not named by what it holds", url)
	}
	body := w.Body.String()
	for _, name := range []string{"hello/other.js", "shell/api.js"} {
		if !strings.Contains(body, `"`+s.Asset(name)+`"`) {
			t.Errorf("the module does not import %s by its address:\n%s", name, body)
		}
	}
	if strings.Contains(body, "./") {
		t.Errorf("a relative import is left:\n%s", body)
	}
	for _, bad := range []string{"/assets/hello/hello.js", strings.Replace(url, ".js", "0.js", 1), "/assets/hello/README.md", "/assets/"} {
		if w := get(h, bad, ""); w.Code != 404 {
			t.Errorf("%s: got %d", bad, w.Code)
		}
	}
}

func TestAssetsAreCompressedForThoseWhoTakeIt(t *testing.T) {
	s, _ := newHello(t)
	h := s.AssetHandler()
	url := s.Asset("shell/shell.css")
	plain, zipped, refused := get(h, url, ""), get(h, url, "br, gzip"), get(h, url, "gzip;q=0")
	if zipped.Header().Get("Content-Encoding") != "gzip" || zipped.Body.Len() >= plain.Body.Len()/2 {
		t.Errorf("compressed %d of %d bytes, %v", zipped.Body.Len(), plain.Body.Len(), zipped.Header())
	}
	z, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	if back, _ := io.ReadAll(z); !bytes.Equal(back, plain.Body.Bytes()) {
		t.Error("what is unpacked is something else")
	}
	if refused.Header().Get("Content-Encoding") != "" {
		t.Error("q=0 is a refusal")
	}
}

func get(h http.Handler, url, encoding string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", url, nil)
	if encoding != "" {
		r.Header.Set("Accept-Encoding", encoding)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestModulesInACircleAndMissingOnesAreFound(t *testing.T) {
	for name, fsys := range map[string]fstest.MapFS{
		"circle":  {"assets/a.js": {Data: []byte(`import "./b.js";`)}, "assets/b.js": {Data: []byte(`import "./a.js";`)}},
		"missing": {"assets/a.js": {Data: []byte(`import "./nowhere.js";`)}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("nobody noticed")
				}
			}()
			s := New(Options{})
			s.AddAssets("x", fsys)
			s.Asset("x/a.js")
		})
	}
}

// TestVendored compares the third-party files with the hashes written down beside them.
func TestVendored(t *testing.T) {
	list, err := os.ReadFile("assets/vendor/README.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| (\S+) \|.*\| ([0-9a-f]{64}) \|$`).FindAllStringSubmatch(string(list), -1) {
		told[m[1]] = m[2]
	}
	paths, _ := filepath.Glob("assets/vendor/*")
	for _, p := range paths {
		name := filepath.Base(p)
		if strings.HasSuffix(name, ".LICENSE") || name == "README.md" {
			continue
		}
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		if told[name] != hex.EncodeToString(sum[:]) {
			t.Errorf("%s has the hash %x; README.md says %q", name, sum, told[name])
		}
		delete(told, name)
	}
	for name := range told {
		t.Errorf("README.md speaks of %s, which is not here", name)
	}
}

func TestErrorPages(t *testing.T) {
	s, _ := newHello(t)
	for _, c := range []struct {
		err    error
		status int
		want   string
		not    string
	}{
		{fmt.Errorf("inventory: get: %w: no node x", muster.ErrNotFound), 404, "no node x", "inventory"},
		{fmt.Errorf("store: %w", muster.ErrUnavailable), 503, "Try again in a few seconds", "store:"},
		{fmt.Errorf("a: %w: too many", muster.ErrLimited), 429, "too many", ""},
		{fmt.Errorf("a: %w: taken", muster.ErrConflict), 409, "taken", ""},
		{fmt.Errorf("a: %w: bad <b>", muster.ErrInvalid), 422, "bad &lt;b&gt;", "<b>"},
		{errors.New("password is hunter2"), 500, "Something broke here.", "hunter2"},
	} {
		w := httptest.NewRecorder()
		s.Fail(w, signedIn("GET", "/x"), c.err)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) || c.not != "" && strings.Contains(w.Body.String(), c.not) {
			t.Errorf("%v: got %d %s", c.err, w.Code, w.Body)
		}
		if (c.status == 503 || c.status == 429) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%v: Retry-After is %q", c.err, w.Header().Get("Retry-After"))
		}
	}
	r := signedIn("GET", "/x")
	r.Header.Set("X-Muster-Part", "1")
	w := httptest.NewRecorder()
	s.Fail(w, r, fmt.Errorf("a: %w: at 3: odd", muster.ErrInvalid))
	if strings.Contains(w.Body.String(), "<html") || !strings.Contains(w.Body.String(), "at 3: odd") {
		t.Errorf("a script wants words, not a page: %s", w.Body)
	}
}

func TestFlashIsShownOnce(t *testing.T) {
	_, v := newHello(t)
	w := httptest.NewRecorder()
	SetFlash(w, Flash{Kind: "ok", Text: "Saved <it>; ä" + strings.Repeat("x", 700)})
	r := signedIn("GET", "/")
	for _, c := range w.Result().Cookies() {
		r.AddCookie(c)
	}
	w = httptest.NewRecorder()
	v.Render(w, r, Page{}, &hello{})
	if !strings.Contains(w.Body.String(), "Saved &lt;it&gt;; ä") {
		t.Error("the message is not shown")
	}
	if c := w.Result().Cookies(); len(c) != 1 || c[0].MaxAge >= 0 {
		t.Errorf("the message is not forgotten: %v", c)
	}
	for _, bad := range []string{"!!", "aGVsbG8"} {
		r := signedIn("GET", "/")
		r.AddCookie(&http.Cookie{Name: flashCookie, Value: bad})
		if f := takeFlash(httptest.NewRecorder(), r); f != nil {
			t.Errorf("%q made the message %v", bad, f)
		}
	}
}

func TestLocalPath(t *testing.T) {
	for to, want := range map[string]string{
		"/nodes?q=a": "/nodes?q=a", "/": "/", "": "/", "//evil.example": "/", `/\evil.example`: "/", "https://evil.example": "/", "nodes": "/", "/a\nb": "/", `/a\b`: "/",
	} {
		if got := LocalPath(to); got != want {
			t.Errorf("%q leads to %q, want %q", to, got, want)
		}
	}
}

func TestThemeIsTheViewersChoice(t *testing.T) {
	_, v := newHello(t)
	for cookie, want := range map[string]string{"dark": `data-theme="dark"`, "light": `data-theme="light"`, `"><script>`: `<html lang="en">`} {
		r := signedIn("GET", "/")
		r.Header.Set("Cookie", "muster_theme="+cookie)
		w := httptest.NewRecorder()
		v.Render(w, r, Page{}, &hello{})
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: no %s", cookie, want)
		}
	}
}

func TestStream(t *testing.T) {
	w := httptest.NewRecorder()
	s, err := OpenStream(w)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send("v", []byte(`[1]`)); err != nil {
		t.Fatal(err)
	}
	if got, want := w.Body.String(), ":\n\nevent: v\ndata: [1]\n\n"; got != want || w.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("got %q %v", got, w.Header())
	}
}

func TestSecurityHeaders(t *testing.T) {
	w := httptest.NewRecorder()
	Secure(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	csp := w.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "form-action 'self'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("the policy lacks %s", want)
		}
	}
	if strings.Contains(csp, "unsafe") {
		t.Error("the policy is not strict")
	}
}

func TestGivenCSRF(t *testing.T) {
	form := httptest.NewRequest("POST", "/", strings.NewReader("csrf=abc"))
	form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	script := httptest.NewRequest("POST", "/", nil)
	script.Header.Set(CSRFHeader, "abc")
	for _, r := range []*http.Request{form, script} {
		if got := GivenCSRF(httptest.NewRecorder(), r); got != "abc" {
			t.Errorf("got %q", got)
		}
	}
	if got := GivenCSRF(httptest.NewRecorder(), httptest.NewRequest("POST", "/?csrf=abc", nil)); got != "" {
		t.Errorf("an address is no place for the token, got %q", got)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 0: "0 s", 59 * time.Second: "59 s", time.Minute: "1 min", 59 * time.Minute: "59 min", time.Hour: "1 h", 47 * time.Hour: "47 h", 48 * time.Hour: "2 d", 1400 * time.Hour: "58 d",
	} {
		if got := Span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
