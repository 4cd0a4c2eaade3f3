package gateway_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"muster"
	"muster/internal/gateway"
	"muster/internal/ingest"
	"muster/internal/wire"
)

func TestFramesAreAcknowledgedWhenDurable(t *testing.T) {
	w := newWorld(t, gateway.Options{})
	a := w.connect(newKey(), "good")
	a.send(&wire.SchemaDef{Number: 7, Metrics: metrics(3)})
	gate := make(chan struct{})
	w.store.set(nil, gate)
	now := time.Now().UnixMilli()
	a.send(frames(7, 3, now-2000, now-1000, now))
	w.wait("the frames to reach the store", func() bool { w.store.mu.Lock(); defer w.store.mu.Unlock(); return w.store.appends == 1 })
	if n := len(w.store.stored()); n != 0 {
		t.Fatal("stored too early")
	}
	close(gate)
	if ack := a.ack(); ack.Through != 3 || len(ack.Refused) != 0 || ack.Dropped != 0 {
		t.Errorf("%+v", ack)
	}
	got := w.store.stored()
	if len(got) != 3 || w.store.appends != 1 {
		t.Fatalf("%d frames in %d appends, want 3 in one", len(got), w.store.appends)
	}
	if f := got[2]; f.At != now || f.Source != muster.HostSource || len(f.Values) != 3 || f.Schema.Metrics[2].Name != "metric.2" || f.Account.IsZero() || f.Node.IsZero() {
		t.Errorf("stored %+v", f)
	}
}

func TestOrderIsKept(t *testing.T) {
	w := newWorld(t, gateway.Options{})
	a := w.connect(newKey(), "good")
	now := time.Now().UnixMilli()
	const messages = 50
	for i := range messages {
		a.send(&wire.SchemaDef{Number: 1, Metrics: metrics(i + 1)}) // the same number means something else each time
		a.send(frames(1, i+1, now+int64(i)))
	}
	for i := range messages {
		if ack := a.ack(); ack.Through != uint64(3+2*i) || len(ack.Refused) != 0 {
			t.Fatalf("ack %d: %+v", i, ack)
		}
	}
	for i, f := range w.store.stored() {
		if f.At != now+int64(i) || len(f.Schema.Metrics) != i+1 || len(f.Values) != i+1 {
			t.Fatalf("frame %d: at %d with %d metrics", i, f.At-now, len(f.Schema.Metrics))
		}
	}
}

func TestWhatAgentsSay(t *testing.T) {
	w := newWorld(t, gateway.Options{Endpoints: func() []string { return []string{"wss://a.example"} }})
	key := newKey()
	a, nonce := w.dial(key)
	a.hello(nonce, "good")
	welcome := a.next().(*wire.Welcome)
	id := w.roster.known[string(key.Public().(ed25519.PublicKey))]
	if welcome.Node != id.Node || welcome.Account != "acme" || welcome.Endpoints[0] != "wss://a.example" {
		t.Errorf("%+v", welcome)
	}
	a.send(&wire.Facts{Facts: map[string]string{"os.version": "6.2"}})
	a.send(&wire.Goodbye{Reason: muster.FarewellShutdown})
	if ack := a.ack(); ack.Through != 3 {
		t.Errorf("%+v", ack)
	}
	a.ws.Close(websocket.StatusNormalClosure, "")
	w.wait("the farewell", func() bool { return w.roster.here() == 0 })
	w.roster.mu.Lock()
	defer w.roster.mu.Unlock()
	s := w.roster.sightings[0]
	if s.Hostname != "web" || s.Version != "1.0" || s.Facts["os.type"] != "linux" || s.Remote == "" {
		t.Errorf("sighting %+v", s)
	}
	if len(w.roster.facts) != 1 || w.roster.facts[0]["os.version"] != "6.2" || w.roster.left[0] != muster.FarewellShutdown {
		t.Errorf("facts %v, left %v", w.roster.facts, w.roster.left)
	}
}

