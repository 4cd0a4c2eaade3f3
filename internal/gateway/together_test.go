package gateway_test

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"muster"
	program "muster/internal/agent"
	"muster/internal/check"
	"muster/internal/gateway"
	"muster/internal/inventory"
)

// steady is a kind of check, and a collector, that always gives the same.
type steady struct{ metric *muster.Metric }

func (steady) Name() string                                       { return "steady" }
func (k steady) Parse(config []byte) (check.Probe, error)         { return k, nil }
func (steady) Config() []byte                                     { return []byte("{}") }
func (steady) Target() string                                     { return "nothing" }
func (steady) Source() string                                     { return muster.HostSource }
func (k steady) Collect(_ context.Context, s *check.Sample) error { s.Put(k.metric, 1); return nil }

func (k steady) Run(_ context.Context, _ *check.Env, out *check.Outcome) {
	out.Summary = "steady"
	out.Put(k.metric, 42)
}

// An agent as it is runs checks for a gateway as it is, also after the line broke.
func TestAgentAndGatewayTogether(t *testing.T) {
	checks := &fakeChecks{subjects: map[string]muster.NodeID{}}
	w := newWorld(t, gateway.Options{Checks: checks})
	var list []check.Assignment
	for range 1200 { // more than one part, and more schemas than an older server had numbers
		a := check.Assignment{Check: muster.NewCheckID(), Kind: "steady", Config: []byte("{}"), Zone: muster.LocalZone, Period: 2 * time.Second, Timeout: time.Second}
		list = append(list, a)
		checks.subjects[string(a.Check)] = a.Check.Subject()
	}
	checks.onJoin = func(id inventory.Identity) { w.gate.Assign(id.Account, id.Node, list, nil, true) }
	kind := steady{check.Gauge("steady.value", "1")}
	lines := make(chan net.Conn, 100)
	a, err := program.New(program.Options{
		Server: "http://" + w.addr, Token: "good", State: t.TempDir(),
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err == nil {
				lines <- c
			}
			return c, err
		},
		Collectors: []check.Collector{kind}, Kinds: map[string]check.Kind{kind.Name(): kind},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := a.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	defer running.Wait()
	defer cancel()

	each := func(words bool) func() bool {
		return func() bool {
			seen := map[muster.NodeID]bool{}
			for _, f := range w.store.stored() {
				if f.Source != muster.HostSource && (f.Note != nil || !words) {
					seen[f.Node] = true
				}
			}
			return len(seen) == len(list)
		}
	}
	waitLong(t, "a frame of each check, with its words", each(true))
	checks.mu.Lock()
	id := checks.joined[0]
	checks.mu.Unlock()
	r, err := w.gate.RunOnce(t.Context(), id.Account, id.Node, list[7])
	if err != nil || r.Status != muster.StatusOK || r.Summary != "steady" || r.Check != list[7].Check || len(r.Metrics) != 1 || r.Metrics[0].Value != 42 {
		t.Errorf("%+v, %v", r, err)
	}
	w.store.mu.Lock()
	i := slices.IndexFunc(w.store.frames, func(f *muster.Frame) bool { return f.Source == string(list[3].Check) })
	f := w.store.frames[i]
	w.store.frames = nil
	w.store.mu.Unlock()
	if f.Account != id.Account || f.Node != list[3].Check.Subject() || len(f.Values) != 3 || f.Values[0] != 0 || f.Values[2] != 42 ||
		f.Schema.Metrics[2].Attr(muster.CheckAttr) != string(list[3].Check) {
		t.Errorf("frame %+v", f)
	}

	(<-lines).Close()
	waitLong(t, "it to come back", func() bool { joined, left := checks.count(); return joined >= 2 && left >= 1 })
	waitLong(t, "all words again", each(true))
}

// waitLong is for what takes its time on a slow machine.
func waitLong(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
