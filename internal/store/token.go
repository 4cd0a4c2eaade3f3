package store

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"muster"
)

// tokenBody is the body of a token; SecretHash is in hexadecimal digits.
type tokenBody struct {
	Name       string      `json:"name"`
	Role       muster.Role `json:"role"`
	SecretHash string      `json:"secret_hash"`
	LastUsedAt time.Time   `json:"last_used_at,omitzero"`
	CreatedAt  time.Time   `json:"created_at"`
	UpdatedAt  time.Time   `json:"updated_at"`
}

const nameOfToken = "name.token"

func tokenKey(account muster.AccountID, id muster.TokenID) Key {
	return Key{Account: account, Kind: "token", ID: string(id)}
}

func tokenHash(hash []byte) Key { return Key{Kind: nameOfToken, ID: hex.EncodeToString(hash)} }

func tokenForm() form[muster.Token] {
	return form[muster.Token]{
		kind: "token",
		key:  func(t *muster.Token) Key { return tokenKey(t.Account, t.ID) },
		meta: func(t *muster.Token) meta { return meta{&t.Rev, &t.CreatedAt, &t.UpdatedAt} },
		encode: func(t *muster.Token) any {
			return tokenBody{Name: t.Name, Role: t.Role, SecretHash: hex.EncodeToString(t.SecretHash), LastUsedAt: t.LastUsedAt.UTC(), CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt}
		},
		decode: func(key Key, text []byte) (*muster.Token, error) {
			b, err := parse[tokenBody](key, text)
			if err != nil {
				return nil, err
			}
			hash, err := unhex(key, b.SecretHash)
			return &muster.Token{ID: muster.TokenID(key.ID), Account: key.Account, Name: b.Name, Role: b.Role, SecretHash: hash, LastUsedAt: b.LastUsedAt, CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt}, err
		},
		claims: func(t *muster.Token) []Key { return []Key{tokenHash(t.SecretHash)} },
		check: func(t *muster.Token) error {
			if err := checkHash(t.SecretHash); err != nil {
				return err
			}
			return checkName("token", t.Name)
		},
	}
}

func unhex(key Key, text string) ([]byte, error) {
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: the body of %s %s: %w", muster.ErrInvalid, key.Kind, key.ID, err)
	}
	return raw, nil
}

func checkHash(hash []byte) error {
	if len(hash) != 32 {
		return fmt.Errorf("%w: a secret's hash has 32 bytes", muster.ErrInvalid)
	}
	return nil
}

// CreateToken stores a new token; it fills in ID when it is empty, Rev and times. ErrConflict when a token with this secret is there.
func (s *Store) CreateToken(ctx context.Context, t *muster.Token) error {
	if t.ID == "" {
		t.ID = muster.NewTokenID()
	}
	return s.tokens.create(ctx, t)
}

// Token reads one token of an account; ErrNotFound when there is none.
func (s *Store) Token(ctx context.Context, account muster.AccountID, id muster.TokenID) (*muster.Token, error) {
	return s.tokens.get(ctx, tokenKey(account, id), false)
}

// TokenByHash reads the token whose secret has this SHA-256; ErrNotFound when there is none.
func (s *Store) TokenByHash(ctx context.Context, hash []byte) (*muster.Token, error) {
	return s.tokens.byName(ctx, tokenHash(hash), false)
}

// Tokens reads all tokens of an account, oldest first.
func (s *Store) Tokens(ctx context.Context, account muster.AccountID) ([]*muster.Token, error) {
	return s.tokens.list(ctx, account)
}

// UpdateToken changes a token by fn, which may be called again when somebody was faster. rev 0 means
// any; another that is not the current one gives ErrConflict.
func (s *Store) UpdateToken(ctx context.Context, account muster.AccountID, id muster.TokenID, rev uint64, fn func(*muster.Token) error) (*muster.Token, error) {
	return s.tokens.update(ctx, tokenKey(account, id), rev, fn)
}

// DeleteToken removes a token, so that its secret is worth nothing; rev as in UpdateToken.
func (s *Store) DeleteToken(ctx context.Context, account muster.AccountID, id muster.TokenID, rev uint64) error {
	return s.tokens.remove(ctx, tokenKey(account, id), rev)
}
