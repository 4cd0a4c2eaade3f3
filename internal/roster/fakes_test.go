package roster_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/roster"
)

// fakeStore keeps documents and streams in memory as the store's contract has them: copies in and out,
// revs, names that are unique in their account. down makes every verb fail.
type fakeStore struct {
	mu       sync.Mutex
	down     bool
	refuse   bool // rows are refused for good
	accounts []*muster.Account
	checks   map[muster.CheckID]*muster.Check
	events   []muster.Event
	rows     map[string][]roster.StoredRow // by account and stream, newest first
	puts     int
	now      func() time.Time
}

func newFakeStore(accounts ...muster.AccountID) *fakeStore {
	s := &fakeStore{checks: map[muster.CheckID]*muster.Check{}, rows: map[string][]roster.StoredRow{}, now: time.Now}
	for _, a := range accounts {
		s.accounts = append(s.accounts, &muster.Account{ID: a})
	}
	return s
}

func (s *fakeStore) set(down, refuse bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down, s.refuse = down, refuse
}

func (s *fakeStore) enter() error {
	s.mu.Lock()
	if s.down {
		return fmt.Errorf("fake: %w: away", muster.ErrUnavailable)
	}
	return nil
}

func clone(c *muster.Check) *muster.Check {
	d := *c
	d.Config, d.Zones = bytes.Clone(c.Config), slices.Clone(c.Zones)
	return &d
}

func (s *fakeStore) Accounts(context.Context) ([]*muster.Account, error) {
	err := s.enter()
	defer s.mu.Unlock()
	return s.accounts, err
}

func (s *fakeStore) Checks(_ context.Context, account muster.AccountID) (all []*muster.Check, err error) {
	err = s.enter()
	defer s.mu.Unlock()
	for _, c := range s.checks {
		if c.Account == account {
			all = append(all, clone(c))
		}
	}
	return all, err
}

func (s *fakeStore) free(c *muster.Check) error {
	for _, other := range s.checks {
		if other.ID != c.ID && other.Account == c.Account && strings.EqualFold(other.Name, c.Name) {
			return fmt.Errorf("fake: %w: the name is taken", muster.ErrConflict)
		}
	}
	return nil
}

func (s *fakeStore) CreateCheck(_ context.Context, c *muster.Check) error {
	err := s.enter()
	defer s.mu.Unlock()
	if err == nil {
		err = s.free(c)
	}
	if err == nil && s.checks[c.ID] != nil {
		err = fmt.Errorf("fake: %w: it exists", muster.ErrConflict)
	}
	if err != nil {
		return err
	}
	c.Rev, c.CreatedAt, c.UpdatedAt = 1, s.now(), s.now()
	s.checks[c.ID] = clone(c)
	return nil
}

func (s *fakeStore) UpdateCheck(_ context.Context, account muster.AccountID, id muster.CheckID, rev uint64, change func(*muster.Check) error) (*muster.Check, error) {
	err := s.enter()
	defer s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	c := s.checks[id]
	if c == nil || c.Account != account {
		return nil, fmt.Errorf("fake: %w", muster.ErrNotFound)
	}
	if rev != 0 && rev != c.Rev {
		return nil, fmt.Errorf("fake: %w: somebody was faster", muster.ErrConflict)
	}
	if err := change(clone(c)); err != nil { // as after a lost race: what the first call did must not show
		return nil, err
	}
	d := clone(c)
	if err := change(d); err != nil {
		return nil, err
	}
	if err := s.free(d); err != nil {
		return nil, err
	}
	d.Rev, d.UpdatedAt = d.Rev+1, s.now()
	s.checks[id] = clone(d)
	return d, nil
}

func (s *fakeStore) DeleteCheck(_ context.Context, account muster.AccountID, id muster.CheckID, rev uint64) error {
	err := s.enter()
	defer s.mu.Unlock()
	c := s.checks[id]
	switch {
	case err != nil:
		return err
	case c == nil || c.Account != account:
		return fmt.Errorf("fake: %w", muster.ErrNotFound)
	case rev != 0 && rev != c.Rev:
		return fmt.Errorf("fake: %w: somebody was faster", muster.ErrConflict)
	}
	delete(s.checks, id)
	return nil
}

func (s *fakeStore) AppendEvents(_ context.Context, events []muster.Event) error {
	err := s.enter()
	defer s.mu.Unlock()
	if err == nil {
		s.events = append(s.events, events...)
	}
	return err
}

