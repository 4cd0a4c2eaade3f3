// Package node gives the page of one node: its facts, its charts with one range of time for all and new
// points as they arrive, every metric it sends, its part of the changelog, and what people note about it.
package node

import (
	"context"
	"embed"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"muster"
	"muster/internal/inventory"
	"muster/internal/live"
	"muster/internal/web/chart"
	"muster/internal/web/shell"
)

//go:embed *.html assets
var files embed.FS

// Board is where nodes come from; *inventory.Inventory is one.
type Board interface {
	Get(account muster.AccountID, id muster.NodeID) (inventory.Row, error)
}

// Hub tells when a node's frames arrived; *live.Hub is one.
type Hub interface {
	Subscribe(account muster.AccountID, want live.Want) *live.Subscription
}

// Events gives the changelog, newest first; *store.Store is one.
type Events interface {
	Events(ctx context.Context, account muster.AccountID, before string, limit int) (events []muster.Event, next string, err error)
}

// Options are the page's doors.
type Options struct {
	Shell  *shell.Shell
	Board  Board
	Series chart.Source
	Hub    Hub
	Events Events
	// Quicken asks a node's agent to measure every period for so long; called while somebody looks. Nil asks nobody.
	Quicken func(account muster.AccountID, node muster.NodeID, period, length time.Duration)
	// Change lets fn change a node, saved in the viewer's name; Remove forgets one. The errors wrap the kinds. Nil shows no forms.
	Change func(ctx context.Context, v shell.Viewer, node muster.NodeID, fn func(*muster.Node) error) error
	Remove func(ctx context.Context, v shell.Viewer, node muster.NodeID) error
}

// Page serves the pages of single nodes. It is safe for concurrent use.
type Page struct {
	opts   Options
	graphs *shell.View[graphsBody]
	all    *shell.View[metricsBody]
	log    *shell.View[logBody]
	notes  *shell.View[notesBody]
}

// New makes the page.
func New(o Options) *Page {
	o.Shell.AddAssets("chart", chart.Files)
	return &Page{
		opts:   o,
		graphs: shell.NewView[graphsBody](o.Shell, "node", files, "node.html", "graphs.html"),
		all:    shell.NewView[metricsBody](o.Shell, "node", files, "node.html", "metrics.html"),
		log:    shell.NewView[logBody](o.Shell, "node", files, "node.html", "changelog.html"),
		notes:  shell.NewView[notesBody](o.Shell, "node", files, "node.html", "notes.html"),
	}
}

// Routes adds the page's addresses.
func (p *Page) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /nodes/{id}", p.graphsPage)
	mux.HandleFunc("GET /nodes/{id}/data", p.data)
	mux.HandleFunc("GET /nodes/{id}/live", p.live)
	mux.HandleFunc("GET /nodes/{id}/metrics", p.metricsPage)
	mux.HandleFunc("GET /nodes/{id}/changelog", p.changelogPage)
	mux.HandleFunc("GET /nodes/{id}/notes", p.notesPage)
	mux.HandleFunc("POST /nodes/{id}/notes", p.save)
	mux.HandleFunc("POST /nodes/{id}/star", p.star)
	mux.HandleFunc("POST /nodes/{id}/remove", p.remove)
}

// head is what all tabs of a node share.
type head struct {
	ID     string
	Name   string
	Host   string // the hostname, when it is not the name
	State  muster.NodeState
	Words  string // what the state means now, when it is not plain up
	Since  time.Time
	Star   bool
	Tags   []string
	Facts  []fact
	Tabs   []tab
	MayAct bool
	CSRF   string
	Rev    uint64
	Viewer string // the changelog's word for who looks
	Period string // at which it measures when nobody looks

	Account muster.AccountID
	Node    *muster.Node
	Now     muster.NodeNow
}

type tab struct {
	Title, Href string
	Count       string
	Current     bool
}

// find reads the node named in the address; it answers itself, and gives false, when there is none.
func (p *Page) find(w http.ResponseWriter, r *http.Request, current string) (head, bool) {
	v := shell.Identity(r.Context())
	id, err := muster.ParseNodeID(r.PathValue("id"))
	if err != nil {
		p.opts.Shell.Fail(w, r, muster.ErrNotFound)
		return head{}, false
	}
	row, err := p.opts.Board.Get(v.Account, id)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return head{}, false
	}
	n := row.Node
	h := head{
		ID: id.String(), Name: n.Name, State: row.Now.State, Since: row.Now.Since, Star: n.Star, Tags: n.Tags, Rev: n.Rev,
		Facts: facts(&row), MayAct: p.opts.Change != nil && v.Role.May(muster.Operator), CSRF: v.CSRF, Viewer: v.Actor(), Period: shell.Span(n.Period),
		Account: v.Account, Node: n, Now: row.Now,
	}
	if n.Hostname != n.Name {
		h.Host = n.Hostname
	}
	h.Words = stateWords(&row, p.opts.Shell.Now())
	count := ""
	if row.Now.Metrics > 0 {
		count = fmt.Sprint(row.Now.Metrics)
	}
	base := "/nodes/" + h.ID
	h.Tabs = []tab{{Title: "Graphs", Href: base}, {Title: "All metrics", Href: base + "/metrics", Count: count}, {Title: "Changelog", Href: base + "/changelog"}, {Title: "Notes", Href: base + "/notes"}}
	for i := range h.Tabs {
		h.Tabs[i].Current = h.Tabs[i].Title == current
		if h.Tabs[i].Title == "Graphs" && !h.Tabs[i].Current {
			h.Tabs[i].Href += keepRange(r.URL.Query())
		}
	}
	return h, true
}

// keepRange carries the range of time from one tab to another.
func keepRange(q url.Values) string {
	kept := url.Values{}
	for _, name := range []string{"range", "from", "to"} {
		if v := q.Get(name); v != "" {
			kept.Set(name, v)
		}
	}
	if len(kept) == 0 {
		return ""
	}
	return "?" + kept.Encode()
}

// period gives at which distance a node measures when nobody looks.
func period(n *muster.Node) time.Duration {
	if n.Period > 0 {
		return n.Period
	}
	return 10 * time.Second
}
