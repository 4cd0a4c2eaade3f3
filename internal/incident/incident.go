// Package incident gives the fold that makes incidents of alarms: a transition opens one, joins it,
// makes it worse, eases it or closes it, and what people do is folded in the same way. It is pure: an
// incident goes in, a changed copy comes out, and who calls saves both the copy and the change.
//
// A step taken twice is taken once. A transition is known again by its id for as long as it stands in
// the incident's timeline; timeline.go says what is left out of that first.
package incident

import (
	"time"

	"muster"
)

// Subject is what an incident is about.
type Subject struct {
	Account muster.AccountID
	ID      muster.NodeID  // of the node, or the Subject of the check
	Name    string         // of the node or check now
	Check   muster.CheckID // the check, when it belongs to no node; empty for a node
}

// Fold takes a transition into the incident that is open on the subject; nil, or a resolved one, when
// none is. It gives the incident after it and what changed; a nil change means that nothing did (the
// transition was taken before, or closes what is not open) and gives the incident back as it was. The
// change and the incident keep texts shorter than Transition may have them.
func Fold(in *muster.Incident, s Subject, t muster.Transition) (*muster.Incident, *muster.IncidentChange) {
	return in, nil
}

// Acknowledge notes that somebody ("user_...", "token_...", "link") has taken the incident. Taking it
// again changes nothing and gives a nil change; ErrConflict when it is resolved.
func Acknowledge(in *muster.Incident, by string, at time.Time) (*muster.Incident, *muster.IncidentChange, error) {
	return nil, nil, muster.ErrUnavailable
}

// Comment adds what a person says, also when the incident is resolved. The same comment again changes
// nothing; ErrInvalid when it is empty or longer than MaxComment.
func Comment(in *muster.Incident, c muster.Comment) (*muster.Incident, *muster.IncidentChange, error) {
	return nil, nil, muster.ErrUnavailable
}

// Resolve closes the incident whatever is still open on it: its subject was deleted, its alarms went
// away, or somebody said so. A nil change when it is resolved already.
func Resolve(in *muster.Incident, by string, at time.Time) (*muster.Incident, *muster.IncidentChange) {
	return in, nil
}

// MaxComment is the longest comment, in bytes.
const MaxComment = 4000
