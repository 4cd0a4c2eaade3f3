package node_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"muster"
	"muster/internal/auth"
	"muster/internal/inventory"
	"muster/internal/live"
	"muster/internal/series"
	"muster/internal/web/node"
	"muster/internal/web/shell"
)

// machine is a made-up node that measures: its values are functions of time, so that every test sees the same.
type machine struct {
	mu      sync.Mutex
	node    muster.Node
	state   muster.NodeState
	born    time.Time
	silent  time.Time      // nothing is measured from here on; zero = it measures
	holes   [][2]time.Time // spans without measurements
	quick   time.Time      // it measures every second from here on
	metrics []made
	hub     *live.Hub
	events  []muster.Event
	quicken int
	removed bool
	role    muster.Role
	now     func() time.Time
}

// made is a metric with its values.
type made struct {
	muster.Metric
	source string
	value  func(t float64) float64 // of a counter: its rate
}

func wave(t, base, amp, spike float64, seed float64) float64 {
	v := base + amp*(math.Sin(t/97+seed)+.6*math.Sin(t/23+2*seed)+.4*math.Sin(t/7.3+3*seed))/2
	if h := math.Sin(t*12.9898+seed) * 43758.5453; h-math.Floor(h) > 1-spike {
		v += 3 * amp
	}
	h := math.Sin(t*78.233+seed) * 12543.123
	return max(0, v+(h-math.Floor(h)-.5)*amp*.5)
}

