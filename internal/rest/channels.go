package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"muster"
	"muster/api"
	"muster/internal/notify"
	"muster/internal/shape"
)

// Notices is what the API asks of the room that tells people.
type Notices interface {
	Channels(account muster.AccountID) []*muster.Channel
	Channel(account muster.AccountID, id muster.ChannelID) (*muster.Channel, error)
	// CreateChannel keeps a channel whose Config still has its secrets; made holds those that were made here.
	CreateChannel(ctx context.Context, edit notify.Edit, c *muster.Channel) (kept *muster.Channel, made map[string]string, err error)
	UpdateChannel(ctx context.Context, edit notify.Edit, change func(*muster.Channel) error) (*muster.Channel, error)
	DeleteChannel(ctx context.Context, edit notify.Edit) error
	TestChannel(ctx context.Context, account muster.AccountID, id muster.ChannelID) (muster.Delivery, error)
	Deliveries(ctx context.Context, account muster.AccountID, id muster.IncidentID) ([]muster.Delivery, error)

	Suppressions(account muster.AccountID) []*muster.Suppression
	Suppression(account muster.AccountID, id muster.SuppressionID) (*muster.Suppression, error)
	CreateSuppression(ctx context.Context, edit notify.Edit, s *muster.Suppression) (*muster.Suppression, error)
	UpdateSuppression(ctx context.Context, edit notify.Edit, change func(*muster.Suppression) error) (*muster.Suppression, error)
	DeleteSuppression(ctx context.Context, edit notify.Edit) error
	// Times says until when a suppression holds now and when it holds next; zero for neither.
	Times(s *muster.Suppression, now time.Time) (until, next time.Time)
}

func (a *API) channelRoutes() {
	things[muster.Channel, api.ChannelNew, api.Channel]{
		path: api.PathChannels, tag: "Channels", one: "channel", many: "channels",
		list: func(c caller) []*muster.Channel { return a.o.Notices.Channels(c.Account) },
		get: func(c caller, id string) (*muster.Channel, error) {
			return a.o.Notices.Channel(c.Account, muster.ChannelID(id))
		},
		create: a.createChannel, update: a.updateChannel,
		remove: func(ctx context.Context, c caller, e edit) error {
			return a.o.Notices.DeleteChannel(ctx, notifyEdit(c, e))
		},
		shape: func(_ caller, x *muster.Channel) api.Channel { return shape.Channel(x) },
		meta:  func(x api.Channel) api.Object { return x.Object }, key: func(x *muster.Channel) string { return string(x.ID) },
	}.register(a)
	handle(a, route{id: "test-channel", method: http.MethodPost, path: api.PathChannels + "/{id}/test", tag: "Channels", role: muster.Operator, status: http.StatusOK,
		summary: "Send a message to try a channel", about: "The answer says what became of it: delivered, or failed and why."}, a.testChannel)
}

func notifyEdit(c caller, e edit) notify.Edit {
	return notify.Edit{Account: c.Account, ID: e.id, Rev: e.rev, Actor: c.Actor()}
}

func (a *API) createChannel(ctx context.Context, c caller, said *api.ChannelNew) (id string, out api.Channel, err error) {
	x := shape.ReadChannel(said)
	x.Account = c.Account
	kept, secrets, err := a.o.Notices.CreateChannel(ctx, notifyEdit(c, edit{}), x)
	if err != nil {
		return "", out, configFault(err)
	}
	out = shape.Channel(kept)
	for field, secret := range secrets { // shown in this answer and nowhere else
		patch, err := json.Marshal(map[string]string{field: secret})
		if err != nil {
			return "", out, err
		}
		raw, err := shape.Merge(out.Config, patch)
		if err != nil {
			return "", out, err
		}
		out.Config = raw
	}
	return string(kept.ID), out, nil
}

func (a *API) updateChannel(ctx context.Context, c caller, e edit, change func(*api.ChannelNew) error) (out api.Channel, err error) {
	x, err := a.o.Notices.UpdateChannel(ctx, notifyEdit(c, e), func(x *muster.Channel) error {
		said := shape.ChannelNew(x)
		if err := change(&said); err != nil {
			return err
		}
		next := shape.ReadChannel(&said)
		x.Name, x.Kind, x.Config, x.Default, x.Fallback = next.Name, next.Kind, next.Config, next.Default, next.Fallback
		return nil
	})
	if err != nil {
		return out, configFault(err)
	}
	return shape.Channel(x), nil
}

type deliveryOutput struct {
	Body api.Delivery
}

func (a *API) testChannel(ctx context.Context, in *ThingPath) (*deliveryOutput, error) {
	d, err := a.o.Notices.TestChannel(ctx, who(ctx).Account, muster.ChannelID(in.ID))
	if err != nil {
		return nil, missing(err)
	}
	return &deliveryOutput{shape.Delivery(&d)}, nil
}

func (a *API) suppressionRoutes() {
	things[muster.Suppression, api.SuppressionNew, api.Suppression]{
		path: api.PathSuppressions, tag: "Suppressions", one: "suppression", many: "suppressions",
		list: func(c caller) []*muster.Suppression { return a.o.Notices.Suppressions(c.Account) },
		get: func(c caller, id string) (*muster.Suppression, error) {
			return a.o.Notices.Suppression(c.Account, muster.SuppressionID(id))
		},
		create: func(ctx context.Context, c caller, said *api.SuppressionNew) (id string, out api.Suppression, err error) {
			s, faults := shape.ReadSuppression(said, a.o.Now())
			if err := faulty(faults); err != nil {
				return "", out, err
			}
			s.Account = c.Account
			return a.keepSuppression(ctx, c, s)
		},
		update: a.updateSuppression,
		remove: func(ctx context.Context, c caller, e edit) error {
			return a.o.Notices.DeleteSuppression(ctx, notifyEdit(c, e))
		},
		shape: func(_ caller, s *muster.Suppression) api.Suppression { return a.toSuppression(s) },
		meta:  func(x api.Suppression) api.Object { return x.Object }, key: func(x *muster.Suppression) string { return string(x.ID) },
	}.register(a)
}

func (a *API) toSuppression(s *muster.Suppression) api.Suppression {
	until, next := a.o.Notices.Times(s, a.o.Now())
	return shape.Suppression(s, until, next)
}

func (a *API) keepSuppression(ctx context.Context, c caller, s *muster.Suppression) (id string, out api.Suppression, err error) {
	s.By = c.Actor()
	kept, err := a.o.Notices.CreateSuppression(ctx, notifyEdit(c, edit{}), s)
	if err != nil {
		return "", out, err
	}
	return string(kept.ID), a.toSuppression(kept), nil
}

func (a *API) updateSuppression(ctx context.Context, c caller, e edit, change func(*api.SuppressionNew) error) (out api.Suppression, err error) {
	s, err := a.o.Notices.UpdateSuppression(ctx, notifyEdit(c, e), func(s *muster.Suppression) error {
		said := shape.SuppressionNew(s)
		if err := change(&said); err != nil {
			return err
		}
		next, faults := shape.ReadSuppression(&said, a.o.Now())
		next.ID, next.Account, next.Rev, next.By, next.CreatedAt, next.UpdatedAt = s.ID, s.Account, s.Rev, s.By, s.CreatedAt, s.UpdatedAt
		*s = *next
		return faulty(faults)
	})
	if err != nil {
		return out, err
	}
	return a.toSuppression(s), nil
}
