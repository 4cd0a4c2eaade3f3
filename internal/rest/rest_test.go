package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/api"
	"muster/client"
	"muster/internal/auth"
	"muster/internal/rest"
	"muster/internal/series"
)

// call is one raw request.
type call struct {
	method, path, token, body string
	header                    map[string]string
}

func (w *world) call(c call) (*http.Response, string) {
	w.t.Helper()
	req, err := http.NewRequest(c.method, w.server.URL+c.path, strings.NewReader(c.body))
	if err != nil {
		w.t.Fatal(err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for key, value := range c.header {
		req.Header.Set(key, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, string(body)
}

func TestNodesListInPagesAndByQuery(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	for i := range 7 {
		w.node(w.mine, fmt.Sprintf("web-%d", i))
	}
	w.node(w.mine, "db-1")
	w.node(w.theirs, "web-foreign")

	var names []string
	for n, err := range w.observer.AllNodes(ctx, client.ListOptions{Limit: 3, Query: "name:web"}) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, n.Name)
	}
	if got := strings.Join(names, " "); got != "web-0 web-1 web-2 web-3 web-4 web-5 web-6" {
		t.Errorf("walked over %s", got)
	}
	list, err := w.observer.Nodes(ctx, client.ListOptions{Sort: "-name", Limit: 1})
	if err != nil || len(list.Items) != 1 || list.Items[0].Name != "web-6" || list.Next == "" {
		t.Errorf("the last by name: %+v, %v", list, err)
	}
	exact, err := w.observer.Nodes(ctx, client.ListOptions{Limit: 8})
	if err != nil || len(exact.Items) != 8 || exact.Next != "" {
		t.Errorf("a full last page has a next: %v %v", exact.Next, err)
	}
}

func TestNodeHasTheShapeOthersRelyOn(t *testing.T) {
	w := newWorld(t)
	row := w.node(w.mine, "web <1> \"é\"")
	resp, body := w.call(call{method: "GET", path: api.PathNodes + "/" + row.Node.ID.String(), token: w.adminToken})
	if resp.Header.Get("ETag") != `"1"` {
		t.Errorf("ETag %s", resp.Header.Get("ETag"))
	}
	var single, listed any
	if err := json.Unmarshal([]byte(body), &single); err != nil {
		t.Fatal(err)
	}
	_, body = w.call(call{method: "GET", path: api.PathNodes + "?name=" + "web+%3C1%3E+%22%C3%A9%22", token: w.adminToken})
	var list struct{ Items []any }
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Items) != 1 {
		t.Fatalf("%v: %s", err, body)
	}
	listed = list.Items[0]
	if a, b := fmt.Sprint(single), fmt.Sprint(listed); a != b {
		t.Errorf("one by reflection and one by hand differ:\n%s\n%s", a, b)
	}
	node := single.(map[string]any)
	for _, field := range []string{"id", "rev", "created_at", "updated_at", "name", "hostname", "state", "last_seen", "addresses", "tags", "facts", "agent"} {
		if node[field] == nil {
			t.Errorf("no %s in %s", field, body)
		}
	}
	if agent := node["agent"].(map[string]any); agent["version"] != "1.0" || agent["connected"] != true {
		t.Errorf("agent is %v", agent)
	}
	if now := node["now"].(map[string]any); now["net_out"] != nil || now["cpu"] != 0.25 {
		t.Errorf("now is %v", now)
	}
}

func TestNodeEditIsAMergePatch(t *testing.T) {
	w := newWorld(t)
	row := w.node(w.mine, "web-1")
	path := api.PathNodes + "/" + row.Node.ID.String()
	patch := func(body string, header map[string]string) (int, api.Node) {
		t.Helper()
		resp, text := w.call(call{method: "PATCH", path: path, token: w.adminToken, body: body, header: header})
		var n api.Node
		_ = json.Unmarshal([]byte(text), &n)
		return resp.StatusCode, n
	}
	merge := map[string]string{"Content-Type": "application/merge-patch+json"}
	status, n := patch(`{"colour":"red","notes":"# hi","star":true,"tags":["b","a","b"]}`, merge)
	if status != 200 || n.Colour != "red" || !n.Star || n.Notes != "# hi" || strings.Join(n.Tags, " ") != "a b" || n.Name != "web-1" || n.Rev != 2 {
		t.Fatalf("%d %+v", status, n)
	}
	status, n = patch(`{"colour":null,"tags":null}`, nil)
	if status != 200 || n.Colour != "" || len(n.Tags) != 0 || n.Notes != "# hi" || !n.Star {
		t.Errorf("null empties, absent stays: %d %+v", status, n)
	}
	if status, _ = patch(`{"star":false}`, map[string]string{"If-Match": `"1"`}); status != http.StatusPreconditionFailed {
		t.Errorf("an old rev gave %d", status)
	}
	if status, n = patch(`{"star":false}`, map[string]string{"If-Match": fmt.Sprintf(`"%d"`, n.Rev)}); status != 200 || n.Star {
		t.Errorf("the right rev gave %d", status)
	}
	w.node(w.mine, "taken")
	if status, _ = patch(`{"name":"taken"}`, map[string]string{"If-Match": fmt.Sprintf(`"%d"`, n.Rev)}); status != http.StatusConflict {
		t.Errorf("a taken name gave %d", status)
	}
}

func TestNodeDelete(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	id := w.node(w.mine, "web-1").Node.ID.String()
	if err := w.operator.DeleteNode(ctx, id, 9); problem(t, err).Status != http.StatusPreconditionFailed {
		t.Errorf("an old rev: %v", err)
	}
	if err := w.operator.DeleteNode(ctx, id, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := w.operator.Node(ctx, id); !errors.Is(err, muster.ErrNotFound) {
		t.Errorf("the deleted node: %v", err)
	}
}

func TestAnotherAccountsThingsAreNotFound(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	node := w.node(w.mine, "web-1").Node.ID.String()
	e, err := w.operator.Enroll(ctx, api.EnrollmentNew{})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := w.admin.NewToken(ctx, api.TokenNew{Name: "ci"})
	if err != nil {
		t.Fatal(err)
	}
	u, err := w.admin.NewUser(ctx, api.UserNew{Name: "ann", Role: "observer"})
	if err != nil {
		t.Fatal(err)
	}
	theirs := w.token(w.theirs, muster.Admin)
	for _, c := range []call{
		{method: "GET", path: api.PathNodes + "/" + node},
		{method: "PATCH", path: api.PathNodes + "/" + node, body: `{"star":true}`},
		{method: "PATCH", path: api.PathNodes + "/" + node, body: `{"star":true}`, header: map[string]string{"If-Match": `"1"`}},
		{method: "DELETE", path: api.PathNodes + "/" + node},
		{method: "GET", path: api.PathNodes + "/" + node + "/metrics"},
		{method: "GET", path: api.PathSeries + "?metric=m&node=" + node},
		{method: "GET", path: api.PathStream + "?node=" + node},
		{method: "GET", path: api.PathEnrollments + "/" + e.ID},
		{method: "DELETE", path: api.PathEnrollments + "/" + e.ID},
		{method: "GET", path: api.PathTokens + "/" + tok.ID},
		{method: "DELETE", path: api.PathTokens + "/" + tok.ID},
		{method: "GET", path: api.PathUsers + "/" + u.ID},
		{method: "PATCH", path: api.PathUsers + "/" + u.ID, body: `{"role":"admin"}`},
		{method: "DELETE", path: api.PathUsers + "/" + u.ID},
	} {
		c.token = theirs
		if resp, body := w.call(c); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s %s: %d %s", c.method, c.path, resp.StatusCode, body)
		}
		c.token = w.adminToken
		if c.method == "GET" && !strings.HasPrefix(c.path, api.PathStream) {
			if resp, body := w.call(c); resp.StatusCode != http.StatusOK {
				t.Errorf("the owner's %s %s: %d %s", c.method, c.path, resp.StatusCode, body)
			}
		}
	}
	for _, path := range []string{api.PathNodes, api.PathEnrollments, api.PathUsers, api.PathEvents} {
		_, body := w.call(call{method: "GET", path: path, token: theirs})
		if !strings.Contains(body, `"items":[]`) {
			t.Errorf("%s shows another account: %s", path, body)
		}
	}
}

func TestRoles(t *testing.T) {
	w := newWorld(t)
	node := w.node(w.mine, "web-1").Node.ID.String()
	tokens := map[muster.Role]string{"": "", muster.Observer: w.token(w.mine, muster.Observer), muster.Operator: w.token(w.mine, muster.Operator), muster.Admin: w.adminToken}
	for _, c := range []struct {
		method, path, body string
		need               muster.Role
	}{
		{"GET", api.PathNodes, "", muster.Observer},
		{"GET", api.PathNodes + "/" + node, "", muster.Observer},
		{"GET", api.PathNodes + "/" + node + "/metrics", "", muster.Observer},
		{"GET", api.PathSeries + "?metric=m", "", muster.Observer},
		{"GET", api.PathEvents, "", muster.Observer},
		{"GET", api.PathAccount, "", muster.Observer},
		{"GET", api.PathMe, "", muster.Observer},
		{"PATCH", api.PathNodes + "/" + node, `{"star":true}`, muster.Operator},
		{"GET", api.PathEnrollments, "", muster.Operator},
		{"POST", api.PathEnrollments, `{}`, muster.Operator},
		{"GET", api.PathTokens, "", muster.Admin},
		{"POST", api.PathTokens, `{"name":"ci"}`, muster.Admin},
		{"GET", api.PathUsers, "", muster.Admin},
		{"POST", api.PathUsers, `{"name":"bob","role":"observer"}`, muster.Admin},
		{"PATCH", api.PathAccount, `{"retention":"long"}`, muster.Admin},
	} {
		for role, token := range tokens {
			resp, body := w.call(call{method: c.method, path: c.path, body: c.body, token: token})
			switch ok := resp.StatusCode < 300; {
			case role == "" && resp.StatusCode != http.StatusUnauthorized:
				t.Errorf("%s %s without a token: %d", c.method, c.path, resp.StatusCode)
			case role == "" && resp.Header.Get("WWW-Authenticate") == "":
				t.Errorf("%s %s: 401 without WWW-Authenticate", c.method, c.path)
			case role != "" && role.May(c.need) && !ok:
				t.Errorf("%s %s as %s: %d %s", c.method, c.path, role, resp.StatusCode, body)
			case role != "" && !role.May(c.need) && resp.StatusCode != http.StatusForbidden:
				t.Errorf("%s %s as %s: %d", c.method, c.path, role, resp.StatusCode)
			}
		}
	}
}

func TestSessionsChangeThingsOnlyWithTheirCSRFToken(t *testing.T) {
	w := newWorld(t)
	w.auth.cookies["abc"] = auth.Identity{Account: w.mine, User: muster.NewUserID(), Name: "ann", Role: muster.Admin}
	cookie := map[string]string{"Cookie": "muster_session=abc"}
	if resp, body := w.call(call{method: "GET", path: api.PathMe, header: cookie}); resp.StatusCode != 200 || !strings.Contains(body, `"user"`) {
		t.Errorf("reading by session: %d %s", resp.StatusCode, body)
	}
	for token, want := range map[string]int{"": 403, "csrf of xyz": 403, "csrf of abc": 201} {
		h := map[string]string{"Cookie": "muster_session=abc", api.HeaderCSRF: token}
		if resp, body := w.call(call{method: "POST", path: api.PathEnrollments, body: "{}", header: h}); resp.StatusCode != want {
			t.Errorf("a change with the CSRF token %q: %d %s", token, resp.StatusCode, body)
		}
	}
	if resp, _ := w.call(call{method: "GET", path: api.PathMe, header: map[string]string{"Cookie": "muster_session=old"}}); resp.StatusCode != 401 {
		t.Errorf("an ended session: %d", resp.StatusCode)
	}
	h := map[string]string{"Cookie": "muster_session=abc", "Authorization": "Bearer wrong"}
	if resp, _ := w.call(call{method: "GET", path: api.PathMe, header: h}); resp.StatusCode != 401 {
		t.Errorf("a bad token beside a good session: %d", resp.StatusCode)
	}
}

func TestBadInput(t *testing.T) {
	w := newWorld(t)
	node := api.PathNodes + "/" + w.node(w.mine, "web-1").Node.ID.String()
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		location           string
	}{
		"no JSON":                  {"POST", api.PathEnrollments, `{`, 422, "body"},
		"empty body":               {"POST", api.PathTokens, ``, 422, ""},
		"a list":                   {"POST", api.PathEnrollments, `[]`, 422, "body"},
		"two values":               {"POST", api.PathEnrollments, `{} {}`, 422, "body"},
		"unknown field":            {"POST", api.PathEnrollments, `{"usse":1}`, 422, "body.usse"},
		"wrong type":               {"POST", api.PathEnrollments, `{"uses":"1"}`, 422, "body.uses"},
		"too few uses":             {"POST", api.PathEnrollments, `{"uses":0}`, 422, "body.uses"},
		"too many uses":            {"POST", api.PathEnrollments, `{"uses":10001}`, 422, "body.uses"},
		"no duration":              {"POST", api.PathEnrollments, `{"ttl":"soon"}`, 422, "body.ttl"},
		"too short a life":         {"POST", api.PathEnrollments, `{"ttl":"1s"}`, 422, "body.ttl"},
		"too long a life":          {"POST", api.PathEnrollments, `{"ttl":"31d"}`, 422, "body.ttl"},
		"overflowing duration":     {"POST", api.PathEnrollments, `{"ttl":"99999999999999999999d"}`, 422, "body.ttl"},
		"no name":                  {"POST", api.PathTokens, `{}`, 422, "body"},
		"blank name":               {"POST", api.PathTokens, `{"name":"  "}`, 422, "body.name"},
		"control characters":       {"POST", api.PathTokens, `{"name":"a\u0000b"}`, 422, "body.name"},
		"unknown role":             {"POST", api.PathTokens, `{"name":"a","role":"root"}`, 422, "body.role"},
		"user with spaces":         {"POST", api.PathUsers, `{"name":"a b","role":"admin"}`, 422, "body.name"},
		"node without name":        {"PATCH", node, `{"name":null}`, 422, "body.name"},
		"node of spaces":           {"PATCH", node, `{"name":" a"}`, 422, "body.name"},
		"no colour":                {"PATCH", node, `{"colour":"url(x)"}`, 422, "body.colour"},
		"bad tag":                  {"PATCH", node, `{"tags":["ok","a b"]}`, 422, "body.tags[1]"},
		"tag without key":          {"PATCH", node, `{"tags":["=x"]}`, 422, "body.tags[0]"},
		"fixed field":              {"PATCH", node, `{"state":"up"}`, 422, "body.state"},
		"too large":                {"PATCH", node, `{"notes":"` + strings.Repeat("x", 1<<20) + `"}`, 413, ""},
		"notes too long":           {"PATCH", node, `{"notes":"` + strings.Repeat("x", 70000) + `"}`, 422, "body.notes"},
		"unknown retention":        {"PATCH", api.PathAccount, `{"retention":"forever"}`, 422, "body.retention"},
		"limit 0":                  {"GET", api.PathNodes + "?limit=0", "", 422, "query.limit"},
		"limit 1001":               {"GET", api.PathNodes + "?limit=1001", "", 422, "query.limit"},
		"limit x":                  {"GET", api.PathNodes + "?limit=x", "", 422, "query.limit"},
		"strange cursor":           {"GET", api.PathNodes + "?cursor=!!!", "", 422, "query.cursor"},
		"strange cursor of tokens": {"GET", api.PathTokens + "?cursor=!!!", "", 422, "query.cursor"},
		"unknown sort":             {"GET", api.PathNodes + "?sort=beauty", "", 422, "query.sort"},
		"bad query":                {"GET", api.PathNodes + "?query=((", "", 422, "query.query"},
		"misspelt parameter":       {"GET", api.PathNodes + "?qery=x", "", 422, "query.qery"},
		"no metric":                {"GET", api.PathSeries, "", 422, "query.metric"},
		"bad from":                 {"GET", api.PathSeries + "?metric=m&from=yesterday", "", 422, "query.from"},
		"from after to":            {"GET", api.PathSeries + "?metric=m&from=now&to=-1h", "", 422, "query.from"},
		"too many points":          {"GET", api.PathSeries + "?metric=m&points=100000", "", 422, "query.points"},
		"unknown function":         {"GET", api.PathSeries + "?metric=m&fn=median", "", 422, "query.fn"},
		"bad attribute":            {"GET", api.PathSeries + "?metric=m&attributes=mode", "", 422, "query.attributes"},
		"no node's id":             {"GET", api.PathNodes + "/web-1", "", 404, ""},
		"no path":                  {"GET", "/v1/nothing", "", 404, ""},
		"no such method":           {"PUT", api.PathNodes, "{}", 405, ""},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := w.call(call{method: c.method, path: c.path, body: c.body, token: w.adminToken})
			var p api.Problem
			if err := json.Unmarshal([]byte(body), &p); err != nil {
				t.Fatalf("%v: %s", err, body)
			}
			if resp.StatusCode != c.status || p.Status != c.status || !strings.HasPrefix(p.Type, "urn:muster:problem:") || p.Title == "" {
				t.Errorf("got %d, want %d: %s", resp.StatusCode, c.status, body)
			}
			if c.location != "" && (len(p.Errors) == 0 || p.Errors[0].Location != c.location) {
				t.Errorf("want a fault at %s: %s", c.location, body)
			}
			if len(p.Errors) > 0 && p.Errors[0].Message == "" {
				t.Errorf("a fault without words: %s", body)
			}
		})
	}
}

