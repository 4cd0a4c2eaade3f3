package node_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"muster"
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

func TestPagesOfWhatIsNotThere(t *testing.T) {
	m := newMachine(time.Hour)
	h := m.site(t)
	for _, id := range []string{"node_nonsense", muster.NewNodeID().String(), "..%2f"} {
		for _, tab := range []string{"", "/data", "/live", "/metrics", "/changelog", "/notes"} {
			get(t, h, "/nodes/"+id+tab, 404)
		}
	}
	for _, bad := range []string{"range=1y", "from=1", "from=x&to=y", "from=2000&to=1000", "from=9999999999999999&to=99999999999999999"} {
		get(t, h, "/nodes/"+m.node.ID.String()+"?"+bad, 422)
		get(t, h, "/nodes/"+m.node.ID.String()+"/data?"+bad, 422)
	}
}

func TestPageReadsWithoutScripts(t *testing.T) {
	m := newMachine(time.Hour)
	page := get(t, m.site(t), "/nodes/"+m.node.ID.String(), 200)
	for _, want := range []string{"<h1>db-primary</h1>", "of 32 GiB", "8 × AMD EPYC 7763", "Debian 12, Linux 6.1.0", `href="/nodes/` + m.node.ID.String() + `/metrics"`, "10.0.4.12"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "docker0") {
		t.Error("a bridge's traffic is drawn beside that of the wire it goes out by")
	}
	if strings.Contains(page, "style=") || strings.Contains(page, "onclick=") {
		t.Error("the policy forbids inline styles and scripts")
	}
}

func TestNamesAreEscaped(t *testing.T) {
	m := newMachine(time.Hour)
	m.node.Name = `</script><script>alert(1)</script>`
	m.metrics = append(m.metrics, metric(muster.Gauge, `zz</script><script>alert(2)</script>`, "1", flat(1), "k", `<img src=x onerror=alert(3)>`))
	for _, tab := range []string{"", "/metrics", "/notes"} {
		page := get(t, m.site(t), "/nodes/"+m.node.ID.String()+tab, 200)
		if strings.Contains(page, "<script>alert") || strings.Contains(page, "<img src=x") {
			t.Errorf("%q: a name came through as markup", tab)
		}
	}
}

// points reads an answer of the data address.
func points(t *testing.T, body string) (panels map[string]map[string]any) {
	t.Helper()
	var d struct{ Panels []map[string]any }
	if err := json.Unmarshal([]byte(body), &d); err != nil {
		t.Fatalf("%v in %.200s", err, body)
	}
	panels = map[string]map[string]any{}
	for _, p := range d.Panels {
		panels[p["id"].(string)] = p
	}
	return panels
}

func TestData(t *testing.T) {
	m := newMachine(time.Hour)
	h, base := m.site(t), "/nodes/"+m.node.ID.String()+"/data"
	all := points(t, get(t, h, base+"?range=1h", 200))
	for _, id := range []string{"cpu", "memory", "pressure", "load", "disk-io", "disk-busy", "filesystems", "network", "connections", "processes", "m:app.requests"} {
		if all[id] == nil {
			t.Errorf("no panel %s", id)
		}
	}
	if all["m:system.uptime"] != nil {
		t.Error("what every machine sends is drawn a second time")
	}
	one := points(t, get(t, h, base+"?range=15m&metric=system.uptime", 200))
	if len(one) != 1 || one["m:system.uptime"] == nil {
		t.Errorf("asked for one metric, got %d panels", len(one))
	}
	few := points(t, get(t, h, base+"?panels=memory,cpu,nonsense", 200))
	if len(few) != 2 {
		t.Errorf("asked for two panels, got %d", len(few))
	}
}

func TestGraphsForOtherPages(t *testing.T) {
	m := newMachine(time.Hour)
	p := m.page(t)
	first, data, stream, err := p.Graphs(context.Background(), m.node.Account, m.node.ID)
	if err != nil {
		t.Fatal(err)
	}
	if points(t, string(first))["cpu"] == nil || !strings.HasPrefix(data, "/nodes/"+m.node.ID.String()+"/data?") || !strings.HasPrefix(stream, "/nodes/"+m.node.ID.String()+"/live?") {
		t.Errorf("%s %s %.100s", data, stream, first)
	}
	got := points(t, get(t, m.site(t), data, 200))
	if got["cpu"] == nil || got["connections"] != nil {
		t.Error("the address of the data does not lead to the same few panels")
	}
}

