package gateway_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"muster"
	"muster/internal/check"
	"muster/internal/gateway"
	"muster/internal/inventory"
	"muster/internal/wire"
)

// fakeChecks says what each source belongs to, whoever asks for the right account.
type fakeChecks struct {
	mu       sync.Mutex
	subjects map[string]muster.NodeID
	joined   []inventory.Identity
	left     []inventory.Identity
	onJoin   func(inventory.Identity)
	account  muster.AccountID // that asked last
	runner   muster.NodeID
}

func (c *fakeChecks) Subject(account muster.AccountID, runner muster.NodeID, source string) (muster.NodeID, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.account, c.runner = account, runner
	id, ok := c.subjects[source]
	return id, ok
}

func (c *fakeChecks) Joined(id inventory.Identity) {
	c.mu.Lock()
	c.joined = append(c.joined, id)
	then := c.onJoin
	c.mu.Unlock()
	if then != nil {
		then(id)
	}
}

func (c *fakeChecks) Left(id inventory.Identity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = append(c.left, id)
}

func (c *fakeChecks) count() (joined, left int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.joined), len(c.left)
}

// of gives who the agent with the key is.
func (w *world) of(key ed25519.PrivateKey) inventory.Identity {
	w.roster.mu.Lock()
	defer w.roster.mu.Unlock()
	return w.roster.known[string(key.Public().(ed25519.PublicKey))]
}

// runner connects an agent and waits until it may be told of checks.
func (w *world) runner() (*agent, inventory.Identity) {
	w.t.Helper()
	key := newKey()
	a := w.connect(key, "good")
	id := w.of(key)
	w.wait("the welcome to be done", func() bool { return w.gate.Assign(id.Account, id.Node, nil, nil, false) })
	return a, id
}

func assignments(n, config int) (list []check.Assignment) {
	for range n {
		list = append(list, check.Assignment{
			Check: muster.NewCheckID(), Kind: "http", Config: []byte(`"` + strings.Repeat("x", config) + `"`), Zone: muster.LocalZone, Period: time.Minute, Timeout: 5 * time.Second,
		})
	}
	return list
}

func TestFramesOfChecks(t *testing.T) {
	checks := &fakeChecks{subjects: map[string]muster.NodeID{}}
	w := newWorld(t, gateway.Options{Checks: checks})
	a, id := w.runner()
	mine, own, strange := muster.NewCheckID(), muster.NewCheckID(), muster.NewCheckID()
	node := muster.NewNodeID()
	checks.mu.Lock()
	checks.subjects[string(mine)] = node
	checks.subjects[string(own)+"@eu-1"] = own.Subject()
	checks.mu.Unlock()
	now := time.Now().UnixMilli()
	a.send(&wire.SchemaDef{Number: 1, Metrics: metrics(2)})
	m := frames(1, 2, now, now+1, now+2, now+3, now+4)
	m.Frames[1].Source, m.Frames[1].Note = string(mine), []byte("words")
	m.Frames[2].Source = string(strange)
	m.Frames[3].Source = string(own) + "@eu-1"
	m.Frames[4].Source = string(own) // not in that zone
	a.send(m)
	ack := a.ack()
	if len(ack.Refused) != 2 || ack.Refused[0].Index != 2 || ack.Refused[1].Index != 4 || !strings.Contains(ack.Refused[0].Reason, "not to run that check") {
		t.Errorf("%+v", ack)
	}
	got := w.store.stored()
	if len(got) != 3 || got[0].Node != id.Node || got[1].Node != node || string(got[1].Note) != "words" || got[2].Node != own.Subject() {
		t.Fatalf("stored %d: %+v", len(got), got)
	}
	if checks.account != id.Account || checks.runner != id.Node || got[1].Account != id.Account {
		t.Error("asked for another account or runner")
	}
}

