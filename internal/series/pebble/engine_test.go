package pebble_test

import (
	"errors"
	"testing"
	"time"

	"muster"
	"muster/internal/series/pebble"
	"muster/internal/series/seriestest"
)

func open(t *testing.T, dir string) seriestest.Opened {
	t.Helper()
	e, err := pebble.Open(dir, pebble.Options{Shards: 4, Gather: time.Microsecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	reopen := func(t *testing.T) seriestest.Opened {
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		return open(t, dir)
	}
	return seriestest.Opened{Engine: e, Reopen: reopen}
}

func TestEngine(t *testing.T) {
	seriestest.Suite(t, func(t *testing.T) seriestest.Opened { return open(t, t.TempDir()) })
}

func TestShardsAreFixed(t *testing.T) {
	dir := t.TempDir()
	e, err := pebble.Open(dir, pebble.Options{Shards: 4})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := pebble.Open(dir, pebble.Options{Shards: 8}); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("another number of shards: %v, want ErrInvalid", err)
	}
	if e, err = pebble.Open(dir, pebble.Options{}); err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if e.Shards() != 4 {
		t.Errorf("%d shards, want 4", e.Shards())
	}
}