// events reads a stream until the server ends it or enough came.
func events(t *testing.T, h http.Handler, path string, enough func(seen map[string]string) bool) map[string]string {
	t.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	seen := map[string]string{}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<24)
	name := ""
	for !enough(seen) && lines.Scan() {
		if v, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			name = v
		}
		if v, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			seen[name] = v
		}
	}
	return seen
}

func TestStream(t *testing.T) {
	m := newMachine(time.Hour)
	m.beat(t)
	base := "/nodes/" + m.node.ID.String() + "/live"
	seen := events(t, m.site(t), base, func(s map[string]string) bool { return s["points"] != "" })
	if points(t, seen["points"])["cpu"] == nil {
		t.Errorf("the stream sent %.200s", seen["points"])
	}
	m.mu.Lock()
	if m.quicken == 0 {
		t.Error("nobody asked the node to measure every second while somebody looks")
	}
	m.mu.Unlock()
	seen = events(t, m.site(t), base+"?all=1", func(s map[string]string) bool { return s["values"] != "" })
	if !strings.Contains(seen["values"], " GiB") {
		t.Errorf("the values are %.200s", seen["values"])
	}
}

func TestStreamTellsTheState(t *testing.T) {
	m := newMachine(time.Hour)
	m.beat(t)
	go func() {
		time.Sleep(1500 * time.Millisecond)
		m.mu.Lock()
		m.state = muster.Down
		m.mu.Unlock()
	}()
	seen := events(t, m.site(t), "/nodes/"+m.node.ID.String()+"/live", func(s map[string]string) bool { return s["head"] != "" })
	if !strings.Contains(seen["head"], `"state":"down"`) || !strings.Contains(seen["head"], "Nothing was heard") {
		t.Errorf("the stream said %q", seen["head"])
	}
}

