package web_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestNodesInABrowser walks through the nodes page with 10,000 servers.
func TestNodesInABrowser(t *testing.T) {
	w := newWorld(t, 10000)
	for i := range w.store.nodes {
		w.tell(i, time.Now().Add(-3*time.Second))
	}
	b := openTab(t, w)
	b.mu.Lock()
	b.bytes = 0
	b.mu.Unlock()
	b.goTo("/nodes?sort=name", "#rows")
	b.until("the stream", `document.getElementById("live").dataset.state === "on"`)

	t.Run("is small", func(t *testing.T) {
		b.mu.Lock()
		defer b.mu.Unlock()
		t.Logf("%.1f KiB for the whole page, compressed", b.bytes/1024)
		if b.bytes > 100*1024 {
			t.Errorf("the page weighs %.0f KiB", b.bytes/1024)
		}
	})

	t.Run("moves what is on screen", func(t *testing.T) {
		name := eval[string](b, `document.querySelector("#rows tbody tr .nm a").textContent`)
		at := -1
		for i := range w.store.nodes {
			if w.store.nodes[i].Name == name {
				at = i
			}
		}
		b.eval(`window.before = document.querySelector("#rows tbody tr td.io").textContent`)
		b.eval(`window.points = document.querySelector("#rows tbody tr .spark path")?.getAttribute("d")?.split(/[ML]/).length ?? 0`)
		w.tell(at, time.Now())
		w.tell(at, time.Now().Add(time.Second))
		b.until("the value", `document.querySelector("#rows tbody tr td.io").textContent !== before`)
		b.until("the sparkline", `(document.querySelector("#rows tbody tr .spark path")?.getAttribute("d")?.split(/[ML]/).length ?? 0) > points`)
		b.until("the age", `parseInt(document.querySelector("#rows tbody tr .sn time").textContent) <= 3`)
	})

	t.Run("is a window on all rows", func(t *testing.T) {
		b.eval(`scrollTo(0, document.body.scrollHeight / 2)`)
		b.until("rows in the middle", `[...document.querySelectorAll("#rows tbody:not(.gap)")].some((x) => Number(x.dataset.i) > 80 && x.rows.length === 50)`)
		b.eval(`scrollTo(0, document.body.scrollHeight)`)
		b.until("the last row", `document.querySelector("#rows tbody:last-of-type tr:last-child .nm a")?.getBoundingClientRect().top < innerHeight`)
		if n := eval[int](b, `document.querySelectorAll("#rows tr[id]").length`); n > 400 {
			t.Errorf("%d rows are in the page at once", n)
		}
		b.eval(`scrollTo(0, 0)`)
		b.until("the first row", `scrollY === 0 && document.querySelector("#rows tbody tr[id] .nm a")?.getBoundingClientRect().top > 0 && document.querySelector("#rows tbody tr").id`)
	})

	t.Run("is worked by keys", func(t *testing.T) {
		b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("j"), chromedp.KeyEvent("x"))
		b.until("the second row selected", `document.querySelectorAll("#rows tbody tr")[1].querySelector("input").checked && document.activeElement.closest("tr") === document.querySelectorAll("#rows tbody tr")[1]`)
		b.until("the actions", `document.querySelector(".cnt").textContent === "1 selected" && getComputedStyle(document.getElementById("acts")).visibility === "visible"`)
		b.do(chromedp.KeyEvent("k"), chromedp.KeyEvent("x"), chromedp.Click(chromedp.CSS(`#acts button[value="star"]`)))
		b.until("two stars", `document.querySelectorAll("#rows tbody tr")[0].querySelector(".star") && document.querySelectorAll("#rows tbody tr")[1].querySelector(".star")`)
		b.do(chromedp.KeyEvent("?"))
		b.until("the help", `document.getElementById("help").open && document.querySelectorAll("#help dt").length > 5`)
		b.do(chromedp.KeyEvent(kb.Escape))
		b.until("no help", `!document.getElementById("help").open`)
		b.do(chromedp.KeyEvent(kb.Escape))
		b.until("nothing selected", `!document.querySelector("#rows :checked")`)
	})

	t.Run("filters as one types", func(t *testing.T) {
		b.do(chromedp.KeyEvent("/"))
		b.until("the box", `document.activeElement.id === "q"`)
		b.eval(`document.getElementById("q").value = ""`) // the protocol types the slash even though the page took it
		b.do(chromedp.KeyEvent("bastion"))
		b.until("only bastions", `document.querySelector("#rows").dataset.total < 1000 && [...document.querySelectorAll("#rows tbody .nm a")].every((a) => a.textContent.startsWith("bastion"))`)
		b.until("the address", `location.search.includes("q=bastion")`)
		b.do(chromedp.KeyEvent(kb.Escape), chromedp.Click(chromedp.CSS(`th.cpu a`)))
		b.until("sorted", `location.search === "?q=bastion&sort=-cpu" && document.querySelector("th.cpu").getAttribute("aria-sort") === "descending"`)
		b.do(chromedp.NavigateBack())
		b.until("back", `!location.search.includes("sort=-cpu") && !document.querySelector("th.cpu").hasAttribute("aria-sort")`)
	})
}

