package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"flag"
	"image"
	"image/draw"
	"image/png"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var (
	screens   = flag.Bool("screens", false, "take the pictures of the README into docs/screenshots")
	screenAge = flag.Duration("screens-after", 3*time.Minute, "how long to measure before")
)

// mostPicture is how big a picture in the repository may be, in bytes.
const mostPicture = 200_000

// TestScreenshots takes the pictures of the README: a real server, the real agent under ten names, this
// machine's own measurements while it works.
func TestScreenshots(t *testing.T) {
	if !*screens {
		t.Skip("-screens takes the pictures")
	}
	s := openSite(t)
	b := s.enter(t)
	b.do(chromedp.SendKeys(chromedp.CSS("#newpass"), "correct horse battery"), chromedp.KeyEvent(kb.Enter))
	b.until("a password", `document.querySelector(".flash.ok")`)
	ctx, rest := context.WithCancel(t.Context())
	defer rest()
	work(t, ctx)
	// They come in the course of time, as they do, and one falls silent in the end.
	for _, names := range [][]string{{"web-1", "web-2", "db-1", "db-2"}, {"api-1", "api-2", "cache-1"}, {"web-3", "queue-1"}} {
		s.agents(t, names...)
		decorate(t, s)
		time.Sleep(*screenAge / 4)
	}
	build := s.agent(t, s.enroll(1).Token, "build-1")
	until(t, time.Minute, "it is up", func() bool { return s.state("build-1") == "up" })
	decorate(t, s)
	time.Sleep(*screenAge / 4)
	build.Process.Kill()
	until(t, 3*time.Minute, "it is silent", func() bool { return s.state("build-1") == "down" })
	time.Sleep(20 * time.Second)
	var id string
	for _, n := range s.nodes() {
		if n.Name == "db-1" {
			id = n.ID
		}
	}
	pictures := []struct{ name, path, ready string }{
		{"overview", "/", pages(id)["overview"].ready},
		{"nodes", "/nodes", pages(id)["nodes"].ready},
		{"node", "/nodes/" + id, pages(id)["node"].ready},
	}
	for _, p := range pictures {
		for _, theme := range []string{"light", "dark"} {
			b.look(1440, theme == "dark")
			b.do(chromedp.Navigate(s.url + p.path))
			b.until(p.name, p.ready)
			time.Sleep(2 * time.Second)
			shot, err := chromedp.Run(b, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			keepPicture(t, p.name+"-"+theme+".png", shot)
		}
	}
}

// state gives the state of the node of a name.
func (s *site) state(name string) string {
	for _, n := range s.nodes() {
		if n.Name == name {
			return n.State
		}
	}
	return ""
}

// decorate tags the nodes that are new as an operator would, through the API.
func decorate(t *testing.T, s *site) {
	tags := map[string][]string{
		"web": {"web", "env=prod"}, "api": {"api", "env=prod"}, "db": {"db", "env=prod"}, "cache": {"cache", "env=prod"}, "queue": {"queue", "env=staging"}, "build": {"ci"},
	}
	for _, n := range s.nodes() {
		if len(n.Tags) > 0 {
			continue
		}
		role, _, named := strings.Cut(n.Name, "-")
		edit := map[string]any{"tags": tags[role], "star": n.Name == "db-1"}
		if !named { // the server's own machine
			edit = map[string]any{"name": "muster-1", "tags": []string{"muster"}}
		}
		if code := s.call("PATCH", "/v1/nodes/"+n.ID, edit, nil); code != http.StatusOK {
			t.Fatalf("%s: %d", n.Name, code)
		}
	}
}

// work gives the machine something to do, now more and now less: processors, memory, disk and loopback.
func work(t *testing.T, ctx context.Context) {
	file := filepath.Join(t.TempDir(), "work")
	go func() {
		for ctx.Err() == nil {
			block := bytes.Repeat([]byte("muster"), 8<<20)
			end := time.Now().Add(6 * time.Second)
			for i := 0; time.Now().Before(end) && ctx.Err() == nil; i++ {
				sha256.Sum256(block)
				if f, err := os.Create(file); err == nil && i%4 == 0 {
					f.Write(block)
					f.Sync()
					f.Close()
				}
			}
			sleep(ctx, 9*time.Second)
		}
	}()
	for range runtime.NumCPU() / 2 {
		go func() {
			block := make([]byte, 1<<20)
			for ctx.Err() == nil {
				end := time.Now().Add(11 * time.Second)
				for time.Now().Before(end) && ctx.Err() == nil {
					sha256.Sum256(block)
				}
				sleep(ctx, 23*time.Second)
			}
		}()
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// keepPicture writes a picture as small as it gets without losing anything.
func keepPicture(t *testing.T, name string, shot []byte) {
	t.Helper()
	whole, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	opaque := image.NewNRGBA(whole.Bounds())
	draw.Draw(opaque, opaque.Bounds(), whole, whole.Bounds().Min, draw.Src)
	var small bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&small, opaque); err != nil {
		t.Fatal(err)
	}
	if small.Len() > mostPicture {
		t.Errorf("%s has %d bytes", name, small.Len())
	}
	path := filepath.Join("..", "..", "docs", "screenshots", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, small.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
