package checks_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/roster"
	"muster/internal/web/shell"
)

func get(t *testing.T, h http.Handler, path string, status int) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if w.Code != status {
		t.Fatalf("%s: %d %s, want %d", path, w.Code, w.Body, status)
	}
	return w.Body.String()
}

func post(h http.Handler, path string, form url.Values) *httptest.ResponseRecorder {
	form.Set("csrf", "token")
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// names gives the names of the rows in a list, in order.
func names(page string) []string {
	var out []string
	for _, part := range strings.Split(page, `<th scope="row" class="nm"><a href="`)[1:] {
		_, rest, _ := strings.Cut(part, `">`)
		name, _, _ := strings.Cut(rest, "<")
		out = append(out, name)
	}
	return out
}

const long = "a-very-long-name-that-somebody-gave-a-check-in-a-hurry.production.eu-central-1.example.internal"

func TestListIsWorstFirst(t *testing.T) {
	w := newWorld(t)
	w.fleet()
	page := get(t, w.site(), "/checks", 200)
	if got := strings.Join(names(page), "|"); got != "api health|"+long+"|edge-fra|example.org records|nightly backup|postgres|site|old shop" {
		t.Errorf("the order is %s", got)
	}
	for _, want := range []string{"HTTP 502, expected 200-299", "last 20 runs: critical", "last 20 runs: ok", "web-1.example.org", "switched off", "runs within 10 s", "98.", `href="/checks?status=critical"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "style=") || strings.Contains(page, "onclick=") {
		t.Error("the policy forbids inline styles and scripts")
	}
}

func TestListIsTheAddress(t *testing.T) {
	w := newWorld(t)
	w.fleet()
	h := w.site()
	for query, want := range map[string]string{
		"?q=EXAMPLE.org&kind=http":    "api health|site|old shop",
		"?status=critical":            "api health",
		"?status=off":                 "old shop",
		"?kind=dns":                   "example.org records",
		"?sort=-name&kind=http":       "site|old shop|api health",
		"?sort=-took":                 "nightly backup",
		"?status=nonsense&kind=ping":  "edge-fra",
		"?q=nothing+like+that":        "",
		"?page=2":                     "api health",
		"?from=5000&sort=name&q=site": "site",
	} {
		got := strings.Join(names(get(t, h, "/checks"+query, 200)), "|")
		if got != want && !(strings.HasPrefix(got, want+"|") && want != "" && !strings.Contains(want, "|")) {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	page := get(t, h, "/checks?kind=http&status=critical", 200)
	for _, want := range []string{`1 of 8`, `href="/checks?status=critical"`, `href="/checks?kind=http" data-part aria-current="true"`, `type="hidden" name="status" value="critical"`} {
		if !strings.Contains(page, want) {
			t.Errorf("lacks %q", want)
		}
	}
}

func TestEmptyPagesSayWhatToDo(t *testing.T) {
	w := newWorld(t)
	if page := get(t, w.site(), "/checks", 200); !strings.Contains(page, "Nothing is checked yet") || !strings.Contains(page, `href="/checks/new"`) {
		t.Error("the empty list says nothing")
	}
	w.role = muster.Observer
	if page := get(t, w.site(), "/checks", 200); strings.Contains(page, `href="/checks/new"`) {
		t.Error("an observer is offered what she may not do")
	}
	w.role = muster.Admin
	w.fleet()
	if page := get(t, w.site(), "/checks?q=zebra", 200); !strings.Contains(page, "No check matches") {
		t.Error("a list without a match says nothing")
	}
	html, err := w.page.OfNode(context.Background(), shell.Viewer{}, w.nodes[2].ID)
	if err != nil || !strings.Contains(string(html), "Nothing of this node is checked yet") {
		t.Errorf("a node without checks: %v %.200s", err, html)
	}
}

func TestChecksOfANode(t *testing.T) {
	w := newWorld(t)
	w.fleet()
	v := shell.Viewer{}
	v.Account, v.Role = w.account, muster.Operator
	html, err := w.page.OfNode(context.Background(), v, w.nodes[1].ID)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(string(html)); len(got) != 1 || got[0] != "api health" || !strings.Contains(string(html), "/checks/new?node="+w.nodes[1].ID.String()) {
		t.Errorf("got %v in %.300s", got, html)
	}
	for i, want := range [][2]int{{1, 1}, {0, 1}, {0, 0}} {
		if ok, total := w.page.CountOfNode(w.account, w.nodes[i].ID); ok != want[0] || total != want[1] {
			t.Errorf("node %d has %d of %d well, want %v", i, ok, total, want)
		}
	}
	if got := names(get(t, w.site(), "/checks/rows?node="+w.nodes[0].ID.String(), 200)); len(got) != 1 || got[0] != "postgres" {
		t.Errorf("the rows of a node: %v", got)
	}
}

func TestSeriesAwayLeavesTheList(t *testing.T) {
	w := newWorld(t)
	w.fleet()
	w.mu.Lock()
	w.broken = true
	w.mu.Unlock()
	if got := names(get(t, w.site(), "/checks", 200)); len(got) != 8 {
		t.Errorf("without series there are %d rows", len(got))
	}
}

func TestNamesAreEscaped(t *testing.T) {
	w := newWorld(t)
	id := w.add(muster.Check{Name: `</script><script>alert(1)</script>`, Kind: "http", Config: config(`{"url":"http://a.example/?<img src=x>","headers":{"X-A":"\"><script>alert(2)"}}`)}, time.Hour)
	w.pasts[id].evidence = map[string]string{"<script>alert(3)": `<script>alert(4)`, "http.body": "<script>alert(5)"}
	w.run()
	for _, path := range []string{"/checks", "/checks/" + string(id), "/checks/" + string(id) + "/edit"} {
		page := get(t, w.site(), path, 200)
		if strings.Contains(page, "<script>alert") || strings.Contains(page, "<img src=x") {
			t.Errorf("%s: something came through as markup", path)
		}
	}
}

func TestCheckPage(t *testing.T) {
	w := newWorld(t)
	ids := w.fleet()
	h := w.site()
	page := get(t, h, "/checks/"+string(ids["site"]), 200)
	for _, want := range []string{
		"All is well for", ": HTTP 200 in", "resolve", "first byte", "in all", "61 d left", "R11,O=Let&#39;s Encrypt", "*.example.org", "98.", "not ok for 2", "nginx/1.24.0",
		`data-panel="timings"`, `data-panel="duration"`, `data-panel="certificate"`, "Switch off", "Run now", `rel="next">Older`, "Type <b",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if n := strings.Count(page, `<td class="st">`); n != 50 {
		t.Errorf("the history has %d rows", n)
	}
	page = get(t, h, "/checks/"+string(ids["api"]), 200)
	for _, want := range []string{"Critical for", "HTTP 502, expected 200-299", "the answer has another code than expected", `href="/nodes/` + w.nodes[1].ID.String() + `/checks">web-1.example.org`} {
		if !strings.Contains(page, want) {
			t.Errorf("the failing one lacks %q", want)
		}
	}
	for id, want := range map[string]string{"new": "It runs for the first time within 10 s.", "old": "It is switched off", "backup": "/v1/push/push_"} {
		if page := get(t, h, "/checks/"+string(ids[id]), 200); !strings.Contains(page, want) {
			t.Errorf("%s lacks %q", id, want)
		}
	}
	w.role = muster.Observer
	for id, bad := range map[string]string{"backup": "push_", "site": "Run now"} {
		if page := get(t, w.site(), "/checks/"+string(ids[id]), 200); strings.Contains(page, bad) {
			t.Errorf("an observer sees %q of %s", bad, id)
		}
	}
}

func TestHistoryPages(t *testing.T) {
	w := newWorld(t)
	ids := w.fleet()
	h, at := w.site(), "/checks/"+string(ids["site"])
	seen := map[string]bool{}
	for n := 0; n < 3; n++ {
		page := get(t, h, at, 200)
		_, rows, _ := strings.Cut(page, `id="lines"`)
		for _, part := range strings.Split(rows, "<time datetime=\"")[1:] {
			when, _, _ := strings.Cut(part, `"`)
			seen[when] = true
		}
		_, rest, found := strings.Cut(page, `class="btn" href="`+"/checks/"+string(ids["site"])+"?before=")
		if !found {
			t.Fatal("no older ones")
		}
		cursor, _, _ := strings.Cut(rest, "#")
		at = "/checks/" + string(ids["site"]) + "?before=" + strings.ReplaceAll(cursor, "&amp;", "&")
	}
	if len(seen) < 140 {
		t.Errorf("three pages have %d different instants", len(seen))
	}
	get(t, h, "/checks/"+string(ids["site"])+"?before=rubbish", 422)
}

