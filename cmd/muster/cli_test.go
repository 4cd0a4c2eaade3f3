package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"muster/api"
)

var rewrite = flag.Bool("rewrite", false, "write what is shown over the golden files")

// fakeServer answers the API's paths with what a test put there, and remembers the last change.
type fakeServer struct {
	*httptest.Server
	t       *testing.T
	token   string
	answers map[string]any // "GET /v1/nodes"
	body    string
	ifMatch string
	query   string
}

func newFake(t *testing.T) *fakeServer {
	f := &fakeServer{t: t, token: "secret", answers: map[string]any{}}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	f.answers["GET /v1/nodes"] = api.List[api.Node]{Items: []api.Node{upNode(), downNode()}}
	f.answers["GET /v1/nodes?name=web-1"] = api.List[api.Node]{Items: []api.Node{upNode()}}
	f.answers["GET /v1/nodes?name=nope"] = api.List[api.Node]{Items: []api.Node{}}
	f.answers["GET /v1/nodes/"+nodeID] = upNode()
	f.answers["PATCH /v1/nodes/"+nodeID] = upNode()
	f.answers["DELETE /v1/nodes/"+nodeID] = nil
	return f
}

func (f *fakeServer) serve(w http.ResponseWriter, r *http.Request) {
	problem := func(status int, text string) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(api.Problem{Status: status, Title: text, Detail: text})
	}
	if got := r.Header.Get("Authorization"); got != "Bearer "+f.token {
		problem(401, "The token is unknown or was revoked.")
		return
	}
	key := r.Method + " " + r.URL.Path
	if name := r.URL.Query().Get("name"); name != "" {
		key += "?name=" + name
	}
	f.query = r.URL.RawQuery
	if r.Method != http.MethodGet {
		var b bytes.Buffer
		_, _ = b.ReadFrom(r.Body)
		f.body, f.ifMatch = b.String(), r.Header.Get("If-Match")
	}
	answer, ok := f.answers[key]
	switch status, isStatus := answer.(int); {
	case !ok:
		problem(404, "There is no such thing in this account.")
	case isStatus:
		problem(status, "Refused.")
	case answer == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}
}

const nodeID = "node_01h455vb4pex5vsknk084sn02q"

func p[T any](v T) *T { return &v }

func upNode() api.Node {
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	return api.Node{
		Object: api.Object{ID: nodeID, Rev: 3, CreatedAt: at, UpdatedAt: at}, Name: "web-1", Hostname: "web-1.example.com", State: "up", Star: true, Watched: true,
		Addresses: []string{"192.0.2.1"}, Tags: []string{"env=prod", "web"}, Facts: map[string]string{"os.name": "Debian GNU/Linux", "os.version": "12"},
		Notes: "# Rack 4\nsecond line", Agent: &api.Agent{Version: "1.0", Connected: true, Period: "10s"},
		Now: api.NodeNow{CPU: p(0.253), Memory: p(0.5), Disk: p(0.071), DiskMount: "/", Load: p(1.5), Uptime: p(93784.0), NetIn: p(1536.0), NetOut: p(12.0), Metrics: 120},
	}
}

func downNode() api.Node {
	n := upNode()
	n.ID, n.Name, n.State, n.Star, n.Tags, n.Now = "node_01h455vb4pex5vsknk084sn02r", "db-primary-of-the-whole-shop.example.com", "down", false, nil, api.NodeNow{}
	n.Name += "\x1b[31m"
	return n
}

// muster runs the command line.
func (f *fakeServer) muster(width int, args ...string) (code int, out, errs string) {
	f.t.Helper()
	var o, e bytes.Buffer
	env := map[string]string{"MUSTER_SERVER": f.URL, "MUSTER_TOKEN": "secret", "MUSTER_DATA": f.t.TempDir()}
	a := newApp(strings.NewReader(""), &o, &e, func(k string) (string, bool) { v, ok := env[k]; return v, ok })
	a.Width = width
	code = run(context.Background(), a, args)
	return code, o.String(), e.String()
}