func TestFramesOfChecksWhereThereAreNone(t *testing.T) {
	w := newWorld(t, gateway.Options{})
	a := w.connect(newKey(), "good")
	now := time.Now().UnixMilli()
	a.send(&wire.SchemaDef{Number: 1, Metrics: metrics(2)})
	m := frames(1, 2, now, now+1)
	m.Frames[0].Source = string(muster.NewCheckID())
	m.Frames[1].Source = "check_that_is_none"
	a.send(m)
	if ack := a.ack(); len(ack.Refused) != 1 || ack.Refused[0].Index != 0 || len(w.store.stored()) != 1 {
		t.Errorf("%+v", ack)
	}
}

func TestWhoCanRunChecksIsTold(t *testing.T) {
	checks := &fakeChecks{}
	w := newWorld(t, gateway.Options{Checks: checks})
	list := assignments(2, 10)
	checks.onJoin = func(id inventory.Identity) {
		if !w.gate.Assign(id.Account, id.Node, list, nil, true) {
			t.Error("the agent that joined can't be reached")
		}
	}
	key := newKey()
	a := w.connect(key, "good")
	m, ok := a.next().(*wire.Assign)
	if !ok || len(m.Add) != 2 || !m.Replace || m.More || m.Add[1].Check != list[1].Check || m.Add[1].Kind != "http" || string(m.Add[1].Config) != string(list[1].Config) ||
		m.Add[1].Zone != muster.LocalZone || m.Add[1].Period != time.Minute || m.Add[1].Timeout != 5*time.Second {
		t.Fatalf("got %+v", m)
	}
	if joined, left := checks.count(); joined != 1 || left != 0 || checks.joined[0].Node != w.of(key).Node {
		t.Errorf("%d joined, %d left", joined, left)
	}
	a.ws.CloseNow()
	w.wait("it to leave", func() bool { _, left := checks.count(); return left == 1 })
	w.wait("its place to be free", func() bool { return w.gate.Connections() == 0 })
	if w.gate.Assign(w.of(key).Account, w.of(key).Node, list, nil, true) {
		t.Error("it can be reached though it left")
	}
}

// An agent of before is served, but told nothing that it does not know.
func TestAnAgentThatIsTooOldForChecks(t *testing.T) {
	checks := &fakeChecks{}
	w := newWorld(t, gateway.Options{Checks: checks})
	key := newKey()
	a, nonce := w.dial(key)
	h := &wire.Hello{Token: "good"}
	h.Sign(key, nonce)
	b := a.marshal(h)
	b[1] = 1 // its capability
	a.raw(b)
	if _, ok := a.next().(*wire.Welcome); !ok {
		t.Fatal("not welcome")
	}
	a.send(&wire.Goodbye{})
	a.ack() // so it is let in for certain
	id := w.of(key)
	if w.gate.Assign(id.Account, id.Node, assignments(1, 1), nil, true) {
		t.Error("it was told")
	}
	if _, err := w.gate.RunOnce(t.Context(), id.Account, id.Node, assignments(1, 1)[0]); !errors.Is(err, muster.ErrUnavailable) {
		t.Errorf("a run: %v", err)
	}
	a.ws.CloseNow()
	w.wait("it to leave", func() bool { return w.roster.here() == 0 })
	if joined, left := checks.count(); joined != 0 || left != 0 {
		t.Errorf("%d joined, %d left", joined, left)
	}
}

