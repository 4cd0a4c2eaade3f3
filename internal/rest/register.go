package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"muster"
	"muster/api"
)

// route is one call of the API as its file declares it.
type route struct {
	id      string // operationId
	method  string
	path    string
	tag     string // the resource, by which the document is ordered
	summary string
	about   string
	role    muster.Role // what the caller needs; empty for everybody
	status  int         // of success; the framework's choice when 0
}

// handle adds a route. A handler's error becomes the problem that its kind stands for.
func handle[I, O any](a *API, r route, h func(context.Context, *I) (*O, error)) {
	op := r.operation(a)
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		ctx, cancel := context.WithTimeout(ctx, requestTime)
		defer cancel()
		out, err := h(ctx, in)
		if err != nil {
			f := a.toFault(ctx, err)
			return nil, f
		}
		return out, nil
	})
}

// operation describes the route for the document and the framework.
func (r route) operation(a *API) huma.Operation {
	op := huma.Operation{
		OperationID: r.id, Method: r.method, Path: r.path, Summary: r.summary, Description: r.about,
		Tags: []string{r.tag}, DefaultStatus: r.status, MaxBodyBytes: maxBody, Metadata: map[string]any{},
		Responses: map[string]*huma.Response{"default": a.problemResponse()},
	}
	if r.role == "" {
		return op
	}
	op.Metadata[roleOf] = r.role
	op.Security = []map[string][]string{{"bearer": {}}, {"session": {}}}
	op.Extensions = map[string]any{"x-muster-role": string(r.role)}
	if r.method == http.MethodPost {
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: api.HeaderIdempotencyKey, In: "header", Schema: &huma.Schema{Type: huma.TypeString},
			Description: "Chosen by the caller, at most 255 bytes: the same key and body give the first answer again for 24 hours.",
		})
	}
	return op
}

func (a *API) problemResponse() *huma.Response {
	return &huma.Response{
		Description: "What went wrong.",
		Content:     map[string]*huma.MediaType{problemType: {Schema: a.schema(reflect.TypeFor[api.Problem]())}},
	}
}

// schema gives the document's schema of a type.
func (a *API) schema(t reflect.Type) *huma.Schema {
	return a.huma.OpenAPI().Components.Schemas.Schema(t, true, "")
}

// encoded is JSON that is written as it is: for long lists, which are appended by hand.
type encoded []byte

// listOf is a page of a list, encoded by hand; the document says what it is.
type listOf struct {
	ContentType string  `header:"Content-Type" hidden:"true"`
	Body        encoded `contentType:"application/json"`
}

// answers sets the schema of an operation whose body is encoded by hand.
func (a *API) answers(method, path string, t reflect.Type) {
	item := a.huma.OpenAPI().Paths[path]
	op := map[string]*huma.Operation{http.MethodGet: item.Get, http.MethodPost: item.Post}[method]
	op.Responses["200"].Content = map[string]*huma.MediaType{"application/json": {Schema: a.schema(t)}}
}

// object is an answer with its rev as ETag.
type object[T any] struct {
	ETag string `header:"ETag" doc:"The rev, in quotes."`
	Body *T
}

// made is the answer to a POST: the object and where it is.
type made[T any] struct {
	ETag     string `header:"ETag" doc:"The rev, in quotes."`
	Location string `header:"Location" doc:"Where the object is."`
	Body     *T
}

// page is a list's answer.
type page[T any] struct {
	Body api.List[T]
}

// PageInput chooses a page of a list.
type PageInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many items at most."`
	Cursor string `query:"cursor" maxLength:"1000" doc:"The next of the page before."`
}

func etag(rev uint64) string { return strconv.Quote(strconv.FormatUint(rev, 10)) }

// MatchInput is the condition of a change. Like the other parts of inputs it is exported for the framework, which reads exported fields only.
type MatchInput struct {
	IfMatch string `header:"If-Match" maxLength:"64" doc:"The rev in quotes: the change fails with 412 when the object has another one by now."`
}

// rev reads the condition: 0 when there is none.
func (m MatchInput) rev() (uint64, error) {
	s := strings.TrimSpace(m.IfMatch)
	if s == "" || s == "*" {
		return 0, nil
	}
	s = strings.TrimPrefix(s, "W/")
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	rev, err := strconv.ParseUint(s, 10, 64)
	if err != nil || rev == 0 {
		return 0, badField("header.If-Match", `must be the object's rev in quotes, like "3"`)
	}
	return rev, nil
}

// stale is the answer to a change of something that is not what the caller saw.
func stale(want, have uint64) *fault {
	return newFault(http.StatusPreconditionFailed, fmt.Sprintf("It was changed meanwhile: you saw rev %d, it has %d now. Read it again and decide anew.", want, have))
}

// unmarshal reads one JSON value and nothing behind it.
func unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// writeJSON writes v as it is; a broken connection is nobody's to mend.
func writeJSON(w io.Writer, v any) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
}
