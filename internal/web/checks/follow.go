package checks

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"muster"
	"muster/internal/live"
	"muster/internal/web/chart"
	"muster/internal/web/shell"
)

// watcher serves the stream of one check's page.
type watcher struct {
	page  *Page
	out   *shell.Stream
	check *muster.Check
	feed  *chart.Feed
	still bool      // the charts show a span that does not move
	seen  time.Time // of the newest result that was told, by zone alike
	spoke time.Time
}

// checkLive streams what the page of a check shows:
//
//	hello  {"now": Unix ms here}
//	points the newest points of all charts, as data has them, without what the page knows
//	now    {"state", "rev", "html"}   the state, the newest results, the uptime
//	lines  {"html": "<tr ..."}        new rows for the top of the history
//	gone   {}                         the check was deleted
//	bye    {}                         come again
func (p *Page) checkLive(w http.ResponseWriter, r *http.Request) {
	row, ok := p.get(w, r)
	if !ok {
		return
	}
	q := r.URL.Query()
	feed, err := p.feed(r.Context(), row.Check, q)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	f := &watcher{page: p, check: row.Check, feed: feed, still: q.Get("still") != "" || !feed.Span.Live, seen: last(&row)}
	if f.out, err = shell.OpenStream(w); err != nil {
		return
	}
	sub := p.opts.Hub.Subscribe(row.Check.Account, live.Want{Topics: []string{live.TopicResults, live.TopicChecks}})
	defer sub.Close()
	ctx, cancel := context.WithTimeout(r.Context(), streamLife)
	defer cancel()
	if f.run(ctx, sub) == nil && r.Context().Err() == nil {
		f.send("bye", []byte("{}"))
	}
}

func (f *watcher) send(event string, data []byte) error {
	f.spoke = time.Now()
	return f.out.Send(event, data)
}

// run sends until the stream's time is up; the error is the reader's, or that the check is gone.
func (f *watcher) run(ctx context.Context, sub *live.Subscription) error {
	hello, _ := json.Marshal(map[string]int64{"now": f.page.opts.Shell.Now().UnixMilli()})
	if err := f.send("hello", hello); err != nil {
		return err
	}
	for due := true; ctx.Err() == nil; {
		if due { // at the start too: something may have changed since the page was made
			if err := f.tell(ctx); err != nil {
				return err
			}
			pause(ctx, max(f.feed.Rest(), restBetween))
		}
		wait, cancel := context.WithTimeout(ctx, beatEvery)
		messages, err := sub.Next(wait)
		cancel()
		switch due = false; {
		case err == nil:
			due = f.concerns(messages)
		case !errors.Is(err, context.DeadlineExceeded):
			return nil // the server stops
		}
		if time.Since(f.spoke) > beatEvery {
			f.spoke = time.Now()
			if err := f.out.Beat(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *watcher) concerns(messages []live.Message) bool {
	for i := range messages {
		if id, all := about(&messages[i]); all || id == f.check.ID {
			return true
		}
	}
	return false
}

var errGone = errors.New("checks: the check was deleted")

// tell sends how the check is now, the new rows of its history and the new points of its charts.
func (f *watcher) tell(ctx context.Context) error {
	row, err := f.page.opts.Checks.Get(f.check.Account, f.check.ID)
	if err != nil {
		f.send("gone", []byte("{}"))
		return errGone
	}
	f.check = row.Check
	n := f.page.now(ctx, &row)
	html, err := f.page.one.HTML("now", &n)
	if err != nil {
		return err
	}
	b, err := json.Marshal(map[string]any{"state": n.State, "rev": row.Check.Rev, "enabled": row.Check.Enabled, "html": string(html)})
	if err != nil {
		return err
	}
	if err := f.send("now", b); err != nil {
		return err
	}
	if err := f.lines(ctx, last(&row)); err != nil || f.still {
		return err
	}
	data, some, err := f.feed.Tell(ctx, f.page.opts.Shell.Now())
	if err != nil || !some {
		return nil // what can't be read now comes with the next result
	}
	return f.send("points", data.AppendNews(nil))
}

// lines sends the results since the last time, oldest first.
func (f *watcher) lines(ctx context.Context, newest time.Time) error {
	if !newest.After(f.seen) {
		return nil
	}
	results, _, err := f.page.opts.Checks.Results(ctx, f.check.Account, f.check.ID, "", historyRows)
	if err != nil {
		return nil // the page is whole again when it is loaded again
	}
	h := history{Zones: len(f.check.Zones) > 1}
	for i := range results {
		if results[i].At.After(f.seen) {
			h.Rows = append(h.Rows, lineOf(&results[i]))
		}
	}
	if f.seen = newest; len(h.Rows) == 0 {
		return nil
	}
	html, err := f.page.one.HTML("lines", &h)
	if err != nil {
		return err
	}
	b, err := json.Marshal(map[string]string{"html": string(html)})
	if err != nil {
		return err
	}
	return f.send("lines", b)
}
