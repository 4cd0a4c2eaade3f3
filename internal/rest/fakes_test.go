package rest_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"muster"
	"muster/api"
	"muster/client"
	"muster/internal/auth"
	"muster/internal/inventory"
	"muster/internal/live"
	"muster/internal/rest"
	"muster/internal/series"
	"muster/internal/telemetry"
)

// world is a server with hand-written rooms behind it, two accounts and a caller of each role.
type world struct {
	t          *testing.T
	mine       muster.AccountID
	theirs     muster.AccountID
	nodes      *fakeNodes
	store      *fakeStore
	auth       *fakeAuth
	series     *fakeSeries
	alarms     *fakeAlarms
	hub        *live.Hub
	options    rest.Options
	api        *rest.API
	server     *httptest.Server
	admin      *client.Client
	operator   *client.Client
	observer   *client.Client
	stranger   *client.Client // an admin of the other account
	adminToken string
}

func newWorld(t *testing.T, change ...func(*rest.Options)) *world {
	t.Helper()
	w := &world{t: t, mine: muster.NewAccountID(), theirs: muster.NewAccountID(), hub: live.New(live.Options{})}
	w.store = newFakeStore(w.mine, w.theirs)
	w.nodes = &fakeNodes{store: w.store, nodes: map[muster.NodeID]*inventory.Row{}}
	w.store.nodes = w.nodes
	w.auth = &fakeAuth{store: w.store, secrets: map[string]auth.Identity{}, cookies: map[string]auth.Identity{}}
	w.series = &fakeSeries{}
	w.alarms = newFakeAlarms()
	w.options = rest.Options{
		Nodes: w.nodes, Series: w.series, Store: w.store, Auth: w.auth, Live: w.hub,
		Checks: newFakeChecks(), Alarms: w.alarms, Notices: newFakeNotices(),
		Filter: fakeFilter, Telemetry: telemetry.New(), Version: "1.2.3",
	}
	for _, f := range change {
		f(&w.options)
	}
	var err error
	if w.api, err = rest.New(w.options); err != nil {
		t.Fatal(err)
	}
	w.server = httptest.NewServer(checked(t, w.api))
	t.Cleanup(w.server.Close)
	t.Cleanup(w.hub.Close)
	w.adminToken = w.token(w.mine, muster.Admin)
	w.admin = w.client(w.adminToken)
	w.operator = w.client(w.token(w.mine, muster.Operator))
	w.observer = w.client(w.token(w.mine, muster.Observer))
	w.stranger = w.client(w.token(w.theirs, muster.Admin))
	return w
}

func (w *world) token(account muster.AccountID, role muster.Role) string {
	t, secret, err := w.auth.NewToken(context.Background(), auth.Identity{Account: account}, "test "+string(role), role)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = t
	return secret
}

func (w *world) client(token string) *client.Client {
	c, err := client.New(client.Options{Server: w.server.URL, Token: token, Retries: -1})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// node puts a node on the board.
func (w *world) node(account muster.AccountID, name string) *inventory.Row {
	n := &muster.Node{
		ID: muster.NewNodeID(), Account: account, Rev: 1, Name: name, Hostname: name + ".example.com",
		Addresses: []string{"192.0.2.1"}, Tags: []string{"env=prod", "web"}, Facts: map[string]string{"os.type": "linux"},
		AgentKey: []byte("key of " + name), AgentVersion: "1.0", Period: 10 * time.Second,
		CreatedAt: time.Now().UTC().Truncate(time.Millisecond), UpdatedAt: time.Now().UTC().Truncate(time.Millisecond),
	}
	row := &inventory.Row{Node: n, Now: muster.NodeNow{
		State: muster.Up, Since: n.CreatedAt, LastSeen: n.CreatedAt, Connected: true, CPU: 0.25, Memory: 0.5, Disk: 0.75, DiskMount: "/",
		Load: 1.5, Uptime: 3600, NetIn: 1000, NetOut: math.NaN(), Metrics: 120,
	}}
	w.nodes.mu.Lock()
	defer w.nodes.mu.Unlock()
	w.nodes.nodes[n.ID] = row
	return row
}

// fakeFilter knows name:PREFIX.
func fakeFilter(text string) (inventory.Matcher, error) {
	prefix, ok := strings.CutPrefix(text, "name:")
	if !ok {
		return nil, fmt.Errorf("filter: %w: at 1: unknown word %q", muster.ErrInvalid, text)
	}
	return nameMatch(prefix), nil
}

type nameMatch string

func (m nameMatch) Match(n *muster.Node, _ *muster.NodeNow, _ time.Time) bool {
	return strings.HasPrefix(n.Name, string(m))
}

func fakeErr(kind error, text string) error { return fmt.Errorf("fake: do: %w: %s", kind, text) }

type fakeNodes struct {
	mu      sync.Mutex
	store   *fakeStore
	nodes   map[muster.NodeID]*inventory.Row
	invites []*muster.Enrollment
	made    int // calls of NewEnrollment
	hold    chan struct{}
	fail    error
}

func (f *fakeNodes) List(account muster.AccountID, o inventory.ListOptions) ([]inventory.Row, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var rows []inventory.Row
	for _, r := range f.nodes {
		if r.Node.Account == account && (o.Query == nil || o.Query.Match(r.Node, &r.Now, time.Now())) {
			rows = append(rows, *r)
		}
	}
	slices.SortFunc(rows, func(x, y inventory.Row) int { return cmp.Compare(x.Node.Name, y.Node.Name) })
	if o.Desc {
		slices.Reverse(rows)
	}
	total := len(rows)
	if o.After != "" {
		at := slices.IndexFunc(rows, func(r inventory.Row) bool { return o.Cursor(r) == o.After })
		rows = rows[at+1:]
	}
	if o.Limit > 0 && len(rows) > o.Limit {
		rows = rows[:o.Limit]
	}
	return rows, total
}

func (f *fakeNodes) Get(account muster.AccountID, id muster.NodeID) (inventory.Row, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return inventory.Row{}, f.fail
	}
	r := f.nodes[id]
	if r == nil || r.Node.Account != account {
		return inventory.Row{}, fakeErr(muster.ErrNotFound, "no node")
	}
	return *r, nil
}

