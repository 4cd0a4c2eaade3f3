package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"muster"
	"muster/internal/wire"
)

// bystander is a good agent that goes on sending on one connection while others misbehave.
type bystander struct {
	*peer
	first int64 // second of frame 0
	sent  atomic.Int64
	acked atomic.Int64
	quit  chan struct{}
	done  sync.WaitGroup
}

func (s *server) bystander(name, token string) *bystander {
	s.t.Helper()
	b := &bystander{peer: s.newPeer(name).enter(s, token), first: time.Now().Add(-10 * time.Hour).Unix(), quit: make(chan struct{})}
	b.tell(counting(1, "e2e.count"))
	b.done.Go(b.run)
	return b
}

// run sends a frame, waits for its acknowledgement, and so on.
func (b *bystander) run() {
	for n := int64(0); ; n++ {
		b.sent.Store(n + 1)
		err := b.link.send(&wire.Frames{Frames: []wire.Frame{b.frame(1, time.Unix(b.first+n, 0), float64(n))}})
		for err == nil {
			var m wire.Message
			m, err = b.receive()
			if a, ok := m.(*wire.Ack); ok {
				if len(a.Refused) > 0 {
					err = errors.New(a.Refused[0].Reason)
				}
				break
			} else if m != nil {
				err = fmt.Errorf("it got a %s", m.Kind())
			}
		}
		if err != nil {
			b.t.Errorf("the bystander %s was disturbed at frame %d: %v", b.name, n, err)
			return
		}
		b.acked.Store(n + 1)
		select {
		case <-b.quit:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// check stops it and reads back all that was acknowledged.
func (b *bystander) check(s *server) {
	s.t.Helper()
	close(b.quit)
	b.done.Wait()
	acked := b.acked.Load()
	if acked == 0 {
		s.t.Error("the bystander sent nothing: this proves nothing")
	}
	got := s.points(b.node, "e2e.count", time.Unix(b.first, 0), time.Unix(b.first+acked, 0))
	for n := range acked {
		if v, ok := got[b.first+n]; !ok || v != float64(n) {
			s.t.Fatalf("frame %d of %d acknowledged reads %v (there: %v)", n, acked, v, ok)
		}
	}
}

// rawSend sends bytes as they are.
func (p *peer) rawSend(kind websocket.MessageType, b []byte) {
	p.t.Helper()
	if err := p.conn.Write(p.ctx, kind, b); err != nil && !errors.Is(err, io.EOF) {
		p.t.Logf("%s: the connection was ended while it sent: %v", p.name, err)
	}
}

func (p *peer) raw(m wire.Message, seq uint64) []byte {
	return wire.Marshal(nil, seq, time.Now().UnixMilli(), m)
}

// TestBadMessagesAreRefused sends what no agent sends, each on a connection of its own: each is refused with
// words, and nobody else notices.
func TestBadMessagesAreRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	token := s.enroll(100).Token
	good := s.bystander("good", token)

	before := func(send func(p *peer, nonce []byte)) func(*peer) {
		return func(p *peer) {
			p.dial(s)
			challenge, _ := p.next().(*wire.Challenge)
			send(p, challenge.Nonce)
		}
	}
	inside := func(send func(p *peer)) func(*peer) {
		return func(p *peer) {
			p.enter(s, token)
			send(p)
		}
	}
	hello := func(p *peer, nonce []byte) *wire.Hello {
		h := &wire.Hello{Token: token, Hostname: p.name, Version: "e2e", Period: time.Second}
		h.Sign(p.key, nonce)
		return h
	}
	binary, text := websocket.MessageBinary, websocket.MessageText
	frames := func(n int) *wire.Frames {
		m := &wire.Frames{}
		for i := range n {
			m.Frames = append(m.Frames, wire.Frame{Source: muster.HostSource, Schema: 1, At: time.Now().UnixMilli() - int64(i), Values: []float64{1}})
		}
		return m
	}
	for name, c := range map[string]struct {
		send  func(*peer)
		code  wire.RefusalCode // empty: the connection ends without a word
		words string
	}{
		"garbage for a hello":   {before(func(p *peer, _ []byte) { p.rawSend(binary, []byte("\xff\xff\xff\xffhello")) }), wire.RefusalMalformed, "can't be read"},
		"an empty message":      {before(func(p *peer, _ []byte) { p.rawSend(binary, nil) }), wire.RefusalMalformed, "no kind"},
		"text for a hello":      {before(func(p *peer, _ []byte) { p.rawSend(text, []byte(`{"hello":1}`)) }), wire.RefusalMalformed, "binary"},
		"a truncated hello":     {before(func(p *peer, nonce []byte) { b := p.raw(hello(p, nonce), 1); p.rawSend(binary, b[:len(b)-10]) }), wire.RefusalMalformed, ""},
		"frames for a hello":    {before(func(p *peer, _ []byte) { p.rawSend(binary, p.raw(frames(1), 1)) }), wire.RefusalMalformed, "hello"},
		"a hello with number 7": {before(func(p *peer, nonce []byte) { p.rawSend(binary, p.raw(hello(p, nonce), 7)) }), wire.RefusalMalformed, "number 1"},
		"another nonce's hello": {before(func(p *peer, _ []byte) { p.rawSend(binary, p.raw(hello(p, make([]byte, wire.NonceSize)), 1)) }), wire.RefusalSignature, "signature"},
		"another's key": {before(func(p *peer, nonce []byte) {
			h := hello(p, nonce)
			h.Key = good.key[32:]
			p.rawSend(binary, p.raw(h, 1))
		}), wire.RefusalSignature, "signature"},
		"a hello of 64 KiB": {before(func(p *peer, nonce []byte) { p.rawSend(binary, make([]byte, wire.MaxGreeting+1)) }), "", ""},
		"too many facts": {before(func(p *peer, nonce []byte) {
			h := hello(p, nonce)
			h.Facts = manyFacts()
			p.rawSend(binary, p.raw(h, 1))
		}), wire.RefusalTooLarge, ""},
		"no token, nobody's key": {before(func(p *peer, nonce []byte) { h := hello(p, nonce); h.Token = ""; p.rawSend(binary, p.raw(h, 1)) }), wire.RefusalUnknown, "enrolment token"},
		"a token nobody made": {before(func(p *peer, nonce []byte) {
			h := hello(p, nonce)
			h.Token = "enroll_x"
			p.rawSend(binary, p.raw(h, 1))
		}), wire.RefusalToken, ""},
		"garbage":          {inside(func(p *peer) { p.rawSend(binary, []byte{0x2a, 0xff, 0x01}) }), wire.RefusalMalformed, ""},
		"text":             {inside(func(p *peer) { p.rawSend(text, []byte("hello")) }), wire.RefusalMalformed, "binary"},
		"truncated frames": {inside(func(p *peer) { b := p.raw(frames(3), 2); p.rawSend(binary, b[:len(b)-5]) }), wire.RefusalMalformed, ""},
		"a body of other bytes": {inside(func(p *peer) {
			p.rawSend(binary, append([]byte{8, 1, 16, 6, 24, 2, 32, 1, 42, 4}, 0xde, 0xad, 0xbe, 0xef))
		}), wire.RefusalMalformed, ""},
		"a message twice":      {inside(func(p *peer) { b := p.raw(counting(1, "e2e.x"), 2); p.rawSend(binary, b); p.rawSend(binary, b) }), wire.RefusalMalformed, "message 2 came after message 2"},
		"a message left out":   {inside(func(p *peer) { p.rawSend(binary, p.raw(counting(1, "e2e.x"), 3)) }), wire.RefusalMalformed, "message 3 came after message 1"},
		"a second hello":       {inside(func(p *peer) { p.rawSend(binary, p.raw(&wire.Hello{Key: p.key[32:]}, 2)) }), wire.RefusalMalformed, "hello"},
		"a server's message":   {inside(func(p *peer) { p.rawSend(binary, p.raw(&wire.Ack{Through: 9}, 2)) }), wire.RefusalMalformed, "ack"},
		"a message over 4 MiB": {inside(func(p *peer) { p.rawSend(binary, make([]byte, wire.MaxMessage+1)) }), "", ""},
		"1,001 frames in one":  {inside(func(p *peer) { p.rawSend(binary, p.raw(frames(wire.MaxFrames+1), 2)) }), wire.RefusalTooLarge, "1000"},
		"a text that is not UTF-8": {inside(func(p *peer) {
			p.rawSend(binary, p.raw(&wire.Facts{Facts: map[string]string{"os.type": "\xff\xfe"}}, 2))
		}), wire.RefusalMalformed, "UTF-8"},
	} {
		p := s.newPeer("bad")
		c.send(p)
		r := p.refusal()
		switch {
		case r == nil && c.code != "":
			t.Errorf("%s: the connection ended without a refusal", name)
		case r != nil && (r.Code != c.code || !strings.Contains(r.Reason, c.words) || r.Reason == "" || !r.Permanent):
			t.Errorf("%s: %s (permanent: %v): %s", name, r.Code, r.Permanent, r.Reason)
		}
	}
	s.ready()
	good.check(s)
}

func manyFacts() map[string]string {
	facts := map[string]string{}
	for i := range wire.MaxFacts + 1 {
		facts[fmt.Sprintf("fact.%d", i)] = "x"
	}
	return facts
}

// TestNotTheSubprotocol asks at the agents' door for something else.
func TestNotTheSubprotocol(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	for _, protocols := range [][]string{nil, {"muster.v999"}, {"mqtt", "chat"}} {
		_, res, err := websocket.Dial(t.Context(), strings.Replace(s.url, "http", "ws", 1)+wire.Path, &websocket.DialOptions{Subprotocols: protocols})
		if err == nil || res == nil || res.StatusCode != http.StatusUpgradeRequired {
			t.Errorf("%v: %v, %+v", protocols, err, res)
			continue
		}
		said, _ := io.ReadAll(res.Body)
		if !strings.Contains(string(said), wire.Subprotocol) {
			t.Errorf("%v: it says %q", protocols, said)
		}
	}
	res, err := http.Get(s.url + wire.Path)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode/100 != 4 {
		t.Errorf("a plain request: %s", res.Status)
	}
}

// TestBadFramesAreRefusedAlone sends good and bad frames in one message: the bad ones are refused with a
// reason, the good ones are durable.
func TestBadFramesAreRefusedAlone(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	p := s.newPeer("odd").enter(s, s.enroll(1).Token)
	p.tell(&wire.SchemaDef{Number: 1, Metrics: []muster.Metric{{Name: "e2e.a", Unit: "1", Kind: muster.Gauge}, {Name: "e2e.b", Unit: "1", Kind: muster.Gauge}}})
	p.tell(&wire.SchemaDef{Number: 2, Metrics: []muster.Metric{{Name: "e2e.twice", Unit: "1", Kind: muster.Gauge}, {Name: "e2e.twice", Unit: "1", Kind: muster.Gauge}}})
	p.tell(&wire.SchemaDef{Number: 3, Metrics: []muster.Metric{{Name: "", Unit: "1", Kind: muster.Gauge}}})
	p.tell(&wire.SchemaDef{Number: 4})
	at := time.Now().Truncate(time.Second).Add(-time.Minute)
	nameless, own := p.frame(1, at, 1, 1), p.frame(1, at, 1, 1)
	nameless.Source, own.Source = "", "muster.ingest"
	all := []struct {
		frame wire.Frame
		why   string // empty: it is good
	}{
		{p.frame(1, at, 1, 1), ""},
		{p.frame(1, at.Add(time.Hour), 2, 2), "future"},
		{p.frame(1, at.Add(math.MaxInt64/4), 2, 2), "future"},
		{p.frame(1, at.Add(-49*time.Hour), 3, 3), "older than 48h"},
		{wire.Frame{Source: muster.HostSource, Schema: 1, At: math.MinInt64 / 2, Values: []float64{1, 1}}, "older"},
		{p.frame(1, at.Add(-47*time.Hour), 4, 4), ""},
		{p.frame(1, at.Add(-47*time.Hour+time.Second), 4, 4), ""},
		{p.frame(1, at.Add(-47*time.Hour+2*time.Second), 4, 4), ""},
		{p.frame(1, at.Add(time.Second), math.NaN(), 5), ""},
		{p.frame(1, at.Add(2*time.Second), math.Inf(1), 6), ""},
		{p.frame(1, at.Add(3*time.Second), 7, math.Inf(-1)), ""},
		{p.frame(1, at.Add(4*time.Second), 8), "do not fit its schema"},
		{p.frame(1, at.Add(4*time.Second), 8, 8, 8), "do not fit its schema"},
		{p.frame(1, at.Add(4*time.Second)), "do not fit its schema"},
		{p.frame(99, at.Add(4*time.Second), 9, 9), "never defined"},
		{p.frame(2, at.Add(4*time.Second), 9, 9), "twice"},
		{p.frame(3, at.Add(4*time.Second), 9), "name"},
		{p.frame(4, at.Add(4*time.Second)), "schema"},
		{nameless, "source"},
		{own, "keeps for itself"},
		{p.frame(1, at.Add(5*time.Second), 10, 10), ""},
	}
	m := &wire.Frames{}
	for n := range 60 { // so that the period is plain
		m.Frames = append(m.Frames, p.frame(1, at.Add(time.Duration(n-60)*time.Second), 0, 0))
	}
	p.tell(m)
	p.ack()
	m = &wire.Frames{}
	for _, one := range all {
		m.Frames = append(m.Frames, one.frame)
	}
	p.tell(m)
	ack := p.ack()
	refused := map[int]string{}
	for _, r := range ack.Refused {
		refused[int(r.Index)] = r.Reason
	}
	for i, one := range all {
		if why, bad := refused[i]; bad != (one.why != "") || !strings.Contains(why, one.why) {
			t.Errorf("frame %d: refused %v with %q, want %q", i, bad, why, one.why)
		}
	}
	begin := at.Unix()
	since := func(metric string) map[int64]float64 {
		got := s.points(p.node, metric, at.Add(-time.Minute), at.Add(time.Minute))
		maps.DeleteFunc(got, func(second int64, _ float64) bool { return second < begin })
		return got
	}
	same(t, "e2e.a", since("e2e.a"), map[int64]float64{begin: 1, begin + 3: 7, begin + 5: 10})
	same(t, "e2e.b", since("e2e.b"), map[int64]float64{begin: 1, begin + 1: 5, begin + 2: 6, begin + 5: 10})
	old := at.Add(-47 * time.Hour)
	same(t, "e2e.a of two days ago", s.points(p.node, "e2e.a", old, old.Add(3*time.Second)), map[int64]float64{old.Unix(): 4, old.Unix() + 1: 4, old.Unix() + 2: 4})
}

func same(t *testing.T, what string, got, want map[int64]float64) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestReplayedFramesCountOnce sends the same frames again on the same and on another connection, with other
// values too: the first ones stand, and each is there once.
func TestReplayedFramesCountOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	token := s.enroll(1).Token
	p := s.newPeer("again")
	at := time.Now().Truncate(time.Second).Add(-time.Minute)
	for round, value := range []float64{1, 1, 5} {
		p.enter(s, token)
		p.tell(counting(1, "e2e.a"))
		for range 2 {
			p.tell(&wire.Frames{Frames: []wire.Frame{p.frame(1, at, value), p.frame(1, at.Add(time.Second), value)}})
			if ack := p.ack(); len(ack.Refused) > 0 {
				t.Fatalf("round %d: refused: %v", round, ack.Refused)
			}
		}
		p.conn.Close(websocket.StatusNormalClosure, "")
		if round == 1 {
			s.kill()
			s.start()
			s.ready()
		}
	}
	same(t, "values", s.points(p.node, "e2e.a", at, at.Add(2*time.Second)), map[int64]float64{at.Unix(): 1, at.Unix() + 1: 1})
	var answer struct {
		Series []struct{ Points [][]float64 }
	}
	q := fmt.Sprintf("/v1/series?metric=e2e.a&node=%s&from=%s&to=now&points=1000&fn=count", p.node, at.UTC().Format(time.RFC3339))
	s.call("GET", q, nil, &answer)
	count := 0.0
	for _, line := range answer.Series {
		for _, p := range line.Points {
			count += p[2]
		}
	}
	if count != 2 {
		t.Errorf("counted: %v in %v, want 2 values", count, answer)
	}
}

// TestFloodOfMetrics lets an agent send 100,000 different metrics: 20,000 are kept, the rest is dropped where
// everybody sees it, and nobody else is worse off.
func TestFloodOfMetrics(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	token := s.enroll(3).Token
	good := s.bystander("good", token)
	p := s.newPeer("flood").enter(s, token)
	const schemas, most = 20, 20_000
	at := time.Now().Truncate(time.Second).Add(-30 * time.Second)
	for n := range schemas {
		def := &wire.SchemaDef{Number: uint32(n + 1)}
		for i := range muster.MaxMetrics {
			def.Metrics = append(def.Metrics, muster.Metric{Name: fmt.Sprintf("e2e.flood.%d", n*muster.MaxMetrics+i), Unit: "1", Kind: muster.Gauge})
		}
		p.tell(def)
	}
	var dropped uint64
	for round := range 3 {
		for n := range schemas {
			values := make([]float64, muster.MaxMetrics)
			for i := range values {
				values[i] = float64(round)
			}
			f := p.frame(uint32(n+1), at.Add(time.Duration(round)*time.Second), values...)
			f.Source = fmt.Sprintf("flood-%d", n) // of one source only one frame is kept for an instant
			p.tell(&wire.Frames{Frames: []wire.Frame{f}})
			ack := p.ack()
			if len(ack.Refused) > 0 {
				t.Fatalf("refused: %v", ack.Refused)
			}
			dropped = ack.Dropped
		}
	}
	if dropped != schemas*muster.MaxMetrics-most {
		t.Errorf("the agent is told of %d dropped metrics, want %d", dropped, schemas*muster.MaxMetrics-most)
	}
	var one struct {
		Agent struct{ Dropped uint64 }
	}
	until(t, patience, "the node shows it", func() bool {
		s.call("GET", "/v1/nodes/"+p.node, nil, &one)
		return one.Agent.Dropped == dropped
	})
	if got := s.points(p.node, "e2e.flood.19999", at, at.Add(3*time.Second)); len(got) == 0 {
		t.Error("the last metric under the cap is not kept")
	}
	if got := s.points(p.node, "e2e.flood.20000", at, at.Add(3*time.Second)); len(got) > 0 {
		t.Error("the first metric over the cap is kept")
	}
	if text := s.get("/metrics"); !strings.Contains(text, fmt.Sprintf("muster_ingest_metrics_dropped_total %d", dropped)) {
		t.Error("the program's own measurements do not show it")
	}
	p.conn.Close(websocket.StatusNormalClosure, "")
	wide := s.newPeer("wide").enter(s, token)
	wide.tell(&wire.SchemaDef{Number: 1, Metrics: manyMetrics(100_000)})
	wide.tell(&wire.Frames{Frames: []wire.Frame{wide.frame(1, at, make([]float64, 100_000)...)}})
	if ack := wide.ack(); ack.Dropped != 95_000 || len(ack.Refused) > 0 {
		t.Errorf("of a schema of 100,000 metrics %d were dropped (%v), want 95,000", ack.Dropped, ack.Refused)
	}
	if v := s.last(wide.node, "muster.node.metrics_dropped"); v != 95_000 {
		t.Errorf("the node's own metric says %v dropped metrics", v)
	}
	good.check(s)
}

func manyMetrics(n int) []muster.Metric {
	list := make([]muster.Metric, n)
	for i := range list {
		list[i] = muster.Metric{Name: fmt.Sprintf("e2e.flood.%d", i), Unit: "1", Kind: muster.Gauge}
	}
	return list
}

// get reads a page as text.
func (s *server) get(path string) string {
	s.t.Helper()
	res, err := http.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// TestNoise opens many connections that send good messages with some bytes changed, cut or doubled, and hang
// up in the middle: the server lives, and a good agent does not notice.
func TestNoise(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	token := s.enroll(1000).Token
	good := s.bystander("good", token)
	var all sync.WaitGroup
	for range 8 {
		seed := rand.Uint64()
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, 1))
			for range 40 {
				s.noise(random, token)
			}
		})
	}
	all.Wait()
	s.ready()
	good.check(s)
}

