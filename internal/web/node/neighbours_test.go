package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"muster"
	"muster/api"
	"muster/internal/auth"
	"muster/internal/live"
	"muster/internal/series"
	"muster/internal/web/addserver"
	"muster/internal/web/health"
	"muster/internal/web/settings"
	"muster/internal/web/shell"
)

// office is a made-up account with people and tokens, and the part of the API that the settings call.
type office struct {
	mu      sync.Mutex
	account muster.Account
	users   []*muster.User
	tokens  []*muster.Token
	invites []*muster.Enrollment
	calls   []string
	role    muster.Role
	*machine
}

func newOffice() *office {
	old := time.Now().Add(-90 * 24 * time.Hour)
	o := &office{machine: newMachine(time.Hour), role: muster.Admin, account: muster.Account{Name: "acme", Retention: "standard", Rev: 4}}
	o.users = []*muster.User{
		{ID: "user_1", Name: "admin", Role: muster.Admin, PasswordHash: "x", CreatedAt: old},
		{ID: "user_2", Name: "ada@example.org", Role: muster.Operator, CreatedAt: old.Add(time.Hour)},
	}
	o.tokens = []*muster.Token{{ID: "token_1", Name: "deploy", Role: muster.Operator, CreatedAt: old, LastUsedAt: time.Now().Add(-3 * time.Minute)}, {ID: "token_2", Name: "grafana", Role: muster.Observer, CreatedAt: old}}
	return o
}

func (o *office) Account(context.Context, muster.AccountID) (*muster.Account, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.account
	return &a, nil
}

func (o *office) Users(context.Context, muster.AccountID) ([]*muster.User, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.users), nil
}

func (o *office) Tokens(context.Context, muster.AccountID) ([]*muster.Token, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.tokens), nil
}

func (o *office) Enrollments(context.Context, muster.AccountID) ([]*muster.Enrollment, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.invites), nil
}

// api answers as the REST API does, as far as the pages need it.
func (o *office) api(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	if r.Method != http.MethodDelete {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls = append(o.calls, fmt.Sprint(r.Method, " ", r.URL.Path, " ", r.Header.Get("X-Muster-CSRF")))
	answer := map[string]any{}
	switch r.Method + " " + r.URL.Path {
	case "POST /v1/tokens":
		o.tokens = append(o.tokens, &muster.Token{ID: "token_3", Name: body["name"].(string), Role: muster.Role(body["role"].(string)), CreatedAt: time.Now()})
		answer["secret"] = "muster_8f2k1q0s9d7a"
	case "POST /v1/users":
		if body["name"] == "admin" {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusConflict)
			w.Write([]byte(`{"title":"Conflict","detail":"There is a user \"admin\" already."}`))
			return
		}
		o.users = append(o.users, &muster.User{ID: "user_3", Name: body["name"].(string), Role: muster.Role(body["role"].(string)), CreatedAt: time.Now()})
		answer["login_url"] = "http://" + r.Host + "/login/abc"
	case "POST /v1/enrollments":
		o.invites = append(o.invites, &muster.Enrollment{ID: "enrollment_1", UsesLeft: int(body["uses"].(float64)), CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)})
		answer["id"], answer["token"], answer["uses_left"] = "enrollment_1", "enroll_abcdefghijklmnop", 1
		answer["expires_at"] = time.Now().Add(time.Hour).Format(time.RFC3339)
		answer["command"] = "curl -fsS http://" + r.Host + "/join/enroll_abcdefghijklmnop | sudo sh"
	case "PATCH /v1/account":
		if v, ok := body["retention"].(string); ok {
			o.account.Retention = v
		}
	case "DELETE /v1/tokens/token_1":
		o.tokens = o.tokens[1:]
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer)
}

