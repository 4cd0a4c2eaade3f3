package rest

import (
	"context"
	"net/http"

	"muster"
	"muster/api"
	"muster/internal/shape"
)

func (a *API) eventRoutes() {
	handle(a, route{id: "list-events", method: http.MethodGet, path: api.PathEvents, tag: "Changelog", role: muster.Observer,
		summary: "List the changelog", about: "Who or what changed what, and when; the newest first."}, a.listEvents)
}

func (a *API) listEvents(ctx context.Context, in *PageInput) (*page[api.Event], error) {
	events, next, err := a.o.Store.Events(ctx, who(ctx).Account, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &page[api.Event]{Body: api.List[api.Event]{Items: make([]api.Event, len(events)), Next: next}}
	for i := range events {
		out.Body.Items[i] = shape.Event(&events[i])
	}
	return out, nil
}

// tell writes a line of the changelog for what the caller has done. That it can't be written does not
// undo what was done: it is logged.
func (a *API) tell(ctx context.Context, e muster.Event) {
	c := who(ctx)
	e.Account, e.Actor, e.At = c.Account, c.Actor(), a.o.Now()
	events := []muster.Event{e}
	if err := a.o.Store.AppendEvents(context.WithoutCancel(ctx), events); err != nil {
		a.log.ErrorContext(ctx, "rest: write the changelog", "kind", e.Kind, "subject", e.Subject, "error", err)
		return
	}
	a.o.Told(events)
}
