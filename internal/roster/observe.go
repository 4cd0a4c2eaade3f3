package roster

import (
	"slices"
	"strings"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/roster/plan"
)

// Observe takes frames that have become durable, those of others than checks among them: it keeps the newest
// result of each check and zone, sees to it that changed words are stored, and tells through
// Options.Changed. It never blocks, and keeps nothing of the frames.
func (r *Roster) Observe(frames []*muster.Frame) {
	for _, f := range frames {
		id, zone, ok := splitSource(f.Source)
		if !ok {
			continue
		}
		e := r.entryOf(f.Account, id)
		if e == nil {
			r.stray.Inc() // deleted a moment ago
			continue
		}
		if change, told := r.take(e, zone, f); told {
			r.opts.Changed(change)
		}
	}
}

// splitSource is muster.CheckOfSource without a look at the id, which is only looked up.
func splitSource(source string) (id muster.CheckID, zone string, ok bool) {
	if !strings.HasPrefix(source, "check_") {
		return "", "", false
	}
	text, zone, other := strings.Cut(source, "@")
	if !other {
		zone = muster.LocalZone
	}
	return muster.CheckID(text), zone, true
}

// ahead is how far a result may lie in the future before the clock that dated it counts as wrong.
const ahead = int64(time.Minute / time.Millisecond)

// take puts one result on the board.
func (r *Roster) take(e *entry, zone string, f *muster.Frame) (change Change, told bool) {
	now := r.opts.Now().UnixMilli()
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.check.Load()
	v, ok := e.seen(r, c, zone, f)
	if !ok {
		r.stray.Inc()
		return change, false
	}
	r.results.Inc()
	if f.At <= v.at && v.at <= now+ahead {
		r.straggle(c, v, f)
		return change, false
	}
	r.accept(c, v, f)
	changed := r.judge(e, now)
	return Change{Account: c.Account, Check: c.ID, Subject: c.Subject(), Zone: zone, Status: changed}, true
}

// seen gives the view that a frame belongs to, ready to read it; false for a frame that is no result of the check.
func (e *entry) seen(r *Roster, c *muster.Check, zone string, f *muster.Frame) (v *view, ok bool) {
	if e.gone || !slices.Contains(c.Zones, zone) || f.Schema == nil || len(f.Values) != len(f.Schema.Metrics) {
		return nil, false
	}
	if v = e.view(zone); v != nil && v.plan != nil && v.schema == f.Schema.ID {
		return v, true
	}
	p := r.plans.Get(f.Schema)
	if _, ok := p.Status(f.Values); !ok {
		return nil, false
	}
	if v == nil {
		v = &view{zone: strings.Clone(zone)}
		e.views = append(e.views, v)
	}
	v.schema, v.plan = f.Schema.ID, p
	return v, true
}

// accept makes a frame the newest result of its zone.
func (r *Roster) accept(c *muster.Check, v *view, f *muster.Frame) {
	first := v.at == 0 || v.told == 0
	status := codeIn(v.plan, f.Values)
	said, _ := v.said.next(f.Note, status == v.status && !first)
	other := first || status != v.status
	v.unsaid = v.unsaid || said.summary != v.said.summary || said.class != v.said.class || said.err != v.said.err
	if other || v.old || v.over {
		v.since = f.At
	}
	v.at, v.status, v.said, v.old, v.over = f.At, status, said, false, false
	if len(v.values) != len(f.Values) {
		v.values = make([]float64, len(f.Values))
	}
	copy(v.values, f.Values)
	v.beat(beat{f.At, float32(v.plan.Seconds(f.Values)), status})
	// Words alone may change with each run; one row a minute of them is enough.
	if other || v.unsaid && (f.At-v.told >= rewordEvery || f.At < v.told) {
		v.told, v.unsaid = f.At, false
		r.texts.add(c, v.row())
	}
}

// rewordEvery is how often words are stored anew while the status stays, in ms.
const rewordEvery = int64(time.Minute / time.Millisecond)

// straggle keeps the words of a result that came after a newer one.
func (r *Roster) straggle(c *muster.Check, v *view, f *muster.Frame) {
	if f.At == v.at || len(f.Note) == 0 {
		return
	}
	said, spoken := words{}.next(f.Note, false)
	if !spoken {
		return
	}
	late := view{zone: v.zone, at: f.At, since: f.At, plan: v.plan, status: codeIn(v.plan, f.Values), said: said}
	r.texts.add(c, late.row())
}

// words are what a result says beside its numbers.
type words struct {
	summary, class, err string
	evidence            []byte // a JSON object; nil for none
}

// next gives the words of the next result: those of its note, or the same again when there is none and it
// has the same status. It says whether they came with it.
func (w words) next(note []byte, same bool) (words, bool) {
	if len(note) > 0 {
		if n, err := check.ParseNote(note); err == nil {
			return wordsOf(&n), true
		}
	}
	if same {
		return w, false
	}
	return words{}, false
}

func wordsOf(n *check.Note) words {
	return words{summary: strings.Clone(n.Summary), class: strings.Clone(n.Class), err: strings.Clone(n.Error), evidence: packEvidence(n.Evidence)}
}

// result makes the newest result of a view whose entry is locked.
func (v *view) result(c *muster.Check, evidence bool) muster.Result {
	res := muster.Result{Account: c.Account, Check: c.ID, Zone: v.zone, At: instant(v.at), Status: statusOf(v.status)}
	if v.plan != nil {
		res.Duration = max(plan.Duration(v.plan.Seconds(v.values)), 0)
		res.Metrics = v.plan.Readings(v.values)
	}
	said := v.said
	if !evidence {
		said.evidence = nil
	}
	said.apply(&res)
	return res
}

// Latest gives the newest result of a check in a zone; false when there is none.
func (r *Roster) Latest(account muster.AccountID, id muster.CheckID, zone string) (muster.Result, bool) {
	e := r.entryOf(account, id)
	if e == nil {
		return muster.Result{}, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	v := e.view(zone)
	if v == nil || v.plan == nil {
		return muster.Result{}, false
	}
	return v.result(e.check.Load(), true), true
}
