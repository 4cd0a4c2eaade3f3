// Package catalog gives the schemas of frames by their content address: each is stored once, and kept in
// memory once, however many nodes have it.
package catalog

import (
	"context"
	"fmt"
	"sync"

	"muster"
)

// maxSchemas is how many schemas are remembered; beyond it those are forgotten that only queries over
// the past used.
const maxSchemas = 50_000

// Store is where schemas are kept: the part of a time-series engine that the catalog needs.
type Store interface {
	PutSchema(ctx context.Context, id muster.SchemaID, canonical []byte) error
	GetSchema(ctx context.Context, id muster.SchemaID) ([]byte, error)
}

// Catalog remembers schemas by their content address. It is safe for concurrent use.
type Catalog struct {
	store Store
	mu    sync.RWMutex
	known map[muster.SchemaID]*muster.Schema // all of them durable
}

// New makes a catalog that has read nothing yet.
func New(s Store) *Catalog {
	return &Catalog{store: s, known: map[muster.SchemaID]*muster.Schema{}}
}

func (c *Catalog) cached(id muster.SchemaID) *muster.Schema {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.known[id]
}

func (c *Catalog) remember(schema *muster.Schema) *muster.Schema {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first := c.known[schema.ID]; first != nil {
		return first
	}
	if len(c.known) >= maxSchemas {
		clear(c.known)
	}
	c.known[schema.ID] = schema
	return schema
}

// Ensure makes a schema durable and gives the one copy of it that is kept in memory.
func (c *Catalog) Ensure(ctx context.Context, schema *muster.Schema) (*muster.Schema, error) {
	if known := c.cached(schema.ID); known != nil {
		return known, nil
	}
	if err := c.store.PutSchema(ctx, schema.ID, schema.AppendCanonical(nil)); err != nil {
		return nil, fmt.Errorf("catalog: store schema: %w", err)
	}
	return c.remember(schema), nil
}

// Get finds a schema, in memory or in the store; the error wraps ErrNotFound when it was never stored.
func (c *Catalog) Get(ctx context.Context, id muster.SchemaID) (*muster.Schema, error) {
	if known := c.cached(id); known != nil {
		return known, nil
	}
	text, err := c.store.GetSchema(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("catalog: read schema %s: %w", id, err)
	}
	schema, err := muster.ParseSchema(text)
	if err != nil {
		return nil, fmt.Errorf("catalog: read schema %s: %w", id, err)
	}
	if schema.ID != id {
		return nil, fmt.Errorf("%w: catalog: schema %s is stored under %s", muster.ErrInvalid, schema.ID, id)
	}
	return c.remember(schema), nil
}