// eval runs a script for its effect.
func (b *tab) eval(script string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](script))
}

// TestQueryHalfTyped keeps the rows while what is typed is no query yet, and says why.
func TestQueryHalfTyped(t *testing.T) {
	w := newWorld(t, 30)
	b := openTab(t, w)
	b.expected = "422"
	b.goTo("/nodes", "#rows")
	b.do(chromedp.Focus(chromedp.CSS("#q")), chromedp.KeyEvent("tag:"))
	b.until("the complaint", `document.getElementById("complaint")?.textContent.includes("needs a value") && document.querySelectorAll("#rows tr[id]").length === 30`)
	b.do(chromedp.KeyEvent("cache"))
	b.until("the answer", `!document.getElementById("complaint") && document.querySelectorAll("#rows tr[id]").length === 6`)
}

// TestStateChangesWithoutReload lets a node appear and fall silent under somebody's eyes.
func TestStateChangesWithoutReload(t *testing.T) {
	w := newWorld(t, 4, 2)
	for i := range w.store.nodes {
		w.tell(i, time.Now())
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go w.inv.Run(ctx)
	b := openTab(t, w)
	b.goTo("/nodes", "#rows")
	b.until("a silent row on top", `document.querySelector("#rows tbody tr").className === "old down"`)
	b.until("the count", `document.querySelector(".chip").textContent.includes("down")`)
	b.goTo("/", "#now")
	b.until("the sentence", `document.querySelector(".say").textContent.endsWith("is silent.")`)
	w.mu.Lock()
	w.quiet = map[int]bool{}
	w.mu.Unlock()
	go func() {
		for ctx.Err() == nil {
			w.tell(2, time.Now())
			time.Sleep(300 * time.Millisecond)
		}
	}()
	b.until("all is well again", `document.querySelector(".say").textContent === "All is well."`)
}

// TestFirstMinuteInABrowser opens the first page of a young installation and chooses a password there.
func TestFirstMinuteInABrowser(t *testing.T) {
	w := newWorld(t, 1)
	w.auth.password = ""
	w.tell(0, time.Now())
	b := openTab(t, w)
	b.until("charts", `document.querySelectorAll("#charts canvas").length >= 6`)
	b.do(chromedp.SendKeys(chromedp.CSS("#newpass"), "correct horse battery"), chromedp.KeyEvent(kb.Enter))
	b.until("it is set", `document.querySelector(".flash.ok")?.textContent.includes("The password is set.")`)
	b.until("nobody asks again", `!document.getElementById("newpass")`)
	b.do(chromedp.Click(chromedp.CSS(".foot button.link")), chromedp.WaitVisible(chromedp.CSS("[name=password]")))
	b.do(chromedp.SendKeys(chromedp.CSS("[name=name]"), "admin"), chromedp.SendKeys(chromedp.CSS("[name=password]"), "correct horse battery"), chromedp.KeyEvent(kb.Enter))
	b.until("in again", `document.querySelector(".say")?.textContent === "All is well."`)
}

// TestThemeStays switches to dark and finds it dark again on another page.
func TestThemeStays(t *testing.T) {
	b := openTab(t, newWorld(t, 3))
	b.do(chromedp.Click(chromedp.CSS("#theme")), chromedp.Click(chromedp.CSS("#theme")))
	b.goTo("/nodes", "#rows")
	b.until("dark", `document.documentElement.dataset.theme === "dark" && getComputedStyle(document.documentElement).backgroundColor === "rgb(14, 16, 19)"`)
}

// TestStreamIsThin counts what a screen of 25 rows costs each second when every node sends once in ten, as agents do, and 10,000 others send too.
func TestStreamIsThin(t *testing.T) {
	w := newWorld(t, 10000)
	for i := range w.store.nodes {
		w.tell(i, time.Now())
	}
	rows, _ := w.inv.List(w.account, byNameFirst(25))
	var ids []string
	screen := map[string]int{}
	for i, r := range rows {
		ids = append(ids, strings.TrimPrefix(r.Node.ID.String(), "node_"))
		screen[r.Node.ID.String()] = i
	}
	count := &counter{header: http.Header{}}
	ctx, cancel := context.WithCancel(context.Background())
	r, _ := http.NewRequestWithContext(ctx, "GET", "/nodes/live?sort=name&ids="+strings.Join(ids, ","), nil)
	r.AddCookie(&http.Cookie{Name: "muster_session", Value: "good"})
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.handler.ServeHTTP(count, r)
	}()
	const seconds = 10
	start := time.Now()
	for tick := range seconds * 10 {
		for i := tick; i < len(w.store.nodes); i += 100 {
			w.tell(i, time.Now())
		}
		time.Sleep(time.Until(start.Add(time.Duration(tick+1) * 100 * time.Millisecond)))
	}
	cancel()
	<-done
	perSecond := float64(count.n.Load()) / seconds
	t.Logf("%.0f bytes a second", perSecond)
	if perSecond > 2000 {
		t.Errorf("the stream takes %.0f bytes a second", perSecond)
	}
}
