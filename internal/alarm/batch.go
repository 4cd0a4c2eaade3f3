package alarm

import (
	"muster"
	"muster/internal/incident"
)

// batch is what goes into one append.
type batch struct {
	entries []Entry
	steps   int
	changes []*change
	results []result
	news    []*muster.Incident              // in order, as they are after each step
	open    map[subjectKey]*muster.Incident // as they will be
}

// maxBatch is how many bytes go into one append, unless a single step is larger.
const maxBatch = 200 << 10

// batch makes entries of as many steps as fit. A step is never split.
func (s *shard) batch(steps []*change) *batch {
	b := &batch{open: map[subjectKey]*muster.Incident{}}
	size := 0
	for _, c := range steps {
		entries, r, told := s.step(b, c)
		grown := 0
		for _, e := range entries {
			grown += len(e.Key) + len(e.State) + len(e.Transition) + 16
		}
		if b.steps > 0 && size+grown > maxBatch {
			return b
		}
		size += grown
		b.steps++
		b.entries = append(b.entries, entries...)
		b.changes, b.results = append(b.changes, c), append(b.results, r)
		if told {
			b.news = append(b.news, r.incident)
			b.open[subjectKey{r.incident.Account, r.incident.Subject}] = r.incident
		}
	}
	return b
}

// step gives the entries of one step: the state, and the incident after it where it changed.
func (s *shard) step(b *batch, c *change) (entries []Entry, r result, told bool) {
	if c.inst != nil {
		entries = append(entries, Entry{Key: c.inst.key, State: c.state})
	}
	var changed *muster.IncidentChange
	switch {
	case c.transition != nil:
		r.incident, changed = incident.Fold(s.current(b, subjectKey{c.who.Account, c.who.ID}), c.who, *c.transition)
	case c.do != nil:
		r.incident, changed, r.err = c.do(s.target(b, c))
	}
	if r.err != nil || changed == nil {
		return entries, r, false
	}
	return append(entries, Entry{
		Key: prefixIncidents + string(r.incident.ID), State: incident.Encode(r.incident), Transition: incident.EncodeChange(changed),
	}), r, true
}

// current gives the incident that is open on a subject once the batch is written; nil for none.
func (s *shard) current(b *batch, key subjectKey) *muster.Incident {
	if in := b.open[key]; in != nil {
		return in
	}
	return s.w.incidents.OpenOn(key.account, key.id)
}

// target gives the incident that somebody does something to, as it is once the batch is written; nil for none.
func (s *shard) target(b *batch, c *change) *muster.Incident {
	in := s.current(b, subjectKey{c.who.Account, c.who.ID})
	if c.id == "" || in != nil && in.ID == c.id {
		return in
	}
	if in = s.w.incidents.Get(c.who.Account, c.id); in != nil {
		return in
	}
	return c.old
}
