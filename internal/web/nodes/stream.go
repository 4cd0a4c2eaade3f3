package nodes

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"muster"
	"muster/internal/inventory"
	"muster/internal/live"
	"muster/internal/web/shell"
)

const (
	mostOnScreen = 200                    // rows one stream may follow
	restBetween  = 250 * time.Millisecond // between two events, so that many small changes become one
	listEvery    = 3 * time.Second        // how often the order of the rows on screen is looked at
	beatEvery    = 15 * time.Second
	streamLife   = 5 * time.Minute // then the browser comes again, and its session is looked at again
)

// follower serves one stream: the rows one screen shows, in their order.
type follower struct {
	page    *Page
	out     *shell.Stream
	account muster.AccountID
	ask     asked
	ids     []muster.NodeID
	at      map[muster.NodeID]int
	shown   []shown
	counts  string
	total   int
	spoke   time.Time
	listed  time.Time
}

// shown is what the screen has of a row.
type shown struct {
	values [5]float64
	fixed  string
}

// live streams the changes of the rows named by "ids", which a screen shows from row "from" on in the list given by "q" and "sort":
//
//	hello {"now": Unix ms here}
//	v     [[index, cpu, memory, disk, in, out], ...]   whole percents and Mb/s; -1 unknown, null as before; what is left out at the end too
//	row   {"i": index, "html": "<tr ..."}              a row of which more than the values changed
//	list  {"total": n, "same": bool}                   other rows than these belong there now, or another number matches
//	counts {}                                          the numbers of nodes by state are others
//	bye   {}                                           come again
func (p *Page) live(w http.ResponseWriter, r *http.Request) {
	a, err := p.asked(r)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	f := &follower{page: p, account: shell.Identity(r.Context()).Account, ask: a, at: map[muster.NodeID]int{}, total: -1}
	for text := range strings.SplitSeq(r.URL.Query().Get("ids"), ",") {
		id, err := muster.ParseNodeID("node_" + text)
		if err != nil || len(f.ids) == mostOnScreen {
			break
		}
		f.at[id] = len(f.ids)
		f.ids = append(f.ids, id)
	}
	f.shown = make([]shown, len(f.ids))
	for i := range f.shown {
		for k := range f.shown[i].values {
			f.shown[i].values[k] = math.NaN() // equal to nothing: the first event has all values
		}
	}
	if f.out, err = shell.OpenStream(w); err != nil {
		return
	}
	want := live.Want{Topics: []string{live.TopicNodes}, Nodes: map[muster.NodeID]struct{}{}}
	for _, id := range f.ids {
		want.Nodes[id] = struct{}{}
	}
	sub := p.opts.Hub.Subscribe(f.account, want)
	defer sub.Close()
	f.run(r.Context(), sub)
}

// run ends with an error always: the reader's, or the end of the hub.
func (f *follower) run(ctx context.Context, sub *live.Subscription) {
	end := time.Now().Add(streamLife)
	err := f.send("hello", map[string]int64{"now": f.page.opts.Shell.Now().UnixMilli()})
	if err == nil {
		err = f.values(f.ids)
	}
	for err == nil {
		if time.Since(f.listed) >= listEvery {
			if err = f.list(); err != nil {
				return
			}
		}
		wait, cancel := context.WithTimeout(ctx, time.Second)
		messages, nextErr := sub.Next(wait)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case nextErr == nil:
			err = f.values(f.touched(messages))
		case !errors.Is(nextErr, context.DeadlineExceeded):
			return
		case time.Since(f.spoke) > beatEvery:
			f.spoke = time.Now()
			err = f.out.Beat()
		}
		if time.Now().After(end) {
			f.send("bye", struct{}{})
			return
		}
		pause(ctx, restBetween)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (f *follower) touched(messages []live.Message) []muster.NodeID {
	var ids []muster.NodeID
	for _, m := range messages {
		if m.Kind == live.KindResync {
			return f.ids
		}
		if _, here := f.at[m.Node]; here {
			ids = append(ids, m.Node)
		}
	}
	return ids
}

func (f *follower) send(event string, data any) error {
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	f.spoke = time.Now()
	return f.out.Send(event, b)
}

// values sends what changed of these rows.
func (f *follower) values(ids []muster.NodeID) error {
	now := f.page.opts.Shell.Now()
	buf := []byte{'['}
	for _, id := range ids {
		i := f.at[id]
		r, err := f.page.opts.Board.Get(f.account, id)
		if err != nil {
			f.listed = time.Time{} // it is gone: the list is looked at at once
			continue
		}
		line := present(&r, now)
		fixed := line.fixed()
		if was := f.shown[i].fixed; was != "" && was != fixed {
			if err := f.row(i, line); err != nil {
				return err
			}
		}
		f.shown[i].fixed = fixed
		if len(buf) > 1 {
			buf = append(buf, ',')
		}
		buf = f.shown[i].change(buf, i, &line)
	}
	if len(buf) == 1 {
		return nil
	}
	f.spoke = time.Now()
	return f.out.Send("v", append(buf, ']'))
}

func (f *follower) row(i int, line row) error {
	html, err := f.page.view.HTML("row", line)
	if err != nil {
		return err
	}
	return f.send("row", struct {
		I    int    `json:"i"`
		HTML string `json:"html"`
	}{i, string(html)})
}

// change appends [index, values...] with null for what is as before.
func (s *shown) change(b []byte, i int, r *row) []byte {
	next := [5]float64{percent(r.CPU), percent(r.Memory), percent(r.Disk), mbit(r.NetIn), mbit(r.NetOut)}
	last := -1
	for k := range next {
		if next[k] != s.values[k] {
			last = k
		}
	}
	b = append(b, '[')
	b = strconv.AppendInt(b, int64(i), 10)
	for k := range last + 1 {
		b = append(b, ',')
		if next[k] == s.values[k] {
			b = append(b, "null"...)
			continue
		}
		b = strconv.AppendFloat(b, next[k], 'f', -1, 64)
	}
	s.values = next
	return append(b, ']')
}

func percent(share float64) float64 {
	if math.IsNaN(share) {
		return -1
	}
	return math.Round(share * 100)
}

func mbit(bytesPerSecond float64) float64 {
	if math.IsNaN(bytesPerSecond) {
		return -1
	}
	return math.Round(bytesPerSecond*8/1e5) / 10
}

// list looks whether the screen still shows the rows that belong there.
func (f *follower) list() error {
	f.listed = time.Now()
	if counts := countsText(f.page.opts.Board.Counts(f.account)); counts != f.counts {
		first := f.counts == ""
		f.counts = counts
		if !first {
			if err := f.send("counts", struct{}{}); err != nil {
				return err
			}
		}
	}
	rows, total := f.page.find(f.account, f.ask, f.ask.from, max(len(f.ids), 1))
	same := f.same(rows)
	if same && (total == f.total || f.total < 0) {
		f.total = total
		return nil
	}
	f.total = total
	return f.send("list", struct {
		Total int  `json:"total"`
		Same  bool `json:"same"`
	}{total, same})
}

func (f *follower) same(rows []inventory.Row) bool {
	if len(f.ids) == 0 {
		return len(rows) == 0
	}
	if len(rows) != len(f.ids) {
		return false
	}
	for i := range rows {
		if rows[i].Node.ID != f.ids[i] {
			return false
		}
	}
	return true
}

func countsText(counts map[muster.NodeState]int) string {
	b, _ := json.Marshal(counts) // sorted by key
	return string(b)
}
