package main

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"muster/api"
)

// labelWidth is what a graph needs beside its points.
const labelWidth = 12

// blocks fill a character from the bottom, by eighths.
var blocks = []rune(" ▁▂▃▄▅▆▇█")

// drawSeries shows lines: as rows for a pipe, one as a graph, several as sparklines.
func (a *app) drawSeries(s *api.Series, names map[string]string, height int) {
	switch {
	case a.width == 0:
		a.writePoints(s, names)
	case len(s.Series) == 1:
		a.drawGraph(s, names, height)
	default:
		a.drawSparklines(s, names)
	}
}

// writePoints writes one line for each point, separated by tabs.
func (a *app) writePoints(s *api.Series, names map[string]string) {
	for i := range s.Series {
		l := &s.Series[i]
		for _, p := range l.Points {
			fmt.Fprintf(a.out, "%s\t%s\t%s\t%g\t%g\t%g\n", clean(names[l.Node]), clean(attributesText(l.Attributes)), p.At().Format(time.RFC3339), p.Min(), p.Avg(), p.Max())
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
	for _, p := range points {
		first := int((p[0] - from) / (to - from) * float64(slots))
		for at := max(first, 0); at < first+across && at < slots; at++ {
			out[at] += p.Avg()
			count[at]++
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
func (a *app) drawGraph(s *api.Series, names map[string]string, height int) {
	l := &s.Series[0]
	height = min(max(height, 3), 60)
	slots := max(a.width-labelWidth, 10)
	values := spread(s, l.Points, slots)
	low, high := scale(s, values)
	title := clean(lineName(l, names))
	if p, ok := lastOf(l.Points); ok {
		title += "  " + paint(figure(p.Avg(), s.Metric, s.Unit), bold, a.colour) + " at " + p.At().Local().Format("15:04:05")
	}
	fmt.Fprintf(a.out, "%s  %s\n", paint(clean(s.Metric), bold, a.colour), title)
	for row := height - 1; row >= 0; row-- {
		label := ""
		if row == height-1 || row == 0 || row == height/2 {
			label = figure(low+(high-low)*(float64(row)+0.5)/float64(height), s.Metric, s.Unit)
			if row == height-1 {
				label = figure(high, s.Metric, s.Unit)
			}
			if row == 0 {
				label = figure(low, s.Metric, s.Unit)
			}
		}
		fmt.Fprintf(a.out, "%*s %s\n", labelWidth-2, cut(label, labelWidth-2), paint(areaRow(values, low, high, row, height), blue, a.colour))
	}
	a.drawTimes(s, slots)
}

// areaRow draws one row of an area; row 0 is the lowest.
func areaRow(values []float64, low, high float64, row, height int) string {
	var b strings.Builder
	for _, v := range values {
		if math.IsNaN(v) {
			b.WriteByte(' ')
			continue
		}
		filled := (v-low)/(high-low)*float64(height) - float64(row)
		eighths := int(math.Round(filled * 8))
		if row == 0 {
			eighths = max(eighths, 1) // a value of zero is a value
		}
		b.WriteRune(blocks[min(max(eighths, 0), 8)])
	}
	return b.String()
}

// drawTimes writes the time under a graph: at its beginning, middle and end.
func (a *app) drawTimes(s *api.Series, slots int) {
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
	fmt.Fprintf(a.out, "%*s %s\n", labelWidth-2, "", paint(line, dim, a.colour))
}

// sparkline draws values in one row of characters.
func sparkline(values []float64, low, high float64) string { return areaRow(values, low, high, 0, 1) }

// drawSparklines draws several lines, one row each, on one scale.
func (a *app) drawSparklines(s *api.Series, names map[string]string) {
	slots := min(max(a.width/3, 12), 60)
	all := make([][]float64, len(s.Series))
	var joined []float64
	for i := range s.Series {
		all[i] = spread(s, s.Series[i].Points, slots)
		joined = append(joined, all[i]...)
	}
	low, high := scale(s, joined)
	t := &table{columns: []column{{title: "line", most: 20}, {title: s.From.Local().Format("15:04") + " – " + s.To.Local().Format("15:04")},
		{title: "min", right: true, drop: 2}, {title: "max", right: true, drop: 1}, {title: "now", right: true}}}
	for i := range s.Series {
		l := &s.Series[i]
		least, most := math.Inf(1), math.Inf(-1)
		for _, p := range l.Points {
			least, most = min(least, p.Min()), max(most, p.Max())
		}
		now := ""
		if p, ok := lastOf(l.Points); ok {
			now = figure(p.Avg(), s.Metric, s.Unit)
		}
		t.add(text(lineName(l, names)), cell{text: sparkline(all[i], low, high), ink: blue}, text(figure(least, s.Metric, s.Unit)), text(figure(most, s.Metric, s.Unit)), text(now))
	}
	fmt.Fprintf(a.out, "%s  %s to %s\n", paint(clean(s.Metric), bold, a.colour), figure(low, s.Metric, s.Unit), figure(high, s.Metric, s.Unit))
	t.write(a.out, a.width, a.colour)
}
