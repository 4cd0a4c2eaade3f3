package nodes

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
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

// fakeBoard holds rows in the order of their names.
type fakeBoard struct {
	mu   sync.Mutex
	rows []inventory.Row
}

func (b *fakeBoard) List(_ muster.AccountID, o inventory.ListOptions) ([]inventory.Row, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []inventory.Row
	for _, r := range b.rows {
		if o.Query == nil || o.Query.Match(r.Node, &r.Now, time.Now()) {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(x, y inventory.Row) int { return cmp.Compare(x.Node.Name, y.Node.Name) })
	if o.Desc {
		slices.Reverse(out)
	}
	total := len(out)
	out = out[min(o.Offset, total):]
	if o.Limit > 0 {
		out = out[:min(o.Limit, len(out))]
	}
	return out, total
}

func (b *fakeBoard) Get(_ muster.AccountID, id muster.NodeID) (inventory.Row, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.rows {
		if r.Node.ID == id {
			return r, nil
		}
	}
	return inventory.Row{}, fmt.Errorf("fake: %w", muster.ErrNotFound)
}

func (b *fakeBoard) Counts(muster.AccountID) map[muster.NodeState]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[muster.NodeState]int{}
	for _, r := range b.rows {
		out[r.Now.State]++
	}
	return out
}

func (b *fakeBoard) change(i int, fn func(*inventory.Row)) muster.NodeID {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.rows[i]
	n := *r.Node
	r.Node = &n
	fn(&r)
	b.rows[i] = r
	return n.ID
}

func (b *fakeBoard) remove(i int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows = slices.Delete(b.rows, i, i+1)
}

type byName string

func (q byName) Match(n *muster.Node, now *muster.NodeNow, _ time.Time) bool {
	return strings.Contains(n.Name, string(q)) || string(now.State) == string(q)
}

type site struct {
	board   *fakeBoard
	hub     *live.Hub
	page    *Page
	handler http.Handler
	role    muster.Role
	account muster.AccountID
}

func newSite(t *testing.T, count int) *site {
	t.Helper()
	s := &site{board: &fakeBoard{}, hub: live.New(live.Options{}), role: muster.Admin, account: muster.NewAccountID()}
	for i := range count {
		n := &muster.Node{ID: muster.NewNodeID(), Name: fmt.Sprintf("node-%04d", i), Addresses: []string{"10.0.0.1", "fe80::1"}, Tags: []string{"env=prod", "web"},
			Facts: map[string]string{"os.name": "Debian GNU/Linux", "os.version": "12", "cloud.provider": "aws", "cloud.region": "us-east-1"}, Period: 10 * time.Second}
		now := muster.NodeNow{State: muster.Up, LastSeen: time.Now(), CPU: 0.25, Memory: 0.5, Disk: 0.75, DiskMount: "/var", NetIn: 125000, NetOut: 250000, Network: []float32{1, 2, 3}}
		s.board.rows = append(s.board.rows, inventory.Row{Node: n, Now: now})
	}
	s.page = New(Options{
		Shell: shell.New(shell.Options{}), Board: s.board, Hub: s.hub,
		Parse: func(text string) (inventory.Matcher, error) {
			if strings.HasSuffix(text, ":") {
				return nil, fmt.Errorf("filter: parse: %w: at %d: a value is missing", muster.ErrInvalid, len(text))
			}
			return byName(strings.TrimPrefix(text, "state:")), nil
		},
		Change: func(_ context.Context, _ shell.Viewer, id muster.NodeID, fn func(*muster.Node) error) error {
			for i := range s.board.rows {
				if s.board.rows[i].Node.ID == id {
					var err error
					s.board.change(i, func(r *inventory.Row) { err = fn(r.Node) })
					return err
				}
			}
			return fmt.Errorf("fake: %w", muster.ErrNotFound)
		},
	})
	mux := http.NewServeMux()
	s.page.Routes(mux)
	s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := shell.Viewer{Identity: auth.Identity{Account: s.account, User: "user_1", Role: s.role}, CSRF: "token"}
		mux.ServeHTTP(w, r.WithContext(shell.WithViewer(r.Context(), v)))
	})
	return s
}