func TestProblemsDoNotRepeatWhatWasSent(t *testing.T) {
	w := newWorld(t)
	_, body := w.call(call{method: "PUT", path: api.PathPassword, token: w.adminToken, body: `{"old":"hunter2-secret","new":"short"}`})
	if strings.Contains(body, "short") || strings.Contains(body, "hunter2") {
		t.Errorf("the password is in the answer: %s", body)
	}
}

func TestErrorKindsHaveTheirStatus(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		fail       error
		status     int
		retry      bool
		wantDetail string
	}{
		{fakeErr(muster.ErrNotFound, "x"), 404, false, ""},
		{fakeErr(muster.ErrInvalid, "the metric is too wide"), 422, false, "The metric is too wide"},
		{fakeErr(muster.ErrConflict, "x"), 409, false, ""},
		{fakeErr(muster.ErrDenied, "x"), 403, false, ""},
		{fakeErr(muster.ErrLimited, "x"), 429, true, ""},
		{fakeErr(muster.ErrUnavailable, "the disk is full"), 503, true, "The disk is full"},
		{errors.New("pebble: secret path /data"), 500, false, ""},
		{&auth.LimitedError{After: 1500e6}, 429, true, ""},
	} {
		w.series.fail = c.fail
		resp, body := w.call(call{method: "GET", path: api.PathSeries + "?metric=m", token: w.adminToken})
		if resp.StatusCode != c.status || (resp.Header.Get("Retry-After") != "") != c.retry || !strings.Contains(body, c.wantDetail) {
			t.Errorf("%v: %d, Retry-After %q, %s", c.fail, resp.StatusCode, resp.Header.Get("Retry-After"), body)
		}
		if strings.Contains(body, "/data") {
			t.Errorf("an inner error is told to the caller: %s", body)
		}
	}
	w.auth.fail = fakeErr(muster.ErrUnavailable, "the store is away")
	if resp, _ := w.call(call{method: "GET", path: api.PathMe, token: w.adminToken}); resp.StatusCode != 503 {
		t.Errorf("a store that is away while the token is checked: %d", resp.StatusCode)
	}
}

