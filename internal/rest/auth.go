package rest

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"muster"
	"muster/api"
	"muster/internal/auth"
)

// caller is who makes a request.
type caller struct {
	auth.Identity
	credential string // the token's secret or the session's cookie: what the idempotency key is bound to
	at         BaseURL
}

type callerKey struct{}

// who gives the caller of a request that passed the door.
func who(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// roleOf is where an operation's metadata says which role it needs.
const roleOf = "role"

// admit lets nobody pass without an identity that has the operation's role.
func (a *API) admit(ctx huma.Context, next func(huma.Context)) {
	ctx = plain{ctx}
	need, closed := ctx.Operation().Metadata[roleOf].(muster.Role)
	if !closed {
		next(ctx)
		return
	}
	c, err := a.identify(ctx)
	if err != nil {
		a.refuse(ctx, err)
		return
	}
	if !c.Role.May(need) {
		a.refuse(ctx, newFault(http.StatusForbidden, "This needs the role "+string(need)+"; yours is "+string(c.Role)+"."))
		return
	}
	c.at.Resolve(ctx)
	next(huma.WithValue(ctx, callerKey{}, c))
}

// identify finds the caller by the bearer token, or by the session's cookie; a change by cookie needs the
// CSRF token beside it, since a browser sends cookies for anybody.
func (a *API) identify(ctx huma.Context) (caller, error) {
	if h := ctx.Header("Authorization"); h != "" {
		scheme, secret, _ := strings.Cut(h, " ")
		if !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(secret) == "" {
			return caller{}, unauthorized("Send the token as: Authorization: Bearer TOKEN.")
		}
		secret = strings.TrimSpace(secret)
		id, err := a.o.Auth.Bearer(ctx.Context(), secret)
		if err != nil {
			return caller{}, whyNot(err, "The token is unknown or was revoked.")
		}
		return caller{Identity: id, credential: secret}, nil
	}
	cookie, err := huma.ReadCookie(ctx, a.o.Cookie)
	if err != nil || cookie.Value == "" {
		return caller{}, unauthorized("Send a token: Authorization: Bearer TOKEN.")
	}
	id, _, err := a.o.Auth.Session(ctx.Context(), cookie.Value)
	if err != nil {
		return caller{}, whyNot(err, "The session has ended; sign in again.")
	}
	if !safe(ctx.Method()) && !a.o.Auth.CheckCSRF(cookie.Value, ctx.Header(api.HeaderCSRF)) {
		return caller{}, newFault(http.StatusForbidden, "A change by a session needs its CSRF token in the header "+api.HeaderCSRF+".")
	}
	return caller{Identity: id, credential: cookie.Value}, nil
}

func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

func unauthorized(detail string) *fault {
	return newFault(http.StatusUnauthorized, detail).with("WWW-Authenticate", `Bearer realm="muster"`)
}

// whyNot tells a bad credential from a store that is away.
func whyNot(err error, detail string) error {
	if errors.Is(err, muster.ErrDenied) || errors.Is(err, muster.ErrNotFound) || errors.Is(err, muster.ErrInvalid) {
		return unauthorized(detail)
	}
	return err
}

// refuse answers with the error's problem.
func (a *API) refuse(ctx huma.Context, err error) {
	f := a.toFault(ctx.Context(), err)
	for key, values := range f.header {
		ctx.SetHeader(key, values[0])
	}
	ctx.SetHeader("Content-Type", problemType)
	ctx.SetStatus(f.Status)
	writeJSON(ctx.BodyWriter(), &f.Problem)
}
