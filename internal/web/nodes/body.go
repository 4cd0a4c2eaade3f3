package nodes

import (
	"context"
	"fmt"
	"strings"

	"muster"
	"muster/internal/inventory"
	"muster/internal/web/shell"
)

// body is what nodes.html is filled with.
type body struct {
	CSRF    string
	MayAct  bool
	Query   string
	Sort    string // as in the address
	Error   string // what is wrong with the query
	All     int    // nodes of the account
	Total   int    // nodes that match
	From    int
	Chunk   int
	Now     int64 // Unix milliseconds here
	Chips   []chip
	Facets  []facet
	Columns []column
	Pieces  [][]row
	Wants   string // classes that hide columns which are empty for all
	Prev    string // addresses of the neighbouring pages, for browsers without scripts
	Next    string
	Last    int // index behind the last row shown
	Here    string
	Clear   string // address without a query
}

// chip is a count one can filter by.
type chip struct {
	State   muster.NodeState
	Word    string
	Count   int
	Href    string
	Current bool
}

type column struct {
	Class string
	Title string
	Href  string
	Sort  string // aria-sort: "ascending", "descending" or ""
}

func (p *Page) body(ctx context.Context, a asked, bad error) *body {
	v := shell.Identity(ctx)
	b := &body{
		CSRF: v.CSRF, MayAct: p.opts.Change != nil && v.Role.May(muster.Operator),
		Query: a.text, Sort: a.sortParam(), From: a.from - a.from%chunkRows, Chunk: chunkRows, Now: p.opts.Shell.Now().UnixMilli(),
	}
	p.around(b, v.Account, a)
	b.Here, b.Clear = href(a.text, b.Sort, 0), href("", b.Sort, 0)
	if bad != nil {
		b.Error = shell.Words(bad)
		return b
	}
	rows, total := p.find(v.Account, a, b.From, pageRows)
	b.Total, b.Last = total, b.From+len(rows)
	for all := p.present(rows); len(all) > 0; {
		n := min(chunkRows, len(all))
		b.Pieces = append(b.Pieces, all[:n])
		all = all[n:]
	}
	if b.From > 0 {
		b.Prev = href(a.text, b.Sort, b.From/pageRows)
	}
	if b.Last < total {
		b.Next = href(a.text, b.Sort, b.From/pageRows+2)
	}
	return b
}

// around fills what stands around the rows.
func (p *Page) around(b *body, account muster.AccountID, a asked) {
	b.Query, b.Sort = a.text, a.sortParam()
	counts := p.opts.Board.Counts(account)
	for _, n := range counts {
		b.All += n
	}
	states := []muster.NodeState{muster.Down, muster.Unknown, muster.Pending, muster.Up, muster.Stopped, muster.Terminated}
	terms := make([]string, len(states))
	for i, s := range states {
		terms[i] = "state:" + string(s)
	}
	for i, s := range states {
		if n := counts[s]; n > 0 || hasTerm(a.text, terms[i]) {
			b.Chips = append(b.Chips, chip{State: s, Word: string(s), Count: n, Href: href(chooseTerm(a.text, terms[i], terms), b.Sort, 0), Current: hasTerm(a.text, terms[i])})
		}
	}
	kept := p.facetsOf(account)
	b.Facets = kept.show(a, b.Sort)
	b.Columns = columns(a, kept.placed)
	var wants []string
	if !kept.tagged {
		wants = append(wants, "no-tags")
	}
	if !kept.addressed {
		wants = append(wants, "no-addr")
	}
	b.Wants = strings.Join(wants, " ")
}

// columns gives the heads; a click sorts, the way round that is asked for first.
func columns(a asked, placed bool) []column {
	place := "System"
	if placed {
		place = "Where"
	}
	list := []struct{ class, title, sort string }{
		{"st", "State", inventory.SortState}, {"nm", "Name", inventory.SortName}, {"pl", place, ""}, {"ad", "Address", ""}, {"tg", "Tags", ""},
		{"cpu num", "CPU", "-" + inventory.SortCPU}, {"mem num", "Memory", "-" + inventory.SortMemory}, {"dsk num", "Fullest disk", "-" + inventory.SortDisk},
		{"net", "Network", "-" + inventory.SortNetwork}, {"io num", "In · out, Mb/s", "-" + inventory.SortNetwork}, {"sn num", "Seen", "-" + inventory.SortLastSeen},
	}
	out := make([]column, len(list))
	for i, c := range list {
		out[i] = column{Class: c.class, Title: c.title}
		if c.sort == "" {
			continue
		}
		first, name := c.sort, strings.TrimPrefix(c.sort, "-")
		next := first
		if a.sort == name {
			now := a.sort
			out[i].Sort = "ascending"
			if a.desc {
				now, out[i].Sort = "-"+a.sort, "descending"
			}
			if now == first {
				next = flip(first)
			}
		}
		if next == inventory.SortState {
			next = ""
		}
		out[i].Href = href(a.text, next, 0)
	}
	return out
}

func flip(sort string) string {
	if s, ok := strings.CutPrefix(sort, "-"); ok {
		return s
	}
	return "-" + sort
}

// Summary says in words how many rows are shown.
func (b *body) Summary() string {
	switch {
	case b.Error != "":
		return fmt.Sprintf("%d in all", b.All)
	case b.Query == "":
		return fmt.Sprintf("%d", b.All)
	}
	return fmt.Sprintf("%d of %d", b.Total, b.All)
}
