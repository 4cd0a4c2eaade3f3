package notify

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"muster"
)

// Tone says how a message or an item is to look.
type Tone string

// Tones, worst first.
const (
	ToneCritical     Tone = "critical"
	ToneWarning      Tone = "warning"
	ToneAcknowledged Tone = "acknowledged"
	ToneResolved     Tone = "resolved"
	ToneTest         Tone = "test"
)

func (t Tone) rank() int {
	for i, other := range []Tone{ToneCritical, ToneWarning, ToneAcknowledged, ToneResolved} {
		if t == other {
			return i
		}
	}
	return 4
}

// Fact is one line of what is known of an item: "Why", "97 % for 5 min, limit 95 %".
type Fact struct {
	Label, Value string
}

// maxLine bounds titles, subjects and the values of facts, in bytes.
const maxLine = 200

// Tone gives the worst of the items' tones.
func (m *Message) Tone() Tone {
	worst := ToneTest
	for i := range m.Items {
		if tone := m.Items[i].Tone(); tone.rank() < worst.rank() {
			worst = tone
		}
	}
	return worst
}

// Subject says all in one line without line breaks, at most 200 bytes: "CRITICAL web1: filesystem nearly full".
func (m *Message) Subject() string {
	if len(m.Items) == 1 {
		item := &m.Items[0]
		return oneLine(item.Status() + " " + item.Title())
	}
	const named = 5
	items, more := m.First(named)
	names := make([]string, 0, named)
	for i := range items {
		names = append(names, items[i].Incident.Name)
	}
	text := fmt.Sprintf("%s %d incidents: %s", strings.ToUpper(string(m.Tone())), len(m.Items), strings.Join(names, ", "))
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return oneLine(text)
}

// Text says all in plain text, lines ended by \n, links included, in at most limit bytes (0: no limit; never less than the
// subject takes). Items that do not fit are counted in a last line.
func (m *Message) Text(limit int) string {
	const roomForMore = 32 // "and 1000 more\n", and some
	text := m.Subject() + "\n"
	for i := range m.Items {
		block := "\n" + m.Items[i].text(len(m.Items) > 1)
		if limit > 0 && len(text)+len(block)+roomForMore > limit {
			if more := len(m.Items) - i; len(m.Items) > 1 && len(text)+roomForMore <= limit {
				text += fmt.Sprintf("\nand %d more\n", more)
			}
			break
		}
		text += block
	}
	return text
}

// text gives the item's lines, with its title where the subject is of several.
func (i *Item) text(titled bool) string {
	var b strings.Builder
	line := func(label, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", label, value)
		}
	}
	if titled {
		fmt.Fprintf(&b, "%s %s\n", i.Status(), i.Title())
	}
	for _, fact := range i.Facts() {
		line(fact.Label, fact.Value)
	}
	line("Details", i.URL)
	line("Acknowledge", i.AckURL)
	line("Silence", i.SilenceURL)
	return b.String()
}

// First gives the first n items, and how many more there are.
func (m *Message) First(n int) (items []Item, more int) {
	n = min(n, len(m.Items))
	return m.Items[:n], len(m.Items) - n
}

// testChange marks the sample item of the test button: it is no kind that an incident has.
const testChange muster.IncidentChangeKind = "test"

// Tone gives how the item is to look.
func (i *Item) Tone() Tone {
	switch {
	case i.Change.Kind == testChange:
		return ToneTest
	case i.Change.Kind == muster.IncidentTaken:
		return ToneAcknowledged
	case i.Change.Kind == muster.IncidentClosed:
		return ToneResolved
	case i.Incident.Level == muster.LevelWarning:
		return ToneWarning
	}
	return ToneCritical
}

// Status gives one word in capitals: "CRITICAL", "WARNING", "ACKNOWLEDGED", "RESOLVED", "TEST".
func (i *Item) Status() string { return strings.ToUpper(string(i.Tone())) }

// Title names what is concerned and what is wrong, in one line of at most 200 bytes without control characters.
func (i *Item) Title() string {
	if i.Incident.Title == "" {
		return oneLine(i.Incident.Name)
	}
	return oneLine(i.Incident.Title)
}

// Facts gives what is known beside the title, most important first: why, since when, for how long, by whom. Values are
// one line each, without control characters, not escaped for any markup.
func (i *Item) Facts() []Fact {
	var facts []Fact
	add := func(label, value string) {
		if value = oneLine(value); value != "" {
			facts = append(facts, Fact{label, value})
		}
	}
	inc := i.Incident
	switch i.Tone() {
	case ToneTest:
		add("Why", "Somebody pressed the test button: messages of this channel arrive.")
		return facts
	case ToneAcknowledged:
		add("By", i.By)
	case ToneResolved:
		if !inc.ResolvedAt.IsZero() {
			add("Lasted", span(inc.ResolvedAt.Sub(inc.OpenedAt)))
		}
		add("By", i.By)
	default:
		if t := i.Change.Transition; t != nil {
			add("Why", t.Why)
			add("What", t.Series)
			add("Said", said(t))
			add("Alarm", t.Name)
		}
		add("Also", also(inc, i.Change.Transition))
	}
	add("Since", clock(inc.OpenedAt))
	if i.Node != nil {
		add("Tags", strings.Join(i.Node.Tags, ", "))
	}
	return facts
}

// said gives the last words of a check before the transition.
func said(t *muster.Transition) string {
	for k := len(t.Inputs) - 1; k >= 0; k-- {
		if t.Inputs[k].Text != "" {
			return t.Inputs[k].Text
		}
	}
	return ""
}

// also names the other alarms that fire.
func also(inc *muster.Incident, t *muster.Transition) string {
	var names []string
	for _, f := range inc.Open {
		if t != nil && f.Alarm == t.Alarm && f.Series == t.Series && f.Check == t.Check {
			continue
		}
		name := f.Name
		if f.Series != "" {
			name += " (" + f.Series + ")"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// oneLine keeps a text within one line of maxLine bytes.
func oneLine(s string) string {
	s = strings.ToValidUTF8(s, "?")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if len(s) > maxLine {
		s = strings.ToValidUTF8(s[:maxLine-3], "") + "..."
	}
	return s
}

func clock(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") }

// span says how long something was: "45 s", "12 min", "3 h 5 min", "2 d 4 h".
func span(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	two := func(a time.Duration, unit string, b time.Duration, small string) string {
		if b == 0 {
			return fmt.Sprintf("%d %s", a, unit)
		}
		return fmt.Sprintf("%d %s %d %s", a, unit, b, small)
	}
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return two(d/time.Minute, "min", d%time.Minute/time.Second, "s")
	case d < 24*time.Hour:
		return two(d/time.Hour, "h", d%time.Hour/time.Minute, "min")
	}
	return two(d/(24*time.Hour), "d", d%(24*time.Hour)/time.Hour, "h")
}
