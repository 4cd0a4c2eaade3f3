package overview

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster"
	"muster/internal/inventory"
	"muster/internal/web/shell"
)

// body is what overview.html is filled with.
type body struct {
	Say      string // the sentence
	Well     bool
	Sub      string // what it rests on
	Started  time.Time
	Taken    string // who has what is open
	Troubles []Trouble
	Card     template.HTML   // the open incidents
	Silent   []inventory.Row // the worst few of those that no incident is about
	More     int             // of them that are not listed
	Groups   []group
	Named    bool // few enough nodes for names and figures beside them
	Figures  []figure
	Events   []muster.Event
	First    *first // set instead of groups while there is one node at most
	AskPass  bool
	CSRF     string
	Reach    string
}

// Kind tells the two views apart: a change from one to the other takes a new page.
func (b *body) Kind() string {
	if b.First != nil {
		return "first"
	}
	return "fleet"
}

// group is a block of cells, one for each node.
type group struct {
	Title string
	Href  string
	Count int
	Cells []cell
	Rest  int // nodes that are not drawn
}

type cell struct {
	ID     string
	Name   string
	State  muster.NodeState
	CPU    float64 // shares; NaN when not known
	Memory float64
	Title  string
	Class  string
	order  string
}

type figure struct {
	Value string
	Words string
}

const (
	silentShown = 8
	cellsShown  = 1500 // over all groups: the page stays light
	groupsShown = 12
	namedShown  = 60 // nodes of a fleet that is drawn with names
	eventsShown = 12
)

func (p *Page) body(ctx context.Context) (*body, error) {
	v := shell.Identity(ctx)
	rows, _ := p.opts.Board.List(v.Account, inventory.ListOptions{Sort: inventory.SortState})
	totals := p.opts.Board.Totals(v.Account)
	b := &body{Started: p.opts.Started, First: p.firstOf(ctx, v, rows), AskPass: v.User != "" && !v.HasPassword, CSRF: v.CSRF, Reach: p.opts.Reach}
	w, err := p.wrong(ctx, b, rows)
	if err != nil {
		return nil, err
	}
	b.Say, b.Well, b.Taken = w.sentence(), w.count() == 0, w.taken()
	b.Sub = rests(totals, p.checks(v.Account))
	events, _, err := p.opts.Events(ctx, v.Account, "", eventsShown)
	if err != nil {
		return nil, fmt.Errorf("overview: changelog: %w", err)
	}
	b.Events = events
	if b.First == nil {
		b.Groups, b.Named = groups(rows), len(rows) <= namedShown
		b.Figures = figures(rows, totals, p.opts.Shell.Now())
	}
	return b, nil
}

func (p *Page) checks(account muster.AccountID) map[muster.CheckStatus]int {
	if p.opts.Checks == nil {
		return nil
	}
	return p.opts.Checks(account)
}

// words says a small number as a word that begins a sentence.
func words(n int) string {
	list := []string{"No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve"}
	if n < len(list) {
		return list[n]
	}
	return group3(n)
}

// group3 writes a number with its thousands apart.
func group3(n int) string {
	s := strconv.Itoa(n)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

// groups puts the nodes into blocks by provider; machines without one are the account's own.
func groups(rows []inventory.Row) []group {
	byTitle := map[string]*group{}
	var order []*group
	for i := range rows {
		r := &rows[i]
		title, query := r.Node.Facts["cloud.provider"], ""
		if title != "" {
			query = "?q=provider:" + title
		} else {
			title = "own"
		}
		g := byTitle[title]
		if g == nil {
			g = &group{Title: title, Href: "/nodes" + query}
			byTitle[title] = g
			order = append(order, g)
		}
		g.Count++
		g.Cells = append(g.Cells, cellOf(r))
	}
	slices.SortStableFunc(order, func(a, b *group) int {
		return cmp.Or(-cmp.Compare(a.Count, b.Count), cmp.Compare(a.Title, b.Title))
	})
	out := make([]group, 0, len(order))
	order = order[:min(len(order), groupsShown)]
	left := cellsShown
	for i := len(order) - 1; i >= 0; i-- { // the smaller ones first, which leave more to the bigger
		share := left / (i + 1)
		g := order[i]
		if g.Rest = max(0, g.Count-share); g.Rest > 0 {
			g.Cells = g.Cells[:share] // the worst come first
		}
		left -= len(g.Cells)
	}
	for _, g := range order {
		slices.SortFunc(g.Cells, func(a, b cell) int { return cmp.Compare(a.order, b.order) }) // a node keeps its place
		out = append(out, *g)
	}
	return out
}

// cellOf draws a node: the fill is its CPU in ten steps, the outline its state.
func cellOf(r *inventory.Row) cell {
	c := cell{
		ID: r.Node.ID.String(), Name: r.Node.Name, State: r.Now.State, CPU: math.NaN(), Memory: math.NaN(),
		Class: "u", Title: r.Node.Name + " · " + string(r.Now.State), order: inventory.NameOrder(r.Node.Name),
	}
	if r.Now.State == muster.Up && !math.IsNaN(r.Now.CPU) {
		c.Class = "u" + strconv.Itoa(int(min(max(r.Now.CPU, 0)*10, 9)))
		c.Title += " · CPU " + shell.Percent(r.Now.CPU)
		c.CPU, c.Memory = r.Now.CPU, r.Now.Memory
	}
	if r.Now.State != muster.Up {
		c.Class = string(r.Now.State)
	}
	return c
}

func figures(rows []inventory.Row, t inventory.Totals, now time.Time) []figure {
	today, cores := 0, 0
	for i := range rows {
		if now.Sub(rows[i].Node.CreatedAt) < 24*time.Hour {
			today++
		}
		if n, err := strconv.Atoi(rows[i].Node.Facts["system.cpu.logical.count"]); err == nil {
			cores += n
		}
	}
	nodes, cpu := "nodes", "CPU in use, mean"
	if today > 0 && today < t.Nodes {
		nodes += ", +" + group3(today) + " today"
	}
	if cores > 0 {
		cpu = "CPU in use of " + group3(cores) + " cores"
	}
	return []figure{
		{group3(t.Nodes), nodes},
		{shell.Percent(t.CPU), cpu},
		{shell.Percent(t.Memory), "memory in use, mean"},
		{rate(t.NetIn) + " · " + rate(t.NetOut), "network in · out"},
	}
}

func rate(bytesPerSecond float64) string {
	bits, unit := bytesPerSecond*8/1e6, " Mb/s"
	if bits >= 1000 {
		bits, unit = bits/1000, " Gb/s"
	}
	digits := 1
	if bits >= 100 {
		digits = 0
	}
	return strconv.FormatFloat(bits, 'f', digits, 64) + unit
}

// describe says what a machine is: "Debian 12, 8 cores, 32 GiB".
func describe(facts map[string]string) string {
	var parts []string
	name := facts["os.name"]
	if name == "" {
		name = facts["os.type"]
	}
	if s := strings.TrimSpace(strings.TrimSuffix(name, " GNU/Linux") + " " + facts["os.version"]); s != "" {
		parts = append(parts, s)
	}
	if n := facts["system.cpu.logical.count"]; n != "" {
		parts = append(parts, n+" cores")
	}
	if n, err := strconv.ParseFloat(facts["system.memory.limit"], 64); err == nil && n > 0 {
		parts = append(parts, shell.Bytes(n))
	}
	return strings.Join(parts, ", ")
}
