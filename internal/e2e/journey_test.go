package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// inked says whether the first canvas of a place holds a line: points of a colour that is no grey.
const inked = `(() => {
	const c = document.querySelector("#charts canvas");
	if (!c) return false;
	const copy = new OffscreenCanvas(c.width, c.height).getContext("2d", { willReadFrequently: true });
	copy.drawImage(c, 0, 0);
	const d = copy.getImageData(0, 0, c.width, c.height).data;
	let n = 0;
	for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 60 && Math.max(d[i], d[i + 1], d[i + 2]) - Math.min(d[i], d[i + 1], d[i + 2]) > 40) n++;
	return n > 50;
})()`

// TestFirstLogin is what a stranger does first: open the printed link, see this machine, choose a
// password, leave and come back with it.
func TestFirstLogin(t *testing.T) {
	s := openSite(t)
	b := openTab(t, s.url)
	b.do(chromedp.Navigate(s.link), chromedp.WaitVisible(chromedp.CSS("#now")))
	if strings.Contains(eval[string](b, `location.pathname`), "login") {
		t.Fatal("the link leads to a form")
	}
	b.until("a line is drawn", inked)
	type panels struct {
		Panels []struct {
			ID    string
			Lines []struct{ V []*float64 }
		}
	}
	var sent panels
	if err := json.Unmarshal([]byte(eval[string](b, `document.getElementById("points").textContent`)), &sent); err != nil {
		t.Fatal(err)
	}
	points := 0
	for _, p := range sent.Panels {
		for _, l := range p.Lines {
			for _, v := range l.V {
				if v != nil {
					points++
				}
			}
		}
	}
	if len(sent.Panels) < 4 || points < 4 {
		t.Errorf("the page came with %d charts and %d points", len(sent.Panels), points)
	}
	b.until("the stream", `document.getElementById("live").dataset.state === "on"`)

	// The link is spent: another browser gets the form and the reason.
	other := openTab(t, s.url)
	other.expected = "403"
	other.do(chromedp.Navigate(s.link), chromedp.WaitVisible(chromedp.CSS("[name=password]")))
	other.until("the reason", `document.querySelector("[role=alert]").textContent.includes("used already")`)

	const password = "correct horse battery"
	b.do(chromedp.SendKeys(chromedp.CSS("#newpass"), password), chromedp.KeyEvent(kb.Enter))
	b.until("it is set", `document.querySelector(".flash.ok")?.textContent.includes("The password is set.") && !document.getElementById("newpass")`)
	b.do(chromedp.Click(chromedp.CSS(`nav form[action="/logout"] button`)), chromedp.WaitVisible(chromedp.CSS("[name=password]")))
	b.do(chromedp.Navigate(s.url+"/nodes"), chromedp.WaitVisible(chromedp.CSS("[name=password]")))
	b.do(chromedp.SendKeys(chromedp.CSS("[name=name]"), "admin"), chromedp.SendKeys(chromedp.CSS("[name=password]"), password), chromedp.KeyEvent(kb.Enter))
	b.until("in again, where she wanted to go", `location.pathname === "/nodes" && document.querySelectorAll("#rows tr[id]").length === 1`)
}

