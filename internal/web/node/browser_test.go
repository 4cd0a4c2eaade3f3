package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"muster"
)

// tab is one page of a real browser; what the browser complains of fails the test.
type tab struct {
	context.Context
	t    *testing.T
	base string

	mu         sync.Mutex
	complaints []string
	up         bool   // no button of the mouse is down
	expected   string // a part of the complaints that are all right
}

func openTab(t *testing.T, h http.Handler) *tab {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("MUSTER_REQUIRE") == "all" {
			t.Fatal("no chromium: apt-get install chromium")
		}
		t.Skip("no chromium: apt-get install chromium")
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.CloseClientConnections)
	alloc, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.Flag("no-sandbox", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true))...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(alloc)
	t.Cleanup(end)
	b := &tab{Context: ctx, t: t, base: server.URL, up: true}
	b.do(call(log.Enable, cdp.Empty{}))
	listen(b, runtime.ExceptionThrown, func(ev runtime.EventExceptionThrown) {
		b.complain("the browser threw: " + (&chromedp.ExceptionError{ExceptionDetails: ev.ExceptionDetails}).Error())
	})
	listen(b, log.EntryAdded, func(ev log.EventEntryAdded) {
		if ev.Entry.Level == log.EntryLevelError && !strings.Contains(ev.Entry.URL, "favicon") {
			b.complain("the browser complains: " + ev.Entry.Text + " " + ev.Entry.URL)
		}
	})
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, c := range b.complaints {
			if b.expected == "" || !strings.Contains(c, b.expected) {
				t.Error(c)
			}
		}
	})
	b.do(chromedp.EmulateViewport(1440, 900))
	return b
}

func listen[E any](b *tab, kind cdp.Event[E], see func(E)) {
	events := chromedp.Events(b, kind)
	go func() {
		for ev, err := range events {
			if err != nil {
				return
			}
			see(ev)
		}
	}()
}

func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

func (b *tab) complain(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = append(b.complaints, what)
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b, actions...); err != nil {
		b.t.Fatal(err)
	}
}

func eval[T any](b *tab, script string) T {
	b.t.Helper()
	v, err := chromedp.Run(b, chromedp.Evaluate[T](script))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return v
}

func (b *tab) until(what, script string) {
	b.t.Helper()
	if _, err := chromedp.Run(b, chromedp.Poll[chromedp.Void](script, chromedp.WithPollingTimeout(20*time.Second))); err != nil {
		b.t.Fatalf("%s: never %s: %v", what, script, err)
	}
}

func (b *tab) dark(on bool) {
	b.t.Helper()
	scheme := "light"
	if on {
		scheme = "dark"
	}
	b.do(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}))
}

// mouse moves or presses the mouse at a share of an element's width, half-way down.
func (b *tab) mouse(kind, selector string, at float64) {
	b.t.Helper()
	box := eval[[]float64](b, `(() => { const r = document.querySelector(`+quote(selector)+`).getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()`)
	buttons := int64(1)
	if kind == "mouseMoved" && b.up {
		buttons = 0
	}
	b.up = kind != "mousePressed" && (b.up || kind == "mouseReleased")
	ev := input.DispatchMouseEventParams{Type: input.DispatchMouseEventType(kind), X: box[0] + box[2]*at, Y: box[1] + box[3]/2, Button: "left", Buttons: buttons, ClickCount: 1}
	if buttons == 0 {
		ev.Button = "none"
	}
	b.do(call(input.DispatchMouseEvent, ev))
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// shot keeps a picture when MUSTER_SHOTS names a directory.
func (b *tab) shot(name string) {
	b.t.Helper()
	dir := os.Getenv("MUSTER_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// shots keeps the four pictures of a page: light and dark, wide and narrow.
func (b *tab) shots(name string) {
	b.t.Helper()
	if os.Getenv("MUSTER_SHOTS") == "" {
		return
	}
	for _, width := range []int64{1440, 390} {
		b.do(chromedp.EmulateViewport(width, 900))
		for _, dark := range []bool{false, true} {
			b.dark(dark)
			b.do(chromedp.Sleep(300 * time.Millisecond))
			b.shot(fmt.Sprintf("%s-%d-%s", name, width, map[bool]string{false: "light", true: "dark"}[dark]))
		}
	}
	b.do(chromedp.EmulateViewport(1440, 900))
	b.dark(false)
}

const drawn = `document.querySelectorAll(".ch canvas").length > 5 && document.getElementById("live").dataset.state === "on"`

// TestLook takes pictures of the states a node's page can be in, and fails when the browser complains of any.
func TestLook(t *testing.T) {
	year := 365 * 24 * time.Hour
	for name, c := range map[string]struct {
		age   time.Duration
		path  string
		shape func(m *machine)
		ready string
	}{
		"usual": {age: year, path: "", ready: drawn},
		"young": {age: 40 * time.Second, path: "", ready: drawn},
		"month": {age: year, path: "?range=30d", ready: drawn},
		"holes": {age: year, path: "?range=1h", ready: drawn, shape: func(m *machine) {
			m.quick = time.Now()
			now := time.Now()
			m.holes = [][2]time.Time{{now.Add(-40 * time.Minute), now.Add(-30 * time.Minute)}, {now.Add(-10 * time.Minute), now.Add(-9 * time.Minute)}}
		}},
		"silent": {age: year, path: "", ready: drawn, shape: func(m *machine) {
			m.quick = time.Now()
			m.silent = time.Now().Add(-4 * time.Minute)
			m.state = muster.Down
		}},
		"empty":   {age: time.Second, path: "", ready: `document.getElementById("none")`, shape: func(m *machine) { m.metrics = nil; m.state = muster.Pending }},
		"metrics": {age: year, path: "/metrics", ready: `document.getElementById("live").dataset.state === "on"`},
		"notes": {age: year, path: "/notes", ready: `document.getElementById("notes")`, shape: func(m *machine) {
			m.node.Notes = "The primary of the orders database.\n\nFail over with `patronictl switchover`."
		}},
		"changelog": {age: year, path: "/changelog", ready: `document.querySelector(".log")`, shape: func(m *machine) {
			for i, text := range []string{"came up", "went down", "kernel changed from 6.1.0-17 to 6.1.0-18", "joined"} {
				m.events = append(m.events, muster.Event{ID: fmt.Sprint(i), At: time.Now().Add(-time.Duration(i*i) * 9 * time.Hour), Kind: "node.changed", Actor: "agent", Subject: m.node.ID.String(), Name: m.node.Name, Text: text})
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(c.age)
			if c.shape != nil {
				c.shape(m)
			}
			m.beat(t)
			b := openTab(t, m.site(t))
			b.do(chromedp.Navigate(b.base + "/nodes/" + m.node.ID.String() + c.path))
			b.until("ready", c.ready)
			b.shots(name)
		})
	}
}
