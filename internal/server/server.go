package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"muster"
	"muster/internal/alarm"
	"muster/internal/auth"
	"muster/internal/disk"
	"muster/internal/gateway"
	"muster/internal/ingest"
	"muster/internal/inventory"
	"muster/internal/ledger"
	"muster/internal/live"
	"muster/internal/members"
	"muster/internal/notify"
	"muster/internal/roster"
	"muster/internal/seal"
	"muster/internal/series"
	seriespebble "muster/internal/series/pebble"
	"muster/internal/store"
	storepebble "muster/internal/store/pebble"
	"muster/internal/telemetry"
)

// Server is the house, joined and not yet running.
type Server struct {
	opts      Options
	started   time.Time
	shards    int
	telemetry *telemetry.Set
	guard     *disk.Guard
	docs      *storepebble.Engine
	samples   *seriespebble.Engine
	tenants   *tenants
	series    *series.DB
	hub       *live.Hub
	inventory *inventory.Inventory
	ledger    *ledger.Ledger
	roster    *roster.Roster
	watch     *alarm.Watch
	opened    func()              // the rooms are joined, or will not be
	watching  func() *alarm.Watch // waits for that: the log is read back while the rooms open; nil when they failed
	notify    *notify.Room
	sealer    *seal.Sealer
	intake    *ingest.Intake
	gateway   *gateway.Gateway
	auth      *auth.Service
	listener  net.Listener
	inside    *pipe
	http      *http.Server
	authority []byte // DER of the certificate that agents pin; nil for none
	url       string
	loginURL  string
	files     *agentFiles
	own       atomic.Pointer[muster.NodeID] // the node this program runs on, once its agent was welcomed
	closers   []func() error
}