func (s *site) get(path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

func TestTemplatesFitTheirTypes(t *testing.T) {
	p := newSite(t, 0).page
	for name, data := range map[string]any{"body": &body{}, "list": &body{}, "head": &body{}, "facets": &body{}, "rows": []row{}, "row": row{}} {
		if err := templatecheck.CheckHTML(p.view.Template(name), data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var rowID = regexp.MustCompile(`<tr id="node_`)

func TestPage(t *testing.T) {
	s := newSite(t, 130)
	w := s.get("/nodes")
	got := w.Body.String()
	if n := len(rowID.FindAllString(got, -1)); n != pageRows || strings.Count(got, "<tbody") != 2 {
		t.Errorf("%d rows in %d pieces", n, strings.Count(got, "<tbody"))
	}
	for _, want := range []string{
		`data-total="130"`, `href="/nodes?page=2" rel="next"`, `href="/nodes?sort=-cpu"`, `aws · us-east-1`, `title="10.0.0.1
fe80::1"`, `<i>env=</i>prod`, `title="/var"`, "<span>1.0</span> · <span>2.0</span>", `href="/nodes?q=os%3A%22Debian&#43;12%22"`, `<b>130</b> up`, `aria-sort="ascending"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if n := len(rowID.FindAllString(s.get("/nodes?page=2").Body.String(), -1)); n != 30 {
		t.Errorf("the second page has %d rows", n)
	}
	if !strings.Contains(s.get("/nodes?page=2").Body.String(), `href="/nodes" rel="prev"`) {
		t.Error("the second page does not lead back")
	}
	if m := regexp.MustCompile(`\sstyle=|\son[a-z]+=`).FindString(got); m != "" {
		t.Errorf("the page has %q, which the policy forbids", m)
	}
}

func TestEmptyPages(t *testing.T) {
	if got := newSite(t, 0).get("/nodes").Body.String(); !strings.Contains(got, "No server yet") || !strings.Contains(got, `href="/nodes/add"`) {
		t.Error("an empty account is not told what to do")
	}
	if got := newSite(t, 3).get("/nodes?q=zebra").Body.String(); !strings.Contains(got, "No node matches") || !strings.Contains(got, `<a class="btn" href="/nodes"`) {
		t.Error("an empty answer does not lead back")
	}
}

func TestColumnsThatAreEmptyForAllAreHidden(t *testing.T) {
	s := newSite(t, 2)
	for i := range s.board.rows {
		s.board.change(i, func(r *inventory.Row) {
			r.Node.Tags, r.Node.Addresses, r.Node.Facts = nil, nil, map[string]string{"os.type": "linux"}
		})
	}
	got := s.get("/nodes").Body.String()
	for _, want := range []string{"no-tags no-addr", ">System</th>", ">Linux</td>"} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestQueryThatIsWrong(t *testing.T) {
	s := newSite(t, 3)
	w := s.get("/nodes?q=tag:")
	if w.Code != 422 || !strings.Contains(w.Body.String(), "at 4: a value is missing") || !strings.Contains(w.Body.String(), "How to ask") || strings.Contains(w.Body.String(), "filter:") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	w = s.get("/nodes?q=tag:", "X-Muster-Part", "1")
	if w.Code != 422 || strings.Contains(w.Body.String(), "<") {
		t.Errorf("a script wants the words alone: %d %s", w.Code, w.Body)
	}
	for _, path := range []string{"/nodes/rows?q=tag:", "/nodes/head?q=tag:", "/nodes/live?q=tag:"} {
		if w := s.get(path); w.Code != 422 {
			t.Errorf("%s: got %d", path, w.Code)
		}
	}
}

func TestStrangeParametersAreForgiven(t *testing.T) {
	s := newSite(t, 3)
	for _, path := range []string{"/nodes?sort=colour", "/nodes?page=-4", "/nodes?page=x&from=-1", "/nodes?from=99999", "/nodes?sort=--cpu"} {
		if w := s.get(path); w.Code != 200 {
			t.Errorf("%s: got %d", path, w.Code)
		}
	}
}

func TestPieces(t *testing.T) {
	s := newSite(t, 130)
	w := s.get("/nodes/rows?from=100")
	if n := len(rowID.FindAllString(w.Body.String(), -1)); n != 30 || w.Header().Get("X-Total") != "130" {
		t.Errorf("%d rows of %s", n, w.Header().Get("X-Total"))
	}
	if !strings.Contains(w.Body.String(), "node-0100") || strings.Contains(w.Body.String(), "node-0099") {
		t.Error("these are other rows")
	}
	if got := s.get("/nodes/head?q=0001").Body.String(); !strings.Contains(got, "1 of 130") {
		t.Errorf("the head says %s", got)
	}
}

func TestOldValuesAreGrey(t *testing.T) {
	s := newSite(t, 1)
	for name, c := range map[string]struct {
		change func(*inventory.Row)
		want   string
	}{
		"fresh":  {func(r *inventory.Row) {}, `class="up"`},
		"old":    {func(r *inventory.Row) { r.Now.LastSeen = time.Now().Add(-time.Minute) }, `class="old up"`},
		"slow":   {func(r *inventory.Row) { r.Now.LastSeen, r.Node.Period = time.Now().Add(-time.Minute), time.Minute }, `class="up"`},
		"down":   {func(r *inventory.Row) { r.Now.State = muster.Down }, `class="old down"`},
		"silent": {func(r *inventory.Row) { r.Now.State, r.Now.LastSeen = "", time.Time{} }, `class="old unknown"`},
	} {
		r := s.board.rows[0]
		n := *r.Node
		r.Node = &n
		c.change(&r)
		html, err := s.page.view.HTML("row", present(&r, time.Now()))
		if err != nil || !strings.Contains(string(html), c.want) {
			t.Errorf("%s: no %s in %s (%v)", name, c.want, html, err)
		}
	}
}

func TestNamesAreEscaped(t *testing.T) {
	s := newSite(t, 1)
	s.board.change(0, func(r *inventory.Row) {
		r.Node.Name, r.Node.Tags, r.Node.Addresses = `<script>x</script>`, []string{`a=<i>`}, []string{`"><b>`}
		r.Node.Facts = map[string]string{"cloud.provider": "<u>", "os.description": `"><u>`}
	})
	got := s.get("/nodes").Body.String()
	for _, bad := range []string{"<script>x", "<i><", `"><b>`, "<u>"} {
		if strings.Contains(got, bad) {
			t.Errorf("%s came through", bad)
		}
	}
}

func TestTerms(t *testing.T) {
	for _, c := range []struct{ text, term, want string }{
		{"", "state:up", "state:up"},
		{"web", "state:up", "web state:up"},
		{"state:up", "state:up", ""},
		{"a state:up b", "state:up", "a b"},
		{"tag:webby", "tag:web", "tag:webby tag:web"},
		{`os:"Debian 12" x`, `os:"Debian 12"`, "x"},
		{"xtag:web tag:web", "tag:web", "xtag:web"},
	} {
		if got := toggleTerm(c.text, c.term); got != c.want {
			t.Errorf("%q with %q: %q, want %q", c.text, c.term, got, c.want)
		}
		if hasTerm(c.text, c.term) == (len(c.want) > len(c.text)) {
			t.Errorf("%q has %q?", c.text, c.term)
		}
	}
	providers := []string{"provider:aws", "provider:gcp"}
	for text, want := range map[string]string{"web": "web provider:aws", "provider:gcp web": "web provider:aws", "provider:aws web": "web"} {
		if got := chooseTerm(text, "provider:aws", providers); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for value, want := range map[string]string{"web": "web", "Debian 12": `"Debian 12"`, `a"b\c`: `"a\"b\\c"`, "env=prod": "env=prod", "日本": `"日本"`} {
		if got := quoted(value); got != want {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
	}
}

func TestSortLinks(t *testing.T) {
	for _, c := range []struct {
		asked asked
		class string
		href  string
		sort  string
	}{
		{asked{sort: "state"}, "cpu num", "/nodes?sort=-cpu", ""},
		{asked{sort: "cpu", desc: true}, "cpu num", "/nodes?sort=cpu", "descending"},
		{asked{sort: "cpu"}, "cpu num", "/nodes?sort=-cpu", "ascending"},
		{asked{sort: "cpu", text: "web"}, "st", "/nodes?q=web", ""},
		{asked{sort: "state"}, "st", "/nodes?sort=-state", "ascending"},
		{asked{sort: "state", desc: true}, "st", "/nodes", "descending"},
		{asked{sort: "name"}, "nm", "/nodes?sort=-name", "ascending"},
		{asked{sort: "name"}, "ad", "", ""},
	} {
		for _, got := range columns(c.asked, true) {
			if got.Class == c.class && (got.Href != c.href || got.Sort != c.sort) {
				t.Errorf("%+v: %+v", c, got)
			}
		}
	}
}

func (s *site) act(form url.Values, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/nodes/act", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

func TestActs(t *testing.T) {
	s := newSite(t, 3)
	ids := []string{s.board.rows[0].Node.ID.String(), s.board.rows[2].Node.ID.String(), muster.NewNodeID().String()}
	w := s.act(url.Values{"id": ids, "do": {"tag"}, "tag": {" canary "}, "back": {"/nodes?q=x"}})
	if w.Code != 303 || w.Header().Get("Location") != "/nodes?q=x" {
		t.Fatalf("got %d %v", w.Code, w.Header())
	}
	for i, want := range [][]string{{"canary", "env=prod", "web"}, {"env=prod", "web"}, {"canary", "env=prod", "web"}} {
		if got := s.board.rows[i].Node.Tags; !slices.Equal(got, want) {
			t.Errorf("node %d has %v", i, got)
		}
	}
	s.act(url.Values{"id": ids[:1], "do": {"untag"}, "tag": {"web"}})
	s.act(url.Values{"id": ids[:1], "do": {"star"}})
	if n := s.board.rows[0].Node; !slices.Equal(n.Tags, []string{"canary", "env=prod"}) || !n.Star {
		t.Errorf("got %v, %v", n.Tags, n.Star)
	}
	if w := s.act(url.Values{"id": ids[:1], "do": {"unstar"}}, "X-Muster-Part", "1"); w.Code != 204 || s.board.rows[0].Node.Star {
		t.Errorf("got %d", w.Code)
	}
	for what, form := range map[string]url.Values{
		"nobody": {"do": {"star"}}, "no such": {"id": ids[:1], "do": {"explode"}}, "no tag": {"id": ids[:1], "do": {"tag"}}, "no id": {"id": {"node_x"}, "do": {"star"}},
	} {
		if w := s.act(form, "X-Muster-Part", "1"); w.Code != 422 {
			t.Errorf("%s: got %d %s", what, w.Code, w.Body)
		}
	}
	if w := s.act(url.Values{"id": ids[:1], "do": {"star"}, "back": {"//evil.example"}}); w.Header().Get("Location") != "/nodes" {
		t.Errorf("led to %s", w.Header().Get("Location"))
	}
}

func TestObserversOnlyLook(t *testing.T) {
	s := newSite(t, 1)
	s.role = muster.Observer
	if w := s.act(url.Values{"id": {s.board.rows[0].Node.ID.String()}, "do": {"star"}}); w.Code != 403 || s.board.rows[0].Node.Star {
		t.Errorf("got %d", w.Code)
	}
	if strings.Contains(s.get("/nodes").Body.String(), `id="acts"`) {
		t.Error("actions are shown to somebody who may not")
	}
}

// events reads a stream until ctx ends.
func (s *site) events(t *testing.T, path string) (<-chan [2]string, func()) {
	t.Helper()
	server := httptest.NewServer(s.handler)
	ctx, cancel := context.WithCancel(context.Background())
	req, _ := http.NewRequestWithContext(ctx, "GET", server.URL+path, nil)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan [2]string, 100)
	go func() {
		defer close(out)
		scan := bufio.NewScanner(res.Body)
		var name string
		for scan.Scan() {
			if v, ok := strings.CutPrefix(scan.Text(), "event: "); ok {
				name = v
			} else if v, ok := strings.CutPrefix(scan.Text(), "data: "); ok {
				out <- [2]string{name, v}
			}
		}
	}()
	return out, func() { cancel(); res.Body.Close(); server.Close() }
}

func next(t *testing.T, events <-chan [2]string, name string) string {
	t.Helper()
	for {
		select {
		case ev, ok := <-events:
			if !ok {
				t.Fatalf("the stream ended before %s", name)
			}
			if ev[0] == name {
				return ev[1]
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no event %s", name)
		}
	}
}

func (s *site) moved(id muster.NodeID) {
	s.hub.Publish(live.Event{Account: s.account, Topic: live.TopicNodes, Kind: "node", Node: id, Data: func() any { return 1 }})
}

func (s *site) ids(n int) string {
	var out []string
	for _, r := range s.board.rows[:n] {
		out = append(out, strings.TrimPrefix(r.Node.ID.String(), "node_"))
	}
	return strings.Join(out, ",")
}

func TestStream(t *testing.T) {
	s := newSite(t, 5)
	events, stop := s.events(t, "/nodes/live?ids="+s.ids(3))
	defer stop()
	var hello struct{ Now int64 }
	if err := json.Unmarshal([]byte(next(t, events, "hello")), &hello); err != nil || time.Since(time.UnixMilli(hello.Now)) > time.Minute {
		t.Errorf("hello says %v, %v", hello, err)
	}
	if got := next(t, events, "v"); got != "[[0,25,50,75,1,2],[1,25,50,75,1,2],[2,25,50,75,1,2]]" {
		t.Errorf("first all values: %s", got)
	}
	for _, c := range []struct {
		change func(*inventory.Row)
		want   string
	}{
		{func(r *inventory.Row) { r.Now.CPU = 0.3 }, "[[1,30]]"},
		{func(r *inventory.Row) { r.Now.Disk, r.Now.CPU = 0.8, 0.304 }, "[[1,null,null,80]]"}, // no digit that is shown changed in the CPU
		{func(r *inventory.Row) {}, "[[1]]"},                                                  // a frame without news
		{func(r *inventory.Row) { r.Now.Memory, r.Now.NetOut = math.NaN(), 1.25e6 }, "[[1,null,-1,null,null,10]]"},
	} {
		s.moved(s.board.change(1, c.change))
		if got := next(t, events, "v"); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	s.board.change(4, func(r *inventory.Row) { r.Now.CPU = 0.9 })
	s.moved(s.board.rows[4].Node.ID) // nobody looks at it
	s.moved(s.board.change(2, func(r *inventory.Row) { r.Now.State = muster.Down }))
	var fresh struct {
		I    int
		HTML string
	}
	if err := json.Unmarshal([]byte(next(t, events, "row")), &fresh); err != nil || fresh.I != 2 || !strings.Contains(fresh.HTML, `class="old down"`) {
		t.Errorf("got %+v, %v", fresh, err)
	}
	next(t, events, "counts")
	s.board.remove(0)
	if got := next(t, events, "list"); got != `{"total":4,"same":false}` {
		t.Errorf("got %s", got)
	}
}

func TestStreamOfNothingWaitsForTheFirstNode(t *testing.T) {
	s := newSite(t, 0)
	events, stop := s.events(t, "/nodes/live?ids=")
	defer stop()
	next(t, events, "hello")
	s.board.mu.Lock()
	s.board.rows = append(s.board.rows, newSite(t, 1).board.rows...)
	s.board.mu.Unlock()
	if got := next(t, events, "list"); got != `{"total":1,"same":false}` {
		t.Errorf("got %s", got)
	}
}

func TestStreamEndsWithTheHub(t *testing.T) {
	s := newSite(t, 1)
	events, stop := s.events(t, "/nodes/live?ids="+s.ids(1)+",rubbish")
	defer stop()
	next(t, events, "v")
	s.hub.Close()
	for range events { //nolint:revive // until it is closed
	}
}

func BenchmarkPiece(b *testing.B) {
	s := newSite(&testing.T{}, 100)
	rows, _ := s.board.List(s.account, inventory.ListOptions{Limit: chunkRows})
	for b.Loop() {
		if _, err := s.page.view.HTML("rows", s.page.present(rows)); err != nil {
			b.Fatal(err)
		}
	}
}
