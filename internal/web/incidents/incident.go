package incidents

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"muster"
	"muster/internal/series"
	"muster/internal/web/chart"
	"muster/internal/web/shell"
)

// incidentBody is what incident.html is filled with.
type incidentBody struct {
	row
	Subject  string // address of the node or check; empty when it has no page
	Name     string // of it
	Tags     []string
	TakenAt  time.Time
	MayAct   bool // the viewer may change something
	Quiet    []quiet
	Silences []length // how long it may be silenced; none when that makes no sense
	Firing   []firing
	Reasons  []reason
	Evidence []evidence
	Timeline []entry
	Cut      int
	Untold   bool // no channel works: nobody is told
	Channels string
	Charts   []plot
	Data     template.JS
}

// length is a time that can be chosen.
type length struct {
	Value, Title string
	Length       time.Duration
}

// lengths are the times for which people are not told.
var lengths = []length{{"1h", "1 h", time.Hour}, {"4h", "4 h", 4 * time.Hour}, {"1d", "1 day", 24 * time.Hour}, {"1w", "1 week", 7 * 24 * time.Hour}}

// quiet is a suppression that holds now.
type quiet struct {
	ID    muster.SuppressionID
	Until time.Time
	By    string
	Why   string
}

// firing is an alarm that fires now.
type firing struct {
	Level  muster.Level
	Name   string
	Href   string
	Series string
	Why    string
	Since  time.Time
}

// scene is an incident with what a page of it is made of.
type scene struct {
	*muster.Incident
	viewer     shell.Viewer
	now        time.Time
	alarms     map[muster.AlarmID]*muster.Alarm // those that are still there
	metrics    []series.MetricNow               // of the subject
	deliveries []muster.Delivery
}

func (p *Page) find(r *http.Request) (*scene, error) {
	v := shell.Identity(r.Context())
	in, err := p.opts.Watch.Incident(r.Context(), v.Account, muster.IncidentID(r.PathValue("id")))
	if err != nil {
		return nil, fmt.Errorf("incidents: %w", err)
	}
	s := &scene{Incident: in, viewer: v, now: p.opts.Shell.Now(), alarms: map[muster.AlarmID]*muster.Alarm{}}
	for i := range in.Transitions {
		id := in.Transitions[i].Alarm
		if _, known := s.alarms[id]; known || id == "" {
			continue
		}
		if a, err := p.opts.Watch.Get(v.Account, id); err == nil {
			s.alarms[id] = a
		}
	}
	return s, nil
}

// measured reads what the subject measures. Without it the page has no charts and no units, and is still worth having.
func (p *Page) measured(ctx context.Context, s *scene) {
	if metrics, err := p.opts.Series.Metrics(ctx, s.Account, s.Incident.Subject); err == nil {
		s.metrics = metrics
	}
}

func (p *Page) incidentPage(w http.ResponseWriter, r *http.Request) {
	s, b, err := p.incidentBody(r)
	if err == nil {
		err = p.draw(r.Context(), s, b)
	}
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	page := shell.Page{Title: b.Title, Nav: "incidents", Live: true, Styles: []string{"incidents/incidents.css"}, Modules: []string{"incidents/incident.js"}}
	if len(b.Charts) > 0 {
		page.Styles = append(page.Styles, shell.UPlotCSS, "chart/chart.css")
		page.Scripts = []string{shell.UPlot}
	}
	p.one.Render(w, r, page, b)
}

// incidentNow answers with the parts of the page that change: the script asks for it when the stream says so.
func (p *Page) incidentNow(w http.ResponseWriter, r *http.Request) {
	_, b, err := p.incidentBody(r)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	p.one.Part(w, r, "now", b)
}

func (p *Page) incidentBody(r *http.Request) (*scene, *incidentBody, error) {
	s, err := p.find(r)
	if err != nil {
		return nil, nil, err
	}
	ctx := r.Context()
	p.measured(ctx, s)
	if s.deliveries, err = p.opts.Notices.Deliveries(ctx, s.Account, s.ID); err != nil {
		return nil, nil, fmt.Errorf("incidents: deliveries: %w", err)
	}
	b := &incidentBody{
		row: p.row(s.viewer, s.Incident), Name: s.Name, TakenAt: s.AcknowledgedAt, MayAct: s.viewer.Role.May(muster.Operator), Cut: s.Cut,
		Channels: p.opts.ChannelsPath, Untold: p.reachers(s.Account) == 0 && len(s.deliveries) == 0,
	}
	b.CSRF, b.Back = s.viewer.CSRF, "/incidents/"+string(s.ID)
	p.about(b, s)
	if b.Silences = nil; canSilence(s.Incident) && s.State != muster.IncidentResolved {
		b.Silences = lengths
	}
	b.Quiet = p.quiets(s)
	b.Firing = p.firing(s)
	b.Reasons = p.reasons(s)
	b.Evidence = p.evidence(ctx, s)
	b.Timeline = p.timeline(s)
	return s, b, nil
}

// about says whose the incident is.
func (p *Page) about(b *incidentBody, s *scene) {
	if !s.Node.IsZero() {
		b.Subject = "/nodes/" + s.Node.String()
		if n := p.node(s.Account, s.Node); n != nil {
			b.Tags, b.Name = n.Tags, n.Name
		}
		return
	}
	if s.Check != "" {
		b.Subject = p.opts.ChecksPath + "/" + string(s.Check)
	}
}

// canSilence says whether a suppression can be made that holds for this incident's subject and for nothing else.
func canSilence(in *muster.Incident) bool { return !in.Node.IsZero() || in.Check != "" }

// quiets gives the suppressions made for this incident's node or check that hold now.
func (p *Page) quiets(s *scene) []quiet {
	if s.State == muster.IncidentResolved || !canSilence(s.Incident) {
		return nil
	}
	var out []quiet
	for _, sup := range p.opts.Notices.Suppressions(s.Account) {
		mine := sup.Node == s.Node && !s.Node.IsZero() || s.Check != "" && sup.Check == s.Check
		if !mine || sup.Alarm != "" || !s.Node.IsZero() && sup.Check != "" {
			continue
		}
		if until, _ := p.opts.Notices.Times(sup, s.now); until.After(s.now) {
			out = append(out, quiet{ID: sup.ID, Until: until, By: p.name(s.Account, sup.By), Why: sup.Reason})
		}
	}
	return out
}

// firing gives the alarms that fire now, as the incident has them.
func (p *Page) firing(s *scene) []firing {
	out := make([]firing, len(s.Open))
	for i := range s.Open {
		f := &s.Open[i]
		out[i] = firing{Level: f.Level, Name: f.Name, Href: p.alarmPath(s, f.Alarm), Series: f.Series, Why: f.Why, Since: f.Since}
	}
	return out
}

// alarmPath gives the address of an alarm that is still there.
func (p *Page) alarmPath(s *scene, id muster.AlarmID) string {
	if s.alarms[id] == nil {
		return ""
	}
	return p.opts.AlarmsPath + "/" + string(id)
}

// unit gives the unit that charts have a metric of the subject in; false when it does not measure one of that name.
func (s *scene) unit(metric string) (string, bool) {
	for i := range s.metrics {
		if m := &s.metrics[i].Metric; m.Name == metric {
			return chart.Unit(m), true
		}
	}
	return "", false
}
