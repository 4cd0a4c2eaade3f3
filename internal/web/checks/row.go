package checks

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/roster"
	"muster/internal/web/shell"
)

// row is one line of the table, ready for the template.
type row struct {
	ID      string
	Name    string
	Node    string // name of the node it belongs to
	Kind    string
	Target  string
	State   string // a status, or "off"
	Since   time.Time
	Summary string // what the last run said
	Class   string // of the error
	Took    string
	Up      string // "99.95 %"
	UpLong  string
	Runs    []shell.Run
	Seen    time.Time
	Sum     string // another one when the row would look different
}

// present makes rows of checks, with their uptime.
func (p *Page) present(ctx context.Context, account muster.AccountID, rows []roster.Row) []row {
	ups := p.uptimes(ctx, account, rows)
	out := make([]row, len(rows))
	for i := range rows {
		out[i] = p.row(account, &rows[i])
		if up, ok := ups[rows[i].Check.ID]; ok && up.Known {
			out[i].Up, out[i].UpLong = up.Text(), up.Words(day, p.opts.Shell.Now())+" in the last 24 h"
		}
		out[i].Sum = out[i].sum()
	}
	return out
}

func (p *Page) row(account muster.AccountID, r *roster.Row) row {
	c := r.Check
	out := row{
		ID: string(c.ID), Name: c.Name, Kind: c.Kind, Target: c.Target, State: standing(r), Since: r.Since, Node: p.nodeName(account, c.Node),
		Runs: runs(r.Recent), Took: "—",
	}
	if len(r.Last) > 0 {
		said := worst(r)
		out.Summary, out.Class, out.Seen = summary(said), said.Class, last(r)
		if d := took(r); d > 0 {
			out.Took = check.Took(d)
		}
	}
	switch {
	case out.State == off:
		out.Since, out.Summary, out.Class = time.Time{}, "switched off", ""
	case len(r.Last) == 0:
		out.Summary = waiting(c)
	}
	return out
}

// summary says in one line what a run gave: the error's own words where there is one.
func summary(r *muster.Result) string {
	if r.Error != "" {
		return r.Error
	}
	return r.Summary
}

// waiting says when the first result of a check comes.
func waiting(c *muster.Check) string {
	if c.Kind == roster.KindPush {
		return "waiting for its first call"
	}
	return "runs within " + shell.Span(c.Period)
}

func runs(beats []roster.Beat) []shell.Run {
	out := make([]shell.Run, len(beats))
	for i, b := range beats {
		out[i] = shell.Run{Status: b.Status, At: b.At}
	}
	return out
}

// nodeName gives the name of a node; "" for none.
func (p *Page) nodeName(account muster.AccountID, id muster.NodeID) string {
	if id.IsZero() {
		return ""
	}
	if n := p.opts.Fleet.Node(account, id); n != nil {
		return n.Name
	}
	return "a node that is gone"
}

// sum gives a short text that is another one when the row looks different, but for what ticks by itself.
func (r *row) sum() string {
	h := fnv.New32a()
	fmt.Fprintln(h, r.Name, r.Node, r.Kind, r.Target, r.State, r.Since.UnixMilli(), r.Summary, r.Class, r.Took, r.Up, r.Seen.UnixMilli())
	for _, run := range r.Runs {
		fmt.Fprint(h, run.Status, run.At.UnixMilli())
	}
	return hex.EncodeToString(h.Sum(nil))
}
