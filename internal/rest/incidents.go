package rest

import (
	"context"
	"net/http"
	"time"

	"muster"
	"muster/api"
	"muster/internal/alarm"
	"muster/internal/shape"
)

func (a *API) incidentRoutes() {
	one := api.PathIncidents + "/{id}"
	handle(a, route{id: "list-incidents", method: http.MethodGet, path: api.PathIncidents, tag: "Incidents", role: muster.Observer,
		summary: "List incidents", about: "Newest first. Deliveries are only with a single one."}, a.listIncidents)
	handle(a, route{id: "get-incident", method: http.MethodGet, path: one, tag: "Incidents", role: muster.Observer, summary: "Get an incident"}, a.getIncident)
	handle(a, route{id: "acknowledge-incident", method: http.MethodPost, path: one + "/acknowledge", tag: "Incidents", role: muster.Operator, status: http.StatusOK,
		summary: "Take an incident", about: "It ends at recovery. Acknowledging twice changes nothing; 409 when it is resolved."}, a.acknowledge)
	handle(a, route{id: "comment-incident", method: http.MethodPost, path: one + "/comments", tag: "Incidents", role: muster.Operator, status: http.StatusOK,
		summary: "Say something of an incident"}, a.comment)
	handle(a, route{id: "silence-incident", method: http.MethodPost, path: one + "/silence", tag: "Incidents", role: muster.Operator, status: http.StatusCreated,
		summary: "Tell nobody of its node or check for a while", about: "Makes a suppression. That all is well again is still told."}, a.silence)
}

type incidentsInput struct {
	PageInput
	State string `query:"state" enum:"open,acknowledged,resolved,unresolved" doc:"Only these; unresolved is open and acknowledged."`
	Node  string `query:"node" maxLength:"64" doc:"Only this node's."`
	Check string `query:"check" maxLength:"64" doc:"Only those of this check, when it belongs to no node."`
}

func (a *API) listIncidents(ctx context.Context, in *incidentsInput) (*page[api.Incident], error) {
	f := alarm.IncidentFilter{State: muster.IncidentState(in.State), Before: in.Cursor, Limit: in.Limit}
	if in.State == "unresolved" {
		f.State, f.Open = "", true
	}
	switch {
	case in.Node != "":
		id, err := NodePath{ID: in.Node}.node()
		if err != nil {
			return nil, err
		}
		f.Subject = id
	case in.Check != "":
		f.Subject = muster.CheckID(in.Check).Subject()
		if f.Subject.IsZero() {
			return nil, badField("query.check", "is not the id of a check")
		}
	}
	list, next, err := a.o.Alarms.Incidents(ctx, who(ctx).Account, f)
	if err != nil {
		return nil, err
	}
	out := &page[api.Incident]{Body: api.List[api.Incident]{Items: []api.Incident{}, Next: next}}
	for _, incident := range list {
		out.Body.Items = append(out.Body.Items, shape.Incident(incident, nil))
	}
	return out, nil
}

type incidentOutput struct {
	Body api.Incident
}

func (a *API) getIncident(ctx context.Context, in *ThingPath) (*incidentOutput, error) {
	incident, err := a.o.Alarms.Incident(ctx, who(ctx).Account, muster.IncidentID(in.ID))
	return a.incident(ctx, incident, err)
}

// incident answers with an incident and its deliveries.
func (a *API) incident(ctx context.Context, incident *muster.Incident, err error) (*incidentOutput, error) {
	if err != nil {
		return nil, missing(err)
	}
	deliveries, err := a.o.Notices.Deliveries(ctx, incident.Account, incident.ID)
	if err != nil {
		return nil, err
	}
	return &incidentOutput{shape.Incident(incident, deliveries)}, nil
}

func (a *API) acknowledge(ctx context.Context, in *ThingPath) (*incidentOutput, error) {
	c := who(ctx)
	incident, err := a.o.Alarms.Acknowledge(ctx, c.Account, muster.IncidentID(in.ID), c.Actor())
	return a.incident(ctx, incident, err)
}

type commentInput struct {
	ThingPath
	Body api.CommentNew
}

func (a *API) comment(ctx context.Context, in *commentInput) (*incidentOutput, error) {
	c := who(ctx)
	incident, err := a.o.Alarms.Comment(ctx, c.Account, muster.IncidentID(in.ID), muster.Comment{By: c.Actor(), Name: c.Name, Text: in.Body.Text})
	return a.incident(ctx, incident, err)
}

type silenceInput struct {
	ThingPath
	Body api.Silence
}

func (a *API) silence(ctx context.Context, in *silenceInput) (*made[api.Suppression], error) {
	length, err := api.ParseDuration(in.Body.For)
	if err != nil || length < time.Minute {
		return nil, badField("body.for", "must be a duration of at least 1m")
	}
	c := who(ctx)
	incident, err := a.o.Alarms.Incident(ctx, c.Account, muster.IncidentID(in.ID))
	if err != nil {
		return nil, missing(err)
	}
	s := &muster.Suppression{Account: c.Account, Node: incident.Node, Check: incident.Check, From: a.o.Now(), Length: length, Reason: in.Body.Reason}
	if !s.Node.IsZero() {
		s.Check = ""
	}
	id, out, err := a.keepSuppression(ctx, c, s)
	if err != nil {
		return nil, err
	}
	return &made[api.Suppression]{ETag: etag(out.Rev), Location: api.PathSuppressions + "/" + id, Body: &out}, nil
}
