package rest

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"muster"
	"muster/api"
	"muster/internal/inventory"
	"muster/internal/shape"
)

func (a *API) enrollmentRoutes() {
	handle(a, route{id: "list-enrollments", method: http.MethodGet, path: api.PathEnrollments, tag: "Enrollments", role: muster.Operator,
		summary: "List enrollments"}, a.listEnrollments)
	handle(a, route{id: "create-enrollment", method: http.MethodPost, path: api.PathEnrollments, tag: "Enrollments", role: muster.Operator, status: http.StatusCreated,
		summary: "Invite agents", about: "The token, and the line to paste on the machine, are in this answer and nowhere else."}, a.createEnrollment)
	handle(a, route{id: "get-enrollment", method: http.MethodGet, path: api.PathEnrollments + "/{id}", tag: "Enrollments", role: muster.Operator,
		summary: "Get an enrollment"}, a.getEnrollment)
	handle(a, route{id: "delete-enrollment", method: http.MethodDelete, path: api.PathEnrollments + "/{id}", tag: "Enrollments", role: muster.Operator,
		summary: "Take an enrollment back", about: "Machines that joined by it stay."}, a.deleteEnrollment)
}

func (a *API) listEnrollments(ctx context.Context, in *PageInput) (*page[api.Enrollment], error) {
	all, err := a.o.Nodes.Enrollments(ctx, who(ctx).Account)
	if err != nil {
		return nil, err
	}
	all = slices.SortedFunc(slices.Values(all), func(x, y *muster.Enrollment) int { return cmp.Compare(x.ID, y.ID) })
	return paged(all, *in, func(e *muster.Enrollment) string { return string(e.ID) }, shape.Enrollment)
}

type createEnrollmentInput struct {
	BaseURL
	Body api.EnrollmentNew
}

func (a *API) createEnrollment(ctx context.Context, in *createEnrollmentInput) (*made[api.Enrollment], error) {
	ttl, err := api.ParseDuration(in.Body.TTL)
	if err != nil {
		return nil, badField("body.ttl", err.Error())
	}
	if ttl < time.Minute || ttl > inventory.MaxTTL {
		return nil, badField("body.ttl", "must be 1m to "+api.FormatDuration(inventory.MaxTTL))
	}
	base, err := in.of(a)
	if err != nil {
		return nil, err
	}
	c := who(ctx)
	e, token, err := a.o.Nodes.NewEnrollment(ctx, inventory.Invite{Account: c.Account, Actor: c.Actor(), Uses: in.Body.Uses, TTL: ttl})
	if err != nil {
		return nil, err
	}
	out := shape.Enrollment(&e)
	out.Token = token
	if out.Command, err = a.desk.Command(base, token); err != nil {
		return nil, err
	}
	return &made[api.Enrollment]{ETag: etag(out.Rev), Location: api.PathEnrollments + "/" + out.ID, Body: &out}, nil
}

type enrollmentPath struct {
	ID string `path:"id" maxLength:"64" doc:"The enrollment's id."`
}

func (a *API) getEnrollment(ctx context.Context, in *enrollmentPath) (*object[api.Enrollment], error) {
	all, err := a.o.Nodes.Enrollments(ctx, who(ctx).Account)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(all, func(e *muster.Enrollment) bool { return string(e.ID) == in.ID })
	if at < 0 {
		return nil, fmt.Errorf("rest: enrollment: %w", muster.ErrNotFound)
	}
	out := shape.Enrollment(all[at])
	return &object[api.Enrollment]{ETag: etag(out.Rev), Body: &out}, nil
}

func (a *API) deleteEnrollment(ctx context.Context, in *enrollmentPath) (*struct{}, error) {
	c := who(ctx)
	return nil, missing(a.o.Nodes.Revoke(ctx, c.Account, muster.EnrollmentID(in.ID), c.Actor()))
}
