package nodes

import (
	"cmp"
	"slices"
	"time"

	"muster"
	"muster/internal/inventory"
)

// facet is a group of values one can filter by, with how many nodes have each.
type facet struct {
	Title string
	Items []facetItem
	many  bool // a node can have several of the values: they are asked for together, not one instead of another
}

type facetItem struct {
	Text    string
	Count   int
	Href    string
	Current bool
	term    string
}

// facetCache is what was counted over all nodes of an account; counting anew with every page would be waste.
type facetCache struct {
	at        time.Time
	groups    []facet
	tagged    bool // some node has a tag
	placed    bool // some node has a cloud or region
	addressed bool // some node has an address
}

const (
	facetAge  = 5 * time.Second
	facetMost = 6 // values of one group that are shown
)

func (p *Page) facetsOf(account muster.AccountID) facetCache {
	now := p.opts.Shell.Now()
	p.mu.Lock()
	kept, ok := p.facets[account]
	p.mu.Unlock()
	if ok && now.Sub(kept.at) < facetAge {
		return kept
	}
	rows, _ := p.opts.Board.List(account, inventory.ListOptions{})
	kept = countFacets(rows)
	kept.at = now
	p.mu.Lock()
	p.facets[account] = kept
	p.mu.Unlock()
	return kept
}

func countFacets(rows []inventory.Row) facetCache {
	var c facetCache
	type group struct {
		title, key string
		count      map[string]int
	}
	groups := []group{{title: "Provider", key: "provider"}, {title: "Region", key: "region"}, {title: "Tag", key: "tag"}, {title: "System", key: "os"}}
	for i := range groups {
		groups[i].count = map[string]int{}
	}
	for i := range rows {
		n := rows[i].Node
		if v := n.Facts["cloud.provider"]; v != "" {
			groups[0].count[v]++
		}
		if v := n.Facts["cloud.region"]; v != "" {
			groups[1].count[v]++
		}
		for _, t := range n.Tags {
			groups[2].count[t]++
		}
		if v := system(n.Facts); v != "" {
			groups[3].count[v]++
		}
		c.tagged = c.tagged || len(n.Tags) > 0
		c.placed = c.placed || place(n.Facts) != ""
		c.addressed = c.addressed || len(n.Addresses) > 0
	}
	for _, g := range groups {
		if len(g.count) == 0 {
			continue
		}
		f := facet{Title: g.title, many: g.key == "tag"}
		for v, n := range g.count {
			f.Items = append(f.Items, facetItem{Text: v, Count: n, term: g.key + ":" + quoted(v)})
		}
		slices.SortFunc(f.Items, func(a, b facetItem) int {
			return cmp.Or(-cmp.Compare(a.Count, b.Count), cmp.Compare(a.Text, b.Text))
		})
		f.Items = f.Items[:min(len(f.Items), facetMost)]
		c.groups = append(c.groups, f)
	}
	return c
}

// show gives the groups with the addresses that toggle each value in the query.
func (c facetCache) show(a asked, sort string) []facet {
	out := make([]facet, len(c.groups))
	for i, g := range c.groups {
		out[i] = facet{Title: g.Title, Items: slices.Clone(g.Items)}
		var terms []string
		if !g.many {
			for _, it := range g.Items {
				terms = append(terms, it.term)
			}
		}
		for j := range out[i].Items {
			it := &out[i].Items[j]
			it.Current = hasTerm(a.text, it.term)
			it.Href = href(chooseTerm(a.text, it.term, terms), sort, 0)
		}
	}
	return out
}
