package e2e

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/auth"
	"muster/internal/store"
	"muster/internal/wire"
)

// tenant is one of two accounts on a server, with something of everything.
type tenant struct {
	s       *server
	name    string
	secret  string // of its admin's token
	agent   *peer
	metric  string
	invite  enrollment
	token   string // id
	user    string // id
	account string // id
}

const otherSecret = "e2e-other-token-0123456789abcdef0123456789abcdef0123"
const otherPassword = "correct horse battery staple"

// secondAccount makes another account with an admin, a token and a password, while the server is not running.
func (s *server) secondAccount() {
	s.t.Helper()
	ctx := s.t.Context()
	s.documents(func(docs *store.Store) {
		account := &muster.Account{Name: "other", Spread: 4}
		must := func(err error) {
			s.t.Helper()
			if err != nil {
				s.t.Fatal(err)
			}
		}
		must(docs.CreateAccount(ctx, account))
		user := &muster.User{Account: account.ID, Name: "mallory", Role: muster.Admin}
		must(docs.CreateUser(ctx, user))
		hash := sha256.Sum256([]byte(otherSecret))
		must(docs.CreateToken(ctx, &muster.Token{Account: account.ID, Name: "other", Role: muster.Admin, SecretHash: hash[:]}))
		people := auth.New(docs, auth.Options{})
		id := auth.Identity{Account: account.ID, User: user.ID, Name: user.Name, Role: user.Role}
		must(people.SetPassword(ctx, id, "", otherPassword))
	})
}

