package server

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"

	"muster"
	"muster/internal/store"
)

// tenants is the store with the accounts kept in memory, since every frame asks for its account's
// spread and class of retention.
type tenants struct {
	*store.Store

	mu  sync.RWMutex
	all map[muster.AccountID]*muster.Account
}

func readTenants(ctx context.Context, s *store.Store) (*tenants, error) {
	accounts, err := s.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	t := &tenants{Store: s, all: map[muster.AccountID]*muster.Account{}}
	for _, a := range accounts {
		t.all[a.ID] = a
	}
	return t, nil
}

func (t *tenants) known(id muster.AccountID) *muster.Account {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.all[id]
}

func (t *tenants) spread(id muster.AccountID) int {
	if a := t.known(id); a != nil {
		return a.Spread
	}
	return 1
}

func (t *tenants) class(id muster.AccountID) string {
	if a := t.known(id); a != nil {
		return a.Retention
	}
	return ""
}

func (t *tenants) name(_ context.Context, id muster.AccountID) string {
	if a := t.known(id); a != nil {
		return a.Name
	}
	return ""
}

// CreateAccount stores an account and remembers it.
func (t *tenants) CreateAccount(ctx context.Context, a *muster.Account) error {
	if err := t.Store.CreateAccount(ctx, a); err != nil {
		return err
	}
	t.remember(a)
	return nil
}

// UpdateAccount changes an account and remembers what it became.
func (t *tenants) UpdateAccount(ctx context.Context, id muster.AccountID, rev uint64, fn func(*muster.Account) error) (*muster.Account, error) {
	a, err := t.Store.UpdateAccount(ctx, id, rev, fn)
	if err == nil {
		t.remember(a)
	}
	return a, err
}

func (t *tenants) remember(a *muster.Account) {
	kept := *a
	t.mu.Lock()
	defer t.mu.Unlock()
	if old := t.all[a.ID]; old == nil || old.Rev < a.Rev {
		t.all[a.ID] = &kept
	}
}

// each gives the ids of all accounts.
func (t *tenants) each() iter.Seq[muster.AccountID] {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Values(slices.Collect(maps.Keys(t.all)))
}
