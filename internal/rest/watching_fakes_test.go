package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"muster"
	"muster/internal/alarm"
	"muster/internal/check"
	"muster/internal/judge"
	"muster/internal/notify"
	"muster/internal/roster"
	"muster/internal/series/graph"
)

// shelf keeps documents of one kind, with revs, apart by account.
type shelf[T any] struct {
	mu   sync.Mutex
	rows map[muster.AccountID]map[string]*T
	rev  func(*T) *uint64
	name func(*T) string
}

func newShelf[T any](rev func(*T) *uint64, name func(*T) string) *shelf[T] {
	return &shelf[T]{rows: map[muster.AccountID]map[string]*T{}, rev: rev, name: name}
}

func (s *shelf[T]) list(account muster.AccountID) []*T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.rows[account]))
}

func (s *shelf[T]) get(account muster.AccountID, id string) (*T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.rows[account][id]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("shelf: get: %w: %s", muster.ErrNotFound, id)
}

func (s *shelf[T]) put(account muster.AccountID, id string, t *T) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for other, there := range s.rows[account] {
		if other != id && s.name(there) == s.name(t) {
			return fmt.Errorf("shelf: put: %w: the name %q is taken", muster.ErrConflict, s.name(t))
		}
	}
	if s.rows[account] == nil {
		s.rows[account] = map[string]*T{}
	}
	*s.rev(t)++
	s.rows[account][id] = t
	return nil
}

func (s *shelf[T]) change(account muster.AccountID, id string, rev uint64, fn func(*T) error) (*T, error) {
	t, err := s.get(account, id)
	if err != nil {
		return nil, err
	}
	if rev != 0 && *s.rev(t) != rev {
		return nil, fmt.Errorf("shelf: change: %w: another rev", muster.ErrConflict)
	}
	next := *t
	if err := fn(&next); err != nil {
		return nil, err
	}
	return &next, s.put(account, id, &next)
}

func (s *shelf[T]) drop(account muster.AccountID, id string, rev uint64) error {
	t, err := s.get(account, id)
	if err != nil {
		return err
	}
	if rev != 0 && *s.rev(t) != rev {
		return fmt.Errorf("shelf: drop: %w: another rev", muster.ErrConflict)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rows[account], id)
	return nil
}

// fakeChecks knows the kind "http", whose config is {"url"}.
type fakeChecks struct{ *shelf[muster.Check] }

func newFakeChecks() fakeChecks {
	return fakeChecks{newShelf(func(c *muster.Check) *uint64 { return &c.Rev }, func(c *muster.Check) string { return c.Name })}
}

var someResult = muster.Result{
	Check: "check_1", Zone: "local", At: time.Unix(1000, 0), Status: muster.StatusCritical, Summary: "HTTP 502", Duration: 12 * time.Millisecond,
	Metrics: []muster.Reading{{Metric: check.Gauge("http.duration", "s"), Value: 0.012}}, Class: "status", Error: "502, expected 200-299",
}

func (f fakeChecks) row(c *muster.Check) roster.Row {
	return roster.Row{Check: c, Status: muster.StatusCritical, Since: time.Unix(1000, 0), Last: []muster.Result{someResult}}
}

func (f fakeChecks) List(account muster.AccountID, _ roster.ListOptions) (rows []roster.Row) {
	for _, c := range f.list(account) {
		rows = append(rows, f.row(c))
	}
	return rows
}

func (f fakeChecks) Get(account muster.AccountID, id muster.CheckID) (roster.Row, error) {
	c, err := f.get(account, string(id))
	if err != nil {
		return roster.Row{}, err
	}
	return f.row(c), nil
}

func (f fakeChecks) valid(c *muster.Check) error {
	var config struct{ URL string }
	if c.Kind == roster.KindPush {
		return nil
	}
	if c.Kind != "http" {
		return fmt.Errorf("checks: %w: kind: there is no %q", muster.ErrInvalid, c.Kind)
	}
	if err := json.Unmarshal(c.Config, &config); err != nil || config.URL == "" {
		return fmt.Errorf("checks: %w", &check.ConfigError{Fields: []check.FieldError{{Field: "url", Message: "is needed"}}})
	}
	c.Target = config.URL
	if c.Name == "" {
		c.Name = c.Target
	}
	return nil
}

func (f fakeChecks) Create(_ context.Context, edit roster.Edit, c *muster.Check) (roster.Row, error) {
	if err := f.valid(c); err != nil {
		return roster.Row{}, err
	}
	c.ID, c.Account, c.Zones = muster.NewCheckID(), edit.Account, []string{"local"}
	return f.row(c), f.put(edit.Account, string(c.ID), c)
}

