package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"

	"muster"
	"muster/api"
)

// Things calls the API of one kind of objects that people make, change and delete: New is what they say
// of one, Out what the server shows.
type Things[New, Out any] struct {
	c    *Client
	path string
	one  string // what ids begin with
	key  func(*Out) (id, name string)
}

// Checks are what is run again and again against a target.
func (c *Client) Checks() Things[api.CheckNew, api.Check] {
	return Things[api.CheckNew, api.Check]{c, api.PathChecks, "check", func(o *api.Check) (string, string) { return o.ID, o.Name }}
}

// Alarms are the rules.
func (c *Client) Alarms() Things[api.AlarmNew, api.Alarm] {
	return Things[api.AlarmNew, api.Alarm]{c, api.PathAlarms, "alarm", func(o *api.Alarm) (string, string) { return o.ID, o.Name }}
}

// Channels are the ways to tell somebody.
func (c *Client) Channels() Things[api.ChannelNew, api.Channel] {
	return Things[api.ChannelNew, api.Channel]{c, api.PathChannels, "channel", func(o *api.Channel) (string, string) { return o.ID, o.Name }}
}

// Suppressions are the times in which nobody is told.
func (c *Client) Suppressions() Things[api.SuppressionNew, api.Suppression] {
	return Things[api.SuppressionNew, api.Suppression]{c, api.PathSuppressions, "suppression", func(o *api.Suppression) (string, string) { return o.ID, o.Name }}
}

// All walks over all of them; after an error it ends.
func (t Things[New, Out]) All(ctx context.Context) iter.Seq2[Out, error] {
	return all[Out](ctx, t.c, t.path, ListOptions{})
}

// Get gets one by its id.
func (t Things[New, Out]) Get(ctx context.Context, id string) (*Out, error) {
	return one[Out](ctx, t.c, call{method: http.MethodGet, path: t.path + "/" + id})
}

// Find gets the one of that id or name; the error wraps muster.ErrNotFound when there is none.
func (t Things[New, Out]) Find(ctx context.Context, nameOrID string) (*Out, error) {
	if isID(t.one, nameOrID) {
		out, err := t.Get(ctx, nameOrID)
		if !errors.Is(err, muster.ErrNotFound) {
			return out, err
		}
	}
	for out, err := range t.All(ctx) {
		if err != nil {
			return nil, err
		}
		if _, name := t.key(&out); name == nameOrID {
			return &out, nil
		}
	}
	return nil, fmt.Errorf("%w: there is no %s %q", muster.ErrNotFound, t.one, nameOrID)
}

// isID says whether a text has the form of an id: names may begin like one.
func isID(prefix, s string) bool {
	const digits = 26
	rest, ok := strings.CutPrefix(s, prefix+"_")
	return ok && len(rest) == digits && strings.Trim(rest, "0123456789abcdefghjkmnpqrstvwxyz") == ""
}

// Key gives the id and the name of one.
func (t Things[New, Out]) Key(o *Out) (id, name string) { return t.key(o) }

// New makes one. Where the server makes a secret, its answer alone holds it.
func (t Things[New, Out]) New(ctx context.Context, said New) (*Out, error) {
	return one[Out](ctx, t.c, call{method: http.MethodPost, path: t.path, body: said})
}

// Edit changes one by a merge patch of New: what is absent stays, null empties. With a rev it fails with
// muster.ErrConflict when somebody was faster; with 0 it does not look.
func (t Things[New, Out]) Edit(ctx context.Context, id string, rev uint64, patch any) (*Out, error) {
	return one[Out](ctx, t.c, call{method: http.MethodPatch, path: t.path + "/" + id, body: patch, ifMatch: rev})
}

// Delete removes one; rev as with Edit.
func (t Things[New, Out]) Delete(ctx context.Context, id string, rev uint64) error {
	return t.c.do(ctx, call{method: http.MethodDelete, path: t.path + "/" + id, ifMatch: rev}, nil)
}
