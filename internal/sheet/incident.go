package sheet

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"muster/api"
	"muster/internal/term"
)

// IncidentState shows who has to do something.
func IncidentState(state, level string) term.Cell {
	switch state {
	case "acknowledged":
		return term.Cell{Text: state, Ink: term.Blue, Shape: "◐"}
	case "resolved":
		return term.Cell{Text: state, Ink: term.Green, Shape: "●"}
	}
	c := Level(level)
	c.Text = state
	return c
}

// Incidents lays incidents out.
func Incidents(all []api.Incident, now time.Time) *term.Table {
	t := &term.Table{Columns: []term.Column{{Title: "state"}, {Title: "level", Drop: 1}, {Title: "what", Most: 24}, {Title: "began", Right: true}, {Title: "lasted", Right: true, Drop: 2}, {Title: "id", Drop: 3}}}
	for i := range all {
		in := &all[i]
		end := now
		if in.ResolvedAt != nil {
			end = *in.ResolvedAt
		}
		t.Add(IncidentState(in.State, in.Level), Level(in.Level), term.Text(in.Title), term.Text(clock(in.OpenedAt)), term.Text(term.Ago(end.Sub(in.OpenedAt))), term.Cell{Text: in.ID, Ink: term.Dim})
	}
	return t
}

// Incident shows an incident with all that happened, oldest first; name gives the name of what has an id.
func Incident(p term.Paper, in *api.Incident, name func(id string) string, now time.Time) {
	s := IncidentState(in.State, in.Level)
	p.Hang("", 0, in.Title)
	end, lasts := now, "for"
	if in.ResolvedAt != nil {
		end, lasts = *in.ResolvedAt, "lasted"
	}
	p.Line("%s  %s, %s %s", p.Paint(s.Shape+" "+term.Clean(s.Text), s.Ink), term.Clean(in.Level), lasts, term.Ago(end.Sub(in.OpenedAt)))
	rows := [][2]string{{"id", in.ID}, {"node", name(in.Node)}, {"check", name(in.Check)}, {"opened by", name(in.Alarm)}}
	for _, f := range in.Firing {
		rows = append(rows, [2]string{"fires", join(": ", join(" ", f.Name, f.Series), f.Why)})
	}
	p.Pairs(rows)
	if in.Cut > 0 {
		p.Line("\n  %s", p.Paint("older entries are left out", term.Dim))
	}
	writeTimeline(p, timeline(in))
}

// moment is one entry of a timeline.
type moment struct {
	at      time.Time
	mark    term.Cell // its Text is the first words
	text    string
	details []string
}

// timeline puts all that happened in order.
func timeline(in *api.Incident) []moment {
	var all []moment
	for i := range in.Transitions {
		t := &in.Transitions[i]
		mark := term.Cell{Text: "well again", Ink: term.Green, Shape: "●"}
		if t.To == "firing" {
			mark = Level(t.Level)
		}
		m := moment{at: t.At, mark: mark, text: strings.TrimSpace(t.Name + " " + t.Series), details: []string{t.Why}}
		if seen := inputs(t.Inputs); seen != "" {
			m.details = append(m.details, "saw "+seen)
		}
		all = append(all, m)
	}
	if in.AcknowledgedAt != nil {
		all = append(all, moment{at: *in.AcknowledgedAt, mark: term.Cell{Text: "taken", Ink: term.Blue, Shape: "◐"}, text: "by " + person(in, in.AcknowledgedBy)})
	}
	for _, c := range in.Comments {
		who := c.Name
		if who == "" {
			who = c.By
		}
		m := moment{at: c.At, mark: term.Cell{Text: who, Ink: term.Bold, Shape: "“"}}
		m.details = strings.Split(strings.TrimRight(c.Text, "\n"), "\n")
		all = append(all, m)
	}
	for i := range in.Deliveries {
		all = append(all, delivery(&in.Deliveries[i]))
	}
	if in.ResolvedAt != nil {
		all = append(all, moment{at: *in.ResolvedAt, mark: term.Cell{Text: "resolved", Ink: term.Green, Shape: "●"}, text: "all is well again"})
	}
	slices.SortStableFunc(all, func(x, y moment) int { return x.at.Compare(y.at) })
	return all
}

// person names who took an incident, where a comment tells.
func person(in *api.Incident, id string) string {
	for _, c := range in.Comments {
		if c.By == id && c.Name != "" {
			return c.Name
		}
	}
	if id == "link" {
		return "the link in a message"
	}
	return id
}

// delivery tells of one attempt to tell somebody.
func delivery(d *api.Delivery) moment {
	m := moment{at: d.At, mark: term.Cell{Text: d.Status, Shape: "→"}, text: "to " + d.Name + ": " + strings.TrimPrefix(d.Type, "incident.")}
	switch d.Status {
	case "failed":
		m.mark = term.Cell{Text: "not told", Ink: term.Red, Shape: "×"}
	case "waiting":
		m.mark = term.Cell{Text: "waiting", Ink: term.Amber, Shape: "◌"}
	case "suppressed":
		m.mark = term.Cell{Text: "held back", Ink: term.Dim, Shape: "–"}
	case "delivered":
		m.mark.Text = "told"
	}
	if d.Attempt > 1 {
		m.text += ", tried " + Times(d.Attempt)
	}
	if d.Next != nil {
		m.text += ", again at " + d.Next.Local().Format(time.TimeOnly)
	}
	if d.Error != "" {
		m.details = []string{d.Error}
	}
	return m
}

// inputs writes what an alarm saw before it changed. What it saw several times in a row is written once.
func inputs(all []api.Input) string {
	var parts []string
	for i := 0; i < len(all); {
		what, last := seen(&all[i]), i
		for last+1 < len(all) && seen(&all[last+1]) == what {
			last++
		}
		part := all[i].At.Local().Format(time.TimeOnly)
		if last > i {
			part += " to " + all[last].At.Local().Format(time.TimeOnly) + " " + Times(last-i+1)
		}
		parts = append(parts, part+" "+what)
		i = last + 1
	}
	return strings.Join(parts, " · ")
}

// seen writes one input.
func seen(in *api.Input) string {
	switch {
	case in.Text != "":
		return in.Text
	case in.Value != nil:
		return strconv.FormatFloat(*in.Value, 'g', 6, 64)
	}
	return "nothing"
}

// writeTimeline writes moments below each other, under their days.
func writeTimeline(p term.Paper, all []moment) {
	day := ""
	for _, m := range all {
		at := m.at.Local()
		if d := at.Format("Monday, 2 January 2006"); d != day {
			day = d
			p.Line("\n  %s", p.Paint(d, term.Dim))
		}
		const indent = 14
		text := term.Clean(m.mark.Text)
		head := "  " + p.Paint(at.Format(time.TimeOnly), term.Dim) + "  " + p.Paint(m.mark.Shape+" "+text, m.mark.Ink) + "  "
		p.Hang(head, indent+width(text)+2, m.text)
		for _, line := range m.details {
			if line != "" {
				p.Hang(strings.Repeat(" ", indent), indent, line)
			}
		}
	}
}

// join puts the texts that are not empty beside each other.
func join(sep string, texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(s string) bool { return s == "" }), sep)
}
