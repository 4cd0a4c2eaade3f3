package checks

import (
	"fmt"
	"net/http"
	"strings"

	"muster"
	"muster/internal/roster"
	"muster/internal/shape"
	"muster/internal/web/shell"
)

// may refuses those who may only look; it answers itself then.
func (p *Page) may(w http.ResponseWriter, r *http.Request) (shell.Viewer, bool) {
	v := shell.Identity(r.Context())
	if v.Role.May(muster.Operator) {
		return v, true
	}
	p.opts.Shell.Fail(w, r, fmt.Errorf("%w: checks: this takes the role of an operator", muster.ErrDenied))
	return v, false
}

func edit(v shell.Viewer, c *muster.Check, rev uint64) roster.Edit {
	return roster.Edit{Account: v.Account, ID: c.ID, Rev: rev, Actor: v.Actor()}
}

// act takes the buttons of a check's page from browsers without scripts: "test", "on", "off" and "delete".
func (p *Page) act(w http.ResponseWriter, r *http.Request) {
	v, ok := p.may(w, r)
	if !ok {
		return
	}
	row, ok := p.get(w, r)
	if !ok {
		return
	}
	c := row.Check
	here, said := "/checks/"+string(c.ID), ""
	var err error
	switch what := r.PostFormValue("do"); what {
	case "test":
		p.tryNow(w, r, &row)
		return
	case "on", "off":
		said = map[string]string{"on": "It is switched on again.", "off": "It is switched off: nothing runs and nobody is told."}[what]
		_, err = p.opts.Checks.Update(r.Context(), edit(v, c, 0), func(c *muster.Check) error { c.Enabled = what == "on"; return nil })
	case "delete":
		if strings.TrimSpace(r.PostFormValue("confirm")) != c.Name {
			shell.SetFlash(w, shell.Flash{Kind: "bad", Text: "Nothing was deleted: the name typed is not " + c.Name + "."})
			http.Redirect(w, r, here, http.StatusSeeOther)
			return
		}
		here, said = "/checks", c.Name+" was deleted."
		err = p.opts.Checks.Delete(r.Context(), edit(v, c, 0))
	default:
		err = fmt.Errorf("%w: checks: act: nothing is called %.20q", muster.ErrInvalid, what)
	}
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	shell.SetFlash(w, shell.Flash{Kind: "ok", Text: said})
	http.Redirect(w, r, here, http.StatusSeeOther)
}

// tryNow runs a check once and shows what it found on its page.
func (p *Page) tryNow(w http.ResponseWriter, r *http.Request, row *roster.Row) {
	res, err := p.opts.Checks.Test(r.Context(), row.Check)
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	said := shape.Result(&res)
	out := show(&said)
	p.render(w, r, row, &out)
}