func (f fakeChecks) Update(_ context.Context, edit roster.Edit, change func(*muster.Check) error) (roster.Row, error) {
	c, err := f.change(edit.Account, string(edit.ID), edit.Rev, func(c *muster.Check) error {
		if err := change(c); err != nil {
			return err
		}
		return f.valid(c)
	})
	return f.row(c), err
}

func (f fakeChecks) Delete(_ context.Context, edit roster.Edit) error {
	return f.drop(edit.Account, string(edit.ID), edit.Rev)
}

func (f fakeChecks) Test(_ context.Context, c *muster.Check) (muster.Result, error) {
	return someResult, f.valid(c)
}

func (f fakeChecks) Results(_ context.Context, account muster.AccountID, id muster.CheckID, before string, limit int) ([]muster.Result, string, error) {
	if _, err := f.get(account, string(id)); err != nil {
		return nil, "", err
	}
	if before != "" {
		return []muster.Result{someResult}, "", nil
	}
	return slices.Repeat([]muster.Result{someResult}, limit), "more", nil
}

// fakeAlarms has one incident, in the first account that asks.
type fakeAlarms struct {
	*shelf[muster.Alarm]
	mu        sync.Mutex
	incidents map[muster.IncidentID]*muster.Incident
	filter    alarm.IncidentFilter
	backtest  alarm.BacktestOptions
}

func newFakeAlarms() *fakeAlarms {
	return &fakeAlarms{
		shelf:     newShelf(func(a *muster.Alarm) *uint64 { return &a.Rev }, func(a *muster.Alarm) string { return a.Name }),
		incidents: map[muster.IncidentID]*muster.Incident{},
	}
}

func (f *fakeAlarms) List(account muster.AccountID) []*muster.Alarm { return f.list(account) }

func (f *fakeAlarms) Get(account muster.AccountID, id muster.AlarmID) (*muster.Alarm, error) {
	return f.get(account, string(id))
}

func (f *fakeAlarms) Create(_ context.Context, edit alarm.Edit, a *muster.Alarm) (*muster.Alarm, error) {
	if _, err := judge.Compile(a); err != nil {
		return nil, fmt.Errorf("alarms: create: %w", err)
	}
	a.ID, a.Account = muster.NewAlarmID(), edit.Account
	return a, f.put(edit.Account, string(a.ID), a)
}

func (f *fakeAlarms) Update(_ context.Context, edit alarm.Edit, change func(*muster.Alarm) error) (*muster.Alarm, error) {
	return f.change(edit.Account, string(edit.ID), edit.Rev, change)
}

func (f *fakeAlarms) Delete(_ context.Context, edit alarm.Edit) error {
	return f.drop(edit.Account, string(edit.ID), edit.Rev)
}

func (f *fakeAlarms) StandingBy(account muster.AccountID, id muster.AlarmID) ([]alarm.Standing, error) {
	_, err := f.get(account, string(id))
	return []alarm.Standing{{State: muster.AlarmFiring}, {State: muster.AlarmOK}, {State: muster.AlarmRecovering}, {State: muster.AlarmPending}}, err
}

func (f *fakeAlarms) Backtest(_ context.Context, _ muster.AccountID, a *muster.Alarm, o alarm.BacktestOptions) (*alarm.Backtest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.backtest = o
	return &alarm.Backtest{
		From: o.From, To: o.To, Step: 10 * time.Second, Matched: 3, Tried: 2, Fired: 2, Firing: 1, Unit: "1",
		Lines: []alarm.TestLine{{
			Subject: a.Node, Name: "web-1", Spans: []judge.Span{{From: o.From, To: o.From.Add(time.Minute), Why: "97 %"}, {From: o.To.Add(-time.Hour), Why: "98 %"}},
			Points: []graph.Point{{T: 1_500, Min: 1, Avg: 2, Max: 3}},
		}},
	}, nil
}

func (f *fakeAlarms) Incidents(_ context.Context, account muster.AccountID, filter alarm.IncidentFilter) (list []*muster.Incident, next string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.filter = filter
	for _, in := range f.incidents {
		if in.Account == account {
			list = append(list, in)
		}
	}
	return list, "", nil
}

func (f *fakeAlarms) Incident(_ context.Context, account muster.AccountID, id muster.IncidentID) (*muster.Incident, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if in := f.incidents[id]; in != nil && in.Account == account {
		copied := *in
		return &copied, nil
	}
	return nil, fmt.Errorf("alarms: %w", muster.ErrNotFound)
}

func (f *fakeAlarms) alter(account muster.AccountID, id muster.IncidentID, change func(*muster.Incident) error) (*muster.Incident, error) {
	in, err := f.Incident(context.Background(), account, id)
	if err == nil {
		err = change(in)
	}
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.incidents[id] = in
	return in, nil
}

