package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/coder/websocket"

	"muster"
	"muster/internal/wire"
)

var figures = flag.Bool("figures", false, "measure how fast pages and live streams are, and print it")

// TestFigures measures what docs/guide/performance.md says of pages: nothing in it can fail for being slow.
func TestFigures(t *testing.T) {
	if !*figures {
		t.Skip("-figures measures")
	}
	t.Run("paint", paints)
	t.Run("weight", weights)
	t.Run("delay", delays)
}

// tenNodes gives a server with ten nodes and a client that is signed in.
func tenNodes(t *testing.T) (*site, *http.Client) {
	s := openSite(t)
	visitor := s.visitor(t)
	s.agents(t, "a-1", "a-2", "a-3", "a-4", "a-5", "a-6", "a-7", "a-8", "a-9")
	return s, visitor
}

// paints measures how long the list takes to be seen.
func paints(t *testing.T) {
	s, visitor := tenNodes(t)
	b := openTab(t, s.url)
	site, _ := url.Parse(s.url)
	for _, c := range visitor.Jar.Cookies(site) {
		b.do(command(network.SetCookie, network.SetCookieParams{Name: c.Name, Value: c.Value, URL: s.url}))
	}
	var all []float64
	for range 5 {
		b.fresh()
		b.visit("/nodes", "#rows")
		all = append(all, eval[float64](b, `new Promise((done) => new PerformanceObserver((list) => {
			for (const e of list.getEntries()) if (e.name === "first-contentful-paint") done(e.startTime);
		}).observe({ type: "paint", buffered: true }))`))
	}
	slices.Sort(all)
	t.Logf("first contentful paint of /nodes with 10 nodes and an empty cache: median %.0f ms of %.0f", all[2], all)
}

// weights measures how much the live list takes when its nodes send each second, and when each ten.
func weights(t *testing.T) {
	s, visitor := tenNodes(t)
	var ids []string
	for _, n := range s.nodes() {
		ids = append(ids, strings.TrimPrefix(n.ID, "node_"))
	}
	live := "/nodes/live?ids=" + strings.Join(ids, ",")
	t.Logf("live stream of /nodes, 10 rows, each sending every second: %.0f bytes/s", thin(t, visitor, s.url+live, 30*time.Second))
	time.Sleep(2 * time.Minute) // then they are no longer young
	t.Logf("live stream of /nodes, 10 rows, each sending every 10 s: %.0f bytes/s", thin(t, visitor, s.url+live, time.Minute))
}

// visitor is a client signed in by the one-time link, as a browser would be.
func (s *site) visitor(t *testing.T) *http.Client {
	t.Helper()
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	res, err := client.Get(s.link)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return client
}

// thin gives how many bytes a second a stream brings, as a browser gets it.
func thin(t *testing.T, client *http.Client, address string, span time.Duration) float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", address, nil)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Accept-Encoding", "gzip")
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", address, res.Status)
	}
	n, _ := io.Copy(io.Discard, res.Body)
	return float64(n) / span.Seconds()
}

