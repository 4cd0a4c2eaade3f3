package store

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"muster"
)

func sessionKey(hash []byte) Key { return Key{Kind: "session", ID: hex.EncodeToString(hash)} }

// PutSession stores a session's body under the hash of its secret, over whatever is there; it is gone after ttl.
func (s *Store) PutSession(ctx context.Context, hash, body []byte, ttl time.Duration) error {
	if len(hash) == 0 || ttl <= 0 || len(body) > maxBody {
		return fmt.Errorf("store: keep session: %w: a hash, a time to live and a small body are needed", muster.ErrInvalid)
	}
	err := persist(ctx, func() error { return s.engine.PutEphemeral(ctx, sessionKey(hash), body, ttl) })
	if err != nil {
		return fmt.Errorf("store: keep session: %w", err)
	}
	return nil
}

// Session reads a session's body; ErrNotFound when there is none or its time is over.
func (s *Store) Session(ctx context.Context, hash []byte) ([]byte, error) {
	body, err := s.engine.Ephemeral(ctx, sessionKey(hash))
	if err != nil {
		return nil, fmt.Errorf("store: read session: %w", err)
	}
	return body, nil
}

// DeleteSession ends a session; it is no error when there is none.
func (s *Store) DeleteSession(ctx context.Context, hash []byte) error {
	err := persist(ctx, func() error { return s.engine.DeleteEphemeral(ctx, sessionKey(hash)) })
	if err != nil {
		return fmt.Errorf("store: end session: %w", err)
	}
	return nil
}
