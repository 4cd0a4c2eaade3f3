// Package incident gives the fold that makes incidents of alarms: a transition opens one, joins it,
// makes it worse, eases it or closes it, and what people do is folded in the same way. It is pure: an
// incident goes in, a changed copy comes out, and who calls saves both the copy and the change.
//
// A step taken twice is taken once. A transition is known again by its id for as long as it stands in
// the incident's timeline; timeline.go says what leaves that first and how the rest is known.
package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"muster"
)

// Subject is what an incident is about.
type Subject struct {
	Account muster.AccountID
	ID      muster.NodeID  // of the node, or the Subject of the check
	Name    string         // of the node or check now
	Check   muster.CheckID // the check, when it belongs to no node; empty for a node
}

// MaxComment is the longest comment, in bytes.
const MaxComment = 4000

// Fold takes a transition into the incident that is open on the subject; nil, or a resolved one, when
// none is. It gives the incident after it and what changed; a nil change means that nothing did (the
// transition was taken before, or closes what is not open) and gives the incident back as it was. The
// change and the incident keep times to the millisecond and texts cut to what a timeline can bear.
func Fold(in *muster.Incident, s Subject, t muster.Transition) (*muster.Incident, *muster.IncidentChange) {
	t = tidy(t)
	if knows(in, &t) {
		return in, nil
	}
	if in == nil || in.State == muster.IncidentResolved {
		if t.To != muster.AlarmFiring {
			return in, nil
		}
		return open(s, t)
	}
	at := slices.IndexFunc(in.Open, func(f muster.Firing) bool { return f.Alarm == t.Alarm && f.Series == t.Series })
	if t.To == muster.AlarmFiring {
		return join(in, at, t)
	}
	if at < 0 {
		return in, nil
	}
	return ease(in, at, t)
}

// open makes the incident of its first transition.
func open(s Subject, t muster.Transition) (*muster.Incident, *muster.IncidentChange) {
	in := &muster.Incident{
		ID: muster.NewIncidentID(s.Account, t.ID, t.At), Account: s.Account,
		State: muster.IncidentOpen, Level: t.Level,
		Subject: s.ID, Name: clip(s.Name, maxName), Node: s.ID,
		Check: t.Check, Alarm: t.Alarm, OpenedAt: t.At,
		Open: []muster.Firing{firing(&t)}, Transitions: []muster.Transition{t},
	}
	if s.Check != "" {
		in.Node, in.Check = muster.NodeID{}, s.Check
	}
	return in, done(in, muster.IncidentChange{Kind: muster.IncidentOpened, At: t.At, Transition: &t})
}

// join adds a firing, or renews the one at the index.
func join(before *muster.Incident, at int, t muster.Transition) (*muster.Incident, *muster.IncidentChange) {
	in, kind := copied(before), muster.IncidentJoined
	if t.Level.Worse(in.Level) {
		in.Level, kind = t.Level, muster.IncidentWorsened
	}
	if at < 0 {
		in.Open = append(in.Open, firing(&t))
	} else {
		since := in.Open[at].Since
		in.Open[at] = firing(&t)
		in.Open[at].Since = since
	}
	in.Transitions = append(in.Transitions, t)
	return in, done(in, muster.IncidentChange{Kind: kind, At: t.At, Transition: &t})
}

// ease takes a firing away, and with the last one the incident is over.
func ease(before *muster.Incident, at int, t muster.Transition) (*muster.Incident, *muster.IncidentChange) {
	in, kind := copied(before), muster.IncidentEased
	in.Open = slices.Delete(in.Open, at, at+1)
	in.Transitions = append(in.Transitions, t)
	if len(in.Open) == 0 {
		kind = muster.IncidentClosed
		in.State, in.ResolvedAt = muster.IncidentResolved, later(t.At, in.OpenedAt)
	}
	return in, done(in, muster.IncidentChange{Kind: kind, At: t.At, Transition: &t})
}

// Acknowledge notes that somebody ("user_...", "token_...", "link") has taken the incident, until it is
// resolved. Taking it again changes nothing and gives a nil change; ErrConflict when it is resolved.
func Acknowledge(before *muster.Incident, by string, at time.Time) (*muster.Incident, *muster.IncidentChange, error) {
	switch before.State {
	case muster.IncidentResolved:
		return before, nil, fmt.Errorf("incident: acknowledge: %w: the incident is resolved already", muster.ErrConflict)
	case muster.IncidentAcknowledged:
		return before, nil, nil
	}
	in := copied(before)
	at = instant(at)
	in.State, in.AcknowledgedAt, in.AcknowledgedBy = muster.IncidentAcknowledged, at, by
	return in, done(in, muster.IncidentChange{Kind: muster.IncidentTaken, At: at, By: by}), nil
}

// Comment adds what a person says, also when the incident is resolved. The same comment again changes
// nothing; ErrInvalid when it is empty or longer than MaxComment.
func Comment(before *muster.Incident, c muster.Comment) (*muster.Incident, *muster.IncidentChange, error) {
	c.At, c.Name, c.Text = instant(c.At), clip(c.Name, maxName), spoken(c.Text)
	if c.Text == "" || len(c.Text) > MaxComment {
		return before, nil, fmt.Errorf("incident: comment: %w: a comment is 1 to %d bytes of text", muster.ErrInvalid, MaxComment)
	}
	if said(before, &c) {
		return before, nil, nil
	}
	in := copied(before)
	in.Comments = append(in.Comments, c)
	return in, done(in, muster.IncidentChange{Kind: muster.IncidentCommented, At: c.At, By: c.By}), nil
}

// Resolve closes the incident whatever is still open on it: its subject was deleted, its alarms went
// away, or somebody said so. A nil change when it is resolved already.
func Resolve(before *muster.Incident, by string, at time.Time) (*muster.Incident, *muster.IncidentChange) {
	if before.State == muster.IncidentResolved {
		return before, nil
	}
	in := copied(before)
	at = instant(at)
	in.State, in.ResolvedAt, in.Open = muster.IncidentResolved, later(at, in.OpenedAt), nil
	return in, done(in, muster.IncidentChange{Kind: muster.IncidentClosed, At: at, By: by})
}

// done counts the change, names the incident anew and cuts it to size.
func done(in *muster.Incident, change muster.IncidentChange) *muster.IncidentChange {
	in.Seq++
	in.UpdatedAt = later(in.UpdatedAt, change.At)
	if change.Kind != muster.IncidentTaken && change.Kind != muster.IncidentCommented {
		in.Title = Title(in)
	}
	cut(in)
	return &change
}

func firing(t *muster.Transition) muster.Firing {
	return muster.Firing{Alarm: t.Alarm, Name: t.Name, Series: t.Series, Check: t.Check, Level: t.Level, Since: t.At, Why: t.Why}
}

// copied gives a copy whose lists can be changed; what stands in them never is.
func copied(in *muster.Incident) *muster.Incident {
	out := *in
	out.Open, out.Transitions, out.Comments = slices.Clone(in.Open), slices.Clone(in.Transitions), slices.Clone(in.Comments)
	return &out
}

// instant is the time as it is kept, so that an incident reads back as it was.
func instant(at time.Time) time.Time { return at.UTC().Truncate(time.Millisecond) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// spoken is a text of people without what would harm those who show it.
func spoken(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\r\n", "\n")
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, text)
	return strings.TrimSpace(text)
}

// clip cuts a text to at most so many bytes, not within a character, and shows that it did.
func clip(s string, most int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= most {
		return s
	}
	most -= len("…")
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}