// TestAddServer pastes the line of the page into a shell, and the node appears under the operator's eyes.
func TestAddServer(t *testing.T) {
	_, err := exec.LookPath("curl")
	require(t, err == nil, "curl")
	s := openSite(t)
	b := s.enter(t)
	b.visit("/nodes/add", "#line")
	b.until("the line", `document.getElementById("line").textContent.startsWith("curl ") && !document.getElementById("copy").disabled`)
	b.run(`window.same = true`)
	line := eval[string](b, `document.getElementById("line").textContent`)
	paste, found := strings.CutSuffix(line, "sudo sh")
	if !found {
		t.Fatalf("the line %q does not end with what runs it", line)
	}
	cmd := exec.Command("sh", "-c", paste+`sh -s -- --foreground --hostname pasted-1 --state "$MUSTER_AGENT_DIR"`)
	cmd.Env = append(cmd.Environ(), "MUSTER_AGENT_DIR="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out := run(t, cmd)
	t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); cmd.Wait() })
	out.wait(t, 30*time.Second, "checksum is right")
	b.until("it joined and is measured", `window.same && document.querySelector("#joined li b")?.textContent === "pasted-1" && document.querySelector("#joined li").textContent.includes("is measured")`)
	b.until("the line is used up", `document.getElementById("line").textContent.includes("used up")`)
	b.do(chromedp.Click(chromedp.CSS("#joined li a")))
	b.until("its charts", `document.querySelector("h1")?.textContent === "pasted-1" && `+inked)

	// The list shows one more without being asked.
	b.visit("/nodes", "#rows")
	b.until("two nodes", `document.querySelectorAll("#rows tr[id]").length === 2 && document.getElementById("live").dataset.state === "on"`)
	b.run(`window.same = true`)
	s.agents(t, "late-1")
	b.until("three nodes, and no reload", `window.same && [...document.querySelectorAll("#rows tr[id] .nm a")].some((a) => a.textContent === "late-1")`)
}

// burn keeps the processors busy and idle in turn until stop is called, at most for half a minute.
func burn() (stop func()) {
	done := make(chan struct{})
	end := time.Now().Add(30 * time.Second)
	for range runtime.NumCPU() {
		go func() {
			for x := 1.0; time.Now().Before(end); x *= 1.0000001 {
				select {
				case <-done:
					return
				default:
				}
				if time.Until(end).Milliseconds()/2500%2 == 0 {
					time.Sleep(10 * time.Millisecond)
				}
			}
		}()
	}
	return func() { close(done) }
}

// TestLive watches values of the list and of a node's charts move while the machine works.
func TestLive(t *testing.T) {
	s := openSite(t)
	b := s.enter(t)
	b.visit("/nodes", "#rows")
	b.until("a value", `document.getElementById("live").dataset.state === "on" && /\d%/.test(document.querySelector("#rows tr[id] td.cpu").textContent)`)
	b.run(`window.same = true; window.cpu = document.querySelector("#rows tr[id] td.cpu").textContent`)
	stop := burn()
	b.until("the processors' share moves in the list", `window.same && document.querySelector("#rows tr[id] td.cpu").textContent !== cpu`)
	stop()

	b.do(chromedp.Click(chromedp.CSS("#rows tr[id] .nm a")), chromedp.WaitVisible(chromedp.CSS("#charts canvas")))
	b.until("the stream", `document.getElementById("live").dataset.state === "on" && `+inked)
	const cpu = `document.querySelector("#charts .ch .now").textContent`
	const picture = `document.querySelector("#charts canvas").toDataURL()`
	b.run(`window.same = true; window.cpu = ` + cpu + `; window.picture = ` + picture)
	stop = burn()
	defer stop()
	b.until("the number over the chart moves", `window.same && `+cpu+` !== cpu`)
	b.until("the line moves", `window.same && `+picture+` !== picture`)
}

