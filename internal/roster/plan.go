package roster

import (
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"muster"
)

// plan says what the values of a schema are. Checks have a schema each, for their ids stand in it, but
// those of one kind share a plan.
type plan struct {
	status, duration int              // where those are; -1: nowhere
	metrics          []*muster.Metric // of each value, without the check and the zone; nil for the two above
}

// plans keeps every plan once.
type plans struct {
	mu    sync.Mutex
	known map[string]*plan
}

// maxPlans bounds what is remembered when schemas change all the time.
const maxPlans = 4096

func newPlans() *plans { return &plans{known: map[string]*plan{}} }

// get gives the plan of a schema.
func (p *plans) get(s *muster.Schema) *plan {
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
	if len(p.known) >= maxPlans {
		clear(p.known)
	}
	p.known[key.String()] = fresh
	return fresh
}

// compile makes the plan of a schema, sharing no memory with it.
func compile(s *muster.Schema) *plan {
	p := &plan{status: -1, duration: -1, metrics: make([]*muster.Metric, len(s.Metrics))}
	for i := range s.Metrics {
		m := &s.Metrics[i]
		switch {
		case m.Name == muster.CheckStatusMetric && p.status < 0:
			p.status = i
		case m.Name == muster.CheckDurationMetric && p.duration < 0:
			p.duration = i
		default:
			p.metrics[i] = &muster.Metric{Name: strings.Clone(m.Name), Unit: strings.Clone(m.Unit), Kind: m.Kind, Attrs: ownAttrs(m.Attrs)}
		}
	}
	return p
}

// ownAttrs gives a metric's attributes without those that say which check and where.
func ownAttrs(attrs []muster.Attr) []muster.Attr {
	var own []muster.Attr
	for _, a := range attrs {
		if a.Key != muster.CheckAttr && a.Key != muster.ZoneAttr {
			own = append(own, muster.Attr{Key: strings.Clone(a.Key), Value: strings.Clone(a.Value)})
		}
	}
	return own
}

// seconds gives how long the run took; -1 when that is not told.
func (p *plan) seconds(values []float64) float64 {
	if p.duration < 0 || p.duration >= len(values) || math.IsNaN(values[p.duration]) {
		return -1
	}
	return values[p.duration]
}

// readings gives the values that are there, by the order of the schema.
func (p *plan) readings(values []float64) []muster.Reading {
	out := make([]muster.Reading, 0, len(p.metrics))
	for i, m := range p.metrics {
		if m != nil && i < len(values) && !math.IsNaN(values[i]) {
			out = append(out, muster.Reading{Metric: m, Value: values[i]})
		}
	}
	return out
}

// names gives the different names of the metrics, sorted.
func (p *plan) names() []string {
	var out []string
	for _, m := range p.metrics {
		if m != nil {
			out = append(out, m.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// seconds gives the duration of that many seconds; what is no duration is negative.
func seconds(s float64) time.Duration {
	if !(s >= 0 && s < 1e9) {
		return -1
	}
	return time.Duration(s * float64(time.Second))
}
