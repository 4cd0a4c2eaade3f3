package notify

import (
	"context"
	"fmt"
	"time"

	"muster"
)

// message makes what is sent of parcels that go together.
func (r *Room) message(batch []*parcel) *Message {
	first := batch[0]
	m := &Message{ID: first.id, Type: first.kind, At: first.change.At, Account: r.accountName(first.account)}
	for _, p := range batch {
		m.Items = append(m.Items, r.item(p))
	}
	if r.opts.Chart != nil {
		m.Chart = func(ctx context.Context) ([]byte, error) { return r.opts.Chart(ctx, first.incident, first.change) }
	}
	return m
}

func (r *Room) item(p *parcel) Item {
	in := p.incident
	i := Item{ID: p.id, Incident: in, Change: *p.change, URL: r.opts.BaseURL() + "/incidents/" + string(in.ID)}
	if !in.Node.IsZero() {
		i.Node = r.opts.Node(in.Account, in.Node)
	}
	if by := p.change.By; by != "" {
		if i.By = r.opts.Who(in.Account, by); i.By == "" {
			i.By = by
		}
	}
	if in.State == muster.IncidentOpen {
		i.AckURL = r.link(LinkAcknowledge, in)
	}
	if in.State != muster.IncidentResolved {
		i.SilenceURL = r.link(LinkSilence, in)
	}
	return i
}

func (r *Room) accountName(account muster.AccountID) string {
	if r.opts.AccountName == nil {
		return ""
	}
	return r.opts.AccountName(account)
}

// TestChannel sends a message that says it is a test, and gives what became of it. The error wraps ErrNotFound or ErrInvalid (the
// channel is switched off, or its configuration can't be read); that nothing arrived is told by the delivery.
func (r *Room) TestChannel(ctx context.Context, account muster.AccountID, id muster.ChannelID) (muster.Delivery, error) {
	c, err := r.Channel(account, id)
	if err != nil {
		return muster.Delivery{}, err
	}
	_, sender, err := r.sender(account, id)
	if err != nil {
		return muster.Delivery{}, fmt.Errorf("notify: test: %w: %s", muster.ErrInvalid, wordsOf(err))
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	now := r.opts.Now()
	m := r.sample(account, now)
	d := muster.Delivery{Message: m.ID, Type: m.Type, Channel: id, Name: c.Name, At: now, Attempt: 1, Status: muster.DeliverySent}
	if err := r.attemptTest(ctx, sender, m); err != nil {
		d.Status, d.Error = muster.DeliveryFailed, err.Error()
	}
	return d, nil
}

func (r *Room) attemptTest(ctx context.Context, sender Sender, m *Message) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			r.opts.Logger.Error("notify: a driver failed", "fault", fault)
			err = fmt.Errorf("a fault of this server; its log says more")
		}
	}()
	return sender.Send(ctx, m)
}

// sample is the message of the test button.
func (r *Room) sample(account muster.AccountID, now time.Time) *Message {
	id := muster.NewIncidentID(account, "test "+now.String(), now)
	in := &muster.Incident{
		ID: id, Account: account, State: muster.IncidentOpen, Level: muster.LevelWarning, Title: "A test of this channel", Name: "A test",
		OpenedAt: now, UpdatedAt: now, Seq: 1,
	}
	change := muster.IncidentChange{Kind: testChange, At: now}
	item := Item{ID: messageID(in, &change, ""), Incident: in, Change: change, URL: r.opts.BaseURL() + "/channels"}
	return &Message{ID: item.ID, Type: TypeTest, At: now, Account: r.accountName(account), Items: []Item{item}, Test: true}
}

// wordsOf gives what an error says to people.
func wordsOf(err error) string {
	if words := muster.Words(err); words != "" {
		return words
	}
	return err.Error()
}
