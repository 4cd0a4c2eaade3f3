package rest

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"muster"
	"muster/api"
	"muster/internal/shape"
)

// things is a kind of object that can be listed, made, read, changed and deleted: T is the noun, New what
// people say of it, Out what is shown.
type things[T, New, Out any] struct {
	path, tag string
	one, many string // "check", "checks"

	list   func(c caller) []*T
	get    func(c caller, id string) (*T, error)
	create func(ctx context.Context, c caller, said *New) (id string, out Out, err error)
	update func(ctx context.Context, c caller, e edit, change func(said *New) error) (Out, error)
	remove func(ctx context.Context, c caller, e edit) error
	shape  func(c caller, t *T) Out

	meta func(Out) api.Object
	key  func(*T) string
}

// edit is which object is changed, and against which rev (0: any).
type edit struct {
	id  string
	rev uint64
}

// ThingPath names one object.
type ThingPath struct {
	ID string `path:"id" maxLength:"64" doc:"The object's id."`
}

type thingNew[New any] struct {
	Body New
}

type thingEdit struct {
	ThingPath
	MatchInput
	RawBody []byte
	Body    map[string]any `contentType:"application/merge-patch+json" doc:"The fields that change, as a merge patch (RFC 7396) of what a POST takes; null empties."`
}

type thingMatch struct {
	ThingPath
	MatchInput
}

// register adds the five calls.
func (t things[T, New, Out]) register(a *API) {
	one := t.path + "/{id}"
	handle(a, route{id: "list-" + t.many, method: http.MethodGet, path: t.path, tag: t.tag, role: muster.Observer, summary: "List " + t.many}, t.all)
	handle(a, route{id: "create-" + t.one, method: http.MethodPost, path: t.path, tag: t.tag, role: muster.Operator, status: http.StatusCreated, summary: "Make one"}, t.add)
	handle(a, route{id: "get-" + t.one, method: http.MethodGet, path: one, tag: t.tag, role: muster.Observer, summary: "Get one"}, t.read)
	handle(a, route{id: "edit-" + t.one, method: http.MethodPatch, path: one, tag: t.tag, role: muster.Operator, summary: "Change one"}, t.edit)
	handle(a, route{id: "delete-" + t.one, method: http.MethodDelete, path: one, tag: t.tag, role: muster.Operator, summary: "Delete one"}, t.drop)
}

func (t things[T, New, Out]) all(ctx context.Context, in *PageInput) (*page[Out], error) {
	c := who(ctx)
	all := slices.SortedFunc(slices.Values(t.list(c)), func(x, y *T) int { return strings.Compare(t.key(x), t.key(y)) })
	return paged(all, *in, t.key, func(x *T) Out { return t.shape(c, x) })
}

func (t things[T, New, Out]) add(ctx context.Context, in *thingNew[New]) (*made[Out], error) {
	id, out, err := t.create(ctx, who(ctx), &in.Body)
	if err != nil {
		return nil, err
	}
	return &made[Out]{ETag: etag(t.meta(out).Rev), Location: t.path + "/" + id, Body: &out}, nil
}

func (t things[T, New, Out]) read(ctx context.Context, in *ThingPath) (*object[Out], error) {
	c := who(ctx)
	thing, err := t.get(c, in.ID)
	if err != nil {
		return nil, missing(err)
	}
	out := t.shape(c, thing)
	return &object[Out]{ETag: etag(t.meta(out).Rev), Body: &out}, nil
}

func (t things[T, New, Out]) edit(ctx context.Context, in *thingEdit) (*object[Out], error) {
	c := who(ctx)
	e, err := t.match(c, in.ThingPath, in.MatchInput)
	if err != nil {
		return nil, err
	}
	out, err := t.update(ctx, c, e, func(said *New) error {
		var changed New
		if err := mergePatch(said, in.RawBody, &changed); err != nil {
			return err
		}
		*said = changed
		return nil
	})
	if err != nil {
		return nil, t.conflict(c, e, err)
	}
	return &object[Out]{ETag: etag(t.meta(out).Rev), Body: &out}, nil
}

func (t things[T, New, Out]) drop(ctx context.Context, in *thingMatch) (*struct{}, error) {
	c := who(ctx)
	e, err := t.match(c, in.ThingPath, in.MatchInput)
	if err != nil {
		return nil, err
	}
	return nil, t.conflict(c, e, t.remove(ctx, c, e))
}

// match finds the object that is to be changed, as the caller saw it.
func (t things[T, New, Out]) match(c caller, p ThingPath, m MatchInput) (edit, error) {
	rev, err := m.rev()
	if err != nil {
		return edit{}, err
	}
	if _, err := t.get(c, p.ID); err != nil {
		return edit{}, missing(err)
	}
	return edit{p.ID, rev}, nil
}

// conflict tells a change that came too late from other conflicts.
func (t things[T, New, Out]) conflict(c caller, e edit, err error) error {
	if err == nil || e.rev == 0 {
		return err
	}
	now, lost := t.get(c, e.id)
	if lost != nil {
		return lost
	}
	if have := t.meta(t.shape(c, now)).Rev; have != e.rev && muster.Kind(err) == muster.ErrConflict {
		return stale(e.rev, have)
	}
	return err
}

// faulty gives the problem of several fields; nil when there are none.
func faulty(f shape.Faults) error {
	if len(f) == 0 {
		return nil
	}
	return newFault(http.StatusUnprocessableEntity, "The input is not valid.", f...)
}
