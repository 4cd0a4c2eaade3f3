package e2e

import (
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// shop is a web page that can be broken and mended under one address.
type shop struct {
	address string
	server  *http.Server
}

func openShop(t testing.TB) *shop {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{address: l.Addr().String()}
	s.serve(l)
	t.Cleanup(s.close)
	return s
}

func (s *shop) serve(l net.Listener) {
	s.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("open\n")) }), ReadHeaderTimeout: time.Second}
	go func() { _ = s.server.Serve(l) }()
}

func (s *shop) close() { _ = s.server.Close() }

// mend opens the page again where it was.
func (s *shop) mend(t testing.TB) {
	t.Helper()
	until(t, 10*time.Second, "the address is free again", func() bool {
		l, err := net.Listen("tcp", s.address)
		if err == nil {
			s.serve(l)
		}
		return err == nil
	})
}

// TestIncidentJourney makes a check in the search box, breaks its target, sees the incident open without a reload,
// acknowledges it, mends the target and sees it resolved.
func TestIncidentJourney(t *testing.T) {
	t.Parallel()
	target := openShop(t)
	s := openSite(t)
	b := s.enter(t)
	b.until("the page is live", `document.getElementById("live").dataset.state === "on"`)
	b.run(`document.getElementById("q").focus()`)
	b.do(chromedp.SendKeys(chromedp.CSS("#q"), "http://"+target.address+"/\r"))
	b.until("the check is there, with its first result", `location.pathname.startsWith("/checks/check_") && document.body.innerText.includes("HTTP 200")`)
	b.reckon()

	b.visit("/", "#now")
	b.until("the overview is live and calm", `document.getElementById("live").dataset.state === "on" && !document.querySelector("#wrong, .incidents, [data-incident]")?.innerText?.includes("`+target.address+`")`)
	b.run(`window.same = true`)
	target.close()
	b.patiently("the incident opens by itself", time.Minute, `window.same && document.body.innerText.includes("`+target.address+`") && document.body.innerText.includes("connection refused")`)
	b.run(`[...document.querySelectorAll("button")].find((b) => b.textContent.trim() === "Acknowledge").click()`)
	b.patiently("it is taken", 30*time.Second, `![...document.querySelectorAll("button")].some((b) => b.textContent.trim() === "Acknowledge")`)
	b.visit("/incidents", "main")
	b.until("the list is live", `document.getElementById("live").dataset.state === "on" && document.body.innerText.includes("`+target.address+`")`)
	b.run(`window.same = true`)
	target.mend(t)
	b.patiently("it is resolved by itself", time.Minute, `window.same && /resolved|lasted/i.test(document.querySelector("main").innerText)`)
	b.reckon()
}
