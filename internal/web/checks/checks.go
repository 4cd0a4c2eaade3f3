// Package checks gives the pages of checks: the table of all of them, the page of one with its timings, its uptime and
// its history, the form that makes and changes one, and the decision what a text in the search box stands for.
//
// With scripts, changes are calls of the REST API with the viewer's session, so that a form and the API can't
// differ; without them the same forms are taken by this package and lead to the same roster.
package checks

import (
	"context"
	"embed"
	"html/template"
	"net/http"
	"sync"
	"time"

	"muster"
	"muster/internal/live"
	"muster/internal/roster"
	"muster/internal/web/chart"
	"muster/internal/web/shell"
)

//go:embed *.html assets
var files embed.FS

// Checks is where checks come from; *roster.Roster is one. Errors wrap the kinds of the root package; those about a
// kind's own fields are *check.ConfigError.
type Checks interface {
	List(account muster.AccountID, o roster.ListOptions) []roster.Row
	Get(account muster.AccountID, id muster.CheckID) (roster.Row, error)
	Results(ctx context.Context, account muster.AccountID, id muster.CheckID, before string, limit int) (results []muster.Result, next string, err error)
	Create(ctx context.Context, edit roster.Edit, c *muster.Check) (roster.Row, error)
	Update(ctx context.Context, edit roster.Edit, change func(*muster.Check) error) (roster.Row, error)
	Delete(ctx context.Context, edit roster.Edit) error
	Test(ctx context.Context, c *muster.Check) (muster.Result, error)
}

// Hub tells of results and of changed checks; *live.Hub is one.
type Hub interface {
	Subscribe(account muster.AccountID, want live.Want) *live.Subscription
}

// Fleet is where nodes are looked up.
type Fleet interface {
	// Node gives one node, nil when the account has no such one.
	Node(account muster.AccountID, id muster.NodeID) *muster.Node
	// Nodes gives all of an account, in any order; the slice is not changed.
	Nodes(account muster.AccountID) []*muster.Node
}

// Options are the page's doors.
type Options struct {
	Shell  *shell.Shell
	Checks Checks
	Series chart.Source
	Hub    Hub
	Fleet  Fleet
	// PublicURL is where jobs reach this server, for the line a push check shows; the address that the viewer used when empty.
	PublicURL string
}

// Page serves the pages of checks. It is safe for concurrent use.
type Page struct {
	opts Options
	list *shell.View[listBody]
	one  *shell.View[checkBody]
	form *shell.View[formBody]

	mu  sync.Mutex
	ups map[muster.CheckID]uptime
}

// New makes the page.
func New(o Options) *Page {
	o.Shell.AddAssets("chart", chart.Files)
	return &Page{
		opts: o,
		list: shell.NewView[listBody](o.Shell, "checks", files, "list.html"),
		one:  shell.NewView[checkBody](o.Shell, "checks", files, "check.html", "result.html"),
		form: shell.NewView[formBody](o.Shell, "checks", files, "form.html", "result.html"),
		ups:  map[muster.CheckID]uptime{},
	}
}

// Routes adds the page's addresses.
func (p *Page) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /checks", p.listPage)
	mux.HandleFunc("GET /checks/rows", p.rowsPart)
	mux.HandleFunc("GET /checks/head", p.headPart)
	mux.HandleFunc("GET /checks/live", p.listLive)
	mux.HandleFunc("GET /checks/nodes", p.suggest)
	mux.HandleFunc("GET /checks/new", p.newPage)
	mux.HandleFunc("POST /checks/new", p.makeOne)
	mux.HandleFunc("POST /checks/shown", p.shownPart)
	mux.HandleFunc("GET /checks/{id}", p.checkPage)
	mux.HandleFunc("POST /checks/{id}", p.act)
	mux.HandleFunc("GET /checks/{id}/data", p.data)
	mux.HandleFunc("GET /checks/{id}/live", p.checkLive)
	mux.HandleFunc("GET /checks/{id}/edit", p.editPage)
	mux.HandleFunc("POST /checks/{id}/edit", p.change)
	mux.HandleFunc("GET /search", p.search)
}

// OfNode gives the table of the checks that belong to a node, for the node's own page. It needs the style sheet
// "checks/checks.css" and the module "checks/list.js".
func (p *Page) OfNode(ctx context.Context, v shell.Viewer, node muster.NodeID) (template.HTML, error) {
	a := asked{node: node}
	b := p.listBody(ctx, v, a)
	html, err := p.list.HTML("of-node", b)
	return template.HTML(html), err
}

// CountOfNode says how many checks belong to a node, and how many of those are well. Those that are switched off are
// not counted.
func (p *Page) CountOfNode(account muster.AccountID, node muster.NodeID) (ok, total int) {
	for _, r := range p.opts.Checks.List(account, roster.ListOptions{Node: node}) {
		if !r.Check.Enabled {
			continue
		}
		total++
		if r.Status == muster.StatusOK {
			ok++
		}
	}
	return ok, total
}

const (
	beatEvery  = 15 * time.Second
	streamLife = 5 * time.Minute // then the browser comes again, and its session is looked at again
)

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
