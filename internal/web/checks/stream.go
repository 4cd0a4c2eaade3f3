package checks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"muster"
	"muster/internal/live"
	"muster/internal/roster"
	"muster/internal/web/shell"
)

const (
	mostOnScreen = 200                    // rows one stream may follow
	restBetween  = 400 * time.Millisecond // between two looks, so that many results become one change
	listEvery    = 3 * time.Second        // how often the order of the rows on screen is looked at
)

// follower serves one stream: the rows one screen shows, in their order.
type follower struct {
	page   *Page
	out    *shell.Stream
	viewer shell.Viewer
	ask    asked
	ids    []muster.CheckID
	at     map[muster.CheckID]int
	sums   []string // what the screen has of each row
	counts string
	total  int
	spoke  time.Time
	listed time.Time
	dirty  map[muster.CheckID]bool
}

// listLive streams the changes of the rows named by "ids" ("check_...:sum,..." without the prefix, as their data-sum
// says), which a screen shows from row "from" on in the list given by the rest of the address:
//
//	hello  {"now": Unix ms here}
//	row    {"i": index, "html": "<tr ..."}   a row that looks different now
//	list   {"total": n, "same": bool}        other rows than these belong there now, or another number matches
//	counts {}                                the numbers above the table are others
//	bye    {}                                come again
func (p *Page) listLive(w http.ResponseWriter, r *http.Request) {
	f := &follower{page: p, viewer: shell.Identity(r.Context()), ask: ask(r.URL.Query()), at: map[muster.CheckID]int{}, dirty: map[muster.CheckID]bool{}, total: -1}
	for text := range strings.SplitSeq(r.URL.Query().Get("ids"), ",") {
		key, sum, _ := strings.Cut(text, ":")
		id, _, ok := muster.CheckOfSource("check_" + key)
		if !ok || len(f.ids) == mostOnScreen {
			break
		}
		f.at[id] = len(f.ids)
		f.ids, f.sums = append(f.ids, id), append(f.sums, sum)
		f.dirty[id] = true // it may have changed since the page was made
	}
	var err error
	if f.out, err = shell.OpenStream(w); err != nil {
		return
	}
	sub := p.opts.Hub.Subscribe(f.viewer.Account, live.Want{Topics: []string{live.TopicResults, live.TopicChecks}})
	defer sub.Close()
	ctx, cancel := context.WithTimeout(r.Context(), streamLife)
	defer cancel()
	if f.run(ctx, sub) == nil && r.Context().Err() == nil {
		f.send("bye", struct{}{})
	}
}

// run sends until the stream's time is up; the error is the reader's.
func (f *follower) run(ctx context.Context, sub *live.Subscription) error {
	if err := f.send("hello", map[string]int64{"now": f.page.opts.Shell.Now().UnixMilli()}); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if err := f.rows(ctx); err != nil {
			return err
		}
		if time.Since(f.listed) >= listEvery {
			if err := f.list(); err != nil {
				return err
			}
		}
		wait, cancel := context.WithTimeout(ctx, time.Second)
		messages, err := sub.Next(wait)
		cancel()
		switch {
		case err == nil:
			f.touch(messages)
		case !errors.Is(err, context.DeadlineExceeded):
			return nil // the server stops
		case time.Since(f.spoke) > beatEvery:
			f.spoke = time.Now()
			if err := f.out.Beat(); err != nil {
				return err
			}
		}
		pause(ctx, restBetween)
	}
	return nil
}

// touch notes which rows on screen the messages are about.
func (f *follower) touch(messages []live.Message) {
	for i := range messages {
		id, all := about(&messages[i])
		if all {
			for _, id := range f.ids {
				f.dirty[id] = true
			}
		}
		if _, here := f.at[id]; here {
			f.dirty[id] = true
		}
	}
}

// about says which check a message is about; all is true when it may be any.
func about(m *live.Message) (id muster.CheckID, all bool) {
	switch d := m.Data.(type) {
	case *muster.Result:
		return d.Check, false
	case roster.Change:
		return d.Check, false
	}
	return "", m.Kind == live.KindResync
}

func (f *follower) send(event string, data any) error {
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	f.spoke = time.Now()
	return f.out.Send(event, b)
}

// rows sends those rows that look different from what the screen has.
func (f *follower) rows(ctx context.Context) error {
	var changed []roster.Row
	for _, id := range f.ids {
		if !f.dirty[id] {
			continue
		}
		r, err := f.page.opts.Checks.Get(f.viewer.Account, id)
		if err != nil {
			f.listed = time.Time{} // it is gone: the list is looked at at once
			continue
		}
		changed = append(changed, r)
	}
	clear(f.dirty)
	for _, line := range f.page.present(ctx, f.viewer.Account, changed) {
		i := f.at[muster.CheckID(line.ID)]
		if line.Sum == f.sums[i] {
			continue
		}
		f.sums[i] = line.Sum
		html, err := f.page.list.HTML("row", line)
		if err != nil {
			return err
		}
		if err := f.send("row", map[string]any{"i": i, "html": string(html)}); err != nil {
			return err
		}
	}
	return nil
}

// list looks whether the screen still shows the rows that belong there.
func (f *follower) list() error {
	f.listed = time.Now()
	found := f.page.find(f.viewer.Account, f.ask)
	counts := fmt.Sprint(found.all, found.stand, found.kinds) // maps are printed sorted
	if f.counts != "" && counts != f.counts {
		if err := f.send("counts", struct{}{}); err != nil {
			return err
		}
	}
	f.counts = counts
	total := len(found.rows)
	same := f.same(found.rows[min(f.ask.from, total):])
	if same && (total == f.total || f.total < 0) {
		f.total = total
		return nil
	}
	f.total = total
	return f.send("list", map[string]any{"total": total, "same": same})
}

func (f *follower) same(rows []roster.Row) bool {
	if len(f.ids) == 0 {
		return len(rows) == 0
	}
	if len(rows) < len(f.ids) {
		return false
	}
	for i, id := range f.ids {
		if rows[i].Check.ID != id {
			return false
		}
	}
	return true
}
