package incidents

import (
	"strings"
	"time"

	"muster"
	"muster/internal/alarm/rules"
	"muster/internal/web/shell"
)

// row is an incident as lists show it.
type row struct {
	ID       muster.IncidentID
	Title    string
	Why      string
	Level    muster.Level
	Word     string // of the level: "Critical"
	Resolved bool
	OpenedAt time.Time
	EndedAt  time.Time
	Lasted   string // how long it was open, once it is over
	Holder   string // who has it
	May      bool   // the viewer may acknowledge it, and nobody has
	CSRF     string
	Back     string // where the form leads back to
}

func (p *Page) rows(v shell.Viewer, list []*muster.Incident, back string) []row {
	out := make([]row, len(list))
	for i, in := range list {
		out[i] = p.row(v, in)
		out[i].CSRF, out[i].Back = v.CSRF, back
	}
	return out
}

func (p *Page) row(v shell.Viewer, in *muster.Incident) row {
	r := row{
		ID: in.ID, Title: in.Title, Why: why(in), Level: in.Level, Word: capital(string(in.Level)), OpenedAt: in.OpenedAt,
		Holder: p.name(in.Account, in.AcknowledgedBy), May: in.State == muster.IncidentOpen && v.Role.May(muster.Operator),
	}
	if in.State == muster.IncidentResolved {
		r.Resolved, r.EndedAt, r.Lasted = true, in.ResolvedAt, rules.Span(max(in.ResolvedAt.Sub(in.OpenedAt), time.Second))
	}
	return r
}

// why gives what the worst that fires says; of what is over, what the worst that fired said.
func why(in *muster.Incident) string {
	var level muster.Level
	text := ""
	for i := range in.Open {
		if f := &in.Open[i]; text == "" || f.Level.Worse(level) {
			level, text = f.Level, f.Why
		}
	}
	if text != "" {
		return text
	}
	for i := range in.Transitions {
		if t := &in.Transitions[i]; t.To == muster.AlarmFiring && (text == "" || t.Level.Worse(level)) {
			level, text = t.Level, t.Why
		}
	}
	return text
}

func capital(word string) string {
	if word == "" {
		return ""
	}
	return strings.ToUpper(word[:1]) + word[1:]
}
