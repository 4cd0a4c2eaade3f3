package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"muster"
)

// The documents of watching: checks and alarms here, channels and suppressions in tell.go. Each has a
// name that is unique in its account, upper and lower case alike.

// span is a duration in the form "1m30s"; zero is left out by omitzero.
type span time.Duration

// MarshalText gives the form of time.Duration.
func (s span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

// UnmarshalText reads it.
func (s *span) UnmarshalText(b []byte) error {
	d, err := time.ParseDuration(string(b))
	*s = span(d)
	return err
}

func ownName(kind string, account muster.AccountID, name string) []Key {
	return []Key{{Account: account, Kind: "name." + kind, ID: fold(name)}}
}

// nodeText gives the text form of an id that may be zero.
func nodeText(id muster.NodeID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

func parseNode(key Key, text string) (id muster.NodeID, err error) {
	if text == "" {
		return id, nil
	}
	if id, err = muster.ParseNodeID(text); err != nil {
		return id, fmt.Errorf("%w: the body of %s %s: %w", muster.ErrInvalid, key.Kind, key.ID, err)
	}
	return id, nil
}

type checkBody struct {
	Name      string          `json:"name"`
	Kind      string          `json:"kind"`
	Node      string          `json:"node,omitempty"`
	Config    json.RawMessage `json:"config"`
	Target    string          `json:"target"`
	Period    span            `json:"period"`
	Timeout   span            `json:"timeout,omitzero"`
	Zones     []string        `json:"zones"`
	Enabled   bool            `json:"enabled"`
	CreatedAt time.Time       `json:"created_at"`
	UpdatedAt time.Time       `json:"updated_at"`
}

func checkKeyOf(account muster.AccountID, id muster.CheckID) Key {
	return Key{Account: account, Kind: "check", ID: string(id)}
}

func checkForm() form[muster.Check] {
	return form[muster.Check]{
		kind: "check",
		key:  func(c *muster.Check) Key { return checkKeyOf(c.Account, c.ID) },
		meta: func(c *muster.Check) meta { return meta{&c.Rev, &c.CreatedAt, &c.UpdatedAt} },
		encode: func(c *muster.Check) any {
			return checkBody{
				Name: c.Name, Kind: c.Kind, Node: nodeText(c.Node), Config: c.Config, Target: c.Target, Period: span(c.Period), Timeout: span(c.Timeout),
				Zones: c.Zones, Enabled: c.Enabled, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
			}
		},
		decode: func(key Key, text []byte) (*muster.Check, error) {
			b, err := parse[checkBody](key, text)
			if err != nil {
				return nil, err
			}
			node, err := parseNode(key, b.Node)
			return &muster.Check{
				ID: muster.CheckID(key.ID), Account: key.Account, Name: b.Name, Kind: b.Kind, Node: node, Config: b.Config, Target: b.Target, Period: time.Duration(b.Period),
				Timeout: time.Duration(b.Timeout), Zones: b.Zones, Enabled: b.Enabled, CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt,
			}, err
		},
		claims: func(c *muster.Check) []Key { return ownName("check", c.Account, c.Name) },
		check: func(c *muster.Check) error {
			if c.Kind == "" || !json.Valid(c.Config) {
				return fmt.Errorf("%w: a check has a kind and a configuration in JSON", muster.ErrInvalid)
			}
			return checkName("check", c.Name)
		},
	}
}

type alarmBody struct {
	Name      string             `json:"name"`
	Query     string             `json:"query,omitempty"`
	Node      string             `json:"node,omitempty"`
	Check     muster.CheckID     `json:"check,omitempty"`
	Metric    string             `json:"metric,omitempty"`
	Attrs     map[string]string  `json:"attributes,omitempty"`
	Condition *conditionBody     `json:"condition,omitempty"`
	NoData    noDataBody         `json:"no_data,omitzero"`
	Level     muster.Level       `json:"level"`
	Channels  []muster.ChannelID `json:"channels,omitempty"`
	Enabled   bool               `json:"enabled"`
	BuiltIn   string             `json:"built_in,omitempty"`
	CreatedAt time.Time          `json:"created_at"`
	UpdatedAt time.Time          `json:"updated_at"`
}

type conditionBody struct {
	Fn      muster.Fn    `json:"fn,omitempty"`
	Within  span         `json:"within,omitzero"`
	Op      muster.Op    `json:"op"`
	Value   float64      `json:"value"`
	For     span         `json:"for,omitzero"`
	Recover recoveryBody `json:"recover,omitzero"`
}

type recoveryBody struct {
	Op    muster.Op `json:"op,omitempty"`
	Value float64   `json:"value,omitempty"`
	For   span      `json:"for,omitzero"`
}

type noDataBody struct {
	After span            `json:"after,omitzero"`
	Is    muster.NoDataIs `json:"is,omitempty"`
}

func alarmKey(account muster.AccountID, id muster.AlarmID) Key {
	return Key{Account: account, Kind: "alarm", ID: string(id)}
}

func alarmForm() form[muster.Alarm] {
	return form[muster.Alarm]{
		kind:   "alarm",
		key:    func(a *muster.Alarm) Key { return alarmKey(a.Account, a.ID) },
		meta:   func(a *muster.Alarm) meta { return meta{&a.Rev, &a.CreatedAt, &a.UpdatedAt} },
		encode: func(a *muster.Alarm) any { return encodeAlarm(a) },
		decode: decodeAlarm,
		claims: func(a *muster.Alarm) []Key { return ownName("alarm", a.Account, a.Name) },
		check:  func(a *muster.Alarm) error { return checkName("alarm", a.Name) },
	}
}

func encodeAlarm(a *muster.Alarm) alarmBody {
	b := alarmBody{
		Name: a.Name, Query: a.Query, Node: nodeText(a.Node), Check: a.Check, Metric: a.Metric, Attrs: a.Attrs, NoData: noDataBody{span(a.NoData.After), a.NoData.Is},
		Level: a.Level, Channels: a.Channels, Enabled: a.Enabled, BuiltIn: a.BuiltIn, CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt,
	}
	if c := a.Condition; c != nil {
		b.Condition = &conditionBody{c.Fn, span(c.Within), c.Op, c.Value, span(c.For), recoveryBody{c.Recover.Op, c.Recover.Value, span(c.Recover.For)}}
	}
	return b
}

func decodeAlarm(key Key, text []byte) (*muster.Alarm, error) {
	b, err := parse[alarmBody](key, text)
	if err != nil {
		return nil, err
	}
	node, err := parseNode(key, b.Node)
	a := &muster.Alarm{
		ID: muster.AlarmID(key.ID), Account: key.Account, Name: b.Name, Query: b.Query, Node: node, Check: b.Check, Metric: b.Metric, Attrs: b.Attrs,
		NoData: muster.NoData{After: time.Duration(b.NoData.After), Is: b.NoData.Is}, Level: b.Level, Channels: b.Channels, Enabled: b.Enabled, BuiltIn: b.BuiltIn,
		CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt,
	}
	if c := b.Condition; c != nil {
		a.Condition = &muster.Condition{
			Fn: c.Fn, Within: time.Duration(c.Within), Op: c.Op, Value: c.Value, For: time.Duration(c.For),
			Recover: muster.Recovery{Op: c.Recover.Op, Value: c.Recover.Value, For: time.Duration(c.Recover.For)},
		}
	}
	return a, err
}

// CreateCheck stores a new check; it fills in ID when it is empty, Rev and times. ErrConflict when the name is taken.
func (s *Store) CreateCheck(ctx context.Context, c *muster.Check) error {
	if c.ID == "" {
		c.ID = muster.NewCheckID()
	}
	return s.checks.create(ctx, c)
}

// Check reads one check of an account; ErrNotFound when there is none.
func (s *Store) Check(ctx context.Context, account muster.AccountID, id muster.CheckID) (*muster.Check, error) {
	return s.checks.get(ctx, checkKeyOf(account, id), false)
}

// Checks reads all checks of an account, oldest first.
func (s *Store) Checks(ctx context.Context, account muster.AccountID) ([]*muster.Check, error) {
	return s.checks.list(ctx, account)
}

// UpdateCheck changes a check by fn and gives what it became; rev 0 means any, another that is not the current one gives ErrConflict.
func (s *Store) UpdateCheck(ctx context.Context, account muster.AccountID, id muster.CheckID, rev uint64, fn func(*muster.Check) error) (*muster.Check, error) {
	return s.checks.update(ctx, checkKeyOf(account, id), rev, fn)
}

// DeleteCheck deletes a check; rev as for UpdateCheck.
func (s *Store) DeleteCheck(ctx context.Context, account muster.AccountID, id muster.CheckID, rev uint64) error {
	return s.checks.remove(ctx, checkKeyOf(account, id), rev)
}

// CreateAlarm stores a new alarm; it fills in ID when it is empty, Rev and times. ErrConflict when the name is taken.
func (s *Store) CreateAlarm(ctx context.Context, a *muster.Alarm) error {
	if a.ID == "" {
		a.ID = muster.NewAlarmID()
	}
	return s.alarms.create(ctx, a)
}

// Alarm reads one alarm of an account; ErrNotFound when there is none.
func (s *Store) Alarm(ctx context.Context, account muster.AccountID, id muster.AlarmID) (*muster.Alarm, error) {
	return s.alarms.get(ctx, alarmKey(account, id), false)
}

// Alarms reads all alarms of an account, oldest first.
func (s *Store) Alarms(ctx context.Context, account muster.AccountID) ([]*muster.Alarm, error) {
	return s.alarms.list(ctx, account)
}

// UpdateAlarm changes an alarm by fn and gives what it became; rev as for UpdateCheck.
func (s *Store) UpdateAlarm(ctx context.Context, account muster.AccountID, id muster.AlarmID, rev uint64, fn func(*muster.Alarm) error) (*muster.Alarm, error) {
	return s.alarms.update(ctx, alarmKey(account, id), rev, fn)
}

// DeleteAlarm deletes an alarm; rev as for UpdateCheck.
func (s *Store) DeleteAlarm(ctx context.Context, account muster.AccountID, id muster.AlarmID, rev uint64) error {
	return s.alarms.remove(ctx, alarmKey(account, id), rev)
}
