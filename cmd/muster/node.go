package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"muster/api"
	"muster/client"
)

func (a *app) nodeCommand() *cobra.Command {
	cmd := group("node", "List and change nodes", "")
	cmd.AddCommand(a.nodeLs(), a.nodeShow(), a.nodeMetrics(), a.nodeTag(), a.nodeRename(), a.nodeRm())
	return cmd
}

func (a *app) nodeLs() *cobra.Command {
	var o client.ListOptions
	most := 0
	cmd := &cobra.Command{
		Use: "ls [QUERY...]", Aliases: []string{"list"}, Short: "List nodes",
		Long:    "List the nodes that match a query of the node query language, all of them without one.",
		Example: "  muster node ls\n  muster node ls tag:web not state:down 'cpu>80' --sort=-cpu\n  muster node ls -o name | xargs -n1 muster node show",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Query = strings.Join(args, " ")
			c, err := a.client()
			if err != nil {
				return err
			}
			nodes, err := collect(c.AllNodes(cmd.Context(), o), most)
			if err != nil {
				return err
			}
			return a.printNodes(nodes)
		},
	}
	cmd.Flags().StringVar(&o.Sort, "sort", "", "`field`: name, state, cpu, memory, disk, load, net or seen; --sort=-cpu is highest first")
	cmd.Flags().IntVar(&most, "limit", 0, "show at most so many")
	return cmd
}

func (a *app) printNodes(nodes []api.Node) error {
	names := make([]string, len(nodes))
	for i := range nodes {
		names[i] = nodes[i].Name
	}
	return a.print(nodes, names, func() {
		if len(nodes) == 0 {
			fmt.Fprintln(a.err, "There are no such nodes. `muster enroll` shows how a machine joins.")
			return
		}
		t := nodeTable(nodes, time.Now())
		t.write(a.out, a.width, a.colour)
	})
}

// nodeTable lays nodes out.
func nodeTable(nodes []api.Node, now time.Time) *table {
	t := &table{columns: []column{
		{title: "name", most: 24}, {title: "state"}, {title: "cpu", right: true, least: 4}, {title: "mem", right: true, least: 4}, {title: "disk", right: true, least: 4},
		{title: "load", right: true, drop: 4, least: 5}, {title: "in", right: true, drop: 5, least: 10}, {title: "out", right: true, drop: 5, least: 10}, {title: "seen", right: true, drop: 1, least: 4},
		{title: "os", drop: 6, most: 12}, {title: "address", drop: 3}, {title: "tags", drop: 2, most: 16},
	}}
	for i := range nodes {
		n := &nodes[i]
		name := cell{text: n.Name}
		if n.Star {
			name.shape = "★"
		}
		row := []cell{name, stateCell(n.State), text(percent(n.Now.CPU)), text(percent(n.Now.Memory)), text(percent(n.Now.Disk)),
			text(""), text(rate(n.Now.NetIn)), text(rate(n.Now.NetOut)), text(since(n.LastSeen, now)), text(osOf(n)), text(""), text(strings.Join(n.Tags, " "))}
		if n.Now.Load != nil {
			row[5].text = fmt.Sprintf("%.2f", *n.Now.Load)
		}
		if len(n.Addresses) > 0 {
			row[10].text = n.Addresses[0]
		}
		if n.State != "up" { // what was measured is old
			for c := 2; c < len(row); c++ {
				row[c].ink = dim
			}
		}
		t.add(row...)
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

func (a *app) nodeShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NODE", Short: "Show one node", Args: args(1, 1), ValidArgsFunction: a.completeNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			n, _, err := a.node(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.print(n, []string{n.Name}, func() { a.showNode(n, time.Now()) })
		},
	}
}

// node finds a node by name or id.
func (a *app) node(ctx context.Context, nameOrID string) (*api.Node, *client.Client, error) {
	c, err := a.client()
	if err != nil {
		return nil, nil, err
	}
	n, err := findNode(ctx, c, nameOrID)
	return n, c, err
}

func (a *app) showNode(n *api.Node, now time.Time) {
	s := stateCell(n.State)
	fmt.Fprintf(a.out, "%s  %s", paint(clean(n.Name), bold, a.colour), paint(s.shape+" "+clean(s.text), s.ink, a.colour))
	if n.StateSince != nil {
		fmt.Fprintf(a.out, " since %s (%s)", n.StateSince.Local().Format("2 Jan 15:04"), since(n.StateSince, now))
	}
	fmt.Fprintln(a.out)
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
		add("last seen", n.LastSeen.Local().Format(time.DateTime)+" ("+strings.Replace(since(n.LastSeen, now)+" ago)", "now ago", "just now", 1))
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
	add("cpu", percent(n.Now.CPU))
	add("memory", percent(n.Now.Memory))
	add("disk", strings.TrimSpace(percent(n.Now.Disk)+" "+n.Now.DiskMount))
	if n.Now.Load != nil {
		add("load", fmt.Sprintf("%.2f", *n.Now.Load))
	}
	if n.Now.Uptime != nil {
		add("uptime", ago(time.Duration(*n.Now.Uptime*float64(time.Second))))
	}
	if n.Now.NetIn != nil && n.Now.NetOut != nil {
		add("network", rate(n.Now.NetIn)+" in, "+rate(n.Now.NetOut)+" out")
	}
	for _, key := range sortedKeys(n.Facts) {
		add(key, n.Facts[key])
	}
	a.pairs(rows)
	if n.Notes != "" {
		fmt.Fprintln(a.out)
		for line := range strings.Lines(n.Notes) {
			fmt.Fprintln(a.out, "  "+clean(strings.TrimRight(line, "\r\n")))
		}
	}
}

