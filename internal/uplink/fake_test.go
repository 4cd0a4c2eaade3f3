package uplink_test

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"muster"
	"muster/internal/uplink"
	"muster/internal/wire"
)

// fakeServer is the other end: it welcomes, keeps what it gets and acknowledges it, as far as it is let.
type fakeServer struct {
	t    *testing.T
	http *httptest.Server

	mu       sync.Mutex
	frames   []wire.Frame // in the order of arrival, again and again included
	metrics  []int        // number of metrics of the schema of each
	hellos   []wire.Hello
	facts    []wire.Facts
	goodbyes []muster.FarewellReason
	acking   bool
	refusal  *wire.Refusal
	refuse   func(wire.Frame) string
	welcome  wire.Welcome
	conns    map[*websocket.Conn]bool
	changed  chan struct{}

	capability byte // of a server that is not of today
	numbers    []uint32
	answers    []wire.Ran
}

func newFakeServer(t *testing.T) *fakeServer {
	s := &fakeServer{t: t, acking: true, conns: map[*websocket.Conn]bool{}, changed: make(chan struct{}, 1)}
	s.welcome = wire.Welcome{Node: muster.NewNodeID(), Account: "main"}
	s.http = httptest.NewServer(s)
	t.Cleanup(func() {
		s.cut()
		s.http.Close()
	})
	return s
}

func (s *fakeServer) do(f func()) {
	s.mu.Lock()
	f()
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// until waits for a condition, which is called under the lock.
func (s *fakeServer) until(what string, is func() bool) {
	s.t.Helper()
	limit := time.After(20 * time.Second)
	for {
		s.mu.Lock()
		ok := is()
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-s.changed:
		case <-time.After(50 * time.Millisecond):
		case <-limit:
			s.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// cut breaks all connections without a word.
func (s *fakeServer) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		conn.CloseNow()
	}
}

func (s *fakeServer) push(m wire.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.Write(context.Background(), websocket.MessageBinary, wire.Marshal(nil, 99, 1, m))
	}
}

