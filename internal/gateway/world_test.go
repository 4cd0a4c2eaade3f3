package gateway_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"muster"
	"muster/internal/gateway"
	"muster/internal/ingest"
	"muster/internal/inventory"
	"muster/internal/telemetry"
	"muster/internal/wire"
)

// fakeRoster knows agents by their keys and enrols those with the token "good".
type fakeRoster struct {
	mu        sync.Mutex
	known     map[string]inventory.Identity
	err       error // of Identify, when set
	connected map[muster.NodeID]int
	sightings []inventory.Sighting
	facts     []map[string]string
	left      []muster.FarewellReason
	doubles   []inventory.Sighting
}

func (r *fakeRoster) Identify(_ context.Context, key []byte) (inventory.Identity, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return inventory.Identity{}, r.err
	}
	id, ok := r.known[string(key)]
	if !ok {
		return id, fmt.Errorf("fake: %w", muster.ErrNotFound)
	}
	return id, nil
}

func (r *fakeRoster) Enroll(_ context.Context, s inventory.Sighting) (inventory.Identity, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.Token != "good" {
		return inventory.Identity{}, fmt.Errorf("fake: %w: the enrolment token is %s", muster.ErrDenied, s.Token)
	}
	id := inventory.Identity{Account: muster.NewAccountID(), AccountName: "acme", Node: muster.NewNodeID(), Name: s.Hostname}
	r.known[string(s.Key)] = id
	return id, nil
}

func (r *fakeRoster) Connected(_ context.Context, id inventory.Identity, s inventory.Sighting) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.connected[id.Node]++
	if r.connected[id.Node] != 1 {
		panic("two connections of one node at a time")
	}
	r.sightings = append(r.sightings, s)
	return nil
}

func (r *fakeRoster) Facts(_ context.Context, _ inventory.Identity, facts map[string]string, _ []string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.facts = append(r.facts, facts)
	return nil
}

func (r *fakeRoster) Left(_ context.Context, id inventory.Identity, reason muster.FarewellReason) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.connected[id.Node]--
	r.left = append(r.left, reason)
	return nil
}

func (r *fakeRoster) duplicate(_ inventory.Identity, s inventory.Sighting) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doubles = append(r.doubles, s)
}

func (r *fakeRoster) here() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, c := range r.connected {
		n += c
	}
	return n
}

// fakeStore is what the real intake of these tests writes to.
type fakeStore struct {
	mu      sync.Mutex
	err     error
	gate    chan struct{} // when set, Append waits for it
	frames  []*muster.Frame
	appends int
}

func (s *fakeStore) Append(ctx context.Context, frames []*muster.Frame) error {
	s.mu.Lock()
	gate := s.gate
	s.appends++
	s.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	for _, f := range frames {
		if f.Source != ingest.SelfSource {
			s.frames = append(s.frames, f)
		}
	}
	return nil
}

func (s *fakeStore) set(err error, gate chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.gate = err, gate
}

func (s *fakeStore) stored() []*muster.Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*muster.Frame(nil), s.frames...)
}

// world is a gateway on a loopback port.
type world struct {
	t         testing.TB
	roster    *fakeRoster
	store     *fakeStore
	telemetry *telemetry.Set
	gate      *gateway.Gateway
	addr      string
	stop      func() // ends Run and waits for it
}

func newWorld(t testing.TB, o gateway.Options) *world {
	t.Helper()
	w := &world{
		t: t, store: &fakeStore{}, telemetry: telemetry.New(),
		roster: &fakeRoster{known: map[string]inventory.Identity{}, connected: map[muster.NodeID]int{}},
	}
	intake, err := ingest.New(ingest.Options{Store: w.store})
	if err != nil {
		t.Fatal(err)
	}
	o.Roster, o.Intake, o.Duplicate, o.Telemetry, o.Logger = w.roster, intake, w.roster.duplicate, w.telemetry, slog.New(slog.DiscardHandler)
	if w.gate, err = gateway.New(o); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.addr = listener.Addr().String()
	mux := http.NewServeMux()
	mux.Handle(wire.Path, w.gate)
	server := &http.Server{Handler: mux}
	go server.Serve(listener)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = w.gate.Run(ctx) }()
	w.stop = func() { cancel(); <-ended }
	t.Cleanup(func() { w.stop(); server.Close() })
	return w
}

