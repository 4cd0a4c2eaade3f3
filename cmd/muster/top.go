package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"muster/client"
	"muster/internal/top"
)

func (a *app) topCommand() *cobra.Command {
	var query, sort string
	cmd := &cobra.Command{
		Use: "top [QUERY...]", Short: "Watch the nodes live in the terminal",
		Long: "Watch the nodes live. Keys: s state, n name, c CPU, m memory, d disk, l load, w network (again: the other way round),\n" +
			"/ filter by name or tag, esc all, arrows, page up and down, q end.",
		RunE: func(cmd *cobra.Command, args []string) error {
			query = strings.Join(args, " ")
			c, err := a.client()
			if err != nil {
				return err
			}
			if a.Width == 0 || a.output != "table" {
				nodes, err := collect(c.AllNodes(cmd.Context(), client.ListOptions{Query: query}), 0)
				if err != nil {
					return err
				}
				return a.printNodes(nodes)
			}
			if !slices.Contains(top.Sorts(), sort) {
				return usagef("--sort %q: it must be name, state, cpu, memory, disk, load or net", sort)
			}
			return top.Watch(cmd.Context(), top.Options{Client: c, Query: query, Sort: sort, Width: a.Width, Colour: a.Colour, Show: a.screen})
		},
	}
	cmd.Flags().StringVar(&sort, "sort", "state", "`field`: name, state, cpu, memory, disk, load or net")
	return cmd
}
