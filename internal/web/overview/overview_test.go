package overview

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jba/templatecheck"

	"muster"
	"muster/internal/auth"
	"muster/internal/inventory"
	"muster/internal/live"
	"muster/internal/web/shell"
)

// fakeBoard gives its rows, which lie in the order of their states.
type fakeBoard struct {
	mu   sync.Mutex
	rows []inventory.Row
}

func (b *fakeBoard) List(muster.AccountID, inventory.ListOptions) ([]inventory.Row, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rows, len(b.rows)
}

func (b *fakeBoard) Counts(a muster.AccountID) map[muster.NodeState]int { return b.Totals(a).States }

func (b *fakeBoard) Totals(muster.AccountID) inventory.Totals {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := inventory.Totals{Nodes: len(b.rows), States: map[muster.NodeState]int{}, CPU: 0.38, Memory: math.NaN(), NetIn: 125e6, NetOut: 250e6}
	for _, r := range b.rows {
		t.States[r.Now.State]++
	}
	return t
}

func (b *fakeBoard) set(states ...muster.NodeState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows = nil
	for i, s := range states {
		n := &muster.Node{ID: muster.NewNodeID(), Name: fmt.Sprintf("node-%d", i), CreatedAt: time.Now().Add(-time.Hour * time.Duration(20*i)),
			Facts: map[string]string{"os.name": "Debian GNU/Linux", "os.version": "12", "system.cpu.logical.count": "8", "system.memory.limit": "34359738368"}}
		if i%2 == 1 {
			n.Facts["cloud.provider"] = "aws"
		}
		b.rows = append(b.rows, inventory.Row{Node: n, Now: muster.NodeNow{State: s, CPU: 0.55, LastSeen: time.Now().Add(-4 * time.Minute), Since: time.Now().Add(-3 * time.Minute)}})
	}
}

type site struct {
	board    *fakeBoard
	hub      *live.Hub
	page     *Page
	handler  http.Handler
	viewer   shell.Viewer
	events   []muster.Event
	troubles []Trouble
	fail     error
}

func newSite(t *testing.T, states ...muster.NodeState) *site {
	t.Helper()
	s := &site{board: &fakeBoard{}, hub: live.New(live.Options{}), viewer: shell.Viewer{Identity: auth.Identity{Account: muster.NewAccountID(), User: "user_1", Name: "ada", Role: muster.Admin}, CSRF: "token"}}
	s.board.set(states...)
	sh := shell.New(shell.Options{})
	sh.AddAssets("chart", chartStub)
	s.page = New(Options{
		Shell: sh, Board: s.board, Hub: s.hub, Started: time.Now().Add(-41 * time.Second), Reach: "listens on 127.0.0.1 only",
		Events: func(_ context.Context, _ muster.AccountID, before string, limit int) ([]muster.Event, string, error) {
			if before != "" {
				return nil, "", s.fail
			}
			return s.events[:min(limit, len(s.events))], "older", s.fail
		},
		Troubles: func(context.Context, muster.AccountID) []Trouble { return s.troubles },
		Graphs: func(_ context.Context, _ muster.AccountID, node muster.NodeID) (Graphs, error) {
			return Graphs{Points: []byte(`{"panels":[]}`), Data: "/nodes/" + node.String() + "/data", Stream: "/nodes/" + node.String() + "/live"}, nil
		},
	})
	mux := http.NewServeMux()
	s.page.Routes(mux)
	s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(shell.WithViewer(r.Context(), s.viewer)))
	})
	return s
}

