package rest

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"muster"
	"muster/api"
)

func (a *API) accountRoutes() {
	handle(a, route{id: "get-account", method: http.MethodGet, path: api.PathAccount, tag: "Account", role: muster.Observer,
		summary: "Get the account", about: "With the classes of retention and what they cost here."}, a.getAccount)
	handle(a, route{id: "edit-account", method: http.MethodPatch, path: api.PathAccount, tag: "Account", role: muster.Admin,
		summary: "Change the account", about: "A JSON merge patch. Retention holds for what is measured from then on."}, a.editAccount)
	handle(a, route{id: "get-me", method: http.MethodGet, path: api.PathMe, tag: "Account", role: muster.Observer,
		summary: "Say who the caller is"}, a.getMe)
	handle(a, route{id: "set-password", method: http.MethodPut, path: api.PathPassword, tag: "Account", role: muster.Observer,
		summary: "Set the caller's password", about: "Ends the caller's other sessions."}, a.setPassword)
}

func (a *API) getAccount(ctx context.Context, _ *struct{}) (*object[api.Account], error) {
	acct, err := a.o.Store.Account(ctx, who(ctx).Account)
	if err != nil {
		return nil, err
	}
	return a.accountObject(acct), nil
}

func (a *API) accountObject(acct *muster.Account) *object[api.Account] {
	out := &api.Account{
		Object: api.Object{ID: acct.ID.String(), Rev: acct.Rev, CreatedAt: acct.CreatedAt.UTC(), UpdatedAt: acct.UpdatedAt.UTC()},
		Name:   acct.Name, Retention: acct.Retention, RetentionClasses: []api.RetentionClass{},
	}
	classes := a.o.Series.Classes()
	if out.Retention == "" && len(classes) > 0 {
		out.Retention = classes[0].Name // what holds for an account that never chose
	}
	for _, c := range classes {
		out.RetentionClasses = append(out.RetentionClasses, api.RetentionClass{
			Name: c.Name, Raw: api.FormatDuration(c.Raw), Tiles5m: api.FormatDuration(c.Tile5m), Tiles1h: api.FormatDuration(c.Tile1h),
			BytesPerNodeYear: c.BytesPerNodeYear,
		})
	}
	return &object[api.Account]{ETag: etag(acct.Rev), Body: out}
}

type editAccountInput struct {
	MatchInput
	RawBody []byte
	Body    api.AccountEdit `contentType:"application/merge-patch+json"`
}

func (a *API) editAccount(ctx context.Context, in *editAccountInput) (*object[api.Account], error) {
	rev, err := in.rev()
	if err != nil {
		return nil, err
	}
	c := who(ctx)
	if rev != 0 {
		acct, err := a.o.Store.Account(ctx, c.Account)
		if err != nil {
			return nil, err
		}
		if acct.Rev != rev {
			return nil, stale(rev, acct.Rev)
		}
	}
	var said []string
	acct, err := a.o.Store.UpdateAccount(ctx, c.Account, rev, func(acct *muster.Account) error {
		said = said[:0]
		return a.patchAccount(acct, in.RawBody, &said)
	})
	if err != nil {
		return nil, staleOr(err, rev)
	}
	if len(said) > 0 {
		a.tell(ctx, muster.Event{Kind: "account.changed", Subject: acct.ID.String(), Name: acct.Name, Text: strings.Join(said, ", ")})
	}
	return a.accountObject(acct), nil
}

// patchAccount applies a merge patch and says in words what it changed.
func (a *API) patchAccount(acct *muster.Account, patch []byte, said *[]string) error {
	var edit api.AccountEdit
	if err := mergePatch(api.AccountEdit{Name: &acct.Name, Retention: &acct.Retention}, patch, &edit); err != nil {
		return err
	}
	name, retention := strings.TrimSpace(value(edit.Name)), value(edit.Retention)
	if name == "" || !printable(name) {
		return badField("body.name", "must be text without control characters")
	}
	var known []string
	for _, c := range a.o.Series.Classes() {
		known = append(known, c.Name)
	}
	if retention != acct.Retention && !slices.Contains(known, retention) {
		return badField("body.retention", "must be one of "+strings.Join(known, ", "))
	}
	if name != acct.Name {
		*said = append(*said, "name changed from "+acct.Name)
	}
	if retention != acct.Retention {
		*said = append(*said, "retention changed from "+acct.Retention+" to "+retention)
	}
	acct.Name, acct.Retention = name, retention
	return nil
}

type meOutput struct {
	Body api.Me
}

func (a *API) getMe(ctx context.Context, _ *struct{}) (*meOutput, error) {
	c := who(ctx)
	me := api.Me{ID: c.Actor(), Kind: "user", Name: c.Name, Role: string(c.Role), AccountID: c.Account.String()}
	if c.Token != "" {
		me.Kind = "token"
	}
	return &meOutput{me}, nil
}

type setPasswordInput struct {
	Body api.PasswordChange
}

func (a *API) setPassword(ctx context.Context, in *setPasswordInput) (*struct{}, error) {
	c := who(ctx)
	if c.User == "" {
		return nil, newFault(http.StatusForbidden, "A token has no password; sign in as a user.")
	}
	if err := a.o.Auth.SetPassword(ctx, c.Identity, in.Body.Old, in.Body.New); err != nil {
		return nil, err
	}
	a.tell(ctx, muster.Event{Kind: "user.password", Subject: string(c.User), Name: c.Name, Text: "password changed"})
	return nil, nil
}