func (s *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != wire.Path {
		http.NotFound(w, r)
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	ctx := context.Background()
	send := func(m wire.Message) {
		b := wire.Marshal(nil, 1, 1, m)
		if s.capability != 0 {
			b[1] = s.capability
		}
		_ = conn.Write(ctx, websocket.MessageBinary, b)
	}
	nonce := make([]byte, wire.NonceSize)
	rand.Read(nonce)
	send(&wire.Challenge{Nonce: nonce})
	_, m, err := receive(ctx, conn)
	hello, ok := m.(*wire.Hello)
	if err != nil || !ok {
		return
	}
	if err := hello.Verify(nonce); err != nil {
		s.t.Errorf("hello: %v", err)
	}
	var refusal *wire.Refusal
	welcome := wire.Welcome{}
	s.do(func() {
		s.hellos = append(s.hellos, *hello)
		refusal, welcome = s.refusal, s.welcome
	})
	if refusal != nil {
		send(refusal)
		_ = conn.Close(websocket.StatusPolicyViolation, "refused")
		return
	}
	send(&welcome)
	s.do(func() { s.conns[conn] = true })
	defer s.do(func() { delete(s.conns, conn) })
	s.serve(ctx, conn, send)
}

func receive(ctx context.Context, conn *websocket.Conn) (wire.Envelope, wire.Message, error) {
	conn.SetReadLimit(wire.MaxMessage)
	_, b, err := conn.Read(ctx)
	if err != nil {
		return wire.Envelope{}, nil, err
	}
	env, err := wire.ParseEnvelope(b)
	if err != nil {
		return env, nil, err
	}
	m, err := wire.Parse(env)
	return env, m, err
}

func (s *fakeServer) serve(ctx context.Context, conn *websocket.Conn, send func(wire.Message)) {
	schemas := map[uint32]int{}
	for seq := uint64(2); ; seq++ {
		env, m, err := receive(ctx, conn)
		if err != nil {
			return
		}
		if env.Seq != seq {
			s.t.Errorf("seq %d after %d", env.Seq, seq-1)
		}
		acking := false
		ack := &wire.Ack{Through: env.Seq}
		s.do(func() {
			acking = s.acking
			switch m := m.(type) {
			case *wire.SchemaDef:
				schemas[m.Number] = len(m.Metrics)
				s.numbers = append(s.numbers, m.Number)
			case *wire.Frames:
				for i, f := range m.Frames {
					if n, known := schemas[f.Schema]; !known || n != len(f.Values) {
						s.t.Errorf("a frame of %d values for a schema of %d metrics (known: %t)", len(f.Values), n, known)
					}
					s.frames = append(s.frames, f)
					s.metrics = append(s.metrics, schemas[f.Schema])
					if s.refuse != nil {
						if why := s.refuse(f); why != "" {
							ack.Refused = append(ack.Refused, wire.Refused{Seq: env.Seq, Index: uint32(i), Reason: why})
						}
					}
				}
			case *wire.Facts:
				s.facts = append(s.facts, *m)
			case *wire.Ran:
				s.answers = append(s.answers, *m)
			case *wire.Goodbye:
				s.goodbyes = append(s.goodbyes, m.Reason)
			}
		})
		if acking {
			send(ack)
		}
	}
}

// distinct gives the times of the frames that arrived, each once, in the order of their first arrival.
func (s *fakeServer) distinct() (at []int64) {
	seen := map[int64]bool{}
	for _, f := range s.frames {
		if !seen[f.At] {
			seen[f.At] = true
			at = append(at, f.At)
		}
	}
	return at
}

// rig is an uplink with all its parts, over a directory.
type rig struct {
	t       *testing.T
	dir     string
	options uplink.Options
	uplink  *uplink.Uplink
	spool   *uplink.Spool
	stop    func() error
}

func newRig(t *testing.T, server string, change func(*uplink.Options)) *rig {
	r := &rig{t: t, dir: t.TempDir()}
	r.options = uplink.Options{
		Server: server, Token: "enrol_secret",
		Hello: func() wire.Hello { return wire.Hello{Hostname: "web-1", Period: time.Second} },
		Dial: func(ctx context.Context, n, a string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, n, a)
		},
	}
	if change != nil {
		change(&r.options)
	}
	r.start()
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// start opens everything from the directory, as a new process would.
func (r *rig) start() {
	r.t.Helper()
	identity, err := uplink.LoadIdentity(r.dir, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	if r.spool, err = uplink.OpenSpool(uplink.SpoolOptions{Dir: r.dir + "/spool"}); err != nil {
		r.t.Fatal(err)
	}
	r.options.Identity, r.options.Spool = identity, r.spool
	if r.uplink, err = uplink.New(r.options); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.uplink.Run(ctx) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
}

var schemas sync.Map

// schemaOf gives a schema of so many metrics.
func schemaOf(n int) *muster.Schema {
	if s, ok := schemas.Load(n); ok {
		return s.(*muster.Schema)
	}
	var metrics []muster.Metric
	for i := range n {
		metrics = append(metrics, muster.Metric{Name: "m" + string(rune('a'+i%26)) + string(rune('a'+i/26)), Kind: muster.Gauge})
	}
	s, err := muster.NewSchema(metrics)
	if err != nil {
		panic(err)
	}
	schemas.Store(n, s)
	return s
}

func frame(at int64, metrics int) uplink.Frame {
	values := make([]float64, metrics)
	for i := range values {
		values[i] = float64(at) + float64(i)/10
	}
	return uplink.Frame{Source: muster.HostSource, At: at, Schema: schemaOf(metrics), Values: values}
}

func (r *rig) add(from, to int64) {
	r.t.Helper()
	for at := from; at < to; at++ {
		if err := r.spool.Append(frame(at, 3+int(at/10)%3)); err != nil {
			r.t.Fatal(err)
		}
	}
}
