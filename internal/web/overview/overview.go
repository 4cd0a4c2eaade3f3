// Package overview gives the first page: in one sentence whether all is well or what is wrong, then the open
// incidents, the fleet at a glance and what changed. While the account has a single node it shows that machine's charts
// instead, and what to do next. It gives the changelog too.
package overview

import (
	"context"
	"embed"
	"html/template"
	"net/http"
	"time"

	"muster"
	"muster/internal/inventory"
	"muster/internal/live"
	"muster/internal/web/shell"
)

//go:embed *.html assets
var files embed.FS

// Board is where rows come from; *inventory.Inventory is one.
type Board interface {
	List(account muster.AccountID, o inventory.ListOptions) (rows []inventory.Row, total int)
	Counts(account muster.AccountID) map[muster.NodeState]int
	Totals(account muster.AccountID) inventory.Totals
}

// Hub tells of changes; *live.Hub is one.
type Hub interface {
	Subscribe(account muster.AccountID, want live.Want) *live.Subscription
}

// Trouble is something wrong with the server itself: it stands in the first sentence.
type Trouble struct {
	Title  string // "The disk is nearly full"
	Detail string // what it means and what to do
	Href   string // where more is said
}

// Graphs are the charts of one machine, as board.js of the chart package reads them.
type Graphs struct {
	Points []byte // the first answer, JSON
	Data   string // path that answers with points
	Stream string // path that streams newer ones
}

// Options are the page's doors.
type Options struct {
	Shell *shell.Shell
	Board Board
	Hub   Hub
	// Events gives the changelog, newest first, before the cursor, and the next cursor ("" at the end).
	Events func(ctx context.Context, account muster.AccountID, before string, limit int) ([]muster.Event, string, error)
	// Graphs gives the charts of the only node. Nil, or an error, shows none.
	Graphs func(ctx context.Context, account muster.AccountID, node muster.NodeID) (Graphs, error)
	// Incidents gives the card of open incidents, and the incidents themselves, what nobody has first and the worst of those
	// first. It needs the style sheet "incidents/incidents.css" and the module "incidents/act.js". Nil: none ever.
	Incidents func(ctx context.Context, v shell.Viewer) (card template.HTML, open []*muster.Incident, err error)
	// Checks counts the checks by status. Nil: there are none.
	Checks func(account muster.AccountID) map[muster.CheckStatus]int
	// Troubles gives what is wrong with the server. Nil: nothing ever.
	Troubles func(ctx context.Context, account muster.AccountID) []Trouble
	// Started is when the process started.
	Started time.Time
	// Reach says who can reach this server: "listens on 127.0.0.1 only". Nothing is shown when empty.
	Reach string
}

// Page serves the overview and the changelog. It is safe for concurrent use.
type Page struct {
	opts Options
	view *shell.View[body]
	log  *shell.View[changes]
}

// New makes the pages.
func New(o Options) *Page {
	return &Page{
		opts: o,
		view: shell.NewView[body](o.Shell, "overview", files, "overview.html", "events.html"),
		log:  shell.NewView[changes](o.Shell, "overview", files, "changelog.html", "events.html"),
	}
}

// Routes adds the pages' addresses.
func (p *Page) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", p.page)
	mux.HandleFunc("GET /overview/now", p.now)
	mux.HandleFunc("GET /overview/live", p.live)
	mux.HandleFunc("GET /changelog", p.changelog)
}

func (p *Page) page(w http.ResponseWriter, r *http.Request) {
	b, err := p.body(r.Context())
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	page := shell.Page{Title: "Overview", Nav: "overview", Live: true, Styles: []string{"overview/overview.css"}, Modules: []string{"overview/overview.js"}}
	if p.opts.Incidents != nil {
		page.Styles = append([]string{"incidents/incidents.css"}, page.Styles...) // the page's own comes last and wins
		page.Modules = append(page.Modules, "incidents/act.js")
	}
	if b.First != nil && b.First.Points != "" {
		page.Styles = append(page.Styles, shell.UPlotCSS, "chart/chart.css")
		page.Scripts = []string{shell.UPlot}
		page.Modules = append(page.Modules, "overview/first.js")
	}
	p.view.Render(w, r, page, b)
}

// now answers with what changes: the script asks for it when the stream says so.
func (p *Page) now(w http.ResponseWriter, r *http.Request) {
	b, err := p.body(r.Context())
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	w.Header().Set("X-View", b.Kind())
	p.view.Part(w, r, "now", b)
}

// first is the view of a young installation.
type first struct {
	Node   inventory.Row
	Name   string
	System string
	Points template.JS // JSON for the charts; in a block that no browser runs
	Data   string
	Stream string
	Birth  int64 // when the node joined, Unix ms
	Ask    bool  // she has no password yet
	Reach  string
	CSRF   string
}

// firstOf gives the young view when there is no more than one node.
func (p *Page) firstOf(ctx context.Context, v shell.Viewer, rows []inventory.Row) *first {
	if len(rows) > 1 {
		return nil
	}
	f := &first{Ask: v.User != "" && !v.HasPassword, Reach: p.opts.Reach, CSRF: v.CSRF}
	if len(rows) == 0 {
		return f
	}
	f.Node, f.Name, f.System = rows[0], rows[0].Node.Name, describe(rows[0].Node.Facts)
	f.Birth = rows[0].Node.CreatedAt.UnixMilli()
	if p.opts.Graphs == nil {
		return f
	}
	if g, err := p.opts.Graphs(ctx, v.Account, rows[0].Node.ID); err == nil && len(g.Points) > 0 {
		f.Points, f.Data, f.Stream = template.JS(g.Points), g.Data, g.Stream
	}
	return f
}
