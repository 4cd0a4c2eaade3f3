package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"muster"
)

// usedEvery is how often at most the use of a token is written down.
const usedEvery = time.Minute

// usedPatience bounds how long a caller waits for that.
const usedPatience = 2 * time.Second

// Bearer says whose API token the secret is; ErrDenied when it is none.
func (s *Service) Bearer(ctx context.Context, secret string) (Identity, error) {
	if secret == "" || len(secret) > maxSecret {
		s.count("bearer", "denied")
		return Identity{}, fmt.Errorf("auth: bearer: %w: a valid API token is needed", muster.ErrDenied)
	}
	hash := hashOf(secret)
	k, ok, mark := s.tokens.get(hash)
	if !ok {
		token, err := s.store.TokenByHash(ctx, hash[:])
		if errors.Is(err, muster.ErrNotFound) {
			err = fmt.Errorf("%w: the API token is not known here; it may have been deleted", muster.ErrDenied)
		}
		s.count("bearer", outcome(err))
		if err != nil {
			return Identity{}, fmt.Errorf("auth: bearer: %w", err)
		}
		k = known{id: Identity{Account: token.Account, Token: token.ID, Name: token.Name, Role: token.Role}, told: token.LastUsedAt}
		s.tokens.put(hash, k, mark)
	}
	s.used(ctx, hash)
	return k.id, nil
}

// used writes down that a token was used, once in a while and by one caller.
func (s *Service) used(ctx context.Context, hash [32]byte) {
	now := s.now()
	var id Identity
	mine := s.tokens.claim(hash, func(k *known) bool {
		if now.Sub(k.told) < usedEvery {
			return false
		}
		k.told, id = now, k.id
		return true
	})
	if !mine {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), usedPatience)
	defer cancel()
	_, err := s.store.UpdateToken(ctx, id.Account, id.Token, 0, func(t *muster.Token) error {
		if now.After(t.LastUsedAt) {
			t.LastUsedAt = now
		}
		return nil
	})
	if err != nil { // the caller may go on: only the note is missing
		s.options.Logger.Debug("the use of a token was not written down", "token", id.Token, "error", err)
	}
}

// NewToken makes an API token in the account of id, who must be an admin; the secret is shown this once and not kept.
func (s *Service) NewToken(ctx context.Context, id Identity, name string, role muster.Role) (muster.Token, string, error) {
	if !id.Role.May(muster.Admin) {
		return muster.Token{}, "", fmt.Errorf("auth: new token: %w: only an admin may make tokens", muster.ErrDenied)
	}
	secret := tokenPrefix + newSecret()
	token, err := s.createToken(ctx, id.Account, name, role, secret)
	if err != nil {
		return muster.Token{}, "", fmt.Errorf("auth: new token: %w", err)
	}
	s.tell(ctx, muster.Event{Account: id.Account, Kind: "token.created", Actor: id.Actor(), Subject: string(token.ID), Name: name, Text: "made an API token with the role " + string(role)})
	return token, secret, nil
}

func (s *Service) createToken(ctx context.Context, account muster.AccountID, name string, role muster.Role, secret string) (muster.Token, error) {
	if err := checkRole(role); err != nil {
		return muster.Token{}, err
	}
	hash := hashOf(secret)
	token := muster.Token{Account: account, Name: name, Role: role, SecretHash: hash[:]}
	err := s.store.CreateToken(ctx, &token)
	return token, err
}

// AdoptToken makes a secret that came from outside, as a bootstrap token does, an API token of the
// account; nothing happens when it is one already. ErrConflict when it is one of another account.
func (s *Service) AdoptToken(ctx context.Context, account muster.AccountID, name string, role muster.Role, secret string) error {
	if secret == "" || len(secret) > maxSecret {
		return fmt.Errorf("auth: adopt token: %w: a token of 1 to %d bytes is needed", muster.ErrInvalid, maxSecret)
	}
	if len(secret) < 20 {
		s.options.Logger.Warn("the bootstrap token is short and may be guessed: use one of 32 random characters")
	}
	hash := hashOf(secret)
	found, err := s.store.TokenByHash(ctx, hash[:])
	switch {
	case err == nil && found.Account == account:
		return nil
	case err == nil:
		err = fmt.Errorf("%w: it belongs to another account", muster.ErrConflict)
	case errors.Is(err, muster.ErrNotFound):
		_, err = s.createToken(ctx, account, name, role, secret)
	}
	if err != nil {
		return fmt.Errorf("auth: adopt token: %w", err)
	}
	return nil
}

// RevokeToken deletes a token of the account of id, who must be an admin. It stops working at once on
// this server and within Options.CacheTTL on others.
func (s *Service) RevokeToken(ctx context.Context, id Identity, token muster.TokenID) error {
	if !id.Role.May(muster.Admin) {
		return fmt.Errorf("auth: revoke token: %w: only an admin may delete tokens", muster.ErrDenied)
	}
	err := s.store.DeleteToken(ctx, id.Account, token, 0)
	s.Forget(id.Account, "", token)
	if err != nil {
		return fmt.Errorf("auth: revoke token: %w", err)
	}
	s.tell(ctx, muster.Event{Account: id.Account, Kind: "token.revoked", Actor: id.Actor(), Subject: string(token), Text: "deleted an API token"})
	return nil
}