func TestTokensAndUsers(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	tok, err := w.admin.NewToken(ctx, api.TokenNew{Name: "ci", Role: "operator"})
	if err != nil || tok.Secret == "" || tok.Role != "operator" {
		t.Fatalf("%+v %v", tok, err)
	}
	if me, err := w.client(tok.Secret).Me(ctx); err != nil || me.ID != tok.ID || me.Kind != "token" || me.Role != "operator" {
		t.Errorf("the new token is %+v, %v", me, err)
	}
	for got, err := range w.admin.AllTokens(ctx) {
		if err != nil || got.Secret != "" {
			t.Errorf("a listed token shows its secret: %+v %v", got, err)
		}
	}
	if err := w.admin.DeleteToken(ctx, tok.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client(tok.Secret).Me(ctx); problem(t, err).Status != 401 {
		t.Errorf("a revoked token: %v", err)
	}
	u, err := w.admin.NewUser(ctx, api.UserNew{Name: "ann@example.com", Role: "admin"})
	if err != nil || !strings.HasPrefix(u.LoginURL, w.server.URL+"/login/") {
		t.Fatalf("%+v %v", u, err)
	}
	if _, err := w.admin.NewUser(ctx, api.UserNew{Name: "ann@example.com", Role: "admin"}); problem(t, err).Status != 409 {
		t.Errorf("the same name twice: %v", err)
	}
	role := "observer"
	if _, err := w.admin.EditUser(ctx, u.ID, 0, api.UserEdit{Role: &role}); problem(t, err).Status != 409 {
		t.Errorf("the last admin gave up the role: %v", err)
	}
	if err := w.admin.DeleteUser(ctx, u.ID); problem(t, err).Status != 409 {
		t.Errorf("the last admin was removed: %v", err)
	}
	if _, err := w.admin.NewUser(ctx, api.UserNew{Name: "bob", Role: "admin"}); err != nil {
		t.Fatal(err)
	}
	if got, err := w.admin.EditUser(ctx, u.ID, 1, api.UserEdit{Role: &role}); err != nil || got.Role != role {
		t.Errorf("%+v %v", got, err)
	}
	if err := w.admin.DeleteUser(ctx, u.ID); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for e, err := range w.observer.AllEvents(ctx, client.ListOptions{Limit: 2}) {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(e.Actor, "token_") {
			t.Errorf("who did %s: %q", e.Kind, e.Actor)
		}
		kinds = append(kinds, e.Kind)
	}
	if got := strings.Join(kinds, " "); got != "user.deleted user.changed user.created user.created token.deleted token.created" {
		t.Errorf("the changelog says %s", got)
	}
}

func TestAccount(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	a, err := w.observer.Account(ctx)
	if err != nil || a.Retention != "standard" || len(a.RetentionClasses) != 3 || a.RetentionClasses[0].Raw != "30d" {
		t.Fatalf("%+v %v", a, err)
	}
	long := "long"
	if a, err = w.admin.EditAccount(ctx, a.Rev, api.AccountEdit{Retention: &long}); err != nil || a.Retention != "long" {
		t.Errorf("%+v %v", a, err)
	}
	if _, err = w.admin.EditAccount(ctx, 1, api.AccountEdit{Retention: &long}); problem(t, err).Status != 412 {
		t.Errorf("an old rev: %v", err)
	}
}

func TestServerPages(t *testing.T) {
	parts := []api.Part{{Name: "store", Ready: true}, {Name: "series", Ready: true, Detail: "2 shards"}}
	w := newWorld(t, func(o *rest.Options) { o.Ready = func(context.Context) []api.Part { return parts } })
	if resp, body := w.call(call{method: "GET", path: api.PathHealth}); resp.StatusCode != 200 || !strings.Contains(body, "ok") {
		t.Errorf("healthz: %d %s", resp.StatusCode, body)
	}
	if r, err := w.observer.Ready(context.Background()); err != nil || !r.Ready || len(r.Parts) != 2 {
		t.Errorf("readyz: %+v %v", r, err)
	}
	parts[0] = api.Part{Name: "store", Detail: "the disk is full"}
	if resp, _ := w.call(call{method: "GET", path: api.PathReady}); resp.StatusCode != 503 {
		t.Errorf("readyz of a server that is not: %d", resp.StatusCode)
	}
	if r, err := w.observer.Ready(context.Background()); err != nil || r.Ready || r.Parts[0].Detail == "" {
		t.Errorf("readyz: %+v %v", r, err)
	}
	if resp, body := w.call(call{method: "GET", path: api.PathMetrics}); resp.StatusCode != 200 || !strings.Contains(body, "muster_rest_requests_total{operation=\"ready\",status=\"5xx\"}") {
		t.Errorf("metrics: %d %s", resp.StatusCode, body)
	}
	resp, page := w.call(call{method: "GET", path: api.PathDocs})
	if resp.StatusCode != 200 || !strings.Contains(page, "list-nodes") || strings.Contains(page, "<no value>") {
		t.Errorf("docs: %d", resp.StatusCode)
	}
	for _, foreign := range []string{"http://", "https://", "<script", "style="} {
		if strings.Contains(page, foreign) {
			t.Errorf("the docs hold %q", foreign)
		}
	}
	if resp, body := w.call(call{method: "GET", path: api.PathDocs + "/style.css"}); resp.StatusCode != 200 || strings.Contains(body, "url(") {
		t.Errorf("the docs' style: %d", resp.StatusCode)
	}
}

func TestPanicsAreProblems(t *testing.T) {
	w := newWorld(t, func(o *rest.Options) { o.Ready = func(context.Context) []api.Part { panic("oh") } })
	resp, body := w.call(call{method: "GET", path: api.PathReady})
	if resp.StatusCode != 500 || !strings.Contains(body, api.ProblemInternal) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func TestDocumentIsStable(t *testing.T) {
	w := newWorld(t)
	_, first := w.call(call{method: "GET", path: api.PathOpenAPI})
	other := newWorld(t)
	_, second := other.call(call{method: "GET", path: api.PathOpenAPI})
	if first != second {
		t.Error("two servers of one version give two documents")
	}
	if strings.Contains(first, "ErrorModel") {
		t.Error("the framework's error is in the document")
	}
	if !json.Valid([]byte(first)) || !bytes.Contains([]byte(first), []byte(`"openapi":"3.1`)) {
		t.Error("the document is not OpenAPI 3.1")
	}
}

func TestEnrollmentsAndTheirLine(t *testing.T) {
	w := newWorld(t, func(o *rest.Options) { o.Agents = fakeAgents{agentFile("linux", "amd64", "the agent")} })
	ctx := context.Background()
	e, err := w.operator.Enroll(ctx, api.EnrollmentNew{})
	if err != nil || e.UsesLeft != 1 || e.Token == "" || e.Command != "curl -fsS "+w.server.URL+"/join/"+e.Token+" | sudo sh" {
		t.Fatalf("%+v %v", e, err)
	}
	if resp, script := w.call(call{method: "GET", path: "/join/" + e.Token}); resp.StatusCode != 200 || !strings.Contains(script, e.Token) {
		t.Errorf("the script: %d", resp.StatusCode)
	}
	if _, body := w.call(call{method: "GET", path: "/download/muster-agent-linux-amd64"}); body != "the agent" {
		t.Errorf("the agent: %q", body)
	}
	if resp, body := w.call(call{method: "GET", path: "/download/x"}); resp.StatusCode != 404 || !strings.Contains(body, api.ProblemNotFound) {
		t.Errorf("no agent: %d %s", resp.StatusCode, body)
	}
	for got, err := range w.operator.AllEnrollments(ctx) {
		if err != nil || got.Token != "" || got.Command != "" || got.ID != e.ID {
			t.Errorf("listed: %+v %v", got, err)
		}
	}
	if err := w.operator.DeleteEnrollment(ctx, e.ID); err != nil {
		t.Fatal(err)
	}
	if err := w.operator.DeleteEnrollment(ctx, e.ID); !errors.Is(err, muster.ErrNotFound) {
		t.Errorf("twice: %v", err)
	}
}

func TestListsOfDocumentsComeInPages(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	for i := range 5 {
		if _, err := w.operator.Enroll(ctx, api.EnrollmentNew{Uses: i + 1}); err != nil {
			t.Fatal(err)
		}
	}
	var seen []string
	cursor, pages := "", 0
	for {
		_, body := w.call(call{method: "GET", path: api.PathEnrollments + "?limit=2&cursor=" + cursor, token: w.adminToken})
		var list api.List[api.Enrollment]
		if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Items) > 2 {
			t.Fatalf("%v: %s", err, body)
		}
		for _, e := range list.Items {
			seen = append(seen, e.ID)
		}
		pages++
		if cursor = list.Next; cursor == "" {
			break
		}
	}
	if distinct := slices.Compact(slices.Clone(seen)); len(seen) != 5 || len(distinct) != 5 || !slices.IsSorted(seen) || pages != 3 {
		t.Errorf("%d pages of %v", pages, seen)
	}
}

func TestMetricsOfANode(t *testing.T) {
	w := newWorld(t)
	id := w.node(w.mine, "web-1").Node.ID.String()
	for i := range 150 {
		w.series.now = append(w.series.now, series.MetricNow{Metric: muster.Metric{Name: fmt.Sprintf("m.%03d", i%75), Unit: "By", Kind: muster.Counter,
			Attrs: []muster.Attr{{Key: "n", Value: fmt.Sprint(i / 75)}}}, Source: "host", At: 1_000_500, Value: float64(i)})
	}
	w.series.now[0].Value = math.NaN()
	all, err := w.observer.NodeMetrics(context.Background(), id)
	if err != nil || len(all) != 150 || all[0].Metric != "m.000" || all[1].Metric != "m.000" || all[1].Attributes["n"] != "1" || all[1].Type != "counter" {
		t.Fatalf("%d %+v %v", len(all), all[:2], err)
	}
	if all[0].Last != nil || all[1].Last == nil || all[1].Last.Value != 75 || all[1].Last.At.UnixMilli() != 1_000_500 {
		t.Errorf("the newest values: %+v %+v", all[0].Last, all[1].Last)
	}
	if _, body := w.call(call{method: "GET", path: api.PathNodes + "/" + id + "/metrics", token: w.adminToken}); strings.Contains(body, `"next"`) {
		t.Error("not all of a node's metrics come at once")
	}
}

func TestSeriesAsks(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	w := newWorld(t, func(o *rest.Options) { o.Now = func() time.Time { return now } })
	one, two := w.node(w.mine, "a").Node.ID, w.node(w.mine, "b").Node.ID
	path := api.PathSeries + "?metric=system.disk.io&node=" + one.String() + "," + two.String() + "&attributes=disk.io.direction:read,system.device:sda&attributes=x:a,b&from=-2h&to=-1h&points=60&fn=max"
	if resp, body := w.call(call{method: "GET", path: path, token: w.adminToken}); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	q := w.series.asked
	if q.Account != w.mine || q.Metric != "system.disk.io" || q.Points != 60 || q.Fn != "max" || !slices.Equal(q.Nodes, []muster.NodeID{one, two}) ||
		!q.From.Equal(now.Add(-2*time.Hour)) || !q.To.Equal(now.Add(-time.Hour)) || fmt.Sprint(q.Attrs) != "map[disk.io.direction:read system.device:sda x:a,b]" {
		t.Errorf("asked %+v", q)
	}
	w.call(call{method: "GET", path: api.PathSeries + "?metric=m", token: w.adminToken})
	if q = w.series.asked; q.Nodes != nil || q.Points != 300 || !q.From.Equal(now.Add(-time.Hour)) || !q.To.Equal(now) {
		t.Errorf("by default %+v", q)
	}
}