// Open takes the data directory and the port, joins the rooms and leaves them ready for Run. Errors wrap
// the kinds of package muster and say what to do. What was opened before a failure is closed again.
func Open(ctx context.Context, o Options) (*Server, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &Server{opts: o, started: time.Now(), telemetry: telemetry.New(), inside: newPipe(), files: &agentFiles{dir: o.agentDir()}}
	open := make(chan struct{})
	s.opened = sync.OnceFunc(func() { close(open) })
	s.watching = func() *alarm.Watch { <-open; return s.watch }
	for _, step := range []func(context.Context) error{s.listen, s.openStores, s.openRooms, s.openHTTP, s.greet} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

// listen takes the port first: a port in use is told before anything on disk is touched.
func (s *Server) listen(context.Context) error {
	l, err := net.Listen("tcp", s.opts.Listen)
	if err != nil {
		if errors.Is(err, errPortInUse) {
			return fmt.Errorf("%w: %s is in use by another program (another Muster?): stop it, or choose a port with --listen", muster.ErrConflict, s.opts.Listen)
		}
		return fmt.Errorf("%w: listen on %s: %w", muster.ErrInvalid, s.opts.Listen, err)
	}
	s.listener = l
	s.closers = append(s.closers, func() error { return ignoreClosed(l.Close()) })
	s.url = s.opts.publicURL(l.Addr())
	return nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (s *Server) openStores(ctx context.Context) error {
	if err := os.MkdirAll(s.opts.Data, 0o700); err != nil {
		return fmt.Errorf("%w: make the data directory: %w: choose another with --data", muster.ErrUnavailable, err)
	}
	s.guard = disk.NewGuard(s.opts.Data, disk.GuardOptions{Logger: s.opts.Logger, Telemetry: s.telemetry})
	var err error
	s.docs, err = storepebble.Open(filepath.Join(s.opts.Data, "documents"), storepebble.Options{Guard: s.guard, Logger: s.opts.Logger, Telemetry: s.telemetry})
	if err != nil {
		return err
	}
	documents := store.New(s.docs, store.Options{Logger: s.opts.Logger, Telemetry: s.telemetry})
	s.closers = append(s.closers, documents.Close)
	s.samples, err = seriespebble.Open(filepath.Join(s.opts.Data, "series"), seriespebble.Options{Guard: s.guard, Logger: s.opts.Logger, Telemetry: s.telemetry})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, s.samples.Close)
	s.tenants, err = readTenants(ctx, documents)
	return err
}

// domain names who must agree on a shard's epoch: on a single machine, all of it.
const domain = "all"

func (s *Server) openRooms(ctx context.Context) error {
	shards, err := s.tenants.Shards(ctx, s.opts.Shards)
	if err != nil {
		return err
	}
	self := "server-" + strconv.FormatInt(s.started.UnixNano(), 36)
	owned := members.New(self, shards, func(ctx context.Context, shard int) (uint64, error) {
		head, err := s.tenants.TakeShard(ctx, store.ShardKey{Shard: shard, Domain: domain}, self, 0)
		return head.Epoch, err
	})
	if err := owned.Claim(ctx, []string{self}); err != nil {
		return err
	}
	s.series, err = series.Open(ctx, s.samples, series.Options{
		Shards: shards, Owns: owned.Owns, Spread: s.tenants.spread, Class: s.tenants.class,
		MayWrite: s.guard.Check, Telemetry: s.telemetry, Logger: s.opts.Logger,
		Heard: func(shard int, frames []*muster.Frame) {
			if w := s.watching(); w != nil {
				w.Heard(shard, frames)
			}
		},
		Caught: func(shard int) {
			if w := s.watching(); w != nil {
				w.Caught(shard)
			}
		},
	})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, s.series.Close, func() error { s.opened(); return nil })
	s.hub = live.New(live.Options{Telemetry: s.telemetry})
	s.inventory, err = inventory.Open(ctx, s.tenants, inventory.Options{
		MayJudge: s.mayJudge,
		Changed:  s.nodeChanged, Told: s.told, Logger: s.opts.Logger, Telemetry: s.telemetry,
	})
	if err != nil {
		return err
	}
	if err := s.openWatching(ctx, self, shards, owned.Owns); err != nil {
		return err
	}
	s.opened()
	s.intake, err = ingest.New(ingest.Options{
		Store: s.series, After: []func([]*muster.Frame){s.observe}, Noted: s.inventory.Noted,
		Logger: s.opts.Logger, Telemetry: s.telemetry,
	})
	if err != nil {
		return err
	}
	s.gateway, err = gateway.New(gateway.Options{
		Roster: s.inventory, Intake: s.intake, Duplicate: s.inventory.Duplicate, Checks: agentChecks{s.roster}, Logger: s.opts.Logger, Telemetry: s.telemetry,
	})
	if err != nil {
		return err
	}
	s.auth = auth.New(s.tenants, auth.Options{Tell: s.note, Logger: s.opts.Logger, Telemetry: s.telemetry})
	return nil
}

// nodeChanged tells open pages and streams that a node is not what it was.
func (s *Server) nodeChanged(c inventory.Change) {
	if c.Gone {
		s.gateway.Disconnect(c.Account, c.Node)
		s.roster.NodeGone(c.Account, c.Node)
		go s.forget(c)
	}
	if c.Edited || c.Gone {
		s.watch.NodeChanged(c.Account, c.Node)
	}
	if !s.hub.Wanted(c.Account) {
		return
	}
	s.hub.Publish(live.Event{Account: c.Account, Topic: live.TopicNodes, Kind: "node", Node: c.Node, Data: func() any {
		if c.Gone {
			return c
		}
		row, err := s.inventory.Get(c.Account, c.Node)
		if err != nil {
			return nil
		}
		return row
	}})
}

// forget drops the head of a node that was deleted; its data ends with its class.
func (s *Server) forget(c inventory.Change) {
	if err := s.series.ForgetNode(context.Background(), c.Account, c.Node); err != nil {
		s.opts.Logger.Warn("the head of a deleted node stays until the next start", "node", c.Node, "error", err)
	}
}

