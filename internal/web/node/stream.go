package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"muster"
	"muster/internal/live"
	"muster/internal/web/chart"
	"muster/internal/web/shell"
)

const (
	beatEvery    = 15 * time.Second
	streamLife   = 5 * time.Minute // then the browser comes again, and its session is looked at again
	quickPeriod  = time.Second
	quickLength  = 20 * time.Second
	quickenEvery = 10 * time.Second
	quickWidth   = time.Hour // wider ranges gain nothing from measuring every second
)

// follower serves one page's stream.
type follower struct {
	page   *Page
	out    *shell.Stream
	head   head
	all    bool // the table of all metrics looks
	still  bool // the range does not move
	feed   *chart.Feed
	said   string // the last "head" event
	values map[string]string
	spoke  time.Time
}

// live streams what a page of the node shows:
//
//	hello  {"now": Unix ms here}
//	points the newest points of all charts, in the form of data, without what the page knows
//	head   {"state","html","mark"}   when the node's state changed
//	values {"at": Unix ms,"total": n,"values":{"row id": "text", ...}}   of the table of all metrics: those that changed
//	bye    {}   come again
//
// While it lasts, the node's agent is asked to measure every second.
func (p *Page) live(w http.ResponseWriter, r *http.Request) {
	h, ok := p.find(w, r, "")
	if !ok {
		return
	}
	q := r.URL.Query()
	span, err := chart.ParseRange(q, p.opts.Shell.Now(), h.Node.CreatedAt)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	f := &follower{page: p, head: h, all: q.Get("all") != "", still: q.Get("still") != "" || !span.Live, values: map[string]string{}}
	var panels []chart.Panel
	if !f.all && !f.still {
		if panels, err = p.asked(r.Context(), &h, q); err != nil {
			p.opts.Shell.Fail(w, r, err)
			return
		}
	}
	f.feed = p.feed(&h, panels, span, points(q.Get("points")))
	if f.out, err = shell.OpenStream(w); err != nil {
		return
	}
	hello, _ := json.Marshal(map[string]int64{"now": p.opts.Shell.Now().UnixMilli()})
	if f.out.Send("hello", hello) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), streamLife)
	defer cancel()
	sub := p.opts.Hub.Subscribe(h.Account, live.Want{Topics: []string{live.TopicNodes}, Nodes: map[muster.NodeID]struct{}{h.Node.ID: {}}})
	defer sub.Close()
	f.run(ctx, wakes(ctx, sub))
	if r.Context().Err() == nil {
		f.out.Send("bye", []byte("{}"))
	}
}

// wakes gives a channel that has something whenever the node changed; it is closed when the subscription ends.
func wakes(ctx context.Context, sub *live.Subscription) <-chan struct{} {
	c := make(chan struct{}, 1)
	go func() {
		defer close(c)
		for {
			if _, err := sub.Next(ctx); err != nil {
				return
			}
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}()
	return c
}

// run sends until the stream's time is up or the browser is gone. What arrives during a rest is sent after it.
func (f *follower) run(ctx context.Context, wake <-chan struct{}) {
	beat := time.NewTicker(time.Second)
	defer beat.Stop()
	var quickened time.Time
	f.spoke = time.Now()
	for {
		if time.Since(quickened) >= quickenEvery {
			f.quicken()
			quickened = time.Now()
		}
		changed := false
		select {
		case <-ctx.Done():
			return
		case _, open := <-wake:
			if !open {
				return
			}
			changed = true
		case <-beat.C:
		}
		if f.tellHead() != nil || changed && f.tell(ctx) != nil {
			return
		}
		if changed {
			rest(ctx, f.feed.Rest())
		}
		if time.Since(f.spoke) > beatEvery {
			if f.out.Beat() != nil {
				return
			}
			f.spoke = time.Now()
		}
	}
}

func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// quicken asks the node's agent to measure every second for a little longer.
func (f *follower) quicken() {
	if f.page.opts.Quicken == nil || f.still || f.feed.Span.To.Sub(f.feed.Span.From) > quickWidth {
		return
	}
	f.page.opts.Quicken(f.head.Account, f.head.Node.ID, quickPeriod, quickLength)
}

func (f *follower) send(event string, data []byte) error {
	f.spoke = time.Now()
	return f.out.Send(event, data)
}

// tell sends what the frames that arrived changed on the page.
func (f *follower) tell(ctx context.Context) error {
	if f.all {
		return f.tellValues(ctx)
	}
	if f.still {
		return nil
	}
	return f.tellPoints(ctx)
}

// tellPoints sends the points since the last time. A read that fails is left out; the next one makes up for it.
func (f *follower) tellPoints(ctx context.Context) error {
	data, some, err := f.feed.Tell(ctx, f.page.opts.Shell.Now())
	if err != nil || !some {
		return ctx.Err()
	}
	return f.send("points", data.AppendNews(nil))
}

// tellHead sends the node's state when it changed.
func (f *follower) tellHead() error {
	row, err := f.page.opts.Board.Get(f.head.Account, f.head.Node.ID)
	if err != nil {
		return err
	}
	said := string(row.Now.State) + " " + fmt.Sprint(row.Now.Connected)
	if f.said == said {
		return nil
	}
	first := f.said == ""
	f.said = said
	if first && row.Now.State == f.head.State {
		return nil
	}
	f.head.State, f.head.Since, f.head.Now = row.Now.State, row.Now.Since, row.Now
	f.head.Words = stateWords(&row, f.page.opts.Shell.Now())
	html, err1 := f.page.graphs.HTML("state", &f.head)
	mark, err2 := f.page.graphs.HTML("mark", &f.head)
	if err1 != nil || err2 != nil {
		return nil // the page keeps what it has; the log says why
	}
	b, _ := json.Marshal(map[string]any{"state": row.Now.State, "html": string(html), "mark": string(mark)})
	return f.send("head", b)
}
