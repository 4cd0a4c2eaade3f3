package e2e

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"muster"
	"muster/internal/wire"
)

// patience is how long anything may take that happens at once on a machine that is not busy.
const patience = 30 * time.Second

// peer is a simulated agent that is driven step by step.
type peer struct {
	*link
	t     testing.TB
	key   ed25519.PrivateKey
	name  string
	node  string        // its id, once it was welcomed
	ahead time.Duration // of the true time
}

func (s *server) newPeer(name string) *peer {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &peer{t: s.t, key: key, name: name}
}

// dial connects without a word.
func (p *peer) dial(s *server) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Minute)
	p.t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, strings.Replace(s.url, "http", "ws", 1)+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		p.t.Fatalf("%s: dial: %v", p.name, err)
	}
	p.t.Cleanup(func() { conn.CloseNow() })
	conn.SetReadLimit(wire.MaxMessage)
	p.link = &link{ctx: ctx, conn: conn}
}

// hello answers the challenge.
func (p *peer) hello(token string) {
	p.t.Helper()
	challenge, ok := p.next().(*wire.Challenge)
	if !ok {
		p.t.Fatalf("%s: the first message is no challenge", p.name)
	}
	hello := &wire.Hello{Token: token, Hostname: p.name, Version: "e2e", Period: time.Second}
	hello.Sign(p.key, challenge.Nonce)
	p.tell(hello)
}

// enter connects and is welcomed.
func (p *peer) enter(s *server, token string) *peer {
	p.t.Helper()
	p.dial(s)
	p.hello(token)
	switch m := p.next().(type) {
	case *wire.Welcome:
		p.node = m.Node.String()
	case *wire.Refusal:
		p.t.Fatalf("%s: refused: %s: %s", p.name, m.Code, m.Reason)
	default:
		p.t.Fatalf("%s: not welcome: %T", p.name, m)
	}
	return p
}

// tell sends a message that must leave.
func (p *peer) tell(m wire.Message) {
	p.t.Helper()
	p.seq++
	if err := p.conn.Write(p.ctx, websocket.MessageBinary, wire.Marshal(nil, p.seq, time.Now().Add(p.ahead).UnixMilli(), m)); err != nil {
		p.t.Fatalf("%s: send a %s: %v", p.name, m.Kind(), err)
	}
}

// next gives the next message; the connection must not end before it comes.
func (p *peer) next() wire.Message {
	p.t.Helper()
	m, err := p.receive()
	if err != nil {
		p.t.Fatalf("%s: receive: %v", p.name, err)
	}
	return m
}

// ack gives the next acknowledgement.
func (p *peer) ack() *wire.Ack {
	p.t.Helper()
	for {
		switch m := p.next().(type) {
		case *wire.Ack:
			return m
		case *wire.Refusal:
			p.t.Fatalf("%s: refused: %s: %s", p.name, m.Code, m.Reason)
		}
	}
}

// refusal gives the refusal that comes before the connection ends; nil when it ends without one.
func (p *peer) refusal() *wire.Refusal {
	p.t.Helper()
	for {
		m, err := p.receive()
		if err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				p.t.Fatalf("%s: the connection does not end", p.name)
			}
			return nil
		}
		if r, ok := m.(*wire.Refusal); ok {
			return r
		}
	}
}

// counting is a schema of one metric.
func counting(number uint32, metric string) *wire.SchemaDef {
	return &wire.SchemaDef{Number: number, Metrics: []muster.Metric{{Name: metric, Unit: "1", Kind: muster.Gauge}}}
}

// frame is one value at a true instant, as the peer's clock has it.
func (p *peer) frame(schema uint32, at time.Time, values ...float64) wire.Frame {
	return wire.Frame{Source: muster.HostSource, Schema: schema, At: at.Add(p.ahead).UnixMilli(), Values: values}
}

// points asks for a node's metric by the second: each second's value.
func (s *server) points(node, metric string, from, to time.Time) map[int64]float64 {
	s.t.Helper()
	var answer struct {
		Step   string
		Series []struct {
			Node   string
			Points [][]float64
		}
	}
	stamp := func(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }
	q := url.Values{"metric": {metric}, "node": {node}, "from": {stamp(from)}, "to": {stamp(to)}, "points": {"10000"}}
	if code := s.call("GET", "/v1/series?"+q.Encode(), nil, &answer); code != http.StatusOK {
		s.t.Fatalf("series of %s: %d", metric, code)
	}
	got := map[int64]float64{}
	for _, line := range answer.Series {
		for _, p := range line.Points {
			got[int64(p[0])] = p[2]
		}
	}
	if len(got) > 0 && answer.Step != "1s" {
		s.t.Fatalf("the step of %s is %s from %s to %s: %v", metric, answer.Step, stamp(from), stamp(to), got)
	}
	return got
}

// nodeOf gives the node with a name; ok is false when there is none.
func (s *server) nodeOf(name string) (found node, ok bool) {
	s.t.Helper()
	for _, n := range s.nodes() {
		if n.Name == name {
			return n, true
		}
	}
	return node{}, false
}

type event struct {
	ID, Kind, Actor, Subject, Name, Text string
}

// events gives the newest lines of the changelog.
func (s *server) events() []event {
	s.t.Helper()
	var list struct{ Items []event }
	if code := s.call("GET", "/v1/events", nil, &list); code != http.StatusOK {
		s.t.Fatalf("events: %d", code)
	}
	return list.Items
}

// eventOf gives the newest line of a kind about a subject, nil when there is none.
func (s *server) eventOf(kind, subject string) *event {
	s.t.Helper()
	for _, e := range s.events() {
		if e.Kind == kind && e.Subject == subject {
			return &e
		}
	}
	return nil
}

// last gives the newest value of a metric of a node; NaN when it has none.
func (s *server) last(node, metric string) float64 {
	s.t.Helper()
	var list struct {
		Items []struct {
			Metric string
			Last   *struct{ Value float64 }
		}
	}
	cursor := ""
	for {
		var page struct {
			Next string
		}
		var raw json.RawMessage
		if code := s.call("GET", "/v1/nodes/"+node+"/metrics?cursor="+url.QueryEscape(cursor), nil, &raw); code != http.StatusOK {
			s.t.Fatalf("metrics: %d: %s", code, raw)
		}
		list.Items = nil
		if err := errors.Join(json.Unmarshal(raw, &list), json.Unmarshal(raw, &page)); err != nil {
			s.t.Fatal(err)
		}
		for _, m := range list.Items {
			if m.Metric == metric && m.Last != nil {
				return m.Last.Value
			}
		}
		if cursor = page.Next; cursor == "" {
			return math.NaN()
		}
	}
}
