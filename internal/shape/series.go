package shape

import (
	"slices"
	"strconv"

	"muster/api"
	"muster/internal/series/graph"
)

// AppendSeries appends the answer to a question about one metric as JSON.
func AppendSeries(b []byte, metric string, s *graph.Answer) []byte {
	b = AppendText(append(b, `{"metric":`...), metric)
	b = AppendText(append(b, `,"unit":`...), s.Unit)
	b = AppendTime(append(b, `,"from":`...), s.From)
	b = AppendTime(append(b, `,"to":`...), s.To)
	b = AppendText(append(b, `,"step":`...), api.FormatDuration(s.Step))
	b = append(b, `,"series":[`...)
	for i := range s.Lines {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendLine(b, &s.Lines[i])
	}
	return append(b, "]}\n"...)
}

func appendLine(b []byte, l *graph.Line) []byte {
	b = AppendText(append(b, `{"node":`...), l.Node.String())
	b = append(b, `,"attributes":{`...)
	for i, at := range l.Attrs {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendText(append(AppendText(b, at.Key), ':'), at.Value)
	}
	b = append(b, `},"points":[`...)
	b = slices.Grow(b, 48*len(l.Points))
	first := true
	for _, p := range l.Points {
		if Number(p.Min) == nil || Number(p.Avg) == nil || Number(p.Max) == nil {
			continue // JSON has no such number
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendSeconds(append(b, '['), p.T)
		b = AppendFloat(append(b, ','), p.Min)
		b = AppendFloat(append(b, ','), p.Avg)
		b = AppendFloat(append(b, ','), p.Max)
		b = append(b, ']')
	}
	return append(b, "]}"...)
}

// appendSeconds writes milliseconds as seconds: whole ones without a point.
func appendSeconds(b []byte, ms int64) []byte {
	if ms%1000 == 0 {
		return strconv.AppendInt(b, ms/1000, 10)
	}
	return strconv.AppendFloat(b, float64(ms)/1000, 'f', -1, 64)
}