func (f *fakeNodes) Find(account muster.AccountID, name string) (inventory.Row, error) {
	rows, _ := f.List(account, inventory.ListOptions{})
	for _, r := range rows {
		if r.Node.Name == name {
			return r, nil
		}
	}
	return inventory.Row{}, fakeErr(muster.ErrNotFound, "no node")
}

func (f *fakeNodes) Update(ctx context.Context, e inventory.Edit, change func(*muster.Node) error) (inventory.Row, error) {
	r, err := f.Get(e.Account, e.Node)
	if err != nil {
		return r, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.Rev != 0 && e.Rev != r.Node.Rev {
		return r, fakeErr(muster.ErrConflict, "newer rev")
	}
	n := *r.Node
	if err := change(&n); err != nil {
		return r, fmt.Errorf("fake: update: %w", err)
	}
	for _, other := range f.nodes {
		if other.Node.ID != n.ID && other.Node.Account == n.Account && other.Node.Name == n.Name {
			return r, fakeErr(muster.ErrConflict, "the name is taken")
		}
	}
	n.Rev++
	f.nodes[n.ID] = &inventory.Row{Node: &n, Now: r.Now}
	return *f.nodes[n.ID], nil
}

func (f *fakeNodes) Delete(ctx context.Context, e inventory.Edit) error {
	r, err := f.Get(e.Account, e.Node)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.Rev != 0 && e.Rev != r.Node.Rev {
		return fakeErr(muster.ErrConflict, "newer rev")
	}
	delete(f.nodes, e.Node)
	return nil
}

func (f *fakeNodes) NewEnrollment(ctx context.Context, i inventory.Invite) (muster.Enrollment, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made++
	if hold := f.hold; hold != nil {
		f.mu.Unlock()
		<-hold
		f.mu.Lock()
	}
	if f.fail != nil {
		return muster.Enrollment{}, "", f.fail
	}
	token := fmt.Sprintf("enroll_%d", f.made)
	sum := sha256.Sum256([]byte(token))
	e := &muster.Enrollment{ID: muster.NewEnrollmentID(), Account: i.Account, Rev: 1, SecretHash: sum[:], UsesLeft: i.Uses,
		ExpiresAt: time.Now().Add(i.TTL), CreatedAt: time.Now(), UpdatedAt: time.Now()}
	f.invites = append(f.invites, e)
	return *e, token, nil
}

func (f *fakeNodes) Enrollments(ctx context.Context, account muster.AccountID) ([]*muster.Enrollment, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*muster.Enrollment
	for _, e := range f.invites {
		if e.Account == account {
			out = append(out, e)
		}
	}
	return out, nil
}

func (f *fakeNodes) Revoke(ctx context.Context, account muster.AccountID, id muster.EnrollmentID, actor string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := slices.IndexFunc(f.invites, func(e *muster.Enrollment) bool { return e.Account == account && e.ID == id })
	if at < 0 {
		return fakeErr(muster.ErrNotFound, "no enrollment")
	}
	f.invites = slices.Delete(f.invites, at, at+1)
	return nil
}

type fakeSeries struct {
	asked  series.Query
	answer series.Answer
	now    []series.MetricNow
	fail   error
}

func (f *fakeSeries) Query(ctx context.Context, q series.Query) (*series.Answer, error) {
	f.asked = q
	if f.fail != nil {
		return nil, f.fail
	}
	a := f.answer
	a.From, a.To = q.From, q.To
	return &a, nil
}

func (f *fakeSeries) Metrics(ctx context.Context, account muster.AccountID, node muster.NodeID) ([]series.MetricNow, error) {
	return f.now, f.fail
}

func (f *fakeSeries) Classes() []series.Class { return series.DefaultClasses() }

// fakeStore keeps documents in maps.
type fakeStore struct {
	mu       sync.Mutex
	accounts map[muster.AccountID]*muster.Account
	users    map[muster.UserID]*muster.User
	tokens   map[muster.TokenID]*muster.Token
	events   []muster.Event
	once     map[string][]byte
	fail     error
	nodes    *fakeNodes
}

func newFakeStore(accounts ...muster.AccountID) *fakeStore {
	s := &fakeStore{accounts: map[muster.AccountID]*muster.Account{}, users: map[muster.UserID]*muster.User{}, tokens: map[muster.TokenID]*muster.Token{}, once: map[string][]byte{}}
	for _, id := range accounts {
		s.accounts[id] = &muster.Account{ID: id, Rev: 1, Name: "first", Retention: "standard", CreatedAt: time.Now(), UpdatedAt: time.Now()}
	}
	return s
}

func copyOf[T any](p *T) *T {
	c := *p
	return &c
}

func (s *fakeStore) Account(ctx context.Context, id muster.AccountID) (*muster.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return nil, s.fail
	}
	return copyOf(s.accounts[id]), nil
}