// golden compares with a file of testdata; times of day and spans since then are taken out.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func TestShows(t *testing.T) {
	t.Setenv("TZ", "UTC")
	time.Local = time.UTC
	f := newFake(t)
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	points := []api.Point{}
	for i := range 30 {
		if i < 10 || i > 14 { // a gap
			points = append(points, api.Point{float64(at.Unix() + int64(i)*10), 0, float64(i) / 30, float64(i) / 30})
		}
	}
	line := api.Line{Node: nodeID, Attributes: map[string]string{"cpu.mode": "user"}, Points: points}
	f.answers["GET /v1/series"] = api.Series{Metric: "system.cpu.utilization", Unit: "1", From: at, To: at.Add(5 * time.Minute), Step: "10s", Series: []api.Line{line}}
	f.answers["GET /v1/nodes/"+nodeID+"/metrics"] = api.List[api.MetricNow]{Items: []api.MetricNow{
		{Metric: "system.cpu.utilization", Unit: "1", Type: "gauge", Attributes: map[string]string{"cpu.mode": "user"}, Last: &api.Sample{At: at, Value: 0.123}},
		{Metric: "system.disk.io", Unit: "By", Type: "counter", Attributes: map[string]string{"system.device": "sda", "disk.io.direction": "read"}, Last: &api.Sample{At: at, Value: 123456789}},
		{Metric: "system.uptime", Unit: "s", Type: "gauge", Attributes: map[string]string{}},
	}}
	f.answers["GET /v1/account"] = api.Account{Object: api.Object{ID: "account_1"}, Name: "main", Retention: "standard", RetentionClasses: []api.RetentionClass{
		{Name: "standard", Raw: "30d", Tiles5m: "180d", Tiles1h: "1095d", BytesPerNodeYear: 1 << 30}, {Name: "short", Raw: "7d", Tiles5m: "30d", Tiles1h: "365d"}}}
	f.answers["GET /v1/events"] = api.List[api.Event]{Items: []api.Event{
		{ID: "e2", At: at.Add(time.Hour), Kind: "node.joined", Actor: "agent", Name: "web-1", Text: "joined from 192.0.2.1"}, {ID: "e1", At: at, Kind: "user.created", Actor: "muster", Name: "admin", Text: "user added"}}}
	for name, c := range map[string]struct {
		width int
		args  []string
	}{
		"nodes-pipe": {0, []string{"node", "ls"}}, "nodes-120": {120, []string{"node", "ls"}}, "nodes-80": {80, []string{"node", "ls"}},
		"nodes-40": {40, []string{"node", "ls"}}, "nodes-json": {0, []string{"node", "ls", "-o", "json"}},
		"nodes-name": {0, []string{"node", "ls", "--output=name"}}, "node-yaml": {0, []string{"node", "show", "web-1", "-o", "yaml"}},
		"node-show": {80, []string{"node", "show", nodeID}}, "metrics-pipe": {0, []string{"node", "metrics", "web-1"}},
		"metrics-50": {50, []string{"node", "metrics", "web-1", "disk"}}, "series-pipe": {0, []string{"series", "system.cpu.utilization", "web-1"}},
		"series-80": {80, []string{"series", "system.cpu.utilization", "web-1", "--height=5"}}, "account": {80, []string{"account"}},
		"events": {0, []string{"event", "ls"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := f.muster(c.width, c.args...)
			if code != 0 || errs != "" {
				t.Fatalf("%d %s", code, errs)
			}
			golden(t, name, out)
			if strings.Contains(out, "\x1b") {
				t.Error("colours without a terminal")
			}
			for row := range strings.Lines(out) {
				if n := len([]rune(strings.TrimRight(row, "\n"))); c.width > 0 && n > c.width && name != "node-show" {
					t.Errorf("a row of %d in a terminal of %d: %s", n, c.width, row)
				}
			}
		})
	}
	lines := make([]api.Line, 3)
	for i := range lines {
		lines[i] = line
		lines[i].Attributes = map[string]string{"cpu.mode": "mode" + strconv.Itoa(i)}
	}
	f.answers["GET /v1/series"] = api.Series{Metric: "system.cpu.utilization", Unit: "1", From: at, To: at.Add(5 * time.Minute), Step: "10s", Series: lines}
	_, out, _ := f.muster(80, "series", "system.cpu.utilization", "web-1")
	golden(t, "series-sparklines", out)
}

func TestExitCodes(t *testing.T) {
	f := newFake(t)
	f.answers["POST /v1/enrollments"] = 403
	f.answers["GET /v1/users"] = 422
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"node", "ls"}, 0, ""},
		{[]string{"nod"}, 2, "did you mean node"},
		{[]string{"node", "renam"}, 2, "did you mean rename"},
		{[]string{"node", "show"}, 2, "use it like: muster node show NODE"},
		{[]string{"node", "ls", "--colour"}, 2, "unknown flag"},
		{[]string{"node", "ls", "-o", "xml"}, 2, "table, json, yaml, name"},
		{[]string{"series", "m", "web-1", "--attr", "x"}, 2, "key:value"},
		{[]string{"node", "show", "nope"}, 3, "muster node ls"},
		{[]string{"token", "rm", "token_1"}, 3, "muster token ls"},
		{[]string{"enroll"}, 4, "muster token ls"},
		{[]string{"node", "ls", "--token=wrong"}, 4, "MUSTER_TOKEN"},
		{[]string{"user", "ls"}, 2, "Refused"},
		{[]string{"node", "ls", "--server=http://127.0.0.1:1"}, 1, "muster serve"},
		{[]string{"node", "ls", "--server=ftp://x"}, 2, "https://"},
		{[]string{"node", "rm", "web-1"}, 1, "--yes"},
		{[]string{"version"}, 0, ""},
	} {
		code, _, errs := f.muster(0, c.args...)
		if code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("%v: %d, want %d: %s", c.args, code, c.code, errs)
		}
	}
}

