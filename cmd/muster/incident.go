package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"muster"
	"muster/api"
	"muster/client"
	"muster/internal/sheet"
	"muster/internal/term"
)

func (a *app) incidentCommand() *cobra.Command {
	cmd := group("incident", "See what is wrong, take it, talk about it", "")
	cmd.AddCommand(a.incidentLs(), a.incidentShow(), a.incidentAck(), a.incidentComment(), a.incidentSilence())
	return cmd
}

// incidentArg explains how the verbs take an incident.
const incidentArg = "INCIDENT is its id, or the name of a node or check: then its newest is meant."

func (a *app) incidentLs() *cobra.Command {
	var o client.IncidentOptions
	var node, check string
	most := 0
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List incidents, the newest first; without flags those that are not resolved", Args: args(0, 0),
		RunE: a.with(func(q asker, _ []string) (err error) {
			if o.Node, err = nodeRef(q, node); err != nil {
				return err
			}
			if o.Check, err = a.checks().ref(q, check); err != nil {
				return err
			}
			if o.State == "all" {
				o.State = ""
			}
			o.Limit = min(most, api.MaxLimit)
			all, err := collect(q.Incidents(q, o), most)
			if err != nil {
				return err
			}
			return a.print(all, ids(all, func(in api.Incident) string { return in.ID }), func() {
				if len(all) == 0 {
					fmt.Fprintln(a.err, "There are none.")
					return
				}
				sheet.Incidents(all, time.Now()).Write(a.Paper)
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&o.State, "state", "unresolved", "open, acknowledged, unresolved (both), resolved or all")
	f.StringVar(&node, "node", "", "only those of this `node`, by name or id")
	f.StringVar(&check, "check", "", "only those of this `check`, when it belongs to no node")
	f.IntVarP(&most, "limit", "n", 50, "show at most so many; all when 0")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"open", "acknowledged", "unresolved", "resolved", "all"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// incident finds one by its id, or the newest of the node or check of that name or id.
func (a *app) incident(q asker, text string) (*api.Incident, error) {
	in, err := q.Incident(q, text)
	if !isMissing(err) {
		return in, err
	}
	o := client.IncidentOptions{Limit: 1}
	if o.Node, err = nodeRef(q, text); isMissing(err) {
		var c *api.Check
		if c, err = q.Checks().Find(q, text); err == nil {
			if o.Node = c.Node; o.Node == "" {
				o.Check = c.ID
			}
		}
	}
	if err == nil {
		for in, err := range q.Incidents(q, o) {
			if err != nil {
				return nil, err
			}
			return q.Incident(q, in.ID)
		}
		err = muster.ErrNotFound
	}
	return nil, gone(err, "incident", text, "muster incident ls")
}

func (a *app) incidentShow() *cobra.Command {
	return &cobra.Command{
		Use: "show INCIDENT", Short: "Show an incident with all that happened", Long: "Show an incident with all that happened. " + incidentArg, Args: args(1, 1), ValidArgsFunction: a.completeIncidents,
		RunE: a.with(func(q asker, args []string) error {
			in, err := a.incident(q, args[0])
			if err != nil {
				return err
			}
			return a.print(in, []string{in.ID}, func() { sheet.Incident(a.Paper, in, q.Names(q), time.Now()) })
		}),
	}
}

func (a *app) incidentAck() *cobra.Command {
	return &cobra.Command{
		Use: "ack INCIDENT...", Aliases: []string{"acknowledge"}, Short: "Take incidents, so that others know", Long: "Take incidents, so that others know. " + incidentArg, Args: args(1, -1), ValidArgsFunction: a.completeIncidents,
		RunE: a.with(func(q asker, args []string) error {
			for _, text := range args {
				in, err := a.incident(q, text)
				if err == nil {
					in, err = q.Acknowledge(q, in.ID)
				}
				if err != nil {
					return err
				}
				if err := a.print(in, []string{in.ID}, func() { a.Line("%s is %s", term.Clean(in.Title), in.State) }); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

func (a *app) incidentComment() *cobra.Command {
	return &cobra.Command{
		Use: "comment INCIDENT TEXT...", Short: "Say something of an incident; - reads what comes in", Long: "Say something of an incident. " + incidentArg, Args: args(2, -1), ValidArgsFunction: a.completeIncidents,
		Example: "  muster incident comment db-1 disk is on order\n  dmesg | tail | muster incident comment db-1 -",
		RunE: a.with(func(q asker, args []string) error {
			in, err := a.incident(q, args[0])
			if err != nil {
				return err
			}
			text := strings.Join(args[1:], " ")
			if text == "-" {
				if text, err = a.readFile("-"); err != nil {
					return err
				}
			}
			if in, err = q.Comment(q, in.ID, text); err != nil {
				return err
			}
			return a.print(in, []string{in.ID}, func() { a.Line("said of %s", term.Clean(in.Title)) })
		}),
	}
}

func (a *app) incidentSilence() *cobra.Command {
	var s api.Silence
	cmd := &cobra.Command{
		Use: "silence INCIDENT", Short: "Have nobody told of an incident's node or check for a while", Args: args(1, 1), ValidArgsFunction: a.completeIncidents,
		Long:    "Have nobody told of an incident's node or check for a while. That all is well again is still told. " + incidentArg,
		Example: "  muster incident silence db-1 --for 2h --reason 'disk is being changed'",
		RunE: a.with(func(q asker, args []string) error {
			in, err := a.incident(q, args[0])
			if err != nil {
				return err
			}
			made, err := q.Silence(q, in.ID, s)
			if err != nil {
				return err
			}
			return a.suppressions().print(q, made)
		}),
	}
	cmd.Flags().StringVar(&s.For, "for", "1h", "for how `long`: 1m to 30d")
	cmd.Flags().StringVar(&s.Reason, "reason", "", "`why`")
	return cmd
}

// completeIncidents completes the ids of incidents that are not resolved.
func (a *app) completeIncidents(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	c, err := a.client()
	if err != nil || len(args) > 0 && cmd.Name() != "ack" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var found []string
	for in, err := range c.Incidents(cmd.Context(), client.IncidentOptions{State: "unresolved"}) {
		if err == nil && strings.HasPrefix(in.ID, typed) {
			found = append(found, in.ID+"\t"+in.Title)
		}
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}
