package inventory_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"muster"
	"muster/internal/inventory"
)

// world is an inventory over a fake store, with one account.
type world struct {
	t       *testing.T
	store   *fakeStore
	account muster.AccountID
	inv     *inventory.Inventory

	mu      sync.Mutex
	changes []inventory.Change
	mayNot  bool
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, account: muster.NewAccountID()}
	w.store = newFakeStore(&muster.Account{ID: w.account, Name: "acme"})
	w.reopen()
	return w
}

func (w *world) reopen() {
	w.t.Helper()
	inv, err := inventory.Open(w.t.Context(), w.store, inventory.Options{
		Changed:  func(c inventory.Change) { w.mu.Lock(); w.changes = append(w.changes, c); w.mu.Unlock() },
		MayJudge: func() bool { w.mu.Lock(); defer w.mu.Unlock(); return !w.mayNot },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.inv = inv
}

// run starts the loop; the returned func ends it and waits.
func (w *world) run() func() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	inv := w.inv
	go func() { defer close(done); _ = inv.Run(ctx) }()
	return func() { cancel(); <-done }
}

// flush saves the changelog lines that wait.
func (w *world) flush() { w.run()() }

func newKey() []byte {
	public, _, _ := ed25519.GenerateKey(nil)
	return public
}

func (w *world) token(uses int) string {
	w.t.Helper()
	_, token, err := w.inv.NewEnrollment(w.t.Context(), inventory.Invite{Account: w.account, Uses: uses, Actor: "user_x"})
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

func (w *world) join(hostname string) inventory.Identity {
	w.t.Helper()
	id, err := w.inv.Enroll(w.t.Context(), inventory.Sighting{
		Key: newKey(), Token: w.token(1), Hostname: hostname, Period: 10 * time.Second, Facts: map[string]string{"os.type": "linux"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) row(id muster.NodeID) inventory.Row {
	w.t.Helper()
	row, err := w.inv.Get(w.account, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return row
}

func (w *world) state(id muster.NodeID, want muster.NodeState) {
	w.t.Helper()
	if got := w.row(id).Now.State; got != want {
		w.t.Errorf("state %q, want %q", got, want)
	}
}

var hostMetrics = []muster.Metric{
	{Name: "system.cpu.utilization", Unit: "1", Kind: muster.Gauge, Attrs: []muster.Attr{{Key: "cpu.mode", Value: "user"}}},
	{Name: "system.cpu.utilization", Unit: "1", Kind: muster.Gauge, Attrs: []muster.Attr{{Key: "cpu.mode", Value: "idle"}}},
	{Name: "system.memory.utilization", Unit: "1", Kind: muster.Gauge, Attrs: []muster.Attr{{Key: "system.memory.state", Value: "free"}}},
	{Name: "system.memory.utilization", Unit: "1", Kind: muster.Gauge, Attrs: []muster.Attr{{Key: "system.memory.state", Value: "used"}}},
	{Name: "system.filesystem.utilization", Unit: "1", Kind: muster.Gauge, Attrs: []muster.Attr{{Key: "system.filesystem.mountpoint", Value: "/"}}},
	{Name: "system.filesystem.utilization", Unit: "1", Kind: muster.Gauge, Attrs: []muster.Attr{{Key: "system.filesystem.mountpoint", Value: "/srv"}}},
	{Name: "system.filesystem.utilization", Unit: "1", Kind: muster.Gauge, Attrs: []muster.Attr{{Key: "system.filesystem.mountpoint", Value: "/snap"}, {Key: "system.filesystem.type", Value: "squashfs"}}},
	{Name: "system.cpu.load_average.1m", Unit: "1", Kind: muster.Gauge},
	{Name: "system.uptime", Unit: "s", Kind: muster.Gauge},
	{Name: "system.network.io", Unit: "By", Kind: muster.Counter, Attrs: []muster.Attr{{Key: "network.interface.name", Value: "eth0"}, {Key: "network.io.direction", Value: "receive"}}},
	{Name: "system.network.io", Unit: "By", Kind: muster.Counter, Attrs: []muster.Attr{{Key: "network.interface.name", Value: "eth0"}, {Key: "network.io.direction", Value: "transmit"}}},
	{Name: "system.network.io", Unit: "By", Kind: muster.Counter, Attrs: []muster.Attr{{Key: "network.interface.name", Value: "lo"}, {Key: "network.io.direction", Value: "receive"}}},
	{Name: "system.network.io", Unit: "By", Kind: muster.Counter, Attrs: []muster.Attr{{Key: "network.interface.name", Value: "veth12"}, {Key: "network.io.direction", Value: "receive"}}},
}

func schema(t testing.TB, metrics []muster.Metric) *muster.Schema {
	t.Helper()
	s, err := muster.NewSchema(metrics)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) frame(id muster.NodeID, at time.Time, in, out float64) *muster.Frame {
	w.t.Helper()
	return &muster.Frame{Account: w.account, Node: id, Source: muster.HostSource, At: at.UnixMilli(), Schema: schema(w.t, hostMetrics),
		Values: []float64{0.2, 0.75, 0.4, 0.6, 0.3, 0.9, 1, 1.5, 3600, in, out, 1e9, 1e9}}
}

func (w *world) observe(id muster.NodeID) {
	w.t.Helper()
	w.inv.Observe([]*muster.Frame{w.frame(id, time.Now(), 0, 0)})
}

func TestARowSummarisesTheHostsFrames(t *testing.T) {
	w := newWorld(t)
	id := w.join("web").Node
	now := w.row(id).Now
	if now.State != muster.Pending || !math.IsNaN(now.CPU) || !now.LastSeen.IsZero() {
		t.Errorf("a new node is %+v", now)
	}
	at := time.Now().Add(-20 * time.Second).Truncate(time.Millisecond)
	w.inv.Observe([]*muster.Frame{w.frame(id, at, 1000, 500)})
	if now = w.row(id).Now; !math.IsNaN(now.NetIn) || now.CPU != 0.25 || now.Memory != 0.6 || now.Disk != 0.9 || now.DiskMount != "/srv" ||
		now.Load != 1.5 || now.Uptime != 3600 || now.Metrics != 13 || now.State != muster.Up || !now.LastSeen.Equal(at) {
		t.Errorf("after one frame: %+v", now)
	}
	w.inv.Observe([]*muster.Frame{w.frame(id, at.Add(10*time.Second), 3000, 1500), w.frame(id, at.Add(5*time.Second), 9e9, 9e9)})
	if now = w.row(id).Now; now.NetIn != 200 || now.NetOut != 100 || !slices.Equal(now.Network, []float32{300}) {
		t.Errorf("after a second frame and a straggler: in %v out %v spark %v", now.NetIn, now.NetOut, now.Network)
	}
	w.inv.Observe([]*muster.Frame{w.frame(id, at.Add(20*time.Second), 10, 2500)}) // the receive counter began anew
	if now = w.row(id).Now; !math.IsNaN(now.NetIn) || now.NetOut != 100 {
		t.Errorf("after a reset: in %v out %v", now.NetIn, now.NetOut)
	}
	other := &muster.Frame{Account: w.account, Node: id, Source: "docker/web", At: time.Now().UnixMilli(),
		Schema: schema(t, []muster.Metric{{Name: "x", Kind: muster.Gauge}}), Values: []float64{1}}
	w.inv.Observe([]*muster.Frame{other})
	if now = w.row(id).Now; now.Metrics != 14 || now.CPU != 0.25 {
		t.Errorf("after another source: %d metrics, cpu %v", now.Metrics, now.CPU)
	}
	for range 50 {
		at = at.Add(10 * time.Second)
		w.inv.Observe([]*muster.Frame{w.frame(id, at, float64(at.Unix()), 0)})
	}
	if n := len(w.row(id).Now.Network); n != 30 {
		t.Errorf("the sparkline has %d values", n)
	}
}

// That a check looks at a node, even from elsewhere, does not make it live, nor are its metrics the node's.
func TestFramesOfChecksAreNoSignOfLife(t *testing.T) {
	w := newWorld(t)
	id, other := w.join("web").Node, w.join("db").Node
	check, zone := w.frame(id, time.Now(), 0, 0), w.frame(id, time.Now(), 0, 0)
	check.Source = string(muster.NewCheckID())
	zone.Source = string(muster.NewCheckID()) + "@eu-1"
	before := len(w.changes)
	w.inv.Observe([]*muster.Frame{check, zone})
	if now := w.row(id).Now; !now.LastSeen.IsZero() || now.Metrics != 0 || now.State != muster.Pending || len(w.changes) != before {
		t.Errorf("after frames of checks alone: %+v, %d changes", now, len(w.changes)-before)
	}
	w.inv.Observe([]*muster.Frame{check, w.frame(id, time.Now(), 0, 0), zone, w.frame(id, time.Now(), 0, 0), w.frame(other, time.Now(), 0, 0), check})
	if now := w.row(id).Now; now.State != muster.Up || now.Metrics != len(check.Values) {
		t.Errorf("among frames of the host: %+v", now)
	}
	w.state(other, muster.Up)
	told := map[muster.NodeID]int{}
	for _, c := range w.changes[before:] {
		told[c.Node]++
	}
	if told[id] == 0 || told[other] == 0 || len(told) != 2 {
		t.Errorf("told of %v", told)
	}
}

func TestSummaryOfOtherShapes(t *testing.T) {
	attr := func(kv ...string) (out []muster.Attr) {
		for i := 0; i < len(kv); i += 2 {
			out = append(out, muster.Attr{Key: kv[i], Value: kv[i+1]})
		}
		return out
	}
	nan := math.NaN()
	for name, c := range map[string]struct {
		metrics     []muster.Metric
		values      []float64
		cpu, memory float64
	}{
		"idle of each core": {[]muster.Metric{
			{Name: "system.cpu.utilization", Kind: muster.Gauge, Attrs: attr("cpu.logical_number", "0", "cpu.mode", "idle")},
			{Name: "system.cpu.utilization", Kind: muster.Gauge, Attrs: attr("cpu.logical_number", "1", "cpu.mode", "idle")},
		}, []float64{0.5, 1}, 0.25, nan},
		"no idle": {[]muster.Metric{
			{Name: "system.cpu.utilization", Kind: muster.Gauge, Attrs: attr("cpu.mode", "user")},
			{Name: "system.cpu.utilization", Kind: muster.Gauge, Attrs: attr("cpu.mode", "system")},
		}, []float64{0.25, 0.5}, 0.75, nan},
		"used and limit": {[]muster.Metric{
			{Name: "system.memory.usage", Unit: "By", Kind: muster.Gauge, Attrs: attr("system.memory.state", "used")},
			{Name: "system.memory.limit", Unit: "By", Kind: muster.Gauge},
		}, []float64{25, 100}, nan, 0.25},
		"absent values": {hostMetrics, []float64{nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan}, nan, nan},
		"rounding": {[]muster.Metric{
			{Name: "system.cpu.utilization", Kind: muster.Gauge, Attrs: attr("cpu.mode", "idle")},
		}, []float64{1.0001}, 0, nan},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.join("web").Node
			w.inv.Observe([]*muster.Frame{{Account: w.account, Node: id, Source: muster.HostSource, At: time.Now().UnixMilli(), Schema: schema(t, c.metrics), Values: c.values}})
			now := w.row(id).Now
			same := func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
			if !same(now.CPU, c.cpu) || !same(now.Memory, c.memory) {
				t.Errorf("cpu %v memory %v, want %v %v", now.CPU, now.Memory, c.cpu, c.memory)
			}
		})
	}
}

func TestSilenceMakesDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.run()()
		id := w.join("web").Node
		time.Sleep(time.Hour)
		w.state(id, muster.Pending)
		w.observe(id)
		w.state(id, muster.Up)
		up := w.row(id).Now.Since
		time.Sleep(25 * time.Second)
		w.state(id, muster.Up)
		time.Sleep(10 * time.Second)
		w.state(id, muster.Down)
		if since := w.row(id).Now.Since; !since.Equal(up.Truncate(time.Millisecond)) {
			t.Errorf("down since %s, want its last frame's instant %s", since, up)
		}
		time.Sleep(time.Minute)
		w.observe(id)
		w.state(id, muster.Up)
		time.Sleep(2 * time.Second)
		want := []string{
			"enrollment.created enrollment: ", "node.joined web: joined from (none)",
			"node.down web: went down: nothing heard for 30s", "node.up web: is up again after 1m35s",
		}
		got := w.store.told()
		if len(got) != len(want) {
			t.Fatalf("told %q", got)
		}
		for i := range want {
			if !strings.HasPrefix(got[i], want[i]) {
				t.Errorf("told %q, want %q", got[i], want[i])
			}
		}
	})
}

func TestALongPeriodMeansMorePatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.run()()
		id := w.join("web")
		if err := w.inv.Connected(t.Context(), id, inventory.Sighting{Hostname: "web", Period: time.Minute}); err != nil {
			t.Fatal(err)
		}
		w.observe(id.Node)
		time.Sleep(2 * time.Minute)
		w.state(id.Node, muster.Up)
		time.Sleep(70 * time.Second)
		w.state(id.Node, muster.Down)
		time.Sleep(2 * time.Second)
		if told := w.store.told(); !strings.HasSuffix(told[len(told)-1], "nothing heard for 3m0s, though its agent is connected") {
			t.Errorf("told %q", told)
		}
	})
}

func TestAStartedServerJudgesNobodyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		silent, alive := w.join("silent").Node, w.join("alive").Node
		unheard := w.join("unheard").Node
		time.Sleep(time.Second)
		w.reopen()
		defer w.run()()
		last := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
		values := []float64{0.2, 0.75, 0.4, 0.6, 0.3, 0.9, 1, 1.5, 3600, 1, 1, 1, 1}
		never := w.row(w.join("never").Node).Node.ID
		w.state(never, muster.Pending)
		w.state(silent, muster.Unknown)
		w.inv.Seed(w.account, silent, last, hostMetrics, values)
		w.inv.Seed(w.account, alive, last, hostMetrics, values)
		if now := w.row(silent).Now; now.State != muster.Unknown || now.CPU != 0.25 || now.Metrics != 13 || !now.LastSeen.Equal(last) {
			t.Errorf("a seeded node is %+v", now)
		}
		time.Sleep(20 * time.Second)
		w.observe(alive)
		w.state(alive, muster.Up)
		w.state(silent, muster.Unknown)
		if since := w.row(alive).Now.Since; !since.IsZero() {
			t.Errorf("up since %s, though nobody knows", since)
		}
		time.Sleep(15 * time.Second)
		w.state(silent, muster.Down)
		w.state(unheard, muster.Pending)
		w.state(alive, muster.Up)
		w.inv.Seed(w.account, alive, last, hostMetrics, values)
		if now := w.row(alive).Now; now.LastSeen.Equal(last) {
			t.Error("a late seed covered what was newer")
		}
	})
}

func TestAServerInTroubleJudgesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.run()()
		id := w.join("web").Node
		w.observe(id)
		w.mu.Lock()
		w.mayNot = true
		w.mu.Unlock()
		time.Sleep(10 * time.Minute)
		w.state(id, muster.Up)
		w.mu.Lock()
		w.mayNot = false
		w.mu.Unlock()
		time.Sleep(25 * time.Second)
		w.state(id, muster.Up)
		time.Sleep(10 * time.Second)
		w.state(id, muster.Down)
	})
}

func TestAGoodbyeIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.run()()
		ctx := t.Context()
		stopped, upgraded := w.join("stopped"), w.join("upgraded")
		for _, id := range []inventory.Identity{stopped, upgraded} {
			if err := w.inv.Connected(ctx, id, inventory.Sighting{Hostname: id.Name, Period: 10 * time.Second}); err != nil {
				t.Fatal(err)
			}
			w.observe(id.Node)
		}
		time.Sleep(time.Second)
		_ = w.inv.Left(ctx, stopped, muster.FarewellShutdown)
		_ = w.inv.Left(ctx, upgraded, muster.FarewellUpgrade)
		w.state(stopped.Node, muster.Stopped)
		w.state(upgraded.Node, muster.Up)
		if w.row(stopped.Node).Now.Connected {
			t.Error("still connected after it left")
		}
		time.Sleep(time.Minute)
		w.state(stopped.Node, muster.Stopped)
		w.state(upgraded.Node, muster.Down)
		w.observe(stopped.Node)
		w.state(stopped.Node, muster.Up)
		time.Sleep(2 * time.Second)
		told := strings.Join(w.store.told(), "\n")
		if !strings.Contains(told, "node.stopped stopped: was shut down") || strings.Contains(told, "node.down stopped") {
			t.Errorf("told\n%s", told)
		}
		w.reopen() // the farewell is in the document
		w.inv.Seed(w.account, stopped.Node, time.Now().Add(-time.Hour), nil, nil)
		w.state(stopped.Node, muster.Stopped)
	})
}

func TestAMachineThatComesBackIsNotDownInBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.run()()
		id := w.join("web")
		sight := inventory.Sighting{Hostname: "web", Period: 10 * time.Second}
		_ = w.inv.Connected(t.Context(), id, sight)
		w.observe(id.Node)
		time.Sleep(time.Second)
		_ = w.inv.Left(t.Context(), id, muster.FarewellShutdown)
		time.Sleep(time.Hour)
		_ = w.inv.Connected(t.Context(), id, sight)
		if bye := w.row(id.Node).Node.Farewell; bye.Reason != "" {
			t.Errorf("it is back, and its farewell is still %+v", bye)
		}
		time.Sleep(10 * time.Second)
		w.state(id.Node, muster.Stopped)
		w.observe(id.Node)
		w.state(id.Node, muster.Up)
		time.Sleep(2 * time.Second)
		if told := w.store.told(); told[len(told)-1] != "node.up web: is back" {
			t.Errorf("told %q", told)
		}
		_ = w.inv.Left(t.Context(), id, muster.FarewellShutdown)
		time.Sleep(time.Hour)
		_ = w.inv.Connected(t.Context(), id, sight) // and never sends a frame
		time.Sleep(time.Minute)
		w.state(id.Node, muster.Down)
	})
}

func TestAServerThatSleptJudgesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var slept atomic.Int64
		inv, err := inventory.Open(t.Context(), w.store, inventory.Options{Now: func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }})
		if err != nil {
			t.Fatal(err)
		}
		w.inv = inv
		defer w.run()()
		id := w.join("web").Node
		w.observe(id)
		slept.Store(int64(time.Hour))
		time.Sleep(20 * time.Second)
		w.state(id, muster.Up)
		time.Sleep(15 * time.Second)
		w.state(id, muster.Down)
	})
}

