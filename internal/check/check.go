// Package check gives the contract of what measures: a Collector adds the metrics of one source to a
// Sample, again and again, and the agent sends each sample as a frame. And of what looks at
// something else: a Kind reads a configuration into a Probe, whose runs become frames too.
package check

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"muster"
)

// Collector measures one source. An agent calls it from one goroutine at a time, at most a few times
// a second, so it may keep what it needs for the next time (earlier counters, open files, buffers).
type Collector interface {
	// Source names what is measured: muster.HostSource for the machine itself. It never changes.
	Source() string
	// Collect puts the metrics of this instant into the sample. What was put before an error stays:
	// a part that cannot be measured must not hide the others.
	Collect(ctx context.Context, s *Sample) error
}

// Facts is what is known of the machine and rarely changes.
type Facts struct {
	Hostname  string
	BootID    string            // changes with each start of the machine; may be empty
	Facts     map[string]string // OpenTelemetry's resource attributes where they exist
	Addresses []string          // numeric, most useful first
}

// Describer tells the facts. It may take a while: an agent asks at its start and then rarely.
type Describer interface {
	Facts(ctx context.Context) (Facts, error)
}

// None is the value of a metric that has none at this instant: NaN.
func None() float64 { return math.NaN() }

// Sample gathers the values of one source at one instant and is then used again for the next. It
// remembers the schema while the same metrics are put in the same order, so that a steady source
// costs no allocation. The zero Sample is ready for Reset. It is not safe for concurrent use.
type Sample struct {
	at      time.Time
	put     []*muster.Metric
	known   []*muster.Metric // what schema was made of
	raw     []float64
	kept    []int // which of what was put is in the schema; nil: all
	schema  *muster.Schema
	dropped int
	out     []float64
}

// Reset empties the sample for the instant.
func (s *Sample) Reset(at time.Time) {
	s.at = at
	s.put = s.put[:0]
	s.raw = s.raw[:0]
}

// At gives the instant of the sample.
func (s *Sample) At() time.Time { return s.at }

// Put adds a metric and its value; None for one that has no value now. The description must not
// change afterwards: put the same pointer each time. Metrics with equal name and attributes, those
// that are not valid and those beyond muster.MaxMetrics are left out and counted by Dropped.
func (s *Sample) Put(m *muster.Metric, v float64) {
	if math.IsInf(v, 0) {
		v = math.NaN()
	}
	s.put = append(s.put, m)
	s.raw = append(s.raw, v)
}

// Frame gives the schema and the values of what was put since Reset; nil and nil when that is
// nothing. The values are good until the next Reset, the schema for ever.
func (s *Sample) Frame() (*muster.Schema, []float64) {
	if s.schema == nil || !slices.Equal(s.put, s.known) {
		s.describe()
	}
	if s.schema == nil {
		return nil, nil
	}
	if s.kept == nil {
		return s.schema, s.raw
	}
	s.out = s.out[:0]
	for _, i := range s.kept {
		s.out = append(s.out, s.raw[i])
	}
	return s.schema, s.out
}

// Dropped says how many metrics of this sample were left out.
func (s *Sample) Dropped() int { return s.dropped }

// maxSchema is about the size of the longest description of a sample, in bytes: it is sent as one message.
const maxSchema = 2 << 20

// describe makes the schema anew from what was put.
func (s *Sample) describe() {
	s.kept, s.schema = nil, nil
	metrics := make([]muster.Metric, 0, len(s.put))
	kept := make([]int, 0, len(s.put))
	seen := make(map[string]struct{}, len(s.put))
	size := 0
	for i, m := range s.put {
		key := m.Key()
		_, double := seen[key]
		if size += 16 + len(key) + len(m.Unit); len(metrics) == muster.MaxMetrics || size > maxSchema {
			break
		}
		if double || m.Validate() != nil {
			continue
		}
		seen[key] = struct{}{}
		metrics, kept = append(metrics, *m), append(kept, i)
	}
	s.dropped = len(s.put) - len(kept)
	if s.dropped > 0 {
		s.kept = kept
	}
	s.known = append(s.known[:0], s.put...)
	if schema, err := muster.NewSchema(metrics); err == nil {
		s.schema = schema
	}
}

// Gauge describes a gauge; attrs are keys and values in turn, sorted by key.
func Gauge(name, unit string, attrs ...string) *muster.Metric {
	return metric(muster.Gauge, name, unit, attrs)
}

// Counter describes a counter; attrs are keys and values in turn, sorted by key.
func Counter(name, unit string, attrs ...string) *muster.Metric {
	return metric(muster.Counter, name, unit, attrs)
}

func metric(kind muster.MetricKind, name, unit string, attrs []string) *muster.Metric {
	m := &muster.Metric{Name: name, Unit: unit, Kind: kind}
	for i := 0; i+1 < len(attrs); i += 2 {
		m.Attrs = append(m.Attrs, muster.Attr{Key: attrs[i], Value: attrs[i+1]})
	}
	slices.SortFunc(m.Attrs, func(a, b muster.Attr) int { return strings.Compare(a.Key, b.Key) })
	return m
}