func (s *fakeStore) UpdateAccount(ctx context.Context, id muster.AccountID, rev uint64, fn func(*muster.Account) error) (*muster.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := copyOf(s.accounts[id])
	if rev != 0 && rev != a.Rev {
		return nil, fakeErr(muster.ErrConflict, "newer rev")
	}
	if err := fn(a); err != nil {
		return nil, fmt.Errorf("fake: update: %w", err)
	}
	a.Rev++
	s.accounts[id] = a
	return copyOf(a), nil
}

func (s *fakeStore) CreateUser(ctx context.Context, u *muster.User) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.users {
		if other.Name == u.Name {
			return fakeErr(muster.ErrConflict, "the name is taken")
		}
	}
	u.ID, u.Rev, u.CreatedAt, u.UpdatedAt = muster.NewUserID(), 1, time.Now(), time.Now()
	s.users[u.ID] = copyOf(u)
	return nil
}

func (s *fakeStore) User(ctx context.Context, account muster.AccountID, id muster.UserID) (*muster.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[id]
	if u == nil || u.Account != account {
		return nil, fakeErr(muster.ErrNotFound, "no user")
	}
	return copyOf(u), nil
}

func (s *fakeStore) Users(ctx context.Context, account muster.AccountID) ([]*muster.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*muster.User
	for _, u := range s.users {
		if u.Account == account {
			out = append(out, copyOf(u))
		}
	}
	return out, nil
}

func (s *fakeStore) UpdateUser(ctx context.Context, account muster.AccountID, id muster.UserID, rev uint64, fn func(*muster.User) error) (*muster.User, error) {
	u, err := s.User(ctx, account, id)
	if err != nil {
		return nil, err
	}
	if rev != 0 && rev != u.Rev {
		return nil, fakeErr(muster.ErrConflict, "newer rev")
	}
	if err := fn(u); err != nil {
		return nil, err
	}
	u.Rev++
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[id] = copyOf(u)
	return u, nil
}

func (s *fakeStore) DeleteUser(ctx context.Context, account muster.AccountID, id muster.UserID, rev uint64) error {
	if _, err := s.User(ctx, account, id); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.users, id)
	return nil
}

func (s *fakeStore) Token(ctx context.Context, account muster.AccountID, id muster.TokenID) (*muster.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[id]
	if t == nil || t.Account != account {
		return nil, fakeErr(muster.ErrNotFound, "no token")
	}
	return copyOf(t), nil
}

func (s *fakeStore) Tokens(ctx context.Context, account muster.AccountID) ([]*muster.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*muster.Token
	for _, t := range s.tokens {
		if t.Account == account {
			out = append(out, copyOf(t))
		}
	}
	return out, nil
}

