package incidents

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"muster"
	"muster/internal/alarm/rules"
)

// entry is one thing that happened.
type entry struct {
	At    time.Time
	Mark  string // a state that has a shape: "critical", "warning", "ok", "stopped" or "pending"
	Bold  string // who or what
	Text  string // what happened
	Quote string // what somebody said
	Small []small
	Day   string // a heading above it, where another day begins
}

// small is a line below an entry.
type small struct {
	At   time.Time // zero: it needs none
	Text string
	Next time.Time // when it is tried again
}

// timeline gives all that happened, newest first.
func (p *Page) timeline(s *scene) []entry {
	out := make([]entry, 0, len(s.Transitions)+len(s.Comments)+4)
	for i := range s.Transitions {
		out = append(out, transitionEntry(&s.Transitions[i]))
	}
	for _, c := range s.Comments {
		name := c.Name
		if name == "" {
			name = p.name(s.Account, c.By)
		}
		out = append(out, entry{At: c.At, Mark: "pending", Bold: name, Text: "said", Quote: c.Text})
	}
	out = append(out, tellings(s.deliveries)...)
	if !s.AcknowledgedAt.IsZero() {
		out = append(out, entry{At: s.AcknowledgedAt, Mark: "pending", Bold: p.name(s.Account, s.AcknowledgedBy), Text: "has it"})
	}
	if s.State == muster.IncidentResolved {
		out = append(out, entry{At: s.ResolvedAt, Mark: "ok", Text: "all well again, after " + rules.Span(max(s.ResolvedAt.Sub(s.OpenedAt), time.Second))})
	}
	slices.SortStableFunc(out, func(a, b entry) int { return cmp.Compare(a.At.UnixMilli(), b.At.UnixMilli()) })
	slices.Reverse(out)
	days(out, s.now)
	return out
}

// days writes the day above the first entry of each, but not above those of today that come first.
func days(list []entry, now time.Time) {
	const form = "Monday, 2 January"
	last := now.Format(form)
	for i := range list {
		if day := list[i].At.In(now.Location()).Format(form); day != last {
			list[i].Day, last = day, day
		}
	}
}

func transitionEntry(t *muster.Transition) entry {
	e := entry{At: t.At, Mark: "ok", Bold: t.Name, Text: "is well again"}
	if t.To == muster.AlarmFiring {
		e.Mark, e.Text = string(t.Level), "fired"
	}
	if t.Series != "" {
		e.Text += ": " + t.Series
	}
	if t.Why != "" {
		e.Small = []small{{Text: t.Why}}
	}
	return e
}

// tellings gives an entry for each message, with all attempts to deliver it.
func tellings(deliveries []muster.Delivery) []entry {
	var out []entry
	at := map[string]int{}
	for i := range deliveries {
		d := &deliveries[i]
		n, known := at[d.Message]
		if !known {
			n = len(out)
			at[d.Message] = n
			out = append(out, entry{At: d.At, Bold: d.Name})
		}
		out[n].tell(d, known)
	}
	return out
}

// tell notes an attempt; the newest one says how the message is.
func (e *entry) tell(d *muster.Delivery, again bool) {
	what := map[string]string{"incident.opened": "of it", "incident.acknowledged": "who has it", "incident.resolved": "that it is over"}[d.Type]
	switch d.Status {
	case muster.DeliverySent:
		e.Mark, e.Text = "pending", "was told "+what
	case muster.DeliverySuppressed:
		e.Mark, e.Text = "stopped", "was not told "+what+", on purpose"
	case muster.DeliveryFailed:
		e.Mark, e.Text = "critical", "could not be told "+what
	default:
		e.Mark, e.Text = "pending", "is to be told "+what
		if d.Error != "" {
			e.Mark, e.Text = "warning", "could not be told "+what+" yet"
		}
	}
	if line, some := attempt(d, again); some {
		e.Small = append(e.Small, line)
	}
}

// attempt says what became of one attempt; nothing when it arrived at once.
func attempt(d *muster.Delivery, again bool) (line small, some bool) {
	n := "attempt " + strconv.Itoa(d.Attempt)
	switch {
	case d.Status == muster.DeliverySuppressed:
		return small{Text: d.Error}, d.Error != ""
	case d.Status == muster.DeliverySent:
		return small{At: d.At, Text: n + " arrived"}, again
	case d.Error == "":
		return small{}, false
	case d.Status == muster.DeliveryFailed:
		return small{At: d.At, Text: n + " failed, given up: " + d.Error}, true
	}
	return small{At: d.At, Text: n + " failed: " + d.Error, Next: d.Next}, true
}
