// Package rules gives the pages of what is told to whom: the alarms with how each stands now, and the
// channels that messages go through. Forms work without JavaScript; alarms are written with the command line or the API.
package rules

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"muster"
	"muster/api"
	"muster/internal/alarm"
	"muster/internal/notify"
	"muster/internal/shape"
	"muster/internal/web/shell"
)

//go:embed *.html assets
var files embed.FS

// Watch is where alarms are; *alarm.Watch is one. Errors wrap the kinds of the root package.
type Watch interface {
	List(account muster.AccountID) []*muster.Alarm
	Get(account muster.AccountID, id muster.AlarmID) (*muster.Alarm, error)
	Update(ctx context.Context, edit alarm.Edit, change func(*muster.Alarm) error) (*muster.Alarm, error)
	StandingBy(account muster.AccountID, id muster.AlarmID) ([]alarm.Standing, error)
}

// Notices is where channels are; *notify.Room is one.
type Notices interface {
	Channels(account muster.AccountID) []*muster.Channel
	Channel(account muster.AccountID, id muster.ChannelID) (*muster.Channel, error)
	CreateChannel(ctx context.Context, edit notify.Edit, c *muster.Channel) (kept *muster.Channel, made map[string]string, err error)
	DeleteChannel(ctx context.Context, edit notify.Edit) error
	TestChannel(ctx context.Context, account muster.AccountID, id muster.ChannelID) (muster.Delivery, error)
}

// Options are the pages' doors. All are needed.
type Options struct {
	Shell   *shell.Shell
	Watch   Watch
	Notices Notices
	// Subject names the node or check that a metric belongs to, and gives the path of its page.
	Subject func(account muster.AccountID, subject muster.NodeID) (name, href string)
}

// Page serves the pages. It is safe for concurrent use.
type Page struct {
	opts     Options
	alarms   *shell.View[alarmsBody]
	alarm    *shell.View[alarmBody]
	channels *shell.View[channelsBody]
}

// New makes the pages.
func New(o Options) *Page {
	return &Page{
		opts:     o,
		alarms:   shell.NewView[alarmsBody](o.Shell, "rules", files, "alarms.html"),
		alarm:    shell.NewView[alarmBody](o.Shell, "rules", files, "alarm.html"),
		channels: shell.NewView[channelsBody](o.Shell, "rules", files, "channels.html"),
	}
}

// Routes adds the pages' addresses.
func (p *Page) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /alarms", p.alarmsPage)
	mux.HandleFunc("GET /alarms/{id}", p.alarmPage)
	mux.HandleFunc("POST /alarms/{id}", p.turn)
	mux.HandleFunc("GET /channels", p.channelsPage)
	mux.HandleFunc("POST /channels", p.makeChannel)
	mux.HandleFunc("POST /channels/{id}/test", p.testChannel)
	mux.HandleFunc("POST /channels/{id}/delete", p.deleteChannel)
}

// rule is an alarm as it is shown.
type rule struct {
	*muster.Alarm
	When, Well, Silence, On, Who string
	Firing                       int
}

type alarmsBody struct {
	Rules  []rule
	Nobody bool // nobody would be told
}

type alarmBody struct {
	rule
	CSRF     string
	MayAct   bool
	Standing []standing
	More     int
	JSON     string
}

type standing struct {
	alarm.Standing
	Name, Href, Mark string
}

// maxStanding is how many lines of how an alarm stands are shown.
const maxStanding = 200

func (p *Page) alarmsPage(w http.ResponseWriter, r *http.Request) {
	v := shell.Identity(r.Context())
	b := alarmsBody{Nobody: len(p.opts.Notices.Channels(v.Account)) == 0}
	for _, a := range p.opts.Watch.List(v.Account) {
		b.Rules = append(b.Rules, p.rule(a))
	}
	p.alarms.Render(w, r, shell.Page{Title: "Alarms", Nav: "alarms", Styles: []string{"rules/rules.css"}}, &b)
}

