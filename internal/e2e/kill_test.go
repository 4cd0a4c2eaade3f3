package e2e

import (
	"context"
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"muster"
	"muster/internal/wire"
)

var kills = flag.Int("kills", 200, "how often the server is killed under load")

// machine is a simulated agent that never forgets what it sent and what was acknowledged. Its n-th
// frame lies n seconds after its first and carries the value n.
type machine struct {
	url, token, name string
	key              ed25519.PrivateKey
	first            int64 // Unix ms of frame 0

	mu    sync.Mutex
	sent  int   // frames made
	acked int   // frames 0..acked-1 are acknowledged
	fault error // something that must never happen
}

func newMachine(s *server, token, name string) *machine {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	first := time.Now().Add(-6*time.Hour).Truncate(time.Hour).UnixMilli() + rand.Int64N(60)*1000
	return &machine{url: s.url, token: token, name: name, key: key, first: first}
}

// run connects again and again until ctx ends.
func (m *machine) run(ctx context.Context) {
	for ctx.Err() == nil {
		m.session(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(5+rand.IntN(20)) * time.Millisecond):
		}
	}
}

func (m *machine) session(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, strings.Replace(m.url, "http", "ws", 1)+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	link := &link{ctx: ctx, conn: conn}
	if err := m.greet(link); err != nil {
		return
	}
	if link.send(&wire.SchemaDef{Number: 1, Metrics: []muster.Metric{{Name: "e2e.count", Unit: "1", Kind: muster.Gauge}, {Name: "e2e.constant", Unit: "1", Kind: muster.Gauge}}}) != nil {
		return
	}
	through := map[uint64]int{} // message -> frames acknowledged with it
	var mu sync.Mutex
	go func() {
		defer cancel()
		for {
			msg, err := link.receive()
			if err != nil {
				return
			}
			if ack, ok := msg.(*wire.Ack); ok {
				mu.Lock()
				best := 0
				for seq, frames := range through {
					if seq <= ack.Through {
						best = max(best, frames)
						delete(through, seq)
					}
				}
				mu.Unlock()
				m.noted(best, ack)
			}
		}
	}()
	m.mu.Lock()
	next := m.acked
	m.mu.Unlock()
	for ctx.Err() == nil {
		var frames []wire.Frame
		for range 1 + rand.IntN(5) {
			frames = append(frames, wire.Frame{Source: muster.HostSource, Schema: 1, At: m.first + int64(next)*1000, Values: []float64{float64(next), 42}})
			next++
		}
		mu.Lock()
		through[link.seq+1] = next
		mu.Unlock()
		m.mu.Lock()
		m.sent = max(m.sent, next)
		m.mu.Unlock()
		if link.send(&wire.Frames{Frames: frames}) != nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(rand.IntN(12)) * time.Millisecond):
		}
	}
}

func (m *machine) noted(frames int, ack *wire.Ack) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acked = max(m.acked, frames)
	if len(ack.Refused) > 0 {
		m.fault = fmt.Errorf("%s: a good frame was refused: %s", m.name, ack.Refused[0].Reason)
	}
}

func (m *machine) greet(l *link) error {
	first, err := l.receive()
	if err != nil {
		return err
	}
	challenge, ok := first.(*wire.Challenge)
	if !ok {
		return errors.New("no challenge")
	}
	hello := &wire.Hello{Token: m.token, Hostname: m.name, Version: "e2e", Period: time.Second}
	hello.Sign(m.key, challenge.Nonce)
	if err := l.send(hello); err != nil {
		return err
	}
	answer, err := l.receive()
	if err != nil {
		return err
	}
	switch answer := answer.(type) {
	case *wire.Welcome:
		return nil
	case *wire.Refusal:
		if answer.Permanent {
			m.mu.Lock()
			m.fault = fmt.Errorf("%s: refused: %s: %s", m.name, answer.Code, answer.Reason)
			m.mu.Unlock()
		}
	}
	return errors.New("not welcome")
}

// link sends and receives messages on one connection.
type link struct {
	ctx  context.Context
	conn *websocket.Conn
	seq  uint64
}

func (l *link) send(m wire.Message) error {
	l.seq++
	return l.conn.Write(l.ctx, websocket.MessageBinary, wire.Marshal(nil, l.seq, time.Now().UnixMilli(), m))
}

func (l *link) receive() (wire.Message, error) {
	_, b, err := l.conn.Read(l.ctx)
	if err != nil {
		return nil, err
	}
	envelope, err := wire.ParseEnvelope(b)
	if err != nil {
		return nil, err
	}
	return wire.Parse(envelope)
}

// TestKillUnderLoad kills the server at random instants while machines send; in the end every frame
// that was ever acknowledged is read back with its value.
func TestKillUnderLoad(t *testing.T) {
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	token := s.enroll(10).Token
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var machines []*machine
	var running sync.WaitGroup
	for i := range 5 {
		m := newMachine(s, token, fmt.Sprintf("machine-%d", i))
		machines = append(machines, m)
		running.Go(func() { m.run(ctx) })
	}
	for range *kills {
		time.Sleep(time.Duration(20+rand.IntN(250)) * time.Millisecond)
		s.kill()
		s.start()
	}
	s.ready()
	time.Sleep(500 * time.Millisecond)
	stop()
	running.Wait()
	s.kill()
	s.start()
	s.ready()
	total := 0
	for _, m := range machines {
		if m.fault != nil {
			t.Error(m.fault)
		}
		total += m.acked
		readBack(s, m)
	}
	t.Logf("%d kills, %d frames acknowledged", *kills, total)
	if total < *kills {
		t.Errorf("only %d frames were acknowledged in all: this was no load", total)
	}
}

// readBack asks for every second in which an acknowledged frame lies.
func readBack(s *server, m *machine) {
	s.t.Helper()
	var id string
	for _, n := range s.nodes() {
		if n.Name == m.name {
			id = n.ID
		}
	}
	if id == "" {
		s.t.Fatalf("%s is not among the nodes", m.name)
	}
	const chunk = 500
	for from := 0; from < m.acked; from += chunk {
		to := min(from+chunk, m.acked)
		at := func(n int) string { return time.UnixMilli(m.first + int64(n)*1000).UTC().Format(time.RFC3339) }
		var answer struct {
			Step   string
			Series []struct{ Points [][]float64 }
		}
		q := url.Values{"metric": {"e2e.count"}, "node": {id}, "from": {at(from)}, "to": {at(to)}, "points": {"1000"}}
		if code := s.call("GET", "/v1/series?"+q.Encode(), nil, &answer); code != http.StatusOK {
			s.t.Fatalf("series: %d", code)
		}
		got := map[int64]float64{}
		for _, line := range answer.Series {
			for _, p := range line.Points {
				got[int64(p[0])] = p[2]
			}
		}
		for n := from; n < to; n++ {
			if v, ok := got[m.first/1000+int64(n)]; !ok || v != float64(n) {
				s.t.Fatalf("%s: frame %d of %d acknowledged reads %v (there: %v), step %s", m.name, n, m.acked, v, ok, answer.Step)
			}
		}
	}
}
