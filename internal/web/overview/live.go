package overview

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"muster"
	"muster/internal/inventory"
	"muster/internal/live"
	"muster/internal/web/shell"
)

const (
	lookEvery  = 2 * time.Second        // at the counts
	restAfter  = 300 * time.Millisecond // a change, so that many small ones become one
	freshEvery = 15 * time.Second       // colours of the cells and means
	freshSlow  = time.Minute            // the same for a fleet of more than bigFleet nodes, whose page weighs more
	bigFleet   = 500
	streamLife = 5 * time.Minute
)

// changes is what changelog.html is filled with.
type changes struct {
	Days []day
	Next string
	Top  bool
}

// live sends "change" when the page should be asked for again: an incident, the states of nodes or checks or the
// changelog are others, or time passed.
func (p *Page) live(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	account := shell.Identity(ctx).Account
	out, err := shell.OpenStream(w)
	if err != nil {
		return
	}
	sub := p.opts.Hub.Subscribe(account, live.Want{Topics: []string{live.TopicEvents, live.TopicIncidents, live.TopicChecks}})
	defer sub.Close()
	counts := p.counts(r)
	end, sent := time.Now().Add(streamLife), time.Now()
	err = out.Send("hello", []byte("{}"))
	for err == nil && time.Now().Before(end) {
		wait, cancel := context.WithTimeout(ctx, lookEvery)
		_, nextErr := sub.Next(wait)
		cancel()
		if ctx.Err() != nil || nextErr != nil && !errors.Is(nextErr, context.DeadlineExceeded) {
			return
		}
		next := p.counts(r)
		if nextErr == nil || next != counts || time.Since(sent) >= p.fresh(account) {
			counts, sent = next, time.Now()
			err = out.Send("change", []byte("{}"))
			pause(ctx, restAfter)
		}
	}
	if err == nil {
		out.Send("bye", []byte("{}"))
	}
}

func (p *Page) fresh(account muster.AccountID) time.Duration {
	n := 0
	for _, c := range p.opts.Board.Counts(account) {
		n += c
	}
	if n > bigFleet {
		return freshSlow
	}
	return freshEvery
}

// counts gives a text that is another one when what the sentence rests on is.
func (p *Page) counts(r *http.Request) string {
	account := shell.Identity(r.Context()).Account
	b, _ := json.Marshal([]any{p.opts.Board.Counts(account), p.checks(account)}) // sorted by key
	return string(b)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

var _ Board = (*inventory.Inventory)(nil)
