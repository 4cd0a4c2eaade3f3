package node

import (
	"context"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"muster"
	"muster/internal/series"
	"muster/internal/web/chart"
	"muster/internal/web/shell"
)

// graphsBody is what graphs.html is filled with.
type graphsBody struct {
	head
	Ranges []choice
	Zoom   bool // the range has no name
	Panels []panel
	More   int // panels of other metrics that are not drawn here
	Birth  int64
	Data   template.JS
}

type choice struct {
	chart.Choice
	Href    string
	Current bool
}

// panel is a chart as the server writes it: its head, so that the page reads without scripts.
type panel struct {
	ID, Title string
	Number    string
	Note      string
	Mono      bool
	Known     bool // there is a number
}

const (
	pointsUsual = 480
	pointsMost  = 2000
	// ownPanels is how many panels of metrics that nobody wrote a panel for are drawn on the first tab.
	ownPanels = 18
)

func (p *Page) graphsPage(w http.ResponseWriter, r *http.Request) {
	h, ok := p.find(w, r, "Graphs")
	if !ok {
		return
	}
	now := p.opts.Shell.Now()
	span, err := chart.ParseRange(r.URL.Query(), now, h.Node.CreatedAt)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	panels, more, err := p.panels(r.Context(), &h)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	data, err := p.read(r.Context(), &h, panels, span, pointsUsual)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	b := graphsBody{head: h, Zoom: span.Name == "", More: more, Birth: h.Node.CreatedAt.UnixMilli(), Data: template.JS(data.AppendJSON(nil))}
	for _, c := range chart.Ranges() {
		b.Ranges = append(b.Ranges, choice{Choice: c, Href: "/nodes/" + h.ID + "?range=" + c.Name, Current: c.Name == span.Name})
	}
	for i := range data.Panels {
		b.Panels = append(b.Panels, present(&data.Panels[i]))
	}
	p.graphs.Render(w, r, shell.Page{
		Title: h.Name, Nav: "nodes", Live: true, Scripts: []string{shell.UPlot}, Styles: []string{shell.UPlotCSS, "chart/chart.css", "node/node.css"},
		Modules: []string{"node/graphs.js"},
	}, &b)
}

func present(d *chart.Drawn) panel {
	out := panel{ID: d.ID, Title: d.Title, Mono: d.Mono}
	v, note, _, ok := d.Current()
	if !ok {
		return out
	}
	number, unit := chart.Show(v, d.Unit)
	out.Number, out.Known = number, true
	if unit == "%" {
		out.Number += " %"
		unit = ""
	}
	out.Note = strings.TrimSpace(unit + " " + note)
	return out
}

// panels gives the charts of a node: those of the machine, then one for each metric from elsewhere.
func (p *Page) panels(ctx context.Context, h *head) (panels []chart.Panel, more int, err error) {
	metrics, err := p.opts.Series.Metrics(ctx, h.Account, h.Node.ID)
	if err != nil {
		return nil, 0, err
	}
	panels = chart.Host(metrics)
	own := chart.Auto(metrics, func(m *muster.Metric) bool { return !ofHost(m.Name) })
	if len(own) > ownPanels {
		more = len(own) - ownPanels
		own = own[:ownPanels]
	}
	return append(panels, own...), more, nil
}

// ofHost says whether a metric belongs to those that every machine sends, of which the panels show what matters.
func ofHost(name string) bool {
	return strings.HasPrefix(name, "system.") || strings.HasPrefix(name, "process.") || strings.HasPrefix(name, "muster_") || strings.HasPrefix(name, "muster.")
}

func (p *Page) read(ctx context.Context, h *head, panels []chart.Panel, span chart.Range, points int) (*chart.Data, error) {
	want := chart.Want{Account: h.Account, Node: h.Node.ID, From: span.From, To: upTo(span), Points: points, MinStep: span.Finest(points)}
	drawn, err := chart.Read(ctx, p.opts.Series, panels, want)
	if err == nil && span.Live {
		err = chart.Refresh(ctx, p.opts.Series, drawn, want, period(h.Node))
	}
	if err != nil {
		return nil, err
	}
	return &chart.Data{Now: p.opts.Shell.Now(), From: span.From, To: span.To, Period: period(h.Node), Panels: drawn}, nil
}

// upTo gives the end of a live range a moment more, for a node whose clock is a little ahead.
func upTo(span chart.Range) time.Time {
	if span.Live {
		return span.To.Add(2 * time.Second)
	}
	return span.To
}

// data answers with the points of all charts of the page in the range ("range", or "from" and "to"), or of those named by "metric".
func (p *Page) data(w http.ResponseWriter, r *http.Request) {
	h, ok := p.find(w, r, "")
	if !ok {
		return
	}
	q := r.URL.Query()
	span, err := chart.ParseRange(q, p.opts.Shell.Now(), h.Node.CreatedAt)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	panels, err := p.asked(r.Context(), &h, q["metric"])
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	data, err := p.read(r.Context(), &h, panels, span, points(q.Get("points")))
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	chart.WriteJSON(w, r, data.AppendJSON(nil))
}

// asked gives the panels of metrics by name, or those of the first tab when none is named.
func (p *Page) asked(ctx context.Context, h *head, names []string) ([]chart.Panel, error) {
	if len(names) == 0 {
		panels, _, err := p.panels(ctx, h)
		return panels, err
	}
	const most = 40
	metrics, err := p.opts.Series.Metrics(ctx, h.Account, h.Node.ID)
	if err != nil {
		return nil, err
	}
	want := map[string]bool{}
	for _, name := range names[:min(len(names), most)] {
		want[name] = true
	}
	return chart.Auto(metrics, func(m *muster.Metric) bool { return want[m.Name] }), nil
}

func points(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return pointsUsual
	}
	return min(n, pointsMost)
}

// lastOf gives the newest instant of all metrics, for tables.
func lastOf(metrics []series.MetricNow) (at int64) {
	for i := range metrics {
		at = max(at, metrics[i].At)
	}
	return at
}