// site gives the settings, the page that adds a server and the health page.
func (o *office) site(t *testing.T) http.Handler {
	t.Helper()
	s := shell.New(shell.Options{Version: "0.1.0", Nav: []shell.NavItem{
		{Key: "overview", Title: "Overview", Href: "/"}, {Key: "nodes", Title: "Nodes", Href: "/nodes"},
		{Key: "settings", Title: "Settings", Href: "/settings", Wide: true}, {Key: "health", Title: "Health", Href: "/health", Wide: true},
	}})
	classes := series.DefaultClasses()
	classes[0].BytesPerNodeYear = 310 << 20
	mux := http.NewServeMux()
	settings.New(settings.Options{Shell: s, Store: o, Classes: func() []series.Class { return classes }, Nodes: func(muster.AccountID) int { return 248 }}).Routes(mux)
	addserver.New(addserver.Options{Shell: s, Board: o.machine, Hub: o.hub, Agents: func() []addserver.Agent {
		return []addserver.Agent{
			{OS: "linux", Arch: "arm64", Size: 9 << 20, SHA256: strings.Repeat("0f1e2d3c", 8), URL: "/download/muster-agent-linux-arm64"},
			{OS: "linux", Arch: "amd64", Size: 10 << 20, SHA256: strings.Repeat("9a8b7c6d", 8), URL: "/download/muster-agent-linux-amd64"},
		}
	}}).Routes(mux)
	health.New(health.Options{
		Shell: s, Board: o.machine, Series: o.machine, Hub: o.hub, Started: time.Now().Add(-2 * time.Hour), Data: "/var/lib/muster",
		Self: func(context.Context, muster.AccountID) (muster.NodeID, bool) {
			return o.node.ID, o.role == muster.Admin
		},
		Parts: func(context.Context) []api.Part {
			return []api.Part{{Name: "disk", Ready: true}, {Name: "series", Ready: true}}
		},
		Stats: func() series.Stats {
			return series.Stats{Nodes: 248, HeadBytes: 14 << 20, OpenBlocks: 496, Frames: 178560, Samples: 17_856_000, Segments: 7213, StoreBytes: 3 << 30, BytesPerSample: .91}
		},
	}).Routes(mux)
	mux.HandleFunc("/v1/", o.api)
	mux.Handle(shell.AssetPrefix, s.AssetHandler())
	viewer := shell.Viewer{Identity: auth.Identity{Account: o.node.Account, User: "user_1", Name: "admin", Role: o.role}, AccountName: "acme", CSRF: "token", HasPassword: true}
	return shell.Secure(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(shell.WithViewer(r.Context(), viewer)))
	}))
}

// own gives what the program measures of itself.
func own() []made {
	g, c := muster.Gauge, muster.Counter
	all := []made{
		metric(c, "muster_ingest_samples_total", "1", waves(2480, 60, 0, 1)),
		metric(c, "muster_gateway_ack_seconds_sum", "s", waves(.1, .02, .03, 2)), metric(c, "muster_gateway_ack_seconds_count", "1", flat(24.8)),
		metric(c, "muster_series_append_seconds_sum", "s", waves(.05, .01, .03, 3)), metric(c, "muster_series_append_seconds_count", "1", flat(24.8)),
		metric(g, "muster_gateway_connections", "1", flat(248)), metric(c, "muster_series_segments_total", "1", waves(1, .2, 0, 5)),
		metric(g, "muster_series_seal_lag_seconds", "s", flat(0)), metric(g, "muster_series_head_bytes", "By", waves(14e6, 1e6, 0, 6)),
		metric(g, "muster_series_waiting_frames", "1", func(t float64) float64 { return math.Round(wave(t, 2, 2, .02, 7)) }),
		metric(g, "muster_inventory_events_waiting", "1", flat(0)), metric(g, "muster.agent.memory.usage", "By", waves(58e6, 2e6, 0, 8)),
		metric(c, "muster.agent.cpu.time", "s", waves(.02, .01, .02, 9)), metric(g, "muster_series_disk_bytes", "By", flat(3e9)),
		metric(g, "muster_store_disk_bytes", "By", flat(4e6)), metric(g, "muster_disk_free_bytes", "By", flat(41e9)),
	}
	for i := range all {
		all[i].source = "muster"
	}
	slices.SortFunc(all, func(a, b made) int { return strings.Compare(a.Key(), b.Key()) })
	return all
}

func TestHealth(t *testing.T) {
	o := newOffice()
	o.metrics = own()
	o.beat(t)
	b := openTab(t, o.site(t))
	b.do(chromedp.Navigate(b.base + "/health"))
	b.until("drawn", drawn)
	if got := eval[string](b, `document.querySelector("h1").textContent`); got != "All is well." {
		t.Errorf("the page says %q", got)
	}
	// 0.1 s of waiting in 24.8 acknowledgements a second is 4 ms each.
	if got := eval[string](b, `document.querySelector('[data-panel="ack"] .now').textContent`); !strings.Contains(got, "ms") {
		t.Errorf("acknowledgement takes %q", got)
	}
	b.shots("health")
}

