package chart

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
)

// AppendJSON appends the form that assets/lines.js reads:
//
//	{"now":MS,"from":MS,"to":MS,"period":MS,"panels":[{"id","title","unit","max","floor","stack","rule","note","mono","hidden","fresh":{"Value","Note","At"},
//	 "step":MS,"t0":MS,"t":[steps since t0, ...],"lines":[{"key","name","colour","v":[number or null, ...],"lo":[...],"hi":[...]}]}]}
//
// The text holds no "<", so that it may stand in a script element.
func (d *Data) AppendJSON(b []byte) []byte { return d.append(b, false) }

// AppendNews appends the same without what the reader knows already: of panels the ids, of lines the keys.
func (d *Data) AppendNews(b []byte) []byte { return d.append(b, true) }

func (d *Data) append(b []byte, brief bool) []byte {
	b = appendMs(b, `{"now":`, d.Now.UnixMilli())
	b = appendMs(b, `,"from":`, d.From.UnixMilli())
	b = appendMs(b, `,"to":`, d.To.UnixMilli())
	b = appendMs(b, `,"period":`, d.Period.Milliseconds())
	b = append(b, `,"panels":[`...)
	for i := range d.Panels {
		if i > 0 {
			b = append(b, ',')
		}
		b = d.Panels[i].append(b, brief)
	}
	return append(b, "]}"...)
}

func appendMs(b []byte, name string, ms int64) []byte {
	return strconv.AppendInt(append(b, name...), ms, 10)
}

func (d *Drawn) append(b []byte, brief bool) []byte {
	about := map[string]any{"id": d.ID}
	if !brief {
		about = d.about()
	}
	if d.Fresh != nil && !math.IsNaN(d.Fresh.Value) && !math.IsInf(d.Fresh.Value, 0) {
		about["fresh"] = d.Fresh
	}
	head, _ := json.Marshal(about) // strings and numbers only: it can't fail
	b = append(b, head[:len(head)-1]...)
	step := max(d.Step.Milliseconds(), 1)
	times := d.times()
	var t0 int64
	if len(times) > 0 {
		t0 = times[0]
	}
	b = appendMs(b, `,"step":`, step)
	b = appendMs(b, `,"t0":`, t0)
	b = append(b, `,"t":[`...)
	for i, t := range times {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendNumber(b, float64(t-t0)/float64(step))
	}
	b = append(b, `],"lines":[`...)
	for i := range d.Lines {
		if i > 0 {
			b = append(b, ',')
		}
		b = d.Lines[i].append(b, times, brief)
	}
	return append(b, "]}"...)
}

// about is what a panel says of itself.
func (d *Drawn) about() map[string]any {
	return map[string]any{
		"id": d.ID, "title": d.Title, "unit": d.Unit, "max": d.Max, "floor": d.Floor, "stack": d.Stack,
		"rule": d.Now, "note": d.Note, "mono": d.Mono, "hidden": d.Hidden,
	}
}

// times gives every instant that any line has.
func (d *Drawn) times() []int64 {
	if len(d.Lines) == 0 {
		return nil
	}
	all := slices.Clone(d.Lines[0].T)
	for i := range d.Lines[1:] {
		if t := d.Lines[i+1].T; !slices.Equal(t, all) {
			all = append(all, t...)
			slices.Sort(all)
			all = slices.Compact(all)
		}
	}
	return all
}

func (l *Line) append(b []byte, times []int64, brief bool) []byte {
	about := map[string]any{"key": l.Key}
	if !brief {
		about["name"], about["colour"] = l.Name, l.Colour
	}
	head, _ := json.Marshal(about)
	b = append(b, head[:len(head)-1]...)
	b = l.column(append(b, `,"v":[`...), times, l.V)
	if l.Low != nil {
		b = l.column(append(b, `,"lo":[`...), times, l.Low)
		b = l.column(append(b, `,"hi":[`...), times, l.High)
	}
	return append(b, '}')
}

func (l *Line) column(b []byte, times []int64, values []float64) []byte {
	i := 0
	for n, t := range times {
		if n > 0 {
			b = append(b, ',')
		}
		if i < len(l.T) && l.T[i] == t {
			b = appendNumber(b, values[i])
			i++
		} else {
			b = append(b, "null"...)
		}
	}
	return append(b, ']')
}

// appendNumber writes six digits, more than any screen shows.
func appendNumber(b []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(b, "null"...)
	}
	if v == math.Trunc(v) && math.Abs(v) < 1e9 {
		return strconv.AppendInt(b, int64(v), 10)
	}
	return strconv.AppendFloat(b, v, 'g', 6, 64)
}