func (s *fakeStore) EnrollmentByHash(ctx context.Context, hash []byte) (*muster.Enrollment, error) {
	s.nodes.mu.Lock()
	defer s.nodes.mu.Unlock()
	for _, e := range s.nodes.invites {
		if string(e.SecretHash) == string(hash) {
			return copyOf(e), nil
		}
	}
	return nil, fakeErr(muster.ErrNotFound, "no enrollment")
}

func (s *fakeStore) AppendEvents(ctx context.Context, events []muster.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		e.ID = fmt.Sprintf("event_%04d", len(s.events))
		s.events = append(s.events, e)
	}
	return nil
}

func (s *fakeStore) Events(ctx context.Context, account muster.AccountID, before string, limit int) (out []muster.Event, next string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range slices.Backward(s.events) {
		if e.Account != account || before != "" && e.ID >= before {
			continue
		}
		if len(out) == limit {
			return out, out[limit-1].ID, nil
		}
		out = append(out, e)
	}
	return out, "", nil
}

func (s *fakeStore) PutOnce(ctx context.Context, account muster.AccountID, key string, body []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	if _, taken := s.once[account.String()+key]; taken {
		return fakeErr(muster.ErrConflict, "the key is taken")
	}
	s.once[account.String()+key] = body
	return nil
}

func (s *fakeStore) SettleOnce(ctx context.Context, account muster.AccountID, key string, body []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.once[account.String()+key] = body
	return nil
}

func (s *fakeStore) ForgetOnce(ctx context.Context, account muster.AccountID, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.once, account.String()+key)
	return nil
}

func (s *fakeStore) Once(ctx context.Context, account muster.AccountID, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.once[account.String()+key]
	if !ok {
		return nil, fakeErr(muster.ErrNotFound, "no answer")
	}
	return b, nil
}

// fakeAuth knows secrets and cookies by heart.
type fakeAuth struct {
	mu      sync.Mutex
	store   *fakeStore
	n       int
	secrets map[string]auth.Identity
	cookies map[string]auth.Identity
	fail    error
}

func (f *fakeAuth) Bearer(ctx context.Context, secret string) (auth.Identity, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return auth.Identity{}, f.fail
	}
	id, ok := f.secrets[secret]
	if !ok {
		return id, fakeErr(muster.ErrDenied, "unknown token")
	}
	return id, nil
}

func (f *fakeAuth) Session(ctx context.Context, cookie string) (auth.Identity, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id, ok := f.cookies[cookie]
	if !ok {
		return id, "", fakeErr(muster.ErrDenied, "no session")
	}
	return id, "csrf of " + cookie, nil
}

func (f *fakeAuth) CheckCSRF(cookie, token string) bool { return token == "csrf of "+cookie }

func (f *fakeAuth) NewOneTime(ctx context.Context, account muster.AccountID, user muster.UserID) (string, error) {
	return "one-time", nil
}

func (f *fakeAuth) NewToken(ctx context.Context, id auth.Identity, name string, role muster.Role) (muster.Token, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	secret := fmt.Sprintf("secret-%d", f.n)
	t := muster.Token{ID: muster.NewTokenID(), Account: id.Account, Rev: 1, Name: name, Role: role, CreatedAt: time.Now(), UpdatedAt: time.Now()}
	f.secrets[secret] = auth.Identity{Account: t.Account, Token: t.ID, Name: name, Role: role}
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	f.store.tokens[t.ID] = &t
	return t, secret, nil
}

func (f *fakeAuth) RevokeToken(ctx context.Context, id auth.Identity, token muster.TokenID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for secret, who := range f.secrets {
		if who.Token == token {
			delete(f.secrets, secret)
		}
	}
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	delete(f.store.tokens, token)
	return nil
}

func (f *fakeAuth) SetPassword(ctx context.Context, id auth.Identity, old, new string) error {
	if old != "old password" {
		return fakeErr(muster.ErrDenied, "the old password is not right")
	}
	return nil
}

func (f *fakeAuth) Forget(muster.AccountID, muster.UserID, muster.TokenID) {}

// fakeAgents is a list of agents.
type fakeAgents []rest.AgentFile

func (f fakeAgents) Agents() []rest.AgentFile { return f }

func agentFile(os, arch, content string) rest.AgentFile {
	sum := sha256.Sum256([]byte(content))
	return rest.AgentFile{OS: os, Arch: arch, Size: int64(len(content)), SHA256: fmt.Sprintf("%x", sum),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }}
}

// problem gives the problem that a call failed with.
func problem(t *testing.T, err error) *api.Problem {
	t.Helper()
	var e *client.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a problem", err)
	}
	return &e.Problem
}
