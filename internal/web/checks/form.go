package checks

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"muster"
	"muster/api"
	"muster/internal/roster"
	"muster/internal/shape"
	"muster/internal/web/shell"
)

// formBody is what form.html is filled with.
type formBody struct {
	CSRF    string
	Title   string
	ID      string // of the check that is changed; empty for a new one
	Rev     uint64
	Kind    string
	About   string
	Kinds   []kindLink
	Action  string // where the form goes without scripts
	API     string // "POST /v1/checks"
	First   []input
	More    []input
	Open    bool // something behind "more" is not as usual, or wrong
	Fault   string
	Guessed string // what was typed into the search box
	Tried   *shown
	CanTry  bool
	Save    string // what the button says
	Back    string
}

type kindLink struct {
	Kind, Href string
	Current    bool
}

// input is a field with its text.
type input struct {
	field
	ID    string
	Value string
	Fault string
}

// unusual says whether somebody chose the value. A time limit is written out always.
func (in *input) unusual() bool {
	usual := in.Is
	if in.Type == asBool && usual == "" {
		usual = "false"
	}
	return in.Value != "" && in.Value != usual && in.Name != "timeout"
}

// newPage shows the form for a new check: of the kind in the address, of what "guess" stands for, like the check "from", or plain.
func (p *Page) newPage(w http.ResponseWriter, r *http.Request) {
	v, ok := p.may(w, r)
	if !ok {
		return
	}
	q := r.URL.Query()
	said := api.CheckNew{Kind: q.Get("kind"), Node: q.Get("node"), Config: json.RawMessage("{}")}
	var fault string
	if text := q.Get("guess"); text != "" {
		if guess, err := roster.Guess(text); err == nil {
			said.Kind, said.Config = guess.Kind, guess.Config
		} else {
			fault = shell.Words(err)
		}
	} else if from, err := p.opts.Checks.Get(v.Account, muster.CheckID(q.Get("from"))); err == nil && said.Kind == "" {
		said = shape.CheckNew(from.Check)
		said.Name = ""
	}
	if !slices.Contains(kinds(), said.Kind) {
		said.Kind = kinds()[0]
	}
	b := p.formBody(r, nil, said.Kind)
	b.set(p.fill(v.Account, fieldsOf(said.Kind, true), &said), map[string]string{"": fault})
	b.Guessed = q.Get("guess")
	p.showForm(w, r, b)
}

// formBody makes the form of a kind: for the check that is changed, or for a new one when it is nil.
func (p *Page) formBody(r *http.Request, c *muster.Check, kind string) *formBody {
	b := &formBody{
		CSRF: shell.CSRF(r.Context()), Title: "New check", Kind: kind, About: aboutKind[kind], CanTry: kind != roster.KindPush,
		Action: "/checks/new?kind=" + kind, API: "POST " + api.PathChecks, Save: "Create", Back: "/checks",
	}
	if c != nil {
		b.ID, b.Rev, b.Title, b.Save, b.Back = string(c.ID), c.Rev, c.Name, "Save", "/checks/"+string(c.ID)
		b.Action, b.API = b.Back+"/edit", "PATCH "+api.PathChecks+"/"+b.ID
	} else {
		for _, k := range kinds() {
			q := url.Values{"kind": {k}}
			if node := r.URL.Query().Get("node"); node != "" {
				q.Set("node", node)
			}
			b.Kinds = append(b.Kinds, kindLink{Kind: k, Href: "/checks/new?" + q.Encode(), Current: k == kind})
		}
	}
	for _, f := range fieldsOf(kind, c == nil) {
		in := input{field: f, ID: "f-" + f.Name}
		if f.More {
			b.More = append(b.More, in)
		} else {
			b.First = append(b.First, in)
		}
	}
	return b
}

// set writes texts and faults into the fields.
func (b *formBody) set(texts, faults map[string]string) {
	b.Fault = faults[""]
	for _, list := range [][]input{b.First, b.More} {
		for i := range list {
			in := &list[i]
			in.Value, in.Fault = texts[in.Name], faults[in.Name]
			// More is open when there is something to see in it.
			if in.More && (in.Fault != "" || in.unusual()) {
				b.Open = true
			}
		}
	}
}

func (p *Page) showForm(w http.ResponseWriter, r *http.Request, b *formBody) {
	page := shell.Page{Title: b.Title, Nav: "checks", Styles: []string{"checks/checks.css"}, Modules: []string{"checks/form.js"}}
	if b.Fault != "" || slices.ContainsFunc(slices.Concat(b.First, b.More), func(in input) bool { return in.Fault != "" }) {
		page.Status = http.StatusUnprocessableEntity
	}
	p.form.Render(w, r, page, b)
}

