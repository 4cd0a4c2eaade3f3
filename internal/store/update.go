package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"muster"
)

// update changes a noun by fn, which is called on a fresh copy for each try. rev 0 means any; another
// must be the current one or ErrConflict. An fn that changes nothing writes nothing.
func (c *collection[T]) update(ctx context.Context, key Key, rev uint64, fn func(*T) error) (*T, error) {
	// Those of one process take turns, so that races are lost only to other servers: a crowd that races gets through in part.
	leave, err := c.store.turns.take(ctx, key)
	if err != nil {
		return nil, c.fault("update", err)
	}
	defer leave()
	base, err := c.store.get(ctx, key, false)
	if err != nil {
		return nil, c.fault("update", err)
	}
	for try := range tries {
		if rev > base.Rev || base.Rev == 0 || base.Deleted { // a read that trails: ask for what is so
			if base, err = c.store.get(ctx, key, true); err != nil {
				return nil, c.fault("update", err)
			}
		}
		if rev != 0 && base.Rev != rev && !base.Deleted && base.Rev != 0 {
			return nil, c.fault("update", fmt.Errorf("%w: %s is at rev %d, not %d", muster.ErrConflict, key.ID, base.Rev, rev))
		}
		t, current, err := c.attempt(ctx, key, base, fn)
		if err != nil || t != nil {
			return t, c.fault("update", err)
		}
		base = current
		if !pause(ctx, try) {
			break
		}
	}
	return nil, c.fault("update", fmt.Errorf("%w: too many others change %s", muster.ErrUnavailable, key.ID))
}

// attempt tries one update from base; neither noun nor error means that somebody was faster and current is there now.
func (c *collection[T]) attempt(ctx context.Context, key Key, base Object, fn func(*T) error) (*T, Object, error) {
	t, err := c.read(key, base)
	if err != nil {
		return nil, Object{}, err
	}
	m := c.meta(t)
	before, created, updated := c.namesOf(t), *m.created, *m.updated
	was, err := c.body(t)
	if err != nil {
		return nil, Object{}, err
	}
	if err := fn(t); err != nil {
		return nil, Object{}, err
	}
	if c.key(t) != key {
		return nil, Object{}, fmt.Errorf("%w: an id and an account can't be changed", muster.ErrInvalid)
	}
	if err := c.valid(t); err != nil {
		return nil, Object{}, err
	}
	*m.rev, *m.created, *m.updated = base.Rev, created, updated // not fn's to change
	if same, err := c.body(t); err != nil || bytes.Equal(same, was) {
		return t, Object{}, err
	}
	*m.updated = c.store.now()
	body, err := c.body(t)
	if err != nil {
		return nil, Object{}, err
	}
	current, done, err := c.replace(ctx, key, change{base: base, body: body, ttl: c.ttl(t), before: before, after: c.namesOf(t)})
	if err != nil || !done {
		return nil, current, err
	}
	*m.rev = current.Rev
	return t, current, nil
}

// change is one update of an object together with the unique names it takes up and lets go.
type change struct {
	base          Object
	body          []byte
	ttl           time.Duration
	before, after []Key
}

func (c *collection[T]) replace(ctx context.Context, key Key, ch change) (Object, bool, error) {
	s := c.store
	taken, dropped := minus(ch.after, ch.before), minus(ch.before, ch.after)
	holds, err := s.reserve(ctx, key, taken, ch.ttl)
	if err != nil {
		return Object{}, false, err
	}
	next := after(ch.base, ch.body, false)
	current, done, err := s.put(ctx, key, ch.base, next, ch.ttl)
	if err != nil || !done {
		if err == nil || !errors.Is(err, muster.ErrUnavailable) {
			s.undo(ctx, key, holds)
		}
		return current, false, err
	}
	if err := s.confirm(ctx, key, holds, ch.ttl); err != nil {
		if errors.Is(err, muster.ErrConflict) { // the name was taken over meanwhile: back to what was
			_, _, _ = s.put(ctx, key, current, after(current, ch.base.Body, false), ch.ttl)
			s.undo(ctx, key, holds)
		}
		return Object{}, false, err
	}
	s.release(ctx, key, dropped)
	return current, true, nil
}

// remove deletes a noun; rev 0 means any. ErrNotFound when it is not there.
func (c *collection[T]) remove(ctx context.Context, key Key, rev uint64) error {
	base, err := c.store.get(ctx, key, true)
	if err != nil {
		return c.fault("delete", err)
	}
	for try := range tries {
		t, err := c.read(key, base)
		if err != nil {
			return c.fault("delete", err)
		}
		if rev != 0 && base.Rev != rev {
			return c.fault("delete", fmt.Errorf("%w: %s is at rev %d, not %d", muster.ErrConflict, key.ID, base.Rev, rev))
		}
		gone := after(base, nil, true)
		current, done, err := c.store.put(ctx, key, base, gone, c.ttl(t))
		if err != nil {
			return c.fault("delete", err)
		}
		if done {
			_ = c.store.engine.Delist(ctx, key, gone.Rev) // a row without an object is ignored, and tidied later
			c.store.release(ctx, key, c.namesOf(t))
			return nil
		}
		base = current
		if !pause(ctx, try) {
			break
		}
	}
	return c.fault("delete", fmt.Errorf("%w: too many others change %s", muster.ErrUnavailable, key.ID))
}

func minus(all, without []Key) (rest []Key) {
	for _, key := range all {
		if !slices.Contains(without, key) {
			rest = append(rest, key)
		}
	}
	return rest
}
