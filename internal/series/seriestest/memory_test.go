package seriestest_test

import (
	"testing"

	"muster/internal/series/seriestest"
)

func TestMemory(t *testing.T) {
	seriestest.Suite(t, func(*testing.T) seriestest.Opened { return seriestest.Opened{Engine: seriestest.NewMemory()} })
}
