package alarm

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"time"

	"muster"
	"muster/internal/alarm/rules"
	"muster/internal/judge"
)

// subjectKey names a subject within a shard.
type subjectKey struct {
	account muster.AccountID
	id      muster.NodeID
}

// who is what a subject is: a node, or a check that belongs to none; neither when it is gone.
type who struct {
	id    muster.NodeID
	node  *muster.Node
	check *muster.Check
}

func (w *who) gone() bool { return w.node == nil && w.check == nil }

func (w *who) name() string {
	switch {
	case w.node != nil:
		return w.node.Name
	case w.check != nil:
		return w.check.Name
	}
	return ""
}

// subject is one that is watched. It is guarded by its shard's lock.
type subject struct {
	book      *book
	who       who
	version   int      // changes when sources have to be planned anew
	rules     *ruleset // by which it was matched
	mine      []*rule  // that choose it
	left      leave
	sources   []*source
	instances map[string]*instance // by key
	agents    []*instance          // of rules that watch that agents report
	arrived   int64                // Unix ns of this server's clock: when an agent's frame came last; 0 for never since the start
}

// leave is how the agent of a node went on purpose.
type leave struct {
	at     int64 // Unix ms; 0 when it did not
	checks bool  // the machine went with it: its checks mean nothing either
}

// source is what one source of a subject has to do with its alarms.
type source struct {
	name    string
	of      muster.CheckID // empty for an agent's own
	check   *muster.Check
	period  time.Duration
	schema  muster.SchemaID
	version int
	plan    []column
	newest  int64  // instant of the newest frame, Unix ms
	text    string // what the check said last
}

// column is a metric of a source's frames that an instance looks at.
type column struct {
	at     int
	unless int // a column that must be zero for it to count; -1 for none
	inst   *instance
}

// instance is one alarm on one series of one subject.
type instance struct {
	rule    *rule // the newest that chose it; nil when a state was read whose alarm is gone
	name    string
	sub     *subject
	key     string // in the ledger
	source  string
	metric  string // muster.Metric.Key; empty where agents are watched
	series  string // for people
	unit    string
	check   muster.CheckID
	counter bool
	on      bool // the alarm looks at it

	state   judge.State
	floor   int64   // frames up to this instant were judged by a state that was closed since
	armed   bool    // for quirk.Turned: it was well once
	prevAt  int64   // of a counter
	prev    float64 // of a counter
	last    float64
	lastAt  int64
	arrived int64 // Unix ns of this server's clock

	timed   bool    // it stands in the shard's timers
	kept    bool    // the ledger has a state of it
	dirty   bool    // what the ledger has is not what is
	waiting int     // transitions that are not durable yet
	newest  *change // the last of them
}

// keyOf gives the ledger's key of an instance.
func keyOf(alarm muster.AlarmID, subject muster.NodeID, source, metric string) string {
	sum := sha256.Sum256([]byte(source + "\x00" + metric))
	return prefixStates + string(alarm) + "/" + subject.String() + "/" + hex.EncodeToString(sum[:12])
}

// firing says whether people were told, or will be, that it fires.
func (in *instance) firing() bool {
	s := in.state.Status()
	return s == muster.AlarmFiring || s == muster.AlarmRecovering
}

// rateGap is over what pause a counter still has a rate: less than the two minutes of the log that are surely heard
// again after a crash, or the rate after the pause would be another one then.
const rateGap = 110 * time.Second

// rate turns a counter's value into a rate per second; false when there is none yet, or none any more.
func (in *instance) rate(at int64, v float64, period time.Duration) (float64, bool) {
	prevAt, prev := in.prevAt, in.prev
	if at <= prevAt {
		return 0, false
	}
	in.prevAt, in.prev = at, v
	if prevAt == 0 || at-prevAt > max(rateGap, period*5/2).Milliseconds() {
		return 0, false
	}
	grown := v - prev
	if grown < 0 {
		grown = v // it began anew
	}
	return grown / (float64(at-prevAt) / 1000), true
}

// source finds a source by name.
func (sub *subject) source(name string) *source {
	for _, src := range sub.sources {
		if src.name == name {
			return src
		}
	}
	return nil
}

// plan finds which of a schema's metrics the subject's alarms look at.
func (s *shard) plan(sub *subject, src *source, schema *muster.Schema) {
	src.schema, src.version, src.plan = schema.ID, sub.version, nil
	src.period = 0
	if src.of != "" {
		s.knows(src.of, sub)
		src.check = s.w.opts.Fleet.Check(sub.book.account, src.of)
		if src.check == nil || !src.check.Enabled || src.check.Subject() != sub.who.id || sub.left.checks {
			return
		}
		src.period = src.check.Period
	} else if sub.who.node != nil {
		src.period = sub.who.node.Period
	}
	for _, r := range sub.mine {
		if r.ofAgents() {
			continue
		}
		for i := range schema.Metrics {
			if m := &schema.Metrics[i]; r.looks.Hits(m) {
				in := s.adopt(sub, src, r, m)
				src.plan = append(src.plan, column{at: i, unless: rules.Sibling(schema, m, r.quirk.Unless), inst: in})
			}
		}
	}
}

// adopt gives the instance of a rule on a metric, making it at first sight.
func (s *shard) adopt(sub *subject, src *source, r *rule, m *muster.Metric) *instance {
	metric := m.Key()
	key := keyOf(r.doc.ID, sub.who.id, src.name, metric)
	in := sub.instances[key]
	if in == nil {
		in = s.newInstance(sub, key)
		in.source, in.metric, in.check = src.name, metric, src.of
	}
	in.take(r)
	in.counter, in.unit = m.Kind == muster.Counter, m.Unit
	if in.counter {
		in.unit += "/s"
	}
	if !in.firing() { // what closes an alarm must bear the name that opened it
		in.series = rules.Series(m, src.check)
	}
	return in
}

// take lets the rule judge from now on.
func (in *instance) take(r *rule) {
	in.rule, in.on = r, true
	if !in.firing() {
		in.name = r.doc.Name
	}
}

func (s *shard) newInstance(sub *subject, key string) *instance {
	in := &instance{sub: sub, key: key, last: math.NaN()}
	sub.instances[key] = in
	s.size++
	return in
}