func (f *fakeAlarms) Acknowledge(_ context.Context, account muster.AccountID, id muster.IncidentID, actor string) (*muster.Incident, error) {
	return f.alter(account, id, func(in *muster.Incident) error {
		if in.State == muster.IncidentResolved {
			return fmt.Errorf("alarms: %w: it is resolved", muster.ErrConflict)
		}
		in.State, in.AcknowledgedBy, in.AcknowledgedAt = muster.IncidentAcknowledged, actor, time.Unix(2000, 0)
		return nil
	})
}

func (f *fakeAlarms) Comment(_ context.Context, account muster.AccountID, id muster.IncidentID, c muster.Comment) (*muster.Incident, error) {
	return f.alter(account, id, func(in *muster.Incident) error {
		in.Comments = append(in.Comments, c)
		return nil
	})
}

// fakeNotices makes a secret for every channel without one.
type fakeNotices struct {
	channels *shelf[muster.Channel]
	quiet    *shelf[muster.Suppression]
}

func newFakeNotices() *fakeNotices {
	return &fakeNotices{
		channels: newShelf(func(c *muster.Channel) *uint64 { return &c.Rev }, func(c *muster.Channel) string { return c.Name }),
		quiet:    newShelf(func(s *muster.Suppression) *uint64 { return &s.Rev }, func(s *muster.Suppression) string { return string(s.ID) }),
	}
}

func (f *fakeNotices) Channels(account muster.AccountID) []*muster.Channel {
	return f.channels.list(account)
}

func (f *fakeNotices) Channel(account muster.AccountID, id muster.ChannelID) (*muster.Channel, error) {
	return f.channels.get(account, string(id))
}

func (f *fakeNotices) CreateChannel(_ context.Context, edit notify.Edit, c *muster.Channel) (*muster.Channel, map[string]string, error) {
	if string(c.Config) == "{}" {
		return nil, nil, fmt.Errorf("notices: %w", &notify.ConfigError{Fields: []notify.FieldError{{Field: "url", Message: "is needed"}}})
	}
	c.ID, c.Account = muster.NewChannelID(), edit.Account
	return c, map[string]string{"secret": "whsec_shown"}, f.channels.put(edit.Account, string(c.ID), c)
}

func (f *fakeNotices) UpdateChannel(_ context.Context, edit notify.Edit, change func(*muster.Channel) error) (*muster.Channel, error) {
	return f.channels.change(edit.Account, edit.ID, edit.Rev, change)
}

func (f *fakeNotices) DeleteChannel(_ context.Context, edit notify.Edit) error {
	return f.channels.drop(edit.Account, edit.ID, edit.Rev)
}

func (f *fakeNotices) TestChannel(_ context.Context, account muster.AccountID, id muster.ChannelID) (muster.Delivery, error) {
	_, err := f.channels.get(account, string(id))
	return muster.Delivery{Message: "message_1", Type: "incident.test", Channel: id, At: time.Unix(1000, 0), Attempt: 1, Status: muster.DeliveryFailed, Error: "refused"}, err
}

func (f *fakeNotices) Deliveries(context.Context, muster.AccountID, muster.IncidentID) ([]muster.Delivery, error) {
	return []muster.Delivery{{Message: "message_1", Type: "incident.opened", Channel: "channel_1", At: time.Unix(1000, 0), Attempt: 1, Status: muster.DeliverySent}}, nil
}

func (f *fakeNotices) Suppressions(account muster.AccountID) []*muster.Suppression {
	return f.quiet.list(account)
}

func (f *fakeNotices) Suppression(account muster.AccountID, id muster.SuppressionID) (*muster.Suppression, error) {
	return f.quiet.get(account, string(id))
}

func (f *fakeNotices) CreateSuppression(_ context.Context, edit notify.Edit, s *muster.Suppression) (*muster.Suppression, error) {
	s.ID, s.Account = muster.NewSuppressionID(), edit.Account
	return s, f.quiet.put(edit.Account, string(s.ID), s)
}

func (f *fakeNotices) UpdateSuppression(_ context.Context, edit notify.Edit, change func(*muster.Suppression) error) (*muster.Suppression, error) {
	return f.quiet.change(edit.Account, edit.ID, edit.Rev, change)
}

func (f *fakeNotices) DeleteSuppression(_ context.Context, edit notify.Edit) error {
	return f.quiet.drop(edit.Account, edit.ID, edit.Rev)
}

func (f *fakeNotices) Times(s *muster.Suppression, now time.Time) (until, next time.Time) {
	if end := s.From.Add(s.Length); now.Before(end) {
		return end, time.Time{}
	}
	return time.Time{}, time.Time{}
}