// told tells open pages and streams of changelog lines that were saved.
func (s *Server) told(events []muster.Event) {
	for _, e := range events {
		s.hub.Publish(live.Event{Account: e.Account, Topic: live.TopicEvents, Kind: "event", Data: func() any { return e }})
	}
}

// note saves a changelog line and tells it.
func (s *Server) note(ctx context.Context, e muster.Event) {
	events := []muster.Event{e}
	if err := s.tenants.AppendEvents(ctx, events); err != nil {
		s.opts.Logger.Warn("a changelog line was lost", "kind", e.Kind, "error", err)
		return
	}
	s.told(events)
}

// greet makes what a first start needs, and the way in.
func (s *Server) greet(ctx context.Context) error {
	shards, err := s.tenants.Shards(ctx, s.opts.Shards)
	if err != nil {
		return err
	}
	admin, err := first(ctx, s.tenants, shards)
	if err != nil {
		return err
	}
	if err := s.firstWatch(ctx); err != nil {
		return err
	}
	if err := s.localServer(); err != nil {
		return err
	}
	if s.opts.BootstrapToken != "" {
		return s.auth.AdoptToken(ctx, admin.Account, "bootstrap", muster.Admin, s.opts.BootstrapToken)
	}
	if err := s.localToken(ctx, admin.Account); err != nil {
		return err
	}
	s.loginURL, err = invitation(ctx, s.auth, admin, s.url)
	return err
}

// Run serves until ctx ends, then drains within 10 s. The one line for people is printed once the
// port answers.
func (s *Server) Run(ctx context.Context) error {
	stages := []stage{
		{"disk guard", s.guard.Run},
		{"documents", s.tenants.Run},
		{"log of the shards", s.ledger.Run},
		{"notifications", s.notify.Run},
		{"alarms", s.watch.Run},
		{"series", s.series.Run},
		{"inventory", s.inventory.Run},
		{"checks", s.roster.Run},
		{"intake", s.intake.Run},
		{"gateway", s.gateway.Run},
		{"pages and API", s.serve},
		{"memory of states", s.seed},
	}
	if !s.opts.NoAgent {
		builtIn, err := s.builtIn(ctx)
		if err != nil {
			return errors.Join(err, s.close())
		}
		stages = append(stages, stage{"built-in agent", builtIn})
	}
	s.announce()
	err := runStages(ctx, s.opts.Logger, stages)
	return errors.Join(err, s.close())
}

// announce prints the one line a person needs.
func (s *Server) announce() {
	switch {
	case s.loginURL != "":
		fmt.Fprintf(s.opts.Out, "Muster is at %s  (this link signs you in once)\n", s.loginURL)
	default:
		fmt.Fprintf(s.opts.Out, "Muster is at %s\n", s.url)
	}
}

// close undoes Open, in reverse.
func (s *Server) close() error {
	var faults []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		faults = append(faults, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(faults...)
}

// seed tells the board what was known before this process: the heads are read back in the meantime.
func (s *Server) seed(ctx context.Context) error {
	for account := range s.tenants.each() {
		rows, _ := s.inventory.List(account, inventory.ListOptions{})
		for _, row := range rows {
			if ctx.Err() != nil {
				return nil
			}
			s.seedNode(ctx, account, row.Node.ID)
		}
	}
	<-ctx.Done()
	return nil
}

func (s *Server) seedNode(ctx context.Context, account muster.AccountID, node muster.NodeID) {
	known, err := s.series.Metrics(ctx, account, node)
	if err != nil {
		s.opts.Logger.Warn("a node's last values are not known", "node", node, "error", err)
		return
	}
	var newest int64
	var metrics []muster.Metric
	var values []float64
	for _, m := range known {
		if m.Source == muster.HostSource {
			newest = max(newest, m.At)
			metrics, values = append(metrics, m.Metric), append(values, m.Value)
		}
	}
	if newest > 0 {
		s.inventory.Seed(account, node, time.UnixMilli(newest), metrics, values)
	}
}
