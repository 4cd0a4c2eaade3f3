// Package health gives the page of the program's own health: how much comes in, how fast it is
// acknowledged, what waits, what it occupies. It is drawn like a node, from the program's own measurements.
package health

import (
	"context"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"muster"
	"muster/api"
	"muster/internal/inventory"
	"muster/internal/live"
	"muster/internal/series"
	"muster/internal/web/chart"
	"muster/internal/web/shell"
)

//go:embed health.html assets
var files embed.FS

// Board is where nodes come from; *inventory.Inventory is one.
type Board interface {
	Get(account muster.AccountID, id muster.NodeID) (inventory.Row, error)
}

// Hub tells when frames arrived; *live.Hub is one.
type Hub interface {
	Subscribe(account muster.AccountID, want live.Want) *live.Subscription
}

// Options are the page's doors.
type Options struct {
	Shell  *shell.Shell
	Board  Board
	Series chart.Source
	Hub    Hub
	// Self gives the node this program runs on, whose source "muster" holds its measurements; false when the account
	// is not the one that runs the server, or the node is not known yet.
	Self func(ctx context.Context, account muster.AccountID) (muster.NodeID, bool)
	// Parts says how the server's parts are.
	Parts func(ctx context.Context) []api.Part
	// Stats tells how the time series are.
	Stats func() series.Stats
	// Quicken asks the node's agent to measure more often while somebody looks. Nil asks nobody.
	Quicken func(account muster.AccountID, node muster.NodeID, period, length time.Duration)
	// Started is when the process started; Data where it keeps its data.
	Started time.Time
	Data    string
}

// Page serves the health page. It is safe for concurrent use.
type Page struct {
	opts Options
	view *shell.View[body]
}

// New makes the page.
func New(o Options) *Page {
	o.Shell.AddAssets("chart", chart.Files)
	return &Page{opts: o, view: shell.NewView[body](o.Shell, "health", files, "health.html")}
}

// Routes adds the page's addresses.
func (p *Page) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /health", p.show)
	mux.HandleFunc("GET /health/data", p.data)
	mux.HandleFunc("GET /health/live", p.live)
}

// body is what health.html is filled with.
type body struct {
	Foreign bool // the viewer's account does not run this server
	Waiting bool // the program has not measured itself yet
	Say     string
	Bad     []api.Part
	Facts   []fact
	Panels  []panel
	Ranges  []choice
	Node    string
	Birth   int64
	Points  template.JS
}

type fact struct{ Title, Value, Long string }

type panel struct {
	ID, Title, Number, Note string
	Known                   bool
}

type choice struct {
	chart.Choice
	Current bool
}

const pointsUsual = 480

func (p *Page) show(w http.ResponseWriter, r *http.Request) {
	b := &body{}
	page := shell.Page{
		Title: "Health", Nav: "health", Live: true, Scripts: []string{shell.UPlot},
		Styles: []string{shell.UPlotCSS, "chart/chart.css", "health/health.css"}, Modules: []string{"health/health.js"},
	}
	f, err := p.feed(r)
	switch {
	case err == errForeign:
		b.Foreign = true
		p.view.Render(w, r, page, b)
		return
	case err != nil:
		p.opts.Shell.Fail(w, r, err)
		return
	}
	p.say(r.Context(), b)
	b.Node, b.Waiting = f.Node.String(), len(f.Panels) == 0
	if row, err := p.opts.Board.Get(f.Account, f.Node); err == nil {
		b.Birth = row.Node.CreatedAt.UnixMilli()
	}
	data, err := f.All(r.Context(), p.opts.Shell.Now())
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	b.Points = template.JS(data.AppendJSON(nil))
	for _, c := range chart.Ranges() {
		b.Ranges = append(b.Ranges, choice{c, c.Name == f.Span.Name})
	}
	for i := range data.Panels {
		b.Panels = append(b.Panels, present(&data.Panels[i]))
	}
	p.view.Render(w, r, page, b)
}

func present(d *chart.Drawn) panel {
	out := panel{ID: d.ID, Title: d.Title}
	if v, note, _, ok := d.Current(); ok {
		number, unit := chart.Show(v, d.Unit)
		if unit == "%" {
			number, unit = number+" %", ""
		}
		out.Number, out.Note, out.Known = number, strings.TrimSpace(unit+" "+note), true
	}
	return out
}

// say writes the sentence at the top and the facts below it.
func (p *Page) say(ctx context.Context, b *body) {
	b.Say = "All is well."
	if p.opts.Parts != nil {
		for _, part := range p.opts.Parts(ctx) {
			if !part.Ready {
				b.Bad = append(b.Bad, part)
			}
		}
	}
	s := p.opts.Stats()
	switch {
	case len(b.Bad) == 1:
		b.Say = "One part does not answer: " + b.Bad[0].Name + "."
	case len(b.Bad) > 1:
		b.Say = fmt.Sprintf("%d parts do not answer.", len(b.Bad))
	case s.SealLag > 18*time.Hour:
		b.Say = "Sealing lags by " + shell.Span(s.SealLag) + ": after three days data would be lost. The log says why."
	case s.Recovering > 0:
		b.Say = fmt.Sprintf("Well, and reading %d shards back after the start; charts may be short until then.", s.Recovering)
	}
	add := func(title, value, long string) { b.Facts = append(b.Facts, fact{title, value, long}) }
	add("Up", shell.Span(p.opts.Shell.Now().Sub(p.opts.Started)), "")
	add("Nodes in memory", fmt.Sprint(s.Nodes), fmt.Sprintf("%d open blocks in %s", s.OpenBlocks, shell.Bytes(float64(s.HeadBytes))))
	add("Stored since the start", chart.Text(float64(s.Samples), "samples"), fmt.Sprintf("%d frames in %d segments", s.Frames, s.Segments))
	if s.BytesPerSample > 0 {
		add("Sealed at", fmt.Sprintf("%.2f B per sample", s.BytesPerSample), "")
	}
	add("Store", shell.Bytes(float64(s.StoreBytes)), p.opts.Data)
	if s.Dirty > 0 {
		add("Late data", fmt.Sprintf("%d hours to rebuild", s.Dirty), "")
	}
	if s.Corrupt > 0 {
		add("Unreadable", fmt.Sprintf("%d pieces", s.Corrupt), "Segments and blocks whose checksum was wrong since the start; the log names them.")
	}
}
