package checks

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster"
	"muster/internal/roster"
	"muster/internal/web/shell"
)

// asked is the state of the list, read from its address: nothing else holds any.
type asked struct {
	text string // in the name or the target
	show string // a status, or "off"; "" for all
	kind string
	sort string // "" is worst first; "-" before the others turns them round
	node muster.NodeID
	from int
}

// What the list can be sorted by, as it stands in the address.
const (
	sortName = "name"
	sortKind = "kind"
	sortTook = "took"
	sortSeen = "seen"
)

const (
	chunkRows = 50  // rows in one piece of the window; the script learns it from the page
	pageRows  = 100 // rows of the first answer, and of a page without scripts
	off       = "off"
)

func ask(q url.Values) asked {
	a := asked{text: strings.TrimSpace(q.Get("q")), show: q.Get("status"), kind: q.Get("kind"), sort: q.Get("sort")}
	if !slices.Contains(standings(), a.show) {
		a.show = ""
	}
	if !slices.Contains([]string{sortName, sortKind, sortTook, sortSeen}, strings.TrimPrefix(a.sort, "-")) {
		a.sort = ""
	}
	if id, err := muster.ParseNodeID(q.Get("node")); err == nil {
		a.node = id
	}
	if n, err := strconv.Atoi(q.Get("from")); err == nil && n > 0 {
		a.from = n
	} else if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 1 {
		a.from = (n - 1) * pageRows
	}
	return a
}

// href gives the address of the list in this state.
func (a asked) href(page int) string {
	v := url.Values{}
	for key, value := range map[string]string{"q": a.text, "status": a.show, "kind": a.kind, "sort": a.sort} {
		if value != "" {
			v.Set(key, value)
		}
	}
	if page > 1 {
		v.Set("page", strconv.Itoa(page))
	}
	if len(v) == 0 {
		return "/checks"
	}
	return "/checks?" + v.Encode()
}

// standings gives all ways a check can stand, the worst first.
func standings() []string {
	return []string{
		string(muster.StatusCritical), string(muster.StatusWarning), string(muster.StatusUnknown),
		string(muster.StatusPending), string(muster.StatusOK), off,
	}
}

// standing gives the status of a check, or "off" when it is switched off.
func standing(r *roster.Row) string {
	if !r.Check.Enabled {
		return off
	}
	return string(r.Status)
}

// found is the part of the checks that a list is about.
type found struct {
	rows  []roster.Row   // that match, in order
	all   int            // of the account, or of the node
	stand map[string]int // how many stand how, of those that match but for that
	kinds map[string]int // how many are of which kind, of those that match but for that
}

func (p *Page) find(account muster.AccountID, a asked) found {
	rows := p.opts.Checks.List(account, roster.ListOptions{Node: a.node})
	f := found{all: len(rows), stand: map[string]int{}, kinds: map[string]int{}}
	text := strings.ToLower(a.text)
	for i := range rows {
		r := &rows[i]
		if text != "" && !strings.Contains(strings.ToLower(r.Check.Name), text) && !strings.Contains(strings.ToLower(r.Check.Target), text) {
			continue
		}
		state := standing(r)
		shown, kind := a.show == "" || a.show == state, a.kind == "" || a.kind == r.Check.Kind
		if kind {
			f.stand[state]++
		}
		if shown {
			f.kinds[r.Check.Kind]++
		}
		if shown && kind {
			f.rows = append(f.rows, *r)
		}
	}
	slices.SortStableFunc(f.rows, a.compare) // they come by name
	return f
}

func (a asked) compare(x, y roster.Row) int {
	name, down := strings.CutPrefix(a.sort, "-")
	c := 0
	switch name {
	case "":
		return cmp.Compare(slices.Index(standings(), standing(&x)), slices.Index(standings(), standing(&y)))
	case sortKind:
		c = cmp.Compare(x.Check.Kind, y.Check.Kind)
	case sortTook:
		c = cmp.Compare(took(&x), took(&y))
	case sortSeen:
		c = -last(&x).Compare(last(&y)) // the smaller age first
	case sortName:
		c = cmp.Compare(strings.ToLower(x.Check.Name), strings.ToLower(y.Check.Name))
	}
	if down {
		return -c
	}
	return c
}

// took gives how long the newest run took, -1 when there was none.
func took(r *roster.Row) time.Duration {
	if len(r.Last) == 0 {
		return -1
	}
	return newest(r).Duration
}

// last gives when the newest run began.
func last(r *roster.Row) time.Time {
	if len(r.Last) == 0 {
		return time.Time{}
	}
	return newest(r).At
}

// newest gives the newest result over all zones; there must be one.
func newest(r *roster.Row) *muster.Result {
	best := 0
	for i := range r.Last {
		if r.Last[i].At.After(r.Last[best].At) {
			best = i
		}
	}
	return &r.Last[best]
}

// worst gives the result that a check's status comes from: the newest of the worst zone; nil when there is none.
func worst(r *roster.Row) *muster.Result {
	var out *muster.Result
	rank := func(s muster.CheckStatus) int { return slices.Index(standings(), string(s)) }
	for i := range r.Last {
		if out == nil || rank(r.Last[i].Status) < rank(out.Status) {
			out = &r.Last[i]
		}
	}
	return out
}

// listBody is what list.html is filled with.
type listBody struct {
	asked
	MayAct  bool
	Node    string // id of the node whose checks these are; empty on the list of all
	All     int
	Total   int
	From    int
	Last    int // index behind the last row shown
	Chunk   int
	Now     int64 // Unix milliseconds here
	Chips   []chip
	Kinds   []chip
	Columns []column
	Pieces  [][]row
	Prev    string
	Next    string
	Clear   string
}

