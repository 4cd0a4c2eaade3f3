// Package nodes gives the nodes page: the live table of an account's servers with its filter, facets and
// sorting, as a paged list for browsers without scripts and as a window over any number of rows for those
// with; the stream that moves only what is on somebody's screen; and changes to many nodes at once.
package nodes

import (
	"context"
	"embed"
	"net/http"
	"sync"
	"time"

	"muster"
	"muster/internal/inventory"
	"muster/internal/live"
	"muster/internal/web/shell"
)

//go:embed nodes.html assets
var files embed.FS

// Board is where rows come from; *inventory.Inventory is one.
type Board interface {
	List(account muster.AccountID, o inventory.ListOptions) (rows []inventory.Row, total int)
	Get(account muster.AccountID, id muster.NodeID) (inventory.Row, error)
	Counts(account muster.AccountID) map[muster.NodeState]int
}

// Hub tells of changes; *live.Hub is one.
type Hub interface {
	Subscribe(account muster.AccountID, want live.Want) *live.Subscription
}

// Options are the page's doors.
type Options struct {
	Shell *shell.Shell
	Board Board
	Hub   Hub
	// Parse reads the query language; the error wraps ErrInvalid and says where and why. "" is not handed to it.
	Parse func(query string) (inventory.Matcher, error)
	// Change lets fn change a node, saved in the viewer's name; the errors wrap the kinds. Nil shows no actions.
	Change func(ctx context.Context, v shell.Viewer, node muster.NodeID, fn func(*muster.Node) error) error
}

// Page serves the nodes page. It is safe for concurrent use.
type Page struct {
	opts Options
	view *shell.View[body]

	mu     sync.Mutex
	facets map[muster.AccountID]facetCache
}

// New makes the page.
func New(o Options) *Page {
	return &Page{opts: o, view: shell.NewView[body](o.Shell, "nodes", files, "nodes.html"), facets: map[muster.AccountID]facetCache{}}
}

// Routes adds the page's addresses.
func (p *Page) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /nodes", p.list)
	mux.HandleFunc("GET /nodes/rows", p.rows)
	mux.HandleFunc("GET /nodes/head", p.head)
	mux.HandleFunc("GET /nodes/live", p.live)
	mux.HandleFunc("POST /nodes/act", p.act)
}

const (
	chunkRows = 50  // rows in one piece of the window; the script learns it from the page
	pageRows  = 100 // rows of the first answer, and of a page without scripts
)

// list answers with the whole page, or with the part below the bar when a script asks.
func (p *Page) list(w http.ResponseWriter, r *http.Request) {
	a, err := p.asked(r)
	if err != nil && r.Header.Get("X-Muster-Part") != "" {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	b := p.body(r.Context(), a, err)
	if r.Header.Get("X-Muster-Part") != "" {
		p.view.Part(w, r, "list", b)
		return
	}
	page := shell.Page{
		Title: "Nodes", Nav: "nodes", Query: a.text, Live: b.Error == "",
		Styles: []string{"nodes/nodes.css"}, Modules: []string{"nodes/nodes.js"},
	}
	if err != nil {
		page.Status = shell.Status(err)
	}
	p.view.Render(w, r, page, b)
}

// rows answers with one piece of the window.
func (p *Page) rows(w http.ResponseWriter, r *http.Request) {
	a, err := p.asked(r)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	rows, total := p.find(shell.Identity(r.Context()).Account, a, a.from, chunkRows)
	w.Header().Set("X-Total", itoa(total))
	p.view.Part(w, r, "rows", p.present(rows))
}

// head answers with what stands around the table: counts and facets.
func (p *Page) head(w http.ResponseWriter, r *http.Request) {
	a, err := p.asked(r)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	b := &body{}
	account := shell.Identity(r.Context()).Account
	p.around(b, account, a)
	_, b.Total = p.find(account, a, 0, 1)
	p.view.Part(w, r, "head", b)
}

func (p *Page) find(account muster.AccountID, a asked, from, limit int) ([]inventory.Row, int) {
	return p.opts.Board.List(account, inventory.ListOptions{Query: a.query, Sort: a.sort, Desc: a.desc, Offset: from, Limit: limit})
}

func (p *Page) present(rows []inventory.Row) []row {
	now := p.opts.Shell.Now()
	out := make([]row, len(rows))
	for i := range rows {
		out[i] = present(&rows[i], now)
	}
	return out
}

// oldAfter is the least age at which a row is grey; three periods when they are longer.
const oldAfter = 30 * time.Second
