package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"muster"
)

// accountBody is the body of an account. Accounts belong to the whole system: the account in their key is zero.
type accountBody struct {
	Name      string    `json:"name"`
	Spread    int       `json:"spread"`
	Retention string    `json:"retention"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func accountKey(id muster.AccountID) Key { return Key{Kind: "account", ID: id.String()} }

func accountForm() form[muster.Account] {
	return form[muster.Account]{
		kind: "account",
		key:  func(a *muster.Account) Key { return accountKey(a.ID) },
		meta: func(a *muster.Account) meta { return meta{&a.Rev, &a.CreatedAt, &a.UpdatedAt} },
		encode: func(a *muster.Account) any {
			return accountBody{Name: a.Name, Spread: a.Spread, Retention: a.Retention, CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt}
		},
		decode: func(key Key, text []byte) (*muster.Account, error) {
			b, err := parse[accountBody](key, text)
			if err != nil {
				return nil, err
			}
			id, err := muster.ParseAccountID(key.ID)
			return &muster.Account{ID: id, Name: b.Name, Spread: b.Spread, Retention: b.Retention, CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt}, err
		},
		check: func(a *muster.Account) error {
			if a.Spread < 1 {
				return fmt.Errorf("%w: an account is spread over at least one shard", muster.ErrInvalid)
			}
			return checkName("account", a.Name)
		},
	}
}

// parse reads a body; the error wraps ErrInvalid and names the object.
func parse[B any](key Key, text []byte) (*B, error) {
	body := new(B)
	if err := json.Unmarshal(text, body); err != nil {
		return nil, fmt.Errorf("%w: the body of %s %s: %w", muster.ErrInvalid, key.Kind, key.ID, err)
	}
	return body, nil
}

// CreateAccount stores a new account; it fills in ID when it is zero, Rev and times.
func (s *Store) CreateAccount(ctx context.Context, a *muster.Account) error {
	if a.ID.IsZero() {
		a.ID = muster.NewAccountID()
	}
	return s.accounts.create(ctx, a)
}

// Account reads one account; ErrNotFound when there is none.
func (s *Store) Account(ctx context.Context, id muster.AccountID) (*muster.Account, error) {
	return s.accounts.get(ctx, accountKey(id), false)
}

// Accounts reads all accounts, oldest first.
func (s *Store) Accounts(ctx context.Context) ([]*muster.Account, error) {
	return s.accounts.list(ctx, muster.AccountID{})
}

// UpdateAccount changes an account by fn, which may be called again when somebody was faster. rev 0
// means any; another that is not the current one gives ErrConflict. The spread can't be changed.
func (s *Store) UpdateAccount(ctx context.Context, id muster.AccountID, rev uint64, fn func(*muster.Account) error) (*muster.Account, error) {
	return s.accounts.update(ctx, accountKey(id), rev, func(a *muster.Account) error {
		spread := a.Spread
		if err := fn(a); err != nil {
			return err
		}
		if a.Spread != spread {
			return fmt.Errorf("%w: an account's spread is fixed when it is made", muster.ErrInvalid)
		}
		return nil
	})
}
