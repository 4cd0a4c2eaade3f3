package server

import (
	"context"
	"errors"
	"net"
	"path/filepath"

	"muster"
	"muster/internal/agent"
	"muster/internal/check"
	kinds "muster/internal/check/all"
	"muster/internal/check/host"
	"muster/internal/inventory"
	"muster/internal/uplink"
)

// builtIn makes the agent of the machine this server runs on: it is an agent as every other, with a
// source more, and reaches the server without the network.
func (s *Server) builtIn(ctx context.Context) (func(context.Context) error, error) {
	accounts, err := s.tenants.Accounts(ctx)
	if err != nil || len(accounts) == 0 {
		return nil, errors.Join(err, muster.ErrNotFound)
	}
	machine := host.New(host.Options{})
	state := filepath.Join(s.opts.Data, "agent")
	options := agent.Options{
		Server: "http://built-in", State: state, Version: s.opts.Version, Period: s.opts.Period,
		Collectors: []check.Collector{machine, newOwnHealth(s.telemetry)}, Describer: machine, Kinds: kinds.Kinds(), Env: s.checkEnv(),
		Dial:      func(ctx context.Context, _, _ string) (net.Conn, error) { return s.inside.Dial(ctx) },
		OnWelcome: s.welcomed(accounts[0].ID),
		Farewell:  func() muster.FarewellReason { return muster.FarewellStop },
		Logger:    s.opts.Logger.With("part", "built-in agent"),
	}
	identity, err := uplink.LoadIdentity(state, s.started)
	if err != nil {
		return nil, err
	}
	if !identity.Enrolled() {
		_, token, err := s.inventory.NewEnrollment(ctx, inventory.Invite{Account: accounts[0].ID, Actor: "muster"})
		if err != nil {
			return nil, err
		}
		options.Token = token
	}
	a, err := agent.New(options)
	if err != nil {
		return nil, err
	}
	return a.Run, nil
}

// welcomed notes which node this program runs on: its agent is the runner of the local zone.
func (s *Server) welcomed(account muster.AccountID) func(muster.NodeID) {
	return func(id muster.NodeID) {
		s.own.Store(&id)
		s.roster.SetLocal(account, id)
	}
}

// checkEnv bounds what checks of the local zone may reach.
func (s *Server) checkEnv() check.Env {
	if s.opts.MultiTenant {
		return check.Env{Allow: check.PublicOnly}
	}
	return check.Env{}
}