func (s *fakeStore) PutRows(_ context.Context, account muster.AccountID, stream string, rows []roster.StoredRow) error {
	err := s.enter()
	defer s.mu.Unlock()
	if err != nil {
		return err
	}
	if s.refuse {
		return fmt.Errorf("fake: %w: no", muster.ErrInvalid)
	}
	s.puts++
	key := account.String() + "/" + stream
	for _, row := range rows {
		list := slices.DeleteFunc(s.rows[key], func(r roster.StoredRow) bool { return r.At == row.At && r.ID == row.ID })
		row.Body = bytes.Clone(row.Body)
		s.rows[key] = append(list, row)
	}
	slices.SortFunc(s.rows[key], func(a, b roster.StoredRow) int {
		return cmp.Or(cmp.Compare(b.At, a.At), strings.Compare(b.ID, a.ID))
	})
	return nil
}

func (s *fakeStore) Rows(_ context.Context, account muster.AccountID, stream, before string, limit int) ([]roster.StoredRow, string, error) {
	err := s.enter()
	defer s.mu.Unlock()
	if err != nil {
		return nil, "", err
	}
	from := 0
	if before != "" {
		if from, err = strconv.Atoi(before); err != nil {
			return nil, "", fmt.Errorf("fake: %w: the cursor", muster.ErrInvalid)
		}
	}
	all := s.rows[account.String()+"/"+stream]
	rows := slices.Clone(all[min(from, len(all)):min(from+limit, len(all))])
	if from+limit < len(all) {
		return rows, strconv.Itoa(from + limit), nil
	}
	return rows, "", nil
}

// texts gives the stored rows of a check, newest first.
func (s *fakeStore) texts(account muster.AccountID, id muster.CheckID) []roster.StoredRow {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rows[account.String()+"/results/"+string(id)])
}

func (s *fakeStore) lines() []muster.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// fakeKind is a kind whose configuration is {"url": TEXT}.
type fakeKind struct{ name string }

func (k fakeKind) Name() string { return k.name }

func (k fakeKind) Parse(config []byte) (check.Probe, error) {
	f := check.ReadFields(config)
	p := fakeProbe{Method: "GET"}
	f.Text("url", &p.URL, 200)
	f.Text("method", &p.Method, 20)
	f.Text("password", &p.Password, 20)
	skip := false
	f.Bool("tls_skip_verify", &skip)
	if p.URL == "" {
		f.Fault("url", "must be given")
	}
	if err := f.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", k.name, err)
	}
	return p, nil
}

type fakeProbe struct {
	URL      string `json:"url"`
	Method   string `json:"method"`
	Password string `json:"password,omitempty"`
}

func (p fakeProbe) Config() []byte                                  { b, _ := json.Marshal(p); return b }
func (p fakeProbe) Target() string                                  { return p.URL }
func (p fakeProbe) Run(context.Context, *check.Env, *check.Outcome) {}

// fakeSeries keeps frames as the series do, and answers for the past.
type fakeSeries struct {
	mu     sync.Mutex
	down   bool
	asked  int
	frames []*muster.Frame
}

func (s *fakeSeries) add(frames []*muster.Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return fmt.Errorf("fake: %w: no room", muster.ErrUnavailable)
	}
	for _, f := range frames {
		if !slices.ContainsFunc(s.frames, func(g *muster.Frame) bool { return g.Source == f.Source && g.At == f.At && g.Node == f.Node }) {
			s.frames = append(s.frames, f)
		}
	}
	return nil
}

func (s *fakeSeries) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *fakeSeries) past(_ context.Context, p roster.Past) ([]roster.Line, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.down {
		return nil, fmt.Errorf("fake: %w: away", muster.ErrUnavailable)
	}
	lines := map[string]*roster.Line{}
	var keys []string
	for _, f := range s.frames {
		if f.Account != p.Account || f.Node != p.Subject || f.At < p.From.UnixMilli() || f.At >= p.To.UnixMilli() {
			continue
		}
		for i := range f.Schema.Metrics {
			m := &f.Schema.Metrics[i]
			if m.Name != p.Metric || m.Attr(muster.CheckAttr) != string(p.Check) {
				continue
			}
			if lines[m.Key()] == nil {
				lines[m.Key()] = &roster.Line{Unit: m.Unit, Kind: m.Kind, Attrs: m.Attrs}
				keys = append(keys, m.Key())
			}
			lines[m.Key()].Points = append(lines[m.Key()].Points, roster.Point{At: f.At, Value: f.Values[i]})
		}
	}
	var out []roster.Line
	for _, key := range keys {
		slices.SortFunc(lines[key].Points, func(a, b roster.Point) int { return cmp.Compare(a.At, b.At) })
		out = append(out, *lines[key])
	}
	return out, nil
}
