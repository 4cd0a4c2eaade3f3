package checks

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"muster"
	"muster/api"
	"muster/internal/check"
	"muster/internal/roster"
	"muster/internal/series"
	"muster/internal/shape"
	"muster/internal/web/chart"
	"muster/internal/web/shell"
)

// checkBody is what check.html is filled with.
type checkBody struct {
	now
	CSRF    string
	MayAct  bool
	Rev     uint64
	Kind    string
	Target  string
	Link    string // where the target leads, for web pages
	Node    string // name of the node it belongs to
	NodeID  string
	Facts   []pair
	Push    *push
	Tried   *shown // what a run just now gave, for browsers without scripts
	Ranges  []choice
	Zoom    bool
	Panels  []panel
	Birth   int64
	Data    template.JS
	History history
}

// now is what changes with every result: the template "now".
type now struct {
	ID, Name string
	Enabled  bool
	State    string
	Words    string // the state in one sentence
	Since    time.Time
	Runs     []shell.Run
	Last     []shown // the newest of each zone
	Ups      []up
	Day      []stretch
	Old      bool // somebody looks at older results
}

// up is the uptime over one length of time.
type up struct {
	Span, Text, Words string
}

// push is how a job calls.
type push struct{ URL, Line string }

type choice struct {
	chart.Choice
	Href    string
	Current bool
}

// panel is a chart as the server writes it: its head, so that the page reads without scripts.
type panel struct {
	ID, Title, Number, Note string
	Mono, Known             bool
}

// history is a page of results.
type history struct {
	Rows  []line
	Zones bool // they are of several zones
	First string
	Next  string // address of older ones
	ID    string
}

// line is one result in the history.
type line struct {
	Status, Summary, Class, Means, Zone, Took string
	At                                        time.Time
}

const (
	historyRows = 50
	pointsUsual = 480
	pointsMost  = 2000
)

// get reads the check named in the address; it answers itself, and gives false, when there is none.
func (p *Page) get(w http.ResponseWriter, r *http.Request) (roster.Row, bool) {
	row, err := p.opts.Checks.Get(shell.Identity(r.Context()).Account, muster.CheckID(r.PathValue("id")))
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return row, false
	}
	return row, true
}

func (p *Page) checkPage(w http.ResponseWriter, r *http.Request) {
	if row, ok := p.get(w, r); ok {
		p.render(w, r, &row, nil)
	}
}

// render writes the page of one check, with what a run just now gave, if there was one.
func (p *Page) render(w http.ResponseWriter, r *http.Request, row *roster.Row, tried *shown) {
	ctx, v, c := r.Context(), shell.Identity(r.Context()), row.Check
	feed, err := p.feed(ctx, c, r.URL.Query())
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	data, err := feed.All(ctx, p.opts.Shell.Now())
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	b := checkBody{
		CSRF: v.CSRF, MayAct: v.Role.May(muster.Operator), Rev: c.Rev, Kind: c.Kind, Target: c.Target, Facts: facts(c), Tried: tried,
		Zoom: feed.Span.Name == "", Birth: c.CreatedAt.UnixMilli(), Data: template.JS(data.AppendJSON(nil)),
	}
	if !c.Node.IsZero() {
		b.Node, b.NodeID = p.nodeName(v.Account, c.Node), c.Node.String()
	}
	if c.Kind == "http" {
		b.Link = c.Target
	}
	if b.MayAct {
		b.Push = p.push(r, c)
	}
	for _, c := range chart.Ranges() {
		b.Ranges = append(b.Ranges, choice{Choice: c, Href: r.URL.Path + "?range=" + c.Name, Current: c.Name == feed.Span.Name})
	}
	for i := range data.Panels {
		b.Panels = append(b.Panels, presentPanel(&data.Panels[i]))
	}
	if b.History, err = p.history(ctx, c, r.URL.Query().Get("before")); err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	b.now = p.now(ctx, row)
	b.Old = r.URL.Query().Get("before") != ""
	p.one.Render(w, r, shell.Page{
		Title: c.Name, Nav: "checks", Live: true, Scripts: []string{shell.UPlot}, Styles: []string{shell.UPlotCSS, "chart/chart.css", "checks/checks.css"},
		Modules: []string{"checks/check.js"},
	}, &b)
}

// now reads what changes with every result. What the series can't tell now is left out.
func (p *Page) now(ctx context.Context, row *roster.Row) now {
	c := row.Check
	n := now{ID: string(c.ID), Name: c.Name, Enabled: c.Enabled, State: standing(row), Since: row.Since, Runs: runs(row.Recent)}
	n.Words = words(row, p.opts.Shell.Now())
	for i := range row.Last {
		res := shape.Result(&row.Last[i])
		n.Last = append(n.Last, show(&res))
	}
	for _, span := range []struct {
		name         string
		length, step time.Duration
	}{{"24 h", day, slotShort}, {"7 d", 7 * day, time.Hour}, {"30 d", 30 * day, time.Hour}} {
		u, lines := p.uptimeOver(ctx, c, span.length, span.step)
		n.Ups = append(n.Ups, up{span.name, u.Text(), u.Words(span.length, p.opts.Shell.Now())})
		if span.length == day {
			n.Day = dayOf(lines, p.opts.Shell.Now())
		}
	}
	return n
}

