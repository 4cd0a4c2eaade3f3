// Package auth gives identities: it checks passwords, sessions, one-time codes and API tokens, and says
// who a caller is and what role she has. Secrets have 256 random bits and are kept only as hashes.
package auth

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"muster"
	"muster/internal/telemetry"
)

// Store is what auth needs to have remembered. Errors wrap the kinds of package muster; an Update
// calls fn again when somebody else was faster; rev 0 means any.
type Store interface {
	User(ctx context.Context, account muster.AccountID, id muster.UserID) (*muster.User, error)
	UserByName(ctx context.Context, name string) (*muster.User, error)
	UpdateUser(ctx context.Context, account muster.AccountID, id muster.UserID, rev uint64, fn func(*muster.User) error) (*muster.User, error)
	CreateToken(ctx context.Context, t *muster.Token) error
	TokenByHash(ctx context.Context, hash []byte) (*muster.Token, error)
	UpdateToken(ctx context.Context, account muster.AccountID, id muster.TokenID, rev uint64, fn func(*muster.Token) error) (*muster.Token, error)
	DeleteToken(ctx context.Context, account muster.AccountID, id muster.TokenID, rev uint64) error
	PutSession(ctx context.Context, hash, body []byte, ttl time.Duration) error
	Session(ctx context.Context, hash []byte) ([]byte, error)
	DeleteSession(ctx context.Context, hash []byte) error
}

// Options are auth's settings; the zero value is good.
type Options struct {
	SessionTTL time.Duration    // how long a session lives after its last use; 30 days when zero
	OneTimeTTL time.Duration    // how long a one-time code may be redeemed; 12 hours when zero
	CacheTTL   time.Duration    // how long a token, session or user is believed without asking the store; 10 s when zero
	Now        func() time.Time // the clock; time.Now when nil
	Logger     *slog.Logger     // discarded when nil
	Telemetry  *telemetry.Set   // may be nil
}

// Identity says who a caller is. User is set for people, Token for API tokens, never both.
type Identity struct {
	Account muster.AccountID
	User    muster.UserID
	Token   muster.TokenID
	Name    string // of the user or the token
	Role    muster.Role
	session string // hash of the session it came by, so that a new password can spare it
}

// Actor gives the id that the changelog names: of the user or the token.
func (i Identity) Actor() string {
	if i.User != "" {
		return string(i.User)
	}
	return string(i.Token)
}

// LimitedError says that there were too many attempts, and after which time another is looked at. It wraps muster.ErrLimited.
type LimitedError struct {
	After time.Duration
}

// Error names the time to wait.
func (e *LimitedError) Error() string {
	return fmt.Sprintf("%v: too many attempts: try again in %s", muster.ErrLimited, e.After)
}

// Unwrap gives muster.ErrLimited.
func (e *LimitedError) Unwrap() error { return muster.ErrLimited }
