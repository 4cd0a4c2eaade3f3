package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"muster"
	"muster/api"
	"muster/internal/doorbell"
	"muster/internal/filter"
	"muster/internal/inventory"
	"muster/internal/rest"
	"muster/internal/web/addserver"
	"muster/internal/web/node"
	"muster/internal/web/overview"
	"muster/internal/web/shell"
	"muster/internal/wire"
)

// loginPath is where a one-time code is redeemed; the code follows.
const loginPath = "/login/"

func (s *Server) openHTTP(ctx context.Context) error {
	config, authority, err := s.opts.TLS.config(ctx, s.opts.Data, s.tenants, s.sealer)
	if err != nil {
		return err
	}
	s.authority = authority
	if config != nil {
		s.listener = tls.NewListener(s.listener, config)
	}
	calls, err := rest.New(rest.Options{
		Nodes: s.inventory, Series: s.series, Store: s.tenants, Auth: s.auth, Live: s.hub, Agents: s.files,
		Checks: s.roster, Alarms: s.watch, Notices: s.notify, TellWithin: s.tellWithin,
		Ready: s.parts, Told: s.told, Certificate: func() []byte { return s.authority },
		Filter: parseQuery, Cookie: shell.SessionCookie, LoginPath: loginPath, PublicURL: s.opts.PublicURL, Version: s.opts.Version,
		Logger: s.opts.Logger, Telemetry: s.telemetry,
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(wire.Path, s.gateway)
	for _, path := range calls.Paths() {
		mux.Handle(path, calls)
	}
	mux.Handle(api.PathPush+"/", doorbell.New(s.roster.Push))
	mux.Handle("/", s.site())
	s.http = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.opts.Logger.Handler(), slog.LevelDebug),
	}
	return nil
}

// parseQuery reads the query language. It hands back a nil interface with an error, not a nil pointer in one.
func parseQuery(text string) (inventory.Matcher, error) {
	query, err := filter.Parse(text)
	if err != nil {
		return nil, err
	}
	return query, nil
}

// graphsOf lets the overview show the charts of the only node.
func graphsOf(page *node.Page) func(context.Context, muster.AccountID, muster.NodeID) (overview.Graphs, error) {
	return func(ctx context.Context, account muster.AccountID, id muster.NodeID) (g overview.Graphs, err error) {
		g.Points, g.Data, g.Stream, err = page.Graphs(ctx, account, id)
		return g, err
	}
}

// change saves what a viewer changes of a node, in her name.
func (s *Server) change(ctx context.Context, v shell.Viewer, id muster.NodeID, fn func(*muster.Node) error) error {
	if !v.Role.May(muster.Operator) {
		return fmt.Errorf("%w: changing a node takes an operator", muster.ErrDenied)
	}
	_, err := s.inventory.Update(ctx, inventory.Edit{Account: v.Account, Node: id, Actor: v.Actor()}, fn)
	return err
}

// remove forgets a node, in a viewer's name.
func (s *Server) remove(ctx context.Context, v shell.Viewer, id muster.NodeID) error {
	if !v.Role.May(muster.Operator) {
		return fmt.Errorf("%w: removing a node takes an operator", muster.ErrDenied)
	}
	return s.inventory.Delete(ctx, inventory.Edit{Account: v.Account, Node: id, Actor: v.Actor()})
}

// size gives how many nodes an account has.
func (s *Server) size(account muster.AccountID) int {
	total := 0
	for _, n := range s.inventory.Counts(account) {
		total += n
	}
	return total
}

// downloads lists the agents for the page that adds a server.
func (s *Server) downloads() []addserver.Agent {
	var out []addserver.Agent
	for _, a := range s.files.Agents() {
		name := agentPrefix + a.OS + "-" + a.Arch
		out = append(out, addserver.Agent{OS: a.OS, Arch: a.Arch, Size: a.Size, SHA256: a.SHA256, URL: api.PathDownload + "/" + name})
	}
	return out
}

// self gives the node this program runs on, to the account it belongs to.
func (s *Server) self(_ context.Context, account muster.AccountID) (muster.NodeID, bool) {
	own := s.own.Load()
	if own == nil {
		return muster.NodeID{}, false
	}
	_, err := s.inventory.Get(account, *own)
	return *own, err == nil
}

// reach says who can reach this server.
func (s *Server) reach() string {
	host, _, _ := net.SplitHostPort(s.opts.Listen)
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return "listens on this machine only · nothing leaves it"
	}
	return ""
}

// troubles says what is wrong with the server itself.
func (s *Server) troubles(context.Context, muster.AccountID) []overview.Trouble {
	if err := s.guard.Check(); err != nil {
		return []overview.Trouble{{
			Title:  "The disk is nearly full",
			Detail: err.Error() + ". Nothing is acknowledged until there is room; agents keep what they measure and send it then.",
			Href:   "/health",
		}}
	}
	return nil
}

// parts says how the server's parts are.
func (s *Server) parts(ctx context.Context) []api.Part {
	parts := []api.Part{{Name: "disk", Ready: true}, {Name: "documents", Ready: true}, {Name: "series", Ready: true}}
	if err := s.guard.Check(); err != nil {
		parts[0].Ready, parts[0].Detail = false, err.Error()
	}
	if _, err := s.tenants.Accounts(ctx); err != nil {
		parts[1].Ready, parts[1].Detail = false, err.Error()
	}
	if n := s.series.Stats().Recovering; n > 0 {
		// Frames are taken meanwhile: this is for people to know, not for a proxy to send them away.
		parts[2].Detail = fmt.Sprintf("%d shards are being read back from the log", n)
	}
	return parts
}

// serve answers on the port and to the built-in agent until ctx ends, then lets requests come to their end.
func (s *Server) serve(ctx context.Context) error {
	ended := make(chan error, 2)
	go func() { ended <- s.http.Serve(s.listener) }()
	go func() { ended <- s.http.Serve(s.inside) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	s.hub.Close() // or open streams would hold the shutdown up
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	err := s.http.Shutdown(limit)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	return err
}
