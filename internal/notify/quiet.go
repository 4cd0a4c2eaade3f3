package notify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"muster"
	"muster/internal/notify/calendar"
)

// MaxSuppressions is how many suppressions an account may have.
const MaxSuppressions = 1000

// forgetAfter is how long a suppression that will not come again is kept.
const forgetAfter = 30 * 24 * time.Hour

// quiet is a suppression, read.
type quiet struct {
	doc   *muster.Suppression
	times *calendar.Times
	query Matcher // nil: all nodes, and the checks that belong to none
}

// read makes sense of a suppression; the error wraps ErrInvalid.
func (r *Room) read(s *muster.Suppression) (*quiet, error) {
	q := &quiet{doc: s}
	var err error
	if q.times, err = calendar.Parse(s.From, s.Length, s.Rule, s.Zone); err != nil {
		return nil, err
	}
	if text := strings.TrimSpace(s.Query); text != "" && text != "*" {
		if q.query, err = r.opts.Query(text); err != nil {
			return nil, err
		}
	}
	return q, nil
}

// holds says whether the suppression is about this incident and alarm.
func (q *quiet) holds(in *muster.Incident, node *muster.Node, t *muster.Transition, at time.Time) bool {
	s := q.doc
	if !s.Node.IsZero() && s.Node != in.Node {
		return false
	}
	if s.Check != "" && !(in.Check == s.Check || t != nil && t.Check == s.Check) {
		return false
	}
	if s.Alarm != "" && (t == nil || t.Alarm != s.Alarm) {
		return false
	}
	if q.query != nil && (node == nil || !q.query.Match(node, &muster.NodeNow{State: muster.Unknown}, at)) {
		return false
	}
	_, active := q.times.Active(at)
	return active
}

// suppressed gives the suppression that keeps people from being told of a step now; nil when none does.
func (r *Room) suppressed(in *muster.Incident, t *muster.Transition, at time.Time) *muster.Suppression {
	var node *muster.Node
	if !in.Node.IsZero() {
		node = r.opts.Node(in.Account, in.Node)
	}
	p := r.book.page(in.Account)
	r.book.mu.RLock()
	defer r.book.mu.RUnlock()
	for _, q := range p.quiet {
		if q.holds(in, node, t, at) {
			return q.doc
		}
	}
	return nil
}

func (r *Room) keepQuiet(q *quiet) {
	p := r.book.page(q.doc.Account)
	r.book.mu.Lock()
	defer r.book.mu.Unlock()
	if old := p.quiet[q.doc.ID]; old == nil || old.doc.Rev < q.doc.Rev {
		p.quiet[q.doc.ID] = q
	}
}

// Suppressions gives the account's suppressions, the newest first. They are shared and not to be changed.
func (r *Room) Suppressions(account muster.AccountID) []*muster.Suppression {
	p := r.book.page(account)
	r.book.mu.RLock()
	list := make([]*muster.Suppression, 0, len(p.quiet))
	for _, q := range p.quiet {
		list = append(list, q.doc)
	}
	r.book.mu.RUnlock()
	slices.SortFunc(list, func(a, b *muster.Suppression) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), strings.Compare(string(b.ID), string(a.ID)))
	})
	return list
}

// Suppression gives one suppression; the error wraps ErrNotFound.
func (r *Room) Suppression(account muster.AccountID, id muster.SuppressionID) (*muster.Suppression, error) {
	p := r.book.page(account)
	r.book.mu.RLock()
	defer r.book.mu.RUnlock()
	if q := p.quiet[id]; q != nil {
		return q.doc, nil
	}
	return nil, fmt.Errorf("notify: suppression: %w: %.64s", muster.ErrNotFound, id)
}

// Times says until when a suppression holds now, and when it holds next; zero for neither.
func (r *Room) Times(s *muster.Suppression, now time.Time) (until, next time.Time) {
	times, err := calendar.Parse(s.From, s.Length, s.Rule, s.Zone)
	if err != nil {
		return until, next
	}
	until, _ = times.Active(now)
	for _, span := range times.Next(now, 2) {
		if span.From.After(now) {
			return until, span.From
		}
	}
	return until, next
}

