package telemetry_test

import (
	"bytes"
	"strings"
	"testing"

	"muster"
	"muster/internal/telemetry"
)

func TestWhatIsCountedIsSeen(t *testing.T) {
	set := telemetry.New()
	set.Counter(`muster_ingest_frames_total{source="ho\"st",a="1"}`).Add(3)
	set.Gauge("muster_heads_bytes", func() float64 { return 42.5 })
	h := set.Histogram("muster_ack_seconds")
	h.Update(0.003)
	h.Update(2)

	got := map[string]float64{}
	var labels []muster.Attr
	set.Each(func(name string, l []muster.Attr, kind muster.MetricKind, v float64) {
		got[name+" "+kind.String()] = v
		if name == "muster_ingest_frames_total" {
			labels = l
		}
	})
	want := map[string]float64{
		"muster_ingest_frames_total counter": 3, "muster_heads_bytes gauge": 42.5,
		"muster_ack_seconds_sum counter": 2.003, "muster_ack_seconds_count counter": 2,
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s is %v, want %v", k, got[k], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	if len(labels) != 2 || labels[0] != (muster.Attr{Key: "a", Value: "1"}) || labels[1] != (muster.Attr{Key: "source", Value: `ho"st`}) {
		t.Errorf("labels %v", labels)
	}

	var text bytes.Buffer
	set.WritePrometheus(&text)
	for _, line := range []string{`muster_ack_seconds_bucket{le="0.005"} 1`, `muster_ack_seconds_bucket{le="+Inf"} 2`, "process_resident_memory_bytes"} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("the text lacks %q", line)
		}
	}
}

func TestNilSetCounts(t *testing.T) {
	var none *telemetry.Set
	none.Counter("a_total").Inc()
	none.Histogram("h").Update(1)
	none.Gauge("g", func() float64 { return 1 })
	none.Each(func(string, []muster.Attr, muster.MetricKind, float64) { t.Error("something seen") })
}
