// Package incidents gives the pages of what is wrong: the list of incidents, the page of one with why it fired, its
// chart, its evidence and everything that happened since, and the card of open ones for the overview.
//
// All of it is written by the server, and every action is a form. With scripts the pages follow a stream that says
// when to ask again, so that incidents open, are taken and end under somebody's eyes.
package incidents

import (
	"context"
	"embed"
	"net/http"
	"time"

	"muster"
	"muster/internal/alarm"
	"muster/internal/live"
	"muster/internal/notify"
	"muster/internal/roster"
	"muster/internal/web/chart"
	"muster/internal/web/shell"
)

//go:embed *.html assets
var files embed.FS

// Watch is where incidents and their alarms come from; *alarm.Watch is one. What it gives is shared and not changed.
// Errors wrap the kinds of the root package.
type Watch interface {
	Incidents(ctx context.Context, account muster.AccountID, f alarm.IncidentFilter) (list []*muster.Incident, next string, err error)
	Incident(ctx context.Context, account muster.AccountID, id muster.IncidentID) (*muster.Incident, error)
	Acknowledge(ctx context.Context, account muster.AccountID, id muster.IncidentID, actor string) (*muster.Incident, error)
	Comment(ctx context.Context, account muster.AccountID, id muster.IncidentID, c muster.Comment) (*muster.Incident, error)
	OpenCount(account muster.AccountID) (open, acknowledged int, worst muster.Level)
	Get(account muster.AccountID, id muster.AlarmID) (*muster.Alarm, error)
}

// Notices says who was told, and keeps people from being told; *notify.Room is one.
type Notices interface {
	Deliveries(ctx context.Context, account muster.AccountID, incident muster.IncidentID) ([]muster.Delivery, error)
	Channels(account muster.AccountID) []*muster.Channel
	Suppressions(account muster.AccountID) []*muster.Suppression
	Times(s *muster.Suppression, now time.Time) (until, next time.Time)
	CreateSuppression(ctx context.Context, edit notify.Edit, s *muster.Suppression) (*muster.Suppression, error)
	DeleteSuppression(ctx context.Context, edit notify.Edit) error
}

// Checks is where results are looked up; *roster.Roster is one.
type Checks interface {
	Get(account muster.AccountID, id muster.CheckID) (roster.Row, error)
	Results(ctx context.Context, account muster.AccountID, id muster.CheckID, before string, limit int) (results []muster.Result, next string, err error)
}

// Hub tells of changes; *live.Hub is one.
type Hub interface {
	Subscribe(account muster.AccountID, want live.Want) *live.Subscription
}

// Options are the pages' doors. All are needed but Who and Node.
type Options struct {
	Shell   *shell.Shell
	Watch   Watch
	Notices Notices
	Checks  Checks
	Series  chart.Source
	Hub     Hub
	// Node gives a node, nil when the account has no such one. Nil knows none.
	Node func(account muster.AccountID, id muster.NodeID) *muster.Node
	// Who gives the name of whoever acted ("user_...", "token_...", "link"), "" when it is not known. Nil knows nobody.
	Who func(account muster.AccountID, actor string) string
	// Channels, Alarms and Checks are the addresses of other pages: "/channels", "/alarms" and "/checks" when empty. The page
	// of one is its id behind that.
	ChannelsPath, AlarmsPath, ChecksPath string
}

// Page serves the pages of incidents. It is safe for concurrent use.
type Page struct {
	opts Options
	list *shell.View[listBody]
	one  *shell.View[incidentBody]
}

// New makes the pages.
func New(o Options) *Page {
	for path, usual := range map[*string]string{&o.ChannelsPath: "/channels", &o.AlarmsPath: "/alarms", &o.ChecksPath: "/checks"} {
		if *path == "" {
			*path = usual
		}
	}
	o.Shell.AddAssets("chart", chart.Files)
	return &Page{
		opts: o,
		list: shell.NewView[listBody](o.Shell, "incidents", files, "list.html", "row.html"),
		one:  shell.NewView[incidentBody](o.Shell, "incidents", files, "incident.html"),
	}
}

// Routes adds the pages' addresses.
func (p *Page) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /incidents", p.listPage)
	mux.HandleFunc("GET /incidents/now", p.listNow)
	mux.HandleFunc("GET /incidents/live", p.listLive)
	mux.HandleFunc("GET /incidents/{id}", p.incidentPage)
	mux.HandleFunc("GET /incidents/{id}/now", p.incidentNow)
	mux.HandleFunc("GET /incidents/{id}/live", p.incidentLive)
	mux.HandleFunc("GET /incidents/{id}/data", p.data)
	mux.HandleFunc("POST /incidents/{id}/acknowledge", p.acknowledge)
	mux.HandleFunc("POST /incidents/{id}/comment", p.comment)
	mux.HandleFunc("POST /incidents/{id}/silence", p.silence)
	mux.HandleFunc("POST /incidents/{id}/unsilence", p.unsilence)
}

// name gives the name of whoever acted, for reading.
func (p *Page) name(account muster.AccountID, actor string) string {
	if actor == "" {
		return ""
	}
	if p.opts.Who != nil {
		if name := p.opts.Who(account, actor); name != "" {
			return name
		}
	}
	switch {
	case actor == byLink:
		return "somebody by the link in a message"
	case actor == byMuster:
		return "Muster"
	}
	return "somebody"
}

// Actors that are no people.
const (
	byLink   = "link"
	byMuster = "muster"
)

func (p *Page) node(account muster.AccountID, id muster.NodeID) *muster.Node {
	if p.opts.Node == nil || id.IsZero() {
		return nil
	}
	return p.opts.Node(account, id)
}
