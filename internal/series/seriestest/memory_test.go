package seriestest_test

import (
	"testing"
	"testing/synctest"

	"muster/internal/series/seriestest"
)

func TestMemory(t *testing.T) {
	seriestest.Suite(t, func(*testing.T) seriestest.Opened { return seriestest.Opened{Engine: seriestest.NewMemory()} })
}

func TestKilledManyTimes(t *testing.T) {
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) { seriestest.Kill(t, seriestest.NewMemory(), seed+1) })
	}
}
