// Package telemetry gives the counters, gauges and histograms by which the program measures itself.
// A room takes a *Set in its options; the set is written out as Prometheus text and read by the
// built-in agent, so that the program's own health is graphed like any other source of a node.
package telemetry

import (
	"bufio"
	"bytes"
	"io"
	"sort"
	"strconv"
	"strings"

	"github.com/VictoriaMetrics/metrics"

	"muster"
)

// Set holds the measurements of one process. The zero pointer is valid: what is counted there is not shown.
type Set struct {
	set *metrics.Set
}

// Counter is a number that only grows.
type Counter = metrics.Counter

// Histogram collects observations, in seconds where it measures time, in cumulative Prometheus buckets.
type Histogram = metrics.PrometheusHistogram

// buckets bound the histograms: from 0.1 ms to 30 s, about three to a decade.
func buckets() []float64 {
	return []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}
}

// New makes an empty set.
func New() *Set { return &Set{set: metrics.NewSet()} }

func (s *Set) real() *metrics.Set {
	if s == nil {
		return metrics.NewSet()
	}
	return s.set
}

// Counter gives the counter of that Prometheus name, labels included, making it at first use.
func (s *Set) Counter(name string) *Counter { return s.real().GetOrCreateCounter(name) }

// Gauge registers a value that is asked for when somebody looks; read must be quick and safe to call from anywhere.
func (s *Set) Gauge(name string, read func() float64) { s.real().GetOrCreateGauge(name, read) }

// Histogram gives the histogram of that name, labels included, making it at first use.
func (s *Set) Histogram(name string) *Histogram {
	return s.real().GetOrCreatePrometheusHistogramExt(name, buckets())
}

// WritePrometheus writes everything in the Prometheus text format, with the Go runtime's and the process's own metrics.
func (s *Set) WritePrometheus(w io.Writer) {
	s.real().WritePrometheus(w)
	metrics.WriteProcessMetrics(w)
}

// Each calls see for every measurement, by name. Histograms give their _sum and _count; buckets are left out.
func (s *Set) Each(see func(name string, labels []muster.Attr, kind muster.MetricKind, value float64)) {
	var text bytes.Buffer
	s.real().WritePrometheus(&text)
	lines := bufio.NewScanner(&text)
	for lines.Scan() {
		name, labels, value, ok := parseLine(lines.Text())
		if !ok || strings.HasSuffix(name, "_bucket") {
			continue
		}
		see(name, labels, kindOf(name), value)
	}
}

// kindOf reads the kind from the name's suffix, as Prometheus's conventions have it.
func kindOf(name string) muster.MetricKind {
	for _, suffix := range []string{"_total", "_sum", "_count"} {
		if strings.HasSuffix(name, suffix) {
			return muster.Counter
		}
	}
	return muster.Gauge
}

// parseLine reads `name{a="b"} value` as this package's own library writes it.
func parseLine(line string) (name string, labels []muster.Attr, value float64, ok bool) {
	cut := strings.LastIndexByte(line, ' ')
	if cut < 0 || strings.HasPrefix(line, "#") {
		return "", nil, 0, false
	}
	value, err := strconv.ParseFloat(line[cut+1:], 64)
	if err != nil {
		return "", nil, 0, false
	}
	name = line[:cut]
	if open := strings.IndexByte(name, '{'); open >= 0 {
		labels = parseLabels(strings.TrimSuffix(name[open+1:], "}"))
		name = name[:open]
	}
	return name, labels, value, true
}

func parseLabels(text string) []muster.Attr {
	var out []muster.Attr
	for text != "" {
		key, rest, found := strings.Cut(text, "=")
		if !found {
			break
		}
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			break
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			break
		}
		out = append(out, muster.Attr{Key: key, Value: value})
		text = strings.TrimPrefix(rest[len(quoted):], ",")
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
	return out
}
