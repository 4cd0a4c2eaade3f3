package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"muster"
	"muster/internal/notify"
	"muster/internal/web"
	"muster/internal/web/act"
	"muster/internal/web/addserver"
	"muster/internal/web/checks"
	"muster/internal/web/health"
	"muster/internal/web/incidents"
	"muster/internal/web/login"
	"muster/internal/web/node"
	"muster/internal/web/nodes"
	"muster/internal/web/overview"
	"muster/internal/web/rules"
	"muster/internal/web/settings"
	"muster/internal/web/shell"
)

// site joins the pages.
func (s *Server) site() http.Handler {
	frame := shell.New(shell.Options{
		Version: s.opts.Version, Logger: s.opts.Logger, Counts: s.counts,
		Nav: []shell.NavItem{
			{Key: "overview", Title: "Overview", Href: "/"},
			{Key: "nodes", Title: "Nodes", Href: "/nodes"},
			{Key: "checks", Title: "Checks", Href: "/checks"},
			{Key: "incidents", Title: "Incidents", Href: "/incidents"},
			{Key: "alarms", Title: "Alarms", Href: "/alarms", Wide: true},
			{Key: "channels", Title: "Channels", Href: "/channels", Wide: true},
			{Key: "changelog", Title: "Changelog", Href: "/changelog"},
			{Key: "settings", Title: "Settings", Href: "/settings"},
			{Key: "health", Title: "Health", Href: "/health", Wide: true},
		},
	})
	door := login.New(login.Options{Shell: frame, Auth: s.auth})
	quicken := func(account muster.AccountID, node muster.NodeID, period, length time.Duration) {
		s.gateway.Quicken(account, node, period, length)
	}
	one := node.New(node.Options{
		Shell: frame, Board: s.inventory, Series: s.series, Hub: s.hub, Events: s.tenants, Quicken: quicken, Change: s.change, Remove: s.remove,
	})
	wrong := incidents.New(incidents.Options{
		Shell: frame, Watch: s.watch, Notices: s.notify, Checks: s.roster, Series: s.series, Hub: s.hub, Node: fleet{s}.Node, Who: s.who,
	})
	links := act.New(act.Options{Shell: frame, Links: s.notify, Watch: s.watch, Silence: s.silence})
	return web.New(web.Options{
		Shell: frame, Auth: s.auth, AccountName: s.tenants.name,
		Open: func(mux *http.ServeMux) {
			door.OpenRoutes(mux)
			links.OpenRoutes(mux)
		},
		Pages: []web.Router{
			door, one, wrong,
			rules.New(rules.Options{Shell: frame, Watch: s.watch, Notices: s.notify, Subject: s.subject}),
			checks.New(checks.Options{Shell: frame, Checks: s.roster, Series: s.series, Hub: s.hub, Fleet: fleet{s}, PublicURL: s.opts.PublicURL}),
			overview.New(overview.Options{
				Shell: frame, Board: s.inventory, Hub: s.hub, Events: s.tenants.Events, Graphs: graphsOf(one), Incidents: wrong.Card, Checks: s.roster.Counts,
				Troubles: s.troubles, Started: s.started, Reach: s.reach(),
			}),
			nodes.New(nodes.Options{
				Shell: frame, Board: s.inventory, Hub: s.hub, Change: s.change,
				Parse: parseQuery,
			}),
			settings.New(settings.Options{Shell: frame, Store: s.tenants, Classes: s.series.Classes, Nodes: s.size}),
			addserver.New(addserver.Options{Shell: frame, Board: s.inventory, Hub: s.hub, Agents: s.downloads}),
			health.New(health.Options{
				Shell: frame, Board: s.inventory, Series: s.series, Hub: s.hub, Self: s.self, Parts: s.parts, Stats: s.series.Stats,
				Quicken: quicken, Started: s.started, Data: s.opts.Data,
			}),
		},
	})
}

// counts gives the numbers in the navigation.
func (s *Server) counts(_ context.Context, v shell.Viewer) map[string]shell.Count {
	out := map[string]shell.Count{"nodes": {Text: fmt.Sprint(s.size(v.Account))}}
	all, failing := 0, 0
	for status, n := range s.roster.Counts(v.Account) {
		all += n
		if status == muster.StatusCritical {
			failing += n
		}
	}
	out["checks"] = shell.Count{Text: fmt.Sprint(all)}
	if failing > 0 {
		out["checks"] = shell.Count{Text: fmt.Sprint(failing), Bad: true}
	}
	if open, taken, _ := s.watch.OpenCount(v.Account); open+taken > 0 {
		out["incidents"] = shell.Count{Text: fmt.Sprint(open + taken), Bad: true}
	}
	return out
}

// subject names what a metric belongs to, and gives the path of its page.
func (s *Server) subject(account muster.AccountID, id muster.NodeID) (name, href string) {
	f := fleet{s}
	if n := f.Node(account, id); n != nil {
		return n.Name, "/nodes/" + id.String()
	}
	if c := f.Check(account, muster.CheckOf(id)); c != nil {
		return c.Name, "/checks/" + string(c.ID)
	}
	return "gone", ""
}

// silence keeps people from being told of what an incident is about.
func (s *Server) silence(ctx context.Context, account muster.AccountID, id muster.IncidentID, length time.Duration, actor string) error {
	in, err := s.watch.Incident(ctx, account, id)
	if err != nil {
		return err
	}
	if in.State == muster.IncidentResolved {
		return fmt.Errorf("server: silence: %w: it is over", muster.ErrConflict)
	}
	quiet := &muster.Suppression{Node: in.Node, From: time.Now(), Length: length, By: actor}
	if in.Node.IsZero() {
		quiet.Check = in.Check
	}
	if quiet.Node.IsZero() && quiet.Check == "" {
		return fmt.Errorf("server: silence: %w: this incident is about neither a node nor a check", muster.ErrInvalid)
	}
	_, err = s.notify.CreateSuppression(ctx, notify.Edit{Account: account, Actor: actor}, quiet)
	return err
}