func (s *site) get(path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

func TestTemplatesFitTheirTypes(t *testing.T) {
	p := newSite(t).page
	for name, data := range map[string]any{"body": &body{}, "now": &body{}, "first": &first{}, "event": muster.Event{}} {
		if err := templatecheck.CheckHTML(p.view.Template(name), data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := templatecheck.CheckHTML(p.log.Template("body"), &changes{}); err != nil {
		t.Error(err)
	}
}

func TestTheSentenceComesFirst(t *testing.T) {
	const up, down, stopped, pending, unknown = muster.Up, muster.Down, muster.Stopped, muster.Pending, muster.Unknown
	trouble := Trouble{Title: "The disk is nearly full", Detail: "Nothing is taken in until 512 MiB are free.", Href: "/health"}
	for _, c := range []struct {
		states   []muster.NodeState
		troubles []Trouble
		say, sub string
	}{
		{[]muster.NodeState{up, up}, nil, "All is well.", "2 of 2 nodes are up."},
		{[]muster.NodeState{up, up, stopped}, nil, "All is well.", "2 of 3 nodes are up, 1 stopped on purpose."},
		{[]muster.NodeState{unknown, pending, up}, nil, "All is well.", "1 of 3 nodes are up, 1 not heard of yet, 1 not heard of since the server started."},
		{[]muster.NodeState{down, up}, nil, "node-0 is silent.", "1 of 2 nodes are up."},
		{[]muster.NodeState{down, down, down, up}, nil, "Three nodes are silent.", "1 of 4 nodes are up."},
		{[]muster.NodeState{up, up}, []Trouble{trouble}, "The disk is nearly full.", "2 of 2 nodes are up."},
		{[]muster.NodeState{down, up}, []Trouble{trouble}, "Two things are wrong.", "1 of 2 nodes are up."},
	} {
		s := newSite(t, c.states...)
		s.troubles = c.troubles
		got := s.get("/").Body.String()
		if !strings.Contains(got, `<h1 class="say">`+c.say+`</h1>`) || !strings.Contains(got, `<p class="sub">`+c.sub+`</p>`) {
			t.Errorf("%v: want %q and %q in %s", c.states, c.say, c.sub, regexp.MustCompile(`(?s)<h1.*?</p>`).FindString(got))
		}
		if len(c.troubles) > 0 && !strings.Contains(got, trouble.Detail) {
			t.Error("the trouble is not told")
		}
	}
}

func TestFleet(t *testing.T) {
	s := newSite(t, muster.Down, muster.Up, muster.Up, muster.Stopped)
	s.events = []muster.Event{{At: time.Now(), Kind: "node.joined", Subject: s.board.rows[0].Node.ID.String(), Name: "node-0", Text: "joined <it>"}, {At: time.Now(), Kind: "token.created", Subject: "token_1", Name: "ci", Text: "was made"}}
	got := s.get("/").Body.String()
	for _, want := range []string{
		"Silent now", "no frame for <time", `aws 2</a>`, `own 2</a>`, `class="down"`, `class="u5"`, `class="stopped"`, `<b title="node-1">node-1</b>`, "<b>55%</b>", "38 %", "CPU in use of 32 cores", "nodes, &#43;2 today", "1.0 Gb/s · 2.0 Gb/s",
		`<a href="/nodes/` + s.board.rows[0].Node.ID.String() + `">node-0</a>`, "joined &lt;it&gt;", "<b>ci</b>", `data-view="fleet"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	for _, m := range regexp.MustCompile(`\sstyle=|\son[a-z]+=|<script>`).FindAllString(got, -1) {
		t.Errorf("the page has %q, which the policy forbids", m)
	}
}

func TestManySilentNodesAreCountedNotListed(t *testing.T) {
	var states []muster.NodeState
	for range 30 {
		states = append(states, muster.Down)
	}
	got := newSite(t, states...).get("/").Body.String()
	if n := strings.Count(got, "no frame for"); n != silentShown || !strings.Contains(got, "22 more") || !strings.Contains(got, "30 nodes are silent.") {
		t.Errorf("%d are listed", n)
	}
}

func TestFirstMinute(t *testing.T) {
	s := newSite(t, muster.Up)
	got := s.get("/").Body.String()
	id := s.board.rows[0].Node.ID.String()
	for _, want := range []string{
		"All is well.", "This machine:", "Debian 12, 8 cores, 32 GiB", `data-stream="/nodes/` + id + `/live"`, `type="application/json" id="points">{"panels":[]}</script>`, "overview/first.",
		`action="/password"`, `name="csrf" value="token"`, "listens on 127.0.0.1 only", "Add a server",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	s.viewer.HasPassword = true
	if got := s.get("/").Body.String(); strings.Contains(got, `action="/password"`) || !strings.Contains(got, "listens on 127.0.0.1 only") {
		t.Error("who has a password is asked for one, or the reach is not said")
	}
	if got := newSite(t).get("/").Body.String(); !strings.Contains(got, "This machine comes any moment") {
		t.Error("an empty account is not told what happens")
	}
	fleet := newSite(t, muster.Up, muster.Up)
	if got := fleet.get("/").Body.String(); !strings.Contains(got, `action="/password"`) {
		t.Error("a bigger fleet needs a password all the more")
	}
}

func TestNowSaysWhichViewItIs(t *testing.T) {
	s := newSite(t, muster.Up)
	w := s.get("/overview/now")
	if w.Header().Get("X-View") != "first" || strings.Contains(w.Body.String(), "<html") {
		t.Errorf("got %v %s", w.Header(), w.Body)
	}
	s.board.set(muster.Up, muster.Up)
	if w := s.get("/overview/now"); w.Header().Get("X-View") != "fleet" || !strings.Contains(w.Body.String(), "Fleet") {
		t.Errorf("got %v", w.Header())
	}
}

func TestChangelog(t *testing.T) {
	s := newSite(t, muster.Up)
	now := time.Now()
	s.events = []muster.Event{{At: now, Name: "a", Text: "today"}, {At: now.Add(-24 * time.Hour), Name: "b", Text: "yesterday"}, {At: now.Add(-24 * time.Hour), Name: "c", Text: "as well"}}
	got := s.get("/changelog").Body.String()
	if strings.Count(got, "<section") != 2 || !strings.Contains(got, `href="/changelog?before=older"`) || strings.Contains(got, ">Newest<") {
		t.Error(got)
	}
	if got := s.get("/changelog?before=older").Body.String(); !strings.Contains(got, "Nothing changed yet") || !strings.Contains(got, ">Newest<") {
		t.Error(got)
	}
}

func TestStoreThatIsAway(t *testing.T) {
	s := newSite(t, muster.Up, muster.Up)
	s.fail = fmt.Errorf("store: %w", muster.ErrUnavailable)
	for _, path := range []string{"/", "/overview/now", "/changelog"} {
		if w := s.get(path); w.Code != 503 {
			t.Errorf("%s: got %d", path, w.Code)
		}
	}
	s.fail = errors.New("odd")
	if w := s.get("/"); w.Code != 500 {
		t.Errorf("got %d", w.Code)
	}
}

func TestStreamTellsOfChanges(t *testing.T) {
	s := newSite(t, muster.Up, muster.Up)
	server := httptest.NewServer(s.handler)
	defer server.Close()
	res, err := http.Get(server.URL + "/overview/live")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	scan := bufio.NewScanner(res.Body)
	wait := func(event string) {
		t.Helper()
		for scan.Scan() {
			if scan.Text() == "event: "+event {
				return
			}
		}
		t.Fatalf("the stream ended before %s", event)
	}
	wait("hello")
	s.hub.Publish(live.Event{Account: s.viewer.Account, Topic: live.TopicEvents, Kind: "event", Data: func() any { return 1 }})
	wait("change")
	s.board.set(muster.Down, muster.Up)
	wait("change")
	s.hub.Close()
	for scan.Scan() { //nolint:revive // until it ends
	}
}

func TestWords(t *testing.T) {
	for n, want := range map[int]string{1: "One", 12: "Twelve", 13: "13", 1234: "1,234", 1234567: "1,234,567"} {
		if got := words(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

func TestBigGroupsAreCut(t *testing.T) {
	s := newSite(t)
	var states []muster.NodeState
	for range cellsShown + 100 {
		states = append(states, muster.Up)
	}
	s.board.set(states...)
	got := s.get("/").Body.String()
	if n := strings.Count(got, `class="u5"`); n != cellsShown || strings.Contains(got, "<b title=") || strings.Count(got, "and 50 more") != 2 {
		t.Errorf("%d cells are drawn", n)
	}
}
