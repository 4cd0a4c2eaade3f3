package auth

import (
	"context"
	"fmt"

	"muster"
)

// Signatures for those who build against this package while it is being filled in.

// Service checks who callers are.
type Service struct{}

var errLater = fmt.Errorf("%w: auth: not filled in yet", muster.ErrUnavailable)

// New makes the service.
func New(s Store, o Options) *Service { return &Service{} }

// SignIn: ErrDenied for a wrong name or password, *LimitedError (ErrLimited) for too many attempts. cookie is the value to set.
func (s *Service) SignIn(ctx context.Context, name, password, remote string) (cookie string, id Identity, err error) {
	return "", Identity{}, errLater
}

// Redeem: ErrDenied when the code is unknown, used or expired.
func (s *Service) Redeem(ctx context.Context, code string) (cookie string, id Identity, err error) {
	return "", Identity{}, errLater
}
func (s *Service) NewOneTime(ctx context.Context, account muster.AccountID, user muster.UserID) (code string, err error) {
	return "", errLater
}
func (s *Service) Session(ctx context.Context, cookie string) (id Identity, csrf string, err error) {
	return Identity{}, "", errLater
}
func (s *Service) CheckCSRF(cookie, token string) bool              { return false }
func (s *Service) SignOut(ctx context.Context, cookie string) error { return errLater }

// SetPassword: old is ignored while none is set; ErrDenied when old is wrong, ErrInvalid when new is too short.
func (s *Service) SetPassword(ctx context.Context, id Identity, old, new string) error {
	return errLater
}
func (s *Service) HasPassword(ctx context.Context, id Identity) bool { return false }
func (s *Service) Bearer(ctx context.Context, secret string) (Identity, error) {
	return Identity{}, errLater
}
func (s *Service) NewToken(ctx context.Context, id Identity, name string, role muster.Role) (t muster.Token, secret string, err error) {
	return muster.Token{}, "", errLater
}

// AdoptToken makes a secret from outside (a bootstrap token) a token, once; nothing happens when it is one already.
func (s *Service) AdoptToken(ctx context.Context, account muster.AccountID, name string, role muster.Role, secret string) error {
	return errLater
}

// RevokeToken deletes a token so that it stops working at once on this server and within CacheTTL on others.
func (s *Service) RevokeToken(ctx context.Context, id Identity, token muster.TokenID) error {
	return errLater
}

// Forget drops what is remembered of a user or token, after it was changed behind auth's back.
func (s *Service) Forget(account muster.AccountID, user muster.UserID, token muster.TokenID) {}
