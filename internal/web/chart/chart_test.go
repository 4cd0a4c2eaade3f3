package chart_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"muster"
	"muster/internal/series"
	"muster/internal/web/chart"
)

// TestModules runs the tests of the browser modules.
func TestModules(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("MUSTER_REQUIRE") == "all" {
			t.Fatal("no node: apt-get install nodejs")
		}
		t.Skip("no node: apt-get install nodejs")
	}
	out, err := exec.Command(node, "--experimental-default-type=module", "--test", "testdata/modules.test.mjs").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestTextAsTheBrowserWritesIt(t *testing.T) {
	b, err := os.ReadFile("testdata/units.json")
	if err != nil {
		t.Fatal(err)
	}
	var table [][3]any
	if err := json.Unmarshal(b, &table); err != nil {
		t.Fatal(err)
	}
	for _, row := range table {
		if got := chart.Text(row[0].(float64), row[1].(string)); got != row[2] {
			t.Errorf("%v %v: %q, want %q", row[0], row[1], got, row[2])
		}
	}
	if got := chart.Text(math.NaN(), chart.Bytes); got != "—" {
		t.Errorf("NaN is shown as %q", got)
	}
}

func TestUnit(t *testing.T) {
	for _, c := range []struct {
		name, unit string
		kind       muster.MetricKind
		want       string
	}{
		{"system.cpu.utilization", "1", muster.Gauge, chart.Share},
		{"system.cpu.time", "s", muster.Counter, chart.Share},
		{"system.disk.io", "By", muster.Counter, chart.BytesPerSecond},
		{"system.memory.usage", "By", muster.Gauge, chart.Bytes},
		{"app.requests", "{request}", muster.Counter, "requests/s"},
		{"system.process.count", "{process}", muster.Gauge, "processes"},
		{"queue", "1", muster.Gauge, ""},
		{"anything", "", muster.Counter, "/s"},
		{"muster_heads_bytes", "1", muster.Gauge, chart.Bytes},
		{"muster_ack_seconds_sum", "1", muster.Counter, chart.Share},
		{"room.temperature", "Cel", muster.Gauge, "Cel"},
		{"furlongs", "[fur_us]", muster.Gauge, "[fur_us]"},
	} {
		if got := chart.Unit(&muster.Metric{Name: c.name, Unit: c.unit, Kind: c.kind}); got != c.want {
			t.Errorf("%s in %q: %q, want %q", c.name, c.unit, got, c.want)
		}
	}
}

func TestRange(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	old := now.Add(-1000 * time.Hour)
	for _, c := range []struct {
		query string
		born  time.Time
		width time.Duration
		live  bool
		err   bool
	}{
		{"", old, 15 * time.Minute, true, false},
		{"", now.Add(-10 * time.Second), 20 * time.Second, true, false},
		{"", now.Add(-4 * time.Minute), 4 * time.Minute, true, false},
		{"range=1h", now.Add(-4 * time.Minute), time.Hour, true, false},
		{"range=30d", old, 30 * 24 * time.Hour, true, false},
		{fmt.Sprintf("from=%d&to=%d", now.Add(-time.Hour).UnixMilli(), now.UnixMilli()), old, time.Hour, false, false},
		{"range=2h", old, 0, false, true},
		{"from=5", old, 0, false, true},
		{"from=a&to=b", old, 0, false, true},
		{fmt.Sprintf("from=%d&to=%d", now.UnixMilli(), now.UnixMilli()+100), old, 0, false, true},
		{fmt.Sprintf("from=%d&to=%d", now.UnixMilli(), int64(math.MaxInt64)), old, 0, false, true},
	} {
		q, _ := url.ParseQuery(c.query)
		r, err := chart.ParseRange(q, now, c.born)
		if (err != nil) != c.err || err != nil && !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%q: error %v", c.query, err)
			continue
		}
		if err == nil && (r.To.Sub(r.From) != c.width || r.Live != c.live) {
			t.Errorf("%q: %s, live %v; want %s, %v", c.query, r.To.Sub(r.From), r.Live, c.width, c.live)
		}
	}
}

// fixed answers every query for a metric with the lines it holds.
type fixed struct {
	metrics []series.MetricNow
	lines   map[string][]series.Line
	mu      sync.Mutex
	asked   []series.Query
	fail    error
}

func (f *fixed) Query(_ context.Context, q series.Query) (*series.Answer, error) {
	f.mu.Lock()
	f.asked = append(f.asked, q)
	f.mu.Unlock()
	if f.fail != nil {
		return nil, f.fail
	}
	return &series.Answer{Metric: q.Metric, Kind: muster.Gauge, From: q.From, To: q.To, Step: 10 * time.Second, Lines: f.lines[q.Metric]}, nil
}

