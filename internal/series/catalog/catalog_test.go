package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"muster"
	"muster/internal/series/catalog"
)

type shelf struct {
	rows map[muster.SchemaID][]byte
	puts int
	err  error
}

func (s *shelf) PutSchema(_ context.Context, id muster.SchemaID, b []byte) error {
	if s.err == nil {
		s.puts++
		s.rows[id] = b
	}
	return s.err
}

func (s *shelf) GetSchema(_ context.Context, id muster.SchemaID) ([]byte, error) {
	if b, ok := s.rows[id]; ok {
		return b, s.err
	}
	return nil, fmt.Errorf("%w: shelf", muster.ErrNotFound)
}

func schema(t *testing.T, name string) *muster.Schema {
	s, err := muster.NewSchema([]muster.Metric{{Name: name, Unit: "1", Kind: muster.Gauge}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCatalog(t *testing.T) {
	ctx := context.Background()
	s := &shelf{rows: map[muster.SchemaID][]byte{}}
	c := catalog.New(s)
	a := schema(t, "a")
	s.err = muster.ErrUnavailable
	if _, err := c.Ensure(ctx, a); !errors.Is(err, muster.ErrUnavailable) {
		t.Errorf("a store that is away: %v", err)
	}
	s.err = nil
	for range 3 {
		if got, err := c.Ensure(ctx, schema(t, "a")); err != nil || got.ID != a.ID {
			t.Errorf("%v, %v", got, err)
		}
	}
	if s.puts != 1 {
		t.Errorf("stored %d times, want once", s.puts)
	}
	one, _ := c.Get(ctx, a.ID)
	two, _ := c.Ensure(ctx, schema(t, "a"))
	if one != two {
		t.Error("two copies of one schema are kept")
	}
	fresh := catalog.New(s)
	if got, err := fresh.Get(ctx, a.ID); err != nil || got.Metrics[0].Name != "a" {
		t.Errorf("read back: %v, %v", got, err)
	}
	b := schema(t, "b")
	if _, err := fresh.Get(ctx, b.ID); !errors.Is(err, muster.ErrNotFound) {
		t.Errorf("never stored: %v, want ErrNotFound", err)
	}
	s.rows[b.ID] = a.AppendCanonical(nil)
	if _, err := fresh.Get(ctx, b.ID); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("stored under another's address: %v, want ErrInvalid", err)
	}
}
