package ingest

import (
	"context"
	"fmt"
	"hash/maphash"
	"math"
	"sync"
	"time"

	"muster"
	"muster/internal/telemetry"
)

// Intake takes batches. It is safe for use by many goroutines; batches of one node are taken in the
// order of the calls.
type Intake struct {
	opts Options
	seed maphash.Seed
	self *muster.Schema // of the frames by which it tells of a node's clock

	most, mostOfCheck limits

	mu     sync.RWMutex
	nodes  map[muster.NodeID]*node
	checks map[muster.NodeID]*caps // by muster.CheckID.Subject

	frames, samples, lost, refused, infinite *telemetry.Counter
	shifted                                  *telemetry.Counter
	wait                                     *telemetry.Histogram
}

// New makes an intake; the error wraps ErrInvalid.
func New(o Options) (*Intake, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.fill()
	self, err := muster.NewSchema([]muster.Metric{
		{Name: "muster.node.clock_offset", Unit: "s", Kind: muster.Gauge},
		{Name: "muster.node.metrics_dropped", Unit: "{metric}", Kind: muster.Gauge},
	})
	if err != nil {
		return nil, fmt.Errorf("ingest: new: %w", err)
	}
	in := &Intake{
		opts: o, seed: maphash.MakeSeed(), self: self, nodes: map[muster.NodeID]*node{}, checks: map[muster.NodeID]*caps{},
		most:        limits{series: o.MaxSeries, sources: o.MaxSources, descriptors: o.MaxDescriptors},
		mostOfCheck: limits{series: min(o.MaxSeries, 2000), sources: min(o.MaxSources, 100), descriptors: min(o.MaxDescriptors, 100_000)},
		frames:      o.Telemetry.Counter("muster_ingest_frames_total"),
		samples:     o.Telemetry.Counter("muster_ingest_samples_total"),
		lost:        o.Telemetry.Counter("muster_ingest_metrics_dropped_total"),
		refused:     o.Telemetry.Counter("muster_ingest_frames_refused_total"),
		infinite:    o.Telemetry.Counter("muster_ingest_infinite_values_total"),
		shifted:     o.Telemetry.Counter("muster_ingest_frames_shifted_total"),
		wait:        o.Telemetry.Histogram("muster_ingest_append_seconds"),
	}
	o.Telemetry.Gauge("muster_ingest_nodes", func() float64 { return float64(in.size()) })
	return in, nil
}

// node is what the intake remembers of one node.
type node struct {
	mu   sync.Mutex // locked before that of any caps
	caps caps

	clock   clock
	dropped uint64 // since the agent connected
	seen    int64  // when the last batch came, Unix ms
	noted   int64  // when Noted was called last, Unix ms
	said    note
}

type note struct {
	off     time.Duration
	dropped uint64
}

// SelfSource is the source of the frames which the server adds to a node's own: its clock error and the
// number of its dropped metrics.
const SelfSource = "muster.ingest"

// noteEvery is how often a node's clock is told when nothing changes.
const noteEvery = int64(time.Minute / time.Millisecond)

// Take checks a batch, makes durable what passes, tells those who want to hear and returns. The error is
// the store's: then nothing may be acknowledged. Taking the same batch again tries only the storing again.
func (in *Intake) Take(ctx context.Context, b *Batch) (Receipt, error) {
	n := in.node(b.Node)
	if !b.checked {
		b.passed = in.sift(n, b, &b.receipt)
		b.checked = true
	}
	if len(b.passed) > 0 {
		began := time.Now()
		if err := in.opts.Store.Append(ctx, b.passed); err != nil {
			return Receipt{}, fmt.Errorf("ingest: take: %w", err)
		}
		in.wait.Update(time.Since(began).Seconds())
		in.count(b.passed)
		for _, hear := range in.opts.After {
			hear(b.passed)
		}
	}
	if !b.Here {
		in.note(n, b, &b.receipt)
	}
	return b.receipt, nil
}

func (in *Intake) count(frames []*muster.Frame) {
	in.frames.Add(len(frames))
	samples := 0
	for _, f := range frames {
		samples += len(f.Values)
	}
	in.samples.Add(samples)
}

// sift gives the frames that pass, put on this server's clock and cut to what is admitted.
func (in *Intake) sift(n *node, b *Batch, r *Receipt) []*muster.Frame {
	n.mu.Lock()
	defer n.mu.Unlock()
	if b.First {
		n.dropped = 0
	}
	n.seen = b.Received
	shift := int64(0)
	if !b.Here {
		n.clock.see(b.Sent, b.Received, b.Waited)
		shift = n.clock.shift
	}
	passed := make([]*muster.Frame, 0, len(b.Frames)+1)
	for i, f := range b.Frames {
		f.Account = b.Account
		caps, most := &n.caps, in.most
		if check, _, ok := muster.CheckOfSource(f.Source); ok {
			caps, most = in.check(check), in.mostOfCheck // its Node is whom the check belongs to, if anybody
		} else {
			f.Node, f.Note = b.Node, nil
		}
		f.At -= shift
		f.Sent = b.Sent - shift
		reason, dropped := in.look(caps, most, b, f)
		n.dropped += uint64(dropped)
		if reason != "" {
			r.Refused = append(r.Refused, Refused{i, reason})
			in.refused.Inc()
			continue
		}
		if f.Schema != nil { // else nothing of it was admitted
			passed = append(passed, f)
		}
	}
	if shift != 0 {
		in.shifted.Add(len(passed))
	}
	r.ClockOff = time.Duration(n.clock.off) * time.Millisecond
	r.Dropped = n.dropped + b.Cut
	if len(passed) > 0 && !b.Here && n.due(b.Received) {
		passed = append(passed, in.selfFrame(b, passed[len(passed)-1], r))
	}
	return passed
}

