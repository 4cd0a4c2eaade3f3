package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// pages are those with something on them, each with what is there when it is complete.
func pages(id string) map[string]struct{ path, ready string } {
	const live = `document.getElementById("live").dataset.state === "on"`
	return map[string]struct{ path, ready string }{
		"overview":   {"/", live + ` && document.querySelectorAll(".cells a").length > 2`},
		"nodes":      {"/nodes", live + ` && document.querySelectorAll("#rows tr[id]").length > 2`},
		"bad query":  {"/nodes?q=tag:", `document.querySelector(".qerr")`},
		"node":       {"/nodes/" + id, live + ` && ` + inked},
		"metrics":    {"/nodes/" + id + "/metrics", live + ` && document.querySelectorAll("tr[data-metric]").length > 20`},
		"notes":      {"/nodes/" + id + "/notes", `document.getElementById("notes")`},
		"its log":    {"/nodes/" + id + "/changelog", `document.querySelector("h1")`},
		"changelog":  {"/changelog", `document.querySelector("h1")`},
		"settings":   {"/settings", `document.querySelectorAll("#tokens tbody tr").length > 0`},
		"add server": {"/nodes/add", live + ` && document.getElementById("line").textContent.startsWith("curl ")`},
		"health":     {"/health", live + ` && ` + inked},
	}
}

// TestFace opens every page light and dark, wide and narrow: nothing the browser complains of, nothing
// wider than the screen, nothing axe calls serious.
func TestFace(t *testing.T) {
	axe, err := os.ReadFile("testdata/axe/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	s := openSite(t)
	b := s.enter(t)
	b.until("a young overview", inked)
	young(t, b, string(axe))
	s.agents(t, "web-1", "web-2", "db-1")
	var id string
	for i, n := range s.nodes() {
		id = n.ID
		if code := s.call("PATCH", "/v1/nodes/"+n.ID, map[string]any{"tags": []string{"env=prod", fmt.Sprintf("rack=%d", i)}, "star": i == 0}, nil); code != http.StatusOK {
			t.Fatalf("tag %s: %d", n.Name, code)
		}
	}
	for name, p := range pages(id) {
		for _, dark := range []bool{false, true} {
			for _, width := range []int64{1440, 390} {
				t.Run(fmt.Sprintf("%s-%d-%s", name, width, map[bool]string{false: "light", true: "dark"}[dark]), func(t *testing.T) {
					b.as(t, func() {
						b.expected = "422" // the query that is none
						b.look(width, dark)
						b.do(chromedp.Navigate(s.url + p.path))
						b.until("complete", p.ready)
						b.judge(string(axe))
					})
				})
			}
		}
	}
}

// young judges the first page of an installation with one node, and the way in.
func young(t *testing.T, b *tab, axe string) {
	for _, width := range []int64{1440, 390} {
		for _, dark := range []bool{false, true} {
			t.Run(fmt.Sprintf("first-%d-%v", width, dark), func(t *testing.T) {
				b.as(t, func() { b.look(width, dark); b.judge(axe) })
			})
		}
	}
	t.Run("login", func(t *testing.T) {
		other := openTab(t, b.base)
		other.visit("/login", "[name=password]")
		other.judge(axe)
		other.look(390, true)
		other.judge(axe)
	})
}

// as lets a subtest work with the tab and answer for what the browser says meanwhile.
func (b *tab) as(t *testing.T, what func()) {
	outer := b.t
	b.t = t
	defer func() { b.reckon(); b.t = outer }()
	what()
}

// judge fails the test for what is wrong with the page as it stands.
func (b *tab) judge(axe string) {
	b.t.Helper()
	const wider = `(() => {
		const root = document.documentElement, out = [];
		if (root.scrollWidth <= root.clientWidth) return out;
		for (const el of document.querySelectorAll("body *")) {
			const r = el.getBoundingClientRect();
			if (r.right > root.clientWidth + 0.5 && r.width > 0) out.push(el.tagName + "#" + el.id + "." + el.className + " to " + Math.round(r.right));
		}
		return [root.scrollWidth + " of " + root.clientWidth].concat(out.slice(0, 8));
	})()`
	wide := eval[[]string](b, wider)
	for range 30 { // a chart takes its new size a moment after the page did
		if len(wide) == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
		wide = eval[[]string](b, wider)
	}
	if len(wide) > 0 {
		b.t.Errorf("wider than the screen: %s", strings.Join(wide, "; "))
	}
	b.do(chromedp.Evaluate[chromedp.Void](axe + ";void 0"))
	for _, finding := range eval[[]string](b, `axe.run(document, { resultTypes: ["violations"] }).then((r) => r.violations
		.filter((v) => v.impact === "serious" || v.impact === "critical")
		.map((v) => v.impact + " " + v.id + ": " + v.help + "\n\t" + v.nodes.slice(0, 4).map((n) => n.target.join(" ") + " " + n.html.slice(0, 160) + " | " + n.failureSummary.replaceAll("\n", " ").slice(0, 260)).join("\n\t")))`) {
		b.t.Error("axe: " + finding)
	}
}