// delays measures from a frame's sending to the events that tell of it, for twenty agents that send every second.
func delays(t *testing.T) {
	s := openSite(t, "--no-agent")
	client := s.visitor(t)
	ctx, cancel := context.WithTimeout(t.Context(), 75*time.Second)
	defer cancel()
	token := s.enroll(20).Token
	var sent sync.Map // "node name value" -> time
	for i := range 20 {
		go tick(ctx, t, newMachine(s.server, token, fmt.Sprintf("t-%02d", i)), &sent, time.Duration(i)*50*time.Millisecond)
	}
	until(t, 20*time.Second, "twenty nodes", func() bool { return len(s.nodes()) == 20 })
	name := map[string]string{}
	var ids []string
	for _, n := range s.nodes() {
		name[n.ID] = n.Name
		ids = append(ids, strings.TrimPrefix(n.ID, "node_"))
	}
	time.Sleep(3 * time.Second)
	var api, page []float64
	var wait sync.WaitGroup
	listen := func(path string, bearer bool, out *[]float64, read func(event, data string, seen func(name string, percent int))) {
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, "GET", s.url+path, nil)
			req.Header.Set("Accept", "text/event-stream")
			if bearer {
				req.Header.Set("Authorization", "Bearer "+s.token)
			}
			res, err := client.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			scan := bufio.NewScanner(res.Body)
			scan.Buffer(nil, 1<<20)
			event := ""
			told := map[string]bool{}
			for scan.Scan() {
				now := time.Now()
				if e, ok := strings.CutPrefix(scan.Text(), "event: "); ok {
					event = e
				} else if data, ok := strings.CutPrefix(scan.Text(), "data: "); ok {
					read(event, data, func(name string, percent int) {
						key := fmt.Sprintf("%s %d", name, percent)
						if at, ok := sent.Load(key); ok && !told[key] && now.Sub(at.(time.Time)) < 30*time.Second {
							told[key] = true
							*out = append(*out, now.Sub(at.(time.Time)).Seconds()*1000)
						}
					})
				}
			}
		})
	}
	listen("/v1/stream?topics=nodes", true, &api, func(event, data string, seen func(string, int)) {
		var n struct {
			Name string
			Now  struct {
				CPU *float64 `json:"cpu"`
			}
		}
		if event == "node" && json.Unmarshal([]byte(data), &n) == nil && n.Now.CPU != nil {
			seen(n.Name, int(*n.Now.CPU*100+0.5))
		}
	})
	listen("/nodes/live?ids="+strings.Join(ids, ","), false, &page, func(event, data string, seen func(string, int)) {
		var rows [][]*float64
		if event != "v" || json.Unmarshal([]byte(data), &rows) != nil {
			return
		}
		for _, r := range rows {
			if len(r) > 1 && r[1] != nil {
				seen(name["node_"+ids[int(*r[0])]], int(*r[1]))
			}
		}
	})
	wait.Wait()
	for what, all := range map[string][]float64{"/v1/stream": api, "/nodes/live": page} {
		slices.Sort(all)
		if len(all) < 100 {
			t.Errorf("%s: only %d events", what, len(all))
			continue
		}
		at := func(share float64) float64 { return all[int(share*float64(len(all)-1))] }
		t.Logf("a frame's sending to its event on %s, 20 agents, 1 s, 60 s: p50 %.0f ms, p99 %.0f ms, most %.0f ms (%d events)", what, at(0.5), at(0.99), at(1), len(all))
	}
}

// tick sends a frame each second whose CPU share names it, 0 to 99 % in turn, and notes when.
func tick(ctx context.Context, t *testing.T, m *machine, sent *sync.Map, phase time.Duration) {
	time.Sleep(phase)
	conn, _, err := websocket.Dial(ctx, strings.Replace(m.url, "http", "ws", 1)+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.CloseNow()
	l := &link{ctx: ctx, conn: conn}
	if err := m.greet(l); err != nil {
		t.Error(err)
		return
	}
	go func() {
		for {
			if _, err := l.receive(); err != nil {
				return
			}
		}
	}()
	mode := func(name string) []muster.Attr { return []muster.Attr{{Key: "cpu.mode", Value: name}} }
	def := &wire.SchemaDef{Number: 1, Metrics: []muster.Metric{
		{Name: "system.cpu.utilization", Unit: "1", Kind: muster.Gauge, Attrs: mode("idle")}, {Name: "system.cpu.utilization", Unit: "1", Kind: muster.Gauge, Attrs: mode("user")},
	}}
	if l.send(def) != nil {
		return
	}
	for i := 0; ctx.Err() == nil; i++ {
		percent := i % 100
		now := time.Now()
		sent.Store(fmt.Sprintf("%s %d", m.name, percent), now)
		share := float64(percent) / 100
		if l.send(&wire.Frames{Frames: []wire.Frame{{Source: muster.HostSource, Schema: 1, At: now.UnixMilli(), Values: []float64{1 - share, share}}}}) != nil {
			return
		}
		time.Sleep(time.Until(now.Add(time.Second)))
	}
}