func TestWhatIsNotThere(t *testing.T) {
	w := newWorld(t)
	id := string(w.fleet()["site"])
	h := w.site()
	for _, bad := range []string{string(muster.NewCheckID()), "check_nonsense"} {
		for _, tab := range []string{"", "/data", "/live", "/edit"} {
			get(t, h, "/checks/"+bad+tab, 404)
		}
	}
	for _, bad := range []string{"range=1y", "from=1", "from=x&to=y"} {
		get(t, h, "/checks/"+id+"?"+bad, 422)
		get(t, h, "/checks/"+id+"/data?"+bad, 422)
	}
	r := httptest.NewRequest("POST", "/checks/shown", strings.NewReader("no json"))
	r.Header.Set("X-Muster-CSRF", "token")
	out := httptest.NewRecorder()
	if h.ServeHTTP(out, r); out.Code != 422 {
		t.Errorf("what is no result: %d", out.Code)
	}
}

func TestData(t *testing.T) {
	w := newWorld(t)
	ids := w.fleet()
	// Another check of the same node must not show up among the charts.
	w.add(muster.Check{Name: "second", Kind: "http", Node: w.nodes[0].ID, Config: config(`{"url":"http://10.0.4.12/"}`)}, time.Hour)
	for name, want := range map[string]string{"site": "duration timings certificate code size", "db": "duration timings", "edge": "duration rtt loss", "dns": "duration dns answers", "backup": "duration"} {
		var d struct {
			Panels []struct {
				ID    string
				Lines []struct{ Name string }
			}
		}
		if err := json.Unmarshal([]byte(get(t, w.site(), "/checks/"+string(ids[name])+"/data?range=1h", 200)), &d); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range d.Panels {
			got = append(got, p.ID)
			if p.ID == "timings" && name == "site" && (len(p.Lines) != 4 || p.Lines[0].Name != "resolve" || p.Lines[3].Name != "first byte") {
				t.Errorf("the timings are %+v", p.Lines)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s has %v, want %s", name, got, want)
		}
	}
}

func TestButtonsWithoutScripts(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) { fmt.Fprint(out, "hello") }))
	defer target.Close()
	w := newWorld(t)
	id := w.add(muster.Check{Name: "shop", Kind: "http", Config: config(`{"url":%q}`, target.URL)}, time.Hour)
	w.run()
	h, at := w.site(), "/checks/"+string(id)
	if out := post(h, at, url.Values{"do": {"test"}}); out.Code != 200 || !strings.Contains(out.Body.String(), "Just now") || !strings.Contains(out.Body.String(), "HTTP/1.1 200 OK") {
		t.Errorf("run now: %d", out.Code)
	}
	for what, want := range map[string]bool{"off": false, "on": true} {
		if out := post(h, at, url.Values{"do": {what}}); out.Code != 303 || w.docs[id].Enabled != want {
			t.Errorf("%s: %d, %v", what, out.Code, w.docs[id].Enabled)
		}
	}
	if out := post(h, at, url.Values{"do": {"explode"}}); out.Code != 422 {
		t.Errorf("what is no action: %d", out.Code)
	}
	if out := post(h, at, url.Values{"do": {"delete"}, "confirm": {"shp"}}); out.Code != 303 || out.Header().Get("Location") != at || w.docs[id] == nil {
		t.Errorf("deleted with the wrong name typed: %d", out.Code)
	}
	w.role = muster.Observer
	for _, what := range []string{"test", "off", "delete"} {
		if out := post(w.site(), at, url.Values{"do": {what}, "confirm": {"shop"}}); out.Code != 403 {
			t.Errorf("an observer may %s: %d", what, out.Code)
		}
	}
	w.role = muster.Operator
	if out := post(w.site(), at, url.Values{"do": {"delete"}, "confirm": {"shop"}}); out.Code != 303 || out.Header().Get("Location") != "/checks" || w.docs[id] != nil {
		t.Errorf("not deleted with the name typed: %d", out.Code)
	}
}

