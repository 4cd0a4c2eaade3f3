package shell

import (
	"context"

	"muster/internal/auth"
)

// Viewer is who looks at a page, and in which account.
type Viewer struct {
	auth.Identity
	AccountName string
	CSRF        string // must come back with every form and unsafe request
	HasPassword bool   // false while she is here by the one-time link only
}

type viewerKey struct{}

// WithViewer puts the viewer where Identity finds it; the session middleware calls it.
func WithViewer(ctx context.Context, v Viewer) context.Context {
	return context.WithValue(ctx, viewerKey{}, v)
}

// Identity gives the viewer of a request; the zero Viewer when nobody is signed in, which no page behind
// the session middleware ever sees.
func Identity(ctx context.Context) Viewer {
	v, _ := ctx.Value(viewerKey{}).(Viewer)
	return v
}

// CSRF gives the token that forms of this request must carry in a hidden field named "csrf".
func CSRF(ctx context.Context) string { return Identity(ctx).CSRF }
