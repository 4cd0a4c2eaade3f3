package store

import (
	"context"
	"time"

	"muster"
)

// userBody is the body of a user.
type userBody struct {
	Name         string      `json:"name"`
	Role         muster.Role `json:"role"`
	PasswordHash string      `json:"password_hash,omitempty"`
	CreatedAt    time.Time   `json:"created_at"`
	UpdatedAt    time.Time   `json:"updated_at"`
}

const nameOfUser = "name.user"

func userKey(account muster.AccountID, id muster.UserID) Key {
	return Key{Account: account, Kind: "user", ID: string(id)}
}

// userName is unique over all accounts: a person signs in before anybody knows her account.
func userName(name string) Key { return Key{Kind: nameOfUser, ID: fold(name)} }

func userForm() form[muster.User] {
	return form[muster.User]{
		kind: "user",
		key:  func(u *muster.User) Key { return userKey(u.Account, u.ID) },
		meta: func(u *muster.User) meta { return meta{&u.Rev, &u.CreatedAt, &u.UpdatedAt} },
		encode: func(u *muster.User) any {
			return userBody{Name: u.Name, Role: u.Role, PasswordHash: u.PasswordHash, CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt}
		},
		decode: func(key Key, text []byte) (*muster.User, error) {
			b, err := parse[userBody](key, text)
			if err != nil {
				return nil, err
			}
			return &muster.User{ID: muster.UserID(key.ID), Account: key.Account, Name: b.Name, Role: b.Role, PasswordHash: b.PasswordHash, CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt}, nil
		},
		claims: func(u *muster.User) []Key { return []Key{userName(u.Name)} },
		check:  func(u *muster.User) error { return checkName("user", u.Name) },
	}
}

// CreateUser stores a new user; it fills in ID when it is empty, Rev and times. ErrConflict when the name is taken, in any account.
func (s *Store) CreateUser(ctx context.Context, u *muster.User) error {
	if u.ID == "" {
		u.ID = muster.NewUserID()
	}
	return s.users.create(ctx, u)
}

// User reads one user of an account; ErrNotFound when there is none.
func (s *Store) User(ctx context.Context, account muster.AccountID, id muster.UserID) (*muster.User, error) {
	return s.users.get(ctx, userKey(account, id), false)
}

// UserByName reads the user who signs in with that name, upper and lower case alike; ErrNotFound when there is none.
func (s *Store) UserByName(ctx context.Context, name string) (*muster.User, error) {
	return s.users.byName(ctx, userName(name), false)
}

// Users reads all users of an account, oldest first.
func (s *Store) Users(ctx context.Context, account muster.AccountID) ([]*muster.User, error) {
	return s.users.list(ctx, account)
}

// UpdateUser changes a user by fn, which may be called again when somebody was faster. rev 0 means
// any; another that is not the current one gives ErrConflict, and so does a name that is taken.
func (s *Store) UpdateUser(ctx context.Context, account muster.AccountID, id muster.UserID, rev uint64, fn func(*muster.User) error) (*muster.User, error) {
	return s.users.update(ctx, userKey(account, id), rev, fn)
}

// DeleteUser removes a user and frees the name; rev as in UpdateUser.
func (s *Store) DeleteUser(ctx context.Context, account muster.AccountID, id muster.UserID, rev uint64) error {
	return s.users.remove(ctx, userKey(account, id), rev)
}
