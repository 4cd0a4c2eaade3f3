package chart

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"muster"
	"muster/internal/series"
)

// Want says what Read reads.
type Want struct {
	Account  muster.AccountID
	Node     muster.NodeID
	From, To time.Time
	Points   int           // at most so many points a line
	MinStep  time.Duration // points lie no closer; 0 leaves it to the data
	Step     time.Duration // points lie on this grid exactly; 0 leaves it to the data
	// Since, when set, gives the instant (Unix ms) from which on a panel is read; From holds for those it does not name.
	Since map[string]int64
}

// readers is how many queries of one page run at the same time: a page must not take the whole machine.
const readers = 4

// Read fills panels with points. Panels without any are kept, empty. The errors are those of the source.
func Read(ctx context.Context, src Source, panels []Panel, w Want) ([]Drawn, error) {
	out := make([]Drawn, len(panels))
	answers := make([][]*series.Answer, len(panels))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for i := range panels {
		out[i].Panel = panels[i]
		answers[i] = make([]*series.Answer, len(panels[i].parts))
		for j, p := range panels[i].parts {
			g.Go(func() (err error) {
				answers[i][j], err = src.Query(ctx, w.query(panels[i].ID, p))
				if err != nil || p.over == "" {
					return err
				}
				return w.divide(ctx, src, panels[i].ID, p, answers[i][j])
			})
		}
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("chart: read: %w", err)
	}
	for i := range out {
		out[i].fill(answers[i])
	}
	return out, nil
}

func (w *Want) query(panel string, p part) series.Query {
	from := w.From
	if ms, ok := w.Since[panel]; ok {
		from = time.UnixMilli(ms)
	}
	return series.Query{
		Account: w.Account, Nodes: []muster.NodeID{w.Node}, Metric: p.metric, Attrs: p.attrs,
		From: from, To: w.To, Points: w.Points, MinStep: w.MinStep, Step: w.Step,
	}
}

// divide divides an answer by that to the part's other metric, point by point; steps in which that is 0 are left out.
func (w *Want) divide(ctx context.Context, src Source, panel string, p part, a *series.Answer) error {
	q := w.query(panel, p)
	q.Metric = p.over
	by, err := src.Query(ctx, q)
	if err != nil {
		return err
	}
	sums := func(a *series.Answer) map[int64]float64 {
		out := map[int64]float64{}
		for i := range a.Lines {
			for _, p := range a.Lines[i].Points {
				out[p.T] += p.Avg
			}
		}
		return out
	}
	over, under := sums(a), sums(by)
	var points []series.Point
	for _, t := range slices.Sorted(maps.Keys(over)) {
		if under[t] > 0 {
			v := over[t] / under[t]
			points = append(points, series.Point{T: t, Min: v, Avg: v, Max: v})
		}
	}
	a.Lines = []series.Line{{Node: w.Node, Points: points}}
	return nil
}

// fill makes lines of the answers to the panel's queries.
func (d *Drawn) fill(answers []*series.Answer) {
	lines := map[string]*Line{}
	for i, a := range answers {
		d.Step = max(d.Step, a.Step)
		p := &d.parts[i]
		for j := range a.Lines {
			m := muster.Metric{Name: a.Metric, Unit: a.Unit, Kind: a.Kind, Attrs: a.Lines[j].Attrs}
			g, ok := p.group(&m)
			if !ok || len(a.Lines[j].Points) == 0 {
				continue
			}
			l := lines[g.key]
			if l == nil {
				l = &Line{Key: g.key, Name: g.name, Colour: g.colour, order: g.order}
				lines[g.key] = l
			}
			l.add(a.Lines[j].Points, cmp.Or(p.factor, 1))
		}
	}
	for _, l := range lines {
		d.Lines = append(d.Lines, *l)
	}
	slices.SortFunc(d.Lines, func(a, b Line) int {
		return cmp.Or(a.order-b.order, cmp.Compare(a.Name, b.Name), cmp.Compare(a.Key, b.Key))
	})
	d.limit()
	for i := range d.Lines {
		l := &d.Lines[i]
		if l.Colour < 0 {
			l.Colour = i
		}
		l.settle()
	}
}

// limit leaves the smaller lines out when there are too many.
func (d *Drawn) limit() {
	if len(d.Lines) <= mostLines {
		return
	}
	d.Hidden = len(d.Lines) - mostLines
	rank := slices.Clone(d.Lines)
	slices.SortStableFunc(rank, func(a, b Line) int {
		va, _, _ := a.Last()
		vb, _, _ := b.Last()
		return cmp.Compare(vb, va)
	})
	keep := map[string]bool{}
	for i := range rank[:mostLines] {
		keep[rank[i].Key] = true
	}
	d.Lines = slices.DeleteFunc(d.Lines, func(l Line) bool { return !keep[l.Key] })
}

// add takes the points of one series; those of a second one are summed to them.
func (l *Line) add(points []series.Point, factor float64) {
	if len(l.T) == 0 {
		for _, p := range points {
			l.T, l.V = append(l.T, p.T), append(l.V, p.Avg*factor)
			l.Low, l.High = append(l.Low, p.Min*factor), append(l.High, p.Max*factor)
		}
		return
	}
	l.joined = true
	i := 0
	var t []int64
	var v []float64
	for _, p := range points {
		for i < len(l.T) && l.T[i] < p.T {
			t, v = append(t, l.T[i]), append(v, l.V[i])
			i++
		}
		sum := p.Avg * factor
		if i < len(l.T) && l.T[i] == p.T {
			sum += l.V[i]
			i++
		}
		t, v = append(t, p.T), append(v, sum)
	}
	l.T, l.V = append(t, l.T[i:]...), append(v, l.V[i:]...)
}

// settle drops least and greatest where they say nothing.
func (l *Line) settle() {
	if l.joined || slices.Equal(l.Low, l.High) {
		l.Low, l.High = nil, nil
	}
}

// Current gives the number that is printed large, what stands beside it, and its instant in Unix ms; false when
// there is none.
func (d *Drawn) Current() (v float64, note string, at int64, ok bool) {
	if d.Fresh != nil {
		return d.Fresh.Value, d.Fresh.Note, d.Fresh.At, true
	}
	note = d.Note
	for i := range d.Lines {
		last, t, some := d.Lines[i].Last()
		if !some {
			continue
		}
		switch {
		case !ok || d.Now == NowMost && last > v:
			v = last
			if d.Now == NowMost && d.Note == "" && len(d.Lines) > 1 {
				note = d.Lines[i].Name
			}
		case d.Now == NowSum:
			v += last
		}
		at, ok = max(at, t), true
	}
	return v, note, at, ok
}

// coarse is the step from which on the last point of a range no longer stands for the present.
const coarse = 30 * time.Second

// Refresh reads the newest values of panels whose steps are so wide that their last point is no newest value.
// period is that of the node.
func Refresh(ctx context.Context, src Source, drawn []Drawn, w Want, period time.Duration) error {
	var panels []Panel
	var at []int
	for i := range drawn {
		if drawn[i].Step > coarse {
			panels, at = append(panels, drawn[i].Panel), append(at, i)
		}
	}
	if len(panels) == 0 {
		return nil
	}
	w.From, w.Since, w.MinStep, w.Step = w.To.Add(-4*max(period, 10*time.Second)), nil, 0, 0
	fresh, err := Read(ctx, src, panels, w)
	if err != nil {
		return err
	}
	for i := range fresh {
		if v, note, t, ok := fresh[i].Current(); ok {
			drawn[at[i]].Fresh = &Fresh{Value: v, Note: note, At: t}
		}
	}
	return nil
}
