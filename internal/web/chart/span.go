package chart

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"muster"
)

// Range is the one span of time that all charts of a page show.
type Range struct {
	Name     string // "1h", one of Ranges; "" when From and To were given
	From, To time.Time
	Live     bool // To is now and moves on
}

// Choice is a range that can be chosen by name.
type Choice struct {
	Name, Title string
	Width       time.Duration
}

// Ranges gives the ranges that have names, shortest first. The first is what a page opens on.
func Ranges() []Choice {
	const day = 24 * time.Hour
	return []Choice{
		{"15m", "15 m", 15 * time.Minute}, {"1h", "1 h", time.Hour}, {"6h", "6 h", 6 * time.Hour},
		{"24h", "24 h", day}, {"7d", "7 d", 7 * day}, {"30d", "30 d", 30 * day},
	}
}

const (
	leastWidth = 20 * time.Second // what a node opens on that was born just now
	zoomLimit  = 5 * time.Second
	farthest   = 10 * 366 * 24 * time.Hour
)

// ParseRange reads "range", or "from" and "to" (Unix ms), from a page's address. A node that was born less than the
// shortest range ago is shown from its birth on, but at least 20 s. The error wraps muster.ErrInvalid.
func ParseRange(q url.Values, now, born time.Time) (Range, error) {
	if from, to := q.Get("from"), q.Get("to"); from != "" || to != "" {
		return parseSpan(from, to, now)
	}
	choices := Ranges()
	pick := choices[0]
	if name := q.Get("range"); name != "" {
		found := false
		for _, c := range choices {
			if c.Name == name {
				pick, found = c, true
			}
		}
		if !found {
			return Range{}, fmt.Errorf("chart: range: %w: there is no range %q; take one of 15m, 1h, 6h, 24h, 7d, 30d, or from and to", muster.ErrInvalid, name)
		}
	}
	r := Range{Name: pick.Name, From: now.Add(-pick.Width), To: now, Live: true}
	if pick == choices[0] && born.After(r.From) {
		r.From = born
		if least := now.Add(-leastWidth); r.From.After(least) {
			r.From = least
		}
	}
	return r, nil
}

func parseSpan(from, to string, now time.Time) (Range, error) {
	f, err1 := strconv.ParseInt(from, 10, 64)
	t, err2 := strconv.ParseInt(to, 10, 64)
	r := Range{From: time.UnixMilli(f), To: time.UnixMilli(t)}
	if err1 != nil || err2 != nil || r.From.Before(now.Add(-farthest)) || r.To.After(now.Add(farthest)) || r.To.Sub(r.From) < zoomLimit {
		return Range{}, fmt.Errorf("chart: range: %w: from and to must be Unix milliseconds, at least %s apart", muster.ErrInvalid, zoomLimit)
	}
	return r, nil
}

// Finest gives the least distance of points that makes sense when the range is drawn with so many.
func (r Range) Finest(points int) time.Duration {
	step := r.To.Sub(r.From) / time.Duration(max(points, 1))
	for _, nice := range []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute} {
		if step <= nice {
			return nice
		}
	}
	return step.Round(time.Second)
}
