package node

import (
	"net/http"

	"muster"
	"muster/internal/web/shell"
)

// logBody is what changelog.html is filled with.
type logBody struct {
	head
	Events []muster.Event
	Next   string // address of older lines
	Some   bool   // nothing was found yet, but older lines were not looked at
}

const (
	linesShown = 100 // of one node on one page
	linesRead  = 500 // of the account at a time
	readsMost  = 10  // how far one request looks: the changelog is the account's, not the node's
)

func (p *Page) changelogPage(w http.ResponseWriter, r *http.Request) {
	h, ok := p.find(w, r, "Changelog")
	if !ok {
		return
	}
	events, next, err := p.ofNode(r, &h)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	b := logBody{head: h, Events: events}
	if next != "" {
		b.Next, b.Some = "/nodes/"+h.ID+"/changelog?before="+next, len(events) == 0
	}
	p.log.Render(w, r, shell.Page{Title: "Changelog of " + h.Name, Nav: "nodes", Styles: []string{"node/node.css"}, Modules: []string{"node/head.js"}}, &b)
}

// ofNode reads the account's changelog back until there are enough lines about the node, or it looked far enough.
func (p *Page) ofNode(r *http.Request, h *head) (events []muster.Event, next string, err error) {
	next = r.URL.Query().Get("before")
	for range readsMost {
		var page []muster.Event
		page, next, err = p.opts.Events.Events(r.Context(), h.Account, next, linesRead)
		if err != nil {
			return nil, "", err
		}
		for i := range page {
			if page[i].Subject == h.ID {
				events = append(events, page[i])
			}
		}
		if next == "" || len(events) >= linesShown {
			break
		}
	}
	return events, next, nil
}