// ask asks in the name of the tenant; what is no JSON is given back as text.
func (c *tenant) ask(method, path, body string) (code int, text string) {
	c.s.t.Helper()
	ctx, cancel := context.WithTimeout(c.s.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.s.url+path, strings.NewReader(body))
	if err != nil {
		c.s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.secret)
	kind := "application/json"
	if method == http.MethodPatch {
		kind = "application/merge-patch+json"
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Idempotency-Key", "the same in both accounts "+path)
	return c.s.send(http.DefaultClient, req)
}

func (s *server) send(client *http.Client, req *http.Request) (code int, text string) {
	s.t.Helper()
	res, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var b strings.Builder
	if _, err := bufio.NewReader(res.Body).WriteTo(&b); err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, b.String()
}

// furnish gives the tenant a node with data, an invitation, a token and a user.
func (c *tenant) furnish() {
	c.s.t.Helper()
	get := func(method, path, body string, out any) {
		c.s.t.Helper()
		code, text := c.ask(method, path, body)
		if code/100 != 2 {
			c.s.t.Fatalf("%s: %s %s: %d %s", c.name, method, path, code, text)
		}
		if err := json.Unmarshal([]byte(text), out); err != nil {
			c.s.t.Fatal(err)
		}
	}
	var id struct{ ID string }
	get("POST", "/v1/enrollments", `{"uses":5,"ttl":"1h"}`, &c.invite)
	get("POST", "/v1/tokens", `{"name":"spare","role":"observer"}`, &id)
	c.token = id.ID
	get("POST", "/v1/users", `{"name":"user-of-`+c.name+`","role":"observer"}`, &id)
	c.user = id.ID
	get("GET", "/v1/account", "", &id)
	c.account = id.ID
	c.metric = "e2e.of." + c.name
	c.agent = c.s.newPeer("web").enter(c.s, c.invite.Token) // the same name in both accounts
	c.agent.tell(counting(1, c.metric))
	c.agent.tell(counting(2, "e2e.shared"))
	c.beat()
}

// beat sends a frame of each metric.
func (c *tenant) beat() {
	c.s.t.Helper()
	now := time.Now()
	shared := c.agent.frame(2, now, 1)
	shared.Source = "shared"
	c.agent.tell(&wire.Frames{Frames: []wire.Frame{c.agent.frame(1, now, 1), shared}})
	c.agent.ack()
}

// secrets are the words by which an account's things can be recognised wherever they show up.
func (c *tenant) secrets() []string {
	return []string{c.agent.node, c.metric, c.invite.ID, c.token, c.user, c.account, "user-of-" + c.name}
}

// sees asks for everything there are lists of, and gives what was found.
func (c *tenant) sees() string {
	var all strings.Builder
	for _, path := range []string{
		"/v1/nodes?limit=1000", "/v1/nodes?query=web", "/v1/events?limit=1000", "/v1/enrollments", "/v1/tokens", "/v1/users", "/v1/account", "/v1/me",
		"/v1/series?metric=e2e.of.main&from=-10m", "/v1/series?metric=e2e.of.other&from=-10m", "/v1/series?metric=e2e.shared&from=-10m",
	} {
		code, text := c.ask("GET", path, "")
		if code != http.StatusOK && code != http.StatusNotFound {
			c.s.t.Errorf("%s: %s: %d", c.name, path, code)
		}
		text = strings.ReplaceAll(text, `"metric":"e2e.of.main"`, "") // an answer repeats the question
		all.WriteString(strings.ReplaceAll(text, `"metric":"e2e.of.other"`, ""))
	}
	return all.String()
}

// TestAccountsDoNotMeet tries from each of two accounts to see and change what the other has: through the API,
// the stream, the pages and the wire.
func TestAccountsDoNotMeet(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	s.kill()
	s.secondAccount()
	s.start()
	s.ready()
	main := &tenant{s: s, name: "main", secret: bootstrapToken}
	other := &tenant{s: s, name: "other", secret: otherSecret}
	main.furnish()
	other.furnish()
	if main.agent.node == other.agent.node || main.token == other.token {
		t.Fatal("an answer of one account was given to the other")
	}
	for _, pair := range [][2]*tenant{{main, other}, {other, main}} {
		me, them := pair[0], pair[1]
		until(t, patience, "it sees its own", func() bool { return strings.Contains(me.sees(), "joined") })
		seen := me.sees()
		for _, word := range me.secrets() {
			if word != me.metric && !strings.Contains(seen, word) {
				t.Errorf("%s does not see its own %s: this proves nothing", me.name, word)
			}
		}
		for _, word := range them.secrets() {
			if strings.Contains(seen, word) {
				t.Errorf("%s sees %s of %s", me.name, word, them.name)
			}
		}
		me.cannotTouch(them)
		me.hearsNothing(them)
	}
	main.furnished(t)
	other.furnished(t)
	other.onPages(t, main)
	other.onTheWire(t, main)
}

// cannotTouch names things of another account.
func (c *tenant) cannotTouch(them *tenant) {
	c.s.t.Helper()
	n := "/v1/nodes/" + them.agent.node
	for _, r := range []struct{ method, path, body string }{
		{"GET", n, ""}, {"PATCH", n, `{"name":"mine"}`}, {"DELETE", n, ""}, {"GET", n + "/metrics", ""},
		{"GET", "/v1/series?metric=" + them.metric + "&node=" + them.agent.node, ""},
		{"GET", "/v1/series?metric=" + them.metric + "&node=" + c.agent.node + "," + them.agent.node, ""},
		{"GET", "/v1/stream?topics=nodes&node=" + them.agent.node, ""},
		{"GET", "/v1/enrollments/" + them.invite.ID, ""}, {"DELETE", "/v1/enrollments/" + them.invite.ID, ""},
		{"GET", "/v1/tokens/" + them.token, ""}, {"DELETE", "/v1/tokens/" + them.token, ""},
		{"GET", "/v1/users/" + them.user, ""}, {"PATCH", "/v1/users/" + them.user, `{"role":"admin"}`}, {"DELETE", "/v1/users/" + them.user, ""},
	} {
		code, text := c.ask(r.method, r.path, r.body)
		if code != http.StatusNotFound {
			c.s.t.Errorf("%s: %s %s: %d %s", c.name, r.method, r.path, code, text)
		}
	}
	code, text := c.ask("GET", "/v1/series?from=-10m&metric="+them.metric, "")
	if code == http.StatusOK && strings.Contains(text, `"points":[[`) {
		c.s.t.Errorf("%s reads %s: %s", c.name, them.metric, text)
	}
}

// hearsNothing follows the stream while both accounts' agents send.
func (c *tenant) hearsNothing(them *tenant) {
	t := c.s.t
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", c.s.url+"/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.secret)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() {
		t.Fatal("the stream ended")
	}
	them.beat()
	if code, _ := them.ask("PATCH", "/v1/nodes/"+them.agent.node, `{"notes":"heard by `+them.name+`"}`); code != http.StatusOK {
		t.Fatalf("a note: %d", code)
	}
	time.Sleep(1500 * time.Millisecond) // the time in which a change is told
	c.beat()
	if code, _ := c.ask("PATCH", "/v1/nodes/"+c.agent.node, `{"notes":"heard by `+c.name+` too"}`); code != http.StatusOK {
		t.Fatalf("a note: %d", code)
	}
	for lines.Scan() {
		for _, word := range append(them.secrets(), "heard by "+them.name) {
			if strings.Contains(lines.Text(), word) {
				t.Fatalf("%s hears of %s: %s", c.name, them.name, lines.Text())
			}
		}
		if strings.Contains(lines.Text(), "heard by "+c.name+" too") {
			return
		}
	}
	t.Fatalf("%s does not hear of its own changes: %v", c.name, lines.Err())
}

