package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tab is one page of a real browser at a real server. What the browser complains of fails the test: a
// script's error, a breach of the Content-Security-Policy, a request to anybody but the server.
type tab struct {
	context.Context
	t    testing.TB
	base string
	down bool // the mouse's button

	mu         sync.Mutex
	bytes      float64 // received, as they came over the wire
	complaints map[string]bool
	expected   string // a part of the complaints that are all right
}

// openTab starts a browser with an empty profile.
func openTab(t testing.TB, base string) *tab {
	t.Helper()
	path, err := exec.LookPath("chromium")
	require(t, err == nil, "a browser: apt-get install chromium")
	alloc, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.Flag("no-sandbox", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true))...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(alloc)
	t.Cleanup(end)
	if err := chromedp.Do(ctx); err != nil { // it lives as long as the context it is started with
		t.Fatal(err)
	}
	b := &tab{Context: ctx, t: t, base: base, complaints: map[string]bool{}}
	b.do(command(network.Enable, network.EnableParams{}), command(log.Enable, cdp.Empty{}))
	listen(b, runtime.ExceptionThrown, func(ev runtime.EventExceptionThrown) {
		b.complain("the browser threw: " + (&chromedp.ExceptionError{ExceptionDetails: ev.ExceptionDetails}).Error())
	})
	listen(b, runtime.ConsoleAPICalled, func(ev runtime.EventConsoleAPICalled) {
		if ev.Type == "error" || ev.Type == "warning" {
			b.complain(fmt.Sprintf("the console says: %s %v", ev.Type, ev.Args))
		}
	})
	listen(b, log.EntryAdded, func(ev log.EventEntryAdded) {
		if ev.Entry.Level == log.EntryLevelError || ev.Entry.Level == log.EntryLevelWarning {
			b.complain("the browser complains: " + ev.Entry.Text + " " + ev.Entry.URL)
		}
	})
	listen(b, network.RequestWillBeSent, func(ev network.EventRequestWillBeSent) {
		if !strings.HasPrefix(ev.Request.URL, b.base+"/") && !strings.HasPrefix(ev.Request.URL, "data:") {
			b.complain("a request to somebody else: " + ev.Request.URL)
		}
	})
	listen(b, network.LoadingFinished, func(ev network.EventLoadingFinished) {
		b.mu.Lock()
		b.bytes += ev.EncodedDataLength
		b.mu.Unlock()
	})
	t.Cleanup(b.reckon)
	b.do(chromedp.EmulateViewport(1440, 900))
	return b
}

// listen hands the browser's events to see until the tab is closed.
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

// command makes an action of a protocol command.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

func (b *tab) complain(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints[what] = true
}

// reckon fails the test for what the browser complained of so far, except what the test expects.
func (b *tab) reckon() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for what := range b.complaints {
		if b.expected == "" || !strings.Contains(what, b.expected) {
			b.t.Error(what)
		}
	}
	clear(b.complaints)
}

// weigh gives how many bytes came since it was asked last.
func (b *tab) weigh() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.bytes
	b.bytes = 0
	return n
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b, 40*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%v\n%s", err, b.where())
	}
}

