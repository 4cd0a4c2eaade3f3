// Package addserver gives the page that adds a server: the one line to paste there, which agents there are
// with their checksums, and what happens until the new node is measured, as it happens.
package addserver

import (
	"context"
	"embed"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"muster"
	"muster/internal/inventory"
	"muster/internal/live"
	"muster/internal/web/shell"
)

//go:embed addserver.html assets
var files embed.FS

// Board is where nodes come from; *inventory.Inventory is one.
type Board interface {
	Get(account muster.AccountID, id muster.NodeID) (inventory.Row, error)
}

// Hub tells of nodes that join; *live.Hub is one.
type Hub interface {
	Subscribe(account muster.AccountID, want live.Want) *live.Subscription
}

// Agent is one agent that a new machine can fetch from here.
type Agent struct {
	OS, Arch string // as Go calls them: "linux", "arm64"
	Size     int64  // bytes
	SHA256   string // hexadecimal
	URL      string // where it is fetched from, on this server
}

// Bytes gives the size for templates.
func (a Agent) Bytes() float64 { return float64(a.Size) }

// Options are the page's doors.
type Options struct {
	Shell *shell.Shell
	Board Board
	Hub   Hub
	// Agents lists what can be fetched.
	Agents func() []Agent
}

// Page serves the page. It is safe for concurrent use.
type Page struct {
	opts Options
	view *shell.View[body]
}

// New makes the page.
func New(o Options) *Page {
	return &Page{opts: o, view: shell.NewView[body](o.Shell, "addserver", files, "addserver.html")}
}

// Routes adds the page's addresses.
func (p *Page) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /nodes/add", p.show)
	mux.HandleFunc("GET /nodes/add/live", p.live)
}

// body is what addserver.html is filled with.
type body struct {
	May    bool // the viewer may invite agents
	Inside bool // the address in the browser's bar leads nowhere from another machine
	Host   string
	Agents []Agent
}

func (p *Page) show(w http.ResponseWriter, r *http.Request) {
	b := &body{May: shell.Identity(r.Context()).Role.May(muster.Operator), Inside: inside(r.Host), Host: r.Host}
	if p.opts.Agents != nil {
		b.Agents = p.opts.Agents()
	}
	slices.SortFunc(b.Agents, func(x, y Agent) int { return strings.Compare(x.OS+" "+x.Arch, y.OS+" "+y.Arch) })
	p.view.Render(w, r, shell.Page{Title: "Add a server", Nav: "nodes", Live: true, Styles: []string{"addserver/addserver.css"}, Modules: []string{"addserver/addserver.js"}}, b)
}

// inside says whether an address means the machine itself, whoever asks.
func inside(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

const (
	beatEvery  = 15 * time.Second
	streamLife = 5 * time.Minute
	most       = 100 // nodes that one open page follows
)

// joined is what the page learns of a node that came.
type joined struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	System   string `json:"system"`
	Address  string `json:"address"`
	Measured bool   `json:"measured"` // its first frame is here
}

// live streams the nodes that join while the page is open:
//
//	joined {"id","name","system","address","measured"}   once when it joins, once more when its first measurements came
//	bye    {}                                            come again
func (p *Page) live(w http.ResponseWriter, r *http.Request) {
	v := shell.Identity(r.Context())
	out, err := shell.OpenStream(w)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), streamLife)
	defer cancel()
	sub := p.opts.Hub.Subscribe(v.Account, live.Want{Topics: []string{live.TopicEvents}})
	defer sub.Close()
	came := make(chan muster.NodeID, most)
	go arrivals(ctx, sub, came)
	f := follower{page: p, out: out, account: v.Account, told: map[muster.NodeID]bool{}}
	if f.run(ctx, came) == nil && r.Context().Err() == nil {
		out.Send("bye", []byte("{}"))
	}
}

// arrivals reads the changelog's new lines for nodes that joined; it closes came when the subscription ends.
func arrivals(ctx context.Context, sub *live.Subscription, came chan<- muster.NodeID) {
	defer close(came)
	for {
		messages, err := sub.Next(ctx)
		if err != nil {
			return
		}
		for _, m := range messages {
			e, ok := m.Data.(muster.Event)
			if !ok || e.Kind != "node.joined" {
				continue
			}
			if id, err := muster.ParseNodeID(e.Subject); err == nil {
				select {
				case came <- id:
				case <-ctx.Done():
					return
				}
			}
		}
	}
}

type follower struct {
	page    *Page
	out     *shell.Stream
	account muster.AccountID
	told    map[muster.NodeID]bool // value: that it is measured was told too
}

func (f *follower) run(ctx context.Context, came <-chan muster.NodeID) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	spoke := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case id, open := <-came:
			if !open {
				return nil
			}
			if _, known := f.told[id]; !known && len(f.told) < most {
				f.told[id] = false
				if err := f.tell(id, true); err != nil {
					return err
				}
			}
		case <-tick.C:
			for id, done := range f.told {
				if !done {
					if err := f.tell(id, false); err != nil {
						return err
					}
				}
			}
		}
		if time.Since(spoke) > beatEvery {
			spoke = time.Now()
			if err := f.out.Beat(); err != nil {
				return err
			}
		}
	}
}

// tell sends a node that joined: at first, and when it was measured.
func (f *follower) tell(id muster.NodeID, first bool) error {
	row, err := f.page.opts.Board.Get(f.account, id)
	if err != nil {
		f.told[id] = true // it went again
		return nil
	}
	f.told[id] = !row.Now.LastSeen.IsZero()
	if !first && !f.told[id] {
		return nil
	}
	n := row.Node
	j := joined{ID: id.String(), Name: n.Name, System: strings.TrimSpace(strings.TrimSuffix(n.Facts["os.name"], " GNU/Linux") + " " + n.Facts["os.version"]), Measured: f.told[id]}
	if len(n.Addresses) > 0 {
		j.Address = n.Addresses[0]
	}
	b, _ := json.Marshal(j) // strings and a bool: it can't fail
	return f.out.Send("joined", b)
}