// furnished says whether everything is still there.
func (c *tenant) furnished(t *testing.T) {
	t.Helper()
	for _, path := range []string{"/v1/nodes/" + c.agent.node, "/v1/enrollments/" + c.invite.ID, "/v1/users/" + c.user} {
		if code, text := c.ask("GET", path, ""); code != http.StatusOK {
			t.Errorf("%s: %s: %d %s", c.name, path, code, text)
		}
	}
}

// onPages signs in and opens the pages of another account's node.
func (c *tenant) onPages(t *testing.T, them *tenant) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Timeout: patience}
	open := func(method, path string, form url.Values) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, c.s.url+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return c.s.send(browser, req)
	}
	open("GET", "/login", nil)
	open("POST", "/login", url.Values{"name": {"mallory"}, "password": {otherPassword}})
	if code, text := open("GET", "/nodes/"+c.agent.node, nil); code != http.StatusOK || !strings.Contains(text, c.agent.node) {
		t.Fatalf("its own page: %d: this proves nothing\n%.300s", code, text)
	}
	n := "/nodes/" + them.agent.node
	for _, path := range []string{n, n + "/data", n + "/live", n + "/metrics", n + "/changelog", n + "/notes"} {
		if code, text := open("GET", path, nil); code != http.StatusNotFound || strings.Contains(text, them.metric) {
			t.Errorf("page %s: %d", path, code)
		}
	}
	for _, path := range []string{"/", "/nodes", "/changelog", "/settings"} {
		code, text := open("GET", path, nil)
		if code != http.StatusOK {
			t.Errorf("page %s: %d", path, code)
		}
		for _, word := range them.secrets() {
			if strings.Contains(text, word) {
				t.Errorf("page %s shows %s of %s", path, word, them.name)
			}
		}
	}
}

// onTheWire shows another account's invitation with an identity that is known: it stays where it is.
func (c *tenant) onTheWire(t *testing.T, them *tenant) {
	t.Helper()
	node := c.agent.node
	c.agent.conn.CloseNow()
	c.agent.enter(c.s, them.invite.Token)
	if c.agent.node != node {
		t.Errorf("the agent became %s, it was %s", c.agent.node, node)
	}
	c.agent.tell(counting(1, "e2e.smuggled"))
	c.agent.tell(&wire.Frames{Frames: []wire.Frame{c.agent.frame(1, time.Now(), 1)}})
	c.agent.ack()
	if _, text := them.ask("GET", "/v1/series?metric=e2e.smuggled&from=-10m", ""); strings.Contains(text, `"points":[[`) {
		t.Errorf("%s reads what an agent of %s sent: %s", them.name, c.name, text)
	}
	var left struct {
		UsesLeft int `json:"uses_left"`
	}
	_, text := them.ask("GET", "/v1/enrollments/"+them.invite.ID, "")
	if err := json.Unmarshal([]byte(text), &left); err != nil || left.UsesLeft != 4 {
		t.Errorf("the invitation has %d uses left (%v)", left.UsesLeft, err)
	}
}
