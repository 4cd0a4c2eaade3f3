package auth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"muster"
)

// codesMost bounds how many one-time codes wait to be redeemed.
const codesMost = 1000

// codes are the one-time codes of this process. They are not stored: a restart ends them.
type codes struct {
	mu   sync.Mutex
	held map[[32]byte]code
}

type code struct {
	account muster.AccountID
	user    muster.UserID
	until   time.Time
}

func newCodes() *codes { return &codes{held: map[[32]byte]code{}} }

func (c *codes) put(hash [32]byte, fresh code, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.held) >= codesMost {
		for key, old := range c.held {
			if !now.Before(old.until) {
				delete(c.held, key)
			}
		}
	}
	if len(c.held) >= codesMost {
		return false
	}
	c.held[hash] = fresh
	return true
}

// take gives a code away: of several callers at once one gets it.
func (c *codes) take(hash [32]byte) (code, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.held[hash]
	delete(c.held, hash)
	return found, ok
}

// NewOneTime makes a code that opens one session of the user, once, until Options.OneTimeTTL is over
// or the process ends. ErrLimited when too many codes wait.
func (s *Service) NewOneTime(_ context.Context, account muster.AccountID, user muster.UserID) (string, error) {
	secret, now := newSecret(), s.options.Now()
	if !s.codes.put(hashOf(secret), code{account: account, user: user, until: now.Add(s.options.OneTimeTTL)}, now) {
		return "", fmt.Errorf("auth: one-time code: %w: %d codes wait to be used", muster.ErrLimited, codesMost)
	}
	return secret, nil
}

// Redeem turns a one-time code into a session; cookie is the value to set. ErrDenied when the code is unknown, used or expired.
func (s *Service) Redeem(ctx context.Context, secret string) (cookie string, id Identity, err error) {
	cookie, id, err = s.redeem(ctx, secret)
	s.count("one_time", outcome(err))
	if err != nil {
		return "", Identity{}, fmt.Errorf("auth: one-time code: %w", err)
	}
	s.signedIn(ctx, id, "signed in with a one-time link")
	return cookie, id, nil
}

func (s *Service) redeem(ctx context.Context, secret string) (string, Identity, error) {
	denied := fmt.Errorf("%w: this link was used already or has expired; sign in with your password, or restart the server for a new link", muster.ErrDenied)
	if len(secret) != secretLength {
		return "", Identity{}, denied
	}
	hash, now := hashOf(secret), s.options.Now()
	found, ok := s.codes.take(hash)
	if !ok || !now.Before(found.until) {
		return "", Identity{}, denied
	}
	user, err := s.store.User(ctx, found.account, found.user)
	var cookie string
	var id Identity
	if err == nil {
		cookie, id, err = s.openSession(ctx, user)
	}
	switch {
	case errors.Is(err, muster.ErrUnavailable): // nobody got in: the code is still good
		s.codes.put(hash, found, now)
	case errors.Is(err, muster.ErrNotFound):
		err = denied
	}
	return cookie, id, err
}
