package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"muster"
)

type channelBody struct {
	Name      string           `json:"name"`
	Kind      string           `json:"kind"`
	Config    json.RawMessage  `json:"config"`
	Sealed    []byte           `json:"sealed,omitempty"` // base64
	Default   bool             `json:"default,omitempty"`
	Fallback  muster.ChannelID `json:"fallback,omitempty"`
	Disabled  string           `json:"disabled,omitempty"`
	CreatedAt time.Time        `json:"created_at"`
	UpdatedAt time.Time        `json:"updated_at"`
}

func channelKey(account muster.AccountID, id muster.ChannelID) Key {
	return Key{Account: account, Kind: "channel", ID: string(id)}
}

func channelForm() form[muster.Channel] {
	return form[muster.Channel]{
		kind: "channel",
		key:  func(c *muster.Channel) Key { return channelKey(c.Account, c.ID) },
		meta: func(c *muster.Channel) meta { return meta{&c.Rev, &c.CreatedAt, &c.UpdatedAt} },
		encode: func(c *muster.Channel) any {
			return channelBody{c.Name, c.Kind, c.Config, c.Sealed, c.Default, c.Fallback, c.Disabled, c.CreatedAt, c.UpdatedAt}
		},
		decode: func(key Key, text []byte) (*muster.Channel, error) {
			b, err := parse[channelBody](key, text)
			if err != nil {
				return nil, err
			}
			return &muster.Channel{
				ID: muster.ChannelID(key.ID), Account: key.Account, Name: b.Name, Kind: b.Kind, Config: b.Config, Sealed: b.Sealed,
				Default: b.Default, Fallback: b.Fallback, Disabled: b.Disabled, CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt,
			}, nil
		},
		claims: func(c *muster.Channel) []Key { return ownName("channel", c.Account, c.Name) },
		check: func(c *muster.Channel) error {
			if c.Kind == "" || !json.Valid(c.Config) {
				return fmt.Errorf("%w: a channel has a kind and a configuration in JSON", muster.ErrInvalid)
			}
			return checkName("channel", c.Name)
		},
	}
}

type suppressionBody struct {
	Name      string         `json:"name"`
	Query     string         `json:"query,omitempty"`
	Node      string         `json:"node,omitempty"`
	Check     muster.CheckID `json:"check,omitempty"`
	Alarm     muster.AlarmID `json:"alarm,omitempty"`
	From      time.Time      `json:"from"`
	Length    span           `json:"length"`
	Rule      string         `json:"rule,omitempty"`
	Zone      string         `json:"zone,omitempty"`
	Reason    string         `json:"reason,omitempty"`
	By        string         `json:"by,omitempty"`
	CreatedAt time.Time      `json:"created_at"`
	UpdatedAt time.Time      `json:"updated_at"`
}

func suppressionKey(account muster.AccountID, id muster.SuppressionID) Key {
	return Key{Account: account, Kind: "suppression", ID: string(id)}
}

func suppressionForm() form[muster.Suppression] {
	return form[muster.Suppression]{
		kind: "suppression",
		key:  func(s *muster.Suppression) Key { return suppressionKey(s.Account, s.ID) },
		meta: func(s *muster.Suppression) meta { return meta{&s.Rev, &s.CreatedAt, &s.UpdatedAt} },
		encode: func(s *muster.Suppression) any {
			return suppressionBody{s.Name, s.Query, nodeText(s.Node), s.Check, s.Alarm, s.From.UTC(), span(s.Length), s.Rule, s.Zone, s.Reason, s.By, s.CreatedAt, s.UpdatedAt}
		},
		decode: func(key Key, text []byte) (*muster.Suppression, error) {
			b, err := parse[suppressionBody](key, text)
			if err != nil {
				return nil, err
			}
			node, err := parseNode(key, b.Node)
			return &muster.Suppression{
				ID: muster.SuppressionID(key.ID), Account: key.Account, Name: b.Name, Query: b.Query, Node: node, Check: b.Check, Alarm: b.Alarm, From: b.From, Length: time.Duration(b.Length),
				Rule: b.Rule, Zone: b.Zone, Reason: b.Reason, By: b.By, CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt,
			}, err
		},
		claims: func(s *muster.Suppression) []Key { return ownName("suppression", s.Account, s.Name) },
		check: func(s *muster.Suppression) error {
			if s.From.IsZero() || s.Length <= 0 {
				return fmt.Errorf("%w: a suppression begins at a time and has a length", muster.ErrInvalid)
			}
			return checkName("suppression", s.Name)
		},
	}
}

// CreateChannel stores a new channel; it fills in ID when it is empty, Rev and times. ErrConflict when the name is taken.
func (s *Store) CreateChannel(ctx context.Context, c *muster.Channel) error {
	if c.ID == "" {
		c.ID = muster.NewChannelID()
	}
	return s.channels.create(ctx, c)
}

// Channel reads one channel of an account; ErrNotFound when there is none.
func (s *Store) Channel(ctx context.Context, account muster.AccountID, id muster.ChannelID) (*muster.Channel, error) {
	return s.channels.get(ctx, channelKey(account, id), false)
}

// Channels reads all channels of an account, oldest first.
func (s *Store) Channels(ctx context.Context, account muster.AccountID) ([]*muster.Channel, error) {
	return s.channels.list(ctx, account)
}

// UpdateChannel changes a channel by fn and gives what it became; rev as for UpdateCheck.
func (s *Store) UpdateChannel(ctx context.Context, account muster.AccountID, id muster.ChannelID, rev uint64, fn func(*muster.Channel) error) (*muster.Channel, error) {
	return s.channels.update(ctx, channelKey(account, id), rev, fn)
}

// DeleteChannel deletes a channel; rev as for UpdateCheck.
func (s *Store) DeleteChannel(ctx context.Context, account muster.AccountID, id muster.ChannelID, rev uint64) error {
	return s.channels.remove(ctx, channelKey(account, id), rev)
}

// CreateSuppression stores a new suppression; it fills in ID when it is empty, Rev and times. ErrConflict when the name is taken.
func (s *Store) CreateSuppression(ctx context.Context, p *muster.Suppression) error {
	if p.ID == "" {
		p.ID = muster.NewSuppressionID()
	}
	return s.suppressions.create(ctx, p)
}

// Suppression reads one suppression of an account; ErrNotFound when there is none.
func (s *Store) Suppression(ctx context.Context, account muster.AccountID, id muster.SuppressionID) (*muster.Suppression, error) {
	return s.suppressions.get(ctx, suppressionKey(account, id), false)
}

// Suppressions reads all suppressions of an account, oldest first.
func (s *Store) Suppressions(ctx context.Context, account muster.AccountID) ([]*muster.Suppression, error) {
	return s.suppressions.list(ctx, account)
}

// UpdateSuppression changes a suppression by fn and gives what it became; rev as for UpdateCheck.
func (s *Store) UpdateSuppression(ctx context.Context, account muster.AccountID, id muster.SuppressionID, rev uint64, fn func(*muster.Suppression) error) (*muster.Suppression, error) {
	return s.suppressions.update(ctx, suppressionKey(account, id), rev, fn)
}

// DeleteSuppression deletes a suppression; rev as for UpdateCheck.
func (s *Store) DeleteSuppression(ctx context.Context, account muster.AccountID, id muster.SuppressionID, rev uint64) error {
	return s.suppressions.remove(ctx, suppressionKey(account, id), rev)
}