// TestZoom drags over a chart and goes back.
func TestZoom(t *testing.T) {
	s := openSite(t)
	b := s.enter(t)
	id := s.nodes()[0].ID
	b.visit("/nodes/"+id, "#charts canvas")
	b.until("a line", inked)
	time.Sleep(12 * time.Second) // something to zoom into
	before := eval[string](b, `location.search`)
	drag := func(from, to float64) {
		const over = "#charts .ch .u-over"
		b.mouse("mouseMoved", over, from)
		b.mouse("mousePressed", over, from)
		b.mouse("mouseMoved", over, (from+to)/2)
		b.mouse("mouseMoved", over, to)
		b.mouse("mouseReleased", over, to)
	}
	drag(0.45, 0.85)
	b.until("the address holds the range", `/from=\d+&to=\d+/.test(location.search) && !document.getElementById("zoomed").hidden && !document.getElementById("charts").hasAttribute("aria-busy")`)
	var sent struct {
		From, To int64
		Panels   []struct {
			ID   string
			Step float64
			T0   float64
			T    []float64
		}
	}
	span := eval[[]float64](b, `["from", "to"].map((k) => Number(new URLSearchParams(location.search).get(k)))`)
	text := eval[string](b, fmt.Sprintf(`fetch("/nodes/%s/data" + location.search + "&points=480").then((r) => r.text())`, id))
	if err := json.Unmarshal([]byte(text), &sent); err != nil {
		t.Fatal(err)
	}
	points := 0
	for _, p := range sent.Panels {
		for _, at := range p.T {
			points++
			// The neighbours just outside are there so that lines reach the edges.
			if ms := p.T0 + at*p.Step; ms < span[0]-11_000 || ms > span[1]+11_000 {
				t.Errorf("%s: a point %.0f ms before and %.0f ms after the range", p.ID, span[0]-ms, ms-span[1])
			}
		}
	}
	if points < 10 {
		t.Errorf("only %d points lie in the range", points)
	}
	b.until("a line is still there", inked)
	zoomed := eval[string](b, `location.search`)
	b.do(chromedp.Reload())
	b.until("the address is the whole state", `location.search === "`+zoomed+`" && !document.getElementById("zoomed").hidden && `+inked)
	b.do(chromedp.NavigateBack())
	b.until("back", `location.search === "`+before+`" && document.getElementById("zoomed").hidden && `+inked)
}

// TestNodesPage filters, sorts and walks over several nodes by keys, and weighs the page.
func TestNodesPage(t *testing.T) {
	s := openSite(t)
	b := s.enter(t)
	s.agents(t, "web-10", "web-2", "db-1", "cache-1")
	const names = `[...document.querySelectorAll("#rows tr[id] .nm a")].map((a) => a.textContent).join(" ")`
	b.weigh()
	b.visit("/nodes?sort=name", "#rows")
	b.until("five nodes, live", `document.querySelectorAll("#rows tr[id]").length === 5 && document.getElementById("live").dataset.state === "on"`)
	if got := eval[string](b, names); !strings.Contains(got, "cache-1 db-1 ") || !strings.Contains(got, "web-2 web-10") {
		t.Errorf("by name: %s", got)
	}

	b.do(chromedp.KeyEvent("/"))
	b.until("the box", `document.activeElement.id === "q"`)
	b.run(`document.getElementById("q").value = ""`) // the protocol types the slash even though the page took it
	b.do(chromedp.KeyEvent("web"))
	b.until("two of them", names+` === "web-2 web-10" && location.search.includes("q=web")`)
	b.do(chromedp.KeyEvent(kb.Escape))
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("j"))
	b.until("the second row", `document.activeElement.textContent === "web-10"`)
	b.do(chromedp.KeyEvent("k"))
	b.until("the first row", `document.activeElement.textContent === "web-2"`)
	b.do(chromedp.Click(chromedp.CSS("th.nm a")))
	b.until("the other way round", names+` === "web-10 web-2" && document.querySelector("th.nm").getAttribute("aria-sort") === "descending"`)
	b.do(chromedp.NavigateBack())
	b.until("as before", names+` === "web-2 web-10"`)
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent(kb.Enter))
	b.until("the node", `document.querySelector("h1")?.textContent === "web-2"`)
}

// TestNodesPageIsLight loads the list into an empty cache: a size, not a time.
func TestNodesPageIsLight(t *testing.T) {
	s := openSite(t)
	b := s.enter(t)
	s.agents(t, "a-1", "a-2", "a-3", "a-4", "a-5", "a-6")
	b.fresh()
	b.visit("/nodes", "#rows")
	b.until("live", `document.querySelectorAll("#rows tr[id]").length === 7 && document.getElementById("live").dataset.state === "on"`)
	time.Sleep(time.Second)
	n := b.weigh()
	t.Logf("%.1f KiB for the whole page", n/1024)
	if n > 100*1024 || n < 5*1024 {
		t.Errorf("the page weighs %.1f KiB", n/1024)
	}
}
