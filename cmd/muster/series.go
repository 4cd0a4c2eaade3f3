package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"muster"
	"muster/api"
	"muster/client"
	"muster/internal/sheet"
)

func (a *app) seriesCommand() *cobra.Command {
	var q client.SeriesQuery
	var attrs []string
	height := 0
	cmd := &cobra.Command{
		Use: "series METRIC [NODE...]", Short: "Show one metric over a time", Args: args(1, -1),
		Long: "Show one metric of some or all nodes over a time: a graph for one line, a sparkline for each of several,\n" +
			"and to a pipe one line for each point: node, attributes, time, minimum, average, maximum.",
		Example: "  muster series system.cpu.utilization web-1 --attr cpu.mode:user --from=-6h\n  muster series system.load.1m\n  muster series system.memory.usage web-1 -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			names := map[string]string{}
			for _, name := range args[1:] {
				n, err := findNode(cmd.Context(), c, name)
				if err != nil {
					return err
				}
				q.Nodes = append(q.Nodes, n.ID)
				names[n.ID] = n.Name
			}
			if q.Attributes, err = parseAttributes(attrs); err != nil {
				return err
			}
			q.Metric = args[0]
			if q.Points == 0 && a.output == "table" && a.Width > 0 {
				q.Points = max(20, a.Width-sheet.LabelWidth)
			}
			s, err := c.Series(cmd.Context(), q)
			if err != nil {
				return err
			}
			if len(s.Series) == 0 && a.output == "table" {
				return nothingMeasured(q)
			}
			if err := a.nameNodes(cmd, c, s, names); err != nil {
				return err
			}
			return a.print(s, lineNames(s, names), func() { sheet.Series(a.Paper, s, names, height) })
		},
		ValidArgsFunction: a.completeSeries,
	}
	f := cmd.Flags()
	f.StringVar(&q.From, "from", "-1h", "`time`: RFC 3339, now or -1h; write it --from=-6h")
	f.StringVar(&q.To, "to", "now", "`time`: RFC 3339, now or -1h")
	f.StringVar(&q.Fn, "fn", "", "`function`: avg, min, max, sum, last, count, rate or raw")
	f.IntVar(&q.Points, "points", 0, "at most so many points; what fits when 0")
	f.StringSliceVarP(&attrs, "attr", "a", nil, "only lines with this `key:value`; may be repeated")
	f.IntVar(&height, "height", 12, "lines of the graph")
	return cmd
}

func parseAttributes(attrs []string) (map[string]string, error) {
	out := map[string]string{}
	for _, text := range attrs {
		at := strings.IndexAny(text, ":=")
		if at <= 0 {
			return nil, usagef("--attr %q: write it key:value", text)
		}
		out[text[:at]] = text[at+1:]
	}
	return out, nil
}

func nothingMeasured(q client.SeriesQuery) error {
	what := "nothing was measured of " + q.Metric
	if len(q.Attributes) > 0 {
		raw, _ := json.Marshal(q.Attributes)
		what += " with " + string(raw)
	}
	return notThere{fmt.Errorf("%w: %s in that time", muster.ErrNotFound, what), "`muster node metrics NODE` lists what a node measures."}
}

// nameNodes finds the names of the nodes in an answer about all of them.
func (a *app) nameNodes(cmd *cobra.Command, c *client.Client, s *api.Series, names map[string]string) error {
	missing := false
	for i := range s.Series {
		_, known := names[s.Series[i].Node]
		missing = missing || !known
	}
	if !missing {
		return nil
	}
	for n, err := range c.AllNodes(cmd.Context(), client.ListOptions{}) {
		if err != nil {
			return err
		}
		names[n.ID] = n.Name
	}
	return nil
}

func lineNames(s *api.Series, names map[string]string) []string {
	out := make([]string, len(s.Series))
	for i := range s.Series {
		out[i] = sheet.LineName(&s.Series[i], names)
	}
	return out
}

// completeSeries completes nodes' names behind the metric.
func (a *app) completeSeries(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return a.completeNodes(cmd, nil, typed)
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}
