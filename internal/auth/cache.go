package auth

import (
	"sync"
	"time"
)

// cacheMost bounds a cache: about 3 MB.
const cacheMost = 10_000

// cache believes values for a while, by the hash of the secret that leads to them. What was read from
// the store before a drop is not put in after it.
type cache[V any] struct {
	now func() time.Time
	ttl time.Duration

	mu    sync.Mutex
	drops uint64
	held  map[[32]byte]cached[V]
}

type cached[V any] struct {
	value V
	until time.Time
}

func newCache[V any](now func() time.Time, ttl time.Duration) *cache[V] {
	return &cache[V]{now: now, ttl: ttl, held: map[[32]byte]cached[V]{}}
}

// get gives the value, and the mark that put wants when there is none.
func (c *cache[V]) get(key [32]byte) (value V, ok bool, mark uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, ok := c.held[key]
	if ok && !c.now().Before(entry.until) {
		delete(c.held, key)
		ok = false
	}
	if !ok {
		return value, false, c.drops
	}
	return entry.value, true, c.drops
}

// put keeps the value unless something was dropped since the mark was given, or another caller put one
// in the meantime: claims may have changed that since.
func (c *cache[V]) put(key [32]byte, value V, mark uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if mark != c.drops {
		return
	}
	now := c.now()
	if entry, ok := c.held[key]; ok && now.Before(entry.until) {
		return
	}
	if len(c.held) >= cacheMost {
		c.shrink(now)
	}
	c.held[key] = cached[V]{value: value, until: now.Add(c.ttl)}
}

// shrink makes room: the stale ones go, and if all are fresh any eighth of them.
func (c *cache[V]) shrink(now time.Time) {
	for key, entry := range c.held {
		if !now.Before(entry.until) {
			delete(c.held, key)
		}
	}
	for key := range c.held {
		if len(c.held) <= cacheMost*7/8 {
			return
		}
		delete(c.held, key)
	}
}

// claim changes a held value by fn, which says whether it did; of several callers at once one gets true.
func (c *cache[V]) claim(key [32]byte, fn func(*V) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, ok := c.held[key]
	if !ok || !fn(&entry.value) {
		return false
	}
	c.held[key] = entry
	return true
}

func (c *cache[V]) drop(which func(V) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	for key, entry := range c.held {
		if which(entry.value) {
			delete(c.held, key)
		}
	}
}
