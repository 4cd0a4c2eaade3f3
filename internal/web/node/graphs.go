package node

import (
	"context"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"muster"
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
	data, err := p.feed(&h, panels, span, pointsUsual).All(r.Context(), now)
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

// feed gives what reads a page's charts.
func (p *Page) feed(h *head, panels []chart.Panel, span chart.Range, points int) *chart.Feed {
	return &chart.Feed{
		Source: p.opts.Series, Account: h.Account, Node: h.Node.ID, Period: period(h.Node), Span: span, Panels: panels, Points: points,
	}
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
	panels, err := p.asked(r.Context(), &h, q)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	data, err := p.feed(&h, panels, span, points(q.Get("points"))).All(r.Context(), p.opts.Shell.Now())
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	chart.WriteJSON(w, r, data.AppendJSON(nil))
}

// asked gives the panels that "metric" (names of metrics) or "panels" (ids with commas between) ask for, or those of the
// first tab when neither does.
func (p *Page) asked(ctx context.Context, h *head, q url.Values) ([]chart.Panel, error) {
	names := q["metric"]
	if len(names) == 0 {
		panels, _, err := p.panels(ctx, h)
		if ids := q.Get("panels"); ids != "" {
			panels = chart.Only(panels, strings.Split(ids, ","))
		}
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

// few are the panels of a node that other pages show.
const few = "cpu,memory,network,disk-io,filesystems,load"

// Graphs gives the charts of a node for a page that shows few: the first answer as JSON, the path that answers with
// more and the path that streams.
func (p *Page) Graphs(ctx context.Context, account muster.AccountID, id muster.NodeID) (points []byte, data, stream string, err error) {
	row, err := p.opts.Board.Get(account, id)
	if err != nil {
		return nil, "", "", err
	}
	h := head{Account: account, Node: row.Node}
	panels, err := p.asked(ctx, &h, url.Values{"panels": {few}})
	if err != nil {
		return nil, "", "", err
	}
	now := p.opts.Shell.Now()
	span, err := chart.ParseRange(nil, now, row.Node.CreatedAt)
	if err != nil {
		return nil, "", "", err
	}
	first, err := p.feed(&h, panels, span, pointsUsual).All(ctx, now)
	if err != nil {
		return nil, "", "", err
	}
	base := "/nodes/" + id.String()
	return first.AppendJSON(nil), base + "/data?panels=" + few, base + "/live?panels=" + few, nil
}

func points(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return pointsUsual
	}
	return min(n, pointsMost)
}
