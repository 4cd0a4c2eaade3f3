package sheet

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"muster/api"
	"muster/internal/phrase"
	"muster/internal/term"
)

// Level shows how bad something is.
func Level(level string) term.Cell { return Status(level) }

// Alarms lays alarms out; name gives the name of what has an id.
func Alarms(alarms []api.Alarm, name func(id string) string) *term.Table {
	t := &term.Table{Columns: []term.Column{{Title: "name", Most: 24}, {Title: "level"}, {Title: "firing", Right: true}, {Title: "of", Most: 24, Drop: 3}, {Title: "when", Most: 20, Drop: 1}, {Title: "on", Most: 12, Drop: 2}}}
	for i := range alarms {
		a := &alarms[i]
		level, firing := alarmLevel(a), term.Cell{Text: strconv.Itoa(a.Firing)}
		switch {
		case level.Text == "off":
			firing.Text = ""
		case a.Firing > 0:
			firing.Ink = term.Red
		}
		t.Add(term.Text(a.Name), level, firing, term.Text(alarmOf(a, name)), term.Text(alarmWhen(&a.AlarmNew)), term.Text(reach(a.Query, a.Node, a.Check, name)))
	}
	return t
}

// alarmLevel shows how bad an alarm is, in colour while it fires, or that it is off.
func alarmLevel(a *api.Alarm) term.Cell {
	if a.Enabled != nil && !*a.Enabled {
		return Status("off")
	}
	c := Level(a.Level)
	if a.Firing == 0 {
		c.Ink = term.Plain
	}
	return c
}

// alarmOf says what an alarm looks at.
func alarmOf(a *api.Alarm, name func(id string) string) string {
	switch {
	case a.Metric != "":
		return strings.TrimSpace(a.Metric + " " + Attributes(a.Attributes))
	case a.Check != "":
		return "status of " + name(a.Check)
	}
	return "sign of life"
}

// alarmWhen says when an alarm fires.
func alarmWhen(a *api.AlarmNew) string {
	when := phrase.Say(a.Condition, a.Metric)
	if silence := phrase.SayNoData(a.NoData); silence != "" && a.NoData.Is == "critical" {
		if when != "" {
			when += ", or "
		}
		when += "silent for " + a.NoData.After
	}
	return when
}

// reach says on what something holds.
func reach(query, node, check string, name func(id string) string) string {
	var parts []string
	if query != "" && query != "*" {
		parts = append(parts, query)
	}
	if node != "" {
		parts = append(parts, "node "+name(node))
	}
	if check != "" {
		parts = append(parts, "check "+name(check))
	}
	if parts == nil {
		return "all"
	}
	return strings.Join(parts, ", ")
}

// Alarm shows all that is known of an alarm.
func Alarm(p term.Paper, a *api.Alarm, name func(id string) string) {
	s := alarmLevel(a)
	line := p.Paint(term.Clean(a.Name), term.Bold) + "  " + p.Paint(s.Shape+" "+s.Text, s.Ink)
	if a.Firing > 0 {
		line += p.Paint(fmt.Sprintf("  fires on %d", a.Firing), term.Red)
	}
	p.Line("%s", line)
	channels := make([]string, len(a.Channels))
	for i, id := range a.Channels {
		channels[i] = name(id)
	}
	told := strings.Join(channels, ", ")
	if told == "" {
		told = "the default channels"
	}
	back := ""
	if a.Condition != nil {
		if back = phrase.SayRecovery(a.Condition.Recover, a.Metric); back == "" {
			back = "as soon as that does not hold"
		}
	}
	p.Pairs([][2]string{
		{"id", a.ID}, {"on", reach(a.Query, a.Node, a.Check, name)}, {"of", alarmOf(a, name)}, {"when", phrase.Say(a.Condition, a.Metric)}, {"well again", back},
		{"silence", phrase.SayNoData(a.NoData)}, {"tells", told}, {"told within", a.Within}, {"level", a.Level}, {"built in", a.BuiltIn},
	})
}

