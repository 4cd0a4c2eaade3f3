// Package top gives the live table of nodes for a terminal: fed by the stream, sorted and filtered by keys.
package top

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"muster/api"
	"muster/client"
	"muster/internal/sheet"
	"muster/internal/term"
)

// Options say what is shown and where.
type Options struct {
	Client *client.Client
	Query  string // of nodes; all when empty
	Sort   string // one of Sorts
	Width  int    // of the terminal, until it says otherwise
	Colour bool
	// Show puts a picture on the terminal until somebody ends it.
	Show func(ctx context.Context, p term.Picture) error
}

// Sorts lists what the table can be sorted by.
func Sorts() []string { return []string{"name", "state", "cpu", "memory", "disk", "load", "net"} }

// Watch runs the live table until somebody ends it or ctx ends.
func Watch(ctx context.Context, o Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	feed := &feed{client: o.Client, query: o.Query}
	if err := feed.load(ctx); err != nil {
		return err
	}
	m := &table{feed: feed, sort: o.Sort, colour: o.Colour, width: o.Width, height: 24}
	var wg sync.WaitGroup
	wg.Go(func() { feed.follow(ctx) })
	err := o.Show(ctx, m)
	cancel()
	wg.Wait()
	return err
}

// feed holds the nodes as they are now. The stream fills it; the screen reads it when it is drawn, so
// that a thousand changes a second cost one drawing.
type feed struct {
	client *client.Client
	query  string

	mu     sync.Mutex
	nodes  map[string]api.Node
	broken error
}

func (f *feed) load(ctx context.Context) error {
	nodes := map[string]api.Node{}
	for n, err := range f.client.AllNodes(ctx, client.ListOptions{Query: f.query}) {
		if err != nil {
			return err
		}
		nodes[n.ID] = n
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes, f.broken = nodes, nil
	return nil
}

// follow keeps the nodes fresh until ctx ends. With a query what matches is asked for anew now and then,
// since only the server can tell.
func (f *feed) follow(ctx context.Context) {
	const again = 10 * time.Second
	asked := time.Now()
	each := func(e client.StreamEvent) error {
		if e.Kind == "resync" || f.query != "" && time.Since(asked) > again {
			asked = time.Now()
			return f.load(ctx)
		}
		f.take(e)
		return nil
	}
	for ctx.Err() == nil {
		err := f.client.Follow(ctx, client.StreamOptions{Topics: []string{"nodes"}}, each)
		f.mu.Lock()
		f.broken = err
		f.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Second):
			_ = f.load(ctx) // its failure shows when the stream fails too
		}
	}
}

// take puts one event in.
func (f *feed) take(e client.StreamEvent) {
	var n api.Node
	if json.Unmarshal(e.Data, &n) != nil || n.ID == "" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, shown := f.nodes[n.ID]
	switch {
	case e.Kind == "node.gone":
		delete(f.nodes, n.ID)
	case e.Kind == "node" && (shown || f.query == ""):
		f.nodes[n.ID] = n
	}
}

// list gives the nodes, and what is wrong with the stream.
func (f *feed) list() ([]api.Node, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]api.Node, 0, len(f.nodes))
	for _, n := range f.nodes {
		out = append(out, n)
	}
	return out, f.broken
}

// orders compare two nodes: what deserves to be seen first comes first.
func orders() map[string]func(x, y *api.Node) int {
	return map[string]func(x, y *api.Node) int{
		"name":   func(*api.Node, *api.Node) int { return 0 },
		"state":  func(x, y *api.Node) int { return cmp.Compare(rank(x.State), rank(y.State)) },
		"cpu":    func(x, y *api.Node) int { return most(x.Now.CPU, y.Now.CPU) },
		"memory": func(x, y *api.Node) int { return most(x.Now.Memory, y.Now.Memory) },
		"disk":   func(x, y *api.Node) int { return most(x.Now.Disk, y.Now.Disk) },
		"load":   func(x, y *api.Node) int { return most(x.Now.Load, y.Now.Load) },
		"net":    func(x, y *api.Node) int { return most(traffic(x), traffic(y)) },
	}
}

func rank(state string) int {
	return slices.Index([]string{"down", "unknown", "pending", "up", "stopped", "terminated"}, state)
}

// most puts the higher one first and what is not known last.
func most(x, y *float64) int {
	switch {
	case x == nil && y == nil:
		return 0
	case x == nil:
		return 1
	case y == nil:
		return -1
	}
	return cmp.Compare(*y, *x)
}

func traffic(n *api.Node) *float64 {
	if n.Now.NetIn == nil || n.Now.NetOut == nil {
		return nil
	}
	sum := *n.Now.NetIn + *n.Now.NetOut
	return &sum
}

