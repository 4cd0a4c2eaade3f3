package rest

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"muster"
	"muster/api"
	"muster/internal/auth"
	"muster/internal/shape"
)

// fault is an error that knows its answer: the problem document and its headers.
type fault struct {
	api.Problem
	header http.Header
}

// GetStatus gives the HTTP status.
func (f *fault) GetStatus() int { return f.Status }

// GetHeaders gives the headers that go with it.
func (f *fault) GetHeaders() http.Header { return f.header }

// ContentType gives RFC 9457's.
func (f *fault) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

// newFault makes the problem of a status.
func newFault(status int, detail string, errs ...api.Fault) *fault {
	kind, title := shape.ProblemKind(status)
	return &fault{Problem: api.Problem{Type: kind, Title: title, Status: status, Detail: detail, Errors: errs}}
}

// with adds a header.
func (f *fault) with(key, value string) *fault {
	if f.header == nil {
		f.header = http.Header{}
	}
	f.header.Set(key, value)
	return f
}

// badField is the problem of one field: "query.limit", "body.name".
func badField(location, message string) *fault {
	return newFault(http.StatusUnprocessableEntity, "The input is not valid.", api.Fault{Location: location, Message: message})
}

// retryAfter is how long a caller is asked to wait when a part is away, in seconds.
const retryAfter = "5"

// toFault maps an error kind to its answer: the one place where this is done. What is no kind is a fault of
// the server; its text goes to the log, not to the caller.
func (a *API) toFault(ctx context.Context, err error) *fault {
	var f *fault
	var limited *auth.LimitedError
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, muster.ErrNotFound):
		return newFault(http.StatusNotFound, "There is no such thing in this account.")
	case errors.Is(err, muster.ErrInvalid):
		return newFault(http.StatusUnprocessableEntity, words(err))
	case errors.Is(err, muster.ErrConflict):
		return newFault(http.StatusConflict, words(err))
	case errors.Is(err, muster.ErrDenied):
		return newFault(http.StatusForbidden, words(err))
	case errors.As(err, &limited):
		seconds := int(math.Ceil(limited.After.Seconds()))
		return newFault(http.StatusTooManyRequests, "Too many attempts; try again later.").with("Retry-After", strconv.Itoa(max(seconds, 1)))
	case errors.Is(err, muster.ErrLimited):
		return newFault(http.StatusTooManyRequests, words(err)).with("Retry-After", retryAfter)
	case errors.Is(err, muster.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		a.log.WarnContext(ctx, "rest: a part is away", "error", err)
		return newFault(http.StatusServiceUnavailable, words(err)).with("Retry-After", retryAfter)
	case errors.Is(err, context.Canceled):
		return newFault(http.StatusServiceUnavailable, "The request was given up.")
	}
	a.log.ErrorContext(ctx, "rest: fault", "error", err)
	return newFault(http.StatusInternalServerError, "The server's log says more.")
}

// words gives what an error says behind its kind, as a sentence begins.
func words(err error) string {
	text := muster.Words(err)
	if text == "" {
		text = muster.Kind(err).Error() + "."
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// present turns the framework's own errors into problems of ours: with a type, and without the values
// that were sent, which may be secrets.
func present(_ huma.Context, _ string, v any) (any, error) {
	switch e := v.(type) {
	case *fault:
		return &e.Problem, nil
	case *huma.ErrorModel:
		f := newFault(oneStatus(e.Status), "The input is not valid.")
		for _, d := range e.Errors {
			if d != nil {
				f.Errors = append(f.Errors, api.Fault{Location: d.Location, Message: d.Message})
			}
		}
		switch {
		case f.Status == http.StatusInternalServerError:
			f.Detail, f.Errors = "The server's log says more.", nil
		case len(f.Errors) == 0 && e.Detail != "":
			f.Detail = strings.ToUpper(e.Detail[:1]) + e.Detail[1:] + "."
		}
		return &f.Problem, nil
	}
	return v, nil
}

// oneStatus gives invalid input one status, whether it is no JSON or JSON of the wrong shape.
func oneStatus(status int) int {
	switch status {
	case http.StatusBadRequest:
		return http.StatusUnprocessableEntity
	case http.StatusRequestTimeout:
		return http.StatusServiceUnavailable
	}
	return status
}

// under is the framework's context by a name that can be embedded beside its method Context.
type under huma.Context

// plain is the framework's context with one status for invalid input.
type plain struct{ under }

// SetStatus sets the status of the answer.
func (p plain) SetStatus(code int) { p.under.SetStatus(oneStatus(code)) }

// Unwrap gives the context below.
func (p plain) Unwrap() huma.Context { return p.under }

// requestTime is how long a request may take, streams and downloads apart.
const requestTime = 30 * time.Second