// CreateSuppression keeps a suppression; without a name it gets one. The error wraps ErrInvalid, ErrConflict or ErrLimited.
func (r *Room) CreateSuppression(ctx context.Context, edit Edit, s *muster.Suppression) (*muster.Suppression, error) {
	kept := *s
	kept.ID, kept.Account, kept.Rev = muster.NewSuppressionID(), edit.Account, 0
	if kept.Name = strings.TrimSpace(kept.Name); kept.Name == "" {
		kept.Name = "quiet from " + kept.From.UTC().Format("2 Jan 15:04") + " " + string(kept.ID[len(kept.ID)-4:])
	}
	q, err := r.read(&kept)
	if err == nil && len(r.Suppressions(edit.Account)) >= MaxSuppressions {
		err = fmt.Errorf("%w: an account has at most %d suppressions", muster.ErrLimited, MaxSuppressions)
	}
	if err == nil {
		err = r.store.CreateSuppression(ctx, &kept)
	}
	if err != nil {
		return nil, fmt.Errorf("notify: create suppression: %w", err)
	}
	r.keepQuiet(q)
	r.tell(ctx, edit, "suppression.created", string(kept.ID), kept.Name, "nobody is told for "+span(kept.Length))
	return &kept, nil
}

// UpdateSuppression changes a suppression; what change does to ID, Account, By and times is undone. The error is as
// CreateSuppression's, or ErrNotFound, or change's.
func (r *Room) UpdateSuppression(ctx context.Context, edit Edit, change func(*muster.Suppression) error) (*muster.Suppression, error) {
	var q *quiet
	now, err := r.store.UpdateSuppression(ctx, edit.Account, muster.SuppressionID(edit.ID), edit.Rev, func(s *muster.Suppression) error {
		next := *s
		if err := change(&next); err != nil {
			return err
		}
		s.Name, s.Query, s.Node, s.Check, s.Alarm = strings.TrimSpace(next.Name), next.Query, next.Node, next.Check, next.Alarm
		s.From, s.Length, s.Rule, s.Zone, s.Reason = next.From, next.Length, next.Rule, next.Zone, next.Reason
		var err error
		q, err = r.read(s)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("notify: update suppression: %w", err)
	}
	q.doc = now
	r.keepQuiet(q)
	r.tell(ctx, edit, "suppression.changed", edit.ID, now.Name, "was changed")
	return now, nil
}

// DeleteSuppression ends a suppression: what it held back and is still open is told. The error wraps ErrNotFound or ErrConflict.
func (r *Room) DeleteSuppression(ctx context.Context, edit Edit) error {
	id := muster.SuppressionID(edit.ID)
	s, err := r.Suppression(edit.Account, id)
	if err == nil {
		err = r.store.DeleteSuppression(ctx, edit.Account, id, edit.Rev)
	}
	if err != nil {
		return fmt.Errorf("notify: delete suppression: %w", err)
	}
	p := r.book.page(edit.Account)
	r.book.mu.Lock()
	delete(p.quiet, id)
	r.book.mu.Unlock()
	r.tell(ctx, edit, "suppression.deleted", edit.ID, s.Name, "was ended")
	return nil
}

// tidyQuiet forgets suppressions that ended long ago and will not come again.
func (r *Room) tidyQuiet(ctx context.Context) {
	now := r.opts.Now()
	var over []*muster.Suppression
	r.book.mu.RLock()
	for _, p := range r.book.accounts {
		for _, q := range p.quiet {
			if q.times.Over(now.Add(-forgetAfter)) {
				over = append(over, q.doc)
			}
		}
	}
	r.book.mu.RUnlock()
	for _, s := range over {
		edit := Edit{Account: s.Account, ID: string(s.ID), Actor: "muster"}
		if err := r.DeleteSuppression(ctx, edit); err != nil {
			r.opts.Logger.Warn("notify: an old suppression stays", "suppression", s.ID, "error", err)
		}
	}
}
