package checks

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"muster"
	"muster/api"
	"muster/internal/filter"
	"muster/internal/roster"
	"muster/internal/shape"
	"muster/internal/web/shell"
)

// search decides what a text in the search box stands for, and leads there: a check that is there already, a new
// check, or the nodes that match. It changes nothing. A script that asks for JSON gets {"href"}, or {"check"}: what to say
// to POST /v1/checks, with "href" for those who may not.
func (p *Page) search(w http.ResponseWriter, r *http.Request) {
	v, text := shell.Identity(r.Context()), strings.TrimSpace(r.URL.Query().Get("q"))
	to, guess := p.decide(v, text)
	if !strings.Contains(r.Header.Get("Accept"), "application/json") {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	out := struct {
		Href  string        `json:"href"`
		Check *api.CheckNew `json:"check,omitempty"`
	}{Href: to}
	if guess != nil {
		said := shape.CheckNew(guess)
		said.Period, said.Timeout = "", ""
		out.Check = &said
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(out)
}

// decide gives the page a text leads to, and the check that is to be made of it, if one is.
func (p *Page) decide(v shell.Viewer, text string) (to string, guess *muster.Check) {
	nodes := "/nodes"
	if text != "" {
		nodes += "?q=" + url.QueryEscape(text)
	}
	c, sure := guessed(text)
	if !sure && p.someNode(v.Account, text) {
		return nodes, nil
	}
	for _, row := range p.opts.Checks.List(v.Account, roster.ListOptions{}) {
		known := row.Check
		if strings.EqualFold(known.Name, text) || c != nil && sameTarget(c, known) {
			return "/checks/" + string(known.ID), nil
		}
	}
	switch {
	case c == nil:
		return nodes, nil
	case !v.Role.May(muster.Operator):
		return "/checks?q=" + url.QueryEscape(text), nil
	}
	return "/checks/new?guess=" + url.QueryEscape(text), c
}

// sameTarget says whether a check looks at what the guess is about: all fields of the guess are as the check has them.
func sameTarget(guess, known *muster.Check) bool {
	if guess.Kind != known.Kind {
		return false
	}
	var want, have map[string]any
	if json.Unmarshal(guess.Config, &want) != nil || json.Unmarshal(known.Config, &have) != nil {
		return false
	}
	for key, v := range want {
		if have[key] != v {
			return false
		}
	}
	return len(want) > 0
}

var (
	withPort = regexp.MustCompile(`^(\[[0-9a-fA-F:.%]+\]|[^:/\s]+):[0-9]{1,5}$`)
	lastName = regexp.MustCompile(`\.[^.]*[a-zA-Z][^.]*\.?$`)
)

// guessed gives the check a text stands for, nil when it stands for none. sure is false when it may as well be a part of
// a node's name. A word without a dot never stands for a check.
func guessed(text string) (c *muster.Check, sure bool) {
	c, err := roster.Guess(text)
	if err != nil {
		return nil, false
	}
	if strings.Contains(text, "://") {
		return c, true
	}
	if withPort.MatchString(text) {
		// "os:12" is of the query language, though it looks like a host with a port.
		key, _, _ := strings.Cut(strings.ToLower(text), ":")
		if slices.ContainsFunc(filter.Keys(), func(k filter.Key) bool { return k.Name == key }) {
			return nil, false
		}
		return c, true
	}
	if _, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return c, false
	}
	host, _, path := strings.Cut(text, "/")
	host, _, _ = strings.Cut(host, ":")
	if !lastName.MatchString(host) && !(path && host == "localhost") {
		return nil, false
	}
	return c, path
}

// someNode says whether a node has the text in its name, its hostname or its addresses.
func (p *Page) someNode(account muster.AccountID, text string) bool {
	text = strings.ToLower(text)
	return text != "" && slices.ContainsFunc(p.opts.Fleet.Nodes(account), func(n *muster.Node) bool {
		return strings.Contains(strings.ToLower(n.Name), text) || strings.Contains(strings.ToLower(n.Hostname), text) || slices.Contains(n.Addresses, text)
	})
}

// mostSuggested is how many nodes are offered for what was typed.
const mostSuggested = 12

// suggest answers a form's script with nodes that have "q" in their names: [{"id", "name"}].
func (p *Page) suggest(w http.ResponseWriter, r *http.Request) {
	type offer struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	out := []offer{}
	text := strings.ToLower(strings.TrimSpace(r.URL.Query().Get("q")))
	nodes := slices.Clone(p.opts.Fleet.Nodes(shell.Identity(r.Context()).Account))
	slices.SortFunc(nodes, func(a, b *muster.Node) int {
		// The one that is called exactly that comes first.
		if x, y := strings.EqualFold(a.Name, text), strings.EqualFold(b.Name, text); x != y {
			if x {
				return -1
			}
			return 1
		}
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	for _, n := range nodes {
		if len(out) == mostSuggested {
			break
		}
		if strings.Contains(strings.ToLower(n.Name), text) {
			out = append(out, offer{n.ID.String(), n.Name})
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(out)
}
