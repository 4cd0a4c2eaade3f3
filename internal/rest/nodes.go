package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"muster"
	"muster/api"
	"muster/internal/inventory"
	"muster/internal/shape"
)

func (a *API) nodeRoutes() {
	handle(a, route{id: "list-nodes", method: http.MethodGet, path: api.PathNodes, tag: "Nodes", role: muster.Observer,
		summary: "List nodes", about: "The account's nodes that match the query, by name unless sorted otherwise."}, a.listNodes)
	a.answers(http.MethodGet, api.PathNodes, reflect.TypeFor[api.List[api.Node]]())
	handle(a, route{id: "get-node", method: http.MethodGet, path: api.PathNodes + "/{id}", tag: "Nodes", role: muster.Observer,
		summary: "Get a node"}, a.getNode)
	handle(a, route{id: "edit-node", method: http.MethodPatch, path: api.PathNodes + "/{id}", tag: "Nodes", role: muster.Operator,
		summary: "Change a node", about: "A JSON merge patch: what is absent stays, null empties."}, a.editNode)
	handle(a, route{id: "delete-node", method: http.MethodDelete, path: api.PathNodes + "/{id}", tag: "Nodes", role: muster.Operator,
		summary: "Delete a node", about: "Forgets the node. Its agent is refused from then on and must be enrolled anew."}, a.deleteNode)
}

type listNodesInput struct {
	PageInput
	Query string `query:"query" maxLength:"2000" doc:"The node query language: tag:web and not state:down cpu>80."`
	Name  string `query:"name" maxLength:"253" doc:"Only the node of exactly this name."`
	Sort  string `query:"sort" maxLength:"20" doc:"name, state, cpu, memory, disk, load, net or seen; with - before it the other way round."`
}

func (a *API) listNodes(ctx context.Context, in *listNodesInput) (*listOf, error) {
	c := who(ctx)
	if in.Name != "" {
		return a.oneNode(c.Account, in.Name)
	}
	o := inventory.ListOptions{Limit: in.Limit + 1, After: in.Cursor}
	o.Sort, o.Desc = strings.CutPrefix(in.Sort, "-")
	if strings.TrimSpace(in.Query) != "" {
		match, err := a.o.Filter(in.Query)
		if err != nil {
			return nil, badField("query.query", words(err))
		}
		o.Query = match
	}
	if err := o.Validate(); err != nil {
		at := "query.sort"
		if o.After != "" {
			probe := o
			if probe.After = ""; probe.Validate() == nil {
				at = "query.cursor"
			}
		}
		return nil, badField(at, words(err))
	}
	rows, _ := a.o.Nodes.List(c.Account, o)
	next := ""
	if len(rows) > in.Limit { // one more was asked for, to know whether there is a next page
		rows = rows[:in.Limit]
		next = o.Cursor(rows[in.Limit-1])
	}
	return &listOf{ContentType: jsonType, Body: appendNodes(nil, rows, next)}, nil
}

// oneNode gives the list that has the one node of that name, or none.
func (a *API) oneNode(account muster.AccountID, name string) (*listOf, error) {
	var rows []inventory.Row
	row, err := a.o.Nodes.Find(account, name)
	switch {
	case err == nil && row.Node.Name == name:
		rows = append(rows, row)
	case err != nil && !errors.Is(err, muster.ErrNotFound):
		return nil, err
	}
	return &listOf{ContentType: jsonType, Body: appendNodes(nil, rows, "")}, nil
}

const jsonType = "application/json"

// NodePath names one node. What is no node's id names nothing, so it is not found rather than invalid.
type NodePath struct {
	ID string `path:"id" maxLength:"64" doc:"The node's id."`
}

func (p NodePath) node() (muster.NodeID, error) {
	id, err := muster.ParseNodeID(p.ID)
	if err != nil {
		return id, fmt.Errorf("rest: node: %w", muster.ErrNotFound)
	}
	return id, nil
}

func (a *API) getNode(ctx context.Context, in *NodePath) (*object[api.Node], error) {
	id, err := in.node()
	if err != nil {
		return nil, err
	}
	row, err := a.o.Nodes.Get(who(ctx).Account, id)
	if err != nil {
		return nil, err
	}
	return nodeObject(row), nil
}

func nodeObject(row inventory.Row) *object[api.Node] {
	n := shape.Node(row.Node, &row.Now)
	return &object[api.Node]{ETag: etag(n.Rev), Body: &n}
}

type editNodeInput struct {
	NodePath
	MatchInput
	RawBody []byte
	Body    api.NodeEdit `contentType:"application/merge-patch+json"`
}

