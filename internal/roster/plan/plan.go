// Package plan gives what the values of a check's frames are: which is the status, which the duration, and
// how the others are shown.
package plan

import (
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"muster"
)

// Plan says what the values of a schema are. Checks have a schema each, for their ids stand in it, but
// those of one kind share a plan.
type Plan struct {
	status, duration int              // where those are; -1: nowhere
	metrics          []*muster.Metric // of each value, without the check and the zone; nil for the two above
}

// Cache keeps every plan once. It is safe for use by many goroutines.
type Cache struct {
	mu    sync.Mutex
	known map[string]*Plan
}

// maxCache bounds what is remembered when schemas change all the time.
const maxCache = 4096

// NewCache makes an empty one.
func NewCache() *Cache { return &Cache{known: map[string]*Plan{}} }

// Get gives the plan of a schema.
func (p *Cache) Get(s *muster.Schema) *Plan {
	fresh := compile(s)
	var key strings.Builder
	for i, m := range fresh.metrics {
		switch {
		case i == fresh.status:
			key.WriteByte(2)
		case i == fresh.duration:
			key.WriteByte(3)
		default:
			key.WriteString(m.Key())
			key.WriteByte(4)
			key.WriteString(m.Unit)
			key.WriteByte(byte(m.Kind))
		}
		key.WriteByte(0)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.known[key.String()]; known != nil {
		return known
	}
	if len(p.known) >= maxCache {
		clear(p.known)
	}
	p.known[key.String()] = fresh
	return fresh
}

// compile makes the plan of a schema, sharing no memory with it.
func compile(s *muster.Schema) *Plan {
	p := &Plan{status: -1, duration: -1, metrics: make([]*muster.Metric, len(s.Metrics))}
	for i := range s.Metrics {
		m := &s.Metrics[i]
		switch {
		case m.Name == muster.CheckStatusMetric && p.status < 0:
			p.status = i
		case m.Name == muster.CheckDurationMetric && p.duration < 0:
			p.duration = i
		default:
			p.metrics[i] = &muster.Metric{Name: strings.Clone(m.Name), Unit: strings.Clone(m.Unit), Kind: m.Kind, Attrs: OwnAttrs(m.Attrs)}
		}
	}
	return p
}

// OwnAttrs gives a metric's attributes without those that say which check and where.
func OwnAttrs(attrs []muster.Attr) []muster.Attr {
	var own []muster.Attr
	for _, a := range attrs {
		if a.Key != muster.CheckAttr && a.Key != muster.ZoneAttr {
			own = append(own, muster.Attr{Key: strings.Clone(a.Key), Value: strings.Clone(a.Value)})
		}
	}
	return own
}

// Status gives the status; muster.StatusUnknown for a value that is none. Ok is false when the schema has no status.
func (p *Plan) Status(values []float64) (status muster.CheckStatus, ok bool) {
	if p.status < 0 || p.status >= len(values) {
		return muster.StatusUnknown, false
	}
	if status = muster.StatusOf(values[p.status]); status == muster.StatusPending {
		status = muster.StatusUnknown
	}
	return status, true
}

// Seconds gives how long the run took; -1 when that is not told.
func (p *Plan) Seconds(values []float64) float64 {
	if p.duration < 0 || p.duration >= len(values) || math.IsNaN(values[p.duration]) {
		return -1
	}
	return values[p.duration]
}

// Readings gives the values that are there, by the order of the schema.
func (p *Plan) Readings(values []float64) []muster.Reading {
	out := make([]muster.Reading, 0, len(p.metrics))
	for i, m := range p.metrics {
		if m != nil && i < len(values) && !math.IsNaN(values[i]) {
			out = append(out, muster.Reading{Metric: m, Value: values[i]})
		}
	}
	return out
}

// Names gives the different names of the metrics, sorted.
func (p *Plan) Names() []string {
	var out []string
	for _, m := range p.metrics {
		if m != nil {
			out = append(out, m.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Duration gives the duration of that many seconds; what is no duration is negative. It is rounded to microseconds.
func Duration(s float64) time.Duration {
	if !(s >= 0 && s < 1e9) {
		return -1
	}
	return time.Duration(s * float64(time.Second)).Round(time.Microsecond)
}