func TestChanges(t *testing.T) {
	f := newFake(t)
	for _, c := range []struct {
		args       []string
		body, seen string
	}{
		{[]string{"node", "tag", "web-1", "env=test", "new"}, `{"tags":["env=test","new","web"]}`, `"3"`},
		{[]string{"node", "tag", "--", "web-1", "-web", "-env=prod"}, `{"tags":[]}`, `"3"`},
		{[]string{"node", "rename", "web-1", "web-2"}, `{"name":"web-2"}`, `"3"`},
		{[]string{"node", "rm", "web-1", "--yes"}, ``, ``},
	} {
		if code, _, errs := f.muster(0, c.args...); code != 0 || f.body != c.body || f.ifMatch != c.seen {
			t.Errorf("%v: %d %s: sent %s with If-Match %s", c.args, code, errs, f.body, f.ifMatch)
		}
	}
	f.answers["POST /v1/tokens"] = api.Token{Object: api.Object{ID: "token_1"}, Name: "ci", Role: "operator", Secret: "s3cret"}
	if code, out, _ := f.muster(0, "token", "add", "ci", "--role", "operator"); code != 0 || out != "s3cret\n" || f.body != `{"name":"ci","role":"operator"}` {
		t.Errorf("%d %q %s", code, out, f.body)
	}
	f.answers["POST /v1/enrollments"] = api.Enrollment{Object: api.Object{ID: "enrollment_1"}, UsesLeft: 20, Command: "curl x | sh"}
	if code, out, _ := f.muster(0, "enroll", "--uses=20", "--ttl=1d", "-o", "name"); code != 0 || out != "curl x | sh\n" || f.body != `{"uses":20,"ttl":"1d"}` {
		t.Errorf("%d %q %s", code, out, f.body)
	}
	if code, out, _ := f.muster(0, "__complete", "node", "show", "w"); code != 0 || !strings.HasPrefix(out, "web-1\tup\n") {
		t.Errorf("completion gives %q", out)
	}
}

func TestUntrustedCertificatesNeedAPin(t *testing.T) {
	f := newFake(t)
	tls := httptest.NewTLSServer(f.Config.Handler)
	defer tls.Close()
	if code, _, errs := f.muster(0, "node", "ls", "--server", tls.URL); code != exitFailed || !strings.Contains(errs, "--pin") {
		t.Errorf("%d %s", code, errs)
	}
	pin := fmt.Sprintf("%x", sha256.Sum256(tls.Certificate().Raw))
	if code, _, errs := f.muster(0, "node", "ls", "--server", tls.URL, "--pin", pin); code != 0 {
		t.Errorf("%d %s", code, errs)
	}
}

func TestLocalToken(t *testing.T) {
	f := newFake(t)
	dir := t.TempDir()
	env := map[string]string{}
	try := func(args ...string) (int, string) {
		var o, e bytes.Buffer
		a := newApp(strings.NewReader(""), &o, &e, func(k string) (string, bool) { v, ok := env[k]; return v, ok })
		code := run(context.Background(), a, append(args, "--data", dir))
		return code, e.String()
	}
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		_ = os.Remove(filepath.Join(dir, name))
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	if code, _ := try("node", "ls", "--server", f.URL); code != exitDenied {
		t.Errorf("no token: %d", code)
	}
	write(localToken, "secret\n", 0o600)
	if code, errs := try("node", "ls", "--server", f.URL); code != 0 {
		t.Errorf("the token in the data directory: %d %s", code, errs)
	}
	write(localServer, f.URL+"\n", 0o600)
	if code, errs := try("node", "ls"); code != 0 {
		t.Errorf("the address in the data directory: %d %s", code, errs)
	}
	env["MUSTER_TOKEN"] = "wrong"
	if code, _ := try("node", "ls"); code != exitDenied {
		t.Errorf("an own token goes first: %d", code)
	}
	delete(env, "MUSTER_TOKEN")
	write(localToken, "secret\n", 0o644)
	if code, errs := try("node", "ls"); code != exitDenied || !strings.Contains(errs, "read by others") {
		t.Errorf("a token that others can read: %d %s", code, errs)
	}
}

func TestTheLocalTokenStaysHere(t *testing.T) {
	for server, here := range map[string]bool{
		"": true, "http://127.0.0.1:8080": true, "127.0.0.2:1": true, "localhost": true, "https://[::1]:8080": true,
		"http://muster.example.com": false, "http://127.0.0.1.example.com": false, "http://localhost@example.com": false, "http://10.0.0.1": false, "http://a b": false,
	} {
		if got := onThisMachine(server); got != here {
			t.Errorf("%q: %v", server, got)
		}
	}
}
