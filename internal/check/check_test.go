package check_test

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/check"
)

func TestSampleKeepsItsSchemaWhileTheSameIsPut(t *testing.T) {
	a, b := check.Gauge("a", "1"), check.Counter("b", "By", "z", "2", "k", "1")
	if b.Attrs[0].Key != "k" || b.Kind != muster.Counter {
		t.Fatalf("b is %+v", b)
	}
	var s check.Sample
	round := func(put ...*muster.Metric) (*muster.Schema, []float64) {
		s.Reset(time.Unix(1, 0))
		for i, m := range put {
			s.Put(m, float64(i)+0.5)
		}
		return s.Frame()
	}
	first, values := round(a, b)
	if len(first.Metrics) != 2 || values[1] != 1.5 {
		t.Fatalf("got %+v %v", first, values)
	}
	if again, _ := round(a, b); again != first {
		t.Error("the schema was made anew")
	}
	if other, v := round(b); other == first || len(v) != 1 {
		t.Error("the schema is the old one")
	}
	s.Reset(time.Unix(2, 0)) // a sample nobody asks for
	s.Put(a, 1)
	if back, v := round(b, a); len(v) != 2 || back.Metrics[0].Name != "b" {
		t.Errorf("got %+v", back)
	}
	if back, _ := round(a, b); back.ID != first.ID {
		t.Error("equal lists have other ids")
	}
	if none, v := round(); none != nil || v != nil {
		t.Errorf("of nothing: %v %v", none, v)
	}
	if back, _ := round(a, b); back == nil || back.ID != first.ID {
		t.Error("it does not come back after nothing")
	}
}

func TestSampleLeavesOutWhatCannotBeSent(t *testing.T) {
	var s check.Sample
	s.Reset(time.Unix(1, 0))
	s.Put(check.Gauge("bad\nname", "1"), 1)
	s.Put(check.Gauge("a", "1"), math.Inf(1))
	s.Put(check.Gauge("a", "1"), 2)
	s.Put(check.Gauge("b", "1"), 3)
	schema, values := s.Frame()
	if len(schema.Metrics) != 2 || !math.IsNaN(values[0]) || values[1] != 3 || s.Dropped() != 2 {
		t.Errorf("got %+v %v, %d dropped", schema, values, s.Dropped())
	}
}

func TestSampleHasACap(t *testing.T) {
	var s check.Sample
	s.Reset(time.Unix(1, 0))
	for i := range 100_000 {
		s.Put(check.Gauge("m", "1", "n", strconv.Itoa(i)), 1)
	}
	schema, values := s.Frame()
	if len(schema.Metrics) != muster.MaxMetrics || len(values) != muster.MaxMetrics || s.Dropped() != 100_000-muster.MaxMetrics {
		t.Errorf("%d metrics, %d values, %d dropped", len(schema.Metrics), len(values), s.Dropped())
	}
	s.Reset(time.Unix(2, 0))
	for i := range muster.MaxMetrics {
		m := check.Gauge("m", "1", "n", strconv.Itoa(i))
		for k := range 10 {
			m.Attrs = append(m.Attrs, muster.Attr{Key: "o" + strconv.Itoa(k), Value: strings.Repeat("x", 400)})
		}
		s.Put(m, 1)
	}
	schema, _ = s.Frame()
	if size := len(schema.AppendCanonical(nil)); size > 3<<20 || s.Dropped() == 0 {
		t.Errorf("a description of %d bytes does not fit a message", size)
	}
}

func TestSteadySampleCostsNoAllocation(t *testing.T) {
	metrics := make([]*muster.Metric, 100)
	for i := range metrics {
		metrics[i] = check.Gauge("m", "1", "n", strconv.Itoa(i))
	}
	var s check.Sample
	once := func() {
		s.Reset(time.Unix(1, 0))
		for _, m := range metrics {
			s.Put(m, 1)
		}
		s.Frame()
	}
	once()
	if n := testing.AllocsPerRun(100, once); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
