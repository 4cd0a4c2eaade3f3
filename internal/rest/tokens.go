package rest

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"muster"
	"muster/api"
	"muster/internal/shape"
)

func (a *API) tokenRoutes() {
	handle(a, route{id: "list-tokens", method: http.MethodGet, path: api.PathTokens, tag: "Tokens", role: muster.Admin,
		summary: "List API tokens"}, a.listTokens)
	handle(a, route{id: "create-token", method: http.MethodPost, path: api.PathTokens, tag: "Tokens", role: muster.Admin, status: http.StatusCreated,
		summary: "Make an API token", about: "The secret is in this answer and nowhere else."}, a.createToken)
	handle(a, route{id: "get-token", method: http.MethodGet, path: api.PathTokens + "/{id}", tag: "Tokens", role: muster.Admin,
		summary: "Get an API token"}, a.getToken)
	handle(a, route{id: "delete-token", method: http.MethodDelete, path: api.PathTokens + "/{id}", tag: "Tokens", role: muster.Admin,
		summary: "Revoke an API token"}, a.deleteToken)
}

func (a *API) listTokens(ctx context.Context, in *PageInput) (*page[api.Token], error) {
	all, err := a.o.Store.Tokens(ctx, who(ctx).Account)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(x, y *muster.Token) int { return cmp.Compare(x.ID, y.ID) })
	return paged(all, *in, func(t *muster.Token) string { return string(t.ID) }, shape.Token)
}

type createTokenInput struct {
	Body api.TokenNew
}

func (a *API) createToken(ctx context.Context, in *createTokenInput) (*made[api.Token], error) {
	c := who(ctx)
	name := strings.TrimSpace(in.Body.Name)
	if name == "" || !printable(name) {
		return nil, badField("body.name", "must be text without control characters")
	}
	t, secret, err := a.o.Auth.NewToken(ctx, c.Identity, name, muster.Role(in.Body.Role))
	if err != nil {
		return nil, err
	}
	a.tell(ctx, muster.Event{Kind: "token.created", Subject: string(t.ID), Name: t.Name, Text: "API token made with the role " + string(t.Role)})
	out := shape.Token(&t)
	out.Secret = secret
	return &made[api.Token]{ETag: etag(out.Rev), Location: api.PathTokens + "/" + out.ID, Body: &out}, nil
}

type tokenPath struct {
	ID string `path:"id" maxLength:"64" doc:"The token's id."`
}

func (a *API) getToken(ctx context.Context, in *tokenPath) (*object[api.Token], error) {
	t, err := a.o.Store.Token(ctx, who(ctx).Account, muster.TokenID(in.ID))
	if err != nil {
		return nil, missing(err)
	}
	out := shape.Token(t)
	return &object[api.Token]{ETag: etag(out.Rev), Body: &out}, nil
}

func (a *API) deleteToken(ctx context.Context, in *tokenPath) (*struct{}, error) {
	c := who(ctx)
	t, err := a.o.Store.Token(ctx, c.Account, muster.TokenID(in.ID))
	if err != nil {
		return nil, missing(err)
	}
	if err := a.o.Auth.RevokeToken(ctx, c.Identity, t.ID); err != nil {
		return nil, err
	}
	a.tell(ctx, muster.Event{Kind: "token.deleted", Subject: string(t.ID), Name: t.Name, Text: "API token revoked"})
	return nil, nil
}