func (p *Page) alarmPage(w http.ResponseWriter, r *http.Request) {
	v := shell.Identity(r.Context())
	a, err := p.opts.Watch.Get(v.Account, muster.AlarmID(r.PathValue("id")))
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	list, err := p.opts.Watch.StandingBy(v.Account, a.ID)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	text, err := json.MarshalIndent(shape.AlarmNew(a), "", "  ")
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	b := alarmBody{rule: p.rule(a), CSRF: v.CSRF, MayAct: v.Role.May(muster.Operator), More: max(0, len(list)-maxStanding), JSON: string(text)}
	for _, s := range list[:min(len(list), maxStanding)] {
		line := standing{Standing: s, Mark: "ok"}
		line.Name, line.Href = p.opts.Subject(v.Account, s.Subject)
		switch s.State {
		case muster.AlarmFiring, muster.AlarmRecovering:
			line.Mark = string(a.Level)
		case muster.AlarmPending:
			line.Mark = "warning"
		}
		b.Standing = append(b.Standing, line)
	}
	p.alarm.Render(w, r, shell.Page{Title: a.Name, Nav: "alarms", Styles: []string{"rules/rules.css"}}, &b)
}

// turn switches an alarm on or off.
func (p *Page) turn(w http.ResponseWriter, r *http.Request) {
	v := shell.Identity(r.Context())
	on := r.PostFormValue("enabled") == "1"
	err := mayAct(v)
	if err == nil {
		_, err = p.opts.Watch.Update(r.Context(), alarm.Edit{Account: v.Account, ID: muster.AlarmID(r.PathValue("id")), Actor: v.Actor()}, func(a *muster.Alarm) error {
			a.Enabled = on
			return nil
		})
	}
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	shell.SetFlash(w, shell.Flash{Kind: "ok", Text: map[bool]string{true: "The alarm is on.", false: "The alarm is off; what it had open is closed."}[on]})
	http.Redirect(w, r, "/alarms/"+url.PathEscape(r.PathValue("id")), http.StatusSeeOther)
}

func mayAct(v shell.Viewer) error {
	if !v.Role.May(muster.Operator) {
		return fmt.Errorf("rules: %w: this takes an operator", muster.ErrDenied)
	}
	return nil
}

// rule puts an alarm into words.
func (p *Page) rule(a *muster.Alarm) rule {
	out := rule{Alarm: a, On: "everything", Who: "default channels"}
	switch {
	case a.Check != "":
		out.On = "one check"
		out.On, _ = p.opts.Subject(a.Account, a.Check.Subject())
	case !a.Node.IsZero():
		out.On, _ = p.opts.Subject(a.Account, a.Node)
	case a.Query != "" && a.Query != "*":
		out.On = a.Query
	}
	if c := a.Condition; c != nil {
		out.When = held(string(c.Op)+" "+number(c.Value), c.For)
		if c.Fn == muster.FnForecast {
			out.When = held("on the way to "+string(c.Op)+" "+number(c.Value)+" within "+api.FormatDuration(c.Within), c.For)
		}
		out.Well = "as soon as that does not hold"
		if c.Recover.Op != "" {
			out.Well = held(string(c.Recover.Op)+" "+number(c.Recover.Value), c.Recover.For)
		}
	}
	if a.NoData.After > 0 {
		out.Silence = map[muster.NoDataIs]string{muster.NoDataCritical: "fires after ", muster.NoDataOK: "is well after ", muster.NoDataKeep: "changes nothing for "}[a.NoData.Is] + api.FormatDuration(a.NoData.After)
	}
	if names := p.names(a); names != "" {
		out.Who = names
	}
	list, _ := p.opts.Watch.StandingBy(a.Account, a.ID) // one that was deleted a moment ago stands nowhere
	for i := range list {
		if list[i].State == muster.AlarmFiring || list[i].State == muster.AlarmRecovering {
			out.Firing++
		}
	}
	return out
}

func (p *Page) names(a *muster.Alarm) string {
	var names []string
	for _, c := range p.opts.Notices.Channels(a.Account) {
		if slices.Contains(a.Channels, c.ID) {
			names = append(names, c.Name)
		}
	}
	return strings.Join(names, ", ")
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