func TestEnrolment(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	sight := inventory.Sighting{Key: newKey(), Hostname: "web"}
	if _, err := w.inv.Identify(ctx, sight.Key); !errors.Is(err, muster.ErrNotFound) {
		t.Errorf("an unknown key: %v", err)
	}
	sight.Token = "enroll_nonsense"
	if _, err := w.inv.Enroll(ctx, sight); !errors.Is(err, muster.ErrDenied) {
		t.Errorf("an unknown token: %v", err)
	}
	sight.Token = w.token(2)
	first, err := w.inv.Enroll(ctx, sight)
	if err != nil || first.Name != "web" || first.AccountName != "acme" || first.Account != w.account {
		t.Fatalf("enrolled as %+v: %v", first, err)
	}
	again, err := w.inv.Enroll(ctx, sight)
	if err != nil || again.Node != first.Node {
		t.Errorf("the same agent again: %+v, %v", again, err)
	}
	for i, want := range []string{"web-2", ""} {
		id, err := w.inv.Enroll(ctx, inventory.Sighting{Key: newKey(), Token: sight.Token, Hostname: "web"})
		if want == "" {
			if !errors.Is(err, muster.ErrDenied) || !strings.Contains(err.Error(), "was used") {
				t.Errorf("agent %d with a used token: %v", i, err)
			}
		} else if err != nil || id.Name != want {
			t.Errorf("agent %d is %q: %v, want %q", i, id.Name, err, want)
		}
	}
	if id := w.join("web"); id.Name != "web-3" {
		t.Errorf("the third is %q", id.Name)
	}
	if id := w.join("\x00 \t"); id.Name != "node" {
		t.Errorf("one without a name is %q", id.Name)
	}
	w.reopen()
	if id, err := w.inv.Identify(ctx, sight.Key); err != nil || id.Node != first.Node {
		t.Errorf("after a restart: %+v, %v", id, err)
	}
	for _, i := range []inventory.Invite{{Uses: -1}, {Uses: inventory.MaxUses + 1}, {TTL: time.Second}, {TTL: 365 * 24 * time.Hour}} {
		if _, _, err := w.inv.NewEnrollment(ctx, i); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%+v: %v", i, err)
		}
	}
	e, token, _ := w.inv.NewEnrollment(ctx, inventory.Invite{Account: w.account})
	if err := w.inv.Revoke(ctx, muster.NewAccountID(), e.ID, "x"); !errors.Is(err, muster.ErrNotFound) {
		t.Errorf("another account took it back: %v", err)
	}
	if err := w.inv.Revoke(ctx, w.account, e.ID, "x"); err != nil {
		t.Error(err)
	}
	if _, err := w.inv.Enroll(ctx, inventory.Sighting{Key: newKey(), Token: token, Hostname: "late"}); !errors.Is(err, muster.ErrDenied) {
		t.Errorf("a revoked token: %v", err)
	}
}

