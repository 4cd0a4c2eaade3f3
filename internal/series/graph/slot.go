// Package graph gives answers to queries for series: it plans what to read, folds samples into slots of
// time, slots into wider slots, and slots into points on a grid, with counters read as rates. Where
// samples and slots come from is a door; the rest is arithmetic.
package graph

import "math"

// Slot is what is kept of one metric over a stretch of time. For a gauge Min, Max, Sum and Last are of
// its values and Increase is 0. For a counter Min and Max are of its rates per second between one
// sample and the next, Increase is its growth (adjusted for resets) and Sum the seconds that growth
// took, so that Increase/Sum is the rate wherever samples are missing; Last is the counter itself.
type Slot struct {
	Count                         uint32 // how many samples; 0 means that there is nothing
	Min, Max, Sum, Last, Increase float64
}

// Merge adds a slot that is later than what s holds.
func (s *Slot) Merge(later Slot, counter bool) {
	if later.Count == 0 {
		return
	}
	if !counter || later.Sum > 0 {
		s.bound(later.Min, later.Max, counter)
	}
	s.Count += later.Count
	s.Sum += later.Sum
	s.Increase += later.Increase
	s.Last = later.Last
}

// bound widens Min and Max; a slot that holds nothing (for a counter: no rate) takes them as they are.
func (s *Slot) bound(low, high float64, counter bool) {
	if s.Count == 0 || counter && s.Sum == 0 {
		s.Min, s.Max = low, high
		return
	}
	s.Min, s.Max = min(s.Min, low), max(s.Max, high)
}

// Meter folds ascending samples of one series into slots. For a counter it remembers the sample before.
type Meter struct {
	Counter bool
	Gap     int64 // in ms: a longer time between two samples of a counter yields no rate

	seen bool
	at   int64
	last float64
}

// Prime lets the meter know a sample that comes before those to be folded.
func (m *Meter) Prime(at int64, v float64) { m.seen, m.at, m.last = true, at, v }

// Add folds the sample into s.
func (m *Meter) Add(s *Slot, at int64, v float64) {
	if !m.Counter {
		s.bound(v, v, false)
		s.Sum += v
	} else if m.seen && at > m.at && at-m.at <= m.Gap {
		growth := v - m.last
		if growth < 0 {
			growth = v // it began again at zero
		}
		seconds := float64(at-m.at) / 1000
		rate := growth / seconds
		s.bound(rate, rate, true)
		s.Increase += growth
		s.Sum += seconds
	}
	s.Count++
	s.Last = v
	m.Prime(at, v)
}

// Fold folds the samples of begin <= at < end into slots that cover that time evenly; NaN is no sample.
// Samples before it only begin a counter's rate. False when there was none. Bounds of rates lose
// digits that no graph shows: so they are stored smaller and read faster.
func (m *Meter) Fold(slots []Slot, times []int64, values []float64, begin, end int64) (any bool) {
	length := (end - begin) / int64(len(slots))
	for i, at := range times {
		v := values[i]
		switch {
		case v != v || at >= end:
		case at < begin:
			m.Prime(at, v)
		default:
			any = true
			m.Add(&slots[(at-begin)/length], at, v)
		}
	}
	if m.Counter {
		for i := range slots {
			slots[i].Min, slots[i].Max = float64(float32(slots[i].Min)), float64(float32(slots[i].Max))
		}
	}
	return any
}

// Fn says what the middle number of a point is.
type Fn uint8

// The functions. Of a counter Avg, Min, Max and Last are of its rate, Sum is its growth.
const (
	Avg Fn = iota
	Min
	Max
	Sum
	Last
	Count
)

// Point is one step of a series: T is its beginning in Unix ms.
type Point struct {
	T             int64
	Min, Avg, Max float64
}

// point reads the slot; false when it has nothing to show.
func (s *Slot) point(at int64, fn Fn, counter bool) (Point, bool) {
	if s.Count == 0 || counter && s.Sum <= 0 {
		return Point{}, false
	}
	mean := s.Sum / float64(s.Count)
	if counter {
		mean = s.Increase / s.Sum
	}
	p := Point{T: at, Min: s.Min, Max: s.Max}
	switch fn {
	case Min:
		p.Avg = s.Min
	case Max:
		p.Avg = s.Max
	case Sum:
		p.Avg = s.Sum
		if counter {
			p.Avg = s.Increase
		}
	case Last:
		p.Avg = s.Last
		if counter {
			p.Avg = mean
		}
	case Count:
		p.Avg = float64(s.Count)
	default:
		// The mean of equal values may differ from them in the last bit, and the bounds of rates are kept
		// with fewer digits; a mean must not leave its bounds.
		p.Avg = math.Min(math.Max(mean, s.Min), s.Max)
	}
	return p, true
}