// editPage shows the form that changes a check.
func (p *Page) editPage(w http.ResponseWriter, r *http.Request) {
	v, ok := p.may(w, r)
	if !ok {
		return
	}
	row, ok := p.get(w, r)
	if !ok {
		return
	}
	said := shape.CheckNew(row.Check)
	b := p.formBody(r, row.Check, row.Check.Kind)
	b.set(p.fill(v.Account, fieldsOf(row.Check.Kind, false), &said), nil)
	p.showForm(w, r, b)
}

// makeOne takes the form of a new check from browsers without scripts.
func (p *Page) makeOne(w http.ResponseWriter, r *http.Request) {
	v, ok := p.may(w, r)
	if !ok {
		return
	}
	kind := r.URL.Query().Get("kind")
	if !slices.Contains(kinds(), kind) {
		p.opts.Shell.Fail(w, r, fmt.Errorf("%w: checks: no kind is called %.20q", muster.ErrInvalid, kind))
		return
	}
	c, b := p.take(r, v, nil, kind)
	if c == nil {
		p.showForm(w, r, b)
		return
	}
	row, err := p.opts.Checks.Create(r.Context(), roster.Edit{Account: v.Account, Actor: v.Actor()}, c)
	p.done(w, r, b, row, err, "It is checked from now on.")
}

// change takes the form of a check that is there, from browsers without scripts.
func (p *Page) change(w http.ResponseWriter, r *http.Request) {
	v, ok := p.may(w, r)
	if !ok {
		return
	}
	row, ok := p.get(w, r)
	if !ok {
		return
	}
	next, b := p.take(r, v, row.Check, row.Check.Kind)
	if next == nil {
		p.showForm(w, r, b)
		return
	}
	var rev uint64
	fmt.Sscan(r.PostFormValue("rev"), &rev)
	row, err := p.opts.Checks.Update(r.Context(), edit(v, row.Check, rev), func(c *muster.Check) error {
		c.Name, c.Node, c.Config, c.Period, c.Timeout, c.Enabled = next.Name, next.Node, next.Config, next.Period, next.Timeout, next.Enabled
		return nil
	})
	p.done(w, r, b, row, err, "Saved.")
}

// take reads a form that was sent. It gives no check when the form is to be shown again: it only tried, or a field is wrong.
func (p *Page) take(r *http.Request, v shell.Viewer, old *muster.Check, kind string) (*muster.Check, *formBody) {
	fields := fieldsOf(kind, old == nil)
	r.ParseForm()
	said, faults := p.readForm(v.Account, fields, r.PostForm)
	said.Kind = kind
	c, wrong := shape.ReadCheck(&said)
	for _, f := range wrong {
		faults[fieldName(f.Location)] = f.Message
	}
	c.Account = v.Account
	b := p.formBody(r, old, kind)
	texts := map[string]string{}
	for _, f := range fields {
		texts[f.Name] = r.PostForm.Get(f.Name)
	}
	b.set(texts, faults)
	if len(faults) > 0 {
		return nil, b
	}
	if r.PostFormValue("do") == "test" {
		res, err := p.opts.Checks.Test(r.Context(), c)
		if err != nil {
			b.set(texts, faultsOf(err, fields))
			return nil, b
		}
		said := shape.Result(&res)
		out := show(&said)
		b.Tried = &out
		return nil, b
	}
	return c, b
}

// done leads to the check that was saved, or shows the form again with what is wrong.
func (p *Page) done(w http.ResponseWriter, r *http.Request, b *formBody, row roster.Row, err error, said string) {
	if err == nil {
		shell.SetFlash(w, shell.Flash{Kind: "ok", Text: said})
		http.Redirect(w, r, "/checks/"+string(row.Check.ID), http.StatusSeeOther)
		return
	}
	if s := shell.Status(err); s != http.StatusUnprocessableEntity && s != http.StatusConflict {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	texts := map[string]string{}
	for _, in := range slices.Concat(b.First, b.More) {
		texts[in.Name] = in.Value
	}
	b.set(texts, faultsOf(err, fieldsOf(b.Kind, b.ID == "")))
	p.showForm(w, r, b)
}

// fieldName gives the field's name of an API location: "config.url" of "body.config.url".
func fieldName(location string) string {
	const body = "body."
	if len(location) > len(body) && location[:len(body)] == body {
		return location[len(body):]
	}
	return location
}