func TestWhoIsNotLetIn(t *testing.T) {
	type test struct {
		do        func(w *world, a *agent, nonce []byte)
		code      wire.RefusalCode
		status    websocket.StatusCode
		reason    string
		permanent bool
	}
	for name, c := range map[string]test{
		"unknown identity": {func(_ *world, a *agent, nonce []byte) { a.hello(nonce, "") },
			wire.RefusalUnknown, websocket.StatusPolicyViolation, "enrolment token", true},
		"unknown token": {func(_ *world, a *agent, nonce []byte) { a.hello(nonce, "unknown") },
			wire.RefusalToken, websocket.StatusPolicyViolation, "the enrolment token is unknown", true},
		"used token": {func(_ *world, a *agent, nonce []byte) { a.hello(nonce, "used") },
			wire.RefusalToken, websocket.StatusPolicyViolation, "the enrolment token is used", true},
		"expired token": {func(_ *world, a *agent, nonce []byte) { a.hello(nonce, "expired") },
			wire.RefusalToken, websocket.StatusPolicyViolation, "the enrolment token is expired", true},
		"another connection's nonce": {func(w *world, a *agent, _ []byte) { _, other := w.dial(newKey()); a.hello(other, "good") },
			wire.RefusalSignature, websocket.StatusPolicyViolation, "signature", true},
		"a stolen key": {func(_ *world, a *agent, nonce []byte) {
			h := &wire.Hello{Token: "good"}
			h.Sign(a.key, nonce)
			h.Key = newKey().Public().(ed25519.PublicKey)
			a.send(h)
		}, wire.RefusalSignature, websocket.StatusPolicyViolation, "signature", true},
		"store away": {func(w *world, a *agent, nonce []byte) {
			w.roster.mu.Lock()
			w.roster.err = fmt.Errorf("away: %w", muster.ErrUnavailable)
			w.roster.mu.Unlock()
			a.hello(nonce, "good")
		}, wire.RefusalUnavailable, websocket.StatusTryAgainLater, "at the moment", false},
		"not a hello": {func(_ *world, a *agent, _ []byte) { a.send(&wire.Goodbye{}) },
			wire.RefusalMalformed, websocket.StatusProtocolError, "not goodbye", true},
		"garbage": {func(_ *world, a *agent, _ []byte) { a.raw([]byte("GET / HTTP/1.1")) },
			wire.RefusalMalformed, websocket.StatusProtocolError, "can't be read", true},
		"truncated": {func(_ *world, a *agent, nonce []byte) {
			h := &wire.Hello{Token: "good"}
			h.Sign(a.key, nonce)
			b := a.marshal(h)
			a.raw(b[:len(b)-5])
		}, wire.RefusalMalformed, websocket.StatusProtocolError, "can't be read", true},
		"text": {func(_ *world, a *agent, nonce []byte) {
			_ = a.ws.Write(context.Background(), websocket.MessageText, []byte("{}"))
		}, wire.RefusalMalformed, websocket.StatusProtocolError, "no binary", true},
		"without a capability": {func(_ *world, a *agent, nonce []byte) {
			h := &wire.Hello{Token: "good"}
			h.Sign(a.key, nonce)
			a.raw(a.marshal(h)[2:])
		}, wire.RefusalVersion, websocket.StatusPolicyViolation, "capable", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, gateway.Options{})
			a, nonce := w.dial(newKey())
			a.t = t
			c.do(w, a, nonce)
			r := a.refused(c.code, c.status)
			if !strings.Contains(r.Reason, c.reason) || r.Permanent != c.permanent || !c.permanent && r.RetryAfter == 0 {
				t.Errorf("%+v", r)
			}
			if w.count("muster_gateway_refusals_total:"+string(c.code)) != 1 {
				t.Error("it was not counted")
			}
			if w.roster.here() != 0 {
				t.Error("it was let in")
			}
		})
	}
}

func TestANewerAgentIsLetIn(t *testing.T) {
	w := newWorld(t, gateway.Options{})
	a, nonce := w.dial(newKey())
	h := &wire.Hello{Token: "good"}
	h.Sign(a.key, nonce)
	b := a.marshal(h)
	b[1] = 99 // its capability
	a.raw(b)
	if _, ok := a.next().(*wire.Welcome); !ok {
		t.Fatal("not welcome")
	}
	b = a.marshal(&wire.Goodbye{})
	b[3] = 100 // a kind of the future
	a.raw(b)
	a.send(&wire.Goodbye{})
	if ack := a.ack(); ack.Through != 3 {
		t.Errorf("%+v", ack)
	}
}

