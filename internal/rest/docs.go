package rest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"muster/api"
)

//go:embed docs.html
var docsHTML string

//go:embed docs.css
var docsCSS []byte

// docs holds the API's document and its page, made once when the API is.
type docs struct {
	spec, page []byte
	tag        string // changes when the spec does
}

// document makes the OpenAPI document and its page, and serves both. Nothing on the page comes from elsewhere.
func (a *API) document() error {
	doc := a.huma.OpenAPI()
	for _, name := range []string{"ErrorModel", "ErrorDetail"} { // the framework's own; ours is Problem
		delete(doc.Components.Schemas.Map(), name)
	}
	spec, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("rest: write the OpenAPI document: %w", err)
	}
	sum := sha256.Sum256(spec)
	a.docs.spec, a.docs.tag = spec, strconv.Quote(hex.EncodeToString(sum[:8]))
	page, err := template.New("docs").Parse(docsHTML)
	if err != nil {
		return fmt.Errorf("rest: read the page of the documentation: %w", err)
	}
	var b bytes.Buffer
	if err := page.Execute(&b, newDocsPage(doc)); err != nil {
		return fmt.Errorf("rest: write the page of the documentation: %w", err)
	}
	a.docs.page = b.Bytes()
	a.mux.HandleFunc("GET "+api.PathOpenAPI, a.fixed("application/json", a.docs.spec))
	a.mux.HandleFunc("GET "+api.PathDocs, a.fixed("text/html; charset=utf-8", a.docs.page))
	a.mux.HandleFunc("GET "+api.PathDocs+"/style.css", a.fixed("text/css; charset=utf-8", docsCSS))
	return nil
}

// fixed serves bytes that change only with the program.
func (a *API) fixed(contentType string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Cache-Control", "no-cache")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("ETag", a.docs.tag)
		if r.Header.Get("If-None-Match") == a.docs.tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(body)
	}
}

// docsPage is what the page shows.
type docsPage struct {
	Title, Version, About string
	Tags                  []docsTag
	Schemas               []docsSchema
	Kinds                 []docsKind
}

type docsTag struct {
	Name       string
	Operations []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary, About, Role string
	Params                                 []docsField
	Body                                   *docsType
	Answers                                []docsAnswer
}

type docsAnswer struct {
	Status, About string
	Type          *docsType
}

// docsType names a type; Ref is its anchor when it is one of the schemas.
type docsType struct{ Name, Ref string }

type docsField struct {
	Name, In, About, Limits string
	Type                    docsType
	Required                bool
}

type docsSchema struct {
	Name   string
	Fields []docsField
}

type docsKind struct {
	Status int
	Type   string
	Title  string
}

func newDocsPage(doc *huma.OpenAPI) docsPage {
	p := docsPage{Title: doc.Info.Title, Version: doc.Info.Version, About: doc.Info.Description}
	tags := map[string]int{}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		item := doc.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			at, seen := tags[op.Tags[0]]
			if !seen {
				at = len(p.Tags)
				tags[op.Tags[0]] = at
				p.Tags = append(p.Tags, docsTag{Name: op.Tags[0]})
			}
			p.Tags[at].Operations = append(p.Tags[at].Operations, newDocsOperation(op))
		}
	}
	slices.SortFunc(p.Tags, func(x, y docsTag) int { return cmp.Compare(tagRank(x.Name), tagRank(y.Name)) })
	schemas := doc.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		p.Schemas = append(p.Schemas, docsSchema{Name: name, Fields: fields(schemas[name])})
	}
	for _, status := range []int{401, 403, 404, 405, 409, 412, 413, 415, 422, 429, 500, 503} {
		kind, title := kindOf(status)
		p.Kinds = append(p.Kinds, docsKind{status, kind, title})
	}
	return p
}

// tagRank orders the resources as a reader meets them.
func tagRank(tag string) int {
	order := []string{"Nodes", "Series", "Live", "Changelog", "Enrollments", "Tokens", "Users", "Account", "Server"}
	if at := slices.Index(order, tag); at >= 0 {
		return at
	}
	return len(order)
}

func newDocsOperation(op *huma.Operation) docsOperation {
	out := docsOperation{ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary, About: op.Description}
	out.Role, _ = op.Extensions["x-muster-role"].(string)
	for _, p := range op.Parameters {
		out.Params = append(out.Params, docsField{
			Name: p.Name, In: p.In, About: p.Description, Type: typeOf(p.Schema), Limits: limits(p.Schema), Required: p.Required,
		})
	}
	if op.RequestBody != nil {
		for _, ct := range slices.Sorted(maps.Keys(op.RequestBody.Content)) {
			t := typeOf(op.RequestBody.Content[ct].Schema)
			out.Body = &t
		}
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		answer := docsAnswer{Status: status, About: op.Responses[status].Description}
		for _, ct := range slices.Sorted(maps.Keys(op.Responses[status].Content)) {
			t := typeOf(op.Responses[status].Content[ct].Schema)
			answer.Type = &t
		}
		out.Answers = append(out.Answers, answer)
	}
	return out
}

func fields(s *huma.Schema) []docsField {
	var out []docsField
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		f := s.Properties[name]
		out = append(out, docsField{Name: name, About: f.Description, Type: typeOf(f), Limits: limits(f), Required: slices.Contains(s.Required, name)})
	}
	return out
}

func typeOf(s *huma.Schema) docsType {
	switch {
	case s == nil:
		return docsType{Name: "any"}
	case s.Ref != "":
		name := s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
		return docsType{Name: name, Ref: name}
	case s.Type == huma.TypeArray:
		t := typeOf(s.Items)
		t.Name = "list of " + t.Name
		return t
	case s.Type == huma.TypeObject && len(s.Properties) == 0:
		return docsType{Name: "object of texts"}
	case s.Format == "date-time":
		return docsType{Name: "time"}
	}
	return docsType{Name: s.Type}
}

// limits says in words what a value may be.
func limits(s *huma.Schema) string {
	if s == nil {
		return ""
	}
	var out []string
	if len(s.Enum) > 0 {
		words := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			words[i] = fmt.Sprint(v)
		}
		out = append(out, "one of "+strings.Join(words, ", "))
	}
	if s.Minimum != nil && s.Maximum != nil {
		out = append(out, fmt.Sprintf("%g to %g", *s.Minimum, *s.Maximum))
	}
	if s.MaxLength != nil {
		out = append(out, fmt.Sprintf("at most %d characters", *s.MaxLength))
	}
	if s.MaxItems != nil {
		out = append(out, fmt.Sprintf("at most %d", *s.MaxItems))
	}
	if s.Default != nil {
		out = append(out, fmt.Sprintf("default %v", s.Default))
	}
	return strings.Join(out, "; ")
}
