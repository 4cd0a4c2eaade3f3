package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"muster"
	"muster/internal/store"
)

// Faults say how often, from 0 to 1, an engine fails in which way.
type Faults struct {
	Before  float64 // a verb fails and was not carried out
	After   float64 // a verb fails and was carried out
	Late    float64 // a Swap fails and is carried out later, but before a serial read of its key returns
	Double  float64 // a verb is carried out twice
	Stale   float64 // a read that is not serial trails by one change
	Reorder float64 // a row of a listing is written after what follows it, at the next List of anything
}

// Faulty wraps an engine so that it fails as the contract allows, the same way for the same seed.
type Faulty struct {
	store.Engine
	faults Faults

	mu       sync.Mutex
	chance   *rand.Rand
	late     map[store.Key][]func()
	previous map[store.Key]store.Object
	delayed  []func()
	injected int
}

// NewFaulty wraps an engine.
func NewFaulty(inner store.Engine, seed uint64, faults Faults) *Faulty {
	return &Faulty{Engine: inner, faults: faults, chance: rand.New(rand.NewPCG(seed, seed)), late: map[store.Key][]func(){}, previous: map[store.Key]store.Object{}}
}

// Injected gives how many faults there were.
func (f *Faulty) Injected() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.injected
}

func (f *Faulty) roll(p float64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p <= 0 || f.chance.Float64() >= p {
		return false
	}
	f.injected++
	return true
}

// coin says yes or no without that being a fault.
func (f *Faulty) coin() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.chance.Float64() < 0.5
}

func unknownOutcome(what string) error {
	return fmt.Errorf("%w: injected: %s timed out", muster.ErrUnavailable, what)
}

// write carries a verb out with faults.
func (f *Faulty) write(what string, verb func() error) error {
	if f.roll(f.faults.Before) {
		return unknownOutcome(what)
	}
	err := verb()
	if err == nil && f.roll(f.faults.Double) {
		err = verb()
	}
	if f.roll(f.faults.After) {
		return unknownOutcome(what)
	}
	return err
}

// settle carries out what is late for the key.
func (f *Faulty) settle(key store.Key) {
	f.mu.Lock()
	pending := f.late[key]
	delete(f.late, key)
	f.mu.Unlock()
	for _, run := range pending {
		run()
	}
}

// Get reads an object, perhaps as it was before.
func (f *Faulty) Get(ctx context.Context, key store.Key, serial bool) (store.Object, error) {
	if f.roll(f.faults.Before) {
		return store.Object{}, unknownOutcome("read")
	}
	if serial {
		f.settle(key)
		return f.Engine.Get(ctx, key, true)
	}
	if f.roll(f.faults.Stale) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if object, ok := f.previous[key]; ok {
			return copied(object), nil
		}
	}
	return f.Engine.Get(ctx, key, false)
}

// GetMany reads several objects.
func (f *Faulty) GetMany(ctx context.Context, keys []store.Key) ([]store.Object, error) {
	objects, err := f.Engine.GetMany(ctx, keys)
	for i := range objects {
		if f.roll(f.faults.Stale) {
			f.mu.Lock()
			if object, ok := f.previous[keys[i]]; ok {
				objects[i] = copied(object)
			}
			f.mu.Unlock()
		}
	}
	return objects, err
}

// swap carries one out and remembers what was there before.
func (f *Faulty) swap(ctx context.Context, key store.Key, next store.Object, ttl time.Duration) (bool, store.Object, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, err := f.Engine.Get(ctx, key, true)
	if err != nil {
		return false, store.Object{}, err
	}
	done, current, err := f.Engine.Swap(ctx, key, next, ttl)
	if err == nil && done {
		f.previous[key] = before
	}
	return done, current, err
}

// Swap stores an object, perhaps later, twice, or without saying so.
func (f *Faulty) Swap(ctx context.Context, key store.Key, next store.Object, ttl time.Duration) (done bool, current store.Object, err error) {
	next = copied(next)
	if f.roll(f.faults.Late) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.late[key] = append(f.late[key], func() { _, _, _ = f.swap(context.WithoutCancel(ctx), key, next, ttl) })
		return false, store.Object{}, unknownOutcome("swap")
	}
	if f.coin() {
		f.settle(key) // what is late may come at any time
	}
	err = f.write("swap", func() error {
		var err error
		done, current, err = f.swap(ctx, key, next, ttl)
		return err
	})
	return done, current, err
}

// Enlist writes a row of a listing, perhaps late.
func (f *Faulty) Enlist(ctx context.Context, key store.Key, rev uint64, ttl time.Duration) error {
	if f.roll(f.faults.Reorder) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.delayed = append(f.delayed, func() { _ = f.Engine.Enlist(context.WithoutCancel(ctx), key, rev, ttl) })
		return nil
	}
	return f.write("enlist", func() error { return f.Engine.Enlist(ctx, key, rev, ttl) })
}

// Delist removes a row of a listing.
func (f *Faulty) Delist(ctx context.Context, key store.Key, rev uint64) error {
	return f.write("delist", func() error { return f.Engine.Delist(ctx, key, rev) })
}

// List gives rows in the order of ids, after those that were late.
func (f *Faulty) List(ctx context.Context, account muster.AccountID, kind, after string, limit int) ([]store.Listing, error) {
	f.mu.Lock()
	delayed := f.delayed
	f.delayed = nil
	f.mu.Unlock()
	for _, run := range delayed {
		run()
	}
	return f.Engine.List(ctx, account, kind, after, limit)
}

// PutEvents stores entries of a stream.
func (f *Faulty) PutEvents(ctx context.Context, account muster.AccountID, name string, rows []store.EventRow, ttl time.Duration) error {
	return f.write("put events", func() error { return f.Engine.PutEvents(ctx, account, name, rows, ttl) })
}

// PutEphemeral writes a row that expires.
func (f *Faulty) PutEphemeral(ctx context.Context, key store.Key, body []byte, ttl time.Duration) error {
	return f.write("put ephemeral", func() error { return f.Engine.PutEphemeral(ctx, key, body, ttl) })
}

// DeleteEphemeral removes a row that expires.
func (f *Faulty) DeleteEphemeral(ctx context.Context, key store.Key) error {
	return f.write("delete ephemeral", func() error { return f.Engine.DeleteEphemeral(ctx, key) })
}

// Raise sets epoch and holder.
func (f *Faulty) Raise(ctx context.Context, key store.ShardKey, from, to uint64, holder string) (done bool, head store.ShardHead, err error) {
	err = f.write("raise", func() error {
		var err error
		done, head, err = f.Engine.Raise(ctx, key, from, to, holder)
		return err
	})
	return done, head, err
}

// Append stores rows.
func (f *Faulty) Append(ctx context.Context, key store.ShardKey, epoch uint64, rows []store.ShardRow) (done bool, head store.ShardHead, err error) {
	err = f.write("append", func() error {
		var err error
		done, head, err = f.Engine.Append(ctx, key, epoch, rows)
		return err
	})
	return done, head, err
}

// CloseDay closes a partition.
func (f *Faulty) CloseDay(ctx context.Context, key store.ShardKey, epoch uint64, ttl time.Duration) (done bool, head store.ShardHead, err error) {
	err = f.write("close day", func() error {
		var err error
		done, head, err = f.Engine.CloseDay(ctx, key, epoch, ttl)
		return err
	})
	return done, head, err
}
