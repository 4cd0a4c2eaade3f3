package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"muster"
)

// Secrets are values of the whole system under a name: keys, certificates, settings that servers share.
// They are kept as they come; who wants them sealed seals them.
func secretKey(name string) Key { return Key{Kind: "secret", ID: name} }

// Secret reads the value under name; ErrNotFound when it was never put.
func (s *Store) Secret(ctx context.Context, name string) ([]byte, error) {
	value, err := s.readValue(ctx, secretKey(name), false)
	if errors.Is(err, muster.ErrNotFound) {
		value, err = s.readValue(ctx, secretKey(name), true)
	}
	if err != nil {
		return nil, fmt.Errorf("store: read secret %s: %w", name, err)
	}
	return value, nil
}

// PutSecret stores the value under name, over whatever is there.
func (s *Store) PutSecret(ctx context.Context, name string, value []byte) error {
	if err := s.writeValue(ctx, secretKey(name), value, 0, true); err != nil {
		return fmt.Errorf("store: keep secret %s: %w", name, err)
	}
	return nil
}

// MakeSecret reads the value under name, or stores what fresh gives when there is none. Of several
// servers that do so at once all get the same value.
func (s *Store) MakeSecret(ctx context.Context, name string, fresh func() ([]byte, error)) ([]byte, error) {
	value, err := s.Secret(ctx, name)
	if err == nil || !errors.Is(err, muster.ErrNotFound) {
		return value, err
	}
	if value, err = fresh(); err != nil {
		return nil, fmt.Errorf("store: make secret %s: %w", name, err)
	}
	err = s.writeValue(ctx, secretKey(name), value, 0, false)
	if errors.Is(err, muster.ErrConflict) {
		value, err = s.readValue(ctx, secretKey(name), true)
	}
	if err != nil {
		return nil, fmt.Errorf("store: make secret %s: %w", name, err)
	}
	return value, nil
}

// readValue reads the value of an object that has nothing else.
func (s *Store) readValue(ctx context.Context, key Key, serial bool) ([]byte, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	object, err := s.get(ctx, key, serial)
	if err != nil {
		return nil, err
	}
	if object.Rev == 0 || object.Deleted {
		return nil, fmt.Errorf("%w: %s", muster.ErrNotFound, key.Kind)
	}
	body, err := parse[onceBody](key, object.Body)
	if err != nil {
		return nil, err
	}
	return body.Value, nil
}

// writeValue stores a value; ErrConflict when one is there and over is false.
func (s *Store) writeValue(ctx context.Context, key Key, value []byte, ttl time.Duration, over bool) error {
	if err := checkKey(key); err != nil {
		return err
	}
	body, err := json.Marshal(onceBody{Value: value})
	if err != nil {
		return fmt.Errorf("%w: %w", muster.ErrInvalid, err)
	}
	var base Object
	for try := range tries {
		current, done, err := s.put(ctx, key, base, after(base, body, false), ttl)
		switch {
		case err != nil:
			return err
		case done:
			return nil
		case !current.Deleted && current.Rev > 0 && !over:
			return fmt.Errorf("%w: there is one already", muster.ErrConflict)
		}
		if base = current; !pause(ctx, try/4) {
			break
		}
	}
	return fmt.Errorf("%w: too many others write the same", muster.ErrUnavailable)
}
