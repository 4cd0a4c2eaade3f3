package gateway_test

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"muster"
	"muster/internal/gateway"
	"muster/internal/ingest"
	"muster/internal/inventory"
	"muster/internal/wire"
)

// nowhere takes everything at once.
type nowhere struct{ samples atomic.Int64 }

func (s *nowhere) Append(_ context.Context, frames []*muster.Frame) error {
	for _, f := range frames {
		s.samples.Add(int64(len(f.Values)))
	}
	return nil
}

// anyone is a roster that knows every key.
type anyone struct{ account muster.AccountID }

func (r anyone) Identify(_ context.Context, key []byte) (inventory.Identity, error) {
	return inventory.Identity{Account: r.account, AccountName: "a", Node: muster.NodeID(key[:16]), Name: "n"}, nil
}
func (r anyone) Enroll(ctx context.Context, s inventory.Sighting) (inventory.Identity, error) {
	return r.Identify(ctx, s.Key)
}
func (anyone) Connected(context.Context, inventory.Identity, inventory.Sighting) error { return nil }
func (anyone) Facts(context.Context, inventory.Identity, map[string]string, []string) error {
	return nil
}
func (anyone) Left(context.Context, inventory.Identity, muster.FarewellReason) error { return nil }

// thin is a WebSocket client that keeps nothing but its socket, so that what a benchmark measures is the
// server's. Its mask is zero, which is allowed.
type thin struct {
	net.Conn
	seq uint64
}

func dialThin(b *testing.B, addr string, key ed25519.PrivateKey) *thin {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	_, _ = io.WriteString(c, "GET "+wire.Path+" HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: "+wire.Subprotocol+"\r\n\r\n")
	t := &thin{Conn: c}
	for line, one := "", make([]byte, 1); line != "\r\n"; { // byte by byte: what follows is the challenge's
		line = ""
		for len(line) == 0 || line[len(line)-1] != '\n' {
			if _, err := c.Read(one); err != nil {
				b.Fatal(err)
			}
			line += string(one)
		}
	}
	challenge := t.read(b).(*wire.Challenge)
	h := &wire.Hello{Hostname: "x"}
	h.Sign(key, challenge.Nonce)
	t.send(b, h)
	if _, ok := t.read(b).(*wire.Welcome); !ok {
		b.Fatal("not welcome")
	}
	return t
}

func (t *thin) send(b *testing.B, m wire.Message) {
	t.seq++
	body := wire.Marshal(nil, t.seq, time.Now().UnixMilli(), m)
	frame := []byte{0x82, 0x80 | 127}
	frame = binary.BigEndian.AppendUint64(frame, uint64(len(body)))
	frame = append(frame, 0, 0, 0, 0)
	if _, err := t.Write(append(frame, body...)); err != nil {
		b.Fatal(err)
	}
}

func (t *thin) read(b *testing.B) wire.Message {
	var head [2]byte
	if _, err := io.ReadFull(t, head[:]); err != nil {
		b.Fatal(err)
	}
	size := int(head[1] & 0x7f)
	if size == 126 {
		if _, err := io.ReadFull(t, head[:]); err != nil {
			b.Fatal(err)
		}
		size = int(binary.BigEndian.Uint16(head[:]))
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(t, body); err != nil {
		b.Fatal(err)
	}
	e, err := wire.ParseEnvelope(body)
	if err != nil {
		b.Fatal(err)
	}
	m, err := wire.Parse(e)
	if err != nil {
		b.Fatal(err)
	}
	return m
}

func benchGateway(b *testing.B) (addr string, store *nowhere) {
	store = new(nowhere)
	intake, err := ingest.New(ingest.Options{Store: store})
	if err != nil {
		b.Fatal(err)
	}
	g, err := gateway.New(gateway.Options{Roster: anyone{muster.NewAccountID()}, Intake: intake, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: g}
	go server.Serve(listener)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = g.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-ended; server.Close() })
	return listener.Addr().String(), store
}

// BenchmarkConnectionMemory reports the heap and stack that an open connection costs, the intake's part
// and the client's socket included, after each sent a frame of 100 metrics.
func BenchmarkConnectionMemory(b *testing.B) {
	const connections = 2000
	addr, _ := benchGateway(b)
	def := &wire.SchemaDef{Number: 1, Metrics: metrics(100)}
	usage := func() (heap, stack uint64) {
		var m runtime.MemStats
		for range 3 {
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, m.StackInuse
	}
	for b.Loop() {
		heap, stack := usage()
		var open []*thin
		for range connections {
			t := dialThin(b, addr, newKey())
			t.send(b, def)
			t.send(b, frames(1, 100, time.Now().UnixMilli()))
			t.read(b)
			open = append(open, t)
		}
		heap2, stack2 := usage()
		b.ReportMetric(float64(heap2-heap)/connections, "heap-B/conn")
		b.ReportMetric(float64(stack2-stack)/connections, "stack-B/conn")
		for _, t := range open {
			t.Close()
		}
	}
}

// BenchmarkFrames sends messages of one frame of 100 metrics from many connections, each waiting for its
// acknowledgement: the wire, the gateway and the intake without a store, and the client.
func BenchmarkFrames(b *testing.B) {
	addr, store := benchGateway(b)
	def := &wire.SchemaDef{Number: 1, Metrics: metrics(100)}
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		t := dialThin(b, addr, newKey())
		defer t.Close()
		t.send(b, def)
		at := time.Now().UnixMilli()
		for pb.Next() {
			at++
			t.send(b, frames(1, 100, at))
			t.read(b)
		}
	})
	b.ReportMetric(float64(store.samples.Load())/b.Elapsed().Seconds(), "samples/s")
}