// wait asks until something is so.
func (w *world) wait(what string, so func() bool) {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (w *world) count(name string) float64 {
	var v float64
	w.telemetry.Each(func(n string, labels []muster.Attr, _ muster.MetricKind, value float64) {
		if n == name || len(labels) == 1 && n+":"+labels[0].Value == name {
			v = value
		}
	})
	return v
}

// agent is a client by hand.
type agent struct {
	t    testing.TB
	ws   *websocket.Conn
	key  ed25519.PrivateKey
	seq  uint64
	sent int64 // of the envelopes; the clock's when zero
}

func newKey() ed25519.PrivateKey {
	_, key, _ := ed25519.GenerateKey(nil)
	return key
}

// dial connects, once there is room, and reads the challenge.
func (w *world) dial(key ed25519.PrivateKey) (*agent, []byte) {
	w.t.Helper()
	var ws *websocket.Conn
	w.wait("a connection", func() bool {
		c, response, err := websocket.Dial(w.t.Context(), "ws://"+w.addr+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
		if err != nil && (response == nil || response.StatusCode != http.StatusServiceUnavailable) {
			w.t.Fatal(err)
		}
		ws = c
		return err == nil
	})
	ws.SetReadLimit(wire.MaxMessage)
	w.t.Cleanup(func() { ws.CloseNow() })
	a := &agent{t: w.t, ws: ws, key: key}
	return a, a.next().(*wire.Challenge).Nonce
}

// connect is dial and a good hello.
func (w *world) connect(key ed25519.PrivateKey, token string) *agent {
	w.t.Helper()
	a, nonce := w.dial(key)
	a.hello(nonce, token)
	if _, ok := a.next().(*wire.Welcome); !ok {
		w.t.Fatal("not welcome")
	}
	return a
}

func (a *agent) hello(nonce []byte, token string) {
	a.t.Helper()
	h := &wire.Hello{Token: token, Hostname: "web", Version: "1.0", Period: 10 * time.Second, Facts: map[string]string{"os.type": "linux"}}
	h.Sign(a.key, nonce)
	a.send(h)
}

func (a *agent) marshal(m wire.Message) []byte {
	a.seq++
	sent := a.sent
	if sent == 0 {
		sent = time.Now().UnixMilli()
	}
	return wire.Marshal(nil, a.seq, sent, m)
}

func (a *agent) send(m wire.Message) {
	a.t.Helper()
	a.raw(a.marshal(m))
}

func (a *agent) raw(b []byte) {
	a.t.Helper()
	if err := a.ws.Write(context.Background(), websocket.MessageBinary, b); err != nil {
		a.t.Fatalf("send: %v", err)
	}
}

// next reads a message; nil when the connection ended.
func (a *agent) next() wire.Message {
	a.t.Helper()
	m, err := a.read()
	if err != nil {
		a.t.Fatalf("read: %v", err)
	}
	return m
}

func (a *agent) read() (wire.Message, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, b, err := a.ws.Read(ctx)
	if err != nil {
		return nil, err
	}
	e, err := wire.ParseEnvelope(b)
	if err != nil {
		return nil, err
	}
	return wire.Parse(e)
}

func (a *agent) ack() *wire.Ack {
	a.t.Helper()
	m := a.next()
	ack, ok := m.(*wire.Ack)
	if !ok {
		a.t.Fatalf("got %T %+v, want an ack", m, m)
	}
	return ack
}

// refused reads a refusal of the code and then the close with the status.
func (a *agent) refused(code wire.RefusalCode, status websocket.StatusCode) *wire.Refusal {
	a.t.Helper()
	m := a.next()
	r, ok := m.(*wire.Refusal)
	if !ok || r.Code != code || r.Reason == "" {
		a.t.Fatalf("got %T %+v, want a refusal %s", m, m, code)
	}
	_, err := a.read()
	if got := websocket.CloseStatus(err); got != status {
		a.t.Errorf("closed with %v (%v), want %v", got, err, status)
	}
	return r
}

func metrics(n int) []muster.Metric {
	out := make([]muster.Metric, n)
	for i := range out {
		out[i] = muster.Metric{Name: fmt.Sprintf("metric.%d", i), Unit: "1", Kind: muster.Gauge}
	}
	return out
}

func frames(number uint32, metrics int, ats ...int64) *wire.Frames {
	f := new(wire.Frames)
	for _, at := range ats {
		values := make([]float64, metrics)
		for i := range values {
			values[i] = float64(at%1000) + float64(i)
		}
		f.Frames = append(f.Frames, wire.Frame{Source: muster.HostSource, Schema: number, At: at, Values: values})
	}
	return f
}
