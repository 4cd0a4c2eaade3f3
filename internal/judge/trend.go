package judge

import (
	"math"
	"time"
)

// trend is a straight line through what was seen lately: least squares in which the weight of a value halves again and
// again as it grows old. It needs no list of values, so it is as small after a month as after an hour. Sums are kept about
// their mean, as in Welford's way, or large values with small changes would drown in rounding.
type trend struct {
	from   int64   // the first value, Unix milliseconds; 0 when there is none
	weight float64 // of all values
	age    float64 // mean of the instants, in seconds before the newest value (negative)
	mean   float64 // of the values
	tt, tv float64 // sums of squares and of products, about the means
}

// How long a forecast remembers, and what it needs, by how far it looks ahead.
const (
	memoryShare = 4  // values count as long ago as a quarter of the time ahead: then their weight is 1/e
	warmShare   = 24 // a day ahead is told after an hour
	maxWeight   = 60 // seconds a value may stand for: a gap makes none important
)

// add takes the value at the instant; before is the instant of the one before.
func (t *trend) add(at, before int64, v float64, memory time.Duration) {
	gap := float64(at-before) / 1000
	if t.from == 0 || gap > memory.Seconds() {
		*t = trend{from: at, weight: 1, mean: v}
		return
	}
	fade := math.Exp(-gap / memory.Seconds())
	t.weight *= fade
	t.tt *= fade
	t.tv *= fade
	t.age -= gap

	w := min(gap, maxWeight)
	t.weight += w
	share := w / t.weight
	dt, dv := -t.age, v-t.mean
	t.age += share * dt
	t.mean += share * dv
	t.tt += w * dt * -t.age
	t.tv += w * dt * (v - t.mean)
}

// line gives the height at the newest value and the slope per second; false when there is no line yet.
func (t *trend) line() (height, slope float64, ok bool) {
	if t.tt <= 0 {
		return 0, 0, false
	}
	slope = t.tv / t.tt
	height = t.mean - slope*t.age
	return height, slope, (height-height)+(slope-slope) == 0
}

// forecast gives the value that the line reaches after the rule's Within; false as long as too little was seen.
func (r *Rule) forecast(s *State) (v float64, known bool) {
	if s.trend.from == 0 || s.heard-s.trend.from < r.warm {
		return 0, false
	}
	height, slope, ok := s.trend.line()
	v = height + slope*r.within.Seconds()
	return v, ok && v-v == 0
}
