package incidents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"muster"
	"muster/internal/live"
	"muster/internal/web/shell"
)

const (
	lookEvery  = 2 * time.Second  // at what the hub does not tell: deliveries, suppressions that end
	lookSeldom = 15 * time.Second // the same, once an incident has been over for a while
	freshFor   = time.Hour
	beatEvery  = 15 * time.Second
	streamLife = 5 * time.Minute        // then the browser comes again, and its session is looked at again
	restAfter  = 250 * time.Millisecond // a change, so that many small ones become one
)

// listLive sends "change" when the list should be asked for again.
func (p *Page) listLive(w http.ResponseWriter, r *http.Request) {
	account := shell.Identity(r.Context()).Account
	p.follow(w, r, func() (string, time.Duration) {
		open, taken, worst := p.opts.Watch.OpenCount(account)
		return fmt.Sprint(open, taken, worst, p.reachers(account)), lookEvery
	}, func(live.Message) bool { return true })
}

// incidentLive sends "change" when the page of one incident should be asked for again.
func (p *Page) incidentLive(w http.ResponseWriter, r *http.Request) {
	if _, err := p.find(r); err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	id := muster.IncidentID(r.PathValue("id"))
	p.follow(w, r, func() (string, time.Duration) { return p.looks(r, id) }, func(m live.Message) bool {
		in, ok := m.Data.(*muster.Incident)
		return !ok || in.ID == id // what is no incident may be about this one
	})
}

// looks gives a text that is another one when the page of an incident is, and after which time to look again.
func (p *Page) looks(r *http.Request, id muster.IncidentID) (string, time.Duration) {
	s, err := p.find(r)
	if err != nil {
		return "", lookSeldom
	}
	every := lookEvery
	if s.State == muster.IncidentResolved && s.now.Sub(s.ResolvedAt) > freshFor {
		every = lookSeldom
	}
	var b strings.Builder
	fmt.Fprint(&b, s.Seq, s.State, p.reachers(s.Account))
	for _, q := range p.quiets(s) {
		fmt.Fprint(&b, " ", q.ID, q.Until.Unix())
	}
	if list, err := p.opts.Notices.Deliveries(r.Context(), s.Account, id); err == nil {
		for i := range list {
			fmt.Fprint(&b, " ", list[i].Message, list[i].Attempt, list[i].Status)
		}
	}
	return b.String(), every
}

// follow streams until the browser is gone:
//
//	hello  {"now": Unix ms here}
//	change {}   ask for the page's parts again
//	bye    {}   come again
//
// looks gives a text that changes with the page, and mine says whether a message of the hub is about it.
func (p *Page) follow(w http.ResponseWriter, r *http.Request, looks func() (string, time.Duration), mine func(live.Message) bool) {
	ctx := r.Context()
	out, err := shell.OpenStream(w)
	if err != nil {
		return
	}
	sub := p.opts.Hub.Subscribe(shell.Identity(ctx).Account, live.Want{Topics: []string{live.TopicIncidents}})
	defer sub.Close()
	before, every := looks()
	hello, _ := json.Marshal(map[string]int64{"now": p.opts.Shell.Now().UnixMilli()})
	err = out.Send("hello", hello)
	end, spoke := time.Now().Add(streamLife), time.Now()
	for err == nil && time.Now().Before(end) {
		told, open := await(ctx, sub, every, mine)
		if !open {
			return
		}
		var after string
		after, every = looks()
		switch {
		case told || after != before:
			before, spoke = after, time.Now()
			err = out.Send("change", []byte("{}"))
			pause(ctx, restAfter)
		case time.Since(spoke) > beatEvery:
			spoke = time.Now()
			err = out.Beat()
		}
	}
	if err == nil {
		out.Send("bye", []byte("{}"))
	}
}

// await waits for a message that is the page's own, at most for the time given; open is false when the stream is to end.
func await(ctx context.Context, sub *live.Subscription, most time.Duration, mine func(live.Message) bool) (told, open bool) {
	wait, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	messages, err := sub.Next(wait)
	if ctx.Err() != nil || err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return false, false
	}
	for _, m := range messages {
		told = told || m.Kind == live.KindResync || mine(m)
	}
	return told, true
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