func TestHealthIsForTheOperatorsOnly(t *testing.T) {
	o := newOffice()
	o.role = muster.Observer
	if got := get(t, o.site(t), "/health", 200); !strings.Contains(got, "shown to those who run it") || strings.Contains(got, "/var/lib/muster") {
		t.Error("an account that does not run the server sees its health")
	}
	get(t, o.site(t), "/health/data", 404)
}

func TestSettings(t *testing.T) {
	o := newOffice()
	b := openTab(t, o.site(t))
	b.do(chromedp.Navigate(b.base + "/settings"))
	b.until("ready", `document.querySelector("#tokens .call")`)
	b.shots("settings")
	b.do(chromedp.SendKeys("#tokens input[name=name]", "ci"), chromedp.Click("#tokens form .btn.primary"))
	b.until("the secret shown", `document.querySelector("#tokens .shown code")?.textContent === "muster_8f2k1q0s9d7a"`)
	b.until("in the list", `[...document.querySelectorAll("#tokens th.name")].some((e) => e.textContent === "ci")`)
	b.shot("settings-secret")
	b.do(chromedp.Click(`#tokens button[data-api="DELETE /v1/tokens/token_1"]`))
	b.until("asked once more", `document.querySelector('#tokens button[data-asked]')?.textContent === "Revoke deploy?"`)
	b.do(chromedp.Click(`#tokens button[data-api="DELETE /v1/tokens/token_1"]`))
	b.until("gone", `![...document.querySelectorAll("#tokens th.name")].some((e) => e.textContent === "deploy")`)
	b.do(chromedp.Click(`#account form.inline button`))
	b.until("chosen", `document.querySelector("#account tr.chosen th").textContent === "short"`)
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, call := range o.calls {
		if !strings.HasSuffix(call, " token") {
			t.Errorf("%q came without the CSRF token", call)
		}
	}
}

func TestSettingsTellWhatWentWrong(t *testing.T) {
	o := newOffice()
	b := openTab(t, o.site(t))
	b.expected = "409"
	b.do(chromedp.Navigate(b.base + "/settings"))
	b.until("ready", `document.querySelector("#users .call")`)
	b.do(chromedp.SendKeys("#users input[name=name]", "admin"), chromedp.Click("#users form .btn.primary"))
	b.until("told", `document.querySelector("#users .wrong")?.textContent.includes("already")`)
}

func TestSettingsByRole(t *testing.T) {
	for role, want := range map[muster.Role][]bool{muster.Admin: {true, true, true}, muster.Operator: {false, false, true}, muster.Observer: {false, false, false}} {
		o := newOffice()
		o.role = role
		page := get(t, o.site(t), "/settings", 200)
		for i, section := range []string{`id="users"`, `id="tokens"`, `id="enrollments"`} {
			if got := strings.Contains(page, section); got != want[i] {
				t.Errorf("%s: the section %s is there: %v", role, section, got)
			}
		}
		status := map[bool]int{true: 200, false: 403}[role == muster.Admin]
		get(t, o.site(t), "/settings/tokens", status)
		get(t, o.site(t), "/settings/users", status)
	}
	get(t, newOffice().site(t), "/settings/nothing", 404)
}

func TestAddServer(t *testing.T) {
	o := newOffice()
	b := openTab(t, o.site(t))
	b.do(chromedp.Navigate(b.base + "/nodes/add"))
	b.until("the line shown", `document.getElementById("line").textContent.startsWith("curl -fsS http")`)
	b.until("live", `document.getElementById("live").dataset.state === "on"`)
	b.shots("add")
	o.machine.mu.Lock()
	o.machine.node.Name = "web-7"
	o.machine.mu.Unlock()
	joined := muster.Event{Kind: "node.joined", Account: o.node.Account, Subject: o.node.ID.String()}
	o.hub.Publish(live.Event{Account: o.node.Account, Topic: live.TopicEvents, Kind: "event", Data: func() any { return joined }})
	b.until("there", `document.querySelector("#joined a")?.href.endsWith("/nodes/`+o.node.ID.String()+`") && document.querySelector("#joined li").textContent.includes("is measured")`)
	b.shot("add-joined")
	o.mu.Lock()
	n := len(o.invites)
	o.mu.Unlock()
	if n != 1 {
		t.Errorf("%d invitations were made for one server", n)
	}
}

func TestAddServerTakesAnOperator(t *testing.T) {
	o := newOffice()
	o.role = muster.Observer
	if page := get(t, o.site(t), "/nodes/add", 200); strings.Contains(page, `id="line"`) || !strings.Contains(page, "An operator can add servers") {
		t.Error("an observer is shown how to add servers")
	}
}
