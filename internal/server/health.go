package server

import (
	"context"

	"muster"
	"muster/internal/check"
	"muster/internal/telemetry"
)

// ownSource is the source of the program's own measurements.
const ownSource = "muster"

// ownHealth collects the program's own measurements as a source of the machine it runs on.
type ownHealth struct {
	set   *telemetry.Set
	known map[string]*muster.Metric
}

func newOwnHealth(set *telemetry.Set) *ownHealth {
	return &ownHealth{set: set, known: map[string]*muster.Metric{}}
}

// Source is "muster".
func (h *ownHealth) Source() string { return ownSource }

// Collect puts every measurement of the set into the sample.
func (h *ownHealth) Collect(_ context.Context, s *check.Sample) error {
	h.set.Each(func(name string, labels []muster.Attr, kind muster.MetricKind, value float64) {
		m := muster.Metric{Name: name, Unit: unitOf(name), Kind: kind, Attrs: labels}
		key := m.Key()
		if h.known[key] == nil {
			h.known[key] = &m
		}
		s.Put(h.known[key], value)
	})
	return nil
}

// unitOf reads the unit off a name as Prometheus's conventions have it.
func unitOf(name string) string {
	for _, u := range []struct{ suffix, unit string }{
		{"_seconds", "s"}, {"_seconds_sum", "s"}, {"_seconds_total", "s"}, {"_bytes", "By"}, {"_bytes_total", "By"}, {"_ratio", "1"},
	} {
		if len(name) > len(u.suffix) && name[len(name)-len(u.suffix):] == u.suffix {
			return u.unit
		}
	}
	return "1"
}
