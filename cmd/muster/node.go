package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"muster/api"
	"muster/client"
	"muster/internal/sheet"
	"muster/internal/term"
)

func (a *app) nodeCommand() *cobra.Command {
	cmd := group("node", "List and change nodes", "")
	cmd.AddCommand(a.nodeLs(), a.nodeShow(), a.nodeMetrics(), a.nodeTag(), a.nodeRename(), a.nodeWatch("watch", true), a.nodeWatch("unwatch", false), a.nodeRm())
	return cmd
}

func (a *app) nodeLs() *cobra.Command {
	var o client.ListOptions
	most := 0
	cmd := &cobra.Command{
		Use: "ls [QUERY...]", Aliases: []string{"list"}, Short: "List nodes",
		Long:    "List the nodes that match a query of the node query language, all of them without one.",
		Example: "  muster node ls\n  muster node ls tag:web not state:down 'cpu>80' --sort=-cpu\n  muster node ls -o name | xargs -n1 muster node show",
		RunE: a.with(func(q asker, args []string) error {
			o.Query = strings.Join(args, " ")
			nodes, err := collect(q.AllNodes(q, o), most)
			if err != nil {
				return err
			}
			return a.printNodes(nodes)
		}),
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
		t := sheet.Nodes(nodes, time.Now())
		t.Write(a.Paper)
	})
}

func (a *app) nodeShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NODE", Short: "Show one node", Args: args(1, 1), ValidArgsFunction: a.completeNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			n, _, err := a.node(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.print(n, []string{n.Name}, func() { sheet.Node(a.Paper, n, time.Now()) })
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
					return !strings.Contains(m.Metric+" "+sheet.Attributes(m.Attributes), args[1])
				})
			}
			return a.print(all, metricNames(all), func() { sheet.Metrics(a.Paper, all).Write(a.Paper) })
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
				fmt.Fprintf(a.Out, "%s has the tags: %s\n", term.Clean(n.Name), term.Clean(strings.Join(n.Tags, " ")))
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
			return a.print(n, []string{n.Name}, func() { fmt.Fprintf(a.Out, "%s is called %s now\n", term.Clean(old), term.Clean(n.Name)) })
		},
	}
}

func (a *app) nodeWatch(word string, watched bool) *cobra.Command {
	short, now := "Have alarms look at nodes again", "is watched"
	if !watched {
		short, now = "Have no alarm look at nodes, until they are watched again", "is not watched: no alarm looks at it"
	}
	return &cobra.Command{
		Use: word + " NODE...", Short: short, Args: args(1, -1), ValidArgsFunction: a.completeNodes,
		RunE: a.with(func(q asker, args []string) error {
			for _, name := range args {
				n, err := findNode(q, q.Client, name)
				if err == nil {
					n, err = q.EditNode(q, n.ID, n.Rev, api.NodeEdit{Watched: &watched})
				}
				if err != nil {
					return err
				}
				if err := a.print(n, []string{n.Name}, func() { a.Line("%s %s", term.Clean(n.Name), now) }); err != nil {
					return err
				}
			}
			return nil
		}),
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
				fmt.Fprintln(a.err, term.Clean(n.Name), "is forgotten")
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// confirm asks for a word to be typed, for what can't be undone.
func (a *app) confirm(question, word string) bool {
	fmt.Fprintf(a.err, "%s Type %s: ", term.Clean(question), term.Clean(word))
	var typed string
	if _, err := fmt.Fscanln(a.in, &typed); err != nil {
		fmt.Fprintln(a.err)
		return false
	}
	return typed == word
}

// completeNodes completes the first argument to a node's name.
func (a *app) completeNodes(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 && !strings.HasSuffix(cmd.Use, " NODE...") {
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