func (p *Page) uptimeOver(ctx context.Context, c *muster.Check, length, step time.Duration) (uptime, []series.Line) {
	lines, step, err := p.statusLines(ctx, c, length, step)
	if err != nil {
		return uptime{}, nil
	}
	return uptimeOf(lines, step, c.CreatedAt, p.opts.Shell.Now()), lines
}

// words says how a check is in one sentence.
func words(row *roster.Row, at time.Time) string {
	c := row.Check
	since := ""
	if !row.Since.IsZero() && at.Sub(row.Since) >= time.Second {
		since = " for " + shell.Span(at.Sub(row.Since))
	}
	switch {
	case !c.Enabled:
		return "It is switched off" + since + ": nothing runs and nobody is told."
	case len(row.Last) == 0 && c.Kind == roster.KindPush:
		return "It waits for its first call."
	case len(row.Last) == 0:
		return "It runs for the first time within " + shell.Span(c.Period) + "."
	}
	said := summary(worst(row))
	switch row.Status {
	case muster.StatusOK:
		return "All is well" + since + ": " + said
	case muster.StatusPending:
		return "It runs for the first time since it was switched on within " + shell.Span(c.Period) + "."
	case muster.StatusUnknown:
		if worst(row).Status != muster.StatusUnknown {
			return "Nobody knows" + since + ": no result came since " + shell.Span(at.Sub(last(row))) + " ago."
		}
		return "Nobody knows" + since + ": " + said
	}
	return strings.ToUpper(string(row.Status)[:1]) + string(row.Status)[1:] + since + ": " + said
}

// facts are the settings of a check that matter when one looks at it.
func facts(c *muster.Check) []pair {
	every := "Every"
	if c.Kind == roster.KindPush {
		every = "Called every"
	}
	out := []pair{{every, api.FormatDuration(c.Period)}}
	if c.Timeout > 0 {
		out = append(out, pair{"Time limit", api.FormatDuration(c.Timeout)})
	}
	return append(out, pair{"Runs in", strings.Join(c.Zones, ", ")})
}

// push says how a job calls; nil for other kinds.
func (p *Page) push(r *http.Request, c *muster.Check) *push {
	token := roster.PushToken(c)
	if token == "" {
		return nil
	}
	base := p.opts.PublicURL
	if base == "" {
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		base = scheme + "://" + r.Host
	}
	at := strings.TrimSuffix(base, "/") + api.PathPush + "/" + token
	return &push{URL: at, Line: "curl -fsS -m 10 --retry 3 " + at}
}

func presentPanel(d *chart.Drawn) panel {
	out := panel{ID: d.ID, Title: d.Title, Mono: d.Mono}
	v, note, _, ok := d.Current()
	if !ok {
		return out
	}
	number, unit := chart.Show(v, d.Unit)
	if unit == "%" {
		number, unit = number+" %", ""
	}
	out.Number, out.Known, out.Note = number, true, strings.TrimSpace(unit+" "+note)
	return out
}

// history reads a page of results, newest first.
func (p *Page) history(ctx context.Context, c *muster.Check, before string) (history, error) {
	h := history{ID: string(c.ID), Zones: len(c.Zones) > 1}
	results, next, err := p.opts.Checks.Results(ctx, c.Account, c.ID, before, historyRows)
	if err != nil {
		return h, err
	}
	for i := range results {
		h.Rows = append(h.Rows, lineOf(&results[i]))
	}
	if base := "/checks/" + h.ID; next != "" {
		h.Next = base + "?before=" + url.QueryEscape(next) + "#history"
	}
	if before != "" {
		h.First = "/checks/" + h.ID + "#history"
	}
	return h, nil
}

func lineOf(r *muster.Result) line {
	l := line{Status: string(r.Status), Summary: summary(r), Class: r.Class, Means: classes[r.Class], Zone: r.Zone, At: r.At, Took: "—"}
	if r.Duration > 0 {
		l.Took = check.Took(r.Duration)
	}
	return l
}

// feed gives what reads a check's charts.
func (p *Page) feed(ctx context.Context, c *muster.Check, q url.Values) (*chart.Feed, error) {
	span, err := chart.ParseRange(q, p.opts.Shell.Now(), c.CreatedAt)
	if err != nil {
		return nil, err
	}
	metrics, err := p.opts.Series.Metrics(ctx, c.Account, c.Subject())
	if errors.Is(err, muster.ErrNotFound) {
		err = nil // it never ran
	}
	if err != nil {
		return nil, fmt.Errorf("checks: charts: %w", err)
	}
	points := pointsUsual
	if n, err := strconv.Atoi(q.Get("points")); err == nil && n > 0 {
		points = min(n, pointsMost)
	}
	return &chart.Feed{Source: p.opts.Series, Account: c.Account, Node: c.Subject(), Period: c.Period, Span: span, Panels: panels(c, metrics), Points: points}, nil
}

// data answers with the points of all charts.
func (p *Page) data(w http.ResponseWriter, r *http.Request) {
	row, ok := p.get(w, r)
	if !ok {
		return
	}
	feed, err := p.feed(r.Context(), row.Check, r.URL.Query())
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	data, err := feed.All(r.Context(), p.opts.Shell.Now())
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	chart.WriteJSON(w, r, data.AppendJSON(nil))
}
