package server

import (
	"context"
	"fmt"
	"time"

	"muster"
	"muster/internal/alarm"
	"muster/internal/alarm/archive"
	"muster/internal/check"
	kinds "muster/internal/check/all"
	"muster/internal/ingest"
	"muster/internal/inventory"
	"muster/internal/judge"
	"muster/internal/ledger"
	"muster/internal/live"
	"muster/internal/notify"
	"muster/internal/roster"
	"muster/internal/series"
	"muster/internal/series/engine"
	"muster/internal/store"
)

// Adapters between rooms that say the same in types of their own.

// shardStore is the store as the ledger wants it.
type shardStore struct{ *tenants }

func partition(key ledger.Partition) store.ShardKey {
	return store.ShardKey{Shard: key.Shard, Domain: key.Domain, Day: key.Day}
}

func headOf(h store.ShardHead, err error) (ledger.Head, error) {
	return ledger.Head{Epoch: h.Epoch, Holder: h.Holder, Closed: h.Closed, Last: h.Last}, err
}

func (s shardStore) TakeShard(ctx context.Context, key ledger.Partition, holder string, epoch uint64) (ledger.Head, error) {
	return headOf(s.Store.TakeShard(ctx, partition(key), holder, epoch))
}

func (s shardStore) ShardHead(ctx context.Context, key ledger.Partition) (ledger.Head, error) {
	return headOf(s.Store.ShardHead(ctx, partition(key)))
}

func (s shardStore) AppendShard(ctx context.Context, key ledger.Partition, epoch uint64, rows []ledger.Stored) error {
	out := make([]store.ShardRow, len(rows))
	for i, r := range rows {
		out[i] = store.ShardRow(r)
	}
	return s.Store.AppendShard(ctx, partition(key), epoch, out)
}

func (s shardStore) ScanShard(ctx context.Context, key ledger.Partition, from uint64, limit int) ([]ledger.Stored, error) {
	rows, err := s.Store.ScanShard(ctx, partition(key), from, limit)
	out := make([]ledger.Stored, len(rows))
	for i, r := range rows {
		out[i] = ledger.Stored(r)
	}
	return out, err
}

func (s shardStore) CloseDay(ctx context.Context, key ledger.Partition, epoch uint64) error {
	return s.Store.CloseDay(ctx, partition(key), epoch)
}

// alarmLedger is the ledger as the watch wants it.
type alarmLedger struct{ *ledger.Ledger }

func (l alarmLedger) Append(ctx context.Context, shard int, entries []alarm.Entry) error {
	out := make([]ledger.Entry, len(entries))
	for i, e := range entries {
		out[i] = ledger.Entry(e)
	}
	_, err := l.Ledger.Append(ctx, shard, out)
	return err
}

// incidentHistory keeps incidents in their stream.
type incidentHistory struct{ *tenants }

const incidentStream = "incidents"

func (h incidentHistory) Put(ctx context.Context, account muster.AccountID, rows []archive.Row) error {
	out := make([]store.EventRow, len(rows))
	for i, r := range rows {
		out[i] = store.EventRow(r)
	}
	return h.PutRows(ctx, account, incidentStream, out)
}

func (h incidentHistory) Rows(ctx context.Context, account muster.AccountID, before archive.Row, limit int) ([]archive.Row, error) {
	rows, err := h.RowsBefore(ctx, account, incidentStream, store.EventRow(before), limit)
	out := make([]archive.Row, len(rows))
	for i, r := range rows {
		out[i] = archive.Row(r)
	}
	return out, err
}

// rosterStore is the store as the roster wants it.
type rosterStore struct{ *tenants }

func (s rosterStore) PutRows(ctx context.Context, account muster.AccountID, stream string, rows []roster.StoredRow) error {
	out := make([]store.EventRow, len(rows))
	for i, r := range rows {
		out[i] = store.EventRow(r)
	}
	return s.Store.PutRows(ctx, account, stream, out)
}

func (s rosterStore) Rows(ctx context.Context, account muster.AccountID, stream, before string, limit int) ([]roster.StoredRow, string, error) {
	rows, next, err := s.Store.Rows(ctx, account, stream, before, limit)
	out := make([]roster.StoredRow, len(rows))
	for i, r := range rows {
		out[i] = roster.StoredRow(r)
	}
	return out, next, err
}

// fleet is who is watched: the nodes of the inventory and the checks of the roster.
type fleet struct{ s *Server }

func (f fleet) Node(account muster.AccountID, id muster.NodeID) *muster.Node {
	row, err := f.s.inventory.Get(account, id)
	if err != nil {
		return nil
	}
	return row.Node
}

