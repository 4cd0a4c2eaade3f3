package alarm

import (
	"fmt"
	"time"

	"muster"
	"muster/internal/alarm/rules"
	"muster/internal/filter"
	"muster/internal/judge"
)

// rule is an alarm made ready to be asked. It is never changed.
type rule struct {
	doc   *muster.Alarm
	judge *judge.Rule
	query *filter.Query
	all   bool // the query is of everything, bare checks too
	looks rules.Metrics
	quirk rules.Quirk
}

// compile makes a rule of an alarm; the error wraps ErrInvalid and begins with the name of the field.
func compile(a *muster.Alarm) (*rule, error) {
	j, err := judge.Compile(a)
	if err != nil {
		return nil, err
	}
	r := &rule{doc: a, judge: j, looks: rules.MetricsOf(a), quirk: rules.QuirkOf(a)}
	if r.query, err = filter.Parse(a.Query); err != nil {
		return nil, fmt.Errorf("%w: query: %s", muster.ErrInvalid, muster.Words(err))
	}
	if live := r.query.Live(); live != "" {
		return nil, fmt.Errorf("%w: query: %q asks how a node is at the moment; an alarm chooses its nodes by what is known of them, such as names, tags and facts", muster.ErrInvalid, live)
	}
	r.all = r.query.String() == ""
	return r, nil
}

// ofAgents says whether the rule watches that agents report, and nothing else.
func (r *rule) ofAgents() bool { return r.looks.Name == "" }

// chooses says whether the rule looks at a node (check is nil) or at a check that belongs to none (node is nil); else why not.
func (r *rule) chooses(who *who, find func(muster.CheckID) *muster.Check) (why string, ok bool) {
	switch {
	case !r.doc.Enabled:
		return "the alarm is switched off", false
	case !r.doc.Node.IsZero():
		return "the alarm looks at another node", r.doc.Node == who.id
	case r.doc.Check != "":
		c := find(r.doc.Check)
		return "the alarm looks at a check that is not here", c != nil && c.Subject() == who.id
	case who.node == nil:
		return "the alarm looks at some nodes only, and this is a check without one", r.all && !r.ofAgents()
	case r.ofAgents() && len(who.node.AgentKey) == 0:
		return "the node has no agent", false
	}
	return "the query does not choose the node", r.query.Match(who.node, &muster.NodeNow{}, time.Time{})
}