// Tested shows when an alarm would have fired: what it looked at with bars of the past, then each time with
// its reason. A pipe gets one row for each time.
func Tested(p term.Paper, a *api.AlarmNew, b *api.AlarmTested) {
	if p.Width == 0 {
		t := &term.Table{Columns: []term.Column{{Title: "name"}, {Title: "series"}, {Title: "from"}, {Title: "to"}, {Title: "lasted"}, {Title: "why"}}}
		eachSpan(b, func(l *api.AlarmTestLine, s *api.AlarmTestSpan, lasted string) {
			t.Add(term.Text(l.Name), term.Text(l.Series), term.Text(stamp(s.From)), term.Text(until(s, "", stamp)), term.Text(lasted), term.Text(s.Why))
		})
		t.Write(p)
		return
	}
	fired := "would not have fired"
	if b.Fired > 0 {
		fired = "would have fired " + Times(b.Fired)
	}
	p.Line("%s", p.Paint(term.Clean(join(": ", a.Name, join(" ", a.Metric, alarmWhen(a)))), term.Bold))
	p.Hang("  ", 2, fmt.Sprintf("%s to %s, nodes and checks that it looks at: %d, a value every %s: %s", clock(b.From), clock(b.To), b.Nodes, b.Step, fired))
	if b.Cut {
		p.Hang("  "+p.Paint("▲", term.Amber)+" ", 4, "not all were looked at: narrow the query, or the time")
	}
	if b.Fired == 0 {
		return
	}
	p.Line("")
	bars(p, b)
	p.Line("")
	const most = 20
	shown := 0
	eachSpan(b, func(l *api.AlarmTestLine, s *api.AlarmTestSpan, lasted string) {
		if shown++; shown > most {
			return
		}
		p.Hang("  ", 4, fmt.Sprintf("%s, %s to %s (%s): %s", join(" ", l.Name, l.Series), clock(s.From), until(s, "now", clock), lasted, s.Why))
	})
	if shown > most {
		p.Line("  and %d more times; -o json has them all", shown-most)
	}
}

// bars draws what would have fired, a row for each series.
func bars(p term.Paper, b *api.AlarmTested) {
	slots := min(max(p.Width/3, 12), 48)
	t := &term.Table{Columns: []term.Column{{Title: "name", Most: 12}, {Title: "series", Most: 12, Drop: 2}, {Title: "fired", Right: true}, {Title: "longest", Right: true, Drop: 1}, {Title: clock(b.From) + " ⋯ " + clock(b.To)}}}
	quiet := 0
	for i := range b.Series {
		l := &b.Series[i]
		if len(l.Spans) == 0 {
			quiet++
			continue
		}
		t.Add(term.Text(l.Name), term.Text(l.Series), term.Text(strconv.Itoa(len(l.Spans))), term.Text(l.Longest), term.Cell{Text: bar(l.Spans, b.From, b.To, slots), Ink: term.Red})
	}
	t.Write(p)
	if quiet > 0 {
		p.Line("%s", p.Paint(fmt.Sprintf("and %d that would not have", quiet), term.Dim))
	}
}

// bar draws spans over a time: a block where at least one lay, a dot elsewhere.
func bar(spans []api.AlarmTestSpan, from, to time.Time, slots int) string {
	row := []rune(strings.Repeat("·", slots))
	whole := max(to.Sub(from), 1)
	at := func(t time.Time) int {
		return min(max(int(float64(t.Sub(from))/float64(whole)*float64(slots)), 0), slots-1)
	}
	for _, s := range spans {
		end := to
		if s.To != nil {
			end = *s.To
		}
		for i := at(s.From); i <= at(end); i++ {
			row[i] = '█'
		}
	}
	return string(row)
}

// eachSpan walks over all times of firing, and says how long each lasted.
func eachSpan(b *api.AlarmTested, fn func(l *api.AlarmTestLine, s *api.AlarmTestSpan, lasted string)) {
	for i := range b.Series {
		for j := range b.Series[i].Spans {
			s := &b.Series[i].Spans[j]
			end := b.To
			if s.To != nil {
				end = *s.To
			}
			fn(&b.Series[i], s, term.Ago(end.Sub(s.From)))
		}
	}
}

// until writes when a time of firing ended.
func until(s *api.AlarmTestSpan, open string, write func(time.Time) string) string {
	if s.To == nil {
		return open
	}
	return write(*s.To)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func clock(t time.Time) string { return t.Local().Format("2 Jan 15:04") }

// Times writes how often: "once", "3 times".
func Times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

// width gives how many columns a text takes.
func width(s string) int { return utf8.RuneCountInString(s) }