// look checks one frame; it gives why the frame is refused, or "", and how many metrics a cap has just cost.
func (in *Intake) look(c *caps, most limits, b *Batch, f *muster.Frame) (reason string, dropped int) {
	if reason := in.amiss(b, f); reason != "" {
		return reason, 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn(b.Received)
	key := admitKey{f.Source, f.Schema.ID}
	a := c.admits[key]
	if a == nil {
		a, dropped = c.admit(in.seed, most, f)
		in.lost.Add(dropped)
		if len(c.admits) >= maxAdmits {
			clear(c.admits)
		}
		c.admits[key] = a
	}
	if a.reason != "" {
		return a.reason, dropped
	}
	a.apply(f)
	in.infinite.Add(tidy(f.Values))
	return "", dropped
}

// amiss says what is wrong with a frame in itself, or "".
func (in *Intake) amiss(b *Batch, f *muster.Frame) string {
	switch {
	case f.Source == "" || len(f.Source) > muster.MaxSource:
		return "its source has no name, or one that is too long"
	case f.Source == SelfSource:
		return "its source has a name that the server keeps for itself"
	case f.Node.IsZero():
		return "nobody knows whose it is"
	case len(f.Note) > muster.MaxNote:
		return "what it says in words is too long"
	case f.Schema == nil || len(f.Values) != len(f.Schema.Metrics):
		return "its values do not fit its schema"
	case f.At > b.Received+in.opts.MaxAhead.Milliseconds():
		const most = int64(1000 * time.Hour / time.Millisecond)
		return fmt.Sprintf("it lies %s in the future", time.Duration(min(f.At-b.Received, most))*time.Millisecond)
	case f.At < b.Received-in.opts.MaxAge.Milliseconds():
		return fmt.Sprintf("it is older than %s", in.opts.MaxAge)
	}
	return ""
}

// apply cuts the values to those admitted.
func (a *admission) apply(f *muster.Frame) {
	f.Schema = a.schema
	if a.schema == nil || a.index == nil {
		return
	}
	for to, from := range a.index {
		f.Values[to] = f.Values[from] // to <= from
	}
	f.Values = f.Values[:len(a.index)]
}

// tidy makes every value that is no number the one NaN that stands for "absent", and counts infinities.
func tidy(values []float64) (infinite int) {
	for i, v := range values {
		if v-v == 0 { // a finite number
			continue
		}
		if v == v {
			infinite++
		}
		values[i] = math.NaN()
	}
	return infinite
}

// due says whether the node's clock has to be told again; a clock of ours that was set back must not stop it.
func (n *node) due(nowMs int64) bool {
	return max(nowMs-n.noted, n.noted-nowMs) >= noteEvery
}

// selfFrame tells of the node's clock beside its newest frame.
func (in *Intake) selfFrame(b *Batch, newest *muster.Frame, r *Receipt) *muster.Frame {
	return &muster.Frame{
		Account: b.Account, Node: b.Node, Source: SelfSource, At: newest.At, Sent: newest.Sent, Schema: in.self,
		Values: []float64{r.ClockOff.Seconds(), float64(r.Dropped)},
	}
}

// note tells of the node's clock and drops when there is something to tell.
func (in *Intake) note(n *node, b *Batch, r *Receipt) {
	const worth = 100 * time.Millisecond
	n.mu.Lock()
	now := note{r.ClockOff, r.Dropped}
	tell := b.First || n.due(b.Received) || now.dropped != n.said.dropped ||
		max(now.off-n.said.off, n.said.off-now.off) >= worth
	if tell {
		n.said, n.noted = now, b.Received
	}
	n.mu.Unlock()
	if tell {
		in.opts.Noted(b.Account, b.Node, r.ClockOff, r.Dropped)
	}
}

func (in *Intake) node(id muster.NodeID) *node {
	in.mu.RLock()
	n := in.nodes[id]
	in.mu.RUnlock()
	if n != nil {
		return n
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if n = in.nodes[id]; n == nil {
		n = new(node)
		in.nodes[id] = n
	}
	return n
}

// check gives the caps of a check.
func (in *Intake) check(id muster.CheckID) *caps {
	key := id.Subject()
	in.mu.RLock()
	c := in.checks[key]
	in.mu.RUnlock()
	if c != nil {
		return c
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if c = in.checks[key]; c == nil {
		c = new(caps)
		in.checks[key] = c
	}
	return c
}

func (in *Intake) size() int {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return len(in.nodes)
}

// Run forgets nodes and checks that sent nothing for two days, every hour until ctx ends.
func (in *Intake) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			in.forget(now.Add(-48 * time.Hour).UnixMilli())
		}
	}
}

func (in *Intake) forget(before int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for id, n := range in.nodes {
		n.mu.Lock()
		old := n.seen < before
		n.mu.Unlock()
		if old {
			delete(in.nodes, id)
		}
	}
	for id, c := range in.checks {
		c.mu.Lock()
		old := c.seen < before
		c.mu.Unlock()
		if old {
			delete(in.checks, id)
		}
	}
}
