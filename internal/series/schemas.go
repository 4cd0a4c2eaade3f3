package series

import (
	"context"
	"fmt"
	"sync"

	"muster"
)

// maxSchemas is how many schemas are remembered; beyond it those are forgotten that only queries over
// the past used.
const maxSchemas = 50_000

// schemas remembers schemas by their content address. What is in known is durable.
type schemas struct {
	engine Engine
	mu     sync.RWMutex
	known  map[muster.SchemaID]*muster.Schema
}

func (s *schemas) cached(id muster.SchemaID) *muster.Schema {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.known[id]
}

func (s *schemas) remember(schema *muster.Schema) *muster.Schema {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first := s.known[schema.ID]; first != nil {
		return first
	}
	if len(s.known) >= maxSchemas {
		clear(s.known)
	}
	s.known[schema.ID] = schema
	return schema
}

// ensure makes a schema durable and gives the one copy of it that is kept in memory.
func (s *schemas) ensure(ctx context.Context, schema *muster.Schema) (*muster.Schema, error) {
	if known := s.cached(schema.ID); known != nil {
		return known, nil
	}
	if err := s.engine.PutSchema(ctx, schema.ID, schema.AppendCanonical(nil)); err != nil {
		return nil, fmt.Errorf("series: store schema: %w", err)
	}
	return s.remember(schema), nil
}

// get finds a schema, in memory or in the store; the error wraps ErrNotFound when it was never stored.
func (s *schemas) get(ctx context.Context, id muster.SchemaID) (*muster.Schema, error) {
	if known := s.cached(id); known != nil {
		return known, nil
	}
	text, err := s.engine.GetSchema(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("series: read schema %s: %w", id, err)
	}
	schema, err := muster.ParseSchema(text)
	if err != nil {
		return nil, fmt.Errorf("series: read schema %s: %w", id, err)
	}
	if schema.ID != id {
		return nil, fmt.Errorf("%w: series: schema %s is stored under %s", muster.ErrInvalid, schema.ID, id)
	}
	return s.remember(schema), nil
}
