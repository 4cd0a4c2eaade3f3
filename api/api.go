// Package api gives the shapes of Muster's REST API as Go types: the objects, the bodies of requests,
// the paths, the problem document and the texts for durations. It is what the server answers with and
// what the client reads; it has no behaviour of its own and imports nothing of the house.
package api

import (
	"strings"
	"time"
)

// Paths of the API, without the server's address. Those of one object end in its id.
const (
	PathNodes       = "/v1/nodes"
	PathSeries      = "/v1/series"
	PathEnrollments = "/v1/enrollments"
	PathTokens      = "/v1/tokens"
	PathUsers       = "/v1/users"
	PathAccount     = "/v1/account"
	PathMe          = "/v1/me"
	PathPassword    = "/v1/me/password"
	PathEvents      = "/v1/events"
	PathStream      = "/v1/stream"
	PathOpenAPI     = "/openapi.json"
	PathDocs        = "/docs"
	PathHealth      = "/healthz"
	PathReady       = "/readyz"
	PathMetrics     = "/metrics"
	PathJoin        = "/join"
	PathDownload    = "/download"
)

// Headers that the API gives a meaning of its own.
const (
	HeaderIdempotencyKey = "Idempotency-Key" // on a POST: the same key and body give the first answer again for 24 h
	HeaderReplayed       = "Idempotency-Replayed"
	HeaderCSRF           = "X-Muster-CSRF" // on a change made with a session's cookie
	HeaderIfMatch        = "If-Match"      // the rev, in quotes
	HeaderLastEventID    = "Last-Event-ID"
)

// Limits of lists: how many items come when nobody says, and at most.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// List is one page of a list.
type List[T any] struct {
	Items []T    `json:"items" nullable:"false" doc:"The objects of this page."`
	Next  string `json:"next,omitempty" doc:"Give this as cursor to get the next page. Absent at the end."`
}

// Object is what every stored object has.
type Object struct {
	ID        string    `json:"id" doc:"The object's id; opaque."`
	Rev       uint64    `json:"rev" doc:"Grows with every change; give it as If-Match to change only what you have seen."`
	CreatedAt time.Time `json:"created_at" doc:"When it was made."`
	UpdatedAt time.Time `json:"updated_at" doc:"When it was last changed."`
}

// Fault is one fault of a request: where it is and what is wrong there.
type Fault struct {
	Location string `json:"location,omitempty" doc:"Where, for instance body.config.url or query.limit."`
	Message  string `json:"message" doc:"What is wrong there."`
}

// Problem is the body of every answer that is not a success (RFC 9457, application/problem+json).
type Problem struct {
	Type   string  `json:"type" doc:"Names the kind of problem; one of a closed list, see the Problem types."`
	Title  string  `json:"title" doc:"The kind of problem in words; the same for every problem of this type."`
	Status int     `json:"status" doc:"The HTTP status again."`
	Detail string  `json:"detail,omitempty" doc:"What happened this time, and what to do."`
	Errors []Fault `json:"errors,omitempty" nullable:"false" doc:"The faults, one by one, when the input was invalid."`
}

// The types of problems.
const (
	ProblemInvalid      = "urn:muster:problem:invalid"      // 422: the input can never be accepted as it is
	ProblemUnauthorized = "urn:muster:problem:unauthorized" // 401: no token or session, or a bad one
	ProblemForbidden    = "urn:muster:problem:forbidden"    // 403: the role does not allow it
	ProblemNotFound     = "urn:muster:problem:not-found"    // 404: no such thing in this account
	ProblemMethod       = "urn:muster:problem:method"       // 405: the path exists, but not with this method
	ProblemConflict     = "urn:muster:problem:conflict"     // 409: a unique name is taken, or the state forbids it
	ProblemStale        = "urn:muster:problem:stale"        // 412: somebody changed the object first
	ProblemTooLarge     = "urn:muster:problem:too-large"    // 413: the body is too long
	ProblemMediaType    = "urn:muster:problem:media-type"   // 415: the body is not JSON
	ProblemLimited      = "urn:muster:problem:limited"      // 429: a limit was met; wait Retry-After seconds
	ProblemInternal     = "urn:muster:problem:internal"     // 500: a fault of the server
	ProblemUnavailable  = "urn:muster:problem:unavailable"  // 503: the store can't acknowledge; try again after Retry-After seconds
)

// Error gives the problem in one line.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	for i, e := range p.Errors {
		sep := "; "
		if i == 0 {
			text, sep = strings.TrimSuffix(text, "."), ": "
		}
		text += sep
		if e.Location != "" {
			text += e.Location + ": "
		}
		text += e.Message
	}
	return text
}