// noise is one connection; whatever becomes of it is right.
func (s *server) noise(random *rand.Rand, token string) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, strings.Replace(s.url, "http", "ws", 1)+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		s.t.Errorf("dial: %v", err)
		return
	}
	defer conn.CloseNow()
	l := &link{ctx: ctx, conn: conn}
	m := newMachine(s, token, "noise")
	if random.IntN(2) == 0 && m.greet(l) != nil {
		return
	}
	good := [][]byte{
		wire.Marshal(nil, l.seq+1, time.Now().UnixMilli(), counting(1, "e2e.noise")),
		wire.Marshal(nil, l.seq+2, time.Now().UnixMilli(), &wire.Frames{Frames: []wire.Frame{{Source: muster.HostSource, Schema: 1, At: time.Now().UnixMilli(), Values: []float64{1}}}}),
		wire.Marshal(nil, l.seq+3, time.Now().UnixMilli(), &wire.Facts{Facts: map[string]string{"os.type": "linux"}, Addresses: []string{"192.0.2.1"}}),
		wire.Marshal(nil, l.seq+4, time.Now().UnixMilli(), &wire.Goodbye{Reason: muster.FarewellStop}),
	}
	for _, b := range good {
		for range random.IntN(4) {
			switch at := random.IntN(len(b)); random.IntN(3) {
			case 0:
				b[at] ^= byte(1 << random.IntN(8))
			case 1:
				b = b[:at+1]
			case 2:
				b = append(b, b[at:]...)
			}
		}
		if conn.Write(ctx, websocket.MessageBinary, b) != nil {
			return
		}
	}
	if random.IntN(2) == 0 {
		conn.Close(websocket.StatusNormalClosure, "")
	}
}
