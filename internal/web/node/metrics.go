package node

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"
	"time"

	"muster"
	"muster/internal/series"
	"muster/internal/web/chart"
	"muster/internal/web/shell"
)

// metricsBody is what metrics.html is filled with.
type metricsBody struct {
	head
	Groups []metricGroup
	Total  int
	Names  int
	Range  string // carried to the charts
}

// metricGroup is the metrics whose names begin alike: "system.disk".
type metricGroup struct {
	Title string
	Names []metricName
}

// metricName is one metric with its series.
type metricName struct {
	Name, Unit, Kind string
	Rows             []metricRow
}

// metricRow is one series.
type metricRow struct {
	ID     string // stable, for the stream
	Attrs  []muster.Attr
	Source string // empty for the machine itself
	Value  string
	At     time.Time
	Old    bool
}

func (p *Page) metricsPage(w http.ResponseWriter, r *http.Request) {
	h, ok := p.find(w, r, "All metrics")
	if !ok {
		return
	}
	metrics, err := p.opts.Series.Metrics(r.Context(), h.Account, h.Node.ID)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	b := metricsBody{head: h, Total: len(metrics), Range: keepRange(r.URL.Query())}
	b.Groups, b.Names = groups(metrics, lastOf(metrics)-3*period(h.Node).Milliseconds())
	p.all.Render(w, r, shell.Page{
		Title: "Metrics of " + h.Name, Nav: "nodes", Live: true, Scripts: []string{shell.UPlot},
		Styles: []string{shell.UPlotCSS, "chart/chart.css", "node/node.css"}, Modules: []string{"node/metrics.js"},
	}, &b)
}

// groups orders metrics by the beginnings of their names. Values from before oldBefore (Unix ms) are drawn grey.
func groups(metrics []series.MetricNow, oldBefore int64) (out []metricGroup, names int) {
	at := map[string]int{}
	for i := range metrics {
		m := &metrics[i].Metric
		title := beginning(m.Name)
		g, known := at[title]
		if !known {
			g = len(out)
			at[title] = g
			out = append(out, metricGroup{Title: title})
		}
		list := &out[g].Names
		if n := len(*list); n == 0 || (*list)[n-1].Name != m.Name {
			*list = append(*list, metricName{Name: m.Name, Unit: unitWords(m), Kind: m.Kind.String()})
			names++
		}
		last := &(*list)[len(*list)-1]
		last.Rows = append(last.Rows, rowOf(&metrics[i], oldBefore))
	}
	slices.SortStableFunc(out, func(a, b metricGroup) int { return strings.Compare(a.Title, b.Title) })
	return out, names
}

func rowOf(m *series.MetricNow, oldBefore int64) metricRow {
	r := metricRow{ID: rowID(m), Attrs: m.Metric.Attrs, Value: valueText(m), Old: m.At < oldBefore}
	if m.At > 0 {
		r.At = time.UnixMilli(m.At)
	}
	if m.Source != muster.HostSource {
		r.Source = m.Source
	}
	return r
}

// rowID names a series in the page.
func rowID(m *series.MetricNow) string {
	h := fnv.New64a()
	h.Write([]byte(m.Source))
	h.Write([]byte{0})
	h.Write([]byte(m.Metric.Key()))
	return fmt.Sprintf("m%x", h.Sum64())
}

// valueText gives a newest value; that of a counter is its total.
func valueText(m *series.MetricNow) string {
	plain := m.Metric
	plain.Kind = muster.Gauge
	return chart.Text(m.Value, chart.Unit(&plain))
}

func unitWords(m *muster.Metric) string {
	u := chart.Unit(m)
	switch {
	case u == chart.Share && m.Kind == muster.Counter:
		return "s per s"
	case u == chart.Share:
		return "%"
	}
	return u
}

// beginning gives the part of a name that it shares with its kin: the first word, or two of the many that machines send.
func beginning(name string) string {
	if rest, ok := strings.CutPrefix(name, "system."); ok {
		word, _, _ := strings.Cut(rest, ".")
		return "system." + word
	}
	if rest, ok := strings.CutPrefix(name, "muster_"); ok {
		word, _, _ := strings.Cut(rest, "_")
		return "muster_" + word
	}
	if i := strings.IndexAny(name, "._"); i > 0 {
		return name[:i]
	}
	return name
}

// tellValues sends the newest values that changed since they were sent last.
func (f *follower) tellValues(ctx context.Context) error {
	metrics, err := f.page.opts.Series.Metrics(ctx, f.head.Account, f.head.Node.ID)
	if err != nil {
		return ctx.Err()
	}
	changed := map[string]string{}
	for i := range metrics {
		id, text := rowID(&metrics[i]), valueText(&metrics[i])
		if f.values[id] != text {
			f.values[id] = text
			changed[id] = text
		}
	}
	b, err := json.Marshal(map[string]any{"at": lastOf(metrics), "total": len(metrics), "values": changed})
	if err != nil {
		return nil
	}
	return f.send("values", b)
}

// lastOf gives the newest instant of all metrics, Unix ms.
func lastOf(metrics []series.MetricNow) (at int64) {
	for i := range metrics {
		at = max(at, metrics[i].At)
	}
	return at
}