func (f fleet) Nodes(account muster.AccountID) []*muster.Node {
	rows, _ := f.s.inventory.List(account, inventory.ListOptions{})
	out := make([]*muster.Node, len(rows))
	for i := range rows {
		out[i] = rows[i].Node
	}
	return out
}

func (f fleet) Seen(account muster.AccountID, id muster.NodeID) time.Time {
	row, err := f.s.inventory.Get(account, id)
	if err != nil {
		return time.Time{}
	}
	return row.Now.LastSeen
}

func (f fleet) Check(account muster.AccountID, id muster.CheckID) *muster.Check {
	row, err := f.s.roster.Get(account, id)
	if err != nil {
		return nil
	}
	return row.Check
}

// agentChecks joins the gateway's agents with the roster.
type agentChecks struct{ *roster.Roster }

func (c agentChecks) Joined(id inventory.Identity) { c.Roster.Joined(id.Account, id.Node) }
func (c agentChecks) Left(id inventory.Identity)   { c.Roster.Left(id.Account, id.Node) }

// openWatching opens what watches: the log, the checks, the alarms and the messages.
func (s *Server) openWatching(ctx context.Context, holder string, shards int, owns func(int) (uint64, bool)) error {
	s.shards = shards
	for _, open := range []func() error{
		func() error { return s.openLedger(ctx, holder, owns) },
		func() error { return s.openRoster(ctx) },
		func() error { return s.openWatch(ctx, owns) },
		func() error { return s.openNotify(ctx, owns) },
	} {
		if err := open(); err != nil {
			return err
		}
	}
	return nil
}

// openLedger opens the log of what must happen once.
func (s *Server) openLedger(ctx context.Context, holder string, owns func(int) (uint64, bool)) error {
	var err error
	s.ledger, err = ledger.Open(ctx, shardStore{s.tenants}, ledger.Options{
		Shards: s.shards, Domain: domain, Holder: holder, Owns: owns,
		Keep: func(key string, state []byte, age time.Duration) bool {
			if keep, ours := alarm.Keep(key, state, age); ours {
				return keep
			}
			return true // messages forget their own
		},
		Done:     func(shard int) ledger.Position { return ledger.Position(s.notify.Done(shard)) },
		Appended: func(shard int, rows []ledger.Row) { s.notify.Appended(shard, noticeRows(rows)) },
		Logger:   s.opts.Logger, Telemetry: s.telemetry,
	})
	if err == nil {
		s.closers = append(s.closers, s.ledger.Close)
	}
	return err
}

// openRoster opens the checks.
func (s *Server) openRoster(ctx context.Context) error {
	var err error
	s.roster, err = roster.Open(ctx, rosterStore{s.tenants}, roster.Options{
		Kinds: kinds.Kinds(),
		Send: func(account muster.AccountID, runner muster.NodeID, add []check.Assignment, remove []muster.CheckID, replace bool) bool {
			return s.gateway.Assign(account, runner, add, remove, replace)
		},
		RunOnce: func(ctx context.Context, account muster.AccountID, runner muster.NodeID, a check.Assignment) (muster.Result, error) {
			return s.gateway.RunOnce(ctx, account, runner, a)
		},
		Deliver: s.deliver, History: s.checkHistory,
		HasNode: func(account muster.AccountID, node muster.NodeID) bool {
			_, err := s.inventory.Get(account, node)
			return err == nil
		},
		MayJudge: s.mayJudge, Changed: s.checkChanged, Told: s.told, Logger: s.opts.Logger, Telemetry: s.telemetry,
	})
	return err
}

func (s *Server) mayJudge() bool { return s.guard.Check() == nil }

// deliver makes frames durable that this server made itself, and lets everybody hear of them.
func (s *Server) deliver(ctx context.Context, frames []*muster.Frame) error {
	now := time.Now().UnixMilli()
	byAccount := map[muster.AccountID][]*muster.Frame{}
	for _, f := range frames {
		byAccount[f.Account] = append(byAccount[f.Account], f)
	}
	for account, list := range byAccount {
		if _, err := s.intake.Take(ctx, &ingest.Batch{Account: account, Sent: now, Received: now, Here: true, Frames: list}); err != nil {
			return err
		}
	}
	return nil
}

// observe tells durable frames to those who show the present.
func (s *Server) observe(frames []*muster.Frame) {
	s.inventory.Observe(frames)
	s.roster.Observe(frames)
}

