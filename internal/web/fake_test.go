package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"muster"
	"muster/internal/auth"
	"muster/internal/filter"
	"muster/internal/inventory"
	"muster/internal/live"
	"muster/internal/web"
	"muster/internal/web/login"
	"muster/internal/web/nodes"
	"muster/internal/web/overview"
	"muster/internal/web/shell"
)

// world is a site with invented servers behind the real inventory and the real hub.
type world struct {
	account muster.AccountID
	store   *fakeStore
	inv     *inventory.Inventory
	hub     *live.Hub
	auth    *fakeAuth
	handler http.Handler
	events  []muster.Event
	quiet   map[int]bool // nodes that send nothing
	net     map[int]*[2]float64
	schema  *muster.Schema
	mu      sync.Mutex
	rnd     *rand.Rand
	back    atomic.Int64 // how far the inventory's clock is behind, for sending frames of the past
}

// fakeStore remembers nodes; the rest of the store is not asked for.
type fakeStore struct {
	inventory.Store
	mu    sync.Mutex
	nodes []muster.Node
	acct  muster.Account
}

func (s *fakeStore) Accounts(context.Context) ([]*muster.Account, error) {
	return []*muster.Account{&s.acct}, nil
}
func (s *fakeStore) Nodes(context.Context, muster.AccountID) ([]*muster.Node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*muster.Node
	for i := range s.nodes {
		n := s.nodes[i]
		out = append(out, &n)
	}
	return out, nil
}
func (s *fakeStore) UpdateNode(_ context.Context, _ muster.AccountID, id muster.NodeID, _ uint64, change func(*muster.Node) error) (*muster.Node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.nodes {
		if s.nodes[i].ID == id {
			n := s.nodes[i]
			if err := change(&n); err != nil {
				return nil, err
			}
			n.Rev++
			s.nodes[i] = n
			return &n, nil
		}
	}
	return nil, fmt.Errorf("fake: %w", muster.ErrNotFound)
}
func (s *fakeStore) AppendEvents(context.Context, []muster.Event) error { return nil }

// fakeAuth knows one person; her session is "good", her CSRF token "token".
type fakeAuth struct {
	account  muster.AccountID
	mu       sync.Mutex
	password string
	code     string
}

func (a *fakeAuth) me() auth.Identity {
	return auth.Identity{Account: a.account, User: "user_01", Name: "admin", Role: muster.Admin}
}
func (a *fakeAuth) Session(_ context.Context, cookie string) (auth.Identity, string, error) {
	if cookie != "good" {
		return auth.Identity{}, "", fmt.Errorf("fake: %w", muster.ErrDenied)
	}
	return a.me(), "token", nil
}
func (a *fakeAuth) CheckCSRF(cookie, token string) bool { return cookie == "good" && token == "token" }
func (a *fakeAuth) HasPassword(context.Context, auth.Identity) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.password != ""
}
func (a *fakeAuth) SignIn(_ context.Context, name, password, _ string) (string, auth.Identity, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if password == "slow down" {
		return "", auth.Identity{}, &auth.LimitedError{After: 1500 * time.Millisecond}
	}
	if name != "admin" || a.password == "" || password != a.password {
		return "", auth.Identity{}, fmt.Errorf("fake: %w", muster.ErrDenied)
	}
	return "good", a.me(), nil
}
func (a *fakeAuth) Redeem(_ context.Context, code string) (string, auth.Identity, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if code == "" || code != a.code {
		return "", auth.Identity{}, fmt.Errorf("fake: %w", muster.ErrDenied)
	}
	a.code = ""
	return "good", a.me(), nil
}
func (a *fakeAuth) SignOut(context.Context, string) error { return nil }
func (a *fakeAuth) SetPassword(_ context.Context, _ auth.Identity, old, fresh string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.password != "" && old != a.password:
		return fmt.Errorf("fake: %w: wrong", muster.ErrDenied)
	case len(fresh) < 8:
		return fmt.Errorf("fake: set password: %w: a password has at least 8 characters", muster.ErrInvalid)
	}
	a.password = fresh
	return nil
}

func parse(text string) (inventory.Matcher, error) {
	return filter.Parse(text)
}