func TestPictureOfAResult(t *testing.T) {
	w := newWorld(t)
	h := w.site()
	shown := func(body string) string {
		r := httptest.NewRequest("POST", "/checks/shown", strings.NewReader(body))
		r.Header.Set("X-Muster-CSRF", "token")
		out := httptest.NewRecorder()
		h.ServeHTTP(out, r)
		if out.Code != 200 {
			t.Fatalf("%d %s", out.Code, out.Body)
		}
		return out.Body.String()
	}
	got := shown(`{"status":"ok","summary":"HTTP 200 in 100 ms","duration_ms":100,"metrics":{"check.status":0,"check.duration":0.1,"http.dns.duration":0.01,"http.connect.duration":0.02,"http.tls.duration":0.03,"http.first_byte.duration":0.035,"http.duration":0.1,"http.response.status_code":200}}`)
	for _, want := range []string{`class="k3" x="0" y="0" width="100"`, `class="k0" x="100" y="0" width="200"`, `class="k2" x="300" y="0" width="300"`, `class="k1" x="600" y="0" width="350"`, `class="k4" x="950" y="0" width="50"`, "http.response.status_code"} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %s in %s", want, got)
		}
	}
	if strings.Contains(got, "<dt>http.dns.duration") || strings.Contains(got, "<dt>check.status") {
		t.Error("what the bar shows is listed a second time")
	}
	got = shown(`{"status":"critical","summary":"certificate has expired","duration_ms":20,"metrics":{"tls.certificate.remaining":-172801},"error":{"class":"tls","message":"certificate has expired"},"evidence":{"tls.problem":"expired","tls.error":"it ended","tls.subject":"CN=a"}}`)
	for _, want := range []string{"Certificate: expired", "ended 2 d ago", "the handshake or the certificate is not good", "<dd>CN=a</dd>"} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q in %s", want, got)
		}
	}
}

