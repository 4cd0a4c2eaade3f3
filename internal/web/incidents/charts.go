package incidents

import (
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"muster"
	"muster/internal/alarm/rules"
	"muster/internal/web/chart"
)

// plot is a chart as the server writes it: its head, so that the page reads without scripts.
type plot struct {
	ID, Title, Number, Note string
	Mono                    bool

	panel chart.Panel
	marks marks
}

// marks are what is drawn into a chart, as assets/marks.js of the chart package reads them.
type marks struct {
	Limits []limit `json:"limits"`
	Spans  []span  `json:"spans"`
}

type limit struct {
	V     float64      `json:"v"`
	Level muster.Level `json:"level"`
}

type span struct {
	From  int64        `json:"from"` // Unix ms
	To    int64        `json:"to,omitempty"`
	Level muster.Level `json:"level"`
}

const (
	chartsShown = 3
	points      = 480
	usualPeriod = 10 * time.Second
)

// plots gives the charts of what the incident's alarms looked at.
func (p *Page) plots(s *scene, reasons []reason) []plot {
	var out []plot
	known := map[string]int{}
	for i := range reasons {
		t := reasons[i].transition
		a := s.alarms[t.Alarm]
		if a == nil {
			continue
		}
		panel, ok := s.panel(a, t)
		if !ok {
			continue
		}
		key := panel.Title + "\x00" + t.Series + string(t.Check)
		at, there := known[key]
		if !there {
			if len(out) == chartsShown {
				break
			}
			at = len(out)
			known[key] = at
			panel.ID = fmt.Sprintf("p%d", at)
			out = append(out, plot{ID: panel.ID, Title: panel.Title, Mono: panel.Mono, panel: panel, marks: marks{Limits: []limit{}, Spans: []span{}}})
		}
		m := &out[at].marks
		m.Limits = append(m.Limits, limitsOf(a, panel.Title == metricOf(a))...)
		m.Spans = append(m.Spans, s.spans(t)...)
	}
	return out
}

// panel gives the chart of what an alarm looked at: its metric, how long the check took when it is the check's
// status, the processor when it is that the agent reports, for its line ends where the silence begins.
func (s *scene) panel(a *muster.Alarm, t *muster.Transition) (chart.Panel, bool) {
	chosen := rules.MetricsOf(a)
	switch {
	case chosen.Name == "":
		panels := chart.Only(chart.Host(s.metrics), []string{"cpu"})
		if len(panels) == 0 {
			return chart.Panel{}, false
		}
		return panels[0], true
	case t.Check != "":
		name := chosen.Name
		if name == muster.CheckStatusMetric {
			name = muster.CheckDurationMetric
		}
		unit, ok := s.unit(name)
		head := chart.Panel{Title: name, Unit: unit, Now: chart.NowMost, Mono: true}
		if name == muster.CheckDurationMetric {
			head.Title, head.Mono, head.Unit = "Time each run took", false, chart.Seconds
		}
		return chart.Single(head, name, map[string]string{muster.CheckAttr: string(t.Check)}, func(m *muster.Metric) (string, string, bool) {
			return m.Key(), m.Attr(muster.ZoneAttr), true
		}), ok
	}
	unit, ok := s.unit(chosen.Name)
	head := chart.Panel{Title: chosen.Name, Unit: unit, Now: chart.NowMost, Mono: true}
	if unit == chart.Share {
		head.Max = 1
	}
	return chart.Single(head, chosen.Name, chosen.Exact(), func(m *muster.Metric) (string, string, bool) {
		return m.Key(), lineName(t.Series, m.Name), chosen.Hits(m) && (t.Series == "" || rules.Series(m, nil) == t.Series)
	}), ok
}

// lineName gives the values of a series' attributes, or the metric's name where it has none.
func lineName(series, metric string) string {
	var parts []string
	for part := range strings.SplitSeq(series, ", ") {
		if _, value, ok := strings.Cut(part, "="); ok {
			parts = append(parts, value)
		}
	}
	if len(parts) == 0 {
		return metric
	}
	return strings.Join(parts, " · ")
}

// limitsOf gives the limits of a rule, when the chart is of the metric it looks at.
func limitsOf(a *muster.Alarm, same bool) []limit {
	c := a.Condition
	if c == nil || !same {
		return nil
	}
	out := []limit{{V: c.Value, Level: a.Level}}
	if quirk := rules.QuirkOf(a); quirk.Abs {
		out = append(out, limit{V: -c.Value, Level: a.Level})
	}
	return out
}

