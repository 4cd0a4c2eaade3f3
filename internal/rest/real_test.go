package rest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"muster"
	"muster/api"
	"muster/client"
	"muster/internal/auth"
	"muster/internal/filter"
	"muster/internal/inventory"
	"muster/internal/live"
	"muster/internal/rest"
	"muster/internal/store"
	pebblestore "muster/internal/store/pebble"
)

// house is the API over the real store, inventory, hub, query language and identities.
type house struct {
	account muster.AccountID
	store   *store.Store
	nodes   *inventory.Inventory
	hub     *live.Hub
	api     *rest.API
	server  *httptest.Server
	token   string
}

func newHouse(t testing.TB, nodes int) *house {
	t.Helper()
	ctx := context.Background()
	engine, err := pebblestore.Open(t.TempDir(), pebblestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{store: store.New(engine, store.Options{}), hub: live.New(live.Options{})}
	t.Cleanup(func() { _ = h.store.Close() })
	account := &muster.Account{Name: "first", Spread: 64}
	if err := h.store.CreateAccount(ctx, account); err != nil {
		t.Fatal(err)
	}
	h.account = account.ID
	var wg sync.WaitGroup // the store commits what comes together in one go
	for part := range 64 {
		wg.Go(func() {
			for i := part; i < nodes; i += 64 {
				n := &muster.Node{ID: muster.NewNodeID(), Account: h.account, Name: fmt.Sprintf("web-%05d", i), Hostname: fmt.Sprintf("web-%05d", i),
					Addresses: []string{"192.0.2.1", "2001:db8::1"}, Tags: []string{"env=prod", "web"}, AgentKey: fmt.Appendf(nil, "%032d", i), AgentVersion: "1.0",
					Facts: map[string]string{"os.type": "linux", "os.name": "Debian GNU/Linux", "os.version": "12", "host.arch": "amd64", "host.id": "0123456789abcdef", "os.kernel": "6.1.0"}}
				if err := h.store.CreateNode(ctx, n); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if h.nodes, err = inventory.Open(ctx, h.store, inventory.Options{}); err != nil {
		t.Fatal(err)
	}
	identities := auth.New(h.store, auth.Options{})
	h.token = "the bootstrap token of this test, which is long enough"
	if err := identities.AdoptToken(ctx, h.account, "test", muster.Admin, h.token); err != nil {
		t.Fatal(err)
	}
	h.api, err = rest.New(rest.Options{
		Checks: newFakeChecks(), Alarms: newFakeAlarms(), Notices: newFakeNotices(),
		Nodes: h.nodes, Series: &fakeSeries{}, Store: h.store, Auth: identities, Live: h.hub,
		Filter: func(text string) (inventory.Matcher, error) {
			q, err := filter.Parse(text)
			if err != nil {
				return nil, err
			}
			return q, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.server = httptest.NewServer(h.api)
	t.Cleanup(h.server.Close)
	return h
}

func (h *house) client(t testing.TB, token string) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Server: h.server.URL, Token: token, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOverTheRealRooms(t *testing.T) {
	h := newHouse(t, 25)
	ctx := context.Background()
	admin := h.client(t, h.token)

	var names []string
	for n, err := range admin.AllNodes(ctx, client.ListOptions{Limit: 10, Query: "tag:env=prod"}) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, n.Name)
	}
	if len(names) != 25 || names[0] != "web-00000" || names[24] != "web-00024" {
		t.Errorf("walked over %v", names)
	}
	_, err := admin.Nodes(ctx, client.ListOptions{Query: "tag:(("})
	if p := problem(t, err); p.Status != 422 || len(p.Errors) == 0 || p.Errors[0].Location != "query.query" || p.Errors[0].Message == "" {
		t.Errorf("a bad query: %+v", p)
	}
	n := findByName(t, admin, "web-00003")
	notes, taken := "# rack", "web-00004"
	edited, err := admin.EditNode(ctx, n.ID, n.Rev, api.NodeEdit{Notes: &notes})
	if err != nil || edited.Notes != notes || edited.Rev <= n.Rev {
		t.Fatalf("%+v %v", edited, err)
	}
	if _, err := admin.EditNode(ctx, n.ID, n.Rev, api.NodeEdit{Notes: &notes}); problem(t, err).Status != 412 {
		t.Errorf("an old rev: %v", err)
	}
	if _, err := admin.EditNode(ctx, n.ID, edited.Rev, api.NodeEdit{Name: &taken}); problem(t, err).Status != 409 {
		t.Errorf("a taken name: %v", err)
	}
	if err := admin.DeleteNode(ctx, n.ID, 0); err != nil {
		t.Error(err)
	}
	if _, err := admin.Node(ctx, n.ID); !errors.Is(err, muster.ErrNotFound) {
		t.Errorf("after it: %v", err)
	}

	tok, err := admin.NewToken(ctx, api.TokenNew{Name: "ci"})
	if err != nil {
		t.Fatal(err)
	}
	observer := h.client(t, tok.Secret)
	if _, err := observer.Enroll(ctx, api.EnrollmentNew{}); problem(t, err).Status != 403 {
		t.Errorf("an observer enrolls: %v", err)
	}
	if err := admin.DeleteToken(ctx, tok.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := observer.Me(ctx); problem(t, err).Status != 401 {
		t.Errorf("a revoked token: %v", err)
	}
	if _, err := h.client(t, "nonsense").Me(ctx); problem(t, err).Status != 401 {
		t.Errorf("an unknown token: %v", err)
	}
	if err := admin.DeleteToken(ctx, "no id at all"); problem(t, err).Status != 404 {
		t.Errorf("no id: %v", err)
	}
	u, err := admin.NewUser(ctx, api.UserNew{Name: "ann", Role: "admin"})
	if err != nil || !strings.Contains(u.LoginURL, "/login/") {
		t.Errorf("%+v %v", u, err)
	}
	if _, err := admin.NewUser(ctx, api.UserNew{Name: "ann", Role: "admin"}); problem(t, err).Status != 409 {
		t.Errorf("the name twice: %v", err)
	}
}

func findByName(t *testing.T, c *client.Client, name string) *api.Node {
	t.Helper()
	list, err := c.Nodes(context.Background(), client.ListOptions{Name: name})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("%s: %+v %v", name, list, err)
	}
	return &list.Items[0]
}

func TestOnceOverTheRealStore(t *testing.T) {
	h := newHouse(t, 0)
	bodies := make([]string, 8)
	var wg sync.WaitGroup
	for i := range bodies {
		wg.Go(func() {
			req, _ := http.NewRequest(http.MethodPost, h.server.URL+api.PathEnrollments, strings.NewReader(`{"uses":3}`))
			req.Header.Set("Authorization", "Bearer "+h.token)
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set(api.HeaderIdempotencyKey, "one")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			raw, _ := io.ReadAll(resp.Body)
			bodies[i] = string(raw)
		})
	}
	wg.Wait()
	for _, b := range bodies {
		if b != bodies[0] || !strings.Contains(b, `"uses_left":3`) {
			t.Errorf("%s and %s", b, bodies[0])
		}
	}
	all, err := h.store.Enrollments(context.Background(), h.account)
	if err != nil || len(all) != 1 {
		t.Errorf("%d enrollments, %v", len(all), err)
	}
}

// BenchmarkListNodes reads 10,000 nodes in pages of 1,000 through HTTP, without decoding them.
func BenchmarkListNodes(b *testing.B) {
	h := newHouse(b, 10_000)
	for _, bench := range []struct{ name, query string }{{"all", ""}, {"by cpu", "&sort=-cpu"}, {"query", "&query=tag:web"}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				cursor, pages := "", 0
				for {
					next := h.page(b, "?limit=1000"+bench.query+"&cursor="+cursor)
					pages++
					if cursor = next; next == "" {
						break
					}
				}
				if pages != 10 {
					b.Fatalf("%d pages", pages)
				}
			}
		})
	}
}

// page reads one page and gives the cursor of the next.
func (h *house) page(b *testing.B, query string) string {
	req, _ := http.NewRequest(http.MethodGet, h.server.URL+api.PathNodes+query, nil)
	req.Header.Set("Authorization", "Bearer "+h.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		b.Fatalf("%d %v %s", resp.StatusCode, err, raw)
	}
	b.SetBytes(int64(len(raw)) * 10)
	tail := string(raw[max(0, len(raw)-300):])
	if _, after, ok := strings.Cut(tail, `"next":"`); ok {
		next, _, _ := strings.Cut(after, `"`)
		return next
	}
	return ""
}
