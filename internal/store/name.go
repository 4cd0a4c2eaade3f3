package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"muster"
)

// A unique name is an object of its own: Key.Kind is "name." and what it names, Key.ID the name. Its
// body says who holds it. It goes reserve -> create -> confirm -> release, and counts only as long as
// the holder's object itself has the name: a reservation whose maker died is nobody's after a while.

// reservationGrace is how long a reservation is respected whose object does not have the name yet.
const reservationGrace = 30 * time.Second

// nameBody is the body of a unique name.
type nameBody struct {
	Account   muster.AccountID `json:"account,omitzero"` // of the holder
	Kind      string           `json:"kind"`
	ID        string           `json:"id"`
	State     string           `json:"state"` // "reserved", "confirmed"
	ChangedAt time.Time        `json:"changed_at"`
}

const (
	reserved  = "reserved"
	confirmed = "confirmed"
)

func (b *nameBody) holder() Key { return Key{Account: b.Account, Kind: b.Kind, ID: b.ID} }

// hold is a name as reserve left it.
type hold struct {
	name   Key
	object Object
}

func readName(name Key, object Object) (*nameBody, error) {
	if object.Rev == 0 || object.Deleted {
		return nil, fmt.Errorf("%w: no such name", muster.ErrNotFound)
	}
	body := &nameBody{}
	if err := json.Unmarshal(object.Body, body); err != nil {
		return nil, fmt.Errorf("%w: the body of %s %q: %w", muster.ErrInvalid, name.Kind, name.ID, err)
	}
	return body, nil
}

// holder reads which object holds a name; whether that object agrees is for the caller to see.
func (s *Store) holder(ctx context.Context, name Key, serial bool) (Key, error) {
	object, err := s.get(ctx, name, serial)
	if err != nil {
		return Key{}, err
	}
	body, err := readName(name, object)
	if err != nil {
		return Key{}, err
	}
	return body.holder(), nil
}

// reserve takes all names for holder or none; ErrConflict when one belongs to somebody else.
func (s *Store) reserve(ctx context.Context, holder Key, wanted []Key, ttl time.Duration) ([]hold, error) {
	var holds []hold
	for _, name := range wanted {
		object, err := s.reserveOne(ctx, holder, name, ttl)
		if err != nil {
			s.undo(ctx, holder, holds)
			return nil, err
		}
		holds = append(holds, hold{name: name, object: object})
	}
	return holds, nil
}

func (s *Store) reserveOne(ctx context.Context, holder, name Key, ttl time.Duration) (Object, error) {
	base, err := s.get(ctx, name, true)
	if err != nil {
		return Object{}, err
	}
	for try := range tries {
		if err := s.mayTake(ctx, holder, name, base); err != nil {
			return Object{}, err
		}
		body, err := s.nameBody(holder, reserved)
		if err != nil {
			return Object{}, err
		}
		current, done, err := s.put(ctx, name, base, after(base, body, false), ttl)
		if err != nil || done {
			return current, err
		}
		base = current
		if !pause(ctx, try) {
			break
		}
	}
	return Object{}, fmt.Errorf("%w: too many others want the same name", muster.ErrUnavailable)
}

// mayTake says whether holder may write the name as it is in object.
func (s *Store) mayTake(ctx context.Context, holder, name Key, object Object) error {
	body, err := readName(name, object)
	if errors.Is(err, muster.ErrNotFound) || err == nil && body.holder() == holder {
		return nil
	}
	if err != nil {
		return err
	}
	has, err := s.hasName(ctx, body.holder(), name)
	if err != nil {
		return err
	}
	if has || body.State == reserved && s.fresh(body) {
		return fmt.Errorf("%w: %s is taken", muster.ErrConflict, described(name))
	}
	return nil
}

// described names a name without showing what is a hash.
func described(name Key) string {
	switch name.Kind {
	case nameOfToken, nameOfEnrollment:
		return "this secret"
	case nameOfAgent:
		return "this agent's key"
	}
	return fmt.Sprintf("the name %q", name.ID)
}

// hasName reads whether the holder's object is there and lays claim to the name.
func (s *Store) hasName(ctx context.Context, holder, name Key) (bool, error) {
	object, err := s.get(ctx, holder, true)
	if err != nil || object.Rev == 0 || object.Deleted {
		return false, err
	}
	claims, known := s.claimsOf[holder.Kind]
	if !known {
		return false, fmt.Errorf("%w: %s is held by a %q, which this program does not know", muster.ErrConflict, described(name), holder.Kind)
	}
	all, err := claims(holder, object.Body)
	return slices.Contains(all, name), err
}

// confirm makes reserved names lasting; ErrConflict when one was taken over because the reservation had grown old.
func (s *Store) confirm(ctx context.Context, holder Key, holds []hold, ttl time.Duration) error {
	for _, h := range holds {
		body, err := s.nameBody(holder, confirmed)
		if err != nil {
			return err
		}
		current, done, err := s.put(ctx, h.name, h.object, after(h.object, body, false), ttl)
		if err != nil {
			return err
		}
		if done {
			continue
		}
		if now, err := readName(h.name, current); err != nil || now.holder() != holder {
			return fmt.Errorf("%w: %s was taken meanwhile", muster.ErrConflict, described(h.name))
		}
	}
	return nil
}

// release frees names that holder has given up. It may fail: readers ignore a name whose object does not have it.
func (s *Store) release(ctx context.Context, holder Key, dropped []Key) {
	for _, name := range dropped {
		object, err := s.get(ctx, name, true)
		if err != nil {
			s.unreleased(name, err)
			continue
		}
		body, err := readName(name, object)
		if err != nil || body.holder() != holder || body.State == reserved && s.fresh(body) {
			continue // somebody else's, or of another change of this object that is under way
		}
		s.drop(ctx, holder, hold{name: name, object: object})
	}
}

// undo frees names as reserve left them, after the change that wanted them did not take place.
func (s *Store) undo(ctx context.Context, holder Key, holds []hold) {
	for _, h := range holds {
		s.drop(ctx, holder, h)
	}
}

// drop frees one name unless the holder's object has it after all: the change was begun from a read that trailed.
func (s *Store) drop(ctx context.Context, holder Key, h hold) {
	has, err := s.hasName(ctx, holder, h.name)
	if err == nil && !has {
		_, _, err = s.put(ctx, h.name, h.object, after(h.object, nil, true), tombstoneTTL(h.name))
	}
	if err != nil {
		s.unreleased(h.name, err)
	}
}

func (s *Store) unreleased(name Key, err error) {
	s.options.Logger.Debug("a name was not released and will be taken over when it is wanted", "kind", name.Kind, "error", err)
}

func (s *Store) fresh(body *nameBody) bool {
	return s.options.Now().Sub(body.ChangedAt) < reservationGrace
}

// tombstoneTTL is over zero for names whose every write has a ttl: their tombstone goes too. The others keep
// theirs, their rev counts on.
func tombstoneTTL(name Key) time.Duration {
	if name.Kind == nameOfEnrollment {
		return 24 * time.Hour
	}
	return 0
}

func (s *Store) nameBody(holder Key, state string) ([]byte, error) {
	return json.Marshal(nameBody{Account: holder.Account, Kind: holder.Kind, ID: holder.ID, State: state, ChangedAt: s.now()})
}
