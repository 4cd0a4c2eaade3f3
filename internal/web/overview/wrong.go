package overview

import (
	"context"
	"fmt"
	"strings"

	"muster"
	"muster/internal/inventory"
	"muster/internal/web/shell"
)

// wrong is all that is wrong now, each thing once.
type wrong struct {
	incidents []*muster.Incident
	troubles  []Trouble
	silent    []string // names of nodes that are silent and that no incident is about
}

// wrong finds what is wrong, and puts it into the body.
func (p *Page) wrong(ctx context.Context, b *body, rows []inventory.Row) (*wrong, error) {
	v := shell.Identity(ctx)
	w := &wrong{}
	if p.opts.Troubles != nil {
		w.troubles = p.opts.Troubles(ctx, v.Account)
	}
	if p.opts.Incidents != nil {
		var err error
		if b.Card, w.incidents, err = p.opts.Incidents(ctx, v); err != nil {
			return nil, fmt.Errorf("overview: %w", err)
		}
	}
	b.Troubles = w.troubles
	told := map[muster.NodeID]bool{}
	for _, in := range w.incidents {
		told[in.Node] = true
	}
	for i := range rows {
		if rows[i].Now.State != muster.Down {
			break // the worst come first
		}
		if told[rows[i].Node.ID] {
			continue
		}
		w.silent = append(w.silent, rows[i].Node.Name)
		if len(b.Silent) < silentShown {
			b.Silent = append(b.Silent, rows[i])
		} else {
			b.More++
		}
	}
	return w, nil
}

func (w *wrong) count() int { return len(w.incidents) + len(w.troubles) + len(w.silent) }

// sentence says it in one.
func (w *wrong) sentence() string {
	n := w.count()
	switch {
	case n == 0:
		return "All is well."
	case n == 1 && len(w.incidents) == 1:
		return strings.TrimRight(w.incidents[0].Title, ".") + "."
	case n == 1 && len(w.troubles) == 1:
		return w.troubles[0].Title + "."
	case n == 1:
		return w.silent[0] + " is silent."
	case n == len(w.silent):
		return words(n) + " nodes are silent."
	}
	return words(n) + " things are wrong."
}

// taken says who has the incidents; nothing when there are none.
func (w *wrong) taken() string {
	waiting := 0
	for _, in := range w.incidents {
		if in.State == muster.IncidentOpen {
			waiting++
		}
	}
	switch n := len(w.incidents); {
	case n == 0:
		return ""
	case waiting == 0 && n == 1:
		return "Somebody has it."
	case waiting == 0:
		return "Somebody has each of them."
	case n == 1:
		return "Nobody has acknowledged it yet."
	case waiting == n:
		return "Nobody has acknowledged them yet."
	}
	return "Nobody has acknowledged " + strings.ToLower(words(waiting)) + " of them."
}

// rests says what the sentence rests on: how many nodes and checks are fine, and of which nodes nobody can say.
func rests(t inventory.Totals, checks map[muster.CheckStatus]int) string {
	var fine, parts []string
	if t.Nodes > 1 {
		fine = append(fine, fmt.Sprintf("%s of %s nodes are up", group3(t.States[muster.Up]), group3(t.Nodes)))
	}
	all := 0
	for _, n := range checks {
		all += n
	}
	switch ok := checks[muster.StatusOK]; {
	case all > 1:
		fine = append(fine, fmt.Sprintf("%s of %s checks are fine", group3(ok), group3(all)))
	case all == 1 && ok == 1:
		fine = append(fine, "the one check is fine")
	}
	if len(fine) > 0 {
		parts = append(parts, strings.Join(fine, " and "))
	}
	for _, other := range []struct {
		state muster.NodeState
		text  string
	}{{muster.Stopped, "stopped on purpose"}, {muster.Pending, "not heard of yet"}, {muster.Unknown, "not heard of since the server started"}} {
		if n := t.States[other.state]; n > 0 {
			parts = append(parts, group3(n)+" "+other.text)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, ", ") + "."
}