func newWorld(t testing.TB, count int, quiet ...int) *world {
	t.Helper()
	w := &world{account: muster.NewAccountID(), quiet: map[int]bool{}, net: map[int]*[2]float64{}, rnd: rand.New(rand.NewPCG(1, 2))}
	w.store = &fakeStore{acct: muster.Account{ID: w.account, Name: "acme"}}
	w.auth = &fakeAuth{account: w.account, code: "once", password: "correct horse"}
	for i := range count {
		w.store.nodes = append(w.store.nodes, w.node(i))
	}
	for _, i := range quiet {
		w.quiet[i] = true
		w.store.nodes[i].Period = time.Second // so that it is missed soon
	}
	w.hub = live.New(live.Options{})
	w.back.Store(int64(10 * time.Minute)) // the process is not so young that silence means nothing
	inv, err := inventory.Open(context.Background(), w.store, inventory.Options{SilentAfter: time.Second, Now: func() time.Time { return time.Now().Add(-time.Duration(w.back.Load())) }, Changed: func(c inventory.Change) {
		w.hub.Publish(live.Event{Account: c.Account, Topic: live.TopicNodes, Kind: "node", Node: c.Node, Data: func() any { return 1 }})
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.inv = inv
	w.back.Store(0)
	w.schema = hostSchema(t)
	w.events = events(w.store.nodes)
	w.handler = w.site()
	return w
}

func (w *world) site() http.Handler {
	sh := shell.New(shell.Options{Version: "0.1.0", Nav: []shell.NavItem{
		{Key: "overview", Title: "Overview", Href: "/"}, {Key: "nodes", Title: "Nodes", Href: "/nodes"},
		{Key: "changelog", Title: "Changelog", Href: "/changelog", Wide: true}, {Key: "health", Title: "Health", Href: "/health", Wide: true},
		{Key: "settings", Title: "Settings", Href: "/settings"},
	}, Counts: func(_ context.Context, v shell.Viewer) map[string]shell.Count {
		return map[string]shell.Count{"nodes": {Text: fmt.Sprint(w.inv.Totals(v.Account).Nodes)}}
	}})
	sh.AddAssets("chart", os.DirFS("chart"))
	in := login.New(login.Options{Shell: sh, Auth: w.auth})
	return web.New(web.Options{
		Shell: sh, Auth: w.auth, Open: in.OpenRoutes,
		AccountName: func(context.Context, muster.AccountID) string { return "acme" },
		Pages: []web.Router{
			in,
			overview.New(overview.Options{Shell: sh, Board: w.inv, Hub: w.hub, Started: time.Now().Add(-41 * time.Second), Reach: "listens on 127.0.0.1 only · nothing leaves this machine",
				Events: func(_ context.Context, _ muster.AccountID, _ string, limit int) ([]muster.Event, string, error) {
					return w.events[:min(limit, len(w.events))], "", nil
				}, Graphs: func(context.Context, muster.AccountID, muster.NodeID) (overview.Graphs, error) {
					return overview.Graphs{Points: charts(time.Now()), Data: "/quiet/data", Stream: "/quiet/live"}, nil
				}}),
			quiet{},
			nodes.New(nodes.Options{Shell: sh, Board: w.inv, Hub: w.hub, Parse: parse, Change: w.change}),
		},
	})
}

// quiet answers for the charts' own addresses, which are another page's.
type quiet struct{}

func (quiet) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /quiet/live", func(w http.ResponseWriter, r *http.Request) {
		if _, err := shell.OpenStream(w); err == nil {
			<-r.Context().Done()
		}
	})
}