// checkHistory reads what a check measured, run by run.
func (s *Server) checkHistory(ctx context.Context, p roster.Past) ([]roster.Line, error) {
	answer, err := s.series.Query(ctx, series.Query{
		Account: p.Account, Nodes: []muster.NodeID{p.Subject}, Metric: p.Metric, Attrs: map[string]string{muster.CheckAttr: string(p.Check)},
		From: p.From, To: p.To, Step: time.Millisecond, Fn: "last",
	})
	if err != nil {
		return nil, err
	}
	lines := make([]roster.Line, len(answer.Lines))
	for i, l := range answer.Lines {
		lines[i] = roster.Line{Attrs: l.Attrs, Points: make([]roster.Point, len(l.Points))}
		for j, point := range l.Points {
			lines[i].Points[j] = roster.Point{At: point.T, Value: point.Avg}
		}
	}
	return lines, nil
}

// openWatch opens the alarms.
func (s *Server) openWatch(ctx context.Context, owns func(int) (uint64, bool)) error {
	var err error
	s.watch, err = alarm.Open(ctx, s.tenants, alarm.Options{
		Ledger: alarmLedger{s.ledger}, Fleet: fleet{s}, History: incidentHistory{s.tenants}, Series: s.series,
		Shards: s.shards, ShardOf: s.shardOf,
		Owns: func(shard int) bool { _, mine := owns(shard); return mine },
		HasChannel: func(account muster.AccountID, id muster.ChannelID) bool {
			_, err := s.notify.Channel(account, id)
			return err == nil
		},
		MayJudge: s.mayJudge, Changed: s.incidentChanged, Tell: s.note, Logger: s.opts.Logger, Telemetry: s.telemetry,
	})
	return err
}

// shardOf gives the shard of a subject: that of its frames.
func (s *Server) shardOf(account muster.AccountID, subject muster.NodeID) int {
	return engine.ShardOf(account, subject, s.tenants.spread(account), s.shards)
}

// incidentChanged tells open pages and streams of an incident that was saved.
func (s *Server) incidentChanged(account muster.AccountID, incident *muster.Incident) {
	s.hub.Publish(live.Event{Account: account, Topic: live.TopicIncidents, Kind: "incident", Key: string(incident.ID), Data: func() any { return incident }})
}

// checkChanged tells open pages and streams of a check, and the watch of its document.
func (s *Server) checkChanged(c roster.Change) {
	if c.Edited || c.Gone {
		s.watch.CheckChanged(c.Account, c.Check)
	}
	if !s.hub.Wanted(c.Account) {
		return
	}
	if c.Zone != "" {
		s.hub.Publish(live.Event{Account: c.Account, Topic: live.TopicResults, Kind: "result", Key: string(c.Check) + c.Zone, Data: func() any {
			result, ok := s.roster.Latest(c.Account, c.Check, c.Zone)
			if !ok {
				return nil
			}
			return &result
		}})
	}
	if c.Status || c.Edited || c.Gone {
		s.hub.Publish(live.Event{Account: c.Account, Topic: live.TopicChecks, Kind: "check", Key: string(c.Check), Data: func() any { return c }})
	}
}

// tellWithin says how soon an alarm tells: with the period of what it looks at, as far as that is one.
func (s *Server) tellWithin(a *muster.Alarm) time.Duration {
	rule, err := judge.Compile(a)
	if err != nil {
		return 0
	}
	period := 10 * time.Second
	if a.Check != "" {
		if c := (fleet{s}).Check(a.Account, a.Check); c != nil {
			period = c.Period
		}
	}
	return judge.TellWithin(rule, period)
}

// firstWatch makes what watches at the first start: the built-in alarms, and a check of this server.
func (s *Server) firstWatch(ctx context.Context) error {
	for account := range s.tenants.each() {
		if err := s.watch.EnsureDefaults(ctx, account); err != nil {
			return fmt.Errorf("server: make the built-in alarms: %w", err)
		}
	}
	accounts, err := s.tenants.Accounts(ctx)
	if err != nil || len(accounts) == 0 {
		return err
	}
	return s.roster.EnsureFirst(ctx, accounts[0].ID, s.url)
}

// noticeLedger is the ledger as the room that tells people wants it.
type noticeLedger struct{ *ledger.Ledger }

func (l noticeLedger) Rows(ctx context.Context, shard int, after notify.Position, limit int) ([]notify.Row, error) {
	rows, err := l.Ledger.Rows(ctx, shard, ledger.Position(after), limit)
	return noticeRows(rows), err
}

func noticeRows(rows []ledger.Row) []notify.Row {
	out := make([]notify.Row, len(rows))
	for i, r := range rows {
		out[i] = notify.Row(r)
	}
	return out
}

func (l noticeLedger) Append(ctx context.Context, shard int, entries []notify.Entry) error {
	out := make([]ledger.Entry, len(entries))
	for i, e := range entries {
		out[i] = ledger.Entry(e)
	}
	_, err := l.Ledger.Append(ctx, shard, out)
	return err
}