func TestOnlyOurSubprotocol(t *testing.T) {
	w := newWorld(t, gateway.Options{})
	for _, offered := range [][]string{nil, {"muster.v2"}} {
		_, response, err := websocket.Dial(t.Context(), "ws://"+w.addr+wire.Path, &websocket.DialOptions{Subprotocols: offered})
		if err == nil || response.StatusCode != http.StatusUpgradeRequired {
			t.Errorf("%v: %v", offered, err)
		}
	}
	response, err := http.Get("http://" + w.addr + wire.Path)
	if err != nil || response.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("a browser: %v %v", response, err)
	}
}

func TestBadMessagesEndTheConnection(t *testing.T) {
	now := time.Now().UnixMilli()
	for name, c := range map[string]struct {
		do     func(a *agent)
		code   wire.RefusalCode
		status websocket.StatusCode
	}{
		"garbage":       {func(a *agent) { a.raw([]byte{0xff, 0xff, 0xff}) }, wire.RefusalMalformed, websocket.StatusProtocolError},
		"empty":         {func(a *agent) { a.raw(nil) }, wire.RefusalMalformed, websocket.StatusProtocolError},
		"truncated":     {func(a *agent) { b := a.marshal(frames(1, 3, now)); a.raw(b[:len(b)-3]) }, wire.RefusalMalformed, websocket.StatusProtocolError},
		"replayed":      {func(a *agent) { a.seq--; a.send(frames(1, 3, now)) }, wire.RefusalMalformed, websocket.StatusProtocolError},
		"skipped":       {func(a *agent) { a.seq++; a.send(frames(1, 3, now)) }, wire.RefusalMalformed, websocket.StatusProtocolError},
		"second hello":  {func(a *agent) { a.send(&wire.Hello{}) }, wire.RefusalMalformed, websocket.StatusProtocolError},
		"server's kind": {func(a *agent) { a.send(&wire.Ack{Through: 1}) }, wire.RefusalMalformed, websocket.StatusProtocolError},
		"many frames":   {func(a *agent) { a.send(frames(1, 0, make([]int64, wire.MaxFrames+1)...)) }, wire.RefusalTooLarge, websocket.StatusMessageTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, gateway.Options{})
			key := newKey()
			a := w.connect(key, "good")
			a.send(&wire.SchemaDef{Number: 1, Metrics: metrics(3)})
			a.send(frames(1, 3, now))
			a.ack()
			c.do(a)
			a.refused(c.code, c.status)
			if w.count("muster_gateway_refusals_total:"+string(c.code)) != 1 {
				t.Error("it was not counted")
			}
			if n := len(w.store.stored()); n != 1 {
				t.Errorf("%d frames are stored, want the acknowledged one", n)
			}
			w.wait("the place to be free", func() bool { return w.roster.here() == 0 })
			w.connect(key, "")
		})
	}
}

func TestOversized(t *testing.T) {
	w := newWorld(t, gateway.Options{})
	a := w.connect(newKey(), "good")
	a.ws.Write(context.Background(), websocket.MessageBinary, make([]byte, wire.MaxMessage+100))
	if _, err := a.read(); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("%v", err)
	}
	before, nonce := w.dial(newKey())
	_ = nonce
	before.ws.Write(context.Background(), websocket.MessageBinary, make([]byte, wire.MaxGreeting+100))
	if _, err := before.read(); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("before the welcome: %v", err)
	}
	w.wait("both to be counted", func() bool { return w.count("muster_gateway_refusals_total:too_large") == 2 })
}

