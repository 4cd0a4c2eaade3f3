package inventory_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"muster"
)

// fakeStore keeps documents in memory as the store's contract has them: copies in and out, revs, unique
// names and keys. down makes every verb fail.
type fakeStore struct {
	mu       sync.Mutex
	down     bool
	writes   int
	accounts map[muster.AccountID]*muster.Account
	nodes    map[muster.NodeID]*muster.Node
	invites  map[muster.EnrollmentID]*muster.Enrollment
	events   []muster.Event
}

func newFakeStore(accounts ...*muster.Account) *fakeStore {
	s := &fakeStore{
		accounts: map[muster.AccountID]*muster.Account{}, nodes: map[muster.NodeID]*muster.Node{},
		invites: map[muster.EnrollmentID]*muster.Enrollment{},
	}
	for _, a := range accounts {
		s.accounts[a.ID] = a
	}
	return s
}

func (s *fakeStore) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *fakeStore) enter() error {
	s.mu.Lock()
	if s.down {
		return fmt.Errorf("fake: %w", muster.ErrUnavailable)
	}
	return nil
}

func clone(n *muster.Node) *muster.Node {
	c := *n
	c.Tags, c.Addresses, c.AgentKey = slices.Clone(n.Tags), slices.Clone(n.Addresses), bytes.Clone(n.AgentKey)
	c.Facts = map[string]string{}
	for k, v := range n.Facts {
		c.Facts[k] = v
	}
	return &c
}

func (s *fakeStore) Accounts(context.Context) ([]*muster.Account, error) {
	err := s.enter()
	defer s.mu.Unlock()
	var all []*muster.Account
	for _, a := range s.accounts {
		all = append(all, a)
	}
	return all, err
}

func (s *fakeStore) Account(_ context.Context, id muster.AccountID) (*muster.Account, error) {
	err := s.enter()
	defer s.mu.Unlock()
	if a := s.accounts[id]; a != nil || err != nil {
		return a, err
	}
	return nil, muster.ErrNotFound
}

func (s *fakeStore) Nodes(_ context.Context, account muster.AccountID) ([]*muster.Node, error) {
	err := s.enter()
	defer s.mu.Unlock()
	var all []*muster.Node
	for _, n := range s.nodes {
		if n.Account == account {
			all = append(all, clone(n))
		}
	}
	return all, err
}

func (s *fakeStore) NodeByKey(_ context.Context, key []byte) (*muster.Node, error) {
	err := s.enter()
	defer s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	for _, n := range s.nodes {
		if bytes.Equal(n.AgentKey, key) {
			return clone(n), nil
		}
	}
	return nil, muster.ErrNotFound
}

func (s *fakeStore) free(n *muster.Node) error {
	for _, other := range s.nodes {
		if other.ID == n.ID || other.Account != n.Account {
			continue
		}
		if other.Name == n.Name || len(n.AgentKey) > 0 && bytes.Equal(other.AgentKey, n.AgentKey) {
			return fmt.Errorf("fake: %w: taken", muster.ErrConflict)
		}
	}
	return nil
}

func (s *fakeStore) CreateNode(_ context.Context, n *muster.Node) error {
	err := s.enter()
	defer s.mu.Unlock()
	if err == nil {
		err = s.free(n)
	}
	if err != nil {
		return err
	}
	s.writes++
	n.Rev, n.CreatedAt, n.UpdatedAt = 1, time.Now(), time.Now()
	s.nodes[n.ID] = clone(n)
	return nil
}

func (s *fakeStore) UpdateNode(_ context.Context, account muster.AccountID, id muster.NodeID, rev uint64, change func(*muster.Node) error) (*muster.Node, error) {
	err := s.enter()
	defer s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	n := s.nodes[id]
	if n == nil || n.Account != account {
		return nil, muster.ErrNotFound
	}
	if rev != 0 && rev != n.Rev {
		return nil, muster.ErrConflict
	}
	if err := change(clone(n)); err != nil { // as after a lost race: what the first call did must not show
		return nil, err
	}
	c := clone(n)
	if err := change(c); err != nil {
		return nil, err
	}
	if err := s.free(c); err != nil {
		return nil, err
	}
	s.writes++
	c.Rev++
	s.nodes[id] = clone(c)
	return c, nil
}

func (s *fakeStore) DeleteNode(_ context.Context, account muster.AccountID, id muster.NodeID, _ uint64) error {
	err := s.enter()
	defer s.mu.Unlock()
	if n := s.nodes[id]; err == nil && (n == nil || n.Account != account) {
		return muster.ErrNotFound
	}
	delete(s.nodes, id)
	return err
}

func (s *fakeStore) CreateEnrollment(_ context.Context, e *muster.Enrollment) error {
	err := s.enter()
	defer s.mu.Unlock()
	c := *e
	s.invites[e.ID] = &c
	return err
}

func (s *fakeStore) Enrollments(_ context.Context, account muster.AccountID) ([]*muster.Enrollment, error) {
	err := s.enter()
	defer s.mu.Unlock()
	var all []*muster.Enrollment
	for _, e := range s.invites {
		if e.Account == account {
			c := *e
			all = append(all, &c)
		}
	}
	return all, err
}

func (s *fakeStore) UseEnrollment(_ context.Context, hash, _ []byte, now time.Time) (muster.Enrollment, error) {
	err := s.enter()
	defer s.mu.Unlock()
	if err != nil {
		return muster.Enrollment{}, err
	}
	for _, e := range s.invites {
		switch {
		case !bytes.Equal(e.SecretHash, hash):
		case now.After(e.ExpiresAt):
			return *e, fmt.Errorf("%w: the enrolment token expired", muster.ErrDenied)
		case e.UsesLeft == 0:
			return *e, fmt.Errorf("%w: the enrolment token was used", muster.ErrDenied)
		default:
			e.UsesLeft--
			return *e, nil
		}
	}
	return muster.Enrollment{}, fmt.Errorf("%w: the enrolment token is unknown", muster.ErrDenied)
}

func (s *fakeStore) DeleteEnrollment(_ context.Context, account muster.AccountID, id muster.EnrollmentID, _ uint64) error {
	err := s.enter()
	defer s.mu.Unlock()
	if e := s.invites[id]; err == nil && (e == nil || e.Account != account) {
		return muster.ErrNotFound
	}
	delete(s.invites, id)
	return err
}

func (s *fakeStore) AppendEvents(_ context.Context, events []muster.Event) error {
	err := s.enter()
	defer s.mu.Unlock()
	if err == nil {
		s.events = append(s.events, events...)
	}
	return err
}

// told gives the saved changelog as "kind name: text" lines, in order, each id once.
func (s *fakeStore) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	seen := map[string]bool{}
	for _, e := range s.events {
		if !seen[e.ID] {
			lines = append(lines, e.Kind+" "+e.Name+": "+e.Text)
		}
		seen[e.ID] = true
	}
	return lines
}

func (s *fakeStore) node(id muster.NodeID) *muster.Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	return clone(s.nodes[id])
}
