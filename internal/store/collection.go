package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"muster"
)

// form says how one noun is kept: where, as which body, and which unique names it lays claim to.
type form[T any] struct {
	kind   string
	key    func(*T) Key
	encode func(*T) any                  // the body struct, whose tags are the stored names
	decode func(Key, []byte) (*T, error) // ID and account from the key, the rest from the body
	meta   func(*T) meta                 // the fields every noun has
	claims func(*T) []Key                // may be nil
	check  func(*T) error                // may be nil
	until  func(*T) time.Time            // when the object expires; nil or zero for never
}

// meta points at the fields that the store itself writes.
type meta struct {
	rev              *uint64
	created, updated *time.Time
}

// collection is a form bound to a store.
type collection[T any] struct {
	form[T]
	store *Store
}

func bind[T any](s *Store, f form[T]) collection[T] {
	c := collection[T]{form: f, store: s}
	s.claimsOf[f.kind] = func(key Key, body []byte) ([]Key, error) {
		t, err := f.decode(key, body)
		if err != nil || f.claims == nil {
			return nil, err
		}
		return f.claims(t), nil
	}
	return c
}

func (c *collection[T]) fault(action string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: %s %s: %w", action, c.kind, err)
}

// read makes the noun of an object; ErrNotFound when there is none or it was deleted.
func (c *collection[T]) read(key Key, object Object) (*T, error) {
	if object.Rev == 0 || object.Deleted {
		return nil, fmt.Errorf("%w: %s", muster.ErrNotFound, key.ID)
	}
	t, err := c.decode(key, object.Body)
	if err != nil {
		return nil, err
	}
	*c.meta(t).rev = object.Rev
	return t, nil
}

func (c *collection[T]) body(t *T) ([]byte, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false) // bodies are read by people, not by browsers
	if err := enc.Encode(c.encode(t)); err != nil {
		return nil, fmt.Errorf("%w: %w", muster.ErrInvalid, err)
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

func (c *collection[T]) ttl(t *T) time.Duration {
	if c.until == nil {
		return 0
	}
	at := c.until(t)
	if at.IsZero() {
		return 0
	}
	return max(at.Sub(c.store.options.Now()), time.Second)
}

func (c *collection[T]) namesOf(t *T) []Key {
	if c.claims == nil {
		return nil
	}
	return c.claims(t)
}

func (c *collection[T]) valid(t *T) error {
	if c.check != nil {
		if err := c.check(t); err != nil {
			return err
		}
	}
	for _, name := range append(c.namesOf(t), c.key(t)) {
		if err := checkKey(name); err != nil {
			return err
		}
	}
	return nil
}

// get reads one noun.
func (c *collection[T]) get(ctx context.Context, key Key, serial bool) (*T, error) {
	object, err := c.store.get(ctx, key, serial)
	if err != nil {
		return nil, c.fault("read", err)
	}
	t, err := c.read(key, object)
	return t, c.fault("read", err)
}

// byName reads the noun that holds a unique name.
func (c *collection[T]) byName(ctx context.Context, name Key, serial bool) (*T, error) {
	if err := checkKey(name); err != nil {
		return nil, c.fault("find", fmt.Errorf("%w: no such name", muster.ErrNotFound))
	}
	holder, err := c.store.holder(ctx, name, serial)
	if err != nil {
		return nil, c.fault("find", err)
	}
	t, err := c.get(ctx, holder, serial)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(c.namesOf(t), name) {
		return nil, c.fault("find", fmt.Errorf("%w: no such name", muster.ErrNotFound))
	}
	return t, nil
}

// list reads all nouns of an account, by id. One that cannot be read is told in the log and left out:
// it must not take the others with it.
func (c *collection[T]) list(ctx context.Context, account muster.AccountID) ([]*T, error) {
	const page = 1000
	var all []*T
	after := ""
	for {
		rows, err := c.store.engine.List(ctx, account, c.kind, after, page)
		if err != nil {
			return nil, c.fault("list", err)
		}
		keys := make([]Key, len(rows))
		for i, row := range rows {
			keys[i] = Key{Account: account, Kind: c.kind, ID: row.ID}
		}
		objects, err := c.store.engine.GetMany(ctx, keys)
		if err != nil {
			return nil, c.fault("list", err)
		}
		all = slices.Grow(all, len(objects))
		for i, object := range objects {
			t, err := c.read(keys[i], object)
			if err == nil {
				all = append(all, t)
			} else if !errors.Is(err, muster.ErrNotFound) {
				c.store.options.Logger.Error("an object can't be read and is left out", "kind", c.kind, "id", keys[i].ID, "error", err)
			}
		}
		if len(rows) < page {
			return all, nil
		}
		after = rows[len(rows)-1].ID
	}
}

// create stores a noun that was not there: names are reserved first, the listing comes before the object.
func (c *collection[T]) create(ctx context.Context, t *T) error {
	m := c.meta(t)
	*m.created = c.store.now()
	*m.updated = *m.created
	if err := c.valid(t); err != nil {
		return c.fault("create", err)
	}
	body, err := c.body(t)
	if err != nil {
		return c.fault("create", err)
	}
	key, ttl := c.key(t), c.ttl(t)
	holds, err := c.store.reserve(ctx, key, c.namesOf(t), ttl)
	if err != nil {
		return c.fault("create", err)
	}
	object, err := c.store.plant(ctx, key, body, ttl)
	if err != nil {
		if !errors.Is(err, muster.ErrUnavailable) { // else it may be there: its names must stay reserved
			c.store.undo(ctx, key, holds)
		}
		return c.fault("create", err)
	}
	if err := c.store.confirm(ctx, key, holds, ttl); err != nil {
		if errors.Is(err, muster.ErrConflict) {
			c.store.uproot(ctx, key, object, ttl)
			c.store.undo(ctx, key, holds)
		}
		return c.fault("create", err)
	}
	*m.rev = object.Rev
	return nil
}

// plant writes listing and object; ErrConflict when the id is in use.
func (s *Store) plant(ctx context.Context, key Key, body []byte, ttl time.Duration) (Object, error) {
	var base Object
	for {
		next := after(base, body, false)
		err := persist(ctx, func() error { return s.engine.Enlist(ctx, key, next.Rev, ttl) })
		if err != nil {
			return Object{}, err
		}
		current, done, err := s.put(ctx, key, base, next, ttl)
		switch {
		case err != nil:
			return Object{}, err
		case done:
			return current, nil
		case !current.Deleted:
			return Object{}, fmt.Errorf("%w: %s is there already", muster.ErrConflict, key.ID)
		}
		base = current
	}
}

// uproot takes back what plant did, as far as it can.
func (s *Store) uproot(ctx context.Context, key Key, object Object, ttl time.Duration) {
	gone := after(object, nil, true)
	if _, done, err := s.put(ctx, key, object, gone, ttl); err == nil && done {
		_ = s.engine.Delist(ctx, key, gone.Rev) // a row without an object is ignored, and tidied later
	}
}
