package graph

import (
	"slices"
	"time"
)

// Builder makes the points of one series out of samples and slots that come in ascending order.
type Builder struct {
	Meter
	Step     int64 // ms
	From, To int64 // Unix ms: points with From <= T < To are made
	Fn       Fn
	Raw      bool // a counter is shown as it is: Meter.Counter is false for samples, slots show their Last
	Follow   bool // samples come about once a step: small jitter must neither double a step nor skip one

	Out []Point

	slot    Slot
	open    bool
	at      int64 // the step that slot belongs to
	phase   int64 // where in a step samples lie, when following
	sampled bool
	last    int64 // the sample before
}

// Add takes a sample.
func (b *Builder) Add(at int64, v float64) {
	if step := b.stepOf(at); b.enter(step) {
		b.Meter.Add(&b.slot, at, v)
		return
	}
	b.Prime(at, v)
}

// Merge takes a slot that begins at the given time and lies within one step.
func (b *Builder) Merge(at int64, s Slot) {
	if s.Count == 0 {
		return
	}
	if b.Raw {
		s = Slot{Count: 1, Min: s.Last, Max: s.Last, Sum: s.Last, Last: s.Last}
	}
	if b.enter(floor(at, b.Step)) {
		b.slot.Merge(s, b.Counter)
	}
	b.seen = false // when the slot's last sample was is not known
}

// Points ends the series.
func (b *Builder) Points() []Point {
	b.flush()
	return b.Out
}

// enter makes step the open one; false when it is not asked for.
func (b *Builder) enter(step int64) bool {
	if step < b.From || step >= b.To {
		return false
	}
	if !b.open || step > b.at {
		b.flush()
		b.open, b.at = true, step
	}
	return true
}

func (b *Builder) flush() {
	if b.open {
		if p, ok := b.slot.point(b.at, b.Fn, b.Counter); ok {
			b.Out = append(b.Out, p)
		}
	}
	b.open, b.slot = false, Slot{}
}

// stepOf says to which step a sample belongs. Normally that is the step it lies in. A node that
// measures once a step at its beginning would now and then be a little early and miss one, so when
// following, the regular place of its samples within a step decides.
func (b *Builder) stepOf(at int64) int64 {
	if !b.Follow {
		return floor(at, b.Step)
	}
	gap := at - b.last
	regular := b.sampled && gap > b.Step/2 && gap < b.Step*3/2
	b.sampled, b.last = true, at
	if !regular {
		b.phase = at - floor(at, b.Step)
		if b.phase > b.Step-b.Step/8 {
			b.phase -= b.Step
		}
		return at - b.phase
	}
	step := floor(at-b.phase+b.Step/2, b.Step)
	b.phase += (at - b.phase - step) / 8
	if b.phase >= b.Step {
		b.phase -= b.Step
	} else if b.phase < -b.Step/4 {
		b.phase += b.Step
	}
	return step
}

func floor(t, step int64) int64 {
	rest := t % step
	if rest < 0 {
		rest += step
	}
	return t - rest
}

// Ceil gives the first multiple of step that is not before t.
func Ceil(t, step int64) int64 { return -floor(-t, step) }

// Floor gives the last multiple of step that is not after t.
func Floor(t, step int64) int64 { return floor(t, step) }

// niceSteps are the steps a reader of a graph expects.
func niceSteps() []time.Duration {
	const s, m, h, d = time.Second, time.Minute, time.Hour, 24 * time.Hour
	return []time.Duration{
		1 * s, 2 * s, 5 * s, 10 * s, 15 * s, 20 * s, 30 * s, 1 * m, 2 * m, 5 * m, 10 * m, 15 * m, 20 * m, 30 * m,
		1 * h, 2 * h, 3 * h, 4 * h, 6 * h, 12 * h, 1 * d, 2 * d, 4 * d, 7 * d, 14 * d, 28 * d, 56 * d, 112 * d, 364 * d,
	}
}

// Step chooses the step of a graph over a range: the node's own period while the range holds no more
// periods than points, else the smallest usual step that needs no more points, preferably a multiple
// of the period. It is at least atLeast and at least a second. The period is 0 when unknown.
func Step(span, period, atLeast time.Duration, points int) time.Duration {
	points = max(points, 1)
	least := max(atLeast, (span+time.Duration(points)-1)/time.Duration(points), time.Second)
	if period >= least {
		return period
	}
	var fallback time.Duration
	for _, step := range niceSteps() {
		if step < least {
			continue
		}
		if period == 0 || step%period == 0 {
			return step
		}
		if fallback == 0 {
			fallback = step
		}
		if step > 4*least {
			break
		}
	}
	if fallback != 0 {
		return fallback
	}
	const d = 24 * time.Hour
	return (least + d - 1) / d * d
}

// Period reads from ascending instants (Unix ms) how often they come: the pause that three quarters
// of the time are spent in or below. Whole seconds, at least one; 0 when there is too little to tell.
// An outage is no pause between samples: a pause ten times the usual one is left out.
func Period(times []int64) time.Duration {
	pauses := make([]int64, 0, len(times))
	for i := 1; i < len(times); i++ {
		if pause := times[i] - times[i-1]; pause > 0 {
			pauses = append(pauses, pause)
		}
	}
	if len(pauses) == 0 {
		return 0
	}
	slices.Sort(pauses)
	most := 10 * max(pauses[len(pauses)/2], 10_000)
	var total int64
	for len(pauses) > 1 && pauses[len(pauses)-1] > most {
		pauses = pauses[:len(pauses)-1]
	}
	for _, p := range pauses {
		total += p
	}
	var passed int64
	for _, p := range pauses {
		if passed += p; passed*4 >= total*3 {
			return max(time.Second, (time.Duration(p) * time.Millisecond).Round(time.Second))
		}
	}
	return 0
}