func TestFramesThatCanNotBeTakenAreRefusedOneByOne(t *testing.T) {
	w := newWorld(t, gateway.Options{})
	a := w.connect(newKey(), "good")
	now := time.Now().UnixMilli()
	a.send(&wire.SchemaDef{Number: 1, Metrics: metrics(3)})
	a.send(&wire.SchemaDef{Number: 2, Metrics: append(metrics(2), metrics(1)...)}) // a metric twice
	m := frames(1, 3, now, now+1, now+10*60_000, now+2, now+3, now-72*3600_000, now+4)
	m.Frames[1].Schema = 9 // never defined
	m.Frames[3].Schema = 2
	m.Frames[6].Values = m.Frames[6].Values[:2]
	m.Frames[0].Values[1] = math.Inf(1)
	a.send(m)
	ack := a.ack()
	reasons := map[uint32]string{1: "never defined", 2: "future", 3: "appears twice", 5: "older", 6: "do not fit"}
	if ack.Through != 4 || len(ack.Refused) != len(reasons) {
		t.Fatalf("%+v", ack)
	}
	for _, r := range ack.Refused {
		if want, ok := reasons[r.Index]; !ok || r.Seq != 4 || !strings.Contains(r.Reason, want) {
			t.Errorf("%+v, want %q", r, want)
		}
	}
	if ack.Dropped != 3 {
		t.Errorf("dropped %d metrics, want the 3 of the bad schema", ack.Dropped)
	}
	if got := w.store.stored(); len(got) != 2 || got[0].At != now || got[1].At != now+3 || !math.IsNaN(got[0].Values[1]) {
		t.Errorf("stored %d", len(got))
	}
}

func TestAHundredThousandMetrics(t *testing.T) {
	w := newWorld(t, gateway.Options{})
	a := w.connect(newKey(), "good")
	now := time.Now().UnixMilli()
	all := metrics(100_000)
	a.send(&wire.SchemaDef{Number: 1, Metrics: all[:40_000]}) // within one message, 35,000 over the cap
	a.send(frames(1, 40_000, now))
	if ack := a.ack(); ack.Dropped != 35_000 || len(ack.Refused) != 0 {
		t.Errorf("one wide schema: dropped %d, refused %+v", ack.Dropped, ack.Refused)
	}
	for i := range uint32(20) { // twenty of the full width
		a.send(&wire.SchemaDef{Number: 2 + i, Metrics: all[i*5000 : (i+1)*5000]})
		a.send(frames(2+i, 5000, now+int64(i)+1))
		ack := a.ack()
		if i == 19 && (ack.Dropped < 35_000+75_000 || ack.Dropped > 35_000+85_000) {
			t.Errorf("many schemas: dropped %d", ack.Dropped)
		}
	}
	series := map[string]bool{}
	for _, f := range w.store.stored() {
		for i := range f.Schema.Metrics {
			series[f.Schema.Metrics[i].Name] = true
		}
	}
	if len(series) != 20_000 {
		t.Errorf("%d series were stored", len(series))
	}
}

func TestTooManySchemasOnOneConnection(t *testing.T) {
	w := newWorld(t, gateway.Options{})
	a := w.connect(newKey(), "good")
	now := time.Now().UnixMilli()
	for i := range uint32(wire.MaxSchemas + 1) {
		a.send(&wire.SchemaDef{Number: i, Metrics: metrics(1)})
	}
	a.send(frames(wire.MaxSchemas, 1, now))
	if ack := a.ack(); len(ack.Refused) != 1 || !strings.Contains(ack.Refused[0].Reason, "too many") || ack.Dropped != 1 {
		t.Errorf("%+v", ack)
	}
	a.send(&wire.SchemaDef{Number: 3, Metrics: metrics(2)}) // a known number may still be defined anew
	a.send(frames(3, 2, now))
	if ack := a.ack(); len(ack.Refused) != 0 {
		t.Errorf("%+v", ack)
	}
}

func TestEqualSchemasAreShared(t *testing.T) {
	w := newWorld(t, gateway.Options{})
	now := time.Now().UnixMilli()
	for range 3 {
		a := w.connect(newKey(), "good")
		a.send(&wire.SchemaDef{Number: 1, Metrics: metrics(50)})
		a.send(frames(1, 50, now))
		a.ack()
	}
	got := w.store.stored()
	if got[0].Schema != got[1].Schema || got[1].Schema != got[2].Schema {
		t.Error("equal schemas of three connections are not one")
	}
}