// where says what the page shows, for a test that fails.
func (b *tab) where() string {
	text, _ := chromedp.Run(b, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText.slice(0, 1500)`))
	if png, err := chromedp.Run(b, chromedp.CaptureScreenshot()); err == nil && os.Getenv("MUSTER_SHOTS") != "" {
		os.WriteFile(filepath.Join(os.Getenv("MUSTER_SHOTS"), strings.ReplaceAll(b.t.Name(), "/", "-")+".png"), png, 0o644)
	}
	return text
}

// eval gives the value of a script; a promise is waited for.
func eval[T any](b *tab, script string) T {
	b.t.Helper()
	v, err := chromedp.Run(b, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%.200s: %v", script, err)
	}
	return v
}

// run runs a script for its effect.
func (b *tab) run(script string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](script))
}

// until waits for a script to be true.
func (b *tab) until(what, script string) {
	b.t.Helper()
	b.patiently(what, 30*time.Second, script)
}

// patiently is until for what takes its time.
func (b *tab) patiently(what string, patience time.Duration, script string) {
	b.t.Helper()
	var last error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(30 * time.Millisecond) {
		ok, err := chromedp.Run(b, chromedp.Evaluate[bool]("Boolean("+script+")"))
		if ok {
			return
		}
		if last = err; errors.Is(err, context.Canceled) {
			break
		}
	}
	b.t.Fatalf("%s: never %s (%v) on %s", what, script, last, b.where())
}

// visit opens a page and waits for what it must show.
func (b *tab) visit(path, visible string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base+path), chromedp.WaitVisible(chromedp.CSS(visible)))
}

// look sets the viewport's width and whether the viewer likes it dark.
func (b *tab) look(width int64, dark bool) {
	b.t.Helper()
	scheme, height := "light", int64(900)
	if dark {
		scheme = "dark"
	}
	if width < 600 {
		height = 844
	}
	b.do(command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}, // no colour is caught half-way
	}}),
		chromedp.EmulateViewport(width, height))
}

// mouse moves or presses the mouse at a share of an element's width, half-way down.
func (b *tab) mouse(kind, selector string, at float64) {
	b.t.Helper()
	name, _ := json.Marshal(selector)
	box := eval[[]float64](b, fmt.Sprintf(`(() => { const r = document.querySelector(%s).getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()`, name))
	ev := input.DispatchMouseEventParams{Type: input.DispatchMouseEventType(kind), X: box[0] + box[2]*at, Y: box[1] + box[3]/2, Button: "left", Buttons: 1, ClickCount: 1}
	if kind == "mouseMoved" && !b.down {
		ev.Button, ev.Buttons = "none", 0
	}
	b.down = kind == "mousePressed" || b.down && kind != "mouseReleased"
	b.do(command(input.DispatchMouseEvent, ev))
}

// site is a server as a stranger starts it, without a token or a flag but its address and its data.
type site struct {
	*server
	link string // the one-time login it printed
}

func openSite(t testing.TB, args ...string) *site {
	t.Helper()
	s := &site{server: newServer(t, append([]string{"--agents", filepath.Join(filepath.Dir(binary(t, "muster")), "agents")}, args...)...)}
	s.env = nil
	s.start()
	for _, word := range strings.Fields(s.out.wait(t, 20*time.Second, s.url, "/login/")) {
		if strings.Contains(word, "/login/") {
			s.link = word
		}
	}
	s.ready()
	token, err := os.ReadFile(filepath.Join(s.data, "cli-token"))
	if err != nil {
		t.Fatal(err)
	}
	s.token = strings.TrimSpace(string(token))
	return s
}

// enter opens the site in a browser by its one-time link.
func (s *site) enter(t testing.TB) *tab {
	t.Helper()
	b := openTab(t, s.url)
	b.do(chromedp.Navigate(s.link), chromedp.WaitVisible(chromedp.CSS("#now")))
	return b
}

// agents starts real agents, one for each name, and waits until they are on the list.
func (s *site) agents(t testing.TB, names ...string) {
	t.Helper()
	token := s.enroll(len(names)).Token
	for _, name := range names {
		s.agent(t, token, name)
	}
	until(t, 40*time.Second, "all agents are up", func() bool {
		up := map[string]bool{}
		for _, n := range s.nodes() {
			up[n.Name] = n.State == "up"
		}
		for _, name := range names {
			if !up[name] {
				return false
			}
		}
		return true
	})
}

func (s *site) agent(t testing.TB, token, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(binary(t, "muster-agent"), append([]string{"--server", s.url, "--token", token, "--state", t.TempDir(), "--hostname", name, "--foreground"}, args...)...)
	run(t, cmd)
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd
}

// fresh makes the browser forget the files it has, and the scales too.
func (b *tab) fresh() {
	b.t.Helper()
	b.do(chromedp.Navigate("about:blank"), command(network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true}))
	b.weigh()
}
