package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/internal/wire"
)

// damage changes the end of the newest log of a room of a server that was killed.
func (s *server) damage(room string, change func([]byte) []byte) {
	s.t.Helper()
	logs, err := filepath.Glob(filepath.Join(s.data, room, "*.log"))
	if err != nil || len(logs) == 0 {
		s.t.Fatalf("%s has no log: %v", room, err)
	}
	name := slices.Max(logs)
	content, err := os.ReadFile(name)
	if err != nil {
		s.t.Fatal(err)
	}
	if content = bytes.TrimRight(content, "\x00"); len(content) < 1000 {
		s.t.Fatalf("the log of %s has only %d bytes: this proves nothing", room, len(content))
	}
	if err := os.WriteFile(name, change(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// TestTornLogs kills a server and damages the ends of its logs as a power cut may: it starts, says so, and
// has all but what was written last.
func TestTornLogs(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	p := s.newPeer("web").enter(s, s.enroll(1).Token)
	first := time.Now().Add(-time.Hour).Truncate(time.Second)
	sent := 0
	send := func(frames int) {
		for range frames {
			p.tell(&wire.Frames{Frames: []wire.Frame{p.frame(1, first.Add(time.Duration(sent)*time.Second), float64(sent))}})
			p.ack()
			sent++
		}
	}
	p.tell(counting(1, "e2e.count"))
	send(100)
	for name, change := range map[string]func([]byte) []byte{
		"cut":     func(b []byte) []byte { return b[:len(b)-20] },
		"changed": func(b []byte) []byte { copy(b[len(b)-20:], bytes.Repeat([]byte{0x5a}, 20)); return b },
		"wiped":   func(b []byte) []byte { clear(b[len(b)-20:]); return b },
	} {
		for range 3 { // the last document may be lost
			s.enroll(1)
		}
		s.kill()
		s.damage("series", change)
		s.damage("documents", change)
		s.start()
		s.ready()
		if n := strings.Count(s.out.all(), "within a record"); n != 2 {
			t.Errorf("%s: it tells of %d torn logs:\n%s", name, n, s.out.all())
		}
		got := s.points(p.node, "e2e.count", first, first.Add(time.Hour))
		missing := 0
		for n := range sent {
			if v, ok := got[first.Unix()+int64(n)]; !ok {
				missing++
			} else if v != float64(n) {
				t.Errorf("%s: frame %d reads %v", name, n, v)
			}
		}
		if missing > 1 {
			t.Errorf("%s: %d of %d frames are missing, though only the last record was damaged", name, missing, sent)
		}
		if n, ok := s.nodeOf("web"); !ok || n.ID != p.node {
			t.Errorf("%s: the node is not there", name)
		}
		p.enter(s, "")
		p.tell(counting(1, "e2e.count"))
		sent -= missing // an agent that keeps what was not acknowledged would send it again
		send(50)
	}
}

// TestManyNodesAfterKill kills a server that has 200 nodes: it answers at once, and no answer has a hole that is
// only there because the heads are still being read back.
func TestManyNodesAfterKill(t *testing.T) {
	t.Parallel()
	const nodes, frames, metrics = 200, 300, 100
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	token := s.enroll(nodes).Token
	first := time.Now().Add(-frames * time.Second).Truncate(time.Second)
	peers := make([]*peer, nodes)
	for i := range peers {
		peers[i] = s.newPeer(fmt.Sprintf("node-%03d", i))
	}
	var all sync.WaitGroup
	places := make(chan struct{}, 20)
	for _, p := range peers {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			p.enter(s, token)
			p.tell(&wire.SchemaDef{Number: 1, Metrics: manyMetrics(metrics)})
			for n := 0; n < frames; {
				m := &wire.Frames{}
				for range 50 {
					values := make([]float64, metrics)
					for i := range values {
						values[i] = float64(n + i)
					}
					m.Frames = append(m.Frames, p.frame(1, first.Add(time.Duration(n)*time.Second), values...))
					n++
				}
				p.tell(m)
				p.ack()
			}
		})
	}
	all.Wait()
	for range 2 {
		s.kill()
		begun := time.Now()
		s.start()
		for {
			res, err := http.Get(s.url + "/healthz")
			if err == nil {
				res.Body.Close()
				if res.StatusCode == http.StatusOK {
					break
				}
			}
			if time.Since(begun) > patience {
				t.Fatalf("it does not answer: %v; printed:\n%s", err, s.out.all())
			}
			time.Sleep(2 * time.Millisecond)
		}
		t.Logf("/healthz answers %s after the start", time.Since(begun).Round(time.Millisecond))
		for i := 0; i < nodes; i += 7 {
			got := s.points(peers[i].node, "e2e.flood.3", first, first.Add(frames*time.Second))
			if len(got) != frames {
				t.Fatalf("%s: %d of %d points, %s after the start", peers[i].name, len(got), frames, time.Since(begun))
			}
		}
		if n := len(s.nodes()); n != 100 { // a page of them
			t.Errorf("%d nodes on the first page", n)
		}
	}
}