func (f *fixed) Metrics(context.Context, muster.AccountID, muster.NodeID) ([]series.MetricNow, error) {
	return f.metrics, f.fail
}

func (f *fixed) put(name string, attrs []muster.Attr, values ...float64) {
	if f.lines == nil {
		f.lines = map[string][]series.Line{}
	}
	l := series.Line{Attrs: attrs}
	for i, v := range values {
		if !math.IsNaN(v) {
			l.Points = append(l.Points, series.Point{T: int64(i) * 10000, Min: v - .01, Avg: v, Max: v + .01})
		}
	}
	f.lines[name] = append(f.lines[name], l)
	f.metrics = append(f.metrics, series.MetricNow{Metric: muster.Metric{Name: name, Kind: muster.Gauge, Attrs: attrs}, Value: values[len(values)-1]})
}

func attrs(kv ...string) (out []muster.Attr) {
	for i := 0; i < len(kv); i += 2 {
		out = append(out, muster.Attr{Key: kv[i], Value: kv[i+1]})
	}
	return out
}

func read(t *testing.T, f *fixed, panels []chart.Panel) map[string]chart.Drawn {
	t.Helper()
	drawn, err := chart.Read(context.Background(), f, panels, chart.Want{Points: 100})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]chart.Drawn{}
	for _, d := range drawn {
		out[d.ID] = d
	}
	return out
}

func TestHostPanels(t *testing.T) {
	f := &fixed{}
	f.put("system.cpu.utilization", attrs("cpu.mode", "user"), .2, .3)
	f.put("system.cpu.utilization", attrs("cpu.mode", "nice"), .1, .1)
	f.put("system.cpu.utilization", attrs("cpu.mode", "idle"), .7, .6)
	f.put("system.network.io", attrs("network.interface.name", "eth0", "network.io.direction", "receive"), 100, 200)
	f.put("system.network.io", attrs("network.interface.name", "docker0", "network.io.direction", "receive"), 9000, 9000)
	f.put("system.filesystem.utilization", attrs("system.filesystem.mountpoint", "/"), .37)
	f.put("system.filesystem.utilization", attrs("system.filesystem.mountpoint", "/data"), .91)
	panels := read(t, f, chart.Host(f.metrics))
	if len(panels) != 3 {
		t.Errorf("%d panels of three metrics", len(panels))
	}
	cpu := panels["cpu"]
	if v, _, _, ok := cpu.Current(); len(cpu.Lines) != 1 || !ok || math.Abs(v-.4) > 1e-9 {
		t.Errorf("cpu: %d lines, now %v: user and nice are one line, idle is none", len(cpu.Lines), v)
	}
	if cpu.Lines[0].Low != nil {
		t.Error("a sum of series has a band that says nothing")
	}
	network := panels["network"]
	if v, _, _, _ := network.Current(); v != 1600 {
		t.Errorf("network: %v bit/s, want 8 times 200 bytes without the bridge", v)
	}
	disks := panels["filesystems"]
	if v, note, _, _ := disks.Current(); v != .91 || note != "/data" {
		t.Errorf("the fullest filesystem is %v %q", v, note)
	}
}

func TestBridgesCountWhereThereIsNothingElse(t *testing.T) {
	f := &fixed{}
	f.put("system.network.io", attrs("network.interface.name", "br-lan", "network.io.direction", "receive"), 100)
	network := read(t, f, chart.Host(f.metrics))["network"]
	if v, _, _, ok := network.Current(); !ok || v != 800 {
		t.Errorf("the only interface is left out: %v", v)
	}
}

func TestAutoDrawsWhatNobodyKnows(t *testing.T) {
	f := &fixed{}
	for i := range 14 {
		f.put("queue.length", attrs("host", "same", "queue", fmt.Sprint("q", i)), float64(i))
	}
	panels := chart.Auto(f.metrics, nil)
	d := read(t, f, panels)["m:queue.length"]
	if len(d.Lines) != 10 || d.Hidden != 4 || d.Lines[0].Name != "q10" {
		t.Errorf("%d lines, %d hidden, the first is %q", len(d.Lines), d.Hidden, d.Lines[0].Name)
	}
	if v, note, _, _ := d.Current(); v != 13 || note != "q13" {
		t.Errorf("the greatest is %v %q", v, note)
	}
}