// charts are the first points of six charts, as the chart package sends them.
func charts(now time.Time) []byte {
	type line map[string]any
	const n = 41
	start := now.Add(-n * time.Second).UnixMilli()
	times := make([]int, n)
	wave := func(base, amp float64) []float64 {
		out := make([]float64, n)
		for i := range out {
			times[i] = i
			out[i] = base + amp*math.Abs(math.Sin(float64(i)*0.7)*math.Cos(float64(i)*1.3))
		}
		return out
	}
	panel := func(id, title, unit string, top float64, stack bool, rule string, lines ...line) map[string]any {
		return map[string]any{"id": id, "title": title, "unit": unit, "max": top, "floor": 0, "stack": stack, "rule": rule, "note": "", "mono": false, "wide": false, "hidden": 0, "step": 1000, "t0": start, "t": times, "lines": lines}
	}
	b, _ := json.Marshal(map[string]any{"now": now.UnixMilli(), "from": start, "to": now.UnixMilli(), "period": 1000, "panels": []any{
		panel("cpu", "CPU", "share", 1, true, "sum", line{"key": "user", "name": "user", "colour": 0, "v": wave(.1, .2)}, line{"key": "system", "name": "system", "colour": 1, "v": wave(.05, .05)}),
		panel("memory", "Memory", "share", 1, false, "first", line{"key": "used", "name": "used", "colour": 0, "v": wave(.38, .01)}),
		panel("load", "Load", "", 0, false, "first", line{"key": "1", "name": "1 min", "colour": 0, "v": wave(1, .3)}),
		panel("disk-io", "Disk I/O", "By/s", 0, false, "sum", line{"key": "read", "name": "read", "colour": 0, "v": wave(1e6, 1e6)}, line{"key": "write", "name": "write", "colour": 1, "v": wave(3e6, 8e6)}),
		panel("filesystems", "Filesystems", "share", 1, false, "most", line{"key": "/", "name": "/", "colour": 0, "v": wave(.54, 0)}),
		panel("network", "Network", "bit/s", 0, false, "first", line{"key": "in", "name": "in", "colour": 0, "v": wave(1e6, 3e6)}, line{"key": "out", "name": "out", "colour": 1, "v": wave(5e5, 1e6)}),
	}})
	return b
}

func (w *world) change(ctx context.Context, v shell.Viewer, id muster.NodeID, fn func(*muster.Node) error) error {
	_, err := w.inv.Update(ctx, inventory.Edit{Account: v.Account, Node: id, Actor: string(v.User)}, fn)
	return err
}

var kinds = []string{"api", "web", "db", "cache", "queue", "search", "edge-fra", "edge-nyc", "ci-runner", "mail", "ns", "metrics", "bastion", "gw-eu"}

func (w *world) node(i int) muster.Node {
	kind := kinds[i%len(kinds)]
	provider := [][2]string{{"aws", "eu-central-1"}, {"hetzner", "fsn1"}, {"openstack", "par"}, {"", ""}, {"gcp", "europe-west4"}, {"aws", "us-east-1"}, {"hetzner", "nbg1"}}[i%7]
	system := [][2]string{{"Debian GNU/Linux", "12"}, {"Ubuntu", "24.04"}, {"Debian GNU/Linux", "12"}, {"AlmaLinux", "9.4"}}[i%4]
	n := muster.Node{
		ID: muster.NewNodeID(), Account: w.account, Rev: 1, Name: fmt.Sprintf("%s-%02d", kind, i/len(kinds)+1), Period: 10 * time.Second,
		Addresses: []string{fmt.Sprintf("10.0.%d.%d", i/250, i%250+2), fmt.Sprintf("2a01:4f8:c17::%x", i+1)}, Star: i%17 == 0,
		Tags:      [][]string{{"env=prod", "web"}, {"db", "env=prod"}, {"cache"}, {"edge"}, {"dns", "env=stage"}}[i%5],
		Facts:     map[string]string{"os.type": "linux", "os.name": system[0], "os.version": system[1], "system.cpu.logical.count": "8", "system.memory.limit": "34359738368"},
		CreatedAt: time.Now().Add(-time.Duration(i*7+1) * time.Hour),
	}
	if provider[0] != "" {
		n.Facts["cloud.provider"], n.Facts["cloud.region"] = provider[0], provider[1]
	}
	if i == 11 {
		n.Name = "a-very-long-name-that-somebody-gave-a-machine-in-a-hurry.production.eu-central-1.example.internal"
		n.Tags = []string{"customer=the-very-long-name-of-a-customer", "env=prod", "monitoring", "web"}
	}
	return n
}

