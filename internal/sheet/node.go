package sheet

import (
	"fmt"
	"strings"
	"time"

	"muster/api"
	"muster/internal/term"
)

// Nodes lays nodes out.
func Nodes(nodes []api.Node, now time.Time) *term.Table {
	t := &term.Table{Columns: []term.Column{
		{Title: "name", Most: 24}, {Title: "state"}, {Title: "cpu", Right: true, Least: 4}, {Title: "mem", Right: true, Least: 4}, {Title: "disk", Right: true, Least: 4},
		{Title: "load", Right: true, Drop: 4, Least: 5}, {Title: "in", Right: true, Drop: 5, Least: 10}, {Title: "out", Right: true, Drop: 5, Least: 10}, {Title: "seen", Right: true, Drop: 1, Least: 4},
		{Title: "os", Drop: 6, Most: 12}, {Title: "address", Drop: 3}, {Title: "tags", Drop: 2, Most: 16},
	}}
	for i := range nodes {
		n := &nodes[i]
		name := term.Cell{Text: n.Name}
		if n.Star {
			name.Shape = "★"
		}
		row := []term.Cell{name, State(n.State), term.Text(term.Percent(n.Now.CPU)), term.Text(term.Percent(n.Now.Memory)), term.Text(term.Percent(n.Now.Disk)),
			term.Text(""), term.Text(term.Rate(n.Now.NetIn)), term.Text(term.Rate(n.Now.NetOut)), term.Text(term.Since(n.LastSeen, now)), term.Text(osOf(n)), term.Text(""), term.Text(strings.Join(n.Tags, " "))}
		if n.Now.Load != nil {
			row[5].Text = fmt.Sprintf("%.2f", *n.Now.Load)
		}
		if len(n.Addresses) > 0 {
			row[10].Text = n.Addresses[0]
		}
		if n.State != "up" { // what was measured is old
			for c := 2; c < len(row); c++ {
				row[c].Ink = term.Dim
			}
		}
		t.Add(row...)
	}
	return t
}

// osOf names a node's operating system as shortly as it can.
func osOf(n *api.Node) string {
	for _, key := range []string{"os.name", "os.description", "os.type"} {
		if v := n.Facts[key]; v != "" {
			return strings.TrimSpace(strings.TrimSuffix(v, " GNU/Linux") + " " + n.Facts["os.version"])
		}
	}
	return ""
}

// Node shows all that is known of a node.
func Node(p term.Paper, n *api.Node, now time.Time) {
	s := State(n.State)
	fmt.Fprintf(p.Out, "%s  %s", p.Paint(term.Clean(n.Name), term.Bold), p.Paint(s.Shape+" "+term.Clean(s.Text), s.Ink))
	if n.StateSince != nil {
		fmt.Fprintf(p.Out, " since %s (%s)", n.StateSince.Local().Format("2 Jan 15:04"), term.Since(n.StateSince, now))
	}
	fmt.Fprintln(p.Out)
	var rows [][2]string
	add := func(key, value string) {
		if value != "" {
			rows = append(rows, [2]string{key, value})
		}
	}
	add("id", n.ID)
	add("hostname", n.Hostname)
	add("addresses", strings.Join(n.Addresses, " "))
	add("tags", strings.Join(n.Tags, " "))
	add("colour", n.Colour)
	if n.LastSeen != nil {
		add("last seen", n.LastSeen.Local().Format(time.DateTime)+" ("+strings.Replace(term.Since(n.LastSeen, now)+" ago)", "now ago", "just now", 1))
	}
	if g := n.Agent; g != nil {
		connected := "not connected"
		if g.Connected {
			connected = "connected"
		}
		add("agent", strings.TrimSpace(g.Version+" "+connected+", every "+g.Period))
		if g.ClockOff != "" {
			add("clock", "off by "+g.ClockOff)
		}
		if g.Farewell != nil {
			add("left", g.Farewell.Reason+" at "+g.Farewell.At.Local().Format(time.DateTime))
		}
	}
	if !n.Watched {
		add("watched", "no: no alarm looks at it")
	}
	add("cpu", term.Percent(n.Now.CPU))
	add("memory", term.Percent(n.Now.Memory))
	add("disk", strings.TrimSpace(term.Percent(n.Now.Disk)+" "+n.Now.DiskMount))
	if n.Now.Load != nil {
		add("load", fmt.Sprintf("%.2f", *n.Now.Load))
	}
	if n.Now.Uptime != nil {
		add("uptime", term.Ago(time.Duration(*n.Now.Uptime*float64(time.Second))))
	}
	if n.Now.NetIn != nil && n.Now.NetOut != nil {
		add("network", term.Rate(n.Now.NetIn)+" in, "+term.Rate(n.Now.NetOut)+" out")
	}
	for _, key := range keys(n.Facts) {
		add(key, n.Facts[key])
	}
	p.Pairs(rows)
	if n.Notes != "" {
		fmt.Fprintln(p.Out)
		for line := range strings.Lines(n.Notes) {
			fmt.Fprintln(p.Out, "  "+term.Clean(strings.TrimRight(line, "\r\n")))
		}
	}
}

// Metrics lays out what a node measures.
func Metrics(p term.Paper, all []api.MetricNow) *term.Table {
	t := &term.Table{Columns: []term.Column{{Title: "metric", Most: 24}, {Title: "attributes", Most: 12}, {Title: "value", Right: true}, {Title: "unit", Drop: 2}, {Title: "type", Drop: 1}}}
	for _, m := range all {
		value := ""
		if m.Last != nil {
			value = term.Figure(m.Last.Value, m.Metric, m.Unit)
		}
		t.Add(term.Text(m.Metric), term.Cell{Text: attributes(p, m.Attributes), Ink: term.Dim}, term.Text(value), term.Cell{Text: m.Unit, Ink: term.Dim}, term.Cell{Text: m.Type, Ink: term.Dim})
	}
	return t
}
