package node

import (
	"fmt"
	"net/http"
	"strings"

	"muster"
	"muster/internal/web/shell"
)

// notesBody is what notes.html is filled with.
type notesBody struct {
	head
	Notes     string
	TagText   string
	MayRemove bool // the viewer may remove the node
}

func (p *Page) notesPage(w http.ResponseWriter, r *http.Request) {
	h, ok := p.find(w, r, "Notes")
	if !ok {
		return
	}
	v := shell.Identity(r.Context())
	b := notesBody{head: h, Notes: h.Node.Notes, TagText: strings.Join(h.Node.Tags, " "), MayRemove: p.opts.Remove != nil && v.Role.May(muster.Operator)}
	p.notes.Render(w, r, shell.Page{Title: "Notes on " + h.Name, Nav: "nodes", Styles: []string{"node/node.css"}, Modules: []string{"node/head.js"}}, &b)
}

// save takes the form of the notes: name, tags and notes.
func (p *Page) save(w http.ResponseWriter, r *http.Request) {
	p.change(w, r, "/notes", "Saved.", func(n *muster.Node) error {
		n.Name = r.PostFormValue("name")
		n.Tags = strings.Fields(r.PostFormValue("tags"))
		n.Unwatched = r.PostFormValue("watched") == ""
		n.Notes = strings.ReplaceAll(r.PostFormValue("notes"), "\r\n", "\n")
		return nil
	})
}

// star sets or takes the star.
func (p *Page) star(w http.ResponseWriter, r *http.Request) {
	p.change(w, r, "", "", func(n *muster.Node) error {
		n.Star = r.PostFormValue("star") == "1"
		return nil
	})
}

// change lets fn change the node, and leads back to the tab of that address.
func (p *Page) change(w http.ResponseWriter, r *http.Request, tab, done string, fn func(*muster.Node) error) {
	h, ok := p.find(w, r, "")
	if !ok {
		return
	}
	if !h.MayAct {
		p.opts.Shell.Fail(w, r, fmt.Errorf("%w: changing a node takes the role of an operator", muster.ErrDenied))
		return
	}
	if err := p.opts.Change(r.Context(), shell.Identity(r.Context()), h.Node.ID, fn); err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	if r.Header.Get("X-Muster-Part") != "" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if done != "" {
		shell.SetFlash(w, shell.Flash{Kind: "ok", Text: done})
	}
	http.Redirect(w, r, "/nodes/"+h.ID+tab, http.StatusSeeOther)
}

// remove forgets a node; its name must have been typed, for it can't be undone.
func (p *Page) remove(w http.ResponseWriter, r *http.Request) {
	h, ok := p.find(w, r, "")
	if !ok {
		return
	}
	v := shell.Identity(r.Context())
	if p.opts.Remove == nil || !v.Role.May(muster.Operator) {
		p.opts.Shell.Fail(w, r, fmt.Errorf("%w: removing a node takes the role of an operator", muster.ErrDenied))
		return
	}
	if typed := strings.TrimSpace(r.PostFormValue("confirm")); typed != h.Name {
		shell.SetFlash(w, shell.Flash{Kind: "bad", Text: "Nothing was removed: the name typed is not " + h.Name + "."})
		http.Redirect(w, r, "/nodes/"+h.ID+"/notes", http.StatusSeeOther)
		return
	}
	if err := p.opts.Remove(r.Context(), v, h.Node.ID); err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	shell.SetFlash(w, shell.Flash{Kind: "ok", Text: h.Name + " was removed. Its agent is refused from now on; what it measured is kept until its time is up."})
	http.Redirect(w, r, "/nodes", http.StatusSeeOther)
}