func TestAStoreThatTakesNothing(t *testing.T) {
	w := newWorld(t, gateway.Options{Patience: 300 * time.Millisecond})
	key := newKey()
	a := w.connect(key, "good")
	a.send(&wire.SchemaDef{Number: 1, Metrics: metrics(3)})
	full := fmt.Errorf("disk full: %w", muster.ErrUnavailable)
	now := time.Now().UnixMilli()

	w.store.set(full, nil)
	a.send(frames(1, 3, now))
	w.wait("a second try", func() bool { return w.count("muster_gateway_held_total") >= 1 })
	w.store.set(nil, nil)
	if ack := a.ack(); ack.Through != 3 {
		t.Errorf("a short trouble: %+v", ack)
	}

	w.store.set(full, nil)
	a.send(frames(1, 3, now+1))
	if r := a.refused(wire.RefusalUnavailable, websocket.StatusTryAgainLater); r.Permanent || r.RetryAfter < time.Second {
		t.Errorf("a long trouble: %+v", r)
	}
	w.store.set(nil, nil)
	w.wait("the place to be free", func() bool { return w.roster.here() == 0 })
	a = w.connect(key, "")
	a.send(&wire.SchemaDef{Number: 1, Metrics: metrics(3)})
	a.send(frames(1, 3, now+1))
	a.ack()
	if got := w.store.stored(); len(got) != 2 || got[1].At != now+1 {
		t.Errorf("stored %d frames", len(got))
	}
}

func TestFramesTheStoreWillNeverTakeDoNotBlockTheSpool(t *testing.T) {
	w := newWorld(t, gateway.Options{})
	a := w.connect(newKey(), "good")
	a.send(&wire.SchemaDef{Number: 1, Metrics: metrics(3)})
	w.store.set(fmt.Errorf("nonsense: %w", muster.ErrInvalid), nil)
	now := time.Now().UnixMilli()
	a.send(frames(1, 3, now, now+1))
	if ack := a.ack(); len(ack.Refused) != 2 || ack.Refused[1].Index != 1 || ack.Through != 3 {
		t.Errorf("%+v", ack)
	}
}

func TestASecondAgentWithTheSameIdentity(t *testing.T) {
	w := newWorld(t, gateway.Options{})
	key := newKey()
	first := w.connect(key, "good")
	got := make(chan error, 1)
	go func() { _, err := first.read(); got <- err }() // reads, so it answers pings
	second, nonce := w.dial(key)
	second.hello(nonce, "")
	if r := second.refused(wire.RefusalDuplicate, websocket.StatusPolicyViolation); r.Permanent || r.RetryAfter == 0 {
		t.Errorf("%+v", r)
	}
	w.roster.mu.Lock()
	doubles := len(w.roster.doubles)
	w.roster.mu.Unlock()
	if doubles != 1 || w.gate.Connections() != 1 {
		t.Errorf("told %d times, %d connections", doubles, w.gate.Connections())
	}
	select {
	case err := <-got:
		t.Errorf("the first was disturbed: %v", err)
	default:
	}
}

func TestADeadConnectionMakesRoom(t *testing.T) {
	w := newWorld(t, gateway.Options{PingWait: 100 * time.Millisecond})
	key := newKey()
	first := w.connect(key, "good") // from here on it reads nothing: like a machine that lost its line
	second := w.connect(key, "")
	second.send(&wire.SchemaDef{Number: 1, Metrics: metrics(1)})
	second.send(frames(1, 1, time.Now().UnixMilli()))
	second.ack()
	if w.gate.Connections() != 1 || w.roster.here() != 1 {
		t.Errorf("%d connections, %d here", w.gate.Connections(), w.roster.here())
	}
	if _, err := first.read(); err == nil {
		t.Error("the dead one still gets messages")
	}
}

func TestASilentConnectionIsTested(t *testing.T) {
	w := newWorld(t, gateway.Options{PingAfter: 100 * time.Millisecond, PingWait: 200 * time.Millisecond})
	alive, dead := w.connect(newKey(), "good"), w.connect(newKey(), "good")
	got := make(chan wire.Message, 1)
	go func() { m, _ := alive.read(); got <- m }()
	w.wait("the dead one to be found", func() bool { return w.roster.here() == 1 })
	if _, err := dead.read(); err == nil {
		t.Error("the dead one lives")
	}
	alive.send(&wire.Goodbye{})
	if m, ok := (<-got).(*wire.Ack); !ok {
		t.Errorf("the silent one that answers pings got %v", m)
	}
}

