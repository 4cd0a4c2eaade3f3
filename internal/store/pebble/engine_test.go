package pebble_test

import (
	"testing"
	"time"

	"muster/internal/store"
	"muster/internal/store/pebble"
	"muster/internal/store/storetest"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, now func() time.Time) store.Engine {
		engine, err := pebble.Open(t.TempDir(), pebble.Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		return engine
	})
}
