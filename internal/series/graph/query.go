package graph

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"muster"
)

// Query asks for the series of one metric.
type Query struct {
	Account muster.AccountID
	Nodes   []muster.NodeID   // nil means all nodes of the account
	Metric  string            // its name
	Attrs   map[string]string // attributes a series must have with these values
	From    time.Time
	To      time.Time     // exclusive
	Points  int           // at most so many points a series; 300 when zero; does not matter with Step
	Step    time.Duration // exactly this step, in whole ms; 0 chooses one
	MinStep time.Duration // the step is never finer; 0 leaves it to the data
	// Fn says what the middle number of a point is: "avg" (the default), "min", "max", "sum", "last",
	// "count". Counters come as per-second rates ("rate" says so openly, and is refused for gauges),
	// except that "sum" is the growth within the step and "raw" the counter itself.
	Fn string
}

// Answer is what a query found.
type Answer struct {
	Metric   string
	Unit     string            // of the points: "By/s" for the rate of a counter in "By"
	Kind     muster.MetricKind // zero when nothing was found
	From, To time.Time
	Step     time.Duration
	Lines    []Line // ordered by node, then attributes; series without a point in the range are left out
}

// Line is one series.
type Line struct {
	Node   muster.NodeID
	Attrs  []muster.Attr
	Points []Point // ascending; a step without data is left out
}

// Limits bound one query; a query beyond them fails with muster.ErrLimited, before anything is read.
type Limits struct {
	Lines   int   // series in the answer; 50,000 when zero
	Points  int   // points of all series; 5 million when zero
	Samples int64 // values decoded, by estimate; 200 million when zero
}

func (l Limits) withDefaults() Limits {
	if l.Lines == 0 {
		l.Lines = 50_000
	}
	if l.Points == 0 {
		l.Points = 5_000_000
	}
	if l.Samples == 0 {
		l.Samples = 200_000_000
	}
	return l
}

// Store is where series are: the door to heads, blocks and tiles.
type Store interface {
	// Shards lists the shards that hold the nodes, or, when nodes is nil, all of the account's; each node is in one.
	Shards(account muster.AccountID, nodes []muster.NodeID) []Shard
	// Schema finds a schema; the error wraps muster.ErrNotFound.
	Schema(ctx context.Context, id muster.SchemaID) (*muster.Schema, error)
}

// Shard is a part of the nodes that is read together. Instants are in Unix ms.
type Shard interface {
	// Nodes lists the nodes of the shard that the query is about, each once.
	Nodes(ctx context.Context) ([]muster.NodeID, error)
	// Schemas gives the schemas that a node's sources had within a range, by source.
	Schemas(node muster.NodeID, from, to int64) map[string][]muster.SchemaID
	// Marks tells what can be read from rollups now.
	Marks() Marks
	// Times gives some consecutive instants of a source within a range, as they are now or else lately.
	Times(ctx context.Context, node muster.NodeID, source string, from, to int64) ([]int64, error)
	// Samples calls w.Emit for every sample that the query wants with from <= at < to, in any order; one may come twice.
	Samples(ctx context.Context, w *Want, from, to int64) error
	// Slots calls each for the rollups of the metric that begin within a range, ascending by start. The row is valid only during the call.
	Slots(ctx context.Context, r SlotRange, each func(*SlotRow)) error
}

// Marks says which hours and days, numbered by hours from 1970, rollups hold completely.
type Marks interface {
	Hour(hour int64) bool
	Day(firstHour int64) bool
}

// Want is what a query wants of one node's samples.
type Want struct {
	Node    muster.NodeID
	Sources []string
	// Hits says which metrics of a schema are wanted.
	Hits func(muster.SchemaID) []Hit
	// Emit takes a sample of the series that Hit.Series named.
	Emit func(series int, at int64, v float64)
}

// Hit is a metric of a schema that a query wants.
type Hit struct {
	Index  int // in the schema
	Series int // which set of attributes it has
}

// SlotRange selects rollups: slots of 5 minutes or of 1 hour.
type SlotRange struct {
	Metric   string
	Slot     time.Duration
	From, To int64
	Counter  bool
	Raw      bool // only Last is needed
	NeedLast bool
	Want     func(muster.NodeID) bool
}

// SlotRow is one series of a rollup.
type SlotRow struct {
	Start int64
	Kind  muster.MetricKind
	Node  muster.NodeID
	Attrs []muster.Attr
	Slots []Slot
}

// Options are what a query goes by beside itself.
type Options struct {
	Now    time.Time
	Raw    time.Duration // how long samples are kept as they came
	Tile5m time.Duration // how long 5-minute rollups are kept
	Limits Limits
	// Period is the most that a source's blocks span, by which a range is widened when schemas are looked for.
	Window time.Duration
}

// Run answers a query. The error wraps muster.ErrInvalid, muster.ErrLimited, or what the store says.
func Run(ctx context.Context, store Store, q Query, o Options) (*Answer, error) {
	o.Limits = o.Limits.withDefaults()
	p, err := newPlan(store, q, o)
	if err != nil {
		return nil, err
	}
	for _, stage := range []func(context.Context) error{p.find, p.choose, p.read} {
		if err := stage(ctx); err != nil {
			return nil, err
		}
	}
	return p.answer(), nil
}

// answer collects the points.
func (p *plan) answer() *Answer {
	a := &Answer{Metric: p.Metric, Unit: p.unit, Kind: p.kind, From: p.From, To: p.To, Step: time.Duration(p.step) * time.Millisecond}
	if p.kind == muster.Counter && !p.raw && p.fn != Sum && p.fn != Count {
		a.Unit += "/s"
	}
	for _, s := range p.shards {
		for _, n := range s.nodes {
			slices.SortFunc(n.lines, func(a, b *line) int { return CompareAttrs(p.attrs[a.attrs], p.attrs[b.attrs]) })
			for _, l := range n.lines {
				if out := l.Points(); len(out) > 0 {
					a.Lines = append(a.Lines, Line{Node: n.id, Attrs: p.attrs[l.attrs], Points: out})
				}
			}
		}
	}
	slices.SortStableFunc(a.Lines, func(a, b Line) int { return slices.Compare(a.Node[:], b.Node[:]) })
	return a
}

// CompareAttrs orders sets of attributes.
func CompareAttrs(a, b []muster.Attr) int {
	return slices.CompareFunc(a, b, func(x, y muster.Attr) int {
		if c := strings.Compare(x.Key, y.Key); c != 0 {
			return c
		}
		return strings.Compare(x.Value, y.Value)
	})
}

// AttrsKey gives a text that is equal for equal sets of attributes.
func AttrsKey(attrs []muster.Attr) string {
	var b strings.Builder
	for _, a := range attrs {
		b.WriteString(a.Key)
		b.WriteByte(1)
		b.WriteString(a.Value)
		b.WriteByte(0)
	}
	return b.String()
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: graph: query: "+format, append([]any{muster.ErrInvalid}, args...)...)
}

func limited(format string, args ...any) error {
	return fmt.Errorf("%w: graph: query: "+format, append([]any{muster.ErrLimited}, args...)...)
}
