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
	SessionTTL time.Duration                       // how long a session lives after its last use; 30 days when zero
	OneTimeTTL time.Duration                       // how long a one-time code may be redeemed; 12 hours when zero
	CacheTTL   time.Duration                       // how long a token, session or user is believed without asking the store; 10 s when zero
	Now        func() time.Time                    // the clock; time.Now when nil
	Tell       func(context.Context, muster.Event) // hears of sign-ins, new passwords and tokens, after they are stored; may be nil
	Logger     *slog.Logger                        // discarded when nil
	Telemetry  *telemetry.Set                      // may be nil
}

// Defaults of Options.
const (
	defaultSessionTTL = 30 * 24 * time.Hour
	defaultOneTimeTTL = 12 * time.Hour
	defaultCacheTTL   = 10 * time.Second
)

// Service checks who callers are. It is safe for use by several goroutines.
type Service struct {
	store    Store
	options  Options
	work     chan struct{} // bounds how many passwords are hashed at once: each takes 19 MiB
	limits   *limiter
	codes    *codes
	sessions *cache[known]
	tokens   *cache[known]
}

// known is what is believed of a session or token for a while.
type known struct {
	id   Identity
	told time.Time // when its use was written down last
}

// New makes a service over a store.
func New(s Store, o Options) *Service {
	if o.SessionTTL == 0 {
		o.SessionTTL = defaultSessionTTL
	}
	if o.OneTimeTTL == 0 {
		o.OneTimeTTL = defaultOneTimeTTL
	}
	if o.CacheTTL == 0 {
		o.CacheTTL = defaultCacheTTL
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{
		store: s, options: o,
		work:     make(chan struct{}, hashersAtOnce),
		limits:   newLimiter(o.Now),
		codes:    newCodes(),
		sessions: newCache[known](o.Now, o.CacheTTL),
		tokens:   newCache[known](o.Now, o.CacheTTL),
	}
}

func (s *Service) now() time.Time { return s.options.Now().UTC().Truncate(time.Millisecond) }

func (s *Service) count(what, outcome string) {
	s.options.Telemetry.Counter(fmt.Sprintf("muster_auth_total{what=%q,outcome=%q}", what, outcome)).Inc()
}

func (s *Service) tell(ctx context.Context, e muster.Event) {
	if s.options.Tell != nil {
		e.At = s.now()
		s.options.Tell(ctx, e)
	}
}

// Forget drops what is believed of a user or a token, after it was changed behind auth's back; either may be empty.
func (s *Service) Forget(account muster.AccountID, user muster.UserID, token muster.TokenID) {
	if user != "" {
		s.sessions.drop(func(k known) bool { return k.id.User == user && k.id.Account == account })
	}
	if token != "" {
		s.tokens.drop(func(k known) bool { return k.id.Token == token && k.id.Account == account })
	}
}

// checkRole refuses words that are no role.
func checkRole(role muster.Role) error {
	if !role.May(muster.Observer) {
		return fmt.Errorf("%w: the role %q is none of admin, operator and observer", muster.ErrInvalid, role)
	}
	return nil
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
