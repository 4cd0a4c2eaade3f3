package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"muster/api"
	"muster/internal/once"
)

// maxKey is the longest idempotency key, in bytes.
const maxKey = 255

// once does a POST with an idempotency key once: later ones with the same key and body get the first
// answer, also when they come while the first is under way.
func (a *API) once(ctx huma.Context, next func(huma.Context)) {
	key := ctx.Header(api.HeaderIdempotencyKey)
	if ctx.Method() != http.MethodPost || key == "" {
		next(ctx)
		return
	}
	if len(key) > maxKey {
		a.refuse(ctx, badField("header."+api.HeaderIdempotencyKey, "at most 255 bytes"))
		return
	}
	body, err := io.ReadAll(io.LimitReader(ctx.BodyReader(), maxBody+1))
	if err != nil || len(body) > maxBody {
		a.refuse(ctx, newFault(http.StatusRequestEntityTooLarge, fmt.Sprintf("A body may have at most %d bytes.", maxBody)))
		return
	}
	c, u := who(ctx.Context()), ctx.URL()
	turn, first, err := a.answered.Begin(ctx.Context(), &once.Request{
		Account: c.Account, Credential: c.credential, Key: key, Method: ctx.Method(), Path: u.Path, Body: body,
	})
	switch {
	case errors.Is(err, once.ErrOther):
		err = badField("header."+api.HeaderIdempotencyKey, "the key was used for another request; take a new one")
	case errors.Is(err, once.ErrUnderWay):
		err = newFault(http.StatusConflict, "The first request with this key is still under way.").with("Retry-After", "1")
	}
	switch {
	case err != nil:
		a.refuse(ctx, err)
	case first != nil:
		replay(ctx, first)
	default:
		a.work(ctx, turn, body, next)
	}
}

// work does the request and keeps its answer. An answer that says "try again" is not kept: the key is freed.
func (a *API) work(ctx huma.Context, turn *once.Turn, body []byte, next func(huma.Context)) {
	defer turn.Release()
	rec := &recorder{under: ctx, body: bytes.NewReader(body), got: once.Answer{Header: http.Header{}}}
	settled := false
	// The caller may be gone when the work is done; what was done is remembered all the same.
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx.Context()), requestTime)
	defer cancel()
	defer func() {
		if !settled { // also after a panic
			if err := turn.Forget(after); err != nil {
				a.log.WarnContext(after, "rest: free an idempotency key", "error", err)
			}
		}
	}()
	next(rec)
	if rec.got.Status == 0 || rec.got.Status >= 500 || rec.got.Status == http.StatusTooManyRequests {
		return
	}
	settled = true
	rec.got.Body = rec.buf.Bytes()
	if err := turn.Settle(after, &rec.got); err != nil {
		a.log.WarnContext(after, "rest: keep an answer for its idempotency key", "error", err)
	}
}

func replay(ctx huma.Context, g *once.Answer) {
	for key, values := range g.Header {
		for _, v := range values {
			ctx.AppendHeader(key, v)
		}
	}
	ctx.SetHeader(api.HeaderReplayed, "true")
	ctx.SetStatus(g.Status)
	_, _ = ctx.BodyWriter().Write(g.Body)
}

// recorder passes an answer on and keeps a copy.
type recorder struct {
	under
	body io.Reader
	got  once.Answer
	buf  bytes.Buffer
}

// Unwrap gives the context below.
func (r *recorder) Unwrap() huma.Context { return r.under }

// BodyReader gives the request's body, which was read before.
func (r *recorder) BodyReader() io.Reader { return r.body }

// SetStatus notes the status.
func (r *recorder) SetStatus(code int) {
	r.got.Status = oneStatus(code)
	r.under.SetStatus(code)
}

// SetHeader notes the header.
func (r *recorder) SetHeader(name, value string) {
	r.got.Header.Set(name, value)
	r.under.SetHeader(name, value)
}

// AppendHeader notes the header.
func (r *recorder) AppendHeader(name, value string) {
	r.got.Header.Add(name, value)
	r.under.AppendHeader(name, value)
}

// BodyWriter notes what is written.
func (r *recorder) BodyWriter() io.Writer { return io.MultiWriter(&r.buf, r.under.BodyWriter()) }
