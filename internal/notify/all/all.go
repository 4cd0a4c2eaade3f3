// Package all gives every channel driver of this server, one line each.
package all

import (
	"fmt"

	"muster/internal/notify"
	"muster/internal/notify/email"
	"muster/internal/notify/ntfy"
	"muster/internal/notify/slack"
	"muster/internal/notify/telegram"
	"muster/internal/notify/webhook"
	"muster/internal/outbound"
)

// Options are the drivers' own. A driver whose Net is nil gets the one made of Net.
type Options struct {
	Net      outbound.Options
	Webhook  webhook.Options
	Email    email.Options
	Slack    slack.Options
	Ntfy     ntfy.Options
	Telegram telegram.Options
}

// Drivers makes all drivers, by kind. The error wraps muster.ErrInvalid and names the driver whose options are wrong.
func Drivers(o Options) (map[string]notify.Driver, error) {
	net, err := outbound.New(o.Net)
	if err != nil {
		return nil, err
	}
	for _, own := range []**outbound.Client{&o.Webhook.Net, &o.Email.Net, &o.Slack.Net, &o.Ntfy.Net, &o.Telegram.Net} {
		if *own == nil {
			*own = net
		}
	}
	out := map[string]notify.Driver{}
	add := func(d notify.Driver, failed error) {
		switch {
		case err != nil:
		case failed != nil:
			err = failed
		case out[d.Kind()] != nil:
			err = fmt.Errorf("all: two drivers for %q", d.Kind())
		default:
			out[d.Kind()] = d
		}
	}
	add(made(webhook.New(o.Webhook)))
	add(made(email.New(o.Email)))
	add(made(slack.New(o.Slack)))
	add(made(ntfy.New(o.Ntfy)))
	add(made(telegram.New(o.Telegram)))
	return out, err
}

// made gives a driver as what all are.
func made[D notify.Driver](d D, err error) (notify.Driver, error) { return d, err }
