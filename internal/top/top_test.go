package top

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"muster/api"
	"muster/client"
	"muster/internal/term"
)

func fleet(n int) *feed {
	f := &feed{nodes: map[string]api.Node{}}
	for i := range n {
		state := "up"
		if i%10 == 9 {
			state = "down"
		}
		node := api.Node{Name: fmt.Sprintf("web-%03d", i), State: state, Tags: []string{"web"}, Now: api.NodeNow{CPU: p(float64(i%7) / 10)}}
		node.ID = node.Name
		f.nodes[node.ID] = node
	}
	return f
}

func TestTopAnswersKeys(t *testing.T) {
	m := &table{feed: fleet(50), sort: "state", width: 80, height: 14}
	rows := func() []string {
		lines := strings.Split(m.View(), "\n")
		if len(lines) > m.height {
			t.Fatalf("%d lines on a screen of %d", len(lines), m.height)
		}
		return lines
	}
	if got := rows(); !strings.Contains(got[0], "50 nodes  ● 45 up  ▼ 5 down") || !strings.HasPrefix(got[3], "web-009  ▼ down") {
		t.Errorf("worst first: %q", got[:4])
	}
	m.Key("c")
	if got := rows(); !strings.HasPrefix(got[3], "web-006  ● up     60%") {
		t.Errorf("by CPU: %q", got[3])
	}
	m.Key("c")
	if got := rows(); !strings.Contains(got[3], " 0%") {
		t.Errorf("turned: %q", got[3])
	}
	m.Key("n")
	m.Key("pgdown")
	m.Key("down")
	if got := rows(); !strings.HasPrefix(got[3], "web-011") {
		t.Errorf("scrolled: %q", got[3])
	}
	m.Key("end")
	if got := rows(); !strings.HasPrefix(got[12], "web-049") {
		t.Errorf("the end: %q", got)
	}
	for _, key := range []string{"/", "0", "4", "x", "backspace"} {
		m.Key(key)
	}
	if got := rows(); !strings.HasPrefix(got[3], "web-004") || got[len(got)-1] != "/04█" {
		t.Errorf("filtered: %q", got)
	}
	m.Key("enter")
	if got := rows(); !strings.Contains(got[len(got)-1], `11 match "04"`) {
		t.Errorf("the footer: %q", got[len(got)-1])
	}
	m.Key("esc")
	if !m.Key("q") || m.filter != "" {
		t.Error("q does not end it")
	}
}

func TestFeedTakesEvents(t *testing.T) {
	f := fleet(2)
	f.take(client.StreamEvent{Kind: "node", Data: []byte(`{"id":"web-000","name":"new name"}`)})
	f.take(client.StreamEvent{Kind: "node", Data: []byte(`{"id":"web-900","name":"young"}`)})
	f.take(client.StreamEvent{Kind: "node.gone", Data: []byte(`{"id":"web-001"}`)})
	f.take(client.StreamEvent{Kind: "other", Data: []byte(`{"id":"x"}`)})
	f.take(client.StreamEvent{Kind: "node", Data: []byte(`nonsense`)})
	if len(f.nodes) != 2 || f.nodes["web-000"].Name != "new name" || f.nodes["web-900"].Name != "young" {
		t.Errorf("%v", f.nodes)
	}
	f.query = "tag:web"
	f.take(client.StreamEvent{Kind: "node", Data: []byte(`{"id":"web-901"}`)})
	if len(f.nodes) != 2 {
		t.Error("a node that nobody asked for")
	}
}

func TestScreenDrawsWhenSomethingChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, keys := io.Pipe()
		var out bytes.Buffer
		m := &table{feed: fleet(3), sort: "name", width: 80, height: 10}
		done := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { done <- term.Show(ctx, in, &out, func() (int, int) { return 60, 8 }, m) }()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := strings.Count(out.String(), "\x1b[H"); n != 1 || m.width != 60 {
			t.Errorf("drawn %d times at width %d", n, m.width)
		}
		_, _ = keys.Write([]byte("/w"))
		synctest.Wait()
		if n := strings.Count(out.String(), "\x1b[H"); n != 3 {
			t.Errorf("drawn %d times", n)
		}
		_, _ = keys.Write([]byte("\rq"))
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = keys.Close()
	})
}

func p[T any](v T) *T { return &v }