func TestOrders(t *testing.T) {
	w := newWorld(t, gateway.Options{})
	key := newKey()
	a := w.connect(key, "good")
	id := w.roster.known[string(key.Public().(ed25519.PublicKey))]
	w.wait("the welcome to be done", func() bool { return w.gate.Quicken(id.Account, id.Node, time.Second, time.Minute) })
	if o, ok := a.next().(*wire.Order); !ok || o.Period != time.Second || o.For != time.Minute {
		t.Errorf("%+v", o)
	}
	w.gate.Quicken(id.Account, id.Node, time.Millisecond, -1)
	if o, ok := a.next().(*wire.Order); !ok || o.Period != time.Second || o.For != 0 {
		t.Errorf("a nonsensical order became %+v", o)
	}
	if w.gate.Quicken(muster.NewAccountID(), id.Node, time.Second, 0) {
		t.Error("another account gave an order")
	}
	w.gate.Disconnect(muster.NewAccountID(), id.Node)
	w.gate.Disconnect(id.Account, id.Node)
	a.refused(wire.RefusalUnknown, websocket.StatusPolicyViolation)
	w.wait("it to be gone", func() bool { return !w.gate.Quicken(id.Account, id.Node, time.Second, 0) })
}

func TestStopping(t *testing.T) {
	w := newWorld(t, gateway.Options{})
	idle, busy := w.connect(newKey(), "good"), w.connect(newKey(), "good")
	busy.send(&wire.SchemaDef{Number: 1, Metrics: metrics(1)})
	gate := make(chan struct{})
	w.store.set(nil, gate)
	busy.send(frames(1, 1, time.Now().UnixMilli()))
	w.wait("the frames to reach the store", func() bool { w.store.mu.Lock(); defer w.store.mu.Unlock(); return w.store.appends == 1 })
	var stopped sync.WaitGroup
	stopped.Go(w.stop)
	if r := idle.refused(wire.RefusalUnavailable, websocket.StatusTryAgainLater); r.Permanent {
		t.Errorf("%+v", r)
	}
	close(gate)
	if ack := busy.ack(); ack.Through != 3 {
		t.Errorf("what was under way: %+v", ack)
	}
	busy.refused(wire.RefusalUnavailable, websocket.StatusTryAgainLater)
	stopped.Wait()
	if w.roster.here() != 0 {
		t.Error("Run ended before everybody left")
	}
	_, response, err := websocket.Dial(t.Context(), "ws://"+w.addr+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
	if err == nil || response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("after the end: %v", err)
	}
}

func TestLimitsOfConnections(t *testing.T) {
	w := newWorld(t, gateway.Options{MaxConnections: 2, MaxGreetings: 1})
	w.connect(newKey(), "good")
	slow, nonce := w.dial(newKey()) // still greeting
	refused := func(what string) {
		t.Helper()
		_, response, err := websocket.Dial(t.Context(), "ws://"+w.addr+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
		if err == nil || response.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("a second greeting")
	slow.hello(nonce, "good")
	slow.next()
	w.wait("the greeting to end", func() bool { return w.gate.Connections() == 2 })
	refused("a third connection")
	slow.ws.CloseNow()
	w.wait("room", func() bool { return w.gate.Connections() == 1 })
	w.connect(newKey(), "good")
}

func TestWhoSaysNothingIsSentAway(t *testing.T) {
	w := newWorld(t, gateway.Options{Handshake: 100 * time.Millisecond})
	a, _ := w.dial(newKey())
	if _, err := a.read(); err == nil {
		t.Error("it may stay without a word")
	}
	c, err := net.Dial("tcp", w.addr) // not even a WebSocket
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestOptionsAreChecked(t *testing.T) {
	in, _ := ingest.New(ingest.Options{Store: &fakeStore{}})
	for _, o := range []gateway.Options{{}, {Roster: &fakeRoster{}}, {Roster: &fakeRoster{}, Intake: in, Handshake: -1}, {Roster: &fakeRoster{}, Intake: in, MaxConnections: -1}} {
		if _, err := gateway.New(o); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
