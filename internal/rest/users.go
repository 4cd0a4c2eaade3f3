package rest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"muster"
	"muster/api"
	"muster/internal/shape"
)

func (a *API) userRoutes() {
	handle(a, route{id: "list-users", method: http.MethodGet, path: api.PathUsers, tag: "Users", role: muster.Admin,
		summary: "List users"}, a.listUsers)
	handle(a, route{id: "create-user", method: http.MethodPost, path: api.PathUsers, tag: "Users", role: muster.Admin, status: http.StatusCreated,
		summary: "Add a user", about: "The answer holds a URL that signs the person in once, to choose a password."}, a.createUser)
	handle(a, route{id: "get-user", method: http.MethodGet, path: api.PathUsers + "/{id}", tag: "Users", role: muster.Admin,
		summary: "Get a user"}, a.getUser)
	handle(a, route{id: "edit-user", method: http.MethodPatch, path: api.PathUsers + "/{id}", tag: "Users", role: muster.Admin,
		summary: "Change a user", about: "A JSON merge patch."}, a.editUser)
	handle(a, route{id: "delete-user", method: http.MethodDelete, path: api.PathUsers + "/{id}", tag: "Users", role: muster.Admin,
		summary: "Remove a user"}, a.deleteUser)
}

func (a *API) listUsers(ctx context.Context, in *PageInput) (*page[api.User], error) {
	all, err := a.o.Store.Users(ctx, who(ctx).Account)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(x, y *muster.User) int { return cmp.Compare(x.ID, y.ID) })
	return paged(all, *in, func(u *muster.User) string { return string(u.ID) }, shape.User)
}

type createUserInput struct {
	BaseURL
	Body api.UserNew
}

func (a *API) createUser(ctx context.Context, in *createUserInput) (*made[api.User], error) {
	c := who(ctx)
	if err := checkUserName(in.Body.Name); err != nil {
		return nil, err
	}
	base, err := in.of(a)
	if err != nil {
		return nil, err
	}
	u := &muster.User{Account: c.Account, Name: in.Body.Name, Role: muster.Role(in.Body.Role)}
	if err := a.o.Store.CreateUser(ctx, u); err != nil {
		if errors.Is(err, muster.ErrConflict) {
			return nil, newFault(http.StatusConflict, fmt.Sprintf("There is a user %q already.", u.Name))
		}
		return nil, err
	}
	a.tell(ctx, muster.Event{Kind: "user.created", Subject: string(u.ID), Name: u.Name, Text: "user added with the role " + string(u.Role)})
	out := shape.User(u)
	code, err := a.o.Auth.NewOneTime(ctx, c.Account, u.ID)
	if err != nil {
		return nil, err
	}
	out.LoginURL = base + a.o.LoginPath + url.PathEscape(code)
	return &made[api.User]{ETag: etag(out.Rev), Location: api.PathUsers + "/" + out.ID, Body: &out}, nil
}

func checkUserName(name string) error {
	bad := func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }
	if name == "" || strings.IndexFunc(name, bad) >= 0 {
		return badField("body.name", "must be text without spaces, such as an email address")
	}
	return nil
}

// UserPath names one user.
type UserPath struct {
	ID string `path:"id" maxLength:"64" doc:"The user's id."`
}

func (a *API) getUser(ctx context.Context, in *UserPath) (*object[api.User], error) {
	u, err := a.o.Store.User(ctx, who(ctx).Account, muster.UserID(in.ID))
	if err != nil {
		return nil, missing(err)
	}
	out := shape.User(u)
	return &object[api.User]{ETag: etag(out.Rev), Body: &out}, nil
}

type editUserInput struct {
	UserPath
	MatchInput
	RawBody []byte
	Body    api.UserEdit `contentType:"application/merge-patch+json"`
}

func (a *API) editUser(ctx context.Context, in *editUserInput) (*object[api.User], error) {
	rev, err := in.rev()
	if err != nil {
		return nil, err
	}
	c := who(ctx)
	u, err := a.o.Store.User(ctx, c.Account, muster.UserID(in.ID))
	if err != nil {
		return nil, missing(err)
	}
	if rev != 0 && u.Rev != rev {
		return nil, stale(rev, u.Rev)
	}
	role := string(u.Role)
	var edit api.UserEdit
	if err := mergePatch(api.UserEdit{Role: &role}, in.RawBody, &edit); err != nil {
		return nil, err
	}
	to := muster.Role(value(edit.Role))
	if u.Role == muster.Admin && to != muster.Admin {
		if err := a.keepAdmin(ctx, c.Account, u.ID); err != nil {
			return nil, err
		}
	}
	u, err = a.o.Store.UpdateUser(ctx, c.Account, u.ID, rev, func(u *muster.User) error { u.Role = to; return nil })
	if err != nil {
		return nil, staleOr(err, rev)
	}
	a.o.Auth.Forget(c.Account, u.ID, "")
	if role != string(to) {
		a.tell(ctx, muster.Event{Kind: "user.changed", Subject: string(u.ID), Name: u.Name, Text: "role changed from " + role + " to " + string(to)})
	}
	out := shape.User(u)
	return &object[api.User]{ETag: etag(out.Rev), Body: &out}, nil
}

type deleteUserInput struct {
	UserPath
	MatchInput
}

func (a *API) deleteUser(ctx context.Context, in *deleteUserInput) (*struct{}, error) {
	rev, err := in.rev()
	if err != nil {
		return nil, err
	}
	c := who(ctx)
	u, err := a.o.Store.User(ctx, c.Account, muster.UserID(in.ID))
	if err != nil {
		return nil, missing(err)
	}
	if rev != 0 && u.Rev != rev {
		return nil, stale(rev, u.Rev)
	}
	if u.ID == c.User {
		return nil, newFault(http.StatusConflict, "You can't remove yourself; let another admin do it.")
	}
	if err := a.keepAdmin(ctx, c.Account, u.ID); err != nil {
		return nil, err
	}
	if err := a.o.Store.DeleteUser(ctx, c.Account, u.ID, rev); err != nil {
		return nil, staleOr(err, rev)
	}
	a.o.Auth.Forget(c.Account, u.ID, "")
	a.tell(ctx, muster.Event{Kind: "user.deleted", Subject: string(u.ID), Name: u.Name, Text: "user removed"})
	return nil, nil
}

// keepAdmin refuses what would leave the account without an admin.
func (a *API) keepAdmin(ctx context.Context, account muster.AccountID, without muster.UserID) error {
	users, err := a.o.Store.Users(ctx, account)
	if err != nil {
		return err
	}
	for _, u := range users {
		if u.ID != without && u.Role == muster.Admin {
			return nil
		}
	}
	return newFault(http.StatusConflict, "This is the account's last admin; make another one first.")
}

// missing gives "not found" for an id that is none: it names nothing.
func missing(err error) error {
	if errors.Is(err, muster.ErrInvalid) {
		return fmt.Errorf("rest: %w", muster.ErrNotFound)
	}
	return err
}

// staleOr tells a change that lost the race to its rev from other conflicts.
func staleOr(err error, rev uint64) error {
	if rev != 0 && errors.Is(err, muster.ErrConflict) {
		return newFault(http.StatusPreconditionFailed, "It was changed meanwhile. Read it again and decide anew.")
	}
	return err
}
