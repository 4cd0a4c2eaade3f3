package inventory

import (
	"math"
	"time"

	"muster"
)

// Observe takes frames that have become durable: it renews the rows of their nodes, brings those that
// were silent up again, and says so through Options.Changed. It keeps nothing of the frames. Frames of
// checks are passed over: that somebody looks at a node is no sign of its life.
func (inv *Inventory) Observe(frames []*muster.Frame) {
	now := inv.opts.Now()
	var e *entry
	var of *muster.Frame // whose node e is
	told := func() {
		if e != nil {
			inv.opts.Changed(Change{Account: of.Account, Node: of.Node})
		}
	}
	for _, f := range frames {
		if _, _, check := muster.CheckOfSource(f.Source); check {
			continue
		}
		if of == nil || f.Node != of.Node || f.Account != of.Account {
			told()
			e, of = inv.entryOf(f.Account, f.Node), f
		}
		if e != nil { // else deleted a moment ago
			inv.apply(e, f, now)
		}
	}
	told()
}

func (inv *Inventory) apply(e *entry, f *muster.Frame, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone {
		return
	}
	e.heard = now
	at := time.UnixMilli(f.At)
	// A frame from before the newest is a straggler and changes nothing that is shown; but when the
	// newest lies ahead of the clock, that clock was wrong and the row would stand still.
	newest := at.After(e.now.LastSeen) || e.now.LastSeen.After(now.Add(time.Minute))
	if newest {
		e.now.LastSeen = at
	}
	switch {
	case f.Source != muster.HostSource:
		e.seeSource(f.Source, len(f.Values), now)
	case newest:
		if e.host.schema != f.Schema.ID || e.host.plan == nil {
			e.host.use(inv.plans.get(f.Schema), f.Schema.ID)
		}
		e.host.metrics = len(f.Values)
		e.summarise(f.At, f.Values)
	}
	e.countMetrics(now)
	inv.judge(e, now)
}

// summarise takes the values of a row out of a frame of the host.
func (e *entry) summarise(atMs int64, values []float64) {
	p := e.host.plan
	e.now.CPU = p.cpu(values)
	e.now.Memory = p.memory(values)
	e.now.Disk, e.now.DiskMount = p.disk(values)
	e.now.Load = at(values, p.load)
	e.now.Uptime = at(values, p.uptime)
	in, out := e.host.rates(atMs, values)
	if math.IsNaN(in) && math.IsNaN(out) {
		return // the first frame, or counters that began anew: keep what was shown
	}
	e.now.NetIn, e.now.NetOut = in, out
	e.spark[e.sparkAt] = float32(orZero(in) + orZero(out))
	e.sparkAt = (e.sparkAt + 1) % sparks
	e.sparked = min(e.sparked+1, sparks)
}

// maxSourceViews bounds what is remembered of a node that tells of very many sources.
const maxSourceViews = 1000

func (e *entry) seeSource(name string, metrics int, now time.Time) {
	for i := range e.sources {
		if e.sources[i].name == name {
			e.sources[i].heard, e.sources[i].metrics = now, metrics
			return
		}
	}
	if len(e.sources) < maxSourceViews {
		e.sources = append(e.sources, sourceView{name, now, metrics})
	}
}

// countMetrics sums over the sources, forgetting those that fell silent.
func (e *entry) countMetrics(now time.Time) {
	kept := e.sources[:0]
	n := e.host.metrics
	for _, s := range e.sources {
		if now.Sub(s.heard) <= 3*e.patient {
			kept = append(kept, s)
			n += s.metrics
		}
	}
	e.sources = kept
	e.now.Metrics = n
}

// Noted takes what the way in noticed about a node: how far its clock was off, and how many of its
// metrics were dropped by a cap since its agent connected.
func (inv *Inventory) Noted(account muster.AccountID, node muster.NodeID, clockOff time.Duration, dropped uint64) {
	e := inv.entryOf(account, node)
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.now.ClockOff, e.now.Dropped = clockOff, dropped
}

// Seed tells a node's row what was known before this process started: when it was last seen, and the
// last values of its host source. What Observe brought meanwhile is newer and stays.
func (inv *Inventory) Seed(account muster.AccountID, node muster.NodeID, lastSeen time.Time, metrics []muster.Metric, values []float64) {
	e := inv.entryOf(account, node)
	if e == nil || lastSeen.IsZero() {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.now.LastSeen.IsZero() {
		return
	}
	e.now.LastSeen = lastSeen
	if len(metrics) == len(values) && len(metrics) > 0 {
		e.host.use(compile(metrics), muster.SchemaID{})
		e.summarise(lastSeen.UnixMilli(), values)
		e.host.metrics = len(values)
		e.now.Metrics = len(values)
		e.host.plan, e.host.netAt = nil, 0 // only for this once
	}
	inv.judge(e, inv.opts.Now())
}
