package nodes

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"muster"
	"muster/internal/web/shell"
)

// mostAtOnce is how many nodes one request changes.
const mostAtOnce = 1000

// act changes the nodes a form names: stars, tags. It leads back to where the form was.
func (p *Page) act(w http.ResponseWriter, r *http.Request) {
	v := shell.Identity(r.Context())
	if p.opts.Change == nil || !v.Role.May(muster.Operator) {
		p.opts.Shell.Fail(w, r, fmt.Errorf("%w: changing nodes takes the role of an operator", muster.ErrDenied))
		return
	}
	if err := r.ParseForm(); err != nil {
		p.opts.Shell.Fail(w, r, fmt.Errorf("%w: nodes: act: %v", muster.ErrInvalid, err))
		return
	}
	ids, change, done, err := readAct(r)
	for i, id := range ids {
		if err != nil {
			break
		}
		if err = p.opts.Change(r.Context(), v, id, change); errors.Is(err, muster.ErrNotFound) {
			err = nil // it went away meanwhile
		}
		if err != nil {
			err = fmt.Errorf("%w (after %d of %d nodes)", err, i, len(ids))
		}
	}
	if r.Header.Get("X-Muster-Part") != "" {
		if err != nil {
			p.opts.Shell.Fail(w, r, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
		return
	}
	flash := shell.Flash{Kind: "ok", Text: fmt.Sprintf("%s: %s.", done, plural(len(ids), "node", "nodes"))}
	if err != nil {
		flash = shell.Flash{Kind: "bad", Text: shell.Words(err)}
	}
	shell.SetFlash(w, flash)
	http.Redirect(w, r, back(r.PostForm.Get("back")), http.StatusSeeOther)
}

// back takes an address of this page only, so that no form leads elsewhere.
func back(to string) string {
	if to == "/nodes" || strings.HasPrefix(to, "/nodes?") {
		return to
	}
	return "/nodes"
}

// readAct reads which nodes are to be changed, and how; done says it in words.
func readAct(r *http.Request) (ids []muster.NodeID, change func(*muster.Node) error, done string, err error) {
	for _, text := range r.PostForm["id"] {
		id, err := muster.ParseNodeID(text)
		if err != nil {
			return nil, nil, "", err
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil, nil, "", fmt.Errorf("%w: no node is selected: tick the box at the left of some rows first", muster.ErrInvalid)
	}
	if len(ids) > mostAtOnce {
		return nil, nil, "", fmt.Errorf("%w: %d nodes at once, at most %d: narrow the list down", muster.ErrLimited, len(ids), mostAtOnce)
	}
	tag := strings.TrimSpace(r.PostForm.Get("tag"))
	switch what := r.PostForm.Get("do"); what {
	case "star", "unstar":
		change, done = func(n *muster.Node) error { n.Star = what == "star"; return nil }, map[string]string{"star": "Starred", "unstar": "Star removed"}[what]
	case "tag", "untag":
		if tag == "" {
			return nil, nil, "", fmt.Errorf("%w: type the tag first: a word like web, or env=prod", muster.ErrInvalid)
		}
		if what == "tag" {
			change, done = func(n *muster.Node) error { n.Tags = withTag(n.Tags, tag); return nil }, "Tagged "+tag
		} else {
			change, done = func(n *muster.Node) error { n.Tags = withoutTag(n.Tags, tag); return nil }, "Tag "+tag+" removed"
		}
	default:
		return nil, nil, "", fmt.Errorf("%w: nodes: act: nothing is called %.20q", muster.ErrInvalid, what)
	}
	return ids, change, done, nil
}

func withTag(tags []string, tag string) []string {
	if slices.Contains(tags, tag) {
		return tags
	}
	out := append(slices.Clone(tags), tag)
	slices.Sort(out)
	return out
}

func withoutTag(tags []string, tag string) []string {
	return slices.DeleteFunc(slices.Clone(tags), func(t string) bool { return t == tag })
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
