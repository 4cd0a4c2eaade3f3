package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"muster/api"
	"muster/client"
)

func TestTableFitsItsTerminal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := &table{}
		n := rapid.IntRange(1, 8).Draw(t, "columns")
		for i := range n {
			table.columns = append(table.columns, column{title: fmt.Sprint("c", i), right: i%2 == 1, drop: rapid.IntRange(0, 4).Draw(t, "drop"), most: rapid.IntRange(0, 20).Draw(t, "most")})
		}
		table.columns[0].drop = 0
		for i := 1; i < n; i++ {
			table.columns[i].drop = max(1, table.columns[i].drop)
		}
		for range rapid.IntRange(0, 5).Draw(t, "rows") {
			var row []cell
			for range n {
				row = append(row, text(rapid.String().Draw(t, "cell")))
			}
			table.add(row...)
		}
		width := rapid.IntRange(8, 200).Draw(t, "width")
		var b bytes.Buffer
		table.write(&b, width, false)
		for line := range strings.Lines(b.String()) {
			if got := utf8.RuneCountInString(strings.TrimRight(line, "\n")); got > width {
				t.Fatalf("a line of %d in %d: %q", got, width, line)
			}
		}
		if lines := strings.Count(b.String(), "\n"); lines != len(table.rows)+1 {
			t.Fatalf("%d lines for %d rows", lines, len(table.rows))
		}
	})
}

func TestFigures(t *testing.T) {
	for _, c := range []struct {
		v            float64
		metric, unit string
		want         string
	}{
		{0.1234, "system.cpu.utilization", "1", "12.3%"}, {1, "system.cpu.utilization", "1", "100%"}, {1.5, "system.load.1m", "1", "1.50"},
		{123456, "x", "1", "123 k"}, {1536, "x", "By", "1.50 KiB"}, {1023.9, "x", "By", "1.00 KiB"}, {0, "x", "By", "0 B"}, {2e9, "x", "By/s", "1.86 GiB/s"},
		{0.0123, "x", "s", "12.3 ms"}, {93784, "x", "s", "1d 2h"}, {0.5, "x", "s/s", "50%"}, {12, "x", "{packet}/s", "12/s"}, {3.7, "x", "Cel", "3.70 Cel"},
		{-5, "x", "1", "-5"}, {1e-7, "x", "1", "1e-07"},
	} {
		if got := figure(c.v, c.metric, c.unit); got != c.want {
			t.Errorf("%g %s is %q, want %q", c.v, c.unit, got, c.want)
		}
	}
}

func TestGraphsShowGaps(t *testing.T) {
	from := time.Unix(1000, 0).UTC()
	s := &api.Series{From: from, To: from.Add(100 * time.Second), Step: "10s"}
	got := spread(s, []api.Point{{1000, 1, 1, 1}, {1010, 2, 2, 2}, {1050, 5, 5, 5}}, 10)
	for i, want := range []float64{1, 2, math.NaN(), math.NaN(), math.NaN(), 5, math.NaN(), math.NaN(), math.NaN(), math.NaN()} {
		if got[i] != want && !(math.IsNaN(got[i]) && math.IsNaN(want)) {
			t.Errorf("slot %d is %g, want %g", i, got[i], want)
		}
	}
	if got := sparkline([]float64{0, 4, 8, math.NaN(), 8}, 0, 8); got != "▁▄█ █" {
		t.Errorf("%q", got)
	}
	wide := spread(s, []api.Point{{1000, 1, 1, 1}}, 30) // a step is three columns wide
	if wide[0] != 1 || wide[2] != 1 || !math.IsNaN(wide[3]) {
		t.Errorf("%v", wide[:5])
	}
}

func TestKeys(t *testing.T) {
	in := "a\x1b[A\x1b[6~\x1bOB\x03\x7f\ré\x1b[99Z/"
	var got []string
	for b := []byte(in); len(b) > 0; {
		var key string
		key, b = nextKey(b)
		got = append(got, key)
	}
	if s := strings.Join(got, " "); s != "a up pgdown down ctrl+c backspace enter é  /" {
		t.Errorf("%q", s)
	}
}

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
	m := &top{feed: fleet(50), sort: "state", width: 80, height: 14}
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
		m := &top{feed: fleet(3), sort: "name", width: 80, height: 10}
		done := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { done <- show(ctx, in, &out, func() (int, int) { return 60, 8 }, m) }()
		time.Sleep(10 * drawEvery)
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