// spans gives the times in which the alarm of a transition fired on that series.
func (s *scene) spans(of *muster.Transition) []span {
	var out []span
	open := false
	for i := range s.Transitions {
		t := &s.Transitions[i]
		if t.Alarm != of.Alarm || t.Series != of.Series {
			continue
		}
		switch {
		case t.To == muster.AlarmFiring && !open:
			out = append(out, span{From: t.At.UnixMilli(), Level: t.Level})
			open = true
		case t.To != muster.AlarmFiring && open:
			out[len(out)-1].To = t.At.UnixMilli()
			open = false
		}
	}
	if open && s.State == muster.IncidentResolved {
		out[len(out)-1].To = s.ResolvedAt.UnixMilli()
	}
	return out
}

// window gives the time the charts show: the incident, and before it enough to see what was usual.
func (s *scene) window(reasons []reason) chart.Range {
	const least, most, forecast = 15 * time.Minute, 6 * time.Hour, 6 * time.Hour
	end := s.now
	if s.State == muster.IncidentResolved {
		end = s.ResolvedAt
	}
	lasted := max(end.Sub(s.OpenedAt), 0)
	before := min(max(lasted, least), most)
	for i := range reasons {
		if a := s.alarms[reasons[i].transition.Alarm]; a != nil && a.Condition != nil && a.Condition.Fn == muster.FnForecast {
			before = max(before, forecast)
		}
	}
	r := chart.Range{From: s.OpenedAt.Add(-before), To: s.now, Live: true}
	if after := end.Add(min(max(lasted/4, 5*time.Minute), time.Hour)); s.State == muster.IncidentResolved && after.Before(s.now) {
		r.To, r.Live = after, false
	}
	return r
}

// read gives the points of the charts, with what is drawn into them, as the page's script reads it:
//
//	{"live":bool,"from":MS,"to":MS,"marks":{"p0":{"limits":[...],"spans":[...]}},"data":{...}}
func (p *Page) read(ctx context.Context, s *scene, list []plot, window chart.Range) (*chart.Data, []byte, error) {
	feed := chart.Feed{Source: p.opts.Series, Account: s.Account, Node: s.Incident.Subject, Period: p.period(s), Span: window, Points: points}
	all := map[string]marks{}
	for i := range list {
		feed.Panels = append(feed.Panels, list[i].panel)
		all[list[i].ID] = list[i].marks
	}
	data, err := feed.All(ctx, s.now)
	if err != nil {
		return nil, nil, fmt.Errorf("incidents: charts: %w", err)
	}
	head, _ := json.Marshal(map[string]any{"live": window.Live, "from": window.From.UnixMilli(), "to": window.To.UnixMilli(), "marks": all}) // numbers and words: it can't fail
	b := append(head[:len(head)-1], `,"data":`...)
	return data, append(data.AppendJSON(b), '}'), nil
}

// period says how often what the incident is about is measured.
func (p *Page) period(s *scene) time.Duration {
	period := usualPeriod
	if n := p.node(s.Account, s.Node); n != nil && n.Period > 0 {
		period = n.Period
	}
	for _, id := range checksOf(s.Incident) {
		if row, err := p.opts.Checks.Get(s.Account, id); err == nil {
			period = max(period, row.Check.Period)
		}
	}
	return period
}

// draw puts the charts into the page. Points that can't be read now cost the charts and not the page.
func (p *Page) draw(ctx context.Context, s *scene, b *incidentBody) error {
	list := p.plots(s, b.Reasons)
	if len(list) == 0 {
		return nil
	}
	data, text, err := p.read(ctx, s, list, s.window(b.Reasons))
	if err != nil {
		return ctx.Err()
	}
	for i := range list {
		if v, note, _, ok := data.Panels[i].Current(); ok {
			number, unit := chart.Show(v, data.Panels[i].Unit)
			list[i].Number, list[i].Note = number, strings.TrimSpace(unit+" "+note)
		}
	}
	b.Charts, b.Data = list, template.JS(text)
	return nil
}

// data answers with the points of the charts, of the incident's own time or of "from" to "to".
func (p *Page) data(w http.ResponseWriter, r *http.Request) {
	s, err := p.find(r)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	p.measured(r.Context(), s)
	reasons := p.reasons(s)
	window := s.window(reasons)
	if q := r.URL.Query(); q.Has("from") {
		if window, err = chart.ParseRange(q, s.now, s.OpenedAt); err != nil {
			p.opts.Shell.Fail(w, r, err)
			return
		}
	}
	_, text, err := p.read(r.Context(), s, p.plots(s, reasons), window)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	chart.WriteJSON(w, r, text)
}