// table is the live table: a picture of a feed.
type table struct {
	feed          *feed
	colour        bool
	width, height int

	sort   string
	turned bool
	filter string
	typing bool
	first  int // the row at the top
	rows   int // that match
}

// Resize takes the terminal's size.
func (m *table) Resize(width, height int) { m.width, m.height = width, height }

// around is how many lines stand around the rows.
const around = 4

// Key does what a key says.
func (m *table) Key(key string) (end bool) {
	if m.typing {
		m.edit(key)
		return false
	}
	page := max(1, m.height-around)
	if by, ok := sortKeys()[key]; ok {
		m.turned = by == m.sort && !m.turned
		m.sort, m.first = by, 0
		return false
	}
	switch key {
	case "q", "ctrl+c":
		return true
	case "/":
		m.typing = true
	case "esc":
		m.filter = ""
	case "up", "k":
		m.first--
	case "down", "j":
		m.first++
	case "pgup", "ctrl+b":
		m.first -= page
	case "pgdown", "ctrl+f", " ":
		m.first += page
	case "home", "g":
		m.first = 0
	case "end", "G":
		m.first = m.rows
	}
	m.first = max(0, min(m.first, m.rows-page))
	return false
}

func sortKeys() map[string]string {
	return map[string]string{"n": "name", "s": "state", "c": "cpu", "m": "memory", "d": "disk", "l": "load", "w": "net"}
}

// edit changes the filter.
func (m *table) edit(key string) {
	switch key {
	case "enter":
		m.typing = false
	case "esc", "ctrl+c":
		m.typing, m.filter = false, ""
	case "backspace":
		_, n := utf8.DecodeLastRuneInString(m.filter)
		m.filter = m.filter[:len(m.filter)-n]
	default:
		if utf8.RuneCountInString(key) == 1 {
			m.filter += key
		}
	}
	m.first = 0
}

// View draws the screen.
func (m *table) View() string {
	all, broken := m.feed.list()
	nodes := m.chosen(all)
	m.rows = len(nodes)
	page := max(1, m.height-around)
	m.first = max(0, min(m.first, m.rows-page))
	var b strings.Builder
	b.WriteString(m.headline(all, broken) + "\n\n")
	sheet.Nodes(nodes[m.first:min(m.first+page, len(nodes))], time.Now()).Write(term.Paper{Out: &b, Width: m.width, Colour: m.colour})
	for range max(0, page-len(nodes)) {
		b.WriteByte('\n')
	}
	b.WriteString(m.footer())
	return b.String()
}

// chosen filters and sorts.
func (m *table) chosen(nodes []api.Node) []api.Node {
	if want := strings.ToLower(m.filter); want != "" {
		nodes = slices.DeleteFunc(nodes, func(n api.Node) bool {
			return !strings.Contains(strings.ToLower(n.Name+" "+n.State+" "+strings.Join(n.Tags, " ")), want)
		})
	}
	order := orders()[m.sort]
	slices.SortFunc(nodes, func(x, y api.Node) int {
		c := order(&x, &y)
		if c == 0 {
			c = cmp.Compare(x.Name, y.Name)
		}
		if m.turned {
			return -c
		}
		return c
	})
	return nodes
}

// headline says how the fleet is, or that what is shown is old.
func (m *table) headline(nodes []api.Node, broken error) string {
	counts := map[string]int{}
	for i := range nodes {
		counts[nodes[i].State]++
	}
	parts := []string{term.Paint(fmt.Sprintf("%d nodes", len(nodes)), term.Bold, m.colour)}
	for _, state := range []string{"up", "down", "unknown", "pending", "stopped"} {
		if counts[state] > 0 {
			s := sheet.State(state)
			parts = append(parts, term.Paint(fmt.Sprintf("%s %d %s", s.Shape, counts[state], state), s.Ink, m.colour))
		}
	}
	if broken != nil {
		parts = append(parts, term.Paint("▲ not live: "+term.Clean(broken.Error()), term.Amber, m.colour))
	}
	return strings.Join(parts, "  ")
}

func (m *table) footer() string {
	if m.typing {
		return "/" + term.Clean(m.filter) + "█"
	}
	by := m.sort
	if m.turned {
		by += ", turned"
	}
	text := fmt.Sprintf("by %s · s n c m d l w sort · / filter · q end", by)
	if m.filter != "" {
		text = fmt.Sprintf("%d match %q · esc all · ", m.rows, term.Clean(m.filter)) + text
	}
	return term.Paint(term.Cut(text, m.width), term.Dim, m.colour)
}
