package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"muster/api"
	"muster/client"
	"muster/internal/term"
)

func (a *app) eventCommand() *cobra.Command {
	cmd := group("event", "Show the changelog: who or what changed what, and when", "")
	cmd.AddCommand(a.eventLs())
	return cmd
}

func (a *app) eventLs() *cobra.Command {
	most, follow := 0, false
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List changes, the newest last", Args: args(0, 0),
		RunE: a.with(func(q asker, _ []string) error {
			if follow && a.output != "table" && a.output != "json" {
				return usagef("--follow shows a table or json")
			}
			events, err := collect(q.AllEvents(q, client.ListOptions{Limit: min(most, api.MaxLimit)}), most)
			if err != nil {
				return err
			}
			slices.Reverse(events)
			if !follow {
				return a.print(events, ids(events, func(e api.Event) string { return e.ID }), func() { a.writeEvents(events) })
			}
			for i := range events {
				a.writeEvent(&events[i])
			}
			return q.Follow(q, client.StreamOptions{Topics: []string{"events"}}, a.followed)
		}),
	}
	cmd.Flags().IntVarP(&most, "limit", "n", 50, "show at most so many; all when 0")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what happens from now on")
	return cmd
}

func (a *app) writeEvents(events []api.Event) {
	t := &term.Table{Columns: []term.Column{{Title: "when"}, {Title: "what", Most: 20, Drop: 3}, {Title: "who", Most: 14, Drop: 2}, {Title: "name", Most: 16}, {Title: "change", Most: 30}}}
	for i := range events {
		e := &events[i]
		t.Add(term.Cell{Text: e.At.Local().Format(time.DateTime), Ink: term.Dim}, term.Text(e.Kind), term.Text(e.Actor), term.Cell{Text: e.Name, Ink: term.Bold}, term.Text(e.Text))
	}
	t.Write(a.Paper)
}

// followed writes an event of the stream.
func (a *app) followed(m client.StreamEvent) error {
	if m.Kind == "resync" {
		fmt.Fprintln(a.err, "muster: some changes were left out; `muster event ls` has them all")
		return nil
	}
	var e api.Event
	if m.Kind == "event" && json.Unmarshal(m.Data, &e) == nil {
		a.writeEvent(&e)
	}
	return nil
}

func (a *app) writeEvent(e *api.Event) {
	if a.output == "json" {
		raw, _ := json.Marshal(e)
		fmt.Fprintf(a.Out, "%s\n", raw)
		return
	}
	line := []string{a.Paint(e.At.Local().Format(time.DateTime), term.Dim), term.Clean(e.Kind), term.Clean(e.Actor), a.Paint(term.Clean(e.Name), term.Bold), term.Clean(e.Text)}
	fmt.Fprintln(a.Out, strings.Join(line, "  "))
}
