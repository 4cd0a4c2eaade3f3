package incidents

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"

	"muster"
	"muster/internal/alarm"
	"muster/internal/web/shell"
)

const (
	openShown = 500 // open incidents on one page: more than anybody reads
	pastShown = 50  // resolved ones
	cardShown = 8   // on the overview
)

// listBody is what list.html is filled with.
type listBody struct {
	State    muster.IncidentState // the filter
	Chips    []chip
	Open     []row
	More     int // open ones that are not listed
	Past     []row
	Older    string // address of the resolved ones before these
	Newest   string // address of the first page, when this is another one
	None     *none
	Now      string // where the script asks for all of it again
	Reachers int    // channels that work
	Channels string // address of the page of channels
}

// chip is a filter with its count.
type chip struct {
	State   muster.IncidentState
	Title   string
	Count   string
	Href    string
	Current bool
}

// none says why the list is empty and what to do.
type none struct {
	Title, Text string
	Href, Link  string
}

func (p *Page) listPage(w http.ResponseWriter, r *http.Request) {
	b, err := p.listBody(r)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	p.list.Render(w, r, shell.Page{Title: "Incidents", Nav: "incidents", Live: true, Styles: []string{"incidents/incidents.css"}, Modules: []string{"incidents/list.js"}}, b)
}

// listNow answers with what changes: the script asks for it when the stream says so.
func (p *Page) listNow(w http.ResponseWriter, r *http.Request) {
	b, err := p.listBody(r)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	p.list.Part(w, r, "now", b)
}

func (p *Page) listBody(r *http.Request) (*listBody, error) {
	v := shell.Identity(r.Context())
	q := r.URL.Query()
	state, before := muster.IncidentState(q.Get("state")), q.Get("before")
	switch state {
	case "", muster.IncidentOpen, muster.IncidentAcknowledged, muster.IncidentResolved:
	default:
		return nil, fmt.Errorf("incidents: list: %w: state is open, acknowledged or resolved", muster.ErrInvalid)
	}
	b := &listBody{State: state, Now: "/incidents/now", Channels: p.opts.ChannelsPath, Reachers: p.reachers(v.Account)}
	if query := ask(state, before); query != "" {
		b.Now += "?" + query
	}
	b.Chips = p.chips(v.Account, state)
	back := address(state, before)
	if state != muster.IncidentResolved && before == "" {
		list, more, err := p.open(r.Context(), v.Account, state)
		if err != nil {
			return nil, err
		}
		b.Open, b.More = p.rows(v, list, back), more
	}
	if state == "" || state == muster.IncidentResolved {
		list, next, err := p.opts.Watch.Incidents(r.Context(), v.Account, alarm.IncidentFilter{State: muster.IncidentResolved, Before: before, Limit: pastShown})
		if err != nil {
			return nil, fmt.Errorf("incidents: list: %w", err)
		}
		b.Past = p.rows(v, list, back)
		if next != "" {
			b.Older = address(state, next)
		}
	}
	if before != "" {
		b.Newest = address(state, "")
	}
	b.None = p.nothing(b)
	return b, nil
}

// open gives what is not over, with what nobody has first, the worst first.
func (p *Page) open(ctx context.Context, account muster.AccountID, state muster.IncidentState) (list []*muster.Incident, more int, err error) {
	list, _, err = p.opts.Watch.Incidents(ctx, account, alarm.IncidentFilter{State: state, Open: state == "", Limit: openShown})
	if err != nil {
		return nil, 0, fmt.Errorf("incidents: open: %w", err)
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b *muster.Incident) int {
		return cmp.Or(rank(a)-rank(b), b.OpenedAt.Compare(a.OpenedAt), cmp.Compare(a.ID, b.ID))
	})
	waiting, taken, _ := p.opts.Watch.OpenCount(account)
	all := map[muster.IncidentState]int{"": waiting + taken, muster.IncidentOpen: waiting, muster.IncidentAcknowledged: taken}[state]
	return list, max(0, all-len(list)), nil
}

// rank puts what nobody has before what somebody has, and worse before better.
func rank(in *muster.Incident) int {
	r := 0
	if in.State != muster.IncidentOpen {
		r = 2
	}
	if in.Level != muster.LevelCritical {
		r++
	}
	return r
}

func (p *Page) chips(account muster.AccountID, current muster.IncidentState) []chip {
	open, taken, _ := p.opts.Watch.OpenCount(account)
	list := []chip{{Title: "all"}, {State: muster.IncidentOpen, Title: "open", Count: fmt.Sprint(open)}, {State: muster.IncidentAcknowledged, Title: "acknowledged", Count: fmt.Sprint(taken)}, {State: muster.IncidentResolved, Title: "resolved"}}
	for i := range list {
		list[i].Href, list[i].Current = address(list[i].State, ""), list[i].State == current
	}
	return list
}

// nothing says why there is nothing to be seen, nil when there is something.
func (p *Page) nothing(b *listBody) *none {
	if len(b.Open) > 0 || len(b.Past) > 0 && b.State != "" {
		return nil
	}
	n := &none{Href: p.opts.AlarmsPath, Link: "Look at the alarms"}
	switch {
	case b.Newest != "" && len(b.Past) > 0:
		return nil
	case b.Newest != "":
		return &none{Title: "Nothing older", Text: "These were all incidents that are kept.", Href: b.Newest, Link: "To the newest"}
	case b.State == muster.IncidentAcknowledged:
		n.Title, n.Text = "Nobody has anything", "Who takes an incident says so with Acknowledge: then the others know, and it is here until it is over."
	case b.State == muster.IncidentResolved:
		n.Title, n.Text = "Nothing was wrong yet", "Incidents that are over are kept here, with what happened and who was told."
	default:
		n.Title, n.Text = "Nothing is wrong", "When an alarm fires on a node or a check, the incident appears here by itself."
		if b.State == "" && len(b.Past) == 0 {
			n.Text += " The built-in alarms watch every node and every check already."
		}
	}
	return n
}

// reachers counts the channels that work.
func (p *Page) reachers(account muster.AccountID) int {
	n := 0
	for _, c := range p.opts.Notices.Channels(account) {
		if c.Disabled == "" {
			n++
		}
	}
	return n
}

func ask(state muster.IncidentState, before string) string {
	q := url.Values{}
	if state != "" {
		q.Set("state", string(state))
	}
	if before != "" {
		q.Set("before", before)
	}
	return q.Encode()
}

func address(state muster.IncidentState, before string) string {
	if query := ask(state, before); query != "" {
		return "/incidents?" + query
	}
	return "/incidents"
}

// cardBody is what the card is filled with.
type cardBody struct {
	Rows []row
	More int
}

// Card gives the card of open incidents for the overview, with the incidents, what nobody has first and the worst of
// those first; it is empty when nothing is open. It needs the style sheet "incidents/incidents.css" and the module
// "incidents/act.js".
func (p *Page) Card(ctx context.Context, v shell.Viewer) (card template.HTML, list []*muster.Incident, err error) {
	list, more, err := p.open(ctx, v.Account, "")
	if err != nil || len(list) == 0 {
		return "", nil, err
	}
	shown := list[:min(len(list), cardShown)]
	html, err := p.list.HTML("card", &cardBody{Rows: p.rows(v, shown, "/"), More: more + len(list) - len(shown)})
	return template.HTML(html), list, err
}
