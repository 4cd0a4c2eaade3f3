package storetest_test

import (
	"testing"
	"time"

	"muster/internal/store"
	"muster/internal/store/storetest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(_ *testing.T, now func() time.Time) store.Engine { return storetest.NewMemory(now) })
}