// chip is a count one can filter by.
type chip struct {
	Word    string
	Count   int
	Href    string
	Current bool
}

type column struct {
	Class, Title, Href string
	Sort               string // aria-sort
}

func (p *Page) listBody(ctx context.Context, v shell.Viewer, a asked) *listBody {
	f := p.find(v.Account, a)
	b := &listBody{
		asked: a, MayAct: v.Role.May(muster.Operator), All: f.all, Total: len(f.rows), Chunk: chunkRows,
		From: a.from - a.from%chunkRows, Now: p.opts.Shell.Now().UnixMilli(), Columns: a.columns(), Clear: asked{sort: a.sort}.href(0),
	}
	if !a.node.IsZero() {
		b.Node = a.node.String()
	}
	b.around(f)
	if b.From >= len(f.rows) {
		b.From = 0
	}
	rows := f.rows[b.From:min(b.From+pageRows, len(f.rows))]
	b.Last = b.From + len(rows)
	for shown := range slices.Chunk(p.present(ctx, v.Account, rows), chunkRows) {
		b.Pieces = append(b.Pieces, shown)
	}
	if b.From > 0 {
		b.Prev = a.href(b.From / pageRows)
	}
	if b.Last < b.Total {
		b.Next = a.href(b.From/pageRows + 2)
	}
	return b
}

// around fills the counts one can filter by.
func (b *listBody) around(f found) {
	a := b.asked
	for _, s := range standings() {
		if n := f.stand[s]; n > 0 || a.show == s {
			next := a
			if next.show = s; a.show == s {
				next.show = ""
			}
			b.Chips = append(b.Chips, chip{Word: s, Count: n, Href: next.href(0), Current: a.show == s})
		}
	}
	for _, k := range kinds() {
		if n := f.kinds[k]; n > 0 || a.kind == k {
			next := a
			if next.kind = k; a.kind == k {
				next.kind = ""
			}
			b.Kinds = append(b.Kinds, chip{Word: k, Count: n, Href: next.href(0), Current: a.kind == k})
		}
	}
	if len(b.Kinds) == 1 && !b.Kinds[0].Current {
		b.Kinds = nil // nothing to choose from
	}
}

// columns gives the heads; a click sorts, the way round that is asked for first.
func (a asked) columns() []column {
	list := []struct{ class, title, first string }{
		{"st", "State", ""}, {"nm", "Name", sortName}, {"kd", "Kind", sortKind}, {"tg", "Target", "none"}, {"sm", "Last result", "none"},
		{"tk num", "Took", "-" + sortTook}, {"up num", "24 h ok", "none"}, {"rn", "Last runs", "none"}, {"sn num", "Seen", sortSeen},
	}
	out := make([]column, len(list))
	for i, c := range list {
		out[i] = column{Class: c.class, Title: c.title}
		if c.first == "none" || !a.node.IsZero() {
			continue
		}
		name, next := strings.TrimPrefix(c.first, "-"), a
		next.sort = c.first
		if strings.TrimPrefix(a.sort, "-") == name {
			out[i].Sort = "ascending"
			if strings.HasPrefix(a.sort, "-") {
				out[i].Sort = "descending"
			}
			if a.sort == c.first && name != "" {
				next.sort = flip(c.first)
			}
		}
		out[i].Href = next.href(0)
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
func (b *listBody) Summary() string {
	if b.text == "" && b.show == "" && b.kind == "" {
		return strconv.Itoa(b.All)
	}
	return fmt.Sprintf("%d of %d", b.Total, b.All)
}

// Text, Show, Kind and Sort are the state, for the fields that carry it on.
func (b *listBody) Text() string { return b.text }

// Show is the status that is filtered by.
func (b *listBody) Show() string { return b.show }

// Kind is the kind that is filtered by.
func (b *listBody) Kind() string { return b.kind }

// Sort is the order.
func (b *listBody) Sort() string { return b.sort }

// listPage answers with the whole page, or with the part below the bar when a script asks.
func (p *Page) listPage(w http.ResponseWriter, r *http.Request) {
	b := p.listBody(r.Context(), shell.Identity(r.Context()), ask(r.URL.Query()))
	if r.Header.Get("X-Muster-Part") != "" {
		p.list.Part(w, r, "list", b)
		return
	}
	p.list.Render(w, r, shell.Page{Title: "Checks", Nav: "checks", Live: true, Styles: []string{"checks/checks.css"}, Modules: []string{"checks/list.js"}}, b)
}

// rowsPart answers with one piece of the window.
func (p *Page) rowsPart(w http.ResponseWriter, r *http.Request) {
	v, a := shell.Identity(r.Context()), ask(r.URL.Query())
	rows := p.find(v.Account, a).rows
	w.Header().Set("X-Total", strconv.Itoa(len(rows)))
	from := min(a.from, len(rows))
	p.list.Part(w, r, "rows", p.present(r.Context(), v.Account, rows[from:min(from+chunkRows, len(rows))]))
}

// headPart answers with what stands above the table: the counts.
func (p *Page) headPart(w http.ResponseWriter, r *http.Request) {
	v, a := shell.Identity(r.Context()), ask(r.URL.Query())
	f := p.find(v.Account, a)
	b := &listBody{asked: a, All: f.all, Total: len(f.rows)}
	b.around(f)
	p.list.Part(w, r, "head", b)
}