func metric(kind muster.MetricKind, name, unit string, value func(float64) float64, attrs ...string) made {
	m := made{Metric: muster.Metric{Name: name, Unit: unit, Kind: kind}, source: "host", value: value}
	for i := 0; i < len(attrs); i += 2 {
		m.Attrs = append(m.Attrs, muster.Attr{Key: attrs[i], Value: attrs[i+1]})
	}
	slices.SortFunc(m.Attrs, func(a, b muster.Attr) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	return m
}

func waves(base, amp, spike, seed float64) func(float64) float64 {
	return func(t float64) float64 { return wave(t, base, amp, spike, seed) }
}

func flat(v float64) func(float64) float64 { return func(float64) float64 { return v } }

// host gives the metrics that every machine sends, and some of a program.
func host() []made {
	const g, c = muster.Gauge, muster.Counter
	all := []made{
		metric(g, "system.cpu.utilization", "1", waves(.38, .12, .03, 1), "cpu.mode", "user"),
		metric(g, "system.cpu.utilization", "1", waves(.12, .05, .01, 2), "cpu.mode", "system"),
		metric(g, "system.cpu.utilization", "1", waves(.03, .03, .06, 3), "cpu.mode", "iowait"),
		metric(g, "system.cpu.utilization", "1", waves(.01, .005, 0, 4), "cpu.mode", "steal"),
		metric(g, "system.cpu.utilization", "1", waves(.4, .1, 0, 5), "cpu.mode", "idle"),
		metric(g, "system.cpu.logical.count", "{cpu}", flat(8)),
		metric(g, "system.memory.utilization", "1", waves(.58, .02, 0, 6), "system.memory.state", "used"),
		metric(g, "system.memory.utilization", "1", waves(.3, .02, 0, 7), "system.memory.state", "cached"),
		metric(g, "system.memory.limit", "By", flat(32<<30)),
		metric(g, "system.memory.usage", "By", waves(18e9, 1e9, 0, 6), "system.memory.state", "used"),
		metric(c, "system.linux.pressure.time", "s", waves(.06, .03, .05, 8), "system.linux.pressure.resource", "cpu", "system.linux.pressure.stalled", "some"),
		metric(c, "system.linux.pressure.time", "s", waves(.02, .01, 0, 9), "system.linux.pressure.resource", "memory", "system.linux.pressure.stalled", "some"),
		metric(c, "system.linux.pressure.time", "s", waves(.08, .05, .06, 10), "system.linux.pressure.resource", "io", "system.linux.pressure.stalled", "some"),
		metric(g, "system.cpu.load_average.1m", "{thread}", waves(5, 1.5, 0, 11)),
		metric(g, "system.cpu.load_average.5m", "{thread}", waves(4.8, .6, 0, 12)),
		metric(g, "system.cpu.load_average.15m", "{thread}", waves(4.6, .2, 0, 13)),
		metric(c, "system.process.created", "{process}", waves(12, 4, 0, 30)),
		metric(g, "system.process.count", "{process}", waves(311, 4, 0, 14)),
		metric(g, "system.uptime", "s", func(t float64) float64 { return math.Mod(t, 1e7) }),
		metric(g, "app.temperature", "Cel", waves(41, 2, 0, 15), "sensor", "package"),
		metric(c, "app.requests", "{request}", waves(180, 60, .05, 16), "route", "/api"),
		metric(c, "app.requests", "{request}", waves(40, 20, .05, 17), "route", "/"),
		metric(g, "app.request.duration", "s", waves(.012, .006, .05, 18), "quantile", "0.99"),
		metric(g, "app.queue.length", "{job}", waves(12, 9, .02, 19)),
	}
	for i, d := range []string{"nvme0n1", "nvme1n1"} {
		s := float64(20 + i)
		all = append(all,
			metric(c, "system.disk.io", "By", waves(30e6, 15e6, .05, s), "disk.io.direction", "read", "system.device", d),
			metric(c, "system.disk.io", "By", waves(20e6, 10e6, .08, s+2), "disk.io.direction", "write", "system.device", d),
			metric(c, "system.disk.io_time", "s", waves(.2, .1, .05, s+4), "system.device", d))
	}
	for i, m := range []string{"/", "/var/lib/pg", "/boot"} {
		all = append(all, metric(g, "system.filesystem.utilization", "1", flat([]float64{.37, .84, .12}[i]), "system.filesystem.mountpoint", m, "system.device", fmt.Sprint("/dev/sda", i)))
	}
	for i, dir := range []string{"receive", "transmit"} {
		all = append(all, metric(c, "system.network.io", "By", waves([]float64{5.6e5, 3.2e6}[i], 4e5, .04, float64(40+i)), "network.interface.name", "eth0", "network.io.direction", dir),
			metric(c, "system.network.io", "By", waves(9e8, 4e5, .04, float64(40+i)), "network.interface.name", "docker0", "network.io.direction", dir))
	}
	for i, state := range []string{"established", "time_wait"} {
		all = append(all, metric(g, "system.network.connection.count", "{connection}", func(t float64) float64 { return math.Round(wave(t, []float64{380, 90}[i], 30, 0, 50)) }, "network.connection.state", state, "network.transport", "tcp"))
	}
	slices.SortFunc(all, func(a, b made) int {
		if a.Key() < b.Key() {
			return -1
		}
		return 1
	})
	return all
}

func newMachine(age time.Duration) *machine {
	born := time.Now().Add(-age)
	m := &machine{
		state: muster.Up, born: born, metrics: host(), hub: live.New(live.Options{}), role: muster.Admin, quick: time.Now().Add(-20 * time.Second), now: time.Now,
		node: muster.Node{
			ID: muster.NewNodeID(), Name: "db-primary", Hostname: "db-primary", Addresses: []string{"10.0.4.12", "2a01:4f8:c17::12"},
			Tags: []string{"db", "env=prod", "team=core"}, Star: true, AgentVersion: "0.1.0", Period: 10 * time.Second, CreatedAt: born, Rev: 3,
			Facts: map[string]string{"os.type": "linux", "os.name": "Debian GNU/Linux", "os.version": "12", "os.kernel.release": "6.1.0-18-amd64", "host.cpu.model.name": "AMD EPYC 7763", "system.cpu.logical.count": "8", "system.memory.limit": "34359738368", "cloud.provider": "hetzner", "cloud.region": "fsn1", "host.type": "ccx33"},
		},
	}
	if age < time.Hour {
		m.quick = born
	}
	return m
}

// at gives the instants of frames in a span.
func (m *machine) at(from, to time.Time) (out []int64) {
	now := m.now()
	if to.After(now) {
		to = now
	}
	for t := from.Truncate(time.Second); t.Before(to); t = t.Add(time.Second) {
		if t.Before(from) || t.Before(m.born) || !m.silent.IsZero() && t.After(m.silent) || t.Before(m.quick) && t.Unix()%10 != 0 {
			continue
		}
		if slices.ContainsFunc(m.holes, func(h [2]time.Time) bool { return t.After(h[0]) && t.Before(h[1]) }) {
			continue
		}
		out = append(out, t.UnixMilli())
	}
	return out
}

func (m *machine) Query(_ context.Context, q series.Query) (*series.Answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	step := max(q.MinStep, q.To.Sub(q.From)/time.Duration(max(q.Points, 1)), time.Second)
	if m.quick.After(q.From) && m.quick.After(m.born) {
		step = max(step, 10*time.Second)
	}
	step = step.Round(time.Second)
	a := &series.Answer{Metric: q.Metric, From: q.From, To: q.To, Step: step}
	for i := range m.metrics {
		mm := &m.metrics[i]
		if mm.Name != q.Metric {
			continue
		}
		a.Unit, a.Kind = mm.Unit, mm.Kind
		if slices.ContainsFunc(mm.Attrs, func(x muster.Attr) bool { w, ok := q.Attrs[x.Key]; return ok && w != x.Value }) {
			continue
		}
		l := series.Line{Node: m.node.ID, Attrs: mm.Attrs}
		n := 0.0
		stride := 1
		at := m.at(q.From, q.To)
		if step > time.Minute {
			stride = int(step / (12 * time.Second))
		}
		for i := 0; i < len(at); i += max(1, stride/8) {
			v := mm.value(float64(at[i]) / 1000)
			t := at[i] - at[i]%step.Milliseconds()
			if t < q.From.UnixMilli() {
				continue
			}
			if k := len(l.Points) - 1; k >= 0 && l.Points[k].T == t {
				p := &l.Points[k]
				n++
				p.Min, p.Max, p.Avg = min(p.Min, v), max(p.Max, v), p.Avg+(v-p.Avg)/n
				continue
			}
			n = 1
			l.Points = append(l.Points, series.Point{T: t, Min: v, Avg: v, Max: v})
		}
		a.Lines = append(a.Lines, l)
	}
	return a, nil
}

func (m *machine) Metrics(context.Context, muster.AccountID, muster.NodeID) ([]series.MetricNow, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.at(m.now().Add(-20*time.Second), m.now())
	if len(at) == 0 && !m.silent.IsZero() {
		at = []int64{m.silent.UnixMilli()}
	}
	var out []series.MetricNow
	for i := range m.metrics {
		now := series.MetricNow{Metric: m.metrics[i].Metric, Source: m.metrics[i].source, Value: math.NaN()}
		if len(at) > 0 {
			now.At = at[len(at)-1]
			now.Value = m.metrics[i].value(float64(now.At) / 1000)
		}
		out = append(out, now)
	}
	return out, nil
}

func (m *machine) Get(_ muster.AccountID, id muster.NodeID) (inventory.Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if id != m.node.ID {
		return inventory.Row{}, fmt.Errorf("inventory: get: %w", muster.ErrNotFound)
	}
	n := m.node
	seen := m.now()
	if !m.silent.IsZero() {
		seen = m.silent
	}
	return inventory.Row{Node: &n, Now: muster.NodeNow{State: m.state, Since: seen, LastSeen: seen, Connected: m.state == muster.Up, Uptime: 58 * 86400, Metrics: len(m.metrics)}}, nil
}

func (m *machine) Events(context.Context, muster.AccountID, string, int) ([]muster.Event, string, error) {
	return m.events, "", nil
}

// beat tells the hub every second that a frame arrived, until the test ends.
func (m *machine) beat(t *testing.T) {
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				m.mu.Lock()
				silent := !m.silent.IsZero()
				m.mu.Unlock()
				if !silent {
					m.hub.Publish(live.Event{Account: m.node.Account, Topic: live.TopicNodes, Kind: "node", Node: m.node.ID, Data: func() any { return 1 }})
				}
			}
		}
	}()
}

