package store

import (
	"context"
	"fmt"
	"time"

	"muster"
)

// onceBody is the body of what is kept under an idempotency key; JSON writes Value in base64.
type onceBody struct {
	Value []byte `json:"value"`
}

func onceKey(account muster.AccountID, key string) Key {
	return Key{Account: account, Kind: "once", ID: key}
}

// PutOnce stores value under key for ttl if nothing is there; ErrConflict if something is. Of several
// callers at once exactly one succeeds.
func (s *Store) PutOnce(ctx context.Context, account muster.AccountID, key string, value []byte, ttl time.Duration) error {
	return s.writeOnce(ctx, onceKey(account, key), value, ttl, false)
}

// SettleOnce stores value under key for ttl, over whatever is there.
func (s *Store) SettleOnce(ctx context.Context, account muster.AccountID, key string, value []byte, ttl time.Duration) error {
	return s.writeOnce(ctx, onceKey(account, key), value, ttl, true)
}

// Once reads what is kept under key; ErrNotFound when nothing is, or its time is over.
func (s *Store) Once(ctx context.Context, account muster.AccountID, key string) ([]byte, error) {
	value, err := s.readValue(ctx, onceKey(account, key), true)
	if err != nil {
		return nil, fmt.Errorf("store: read once: %w", err)
	}
	return value, nil
}

// ForgetOnce frees the key; it is no error when nothing is there.
func (s *Store) ForgetOnce(ctx context.Context, account muster.AccountID, key string) error {
	where := onceKey(account, key)
	object, err := s.get(ctx, where, true)
	for try := 0; err == nil && object.Rev > 0 && !object.Deleted && try < tries; try++ {
		var done bool
		if object, done, err = s.put(ctx, where, object, after(object, nil, true), 24*time.Hour); done {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("store: forget once: %w", err)
	}
	return nil
}

func (s *Store) writeOnce(ctx context.Context, key Key, value []byte, ttl time.Duration, over bool) error {
	if err := checkKey(key); err != nil {
		return fmt.Errorf("store: keep once: %w", err)
	}
	if ttl <= 0 {
		return fmt.Errorf("store: keep once: %w: a time to live is needed", muster.ErrInvalid)
	}
	if err := s.writeValue(ctx, key, value, ttl, over); err != nil {
		return fmt.Errorf("store: keep once: %w", err)
	}
	return nil
}
