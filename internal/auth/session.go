package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"muster"
)

// sessionBody is what is stored of a session, under the hash of its cookie.
type sessionBody struct {
	Account   muster.AccountID `json:"account"`
	User      muster.UserID    `json:"user"`
	Stamp     string           `json:"stamp"` // of the password it was made under: a new one ends it
	CreatedAt time.Time        `json:"created_at"`
	RenewedAt time.Time        `json:"renewed_at"`
}

// renewals is how many times in its length a session in use is made to live longer.
const renewals = 100

func stampOf(passwordHash string) string {
	sum := sha256.Sum256([]byte("muster session 1\n" + passwordHash))
	return hex.EncodeToString(sum[:8])
}

var errSignIn = fmt.Errorf("%w: sign in", muster.ErrDenied)

// SignIn checks name and password and opens a session; cookie is the value to set. remote is the
// caller's address, with or without port. ErrDenied, the same for a wrong name and a wrong password; *LimitedError after too many attempts.
func (s *Service) SignIn(ctx context.Context, name, password, remote string) (cookie string, id Identity, err error) {
	cookie, id, err = s.signIn(ctx, name, password, remote)
	s.count("sign_in", outcome(err))
	if err != nil {
		return "", Identity{}, fmt.Errorf("auth: sign in: %w", err)
	}
	s.signedIn(ctx, id, "signed in with a password")
	return cookie, id, nil
}

func (s *Service) signedIn(ctx context.Context, id Identity, how string) {
	s.tell(ctx, muster.Event{Account: id.Account, Kind: "user.signed_in", Actor: id.Actor(), Subject: string(id.User), Name: id.Name, Text: how})
}

func (s *Service) signIn(ctx context.Context, name, password, remote string) (string, Identity, error) {
	limits := attempts(name, remote)
	if wait := s.limits.take(limits); wait > 0 {
		return "", Identity{}, &LimitedError{After: wait}
	}
	user, err := s.store.UserByName(ctx, name)
	if errors.Is(err, muster.ErrNotFound) {
		user, err = &muster.User{}, nil
	}
	if err != nil {
		return "", Identity{}, err
	}
	right, err := s.verify(ctx, user.PasswordHash, password)
	if err != nil {
		return "", Identity{}, err
	}
	if !right {
		return "", Identity{}, fmt.Errorf("%w: the name or the password is not right", muster.ErrDenied)
	}
	s.limits.give(limits)
	return s.openSession(ctx, user)
}

// openSession stores a new session of the user.
func (s *Service) openSession(ctx context.Context, user *muster.User) (string, Identity, error) {
	cookie := newSecret()
	hash := hashOf(cookie)
	id := identityOf(user)
	id.session = string(hash[:])
	now := s.now()
	err := s.saveSession(ctx, hash[:], &sessionBody{Account: user.Account, User: user.ID, Stamp: stampOf(user.PasswordHash), CreatedAt: now, RenewedAt: now})
	if err != nil {
		return "", Identity{}, err
	}
	return cookie, id, nil
}

func identityOf(user *muster.User) Identity {
	return Identity{Account: user.Account, User: user.ID, Name: user.Name, Role: user.Role}
}

func (s *Service) saveSession(ctx context.Context, hash []byte, body *sessionBody) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("%w: %w", muster.ErrInvalid, err)
	}
	return s.store.PutSession(ctx, hash, text, s.options.SessionTTL)
}

// Session says who holds the cookie, and the token that her pages must send back with every change.
// ErrDenied when there is no such session, or its user is gone or has a new password. A session in use lives on.
func (s *Service) Session(ctx context.Context, cookie string) (id Identity, csrf string, err error) {
	if len(cookie) != secretLength {
		return Identity{}, "", fmt.Errorf("auth: session: %w", errSignIn)
	}
	hash := hashOf(cookie)
	k, ok, mark := s.sessions.get(hash)
	if !ok {
		if k, err = s.loadSession(ctx, hash[:]); err != nil {
			return Identity{}, "", fmt.Errorf("auth: session: %w", err)
		}
		s.sessions.put(hash, k, mark)
	}
	return k.id, csrfOf(cookie), nil
}

func (s *Service) loadSession(ctx context.Context, hash []byte) (known, error) {
	body, err := s.readSession(ctx, hash)
	if err != nil {
		return known{}, err
	}
	user, err := s.store.User(ctx, body.Account, body.User)
	if err != nil && !errors.Is(err, muster.ErrNotFound) {
		return known{}, err
	}
	if err != nil || !equal(body.Stamp, stampOf(user.PasswordHash)) {
		_ = s.store.DeleteSession(ctx, hash) // it is worth nothing, and expires anyway
		return known{}, errSignIn
	}
	if now := s.now(); now.Sub(body.RenewedAt) > s.options.SessionTTL/renewals {
		body.RenewedAt = now
		if err := s.saveSession(ctx, hash, body); err != nil {
			s.options.Logger.Debug("a session was not renewed", "error", err)
		}
	}
	id := identityOf(user)
	id.session = string(hash)
	return known{id: id}, nil
}

func (s *Service) readSession(ctx context.Context, hash []byte) (*sessionBody, error) {
	text, err := s.store.Session(ctx, hash)
	if errors.Is(err, muster.ErrNotFound) {
		return nil, errSignIn
	}
	if err != nil {
		return nil, err
	}
	body := &sessionBody{}
	if err := json.Unmarshal(text, body); err != nil {
		s.options.Logger.Error("a session can't be read", "error", err)
		return nil, errSignIn
	}
	return body, nil
}

// keepSession carries the session that id came by over to a new password.
func (s *Service) keepSession(ctx context.Context, id Identity, passwordHash string) error {
	if id.session == "" {
		return nil
	}
	body, err := s.readSession(ctx, []byte(id.session))
	if errors.Is(err, muster.ErrDenied) {
		return nil // signed out meanwhile
	}
	if err != nil {
		return err
	}
	body.Stamp = stampOf(passwordHash)
	return s.saveSession(ctx, []byte(id.session), body)
}

// CheckCSRF says whether token is the one that belongs to the session of this cookie.
func (s *Service) CheckCSRF(cookie, token string) bool {
	return len(cookie) == secretLength && equal(csrfOf(cookie), token)
}

// SignOut ends the session; it is no error when there is none.
func (s *Service) SignOut(ctx context.Context, cookie string) error {
	if len(cookie) != secretLength {
		return nil
	}
	hash := hashOf(cookie)
	err := s.store.DeleteSession(ctx, hash[:])
	s.sessions.drop(func(k known) bool { return k.id.session == string(hash[:]) })
	if err != nil {
		return fmt.Errorf("auth: sign out: %w", err)
	}
	return nil
}

// outcome names an error for counting.
func outcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, muster.ErrDenied):
		return "denied"
	case errors.Is(err, muster.ErrLimited):
		return "limited"
	}
	return "failed"
}
