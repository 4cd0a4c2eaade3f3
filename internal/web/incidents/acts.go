package incidents

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"muster"
	"muster/internal/notify"
	"muster/internal/web/shell"
)

// act does what a form asks for on one incident, and leads back to where the form was; done is said there.
func (p *Page) act(w http.ResponseWriter, r *http.Request, do func(v shell.Viewer, id muster.IncidentID) (done string, err error)) {
	v := shell.Identity(r.Context())
	if !v.Role.May(muster.Operator) {
		p.opts.Shell.Fail(w, r, fmt.Errorf("incidents: %w: this takes the role of an operator", muster.ErrDenied))
		return
	}
	id := muster.IncidentID(r.PathValue("id"))
	done, err := do(v, id)
	if wantsPart := r.Header.Get("X-Muster-Part") != ""; wantsPart || err != nil && !forgiving(err) {
		if err != nil {
			p.opts.Shell.Fail(w, r, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
		return
	}
	flash := shell.Flash{Kind: "ok", Text: done}
	if err != nil {
		flash = shell.Flash{Kind: "bad", Text: capital(shell.Words(err)) + "."}
	}
	shell.SetFlash(w, flash)
	http.Redirect(w, r, back(r.PostFormValue("back"), id), http.StatusSeeOther)
}

// forgiving says whether an error is told best on the page the form was on.
func forgiving(err error) bool {
	return shell.Words(err) != "" && (errors.Is(err, muster.ErrInvalid) || errors.Is(err, muster.ErrConflict) || errors.Is(err, muster.ErrLimited))
}

// back takes an address that shows incidents, so that no form leads elsewhere.
func back(to string, id muster.IncidentID) string {
	if to == "/" || to == "/incidents" || strings.HasPrefix(to, "/incidents?") {
		return to
	}
	return "/incidents/" + string(id)
}

func (p *Page) acknowledge(w http.ResponseWriter, r *http.Request) {
	p.act(w, r, func(v shell.Viewer, id muster.IncidentID) (string, error) {
		in, err := p.opts.Watch.Acknowledge(r.Context(), v.Account, id, v.Actor())
		if err != nil {
			return "", fmt.Errorf("incidents: %w", err)
		}
		return "You have it: " + in.Title + ".", nil
	})
}

func (p *Page) comment(w http.ResponseWriter, r *http.Request) {
	text := strings.TrimSpace(strings.ReplaceAll(r.PostFormValue("text"), "\r\n", "\n"))
	p.act(w, r, func(v shell.Viewer, id muster.IncidentID) (string, error) {
		_, err := p.opts.Watch.Comment(r.Context(), v.Account, id, muster.Comment{By: v.Actor(), Name: v.Name, Text: text})
		if err != nil {
			return "", fmt.Errorf("incidents: %w", err)
		}
		return "The comment is kept.", nil
	})
}

func (p *Page) silence(w http.ResponseWriter, r *http.Request) {
	p.act(w, r, func(v shell.Viewer, id muster.IncidentID) (string, error) {
		for _, l := range lengths {
			if l.Value != r.PostFormValue("for") {
				continue
			}
			if err := p.Silence(r.Context(), v.Account, id, l.Length, v.Actor()); err != nil {
				return "", err
			}
			return "Nobody is told of it for " + l.Title + ".", nil
		}
		return "", fmt.Errorf("incidents: silence: %w: choose for how long", muster.ErrInvalid)
	})
}

// Silence keeps people from being told of an incident's node or check from now on. The error wraps ErrNotFound,
// ErrInvalid (the incident is about neither), ErrConflict (it is resolved) or ErrLimited.
func (p *Page) Silence(ctx context.Context, account muster.AccountID, id muster.IncidentID, length time.Duration, actor string) error {
	in, err := p.opts.Watch.Incident(ctx, account, id)
	switch {
	case err != nil:
		return fmt.Errorf("incidents: silence: %w", err)
	case !canSilence(in):
		return fmt.Errorf("incidents: silence: %w: it is about this server and not about a node or a check", muster.ErrInvalid)
	case in.State == muster.IncidentResolved:
		return fmt.Errorf("incidents: silence: %w: it is over already", muster.ErrConflict)
	}
	s := &muster.Suppression{Account: account, Node: in.Node, From: p.opts.Shell.Now(), Length: length, Reason: in.Title, By: actor}
	if in.Node.IsZero() {
		s.Check = in.Check
	}
	if _, err := p.opts.Notices.CreateSuppression(ctx, notify.Edit{Account: account, Actor: actor}, s); err != nil {
		return fmt.Errorf("incidents: silence: %w", err)
	}
	return nil
}

// unsilence ends a suppression that the page shows.
func (p *Page) unsilence(w http.ResponseWriter, r *http.Request) {
	p.act(w, r, func(v shell.Viewer, id muster.IncidentID) (string, error) {
		in, err := p.opts.Watch.Incident(r.Context(), v.Account, id)
		if err != nil {
			return "", fmt.Errorf("incidents: %w", err)
		}
		wanted := muster.SuppressionID(r.PostFormValue("suppression"))
		for _, q := range p.quiets(&scene{Incident: in, now: p.opts.Shell.Now()}) {
			if q.ID != wanted {
				continue
			}
			if err := p.opts.Notices.DeleteSuppression(r.Context(), notify.Edit{Account: v.Account, ID: string(wanted), Actor: v.Actor()}); err != nil {
				return "", fmt.Errorf("incidents: %w", err)
			}
			return "People are told again.", nil
		}
		return "", fmt.Errorf("incidents: %w: it is not silenced by that any more", muster.ErrConflict)
	})
}