func hostSchema(t testing.TB) *muster.Schema {
	attr := func(k, v string) []muster.Attr { return []muster.Attr{{Key: k, Value: v}} }
	s, err := muster.NewSchema([]muster.Metric{
		{Name: "system.cpu.utilization", Unit: "1", Kind: muster.Gauge, Attrs: attr("cpu.mode", "idle")},
		{Name: "system.cpu.utilization", Unit: "1", Kind: muster.Gauge, Attrs: attr("cpu.mode", "user")},
		{Name: "system.memory.utilization", Unit: "1", Kind: muster.Gauge, Attrs: attr("system.memory.state", "used")},
		{Name: "system.filesystem.utilization", Unit: "1", Kind: muster.Gauge, Attrs: []muster.Attr{{Key: "system.filesystem.mountpoint", Value: "/"}, {Key: "system.filesystem.state", Value: "used"}}},
		{Name: "system.network.io", Unit: "By", Kind: muster.Counter, Attrs: []muster.Attr{{Key: "network.interface.name", Value: "eth0"}, {Key: "network.io.direction", Value: "receive"}}},
		{Name: "system.network.io", Unit: "By", Kind: muster.Counter, Attrs: []muster.Attr{{Key: "network.interface.name", Value: "eth0"}, {Key: "network.io.direction", Value: "transmit"}}},
		{Name: "system.uptime", Unit: "s", Kind: muster.Gauge},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// past lets every server tell its last five minutes; the quiet ones stopped three minutes ago.
func (w *world) past() {
	for age := 30; age >= 0; age-- {
		ago := time.Duration(age) * 10 * time.Second
		w.back.Store(int64(ago))
		for i := range w.store.nodes {
			if !w.quiet[i] || ago > 3*time.Minute {
				w.tell(i, time.Now().Add(-ago))
			}
		}
	}
	w.back.Store(0)
	if len(w.quiet) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), 5500*time.Millisecond)
		defer cancel()
		w.inv.Run(ctx) // judges once a second
	}
}

// tell sends a frame of node i, measured at that instant.
func (w *world) tell(i int, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	io := w.net[i]
	if io == nil {
		io = &[2]float64{1e9, 2e9}
		w.net[i] = io
	}
	cpu := math.Abs(math.Sin(float64(i)*1.7))*0.55 + w.rnd.Float64()*0.1
	io[0] += (0.2 + w.rnd.Float64()) * float64(i%9+1) * 1e6
	io[1] += (0.2 + w.rnd.Float64()*w.rnd.Float64()*4) * float64(i%13+1) * 1e6
	values := []float64{1 - cpu, cpu, 0.2 + math.Abs(math.Cos(float64(i)))*0.6, 0.1 + float64(i*13%80)/100, io[0], io[1], 86400}
	w.inv.Observe([]*muster.Frame{{Account: w.account, Node: w.store.nodes[i].ID, Source: muster.HostSource, At: at.UnixMilli(), Sent: at.UnixMilli(), Schema: w.schema, Values: values}})
}

func events(list []muster.Node) []muster.Event {
	texts := []string{"joined after 41 s", "is silent since 13:41", "runs kernel 6.1.0-31 now, before 6.1.0-28", "tag canary added by deploy-bot", "was stopped by admin", "has the address 10.0.4.12 now"}
	var out []muster.Event
	at := time.Now().Add(-3 * time.Minute)
	for i := 0; i < min(60, len(list)*6); i++ {
		n := list[i*3%len(list)]
		out = append(out, muster.Event{ID: fmt.Sprint(i), At: at, Kind: "node.changed", Actor: "agent", Subject: n.ID.String(), Name: n.Name, Text: texts[i%len(texts)]})
		at = at.Add(-time.Duration(i*i+3) * time.Minute / 2)
	}
	return out
}

func byNameFirst(n int) inventory.ListOptions {
	return inventory.ListOptions{Sort: inventory.SortName, Limit: n}
}

// counter is a browser that only counts.
type counter struct {
	header http.Header
	n      atomic.Int64
}

func (c *counter) Header() http.Header { return c.header }
func (c *counter) WriteHeader(int)     {}
func (c *counter) Flush()              {}
func (c *counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}