func TestLongAssignmentsComeInParts(t *testing.T) {
	w := newWorld(t, gateway.Options{})
	a, id := w.runner()
	gather := func() (whole wire.Assign, n int) {
		for {
			m, ok := a.next().(*wire.Assign)
			if !ok {
				t.Fatalf("got %T", m)
			}
			n++
			whole.Add, whole.Remove = append(whole.Add, m.Add...), append(whole.Remove, m.Remove...)
			whole.Replace = whole.Replace || m.Replace
			if !m.More {
				return whole, n
			}
		}
	}
	many := assignments(2500, 10)
	big := assignments(100, 60_000)
	var gone []muster.CheckID
	for range 1500 {
		gone = append(gone, muster.NewCheckID())
	}
	bad := assignments(2, wire.MaxConfig)
	var calls sync.WaitGroup
	calls.Go(func() { // none of these waits for the agent to read
		w.gate.Assign(id.Account, id.Node, many, nil, true)
		w.gate.Assign(id.Account, id.Node, append(bad, big...), gone, false)
		w.gate.Assign(id.Account, id.Node, nil, nil, true)
		w.gate.Assign(id.Account, id.Node, nil, gone, false)
	})
	calls.Wait()
	whole, n := gather()
	if len(whole.Add) != 2500 || !whole.Replace || n != 3 || whole.Add[2499].Check != many[2499].Check {
		t.Errorf("%d checks in %d parts, replace %t", len(whole.Add), n, whole.Replace)
	}
	whole, n = gather()
	if len(whole.Add) != 100 || whole.Replace || n < 6 || !slices.Equal(whole.Remove, gone) {
		t.Errorf("%d large checks in %d parts, %d removed", len(whole.Add), n, len(whole.Remove))
	}
	if whole, n = gather(); len(whole.Add)+len(whole.Remove) != 0 || !whole.Replace || n != 1 {
		t.Errorf("none at all: %+v", whole)
	}
	if whole, n = gather(); whole.Add != nil || !slices.Equal(whole.Remove, gone) || n != 2 {
		t.Errorf("%d removed in %d parts", len(whole.Remove), n)
	}
	if w.gate.Assign(muster.NewAccountID(), id.Node, many, nil, true) {
		t.Error("another account assigned checks")
	}
}

// An agent that reads nothing keeps nobody waiting, and is sent away.
func TestAssignmentsToAnAgentThatReadsNothing(t *testing.T) {
	w := newWorld(t, gateway.Options{})
	_, id := w.runner()
	big := assignments(100, 60_000)
	for range 20 {
		w.gate.Assign(id.Account, id.Node, big, nil, false) // 6 MB each
	}
	for end := time.Now().Add(time.Minute); w.gate.Connections() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is still there")
		}
	}
}

func TestRunOnce(t *testing.T) {
	w := newWorld(t, gateway.Options{})
	a, id := w.runner()
	one := assignments(1, 10)[0]
	one.Zone = "eu-1"
	type answered struct {
		muster.Result
		err error
	}
	ask := func(ctx context.Context) <-chan answered {
		out := make(chan answered, 1)
		go func() {
			r, err := w.gate.RunOnce(ctx, id.Account, id.Node, one)
			out <- answered{r, err}
		}()
		return out
	}
	first := ask(t.Context())
	run := a.next().(*wire.Run)
	if run.Assignment.Check != one.Check || run.Assignment.Zone != "eu-1" || run.Assignment.Timeout != one.Timeout || run.Request == 0 {
		t.Errorf("asked %+v", run)
	}
	second := ask(t.Context())
	run2 := a.next().(*wire.Run)
	a.send(&wire.Ran{Request: 999}) // nobody asked
	a.send(&wire.Ran{Request: run2.Request, Status: "excellent", Summary: "second"})
	a.send(&wire.Ran{
		Request: run.Request, Status: muster.StatusCritical, Summary: "HTTP 500", Duration: 12 * time.Millisecond, Class: "status", Error: "500",
		Evidence: map[string]string{"a": "b"}, Readings: []wire.Reading{
			{Metric: metrics(1)[0], Value: 7}, {Metric: metrics(1)[0], Value: math.NaN()}, {Metric: muster.Metric{Name: "bad\n", Kind: muster.Gauge}, Value: 1},
		},
	})
	a.send(&wire.Ran{Request: run.Request, Summary: "again"})
	r := <-first
	if r.err != nil || r.Account != id.Account || r.Check != one.Check || r.Zone != "eu-1" || time.Since(r.At) > time.Minute || r.Status != muster.StatusCritical ||
		r.Summary != "HTTP 500" || r.Duration != 12*time.Millisecond || r.Class != "status" || r.Error != "500" || r.Evidence["a"] != "b" || len(r.Metrics) != 1 || r.Metrics[0].Value != 7 {
		t.Errorf("got %+v", r)
	}
	if r := <-second; r.err != nil || r.Status != muster.StatusUnknown || r.Summary != "second" {
		t.Errorf("a status of the future: %+v", r)
	}

	ctx, cancel := context.WithCancel(t.Context())
	third := ask(ctx)
	a.next()
	cancel()
	if r := <-third; !errors.Is(r.err, muster.ErrUnavailable) {
		t.Errorf("without an answer: %v", r.err)
	}
	fourth := ask(t.Context())
	late := a.next().(*wire.Run)
	a.ws.CloseNow()
	if r := <-fourth; !errors.Is(r.err, muster.ErrUnavailable) || late.Request == 0 {
		t.Errorf("the agent left: %v", r.err)
	}
	if _, err := w.gate.RunOnce(t.Context(), id.Account, id.Node, one); !errors.Is(err, muster.ErrUnavailable) {
		t.Errorf("after it left: %v", err)
	}
}