func TestSearch(t *testing.T) {
	w := newWorld(t)
	ids := w.fleet()
	made := func(text string) string { return "/checks/new?guess=" + url.QueryEscape(text) }
	nodes := func(text string) string { return "/nodes?q=" + url.QueryEscape(text) }
	cases := map[string]string{
		"https://example.com/health": made("https://example.com/health"), "db-9:5432": made("db-9:5432"), "example.com": made("example.com"), "example.com/health": made("example.com/health"), "192.0.2.9": made("192.0.2.9"), "[2001:db8::1]:443": made("[2001:db8::1]:443"), "localhost/health": made("localhost/health"),
		"": "/nodes", "web": nodes("web"), "localhost": nodes("localhost"), "tag:web": nodes("tag:web"), "os:12": nodes("os:12"), "cpu>80.5": nodes("cpu>80.5"), "10.0.0.0/8": nodes("10.0.0.0/8"), "a b.example.com": nodes("a b.example.com"), "web-1.example.org": nodes("web-1.example.org"), "example.org": nodes("example.org"), "10.0.4.12": nodes("10.0.4.12"), "cache-02.internal": nodes("cache-02.internal"), "1.2": nodes("1.2"), "web/prod": nodes("web/prod"), "me@example.com": nodes("me@example.com"),
		"https://www.example.org/": "/checks/" + string(ids["site"]), "192.0.2.40": "/checks/" + string(ids["edge"]), "db-1.example.org:5432": "/checks/" + string(ids["db"]), "Nightly Backup": "/checks/" + string(ids["backup"]), "postgres": "/checks/" + string(ids["db"]),
	}
	for text, want := range cases {
		out := httptest.NewRecorder()
		w.site().ServeHTTP(out, httptest.NewRequest("GET", "/search?q="+url.QueryEscape(text), nil))
		if got := out.Header().Get("Location"); out.Code != 303 || got != want {
			t.Errorf("%q leads to %d %s, want %s", text, out.Code, got, want)
		}
	}
	if n := len(w.roster.List(w.account, roster.ListOptions{})); n != 8 {
		t.Errorf("searching made checks: %d", n)
	}
	ask := func(text string) string {
		r := httptest.NewRequest("GET", "/search?q="+url.QueryEscape(text), nil)
		r.Header.Set("Accept", "application/json")
		out := httptest.NewRecorder()
		w.site().ServeHTTP(out, r)
		return strings.TrimSpace(out.Body.String())
	}
	if got := ask("db-9:5432"); got != `{"href":"/checks/new?guess=db-9%3A5432","check":{"kind":"tcp","config":{"host":"db-9","port":5432},"enabled":true}}` {
		t.Errorf("a script hears %s", got)
	}
	if got := ask("web"); got != `{"href":"/nodes?q=web"}` {
		t.Errorf("a script hears %s", got)
	}
	w.role = muster.Observer
	if got := ask("db-9:5432"); got != `{"href":"/checks?q=db-9%3A5432"}` {
		t.Errorf("an observer's script hears %s", got)
	}
}
