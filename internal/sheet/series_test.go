package sheet

import (
	"math"
	"testing"
	"time"

	"muster/api"
	"muster/internal/term"
)

func TestGraphsShowGaps(t *testing.T) {
	from := time.Unix(1000, 0).UTC()
	s := &api.Series{From: from, To: from.Add(100 * time.Second), Step: "10s"}
	got := spread(s, []api.Point{{1000, 1, 1, 1}, {1010, 2, 2, 2}, {1050, 5, 5, 5}}, 10)
	for i, want := range []float64{1, 2, math.NaN(), math.NaN(), math.NaN(), 5, math.NaN(), math.NaN(), math.NaN(), math.NaN()} {
		if got[i] != want && !(math.IsNaN(got[i]) && math.IsNaN(want)) {
			t.Errorf("slot %d is %g, want %g", i, got[i], want)
		}
	}
	if got := term.Sparkline([]float64{0, 4, 8, math.NaN(), 8}, 0, 8); got != "▁▄█ █" {
		t.Errorf("%q", got)
	}
	wide := spread(s, []api.Point{{1000, 1, 1, 1}}, 30) // a step is three columns wide
	if wide[0] != 1 || wide[2] != 1 || !math.IsNaN(wide[3]) {
		t.Errorf("%v", wide[:5])
	}
}
