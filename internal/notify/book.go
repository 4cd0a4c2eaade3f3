package notify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"muster"
)

// MaxChannels is how many channels an account may have.
const MaxChannels = 200

// book holds the channels and suppressions of all accounts.
type book struct {
	mu       sync.RWMutex
	accounts map[muster.AccountID]*page
}

type page struct {
	channels map[muster.ChannelID]*entry
	quiet    map[muster.SuppressionID]*quiet
}

// entry is a channel with its sender, made at first use.
type entry struct {
	doc    *muster.Channel
	mu     sync.Mutex
	sender Sender
}

func (b *book) page(account muster.AccountID) *page {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.accounts[account]
	if p == nil {
		p = &page{channels: map[muster.ChannelID]*entry{}, quiet: map[muster.SuppressionID]*quiet{}}
		b.accounts[account] = p
	}
	return p
}

// keep takes a channel's document in, unless a newer one is there.
func (r *Room) keep(c *muster.Channel) {
	p := r.book.page(c.Account)
	r.book.mu.Lock()
	defer r.book.mu.Unlock()
	if old := p.channels[c.ID]; old == nil || old.doc.Rev < c.Rev {
		p.channels[c.ID] = &entry{doc: c}
	}
}

func (r *Room) entry(account muster.AccountID, id muster.ChannelID) *entry {
	p := r.book.page(account)
	r.book.mu.RLock()
	defer r.book.mu.RUnlock()
	return p.channels[id]
}

// Channels gives the account's channels by name. They are shared and not to be changed.
func (r *Room) Channels(account muster.AccountID) []*muster.Channel {
	p := r.book.page(account)
	r.book.mu.RLock()
	list := make([]*muster.Channel, 0, len(p.channels))
	for _, e := range p.channels {
		list = append(list, e.doc)
	}
	r.book.mu.RUnlock()
	slices.SortFunc(list, func(a, b *muster.Channel) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(string(a.ID), string(b.ID)))
	})
	return list
}

// Channel gives one channel; the error wraps ErrNotFound.
func (r *Room) Channel(account muster.AccountID, id muster.ChannelID) (*muster.Channel, error) {
	if e := r.entry(account, id); e != nil {
		return e.doc, nil
	}
	return nil, fmt.Errorf("notify: channel: %w: %.64s", muster.ErrNotFound, id)
}

// CreateChannel keeps a channel whose Config still holds its secrets. made holds the secrets that were made here, by field:
// they are shown this once. The error wraps ErrInvalid (a *ConfigError where it is about the configuration), ErrConflict or ErrLimited.
func (r *Room) CreateChannel(ctx context.Context, edit Edit, c *muster.Channel) (kept *muster.Channel, made map[string]string, err error) {
	fault := func(err error) (*muster.Channel, map[string]string, error) {
		return nil, nil, fmt.Errorf("notify: create channel: %w", err)
	}
	if len(r.Channels(edit.Account)) >= MaxChannels {
		return fault(fmt.Errorf("%w: an account has at most %d channels", muster.ErrLimited, MaxChannels))
	}
	kept = &muster.Channel{
		ID: muster.NewChannelID(), Account: edit.Account, Name: strings.TrimSpace(c.Name), Kind: c.Kind, Config: c.Config, Default: c.Default, Fallback: c.Fallback,
	}
	if err := r.fallback(kept); err != nil {
		return fault(err)
	}
	if made, err = r.settle(kept, nil); err != nil {
		return fault(err)
	}
	if err := r.store.CreateChannel(ctx, kept); err != nil {
		return fault(err)
	}
	r.keep(kept)
	r.tell(ctx, edit, "channel.created", string(kept.ID), kept.Name, "was made: "+kept.Kind)
	return kept, made, nil
}