func TestManyEnrolAtOnce(t *testing.T) {
	w := newWorld(t)
	token := w.token(20)
	key := newKey()
	var mu sync.Mutex
	names := map[string]int{}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			sight := inventory.Sighting{Key: newKey(), Token: token, Hostname: "web"}
			if i%4 == 0 {
				sight.Key = key // one agent on five connections
			}
			id, err := w.inv.Enroll(context.Background(), sight)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			names[id.Name]++
		})
	}
	wg.Wait()
	if len(names) != 16 {
		t.Errorf("%d names for 16 agents: %v", len(names), names)
	}
}

func TestOnlyNewsIsWritten(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id := w.join("web")
	sight := inventory.Sighting{Hostname: "web", Version: "1.0", Period: 10 * time.Second,
		Facts:     map[string]string{"os.type": "linux", "os.version": "6.1", "bad\x00key": "v\nw"},
		Addresses: []string{"10.0.0.1", "nonsense", "10.0.0.1"}}
	if err := w.inv.Connected(ctx, id, sight); err != nil {
		t.Fatal(err)
	}
	node := w.row(id.Node).Node
	if !slices.Equal(node.Addresses, []string{"10.0.0.1"}) || node.Facts["badkey"] != "vw" || node.AgentVersion != "1.0" {
		t.Errorf("learned %+v", node)
	}
	before := w.store.writes
	for range 3 {
		_ = w.inv.Left(ctx, id, "")
		if err := w.inv.Connected(ctx, id, sight); err != nil {
			t.Fatal(err)
		}
	}
	if w.store.writes != before {
		t.Errorf("%d writes for nothing new", w.store.writes-before)
	}
	if err := w.inv.Facts(ctx, id, map[string]string{"os.type": "linux", "os.version": "6.2"}, []string{"10.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	w.flush()
	told := w.store.told()
	if last := told[len(told)-1]; last != "node.changed web: badkey: vw -> (none); os.version: 6.1 -> 6.2" {
		t.Errorf("told %q", last)
	}
}

func TestPeopleEditNodes(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id, other := w.join("web"), w.join("db")
	edit := inventory.Edit{Account: w.account, Node: id.Node, Rev: 1, Actor: "user_x"}
	row, err := w.inv.Update(ctx, edit, func(n *muster.Node) error {
		n.Name, n.Tags, n.Star = "  www ", []string{"web", "env=prod", "web"}, true
		n.Facts["os.type"] = "forged"
		n.AgentKey = newKey()
		return nil
	})
	if err != nil || row.Node.Name != "www" || !slices.Equal(row.Node.Tags, []string{"env=prod", "web"}) || !row.Node.Star {
		t.Fatalf("edited to %+v: %v", row.Node, err)
	}
	if n := w.store.node(id.Node); n.Facts["os.type"] != "linux" {
		t.Error("a person changed what the agent says")
	}
	nop := func(*muster.Node) error { return nil }
	if _, err := w.inv.Update(ctx, edit, nop); !errors.Is(err, muster.ErrConflict) {
		t.Errorf("an old rev: %v", err)
	}
	edit.Rev = 0
	for what, change := range map[string]func(*muster.Node) error{
		"taken":     func(n *muster.Node) error { n.Name = "db"; return nil },
		"empty":     func(n *muster.Node) error { n.Name = " "; return nil },
		"long tag":  func(n *muster.Node) error { n.Tags = []string{strings.Repeat("x", 201)}; return nil },
		"space tag": func(n *muster.Node) error { n.Tags = []string{"a b"}; return nil },
		"many tags": func(n *muster.Node) error {
			for i := range 65 {
				n.Tags = append(n.Tags, fmt.Sprint(i))
			}
			return nil
		},
		"long notes": func(n *muster.Node) error { n.Notes = strings.Repeat("x", inventory.MaxNotes+1); return nil },
		"colour":     func(n *muster.Node) error { n.Colour = "\x1b[31m"; return nil },
	} {
		want := muster.ErrInvalid
		if what == "taken" {
			want = muster.ErrConflict
		}
		if _, err := w.inv.Update(ctx, edit, change); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	foreign := inventory.Edit{Account: muster.NewAccountID(), Node: id.Node}
	if _, err := w.inv.Update(ctx, foreign, nop); !errors.Is(err, muster.ErrNotFound) {
		t.Errorf("another account: %v", err)
	}
	if err := w.inv.Delete(ctx, foreign); !errors.Is(err, muster.ErrNotFound) {
		t.Errorf("another account deletes: %v", err)
	}
	if err := w.inv.Delete(ctx, inventory.Edit{Account: w.account, Node: other.Node, Actor: "user_x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.inv.Get(w.account, other.Node); !errors.Is(err, muster.ErrNotFound) {
		t.Errorf("a deleted node: %v", err)
	}
	if err := w.inv.Connected(ctx, other, inventory.Sighting{}); !errors.Is(err, muster.ErrNotFound) {
		t.Errorf("a deleted node's agent: %v", err)
	}
	w.inv.Observe([]*muster.Frame{w.frame(other.Node, time.Now(), 0, 0)}) // a frame under way must not hurt
	w.mu.Lock()
	last := w.changes[len(w.changes)-1]
	w.mu.Unlock()
	if !last.Gone || last.Node != other.Node {
		t.Errorf("the last change is %+v", last)
	}
	if id := w.join("db"); id.Name != "db" {
		t.Errorf("the name of a deleted node is not free: %q", id.Name)
	}
	w.flush()
	told := strings.Join(w.store.told(), "\n")
	for _, line := range []string{"node.renamed www: was called web", "node.tagged www: tags: +env=prod +web", "node.changed www: starred", "node.deleted db: was removed"} {
		if !strings.Contains(told, line+"\n") {
			t.Errorf("%q is missing from\n%s", line, told)
		}
	}
}

func TestChangelogWaitsForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.run()()
		id := w.join("web")
		w.store.setDown(true)
		w.inv.Duplicate(id, inventory.Sighting{Hostname: "clone", Remote: "10.0.0.9:1"})
		w.inv.Duplicate(id, inventory.Sighting{Hostname: "clone", Remote: "10.0.0.9:1"})
		time.Sleep(time.Minute)
		w.store.setDown(false)
		time.Sleep(2 * time.Second)
		told := w.store.told()
		if n := strings.Count(strings.Join(told, "\n"), "node.duplicate web: a second agent"); n != 1 {
			t.Errorf("told %d times of the duplicate: %q", n, told)
		}
	})
}

func TestNotedIsShown(t *testing.T) {
	w := newWorld(t)
	id := w.join("web")
	w.inv.Noted(w.account, id.Node, time.Hour, 7)
	if now := w.row(id.Node).Now; now.ClockOff != time.Hour || now.Dropped != 7 {
		t.Errorf("%+v", now)
	}
	_ = w.inv.Connected(t.Context(), id, inventory.Sighting{})
	if now := w.row(id.Node).Now; now.Dropped != 0 || !now.Connected {
		t.Errorf("after it connected anew: %+v", now)
	}
	w.inv.Noted(muster.NewAccountID(), id.Node, 0, 1)
	if now := w.row(id.Node).Now; now.Dropped != 0 {
		t.Error("a note crossed accounts")
	}
}

func TestOpenFailsWithoutTheStore(t *testing.T) {
	s := newFakeStore()
	s.setDown(true)
	if _, err := inventory.Open(t.Context(), s, inventory.Options{}); !errors.Is(err, muster.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if _, err := inventory.Open(t.Context(), s, inventory.Options{SilentAfter: -1}); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("%v", err)
	}
}
