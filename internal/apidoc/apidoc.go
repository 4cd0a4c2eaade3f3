// Package apidoc gives a page for readers made of an OpenAPI 3.1 document: every call with its parameters,
// body and answers, every type, every kind of problem. The page is whole in itself: no script, nothing
// from elsewhere.
package apidoc

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
)

//go:embed page.html
var pageText string

//go:embed style.css
var styleText []byte

// Style gives the page's style sheet, which the page expects at /docs/style.css.
func Style() []byte { return styleText }

// Kind is one kind of problem, for the page's table.
type Kind struct {
	Status      int
	Type, Title string
}

// Page writes the page. Order names the tags in the order in which a reader meets them; others follow.
// The error says that the document can't be read.
func Page(document []byte, order []string, kinds []Kind) ([]byte, error) {
	var d document3
	if err := json.Unmarshal(document, &d); err != nil {
		return nil, fmt.Errorf("apidoc: read the document: %w", err)
	}
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("apidoc: read the template: %w", err)
	}
	p := page{Title: d.Info.Title, Version: d.Info.Version, About: d.Info.Description, Kinds: kinds, Tags: tags(&d, order)}
	for _, name := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
		p.Schemas = append(p.Schemas, docSchema{Name: name, Fields: fields(d.Components.Schemas[name])})
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("apidoc: write the page: %w", err)
	}
	return b.Bytes(), nil
}

// document3 is what the page needs of an OpenAPI document.
type document3 struct {
	Info       struct{ Title, Version, Description string }
	Paths      map[string]map[string]*operation
	Components struct{ Schemas map[string]*schema }
}

type operation struct {
	OperationID string
	Summary     string
	Description string
	Tags        []string
	Role        string `json:"x-muster-role"`
	Parameters  []struct {
		Name, In, Description string
		Required              bool
		Schema                *schema
	}
	RequestBody *struct{ Content map[string]media }
	Responses   map[string]struct {
		Description string
		Content     map[string]media
	}
}

type media struct{ Schema *schema }

type schema struct {
	Ref         string `json:"$ref"`
	Type        any    // a text, or a list of them
	Format      string
	Description string
	Items       *schema
	Properties  map[string]*schema
	Required    []string
	Enum        []any
	Minimum     *float64
	Maximum     *float64
	MaxLength   *int
	MaxItems    *int
	Default     any
}

// page is what the template shows.
type page struct {
	Title, Version, About string
	Tags                  []docTag
	Schemas               []docSchema
	Kinds                 []Kind
}

type docTag struct {
	Name       string
	Operations []docOperation
}

type docOperation struct {
	ID, Method, Path, Summary, About, Role string
	Params                                 []docField
	Body                                   *docType
	Answers                                []docAnswer
}

type docAnswer struct {
	Status, About string
	Type          *docType
}

// docType names a type; Ref is its anchor when it is one of the schemas.
type docType struct{ Name, Ref string }

type docField struct {
	Name, In, About, Limits string
	Type                    docType
	Required                bool
}

type docSchema struct {
	Name   string
	Fields []docField
}

// tags gathers the calls by tag.
func tags(d *document3, order []string) []docTag {
	var out []docTag
	at := map[string]int{}
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range []string{"get", "post", "put", "patch", "delete"} {
			op := d.Paths[path][method]
			if op == nil {
				continue
			}
			tag := "Other"
			if len(op.Tags) > 0 {
				tag = op.Tags[0]
			}
			i, seen := at[tag]
			if !seen {
				i = len(out)
				at[tag] = i
				out = append(out, docTag{Name: tag})
			}
			out[i].Operations = append(out[i].Operations, op.doc(method, path))
		}
	}
	rank := func(tag string) int {
		if i := slices.Index(order, tag); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(out, func(x, y docTag) int { return cmp.Compare(rank(x.Name), rank(y.Name)) })
	return out
}

func (op *operation) doc(method, path string) docOperation {
	out := docOperation{ID: op.OperationID, Method: strings.ToUpper(method), Path: path, Summary: op.Summary, About: op.Description, Role: op.Role}
	for _, p := range op.Parameters {
		out.Params = append(out.Params, docField{
			Name: p.Name, In: p.In, About: p.Description, Type: p.Schema.doc(), Limits: p.Schema.limits(), Required: p.Required,
		})
	}
	if op.RequestBody != nil {
		out.Body = first(op.RequestBody.Content)
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		r := op.Responses[status]
		out.Answers = append(out.Answers, docAnswer{Status: status, About: r.Description, Type: first(r.Content)})
	}
	return out
}

// first gives the type of the first content type; they do not differ by it.
func first(content map[string]media) *docType {
	for _, ct := range slices.Sorted(maps.Keys(content)) {
		t := content[ct].Schema.doc()
		return &t
	}
	return nil
}

func fields(s *schema) []docField {
	if s == nil {
		return nil
	}
	var out []docField
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		f := s.Properties[name]
		out = append(out, docField{Name: name, About: f.Description, Type: f.doc(), Limits: f.limits(), Required: slices.Contains(s.Required, name)})
	}
	return out
}

// kind gives the schema's type; of several the first that is not null.
func (s *schema) kind() string {
	switch t := s.Type.(type) {
	case string:
		return t
	case []any:
		for _, one := range t {
			if name, ok := one.(string); ok && name != "null" {
				return name
			}
		}
	}
	return "any"
}

func (s *schema) doc() docType {
	switch {
	case s == nil:
		return docType{Name: "any"}
	case s.Ref != "":
		name := s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
		return docType{Name: name, Ref: name}
	case s.kind() == "array":
		t := s.Items.doc()
		t.Name = "list of " + t.Name
		return t
	case s.kind() == "object" && len(s.Properties) == 0:
		return docType{Name: "object of texts"}
	case s.Format == "date-time":
		return docType{Name: "time"}
	}
	return docType{Name: s.kind()}
}

// limits says in words what a value may be.
func (s *schema) limits() string {
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