func TestRunsHaveTheirBounds(t *testing.T) {
	w := newWorld(t, gateway.Options{})
	a, id := w.runner()
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	for range 64 {
		asking.Go(func() { _, _ = w.gate.RunOnce(ctx, id.Account, id.Node, assignments(1, 1)[0]) })
	}
	for range 64 {
		if _, ok := a.next().(*wire.Run); !ok {
			t.Fatal("no run")
		}
	}
	if _, err := w.gate.RunOnce(t.Context(), id.Account, id.Node, assignments(1, 1)[0]); !errors.Is(err, muster.ErrLimited) {
		t.Errorf("one too many: %v", err)
	}
	if _, err := w.gate.RunOnce(t.Context(), muster.NewAccountID(), id.Node, assignments(1, 1)[0]); !errors.Is(err, muster.ErrUnavailable) {
		t.Errorf("another account: %v", err)
	}
	cancel()
	asking.Wait()
	if _, err := w.gate.RunOnce(t.Context(), id.Account, id.Node, assignments(1, wire.MaxConfig)[0]); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("one that no message bears: %v", err)
	}
	fine := make(chan error, 1)
	go func() {
		_, err := w.gate.RunOnce(t.Context(), id.Account, id.Node, assignments(1, 1)[0])
		fine <- err
	}()
	a.send(&wire.Ran{Request: a.next().(*wire.Run).Request})
	if err := <-fine; err != nil {
		t.Errorf("there is room again: %v", err)
	}
}

func TestOnlyServersAssign(t *testing.T) {
	for name, m := range map[string]wire.Message{"assign": &wire.Assign{}, "run": &wire.Run{Request: 1, Assignment: wire.Assignment{Check: "c"}}} {
		w := newWorld(t, gateway.Options{})
		a := w.connect(newKey(), "good")
		a.send(m)
		if r := a.refused(wire.RefusalMalformed, websocket.StatusProtocolError); !strings.Contains(r.Reason, name) {
			t.Errorf("%+v", r)
		}
	}
	w := newWorld(t, gateway.Options{})
	a := w.connect(newKey(), "good")
	a.send(&wire.Ran{}) // without a number
	a.refused(wire.RefusalMalformed, websocket.StatusProtocolError)
}

func TestThousandsOfSchemasOnOneConnection(t *testing.T) {
	w := newWorld(t, gateway.Options{})
	a := w.connect(newKey(), "good")
	now := time.Now().UnixMilli()
	const many = 3000
	for round := range int64(2) {
		for n := range uint32(many) {
			a.send(&wire.SchemaDef{Number: n + 1, Metrics: []muster.Metric{{Name: fmt.Sprintf("m.%d.%d", round, n), Kind: muster.Gauge}}})
		}
		for from := uint32(0); from < many; from += 500 {
			m := new(wire.Frames)
			for n := from; n < from+500; n++ {
				m.Frames = append(m.Frames, wire.Frame{Source: muster.HostSource, Schema: n + 1, At: now + round*many + int64(n), Values: []float64{1}})
			}
			a.send(m)
			if ack := a.ack(); len(ack.Refused) != 0 || ack.Dropped != 0 {
				t.Fatalf("%+v", ack)
			}
		}
	}
	for i, f := range w.store.stored() {
		if want := fmt.Sprintf("m.%d.%d", i/many, i%many); f.Schema.Metrics[0].Name != want {
			t.Fatalf("frame %d is of %s, want %s", i, f.Schema.Metrics[0].Name, want)
		}
	}
}
