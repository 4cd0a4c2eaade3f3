package overview

import (
	"fmt"
	"net/http"
	"time"

	"muster"
	"muster/internal/web/shell"
)

// changesShown is how many lines one page of the changelog has.
const changesShown = 100

// day is the lines of one day, of this server's zone.
type day struct {
	Title  string
	Events []muster.Event
}

func (p *Page) changelog(w http.ResponseWriter, r *http.Request) {
	before := r.URL.Query().Get("before")
	events, next, err := p.opts.Events(r.Context(), shell.Identity(r.Context()).Account, before, changesShown)
	if err != nil {
		p.opts.Shell.Fail(w, r, fmt.Errorf("overview: changelog: %w", err))
		return
	}
	b := &changes{Next: next, Top: before == "", Days: byDay(events, p.opts.Shell.Now())}
	p.log.Render(w, r, shell.Page{Title: "Changelog", Nav: "changelog", Styles: []string{"overview/overview.css"}}, b)
}

func byDay(events []muster.Event, now time.Time) []day {
	var out []day
	for _, e := range events {
		title := e.At.In(now.Location()).Format("Monday, 2 January 2006")
		if len(out) == 0 || out[len(out)-1].Title != title {
			out = append(out, day{Title: title})
		}
		last := &out[len(out)-1]
		last.Events = append(last.Events, e)
	}
	return out
}
