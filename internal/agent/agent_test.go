package agent_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"muster"
	"muster/internal/agent"
	"muster/internal/check"
	"muster/internal/wire"
)

// fakeServer welcomes one agent after another and keeps what they say.
type fakeServer struct {
	mu       sync.Mutex
	hellos   []wire.Hello
	metrics  map[string][]muster.Metric // by source
	frames   map[string][]wire.Frame
	goodbyes []muster.FarewellReason
	answers  []wire.Ran
	conn     *websocket.Conn
}

func (s *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(wire.MaxMessage)
	ctx := context.Background()
	send := func(m wire.Message) { _ = conn.Write(ctx, websocket.MessageBinary, wire.Marshal(nil, 1, 1, m)) }
	nonce := make([]byte, wire.NonceSize)
	rand.Read(nonce)
	send(&wire.Challenge{Nonce: nonce})
	sources := map[uint32][]muster.Metric{}
	for {
		_, b, err := conn.Read(ctx)
		if err != nil {
			return
		}
		env, err := wire.ParseEnvelope(b)
		if err != nil {
			return
		}
		m, err := wire.Parse(env)
		if err != nil {
			return
		}
		if hello, ok := m.(*wire.Hello); ok {
			send(&wire.Welcome{Node: muster.NewNodeID(), Account: "main"})
			s.mu.Lock()
			s.hellos, s.conn = append(s.hellos, *hello), conn
			s.mu.Unlock()
			continue
		}
		s.mu.Lock()
		switch m := m.(type) {
		case *wire.SchemaDef:
			sources[m.Number] = m.Metrics
		case *wire.Frames:
			for _, f := range m.Frames {
				s.frames[f.Source] = append(s.frames[f.Source], f)
				s.metrics[f.Source] = sources[f.Schema]
			}
		case *wire.Ran:
			s.answers = append(s.answers, *m)
		case *wire.Goodbye:
			s.goodbyes = append(s.goodbyes, m.Reason)
		}
		s.mu.Unlock()
		send(&wire.Ack{Through: env.Seq})
	}
}

func (s *fakeServer) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 2000 {
		s.mu.Lock()
		ok := is()
		s.mu.Unlock()
		if ok {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("waited in vain: %s", what)
}

// counting is a collector that counts how often it was asked.
type counting struct {
	source string
	metric *muster.Metric
	n      float64
	err    error
}

func (c *counting) Source() string { return c.source }

func (c *counting) Collect(_ context.Context, s *check.Sample) error {
	c.n++
	s.Put(c.metric, c.n)
	return c.err
}

// Facts makes it a Describer, of a machine that talks too much.
func (c *counting) Facts(context.Context) (check.Facts, error) {
	facts := check.Facts{Hostname: "told", Facts: map[string]string{"os.type": "linux", "long": strings.Repeat("ä", 5000)}}
	for i := range 200 {
		facts.Addresses = append(facts.Addresses, net.IPv4(10, 0, 0, byte(i)).String())
		facts.Facts["fact"+strings.Repeat("x", i)] = "v"
	}
	return facts, nil
}

func start(t *testing.T, options agent.Options) (stop func() error) {
	t.Helper()
	a, err := agent.New(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = stop() })
	return stop
}