func TestCustomDivides(t *testing.T) {
	f := &fixed{}
	f.put("ack_seconds_sum", nil, .5, 0, .9)
	f.put("ack_seconds_count", nil, 10, 0, 3)
	p, ok := chart.Custom(chart.Panel{ID: "ack", Now: chart.NowFirst}, f.metrics, chart.Of{Metric: "ack_seconds_sum", Over: "ack_seconds_count", Name: "mean"}, chart.Of{Metric: "absent", Name: "x"})
	if !ok {
		t.Fatal("no panel")
	}
	l := read(t, f, []chart.Panel{p})["ack"].Lines[0]
	if fmt.Sprint(l.T, l.V) != fmt.Sprint([]int64{0, 20000}, []float64{.05, .3}) && (len(l.V) != 2 || math.Abs(l.V[1]-.3) > 1e-9) {
		t.Errorf("%v %v", l.T, l.V)
	}
	if _, ok := chart.Custom(chart.Panel{ID: "none"}, f.metrics, chart.Of{Metric: "absent"}); ok {
		t.Error("a panel of nothing")
	}
}

func TestReadHandsErrorsOn(t *testing.T) {
	f := &fixed{}
	f.put("x", nil, 1)
	panels := chart.Auto(f.metrics, nil)
	f.fail = fmt.Errorf("series: %w", muster.ErrUnavailable)
	if _, err := chart.Read(context.Background(), f, panels, chart.Want{}); !errors.Is(err, muster.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

func TestJSON(t *testing.T) {
	f := &fixed{}
	f.put("x</script>", attrs("k", "<b>"), 1, math.NaN(), 3)
	f.put("x</script>", attrs("k", "c"), math.Inf(1), 2)
	drawn, err := chart.Read(context.Background(), f, chart.Auto(f.metrics, nil), chart.Want{})
	if err != nil {
		t.Fatal(err)
	}
	d := chart.Data{Now: time.UnixMilli(1), From: time.UnixMilli(2), To: time.UnixMilli(3), Period: time.Second, Panels: drawn}
	b := d.AppendJSON(nil)
	if strings.ContainsAny(string(b), "<>") {
		t.Errorf("markup in %s", b)
	}
	var got struct {
		Now, Period int64
		Panels      []struct {
			Step  int64
			T0    int64
			T     []float64
			Lines []struct{ V []any }
		}
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	p := got.Panels[0]
	if got.Period != 1000 || p.Step != 10000 || fmt.Sprint(p.T) != "[0 1 2]" || fmt.Sprint(p.Lines[0].V) != "[1 <nil> 3]" || fmt.Sprint(p.Lines[1].V) != "[<nil> 2 <nil>]" {
		t.Errorf("%s", b)
	}
}

func TestFeedTellsWhatIsNew(t *testing.T) {
	f := &fixed{}
	f.put("x", nil, 1, 2, 3)
	now := time.UnixMilli(30000)
	feed := chart.Feed{Source: f, Period: 10 * time.Second, Span: chart.Range{From: now.Add(-time.Hour), To: now, Live: true}, Panels: chart.Auto(f.metrics, nil), Points: 480}
	data, some, err := feed.Tell(context.Background(), now)
	if err != nil || !some || len(data.Panels[0].Lines[0].T) != 3 {
		t.Fatalf("%v %v %+v", err, some, data)
	}
	f.lines = nil
	if _, some, err = feed.Tell(context.Background(), now); err != nil || some {
		t.Errorf("nothing came, and it tells: %v %v", some, err)
	}
	if r := feed.Rest(); r < 500*time.Millisecond || r > 2*time.Second {
		t.Errorf("an hour moves every %s", r)
	}
}

// TestNewPointsLieOnTheGridOfAll keeps a line whole whose node measured each second before and each ten now.
func TestNewPointsLieOnTheGridOfAll(t *testing.T) {
	now := time.Now()
	for width, want := range map[time.Duration]time.Duration{2 * time.Minute: time.Second, 15 * time.Minute: 2 * time.Second, 6 * time.Hour: time.Minute, 30 * 24 * time.Hour: 0} {
		f := &fixed{}
		f.put("x", nil, 1, 2, 3)
		feed := chart.Feed{Source: f, Period: 10 * time.Second, Span: chart.Range{From: now.Add(-width), To: now, Live: true}, Panels: chart.Auto(f.metrics, nil), Points: 480}
		if _, err := feed.All(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		if _, _, err := feed.Tell(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		for _, q := range f.asked {
			if q.Step != want {
				t.Errorf("%s: a step of %s, not %s", width, q.Step, want)
			}
		}
	}
}
