package health

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"muster"
	"muster/internal/live"
	"muster/internal/web/chart"
	"muster/internal/web/shell"
)

var errForeign = errors.New("health: not the account that runs the server")

const (
	beatEvery    = 15 * time.Second
	streamLife   = 5 * time.Minute
	quickPeriod  = time.Second
	quickLength  = 20 * time.Second
	quickenEvery = 10 * time.Second
	quickWidth   = time.Hour
	pointsMost   = 2000
)

// feed gives what reads the page's charts in the range that the address asks for.
func (p *Page) feed(r *http.Request) (*chart.Feed, error) {
	v := shell.Identity(r.Context())
	id, ok := p.opts.Self(r.Context(), v.Account)
	if !ok {
		return nil, errForeign
	}
	row, err := p.opts.Board.Get(v.Account, id)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	span, err := chart.ParseRange(q, p.opts.Shell.Now(), row.Node.CreatedAt)
	if err != nil {
		return nil, err
	}
	metrics, err := p.opts.Series.Metrics(r.Context(), v.Account, id)
	if err != nil {
		return nil, err
	}
	f := &chart.Feed{
		Source: p.opts.Series, Account: v.Account, Node: id, Period: max(row.Node.Period, time.Second), Span: span, Panels: panels(metrics), Points: pointsUsual,
	}
	if n, err := strconv.Atoi(q.Get("points")); err == nil && n > 0 {
		f.Points = min(n, pointsMost)
	}
	return f, nil
}

func (p *Page) fail(w http.ResponseWriter, r *http.Request, err error) {
	if err == errForeign {
		err = muster.ErrNotFound
	}
	p.opts.Shell.Fail(w, r, err)
}

// data answers with the points of all charts.
func (p *Page) data(w http.ResponseWriter, r *http.Request) {
	f, err := p.feed(r)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	data, err := f.All(r.Context(), p.opts.Shell.Now())
	if err != nil {
		p.fail(w, r, err)
		return
	}
	chart.WriteJSON(w, r, data.AppendJSON(nil))
}

// live streams newer points as "points", and "bye" when the browser is to come again.
func (p *Page) live(w http.ResponseWriter, r *http.Request) {
	f, err := p.feed(r)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	out, err := shell.OpenStream(w)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), streamLife)
	defer cancel()
	sub := p.opts.Hub.Subscribe(f.Account, live.Want{Topics: []string{live.TopicNodes}, Nodes: map[muster.NodeID]struct{}{f.Node: {}}})
	defer sub.Close()
	if p.follow(ctx, out, f, sub) == nil && r.Context().Err() == nil {
		out.Send("bye", []byte("{}"))
	}
}

// follow sends points until the stream's time is up.
func (p *Page) follow(ctx context.Context, out *shell.Stream, f *chart.Feed, sub *live.Subscription) error {
	var quickened, spoke time.Time
	still := !f.Span.Live
	for {
		if p.opts.Quicken != nil && !still && f.Span.To.Sub(f.Span.From) <= quickWidth && time.Since(quickened) >= quickenEvery {
			p.opts.Quicken(f.Account, f.Node, quickPeriod, quickLength)
			quickened = time.Now()
		}
		if time.Since(spoke) > beatEvery {
			if err := out.Beat(); err != nil {
				return err
			}
			spoke = time.Now()
		}
		wait, cancel := context.WithTimeout(ctx, quickenEvery/2)
		_, err := sub.Next(wait)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, context.DeadlineExceeded):
			continue
		case err != nil:
			return nil // the server stops: the browser comes again
		case still:
			continue
		}
		data, some, err := f.Tell(ctx, p.opts.Shell.Now())
		if err == nil && some {
			if err := out.Send("points", data.AppendNews(nil)); err != nil {
				return err
			}
			spoke = time.Now()
		}
		pause(ctx, f.Rest())
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
