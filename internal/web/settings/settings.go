// Package settings gives the settings page: the account's name and retention with its price, people, API
// tokens, invitations for agents, and the viewer's password.
//
// The page shows; changes are calls of the REST API, made by the page's script with the viewer's session, so that
// a form and the API can't differ. Every form shows its call.
package settings

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster"
	"muster/internal/series"
	"muster/internal/web/shell"
)

//go:embed settings.html assets
var files embed.FS

// Store is what the page reads of the documents; errors wrap the kinds.
type Store interface {
	Account(ctx context.Context, id muster.AccountID) (*muster.Account, error)
	Users(ctx context.Context, account muster.AccountID) ([]*muster.User, error)
	Tokens(ctx context.Context, account muster.AccountID) ([]*muster.Token, error)
	Enrollments(ctx context.Context, account muster.AccountID) ([]*muster.Enrollment, error)
}

// Options are the page's doors.
type Options struct {
	Shell *shell.Shell
	Store Store
	// Classes gives the classes of retention with what they cost here.
	Classes func() []series.Class
	// Nodes gives how many nodes the account has, for the price.
	Nodes func(account muster.AccountID) int
}

// Page serves the settings. It is safe for concurrent use.
type Page struct {
	opts Options
	view *shell.View[body]
}

// New makes the page.
func New(o Options) *Page {
	return &Page{opts: o, view: shell.NewView[body](o.Shell, "settings", files, "settings.html")}
}

// Routes adds the page's addresses.
func (p *Page) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /settings", p.show)
	mux.HandleFunc("GET /settings/{part}", p.part)
}

// body is what settings.html is filled with.
type body struct {
	Viewer      shell.Viewer
	MayAdmin    bool
	MayInvite   bool
	Account     *muster.Account
	Classes     []class
	Nodes       int
	Users       []user
	Tokens      []*muster.Token
	Enrollments []*muster.Enrollment
	Roles       []role
}

// class is a class of retention as it is shown.
type class struct {
	Name            string
	Current         bool
	Raw, Five, Hour string
	Price           string // of one node and year; empty while nothing was measured
	All             string // of all nodes
}

type user struct {
	*muster.User
	Self     bool
	Password bool
}

type role struct {
	Role muster.Role
	May  string
}

// roles says what each role may do, weakest first.
func roles() []role {
	return []role{
		{muster.Observer, "look at everything"},
		{muster.Operator, "change nodes and invite agents too"},
		{muster.Admin, "people, tokens and the account too"},
	}
}

func (p *Page) show(w http.ResponseWriter, r *http.Request) {
	b, err := p.body(r)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	p.view.Render(w, r, shell.Page{Title: "Settings", Nav: "settings", Styles: []string{"settings/settings.css"}, Modules: []string{"settings/settings.js"}}, b)
}

// part answers with one section's list after a change: "account", "users", "tokens" or "enrollments".
func (p *Page) part(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("part")
	if !slices.Contains([]string{"account", "users", "tokens", "enrollments"}, name) {
		p.opts.Shell.NotFound(w, r)
		return
	}
	b, err := p.body(r)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	if (name == "users" || name == "tokens") && !b.MayAdmin || name == "enrollments" && !b.MayInvite {
		p.opts.Shell.Fail(w, r, fmt.Errorf("%w: settings: your role does not show this", muster.ErrDenied))
		return
	}
	p.view.Part(w, r, name, b)
}

// body reads what the viewer may see.
func (p *Page) body(r *http.Request) (*body, error) {
	ctx, v := r.Context(), shell.Identity(r.Context())
	b := &body{Viewer: v, MayAdmin: v.Role.May(muster.Admin), MayInvite: v.Role.May(muster.Operator), Roles: roles()}
	var err error
	if b.Account, err = p.opts.Store.Account(ctx, v.Account); err != nil {
		return nil, err
	}
	if p.opts.Nodes != nil {
		b.Nodes = p.opts.Nodes(v.Account)
	}
	for i, c := range p.opts.Classes() {
		current := c.Name == b.Account.Retention || i == 0 && b.Account.Retention == ""
		b.Classes = append(b.Classes, present(c, current, b.Nodes))
	}
	if b.MayInvite {
		if b.Enrollments, err = p.opts.Store.Enrollments(ctx, v.Account); err != nil {
			return nil, err
		}
		b.Enrollments = living(b.Enrollments, p.opts.Shell.Now())
	}
	if !b.MayAdmin {
		return b, nil
	}
	users, err := p.opts.Store.Users(ctx, v.Account)
	if err != nil {
		return nil, err
	}
	for _, u := range users {
		b.Users = append(b.Users, user{User: u, Self: u.ID == v.User, Password: u.PasswordHash != ""})
	}
	slices.SortFunc(b.Users, func(a, b user) int { return cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	if b.Tokens, err = p.opts.Store.Tokens(ctx, v.Account); err != nil {
		return nil, err
	}
	slices.SortFunc(b.Tokens, func(a, b *muster.Token) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.ID, b.ID))
	})
	return b, nil
}

// living leaves invitations out that nobody can use any more; newest first.
func living(all []*muster.Enrollment, now time.Time) []*muster.Enrollment {
	all = slices.DeleteFunc(slices.Clone(all), func(e *muster.Enrollment) bool { return e.UsesLeft <= 0 || !e.ExpiresAt.After(now) })
	slices.SortFunc(all, func(a, b *muster.Enrollment) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return all
}

func present(c series.Class, current bool, nodes int) class {
	out := class{Name: c.Name, Current: current, Raw: long(c.Raw), Five: long(c.Tile5m), Hour: long(c.Tile1h)}
	if c.BytesPerNodeYear > 0 {
		out.Price = shell.Bytes(float64(c.BytesPerNodeYear))
		if nodes > 0 {
			out.All = shell.Bytes(float64(c.BytesPerNodeYear) * float64(nodes))
		}
	}
	return out
}

// long says a long time as people do: "30 days", "3 years".
func long(d time.Duration) string {
	const day = 24 * time.Hour
	switch days := int(d / day); {
	case days >= 365 && days%365 == 0:
		return count(days/365, "year")
	default:
		return count(days, "day")
	}
}

func count(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return strconv.Itoa(n) + " " + word
}
