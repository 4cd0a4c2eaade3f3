package main

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

	"github.com/spf13/cobra"

	"muster/api"
	"muster/client"
	"muster/internal/sheet"
	"muster/internal/term"
)

func (a *app) topCommand() *cobra.Command {
	var query, sort string
	cmd := &cobra.Command{
		Use: "top [QUERY...]", Short: "Watch the nodes live in the terminal",
		Long: "Watch the nodes live. Keys: s state, n name, c CPU, m memory, d disk, l load, w network (again: the other way round),\n" +
			"/ filter by name or tag, esc all, arrows, page up and down, q end.",
		RunE: func(cmd *cobra.Command, args []string) error {
			query = strings.Join(args, " ")
			c, err := a.client()
			if err != nil {
				return err
			}
			if a.Width == 0 || a.output != "table" {
				nodes, err := collect(c.AllNodes(cmd.Context(), client.ListOptions{Query: query}), 0)
				if err != nil {
					return err
				}
				return a.printNodes(nodes)
			}
			return a.watch(cmd.Context(), c, query, sort)
		},
	}
	cmd.Flags().StringVar(&sort, "sort", "state", "`field`: name, state, cpu, memory, disk, load or net")
	return cmd
}

// watch runs the live table until somebody ends it.
func (a *app) watch(ctx context.Context, c *client.Client, query, sort string) error {
	if _, known := orders()[sort]; !known {
		return usagef("--sort %q: it must be name, state, cpu, memory, disk, load or net", sort)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	feed := &feed{client: c, query: query}
	if err := feed.load(ctx); err != nil {
		return err
	}
	m := &top{feed: feed, sort: sort, colour: a.Colour, width: a.Width, height: 24}
	var wg sync.WaitGroup
	wg.Go(func() { feed.follow(ctx) })
	err := a.screen(ctx, m)
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

// top is the live table: a picture of a feed.
type top struct {
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
func (m *top) Resize(width, height int) { m.width, m.height = width, height }

// around is how many lines stand around the rows.
const around = 4

// Key does what a key says.
func (m *top) Key(key string) (end bool) {
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
func (m *top) edit(key string) {
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
func (m *top) View() string {
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
func (m *top) chosen(nodes []api.Node) []api.Node {
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
func (m *top) headline(nodes []api.Node, broken error) string {
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

func (m *top) footer() string {
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