// pairs writes names and values below each other.
func (a *app) pairs(rows [][2]string) {
	widest := 0
	for _, r := range rows {
		widest = max(widest, len(r[0]))
	}
	for _, r := range rows {
		fmt.Fprintf(a.out, "  %s  %s\n", paint(fmt.Sprintf("%-*s", widest, clean(r[0])), dim, a.colour), clean(r[1]))
	}
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func (a *app) nodeMetrics() *cobra.Command {
	return &cobra.Command{
		Use: "metrics NODE [TEXT]", Short: "List what a node measures, with the newest values", Args: args(1, 2), ValidArgsFunction: a.completeNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			n, c, err := a.node(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			all, err := c.NodeMetrics(cmd.Context(), n.ID)
			if err != nil {
				return err
			}
			if len(args) > 1 {
				all = slices.DeleteFunc(all, func(m api.MetricNow) bool {
					return !strings.Contains(m.Metric+" "+attributesText(m.Attributes), args[1])
				})
			}
			return a.print(all, metricNames(all), func() { a.metricTable(all).write(a.out, a.width, a.colour) })
		},
	}
}

func metricNames(all []api.MetricNow) []string {
	var names []string
	for _, m := range all {
		names = append(names, m.Metric)
	}
	return slices.Compact(names)
}

func (a *app) metricTable(all []api.MetricNow) *table {
	t := &table{columns: []column{{title: "metric", most: 24}, {title: "attributes", most: 12}, {title: "value", right: true}, {title: "unit", drop: 2}, {title: "type", drop: 1}}}
	for _, m := range all {
		value := ""
		if m.Last != nil {
			value = figure(m.Last.Value, m.Metric, m.Unit)
		}
		t.add(text(m.Metric), cell{text: a.attributes(m.Attributes), ink: dim}, text(value), cell{text: m.Unit, ink: dim}, cell{text: m.Type, ink: dim})
	}
	return t
}

func (a *app) nodeTag() *cobra.Command {
	return &cobra.Command{
		Use: "tag NODE [+]TAG|-TAG...", Short: "Add and remove tags", Args: args(2, -1), ValidArgsFunction: a.completeNodes,
		Long:    "Add tags, and remove those with a minus before them. Put -- before the node when the first one has a minus.",
		Example: "  muster node tag web-1 env=prod web\n  muster node tag -- web-1 -old",
		RunE: func(cmd *cobra.Command, args []string) error {
			n, c, err := a.node(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			tags := retag(n.Tags, args[1:])
			n, err = c.EditNode(cmd.Context(), n.ID, n.Rev, api.NodeEdit{Tags: &tags})
			if err != nil {
				return err
			}
			return a.print(n, []string{n.Name}, func() {
				fmt.Fprintf(a.out, "%s has the tags: %s\n", clean(n.Name), clean(strings.Join(n.Tags, " ")))
			})
		},
	}
}

// retag adds and removes tags. A tag with a value takes the place of one with the same key.
func retag(tags, changes []string) []string {
	out := slices.Clone(tags)
	for _, change := range changes {
		if gone, remove := strings.CutPrefix(change, "-"); remove {
			out = slices.DeleteFunc(out, func(t string) bool { return t == gone })
			continue
		}
		tag := strings.TrimPrefix(change, "+")
		if key, _, valued := strings.Cut(tag, "="); valued {
			out = slices.DeleteFunc(out, func(t string) bool { return strings.HasPrefix(t, key+"=") })
		}
		out = append(out, tag)
	}
	slices.Sort(out)
	if out = slices.Compact(out); out == nil {
		out = []string{}
	}
	return out
}

func (a *app) nodeRename() *cobra.Command {
	return &cobra.Command{
		Use: "rename NODE NAME", Short: "Give a node another name", Args: args(2, 2), ValidArgsFunction: a.completeNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			n, c, err := a.node(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			old := n.Name
			n, err = c.EditNode(cmd.Context(), n.ID, n.Rev, api.NodeEdit{Name: &args[1]})
			if err != nil {
				return err
			}
			return a.print(n, []string{n.Name}, func() { fmt.Fprintf(a.out, "%s is called %s now\n", clean(old), clean(n.Name)) })
		},
	}
}

func (a *app) nodeRm() *cobra.Command {
	yes := false
	cmd := &cobra.Command{
		Use: "rm NODE...", Aliases: []string{"delete"}, Short: "Forget nodes", Args: args(1, -1), ValidArgsFunction: a.completeNodes,
		Long: "Forget nodes: their agents are refused from then on and must be enrolled anew. This can't be undone.",
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, name := range args {
				n, c, err := a.node(cmd.Context(), name)
				if err != nil {
					return err
				}
				if !yes && !a.confirm(fmt.Sprintf("Forget %s (%s) for good?", n.Name, n.ID), n.Name) {
					return fmt.Errorf("%s was not forgotten: type its name when asked, or give --yes", n.Name)
				}
				if err := c.DeleteNode(cmd.Context(), n.ID, 0); err != nil {
					return err
				}
				fmt.Fprintln(a.err, clean(n.Name), "is forgotten")
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// confirm asks for a word to be typed, for what can't be undone.
func (a *app) confirm(question, word string) bool {
	fmt.Fprintf(a.err, "%s Type %s: ", clean(question), clean(word))
	var typed string
	if _, err := fmt.Fscanln(a.in, &typed); err != nil {
		fmt.Fprintln(a.err)
		return false
	}
	return typed == word
}

// completeNodes completes the first argument to a node's name.
func (a *app) completeNodes(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 && cmd.Name() != "rm" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, err := a.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for n, err := range c.AllNodes(cmd.Context(), client.ListOptions{}) {
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		if strings.HasPrefix(n.Name, typed) {
			names = append(names, n.Name+"\t"+n.State)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
