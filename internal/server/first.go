package server

import (
	"context"
	"fmt"

	"muster"
	"muster/internal/auth"
)

// The account and the user of a first start.
const (
	firstAccount = "main"
	firstUser    = "admin"
)

// first makes the account and the admin of an empty store; of an old one it finds the admin who may
// still need a way in, nil when there is none.
func first(ctx context.Context, t *tenants, shards int) (*muster.User, error) {
	accounts, err := t.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	if len(accounts) == 0 {
		account := &muster.Account{Name: firstAccount, Spread: shards}
		if err := t.CreateAccount(ctx, account); err != nil {
			return nil, fmt.Errorf("server: make the first account: %w", err)
		}
		accounts = append(accounts, account)
	}
	users, err := t.Users(ctx, accounts[0].ID)
	if err != nil {
		return nil, err
	}
	for _, u := range users {
		if u.Role == muster.Admin {
			return u, nil
		}
	}
	// Also after a crash between the two creations.
	user := &muster.User{Account: accounts[0].ID, Name: firstUser, Role: muster.Admin}
	if err := t.CreateUser(ctx, user); err != nil {
		return nil, fmt.Errorf("server: make the first user: %w", err)
	}
	return user, nil
}

// invitation gives the one-time address for an admin who has no password yet, "" for one who has.
func invitation(ctx context.Context, people *auth.Service, admin *muster.User, base string) (string, error) {
	if admin == nil || admin.PasswordHash != "" {
		return "", nil
	}
	code, err := people.NewOneTime(ctx, admin.Account, admin.ID)
	if err != nil {
		return "", fmt.Errorf("server: make a one-time login: %w", err)
	}
	return base + loginPath + code, nil
}
