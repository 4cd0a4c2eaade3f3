package plot

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// dot is a point on the picture; starts says that no line leads to it.
type dot struct {
	x, y   float64
	starts bool
}

func finite(v float64) bool { return v-v == 0 }

func (c *Chart) inRange(p Point) bool {
	return p.At >= c.From.UnixMilli() && p.At <= c.To.UnixMilli()
}

// last gives the newest value in the range.
func (c *Chart) last() (Point, bool) {
	for i := len(c.Points) - 1; i >= 0; i-- {
		if p := c.Points[i]; finite(p.Value) && c.inRange(p) {
			return p, true
		}
	}
	return Point{}, false
}

// thin gives the dots to draw: of the points that share a column of pixels the first, the least, the greatest and
// the last, so that no peak is lost.
func (d *drawing) thin() []dot {
	var out []dot
	var column []dot
	flush := func() {
		if len(column) > 4 {
			low, high := 0, 0
			for i := range column {
				if column[i].y > column[low].y {
					low = i
				}
				if column[i].y < column[high].y {
					high = i
				}
			}
			keep := []dot{column[0], column[min(low, high)], column[max(low, high)], column[len(column)-1]}
			column = append(column[:0], keep...)
			for i := 1; i < len(column); i++ {
				column[i].starts = false
			}
		}
		out = append(out, column...)
		column = column[:0]
	}
	gap := d.c.Step.Milliseconds() * 5 / 2
	before, broken := int64(0), true
	for _, p := range d.c.Points {
		if !d.c.inRange(p) {
			continue
		}
		if !finite(p.Value) {
			broken = true
			continue
		}
		next := dot{x: d.x(p.At), y: d.h(p.Value), starts: broken || gap > 0 && p.At-before > gap}
		if len(column) > 0 && (next.starts || math.Floor(next.x) != math.Floor(column[0].x)) {
			flush()
		}
		column = append(column, next)
		before, broken = p.At, false
	}
	flush()
	return out
}

// scaleY is what stands at the side: the range, where lines are drawn, and how a value is written.
type scaleY struct {
	low, high float64
	ticks     []float64
	divisor   float64 // of a written value
	suffix    string
	digits    int
}

// fitY chooses a range that holds the values and the limit, with round ends. Shares are always 0 to 100 %.
func fitY(c *Chart) scaleY {
	low, high := math.Inf(1), math.Inf(-1)
	see := func(v float64) {
		if finite(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	for _, p := range c.Points {
		if c.inRange(p) {
			see(p.Value)
		}
	}
	if c.Limit != nil {
		see(*c.Limit)
	}
	if low > high {
		low, high = 0, 1
	}
	if c.Unit == "1" && low >= 0 && high <= 1 {
		return scaleY{low: 0, high: 1, ticks: []float64{0, 0.5, 1}, divisor: 0.01, suffix: " %"}
	}
	switch { // values near to zero are seen from zero
	case low >= 0 && low <= 0.7*high:
		low = 0
	case high <= 0 && high >= 0.7*low:
		high = 0
	}
	if high-low <= 1e-9*max(math.Abs(low), math.Abs(high), 1e-300) {
		half := max(math.Abs(high)*0.1, 1e-9)
		low, high = low-half, high+half
	}
	s := scaleY{}
	s.divisor, s.suffix = unit(c.Unit, max(math.Abs(low), math.Abs(high)))
	step := round(max((high/s.divisor-low/s.divisor)/3, math.SmallestNonzeroFloat64)) * s.divisor
	s.low, s.high = math.Floor(low/step)*step, math.Ceil(high/step)*step
	if !finite(s.low) || !finite(s.high) || s.low >= s.high || !finite(s.high-s.low) { // numbers at the end of what a float64 can hold
		return scaleY{low: low / 2, high: high/2 + 1, divisor: 1}
	}
	s.digits = max(0, min(6, int(-math.Floor(math.Log10(step/s.divisor)+1e-9))))
	for i := range 8 {
		if v := s.low + float64(i)*step; v <= s.high+step/2 {
			s.ticks = append(s.ticks, v)
		}
	}
	return s
}

// round gives the least of 1, 2 and 5 times a power of ten that is not below v.
func round(v float64) float64 {
	ten := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*ten >= v*(1-1e-9) {
			return m * ten
		}
	}
	return 10 * ten
}

// unit gives what to divide values of this size by, and what to write behind them.
func unit(ucum string, size float64) (divisor float64, suffix string) {
	per := ""
	if base, ok := strings.CutSuffix(ucum, "/s"); ok {
		ucum, per = base, "/s"
	}
	switch ucum {
	case "1":
		if per == "" && size <= 2 {
			return 0.01, " %"
		}
		return step(size, 1000, "", "k", "M", "G"), pick(size, 1000, per, " k"+per, " M"+per, " G"+per)
	case "By":
		return step(size, 1024, "B", "KiB", "MiB", "GiB", "TiB"), pick(size, 1024, " B"+per, " KiB"+per, " MiB"+per, " GiB"+per, " TiB"+per)
	case "s":
		return seconds(size)
	}
	if strings.HasPrefix(ucum, "{") || ucum == "" {
		return 1, per
	}
	return 1, " " + ucum + per
}

func step(size, base float64, names ...string) float64 {
	return math.Pow(base, float64(power(size, base, len(names))))
}

func pick(size, base float64, names ...string) string { return names[power(size, base, len(names))] }

func power(size, base float64, most int) int {
	n := 0
	for size >= base && n < most-1 {
		size /= base
		n++
	}
	return n
}

func seconds(size float64) (divisor float64, suffix string) {
	switch {
	case size < 1:
		return 0.001, " ms"
	case size < 180:
		return 1, " s"
	case size < 3*3600:
		return 60, " min"
	case size < 72*3600:
		return 3600, " h"
	}
	return 86400, " d"
}

// text writes a value: with one digit more than the lines at the side where it does not lie on one of them.
func (s *scaleY) text(v float64) string {
	v /= s.divisor
	digits := s.digits
	if math.Abs(v-math.Round(v*math.Pow10(digits))/math.Pow10(digits)) > 1e-9*max(1, math.Abs(v)) && math.Abs(v) < 100 {
		digits++
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if len(text) > 12 {
		text = strconv.FormatFloat(v, 'g', 3, 64)
	}
	return text + s.suffix
}

type tickX struct {
	at   time.Time
	text string
}

// ticksX gives round instants of the zone, at most eight.
func ticksX(c *Chart) []tickX {
	const most = 7
	span := c.To.Sub(c.From)
	step := 365 * 24 * time.Hour
	for _, s := range []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
		10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
		24 * time.Hour, 48 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour, 90 * 24 * time.Hour} {
		if span/s < most {
			step = s
			break
		}
	}
	layout := "15:04"
	switch {
	case step < time.Minute:
		layout = "15:04:05"
	case step >= 24*time.Hour:
		layout = "2 Jan"
	}
	_, offset := c.From.In(c.Zone).Zone()
	shift := time.Duration(offset) * time.Second
	first := c.From.Add(shift).Truncate(step).Add(-shift)
	var out []tickX
	for i := range 3 * most {
		at := first.Add(time.Duration(i) * step)
		if at.After(c.To) {
			break
		}
		if !at.Before(c.From) {
			out = append(out, tickX{at: at.In(c.Zone), text: at.In(c.Zone).Format(layout)})
		}
	}
	return out
}
