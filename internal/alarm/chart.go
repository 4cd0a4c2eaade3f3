package alarm

import (
	"cmp"
	"slices"

	"muster/internal/series/graph"
)

// nearer says whether x came nearer to firing than y, by its worst value.
func (t *trial) nearer(x, y *TestLine) bool {
	c := t.r.doc.Condition
	if c == nil || len(x.Points) == 0 || len(y.Points) == 0 {
		return len(x.Points) < len(y.Points)
	}
	worst := func(l *TestLine) float64 {
		w := 0.0
		for i, p := range l.Points {
			v := t.r.quirk.See(p.Max)
			if c.Op == "<" || c.Op == "<=" {
				v = -t.r.quirk.See(p.Min)
			}
			if i == 0 || v > w {
				w = v
			}
		}
		return w
	}
	return worst(x) > worst(y)
}

// finish orders the lines and leaves what is to be shown.
func (t *trial) finish(lines []TestLine, near int) {
	if near < 0 {
		return
	}
	nearest := lines[near]
	lines = slices.DeleteFunc(lines, func(l TestLine) bool { return len(l.Spans) == 0 })
	slices.SortStableFunc(lines, func(x, y TestLine) int {
		return cmp.Or(cmp.Compare(y.Total, x.Total), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Series, y.Series))
	})
	if len(lines) == 0 {
		lines = []TestLine{nearest}
	}
	lines = lines[:min(len(lines), maxTestLines)]
	lines[0].Points = t.thin(lines[0].Points)
	for i := range lines[1:] {
		lines[i+1].Points = nil
	}
	t.out.Lines = lines
}

// thin joins neighbouring points until there are no more than the chart wants, and leaves out what is from before.
func (t *trial) thin(points []graph.Point) []graph.Point {
	from := t.o.From.UnixMilli()
	points = slices.DeleteFunc(slices.Clone(points), func(p graph.Point) bool { return p.T < from })
	if len(points) <= t.o.Points {
		return points
	}
	width := max((t.o.To.UnixMilli()-from)/int64(t.o.Points)+1, 1)
	out := make([]graph.Point, 0, t.o.Points)
	n := 0.0
	for _, p := range points {
		start := from + (p.T-from)/width*width
		if len(out) == 0 || out[len(out)-1].T != start {
			p.T = start
			out, n = append(out, p), 1
			continue
		}
		last := &out[len(out)-1]
		n++
		last.Min, last.Max, last.Avg = min(last.Min, p.Min), max(last.Max, p.Max), last.Avg+(p.Avg-last.Avg)/n
	}
	return out
}
