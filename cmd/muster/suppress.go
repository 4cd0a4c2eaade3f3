package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"muster/api"
	"muster/client"
	"muster/internal/sheet"
)

func (a *app) suppressions() kind[api.SuppressionNew, api.Suppression] {
	return kind[api.SuppressionNew, api.Suppression]{
		app: a, verb: "suppress", one: "suppression", none: "There are none: everybody is told of everything.",
		in: (*client.Client).Suppressions,
		said: func(s *api.Suppression) api.SuppressionNew {
			return api.SuppressionNew{Name: s.Name, Query: s.Query, Node: s.Node, Check: s.Check, Alarm: s.Alarm,
				From: s.From.Format(time.RFC3339Nano), Length: s.Length, Rule: s.Rule, Zone: s.Zone, Reason: s.Reason}
		},
		meta: func(s *api.Suppression) (api.Object, string) {
			if s.Active {
				return s.Object, "quiet"
			}
			return s.Object, ""
		},
		table: sheet.Suppressions, show: sheet.Suppression,
	}
}

func (a *app) suppressCommand() *cobra.Command {
	k := a.suppressions()
	cmd := group("suppress", "Have nobody told for a while; measuring goes on", "")
	cmd.AddCommand(a.suppressNow(), a.suppressAdd(), k.ls(), k.shows(), k.rm(),
		k.edit("  muster suppress edit 'nightly backup' --for 3h", func(f *pflag.FlagSet) func(asker, *api.SuppressionNew) error {
			o := &suppressFlags{}
			o.register(f, true)
			return func(q asker, s *api.SuppressionNew) error { return a.applySuppression(o, q, s) }
		}))
	return cmd
}

// suppressFlags say what a suppression is.
type suppressFlags struct {
	api.SuppressionNew
	node, check, alarm string
}

func (o *suppressFlags) register(f *pflag.FlagSet, whole bool) {
	f.StringVar(&o.node, "node", "", "of this `node` alone, by name or id")
	f.StringVar(&o.check, "check", "", "of this `check` alone, by name or id")
	f.StringVar(&o.alarm, "alarm", "", "of this `alarm` alone, by name or id")
	f.StringVar(&o.Length, "for", "1h", "how `long`: 30m, 2h, 7d")
	f.StringVar(&o.Reason, "reason", "", "`why`")
	if whole {
		f.StringVar(&o.Query, "query", "", "of the nodes that match this `query`; all for all nodes and checks")
		f.StringVar(&o.Name, "name", "", "its `name`")
		f.StringVar(&o.From, "from", "now", "when it begins, the first `time`: RFC 3339, now or +2h")
		f.StringVar(&o.Rule, "rule", "", "how it repeats, an RFC 5545 `rule`: FREQ=WEEKLY;BYDAY=SA,SU")
		f.StringVar(&o.Zone, "time-zone", "", "the `zone` that the rule is meant in: Europe/Berlin; UTC without")
	}
}

// applySuppression puts what the flags say into a suppression.
func (a *app) applySuppression(o *suppressFlags, q asker, s *api.SuppressionNew) (err error) {
	for name, text := range map[string]struct{ from, into *string }{
		"for": {&o.Length, &s.Length}, "reason": {&o.Reason, &s.Reason}, "query": {&o.Query, &s.Query}, "name": {&o.Name, &s.Name},
		"from": {&o.From, &s.From}, "rule": {&o.Rule, &s.Rule}, "time-zone": {&o.Zone, &s.Zone},
	} {
		if q.flags.Changed(name) || *text.into == "" && q.flags.Lookup(name) != nil {
			*text.into = *text.from
		}
	}
	if q.flags.Changed("node") {
		if s.Node, err = nodeRef(q, o.node); err != nil {
			return err
		}
	}
	if q.flags.Changed("check") {
		if s.Check, err = a.checks().ref(q, o.check); err != nil {
			return err
		}
	}
	if q.flags.Changed("alarm") {
		s.Alarm, err = a.alarms().ref(q, o.alarm)
	}
	return err
}

// suppress makes one of what the flags and a query say. To hold everything back somebody must say so.
func (a *app) suppress(o *suppressFlags, q asker, query []string) error {
	s := api.SuppressionNew{Query: strings.Join(query, " ")}
	if err := a.applySuppression(o, q, &s); err != nil {
		return err
	}
	if s.Query+s.Node+s.Check+s.Alarm == "" {
		return usagef("say of what: a query, --node, --check or --alarm; all for everything")
	}
	made, err := q.Suppressions().New(q, s)
	if err != nil {
		return err
	}
	return a.suppressions().print(q, made)
}

func (a *app) suppressNow() *cobra.Command {
	o := &suppressFlags{}
	cmd := &cobra.Command{
		Use: "now [QUERY...]", Short: "Have nobody told from now on, for an hour or as long as --for says",
		Long:    "Have nobody told of the nodes that match a query, from now on. That all is well again is still told of what was told before.",
		Example: "  muster suppress now tag:web --for 2h --reason 'new kernel'\n  muster suppress now --check shop\n  muster suppress now all --for 10m",
		RunE:    a.with(func(q asker, args []string) error { return a.suppress(o, q, args) }),
	}
	o.register(cmd.Flags(), false)
	return cmd
}

func (a *app) suppressAdd() *cobra.Command {
	o := &suppressFlags{}
	cmd := &cobra.Command{
		Use: "add NAME [QUERY...]", Short: "Plan times in which nobody is told, once or again and again", Args: args(1, -1),
		Example: "  muster suppress add 'nightly backup' tag:db --from 2026-01-31T01:00:00+01:00 --for 2h --rule FREQ=DAILY --time-zone Europe/Berlin\n" +
			"  muster suppress add 'new rack' --node db-1 --from=+2h --for 4h",
		RunE: a.with(func(q asker, args []string) error {
			if o.Name == "" {
				o.Name = args[0]
			}
			return a.suppress(o, q, args[1:])
		}),
	}
	o.register(cmd.Flags(), true)
	return cmd
}
