package judge

import (
	"math"
	"time"

	"muster"
)

// Point is a value of the past.
type Point struct {
	At    int64   // Unix milliseconds; where the step of the point begins
	Value float64 // NaN for none; the average where the point stands for several values
	Min   float64 // used, as is Max, when Track.Step is not zero
	Max   float64
}

// Track is the past of one series.
type Track struct {
	Unit   string        // of the values (UCUM)
	Step   time.Duration // of points that stand for several values each; zero: values as they came
	Points []Point       // oldest first
}

// Span is a time in which an alarm would have been firing.
type Span struct {
	From, To time.Time // To is zero when it still fired at the end
	Why      string    // why it fired
}

// Backtest gives the times in which the rule would have been firing between from and to, by the machine that judges live.
// Points before from warm it up; a span that began before is given whole. Of a point that stands for several values the
// side is judged that the condition looks at: the greatest for > and >=, the least for < and <=. So it may show a little more
// than happened, and no less; silence within a step can't be seen.
func Backtest(r *Rule, track Track, from, to time.Time) []Span {
	if track.Step > 0 {
		coarse := *r
		coarse.slack = milliseconds(track.Step)
		r = &coarse
	}
	b := backtest{from: from}
	end := to.UnixMilli()
	for i := range track.Points {
		p := &track.Points[i]
		if p.At >= end {
			break
		}
		b.take(r.Silence(b.state, instant(p.At)))
		b.take(r.Judge(b.state, Input{At: p.At, Value: r.side(p, track.Step), Unit: track.Unit}, time.Time{}))
	}
	b.take(r.Silence(b.state, to))
	if b.open {
		b.spans = append(b.spans, b.span)
	}
	return b.spans
}

type backtest struct {
	from  time.Time
	state State
	span  Span
	open  bool
	spans []Span
}

func (b *backtest) take(s State, v *Verdict) {
	b.state = s
	switch {
	case v == nil:
	case v.To == muster.AlarmFiring:
		b.span, b.open = Span{From: v.At, Why: v.Why}, true
	case b.open:
		b.open = false
		b.span.To = v.At
		if v.At.After(b.from) {
			b.spans = append(b.spans, b.span)
		}
	}
}

// side gives the value of the point that the condition looks at.
func (r *Rule) side(p *Point, step time.Duration) float64 {
	if step == 0 || r.within > 0 || p.Value != p.Value {
		return p.Value
	}
	switch r.op {
	case ">", ">=":
		return p.Max
	case "<", "<=":
		return p.Min
	case "==":
		if p.Min <= r.limit && r.limit <= p.Max {
			return r.limit
		}
	case "!=":
		if math.Abs(p.Max-r.limit) >= math.Abs(p.Min-r.limit) {
			return p.Max
		}
		return p.Min
	}
	return p.Value
}
