package sheet

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"muster/api"
	"muster/internal/term"
)

// LabelWidth is what a graph needs beside its points, in columns.
const LabelWidth = 12

// Series shows lines: as rows for a pipe, one as a graph of that height, several as sparklines. names are
// those of the nodes, by id.
func Series(p term.Paper, s *api.Series, names map[string]string, height int) {
	switch {
	case p.Width == 0:
		writePoints(p, s, names)
	case len(s.Series) == 1:
		drawGraph(p, s, names, height)
	default:
		drawSparklines(p, s, names)
	}
}

// writePoints writes one line for each point, separated by tabs.
func writePoints(p term.Paper, s *api.Series, names map[string]string) {
	for i := range s.Series {
		l := &s.Series[i]
		for _, at := range l.Points {
			p.Line("%s\t%s\t%s\t%g\t%g\t%g", term.Clean(names[l.Node]), term.Clean(Attributes(l.Attributes)), at.At().Format(time.RFC3339), at.Min(), at.Avg(), at.Max())
		}
	}
}

// spread puts points into as many slots as there are columns; a slot without a point is NaN, so that a
// gap in the data is a gap in the picture.
func spread(s *api.Series, points []api.Point, slots int) []float64 {
	out := make([]float64, slots)
	count := make([]float64, slots)
	from, to := float64(s.From.UnixMilli())/1000, float64(s.To.UnixMilli())/1000
	if to <= from {
		to = from + 1
	}
	step, _ := api.ParseDuration(s.Step)
	across := 1 // a point stands for its whole step
	if perSlot := (to - from) / float64(slots); step.Seconds() > perSlot {
		across = int(math.Ceil(step.Seconds() / perSlot))
	}
	for _, at := range points {
		first := int((at[0] - from) / (to - from) * float64(slots))
		for slot := max(first, 0); slot < first+across && slot < slots; slot++ {
			out[slot] += at.Avg()
			count[slot]++
		}
	}
	for i := range out {
		out[i] /= count[i] // 0/0 is NaN
	}
	return out
}

// scale chooses the graph's bottom and top: from zero where that shows enough, shares up to at least 1.
func scale(s *api.Series, values []float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if !math.IsNaN(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	if math.IsInf(low, 1) {
		return 0, 1
	}
	if low >= 0 && low < high*0.75 || low == high && low >= 0 {
		low = 0
	}
	if low == 0 && s.Unit == "1" && strings.HasSuffix(s.Metric, "utilization") && high > 0.2 {
		high = max(high, 1)
	}
	if high <= low {
		high = low + 1
	}
	return low, high
}

// drawGraph draws one line as an area.
func drawGraph(p term.Paper, s *api.Series, names map[string]string, height int) {
	l := &s.Series[0]
	height = min(max(height, 3), 60)
	slots := max(p.Width-LabelWidth, 10)
	values := spread(s, l.Points, slots)
	low, high := scale(s, values)
	title := term.Clean(LineName(l, names))
	if at, ok := lastOf(l.Points); ok {
		title += "  " + p.Paint(term.Figure(at.Avg(), s.Metric, s.Unit), term.Bold) + " at " + at.At().Local().Format("15:04:05")
	}
	fmt.Fprintf(p.Out, "%s  %s\n", p.Paint(term.Clean(s.Metric), term.Bold), title)
	for row := height - 1; row >= 0; row-- {
		label := ""
		if row == height-1 || row == 0 || row == height/2 {
			label = term.Figure(low+(high-low)*(float64(row)+0.5)/float64(height), s.Metric, s.Unit)
			if row == height-1 {
				label = term.Figure(high, s.Metric, s.Unit)
			}
			if row == 0 {
				label = term.Figure(low, s.Metric, s.Unit)
			}
		}
		fmt.Fprintf(p.Out, "%*s %s\n", LabelWidth-2, term.Cut(label, LabelWidth-2), p.Paint(term.Area(values, low, high, row, height), term.Blue))
	}
	drawTimes(p, s, slots)
}

// drawTimes writes the time under a graph: at its beginning, middle and end.
func drawTimes(p term.Paper, s *api.Series, slots int) {
	layout := "15:04"
	switch span := s.To.Sub(s.From); {
	case span > 48*time.Hour:
		layout = "2 Jan"
	case span > 20*time.Hour:
		layout = "2 Jan 15:04"
	case span < 10*time.Minute:
		layout = "15:04:05"
	}
	first, last := s.From.Local().Format(layout), s.To.Local().Format(layout)
	middle := s.From.Add(s.To.Sub(s.From) / 2).Local().Format(layout)
	line := first
	if gapTo := slots/2 - len(middle)/2; gapTo > len(first)+2 && slots > 40 {
		line += strings.Repeat(" ", gapTo-len(first)) + middle
	}
	line += strings.Repeat(" ", max(1, slots-utf8.RuneCountInString(line)-len(last))) + last
	fmt.Fprintf(p.Out, "%*s %s\n", LabelWidth-2, "", p.Paint(line, term.Dim))
}

// drawSparklines draws several lines, one row each, on one scale.
func drawSparklines(p term.Paper, s *api.Series, names map[string]string) {
	slots := min(max(p.Width/3, 12), 60)
	all := make([][]float64, len(s.Series))
	var joined []float64
	for i := range s.Series {
		all[i] = spread(s, s.Series[i].Points, slots)
		joined = append(joined, all[i]...)
	}
	low, high := scale(s, joined)
	t := &term.Table{Columns: []term.Column{{Title: "line", Most: 20}, {Title: s.From.Local().Format("15:04") + " – " + s.To.Local().Format("15:04")},
		{Title: "min", Right: true, Drop: 2}, {Title: "max", Right: true, Drop: 1}, {Title: "now", Right: true}}}
	for i := range s.Series {
		l := &s.Series[i]
		least, most := math.Inf(1), math.Inf(-1)
		for _, at := range l.Points {
			least, most = min(least, at.Min()), max(most, at.Max())
		}
		now := ""
		if at, ok := lastOf(l.Points); ok {
			now = term.Figure(at.Avg(), s.Metric, s.Unit)
		}
		t.Add(term.Text(LineName(l, names)), term.Cell{Text: term.Sparkline(all[i], low, high), Ink: term.Blue}, term.Text(term.Figure(least, s.Metric, s.Unit)), term.Text(term.Figure(most, s.Metric, s.Unit)), term.Text(now))
	}
	fmt.Fprintf(p.Out, "%s  %s to %s\n", p.Paint(term.Clean(s.Metric), term.Bold), term.Figure(low, s.Metric, s.Unit), term.Figure(high, s.Metric, s.Unit))
	t.Write(p)
}

// LineName names a line: its node, by names, and its attributes.
func LineName(l *api.Line, names map[string]string) string {
	name := names[l.Node]
	if name == "" {
		name = l.Node
	}
	return strings.TrimSpace(name + " " + Attributes(l.Attributes))
}

// lastOf gives a line's newest point.
func lastOf(points []api.Point) (api.Point, bool) {
	if len(points) == 0 {
		return api.Point{}, false
	}
	return points[len(points)-1], true
}