// page gives the pages of the machine alone.
func (m *machine) page(t *testing.T) *node.Page {
	t.Helper()
	return node.New(m.options(shell.New(shell.Options{})))
}

func (m *machine) options(s *shell.Shell) node.Options {
	return node.Options{
		Shell: s, Board: m, Series: m, Hub: m.hub, Events: m,
		Quicken: func(muster.AccountID, muster.NodeID, time.Duration, time.Duration) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.quicken++
		},
		Change: func(_ context.Context, _ shell.Viewer, _ muster.NodeID, fn func(*muster.Node) error) error {
			m.mu.Lock()
			defer m.mu.Unlock()
			return fn(&m.node)
		},
		Remove: func(context.Context, shell.Viewer, muster.NodeID) error { m.removed = true; return nil },
	}
}

// site gives the pages of the machine with an admin looking.
func (m *machine) site(t *testing.T) http.Handler {
	t.Helper()
	s := shell.New(shell.Options{Version: "0.1.0", Nav: []shell.NavItem{
		{Key: "overview", Title: "Overview", Href: "/"}, {Key: "nodes", Title: "Nodes", Href: "/nodes"}, {Key: "settings", Title: "Settings", Href: "/settings", Wide: true},
	}})
	p := node.New(m.options(s))
	mux := http.NewServeMux()
	p.Routes(mux)
	mux.Handle(shell.AssetPrefix, s.AssetHandler())
	viewer := shell.Viewer{Identity: auth.Identity{Account: m.node.Account, User: "user_1", Name: "admin", Role: m.role}, AccountName: "acme", CSRF: "token", HasPassword: true}
	return shell.Secure(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(shell.WithViewer(r.Context(), viewer)))
	}))
}