func TestAnAgentMeasuresSendsAndTakesLeave(t *testing.T) {
	server := &fakeServer{metrics: map[string][]muster.Metric{}, frames: map[string][]wire.Frame{}}
	web := httptest.NewServer(server)
	defer web.Close()
	machine := &counting{source: muster.HostSource, metric: check.Gauge("a", "1"), err: errors.New("one part is away")}
	other := &counting{source: "muster", metric: check.Counter("b", "1")}
	options := agent.Options{
		Server: web.URL, Token: "t", State: t.TempDir(), Version: "1.0", Hostname: "called",
		Collectors: []check.Collector{machine, other}, Describer: machine,
	}
	stop := start(t, options)
	server.until(t, "frames of both sources", func() bool {
		return len(server.frames[muster.HostSource]) >= 4 && len(server.frames["muster"]) >= 4
	})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	server.until(t, "goodbye", func() bool { return len(server.goodbyes) == 1 })
	names := make([]string, 0, 16)
	for _, m := range server.metrics[muster.HostSource] {
		names = append(names, m.Name)
	}
	if names[0] != "a" || !slices.Contains(names, "muster.agent.cpu.time") || !slices.Contains(names, "muster.agent.spool.pending") {
		t.Errorf("metrics of the machine: %v", names)
	}
	if len(server.metrics["muster"]) != 1 {
		t.Errorf("metrics of the other source: %v", server.metrics["muster"])
	}
	hello := server.hellos[0]
	if hello.Hostname != "called" || hello.Version != "1.0" || hello.Period != agent.DefaultPeriod || len(hello.Addresses) != wire.MaxAddresses ||
		len(hello.Facts["long"]) > wire.MaxFactValue || hello.Facts["os.type"] != "linux" {
		t.Errorf("hello %+v", hello)
	}
	// It comes back as the same.
	options.Token = ""
	stop = start(t, options)
	server.until(t, "hello", func() bool { return len(server.hellos) == 2 })
	if string(server.hellos[1].Key) != string(hello.Key) || server.hellos[1].Token != "" {
		t.Error("it came back as another")
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestAnAgentWithinTheServerUsesItsListener(t *testing.T) {
	server := &fakeServer{metrics: map[string][]muster.Metric{}, frames: map[string][]wire.Frame{}}
	web := httptest.NewUnstartedServer(server)
	inside := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	web.Listener = inside
	web.Start()
	defer web.Close()
	stop := start(t, agent.Options{
		Server: "http://muster.internal", Token: "t", Dial: inside.dial,
		Collectors: []check.Collector{&counting{source: muster.HostSource, metric: check.Gauge("a", "1")}},
	})
	server.until(t, "a frame", func() bool { return len(server.frames[muster.HostSource]) > 0 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// pipeListener is a listener in memory.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func TestAnAgentThatCannotStartSaysWhy(t *testing.T) {
	dir := t.TempDir()
	collectors := []check.Collector{&counting{source: "x", metric: check.Gauge("a", "1")}}
	good := agent.Options{Server: "http://127.0.0.1:1", Token: "t", State: dir, Collectors: collectors}
	stop := start(t, good)
	for name, c := range map[string]struct {
		change func(*agent.Options)
		want   error
	}{
		"another agent":  {func(*agent.Options) {}, muster.ErrConflict},
		"period":         {func(o *agent.Options) { o.Period = time.Millisecond }, muster.ErrInvalid},
		"no collector":   {func(o *agent.Options) { o.Collectors = nil }, muster.ErrInvalid},
		"no server":      {func(o *agent.Options) { o.Server, o.State = "", t.TempDir() }, muster.ErrInvalid},
		"not enrolled":   {func(o *agent.Options) { o.Token, o.State = "", t.TempDir() }, muster.ErrDenied},
		"no directory":   {func(o *agent.Options) { o.State = "/dev/null/x" }, muster.ErrUnavailable},
		"long hostname":  {func(o *agent.Options) { o.Hostname = strings.Repeat("x", 1000) }, muster.ErrInvalid},
		"pin that is no": {func(o *agent.Options) { o.Pin, o.State = "zz", t.TempDir() }, muster.ErrInvalid},
	} {
		bad := good
		c.change(&bad)
		if _, err := agent.New(bad); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	stop = start(t, good) // the directory is free again
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestOrdersChangeThePeriod(t *testing.T) {
	server := &fakeServer{metrics: map[string][]muster.Metric{}, frames: map[string][]wire.Frame{}}
	web := httptest.NewServer(server)
	defer web.Close()
	stop := start(t, agent.Options{
		Server: web.URL, Token: "t", Period: time.Hour,
		Collectors: []check.Collector{&counting{source: "x", metric: check.Gauge("a", "1")}},
	})
	server.until(t, "connection", func() bool { return server.conn != nil })
	order := wire.Marshal(nil, 2, 1, &wire.Order{Period: time.Minute})
	if err := server.conn.Write(context.Background(), websocket.MessageBinary, order); err != nil {
		t.Fatal(err)
	}
	server.until(t, "frames", func() bool { return len(server.frames["x"]) >= 3 })
	server.mu.Lock()
	_ = server.conn.CloseNow()
	server.mu.Unlock()
	server.until(t, "the period in the next hello", func() bool {
		return len(server.hellos) == 2 && server.hellos[1].Period == time.Minute
	})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