func TestChanges(t *testing.T) {
	m := newMachine(time.Hour)
	h, base := m.site(t), "/nodes/"+m.node.ID.String()
	post := func(path string, form url.Values) int {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	if got := post(base+"/star", url.Values{"star": {"0"}}); got != http.StatusSeeOther || m.node.Star {
		t.Errorf("the star: %d, %v", got, m.node.Star)
	}
	if got := post(base+"/notes", url.Values{"name": {"db-2"}, "tags": {" web  env=prod "}, "notes": {"a\r\nb"}, "watched": {"1"}}); got != http.StatusSeeOther || m.node.Unwatched || m.node.Name != "db-2" || strings.Join(m.node.Tags, ",") != "web,env=prod" || m.node.Notes != "a\nb" {
		t.Errorf("the notes: %d, %+v", got, m.node)
	}
	if got := post(base+"/remove", url.Values{"confirm": {"another"}}); got != http.StatusSeeOther || m.removed {
		t.Errorf("removed with the wrong name typed: %d", got)
	}
	if got := post(base+"/remove", url.Values{"confirm": {"db-2"}}); got != http.StatusSeeOther || !m.removed {
		t.Errorf("not removed with the name typed: %d", got)
	}
	m.role = muster.Observer
	h = m.site(t)
	for _, path := range []string{"/star", "/notes", "/remove"} {
		if got := post(base+path, url.Values{"star": {"1"}, "confirm": {"db-2"}}); got != http.StatusForbidden {
			t.Errorf("an observer may %s: %d", path, got)
		}
	}
}

// dotsLeft gives how many points the first line of a panel has, as the browser holds them.
const panelText = `document.querySelector('[data-panel="cpu"] .now').textContent`

func TestBrowserZooms(t *testing.T) {
	m := newMachine(2 * time.Hour)
	m.beat(t)
	b := openTab(t, m.site(t))
	b.do(chromedp.Navigate(b.base + "/nodes/" + m.node.ID.String() + "?range=1h"))
	b.until("drawn", drawn)
	b.mouse("mousePressed", `[data-panel="memory"] .u-over`, .3)
	b.mouse("mouseMoved", `[data-panel="memory"] .u-over`, .5)
	b.shot("zooming")
	b.mouse("mouseReleased", `[data-panel="memory"] .u-over`, .5)
	b.until("in the address", `/from=\d+&to=\d+/.test(location.search)`)
	b.until("read", `!document.getElementById("charts").hasAttribute("aria-busy") && !document.getElementById("zoomed").hidden`)
	width := eval[float64](b, `(() => { const q = new URLSearchParams(location.search); return (q.get("to") - q.get("from")) / 60000; })()`)
	if width < 9 || width > 15 {
		t.Errorf("dragged over a fifth of an hour, zoomed to %.1f minutes", width)
	}
	b.shots("zoomed")
	b.do(chromedp.Evaluate[chromedp.Void](`history.back()`))
	b.until("back", `location.search === "?range=1h" && document.getElementById("zoomed").hidden`)
}

func TestBrowserShowsOneCrosshairOnAllCharts(t *testing.T) {
	m := newMachine(2 * time.Hour)
	m.beat(t)
	b := openTab(t, m.site(t))
	b.do(chromedp.Navigate(b.base + "/nodes/" + m.node.ID.String()))
	b.until("drawn", drawn)
	b.mouse("mouseMoved", `[data-panel="cpu"] .u-over`, .4)
	b.until("values in every legend", `[...document.querySelectorAll(".ch")].slice(0, 9).every((c) => [...c.querySelectorAll(".leg b")].every((v) => v.textContent !== ""))`)
	b.until("one tooltip", `document.querySelectorAll(".tip:not([hidden])").length === 1`)
	b.shot("crosshair")
	b.dark(true)
	b.shot("crosshair-dark")
}

func TestBrowserReadsPointsByKeys(t *testing.T) {
	m := newMachine(2 * time.Hour)
	b := openTab(t, m.site(t))
	b.do(chromedp.Navigate(b.base + "/nodes/" + m.node.ID.String()))
	b.until("drawn", drawn)
	if got := eval[string](b, `document.querySelector('[data-panel="memory"] .plot').getAttribute("aria-label")`); !strings.Contains(got, "Memory (used, page cache)") || !strings.Contains(got, "least") {
		t.Errorf("the chart's words are %q", got)
	}
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-panel="memory"] .plot').focus()`))
	b.do(chromedp.Evaluate[chromedp.Void](`document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft", bubbles: true }))`))
	b.until("said", `/used \d+ %, page cache \d+ %/.test(document.querySelector('[data-panel="memory"] [aria-live]').textContent)`)
}

func TestBrowserAppendsLive(t *testing.T) {
	m := newMachine(30 * time.Second)
	m.node.Period = time.Second
	m.beat(t)
	b := openTab(t, m.site(t))
	b.do(chromedp.Navigate(b.base + "/nodes/" + m.node.ID.String()))
	b.until("drawn", drawn)
	before := eval[string](b, panelText)
	b.until("another value", panelText+` !== `+quote(before))
	if eval[float64](b, `document.querySelectorAll(".ch.old").length`) != 0 {
		t.Error("fresh values are drawn as old")
	}
	m.mu.Lock()
	m.silent = time.Now()
	m.mu.Unlock()
	b.until("visible", `getComputedStyle(document.querySelector('[data-panel="cpu"] .now')).visibility === "visible"`)
	b.until("old", `document.querySelectorAll(".ch.old").length > 5 && `+panelText+`.includes("old")`)
}

func TestBrowserDrawsAnyMetric(t *testing.T) {
	m := newMachine(2 * time.Hour)
	m.beat(t)
	b := openTab(t, m.site(t))
	b.do(chromedp.Navigate(b.base + "/nodes/" + m.node.ID.String() + "/metrics"))
	b.until("ready", `document.querySelector("#find:not([hidden])")`)
	b.do(chromedp.SendKeys("#find", "disk write nvme1"))
	b.until("narrowed", `[...document.querySelectorAll("tr[data-metric]")].filter((r) => r.offsetParent).length === 1`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.getElementById("find").value = ""; document.getElementById("find").dispatchEvent(new Event("input"))`))
	b.do(chromedp.Click(`button[data-metric="app.requests"]`))
	b.until("drawn", `document.querySelector('tr.drawn[data-of="app.requests"] canvas')`)
	b.shots("metrics-drawn")
	b.do(chromedp.Click(`button[data-metric="app.requests"]`))
	b.until("closed", `!document.querySelector("tr.drawn")`)
}