// UpdateChannel changes a channel: Name, Kind, Config, Default and Fallback; what change does to the rest is undone. A secret
// that the new Config does not name stays as it was. A channel that was switched off by its receiver is on again when its
// configuration is another. The error is as CreateChannel's, or ErrNotFound, or change's.
func (r *Room) UpdateChannel(ctx context.Context, edit Edit, change func(*muster.Channel) error) (*muster.Channel, error) {
	id := muster.ChannelID(edit.ID)
	now, err := r.store.UpdateChannel(ctx, edit.Account, id, edit.Rev, func(c *muster.Channel) error {
		old := *c
		next := old
		next.Config = slices.Clone(old.Config)
		if err := change(&next); err != nil {
			return err
		}
		c.Name, c.Kind, c.Config, c.Default, c.Fallback = strings.TrimSpace(next.Name), next.Kind, next.Config, next.Default, next.Fallback
		if err := r.fallback(c); err != nil {
			return err
		}
		secrets, err := r.secrets(&old)
		if err != nil || c.Kind != old.Kind {
			secrets = nil
		}
		if _, err := r.settle(c, secrets); err != nil {
			return err
		}
		fresh, _ := r.secrets(c)
		if !bytes.Equal(c.Config, old.Config) || !maps.EqualFunc(fresh, secrets, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
			c.Disabled = ""
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("notify: update channel: %w", err)
	}
	r.keep(now)
	r.tell(ctx, edit, "channel.changed", edit.ID, now.Name, "was changed")
	r.lanes.wake(edit.Account, id)
	return now, nil
}

// DeleteChannel removes a channel; what waits for it is given up. The error wraps ErrNotFound or ErrConflict.
func (r *Room) DeleteChannel(ctx context.Context, edit Edit) error {
	id := muster.ChannelID(edit.ID)
	c, err := r.Channel(edit.Account, id)
	if err == nil {
		err = r.store.DeleteChannel(ctx, edit.Account, id, edit.Rev)
	}
	if err != nil {
		return fmt.Errorf("notify: delete channel: %w", err)
	}
	p := r.book.page(edit.Account)
	r.book.mu.Lock()
	delete(p.channels, id)
	r.book.mu.Unlock()
	r.tell(ctx, edit, "channel.deleted", edit.ID, c.Name, "was deleted")
	r.lanes.wake(edit.Account, id)
	if err := r.opts.TroubleOver(ctx, edit.Account, troubleKey(id), "the channel was deleted"); err != nil {
		r.opts.Logger.Warn("notify: an incident of a channel stays open", "channel", id, "error", err)
	}
	return nil
}

// disable switches a channel off because its receiver wants nothing any more.
func (r *Room) disable(ctx context.Context, account muster.AccountID, id muster.ChannelID, why string) {
	now, err := r.store.UpdateChannel(ctx, account, id, 0, func(c *muster.Channel) error {
		c.Disabled = why
		return nil
	})
	if err != nil {
		r.opts.Logger.Warn("notify: a channel could not be switched off", "channel", id, "error", err)
		return
	}
	r.keep(now)
	r.tell(ctx, Edit{Account: account, Actor: "muster"}, "channel.disabled", string(id), now.Name, "was switched off: "+why)
}

func (r *Room) tell(ctx context.Context, edit Edit, kind, subject, name, text string) {
	r.opts.Tell(ctx, muster.Event{Account: edit.Account, At: r.opts.Now(), Kind: kind, Actor: edit.Actor, Subject: subject, Name: name, Text: text})
}

// fallback checks that a channel's fallback is there and another one.
func (r *Room) fallback(c *muster.Channel) error {
	if c.Fallback == "" {
		return nil
	}
	if c.Fallback == c.ID || r.entry(c.Account, c.Fallback) == nil {
		return fmt.Errorf("%w: fallback: must be another channel of this account", muster.ErrInvalid)
	}
	return nil
}

func purpose(c *muster.Channel) string { return "channel " + c.Account.String() + " " + string(c.ID) }

// secrets opens what is sealed of a channel, by field.
func (r *Room) secrets(c *muster.Channel) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	if len(c.Sealed) == 0 {
		return out, nil
	}
	plain, err := r.opts.Sealer.Open(c.Sealed, purpose(c))
	if err == nil {
		err = json.Unmarshal(plain, &out)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the secrets of channel %q can't be opened: was the server's key changed? Enter them again", muster.ErrInvalid, c.Name)
	}
	return out, nil
}

// settle has the driver read the configuration together with the secrets that are known already, and takes the
// secrets out of it, sealed. It gives those that the driver made.
func (r *Room) settle(c *muster.Channel, known map[string]json.RawMessage) (made map[string]string, err error) {
	given, err := object(c.Config)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(known)
	if all == nil {
		all = map[string]json.RawMessage{}
	}
	maps.Copy(all, given)
	d, sender, err := r.parse(c.Kind, all)
	if err != nil {
		return nil, err
	}
	normal, err := object(sender.Config())
	if err != nil {
		return nil, err
	}
	hidden := map[string]json.RawMessage{}
	made = map[string]string{}
	for _, field := range d.Secrets() {
		v, ok := normal[field]
		if !ok {
			continue
		}
		hidden[field] = v
		delete(normal, field)
		var text string
		if _, told := all[field]; !told && json.Unmarshal(v, &text) == nil && text != "" {
			made[field] = text
		}
	}
	if c.Config, err = json.Marshal(normal); err != nil {
		return nil, err
	}
	c.Sealed = nil
	if len(hidden) > 0 {
		plain, err := json.Marshal(hidden)
		if err != nil {
			return nil, err
		}
		c.Sealed = r.opts.Sealer.Seal(plain, purpose(c))
	}
	return made, nil
}

func object(raw []byte) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	if len(raw) == 0 {
		return out, nil
	}
	if err := json.Unmarshal(raw, &out); err != nil || out == nil {
		return nil, fmt.Errorf("%w: config: must be a JSON object", muster.ErrInvalid)
	}
	return out, nil
}

func (r *Room) parse(kind string, config map[string]json.RawMessage) (Driver, Sender, error) {
	d := r.opts.Drivers[kind]
	if d == nil {
		return nil, nil, fmt.Errorf("%w: kind: must be one of %s", muster.ErrInvalid, strings.Join(slices.Sorted(maps.Keys(r.opts.Drivers)), ", "))
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: config: %w", muster.ErrInvalid, err)
	}
	s, err := d.Parse(raw)
	return d, s, err
}

// sender gives what sends through a channel; the error says in words why nothing can be sent. The channel is nil when it was deleted.
func (r *Room) sender(account muster.AccountID, id muster.ChannelID) (*muster.Channel, Sender, error) {
	e := r.entry(account, id)
	switch {
	case e == nil:
		return nil, nil, errors.New("the channel was deleted")
	case e.doc.Disabled != "":
		return e.doc, nil, fmt.Errorf("the channel is switched off: %s", e.doc.Disabled)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sender == nil {
		config, err := object(e.doc.Config)
		if err != nil {
			return e.doc, nil, err
		}
		secrets, err := r.secrets(e.doc)
		if err != nil {
			return e.doc, nil, err
		}
		maps.Copy(config, secrets)
		if _, e.sender, err = r.parse(e.doc.Kind, config); err != nil {
			return e.doc, nil, err
		}
	}
	return e.doc, e.sender, nil
}
