package alarm

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"muster"
	"muster/internal/alarm/rules"
)

// Standing is how one alarm stands on one series of one subject, or why it does not look at the subject.
type Standing struct {
	Alarm   *muster.Alarm // shared: not to be changed
	Subject muster.NodeID
	Series  string         // which one, for people; empty when there is only one
	Check   muster.CheckID // of the series, when it is one of a check
	Unit    string         // of Value (UCUM)
	State   muster.AlarmState
	Since   time.Time // when the state began; zero when nothing was heard
	At      time.Time // instant of the last value; zero when there is none
	Value   float64   // the last value; NaN when there is none
	Why     string    // why not, in words: what it would take, or what is missing
	Applies bool      // false: the alarm does not look at this subject, and Why says why
}

// StandingOf tells how every alarm of the account stands on a subject: the worst first, then what is well, then what does not apply.
func (w *Watch) StandingOf(account muster.AccountID, subject muster.NodeID) []Standing {
	s := w.shardOf(account, subject)
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.subjects[subjectKey{account, subject}]
	if sub == nil {
		sub = newSubject(w.book(account), subject)
		s.find(sub)
	}
	var out []Standing
	for _, r := range w.book(account).rules.Load().sorted {
		out = append(out, s.standings(sub, r)...)
	}
	sortStandings(out)
	return out
}

// StandingBy tells how one alarm stands on all it looks at: the worst first. The error wraps ErrNotFound.
func (w *Watch) StandingBy(account muster.AccountID, id muster.AlarmID) ([]Standing, error) {
	r := w.book(account).rules.Load().byID[id]
	if r == nil {
		return nil, fmt.Errorf("alarm: standing: %w: no alarm %.64q", muster.ErrNotFound, string(id))
	}
	var out []Standing
	for _, s := range w.shards {
		s.mu.Lock()
		for _, sub := range s.subjects {
			if sub.book.account != account || !slices.Contains(sub.mine, r) {
				continue
			}
			out = append(out, s.standings(sub, r)...)
		}
		s.mu.Unlock()
	}
	sortStandings(out)
	return out, nil
}

// standings tells of one alarm on one subject.
func (s *shard) standings(sub *subject, r *rule) (out []Standing) {
	base := Standing{Alarm: r.doc, Subject: sub.who.id, State: muster.AlarmOK, Value: math.NaN()}
	why, applies := r.chooses(&sub.who, s.checkOf(sub))
	switch {
	case sub.who.node != nil && sub.who.node.Unwatched:
		why, applies = "the node is not watched", false
	case sub.left.at != 0 && (r.ofAgents() || sub.left.checks):
		why, applies = "the node was stopped on purpose", false
	}
	if !applies {
		base.Why = why
		return []Standing{base}
	}
	base.Applies = true
	for _, in := range sub.instances {
		if in.rule == r && in.on {
			one := base
			in.describe(&one)
			out = append(out, one)
		}
	}
	if out == nil {
		base.Why = "nothing that it looks at was heard yet"
		out = append(out, base)
	}
	return out
}

// describe fills in how an instance stands.
func (in *instance) describe(st *Standing) {
	st.Series, st.Check, st.Unit = in.series, in.check, in.unit
	st.State, st.Since, st.Value = in.state.Status(), in.state.Since(), in.last
	if in.lastAt > 0 {
		st.At = time.UnixMilli(in.lastAt).UTC()
	}
	c := in.rule.doc.Condition
	switch {
	case in.state.Silent():
		st.Why = "nothing is heard of it"
	case in.rule.quirk.Turned && !in.armed && !in.firing():
		st.Why = "it has been so ever since it is watched, so it did not turn"
	case c == nil:
		st.Why = fmt.Sprintf("frames arrive; it fires after %s without", rules.Span(in.patience()))
	case in.metric != "" && in.last < in.rule.quirk.Floor:
		st.Why = fmt.Sprintf("%s, looked at from %s on", rules.Amount(in.last, in.unit), rules.Amount(in.rule.quirk.Floor, in.unit))
	default:
		st.Why = in.words(c, st)
	}
}

func (in *instance) words(c *muster.Condition, st *Standing) string {
	now := rules.Amount(in.last, in.unit)
	limit := fmt.Sprintf("%s %s", c.Op, rules.Amount(c.Value, in.unit))
	if c.Fn == muster.FnForecast {
		limit += " within " + rules.Span(c.Within)
	}
	switch st.State {
	case muster.AlarmPending:
		return fmt.Sprintf("%s, which is %s; it fires when that holds for %s", now, limit, rules.Span(c.For))
	case muster.AlarmFiring:
		return fmt.Sprintf("%s, limit %s", now, limit)
	case muster.AlarmRecovering:
		return fmt.Sprintf("%s, well again when that holds for %s", now, rules.Span(c.Recover.For))
	}
	if c.For > 0 {
		limit += " for " + rules.Span(c.For)
	}
	return fmt.Sprintf("%s, fires when %s", now, limit)
}

func sortStandings(list []Standing) {
	rank := func(st *Standing) int {
		if !st.Applies {
			return 4
		}
		return slices.Index([]muster.AlarmState{muster.AlarmFiring, muster.AlarmRecovering, muster.AlarmPending, muster.AlarmOK}, st.State)
	}
	slices.SortStableFunc(list, func(x, y Standing) int {
		return cmp.Or(cmp.Compare(rank(&x), rank(&y)), cmp.Compare(x.Alarm.Name, y.Alarm.Name), cmp.Compare(x.Series, y.Series), slices.Compare(x.Subject[:], y.Subject[:]))
	})
}
