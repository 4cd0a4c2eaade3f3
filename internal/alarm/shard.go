package alarm

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"muster"
	"muster/internal/alarm/rules"
)

// shard is what this room holds of a shard: its subjects, what is to be written, and when to look for silence.
type shard struct {
	w    *Watch
	id   int
	wake chan struct{} // holds one: there is something to write

	mu       sync.Mutex
	subjects map[subjectKey]*subject
	results  map[muster.CheckID][]*subject // who has results of a check: nearly always one
	size     int                           // instances
	swept    time.Time
	caught   bool
	caughtAt int64
	timers   timers
	dirty    []*instance // whose states are to be saved when it is time
	queue    []*change   // in the order in which they happened
	asked    int         // of those, or in the writer's hands: what people and other rooms do
	ended    bool        // nothing is written any more
}

func newShard(w *Watch, id int) *shard {
	return &shard{w: w, id: id, wake: make(chan struct{}, 1), subjects: map[subjectKey]*subject{}, results: map[muster.CheckID][]*subject{}}
}

func newSubject(b *book, id muster.NodeID) *subject {
	return &subject{book: b, who: who{id: id}, instances: map[string]*instance{}}
}

func (s *shard) instances() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

func (s *shard) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// find looks up what a subject is now.
func (s *shard) find(sub *subject) {
	fleet, account := s.w.opts.Fleet, sub.book.account
	sub.who.node, sub.who.check = fleet.Node(account, sub.who.id), nil
	if sub.who.node == nil {
		if c := fleet.Check(account, muster.CheckOf(sub.who.id)); c != nil && c.Node.IsZero() {
			sub.who.check = c
		}
	}
}

// refresh matches a subject anew: by its document and its account's alarms as they are now. What no longer applies is closed.
func (s *shard) refresh(sub *subject, now time.Time) {
	s.find(sub)
	sub.version++
	sub.rules = sub.book.rules.Load()
	sub.mine, sub.agents = sub.mine[:0], sub.agents[:0]
	sub.left = leave{}
	if n := sub.who.node; n != nil && (n.Farewell.Reason == muster.FarewellShutdown || n.Farewell.Reason == muster.FarewellStop) {
		sub.left = leave{at: n.Farewell.At.UnixMilli(), checks: n.Farewell.Reason == muster.FarewellShutdown}
	}
	watched := !sub.who.gone() && (sub.who.node == nil || !sub.who.node.Unwatched)
	for _, r := range sub.rules.sorted {
		if watched {
			if _, ok := r.chooses(&sub.who, s.checkOf(sub)); ok {
				sub.mine = append(sub.mine, r)
			}
		}
	}
	for _, in := range sub.instances {
		if r, why := s.stands(sub, in); r != nil {
			in.take(r)
			s.schedule(in, now)
		} else {
			s.close(in, why, now)
		}
	}
	for _, r := range sub.mine {
		if r.ofAgents() {
			s.watchAgents(sub, r, now)
		}
	}
	if sub.who.gone() {
		delete(s.subjects, subjectKey{sub.book.account, sub.who.id})
		s.size -= len(sub.instances)
		maps.DeleteFunc(s.results, func(_ muster.CheckID, list []*subject) bool { return len(list) == 1 && list[0] == sub })
	}
}

// knows notes that a subject has results of a check.
func (s *shard) knows(check muster.CheckID, sub *subject) {
	if check != "" && !slices.Contains(s.results[check], sub) {
		s.results[check] = append(s.results[check], sub)
	}
}

func (s *shard) checkOf(sub *subject) func(muster.CheckID) *muster.Check {
	return func(id muster.CheckID) *muster.Check { return s.w.opts.Fleet.Check(sub.book.account, id) }
}

// stands gives the rule by which an instance is to be judged; nil, and why, when there is none any more.
func (s *shard) stands(sub *subject, in *instance) (*rule, string) {
	switch {
	case sub.who.gone():
		return nil, "the node or check was removed"
	case sub.who.node != nil && sub.who.node.Unwatched:
		return nil, "no longer watched"
	case sub.left.at != 0 && in.check == "", sub.left.checks:
		return nil, "stopped on purpose"
	}
	if in.check != "" {
		if c := s.w.opts.Fleet.Check(sub.book.account, in.check); c == nil {
			return nil, "the check was removed"
		} else if !c.Enabled {
			return nil, "the check was switched off"
		} else if c.Subject() != sub.who.id {
			return nil, "the check belongs to another node now"
		}
	}
	r := sub.rules.byID[in.alarm()]
	if r == nil {
		return nil, "the alarm was deleted"
	}
	if why, ok := r.chooses(&sub.who, s.checkOf(sub)); !ok {
		return nil, why
	}
	if r.ofAgents() != (in.metric == "") || !r.ofAgents() && !r.looks.Hits(rules.ParseKey(in.metric)) {
		return nil, "the alarm looks at something else now"
	}
	return r, ""
}

// alarm gives the alarm of an instance, which is in its key.
func (in *instance) alarm() muster.AlarmID {
	text, _, _ := strings.Cut(in.key[len(prefixStates):], "/")
	return muster.AlarmID(text)
}

// watchAgents gives a subject the instance of a rule that watches its agent. Unlike others it is there before anything is
// heard: a node that fell silent while nobody listened must be missed, too.
func (s *shard) watchAgents(sub *subject, r *rule, now time.Time) {
	key := keyOf(r.doc.ID, sub.who.id, "", "")
	in := sub.instances[key]
	if in == nil {
		in = s.newInstance(sub, key)
	}
	if sub.left.at != 0 {
		return
	}
	in.take(r)
	sub.agents = append(sub.agents, in)
	if !in.timed {
		s.schedule(in, now)
	}
}

// meetFleet makes subjects of the shard's nodes that nothing was heard of.
func (s *shard) meetFleet() {
	s.w.books.Range(func(_, value any) bool {
		b := value.(*book)
		for _, n := range s.w.opts.Fleet.Nodes(b.account) {
			key := subjectKey{b.account, n.ID}
			if s.subjects[key] == nil && s.w.opts.ShardOf(b.account, n.ID) == s.id {
				s.subjects[key] = newSubject(b, n.ID)
			}
		}
		return true
	})
}

// settle makes states begin anew that a clock which was wrong has led into the future.
func (s *shard) settle(now time.Time) {
	for _, sub := range s.subjects {
		for _, src := range sub.sources {
			src.newest = min(src.newest, now.UnixMilli())
		}
		for _, in := range sub.instances {
			if in.rule == nil {
				continue
			}
			if in.floor = min(in.floor, now.UnixMilli()); in.state.Through() > now.UnixMilli() {
				in.state = in.rule.judge.Settle(in.state, now)
				s.soil(in)
			}
		}
	}
}
