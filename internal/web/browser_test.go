package web_test

import (
	"context"
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
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tab is one page of a real browser. What the browser complains of fails the test: a script's error, a breach of the
// Content-Security-Policy, a request to another server.
type tab struct {
	context.Context
	t    *testing.T
	base string

	mu         sync.Mutex
	bytes      float64 // received over the network, compressed
	complaints map[string]bool
	expected   string // a part of the complaints that are all right
}

// openTab starts a browser, signed in at a server of the world's. Without a browser the test is skipped.
func openTab(t *testing.T, w *world) *tab {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("MUSTER_REQUIRE") == "all" {
			t.Fatal("no chromium: apt-get install chromium")
		}
		t.Skip("no chromium: apt-get install chromium")
	}
	server := httptest.NewServer(w.handler)
	t.Cleanup(server.CloseClientConnections)
	alloc, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.Flag("no-sandbox", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true))...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(alloc)
	t.Cleanup(end)
	b := &tab{Context: ctx, t: t, base: server.URL, complaints: map[string]bool{}}
	b.do(call(network.Enable, network.EnableParams{}), call(log.Enable, cdp.Empty{}))
	listen(b, runtime.ExceptionThrown, func(ev runtime.EventExceptionThrown) {
		b.complain("the browser threw: " + (&chromedp.ExceptionError{ExceptionDetails: ev.ExceptionDetails}).Error())
	})
	listen(b, log.EntryAdded, func(ev log.EventEntryAdded) {
		if ev.Entry.Level == log.EntryLevelError {
			b.complain("the browser complains: " + ev.Entry.Text + " " + ev.Entry.URL)
		}
	})
	listen(b, network.RequestWillBeSent, func(ev network.EventRequestWillBeSent) {
		if !strings.HasPrefix(ev.Request.URL, b.base) && !strings.HasPrefix(ev.Request.URL, "data:") {
			b.complain("a request to somebody else: " + ev.Request.URL)
		}
	})
	listen(b, network.LoadingFinished, func(ev network.EventLoadingFinished) {
		b.mu.Lock()
		b.bytes += ev.EncodedDataLength
		b.mu.Unlock()
	})
	t.Cleanup(b.reckon)
	b.do(chromedp.EmulateViewport(1440, 900), chromedp.Navigate(server.URL+"/login/once"), chromedp.WaitVisible(chromedp.CSS("#now")))
	return b
}

// listen hands the browser's events to see, until the tab is closed.
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

// call makes an action of a protocol command.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

func (b *tab) complain(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints[what] = true
}

// reckon fails the test for what the browser complained of, except what the test expects.
func (b *tab) reckon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for what := range b.complaints {
		if b.expected == "" || !strings.Contains(what, b.expected) {
			b.t.Error(what)
		}
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// eval gives the value of a script.
func eval[T any](b *tab, script string) T {
	b.t.Helper()
	v, err := chromedp.Run(b, chromedp.Evaluate[T](script))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return v
}

// until waits for a script to be true.
func (b *tab) until(what, script string) {
	b.t.Helper()
	var last error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(30 * time.Millisecond) {
		ok, err := chromedp.Run(b, chromedp.Evaluate[bool]("Boolean("+script+")"))
		if ok {
			return
		}
		last = err // the page may be another one in a moment
	}
	b.t.Fatalf("%s: never %s (%v)", what, script, last)
}

func (b *tab) goTo(path, visible string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base+path), chromedp.WaitVisible(chromedp.CSS(visible)))
}

// TestShots writes pictures of the pages into the directory MUSTER_WEB_SHOTS, light and dark, wide and narrow; without one it is skipped.
func TestShots(t *testing.T) {
	dir := os.Getenv("MUSTER_WEB_SHOTS")
	if dir == "" {
		t.Skip("MUSTER_WEB_SHOTS names no directory")
	}
	full := newWorld(t, 300, 7, 41, 100)
	shoot(t, full, dir, []shot{{"overview", "/", 0}, {"nodes", "/nodes", 0}, {"filtered", "/nodes?q=tag:web+state:up&sort=-cpu", 0}, {"badquery", "/nodes?q=tag:", 0}, {"nomatch", "/nodes?q=zebra", 0}, {"changelog", "/changelog", 0}, {"missing", "/nowhere", 0}})
	young := newWorld(t, 1)
	young.auth.password = ""
	shoot(t, young, dir, []shot{{"first", "/", 0}, {"one", "/nodes", 0}})
	none := newWorld(t, 0)
	shoot(t, none, dir, []shot{{"none", "/nodes", 0}, {"nonefirst", "/", 0}})
}

type shot struct {
	name, path string
	scroll     int
}

func shoot(t *testing.T, w *world, dir string, shots []shot) {
	w.past()
	b := openTab(t, w)
	b.expected = "the server responded with a status of"
	for _, s := range shots {
		for _, dark := range []string{"light", "dark"} {
			for _, width := range []int64{1440, 1024, 390} {
				height := int64(900)
				if width == 390 {
					height = 844
				}
				b.do(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: dark}}}),
					chromedp.EmulateViewport(width, height), chromedp.Navigate(b.base+s.path), chromedp.Sleep(400*time.Millisecond))
				png, err := chromedp.Run(b, chromedp.CaptureScreenshot())
				if err != nil {
					t.Fatal(err)
				}
				name := filepath.Join(dir, s.name+"-"+dark+map[int64]string{1440: "", 1024: "-mid", 390: "-narrow"}[width]+".png")
				if err := os.WriteFile(name, png, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