func (a *API) editNode(ctx context.Context, in *editNodeInput) (*object[api.Node], error) {
	id, err := in.node()
	if err != nil {
		return nil, err
	}
	rev, err := in.rev()
	if err != nil {
		return nil, err
	}
	c := who(ctx)
	edit := inventory.Edit{Account: c.Account, Node: id, Rev: rev, Actor: c.Actor()}
	row, err := a.o.Nodes.Update(ctx, edit, func(n *muster.Node) error { return patchNode(n, in.RawBody) })
	if err != nil {
		return nil, a.whichConflict(edit, err)
	}
	return nodeObject(row), nil
}

// whichConflict tells a change that came too late from one that wants a name which is taken.
func (a *API) whichConflict(edit inventory.Edit, err error) error {
	if edit.Rev == 0 || !errors.Is(err, muster.ErrConflict) {
		return err
	}
	row, lost := a.o.Nodes.Get(edit.Account, edit.Node)
	switch {
	case lost != nil:
		return lost
	case row.Node.Rev != edit.Rev:
		return stale(edit.Rev, row.Node.Rev)
	}
	return err
}

type deleteNodeInput struct {
	NodePath
	MatchInput
}

func (a *API) deleteNode(ctx context.Context, in *deleteNodeInput) (*struct{}, error) {
	id, err := in.node()
	if err != nil {
		return nil, err
	}
	rev, err := in.rev()
	if err != nil {
		return nil, err
	}
	c := who(ctx)
	edit := inventory.Edit{Account: c.Account, Node: id, Rev: rev, Actor: c.Actor()}
	return nil, a.whichConflict(edit, a.o.Nodes.Delete(ctx, edit))
}

// patchNode applies a merge patch to what people may change.
func patchNode(n *muster.Node, patch []byte) error {
	tags := slices.Clone(n.Tags)
	watched := !n.Unwatched
	edit := api.NodeEdit{Name: &n.Name, Tags: &tags, Star: &n.Star, Colour: &n.Colour, Notes: &n.Notes, Watched: &watched}
	var out api.NodeEdit
	if err := mergePatch(edit, patch, &out); err != nil {
		return err
	}
	if err := checkNode(&out); err != nil {
		return err
	}
	n.Name, n.Star, n.Colour, n.Notes = value(out.Name), value(out.Star), value(out.Colour), value(out.Notes)
	n.Unwatched = out.Watched != nil && !*out.Watched
	n.Tags = slices.Compact(slices.Sorted(slices.Values(value(out.Tags))))
	return nil
}

// value gives what p points to, or the zero value: what a merge patch emptied.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// colour is what a node's colour may be: a name or the three bytes of it.
var colour = regexp.MustCompile(`^(|[a-z]{3,32}|#[0-9a-fA-F]{6})$`)

func checkNode(e *api.NodeEdit) error {
	name := value(e.Name)
	if strings.TrimSpace(name) != name || name == "" || !printable(name) {
		return badField("body.name", "must be text without control characters, and without space at its ends")
	}
	if !colour.MatchString(value(e.Colour)) {
		return badField("body.colour", "must be a name such as red, or #rrggbb")
	}
	for i, tag := range value(e.Tags) {
		key, _, _ := strings.Cut(tag, "=")
		if key == "" || len(tag) > inventory.MaxTag || strings.ContainsAny(tag, " ,") || !printable(tag) {
			return badField(fmt.Sprintf("body.tags[%d]", i), fmt.Sprintf("must be key or key=value, at most %d bytes without spaces, commas and control characters", inventory.MaxTag))
		}
	}
	return nil
}

func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) < 0
}

// mergePatch applies a patch (RFC 7396) to the JSON of from and reads the outcome into out.
func mergePatch(from any, patch []byte, out any) error {
	raw, err := json.Marshal(from)
	if err != nil {
		return fmt.Errorf("rest: merge patch: %w", err)
	}
	if raw, err = shape.Merge(raw, patch); err != nil {
		return badField("body", muster.Words(err))
	}
	in := json.NewDecoder(bytes.NewReader(raw))
	in.DisallowUnknownFields() // a misspelt field must not be lost
	if err := in.Decode(out); err != nil {
		return badField("body", err.Error())
	}
	return nil
}

// appendNodes appends a page of nodes as JSON: a list of ten thousand by reflection would take longer
// than everything else together.
func appendNodes(b []byte, rows []inventory.Row, next string) []byte {
	b = slices.Grow(b, 64+1200*len(rows))
	b = append(b, `{"items":[`...)
	for i := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = shape.AppendNode(b, rows[i].Node, &rows[i].Now)
	}
	b = append(b, ']')
	if next != "" {
		b = shape.AppendText(append(b, `,"next":`...), next)
	}
	return append(b, "}\n"...)
}
