package main

import (
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"muster/api"
	"muster/client"
	"muster/internal/phrase"
	"muster/internal/sheet"
)

func (a *app) alarms() kind[api.AlarmNew, api.Alarm] {
	return kind[api.AlarmNew, api.Alarm]{
		app: a, verb: "alarm", one: "alarm", none: "There are no alarms. `muster alarm add --help` shows how one is made.",
		in:   (*client.Client).Alarms,
		said: func(x *api.Alarm) api.AlarmNew { return x.AlarmNew },
		meta: func(x *api.Alarm) (api.Object, string) {
			if x.Firing > 0 {
				return x.Object, "fires on " + strconv.Itoa(x.Firing)
			}
			return x.Object, x.Level
		},
		table: sheet.Alarms, show: sheet.Alarm,
	}
}

func (a *app) alarmCommand() *cobra.Command {
	k := a.alarms()
	cmd := group("alarm", "Say when something is wrong, and who hears of it", "")
	cmd.AddCommand(k.ls(), k.shows(), a.alarmAdd(), a.alarmTest(), k.rm(),
		k.turn("enable", func(x *api.AlarmNew) { x.Enabled = ref(true) }), k.turn("disable", func(x *api.AlarmNew) { x.Enabled = ref(false) }),
		k.edit("  muster alarm edit 'Memory exhausted' --when '< 5% for 10m' --level warning\n  muster alarm edit 'Node is silent' --no-data '5m critical' --channel ops", func(f *pflag.FlagSet) func(asker, *api.AlarmNew) error {
			o := &alarmFlags{}
			o.register(f)
			return func(q asker, x *api.AlarmNew) error { return a.applyAlarm(o, q, x) }
		}))
	return cmd
}

// alarmFlags say what an alarm is.
type alarmFlags struct {
	name, query, node, check, metric, when, recover, noData, level string
	attrs, channels                                                []string
	enabled                                                        bool
}

func (o *alarmFlags) register(f *pflag.FlagSet) {
	f.StringVar(&o.name, "name", "", "its `name`")
	f.StringVarP(&o.query, "query", "q", "", "on the nodes that match this `query`; on all, and on checks that belong to none, without")
	f.StringVar(&o.node, "node", "", "on this `node` alone, by name or id")
	f.StringVar(&o.check, "check", "", "on this `check` alone, by name or id; without a metric on its status")
	f.StringVarP(&o.metric, "metric", "m", "", "of this `metric`; without metric and check, of the nodes' sign of life")
	f.StringSliceVarP(&o.attrs, "attr", "a", nil, "of the metric's series with this `key:value`, where * and ? stand for any characters; repeatable")
	f.StringVarP(&o.when, "when", "w", "", "the `condition`: "+phrase.ExampleCondition+"; none for silence alone")
	f.StringVarP(&o.recover, "recover", "r", "", "when it is `well` again: "+phrase.ExampleRecovery+"; none for as soon as the condition does not hold")
	f.StringVar(&o.noData, "no-data", "", "what `silence` means: "+phrase.ExampleNoData+"; none for nothing")
	f.StringVar(&o.level, "level", "", "how bad it is: warning or critical")
	f.StringSliceVarP(&o.channels, "channel", "c", nil, "who hears of it, a `channel` by name or id; repeatable; the default channels without")
	f.BoolVar(&o.enabled, "enabled", true, "whether it is judged")
}

// none is what a flag says to take something away.
const none = "none"

// applyAlarm puts what the flags say into an alarm.
func (a *app) applyAlarm(o *alarmFlags, q asker, x *api.AlarmNew) (err error) {
	for name, text := range map[string]struct {
		from string
		into *string
	}{"name": {o.name, &x.Name}, "query": {o.query, &x.Query}, "metric": {o.metric, &x.Metric}, "level": {o.level, &x.Level}} {
		if q.flags.Changed(name) {
			*text.into = text.from
		}
	}
	if q.flags.Changed("enabled") {
		x.Enabled = &o.enabled
	}
	if q.flags.Changed("node") {
		if x.Node, err = nodeRef(q, o.node); err != nil {
			return err
		}
	}
	if q.flags.Changed("check") {
		if x.Check, err = a.checks().ref(q, o.check); err != nil {
			return err
		}
	}
	if q.flags.Changed("attr") {
		if x.Attributes, err = parseAttributes(o.attrs); err != nil {
			return err
		}
	}
	if q.flags.Changed("channel") {
		x.Channels = nil
		for _, name := range o.channels {
			id, err := a.channels().ref(q, name)
			if err != nil {
				return err
			}
			x.Channels = append(x.Channels, id)
		}
	}
	return o.applyRules(q.flags, x)
}

// applyRules reads the conditions.
func (o *alarmFlags) applyRules(f *pflag.FlagSet, x *api.AlarmNew) error {
	if f.Changed("when") {
		var back *api.Recover
		if x.Condition != nil {
			back = x.Condition.Recover
		}
		if x.Condition = nil; o.when != none {
			c, err := phrase.Condition(o.when)
			if err != nil {
				return usagef("--when %q: %w", o.when, err)
			}
			x.Condition, c.Recover = c, back
		}
	}
	if f.Changed("recover") {
		if x.Condition == nil {
			return usagef("--recover says when a condition is over; say the condition by --when")
		}
		changed := *x.Condition // what was before stays as it was
		if x.Condition, changed.Recover = &changed, nil; o.recover != none {
			r, err := phrase.Recovery(o.recover)
			if err != nil {
				return usagef("--recover %q: %w", o.recover, err)
			}
			changed.Recover = r
		}
	}
	if f.Changed("no-data") {
		if x.NoData = nil; o.noData != none {
			n, err := phrase.NoData(o.noData)
			if err != nil {
				return usagef("--no-data %q: %w", o.noData, err)
			}
			x.NoData = n
		}
	}
	return nil
}

func (a *app) alarmAdd() *cobra.Command {
	o := &alarmFlags{}
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Make an alarm", Args: args(1, 1),
		Example: "  muster alarm add 'db memory' -q tag:db -m system.memory.utilization -a system.memory.state:used \\\n" +
			"    --when '> 95% for 5m' --recover '< 90% for 2m' --level warning --channel ops\n" +
			"  muster alarm add 'shop is down' --check shop\n  muster alarm add 'edge is silent' -q tag:edge --no-data '2m critical'",
		RunE: a.with(func(q asker, args []string) error {
			said := api.AlarmNew{Name: args[0]}
			if err := a.applyAlarm(o, q, &said); err != nil {
				return err
			}
			made, err := q.Alarms().New(q, said)
			if err != nil {
				return err
			}
			return a.alarms().print(q, made)
		}),
	}
	o.register(cmd.Flags())
	return cmd
}

func (a *app) alarmTest() *cobra.Command {
	o := &alarmFlags{}
	var test api.AlarmTest
	cmd := &cobra.Command{
		Use: "test [ALARM]", Short: "Say when an alarm would have fired", Args: args(0, 1), ValidArgsFunction: a.alarms().complete,
		Long:    "Say when an alarm would have fired: one that exists, as it is or as flags change it, or one that flags describe. Nothing is kept.",
		Example: "  muster alarm test 'Memory exhausted' --from=-7d\n  muster alarm test -q tag:web -m http.duration --when '> 500ms for 2m'",
		RunE: a.with(func(q asker, args []string) error {
			test.AlarmNew = api.AlarmNew{Name: "test"}
			if len(args) > 0 {
				x, err := a.alarms().find(q, args[0])
				if err != nil {
					return err
				}
				test.AlarmNew = x.AlarmNew
			}
			if err := a.applyAlarm(o, q, &test.AlarmNew); err != nil {
				return err
			}
			out, err := q.TestAlarm(q, test)
			if err != nil {
				return err
			}
			shown := test.AlarmNew
			if len(args) == 0 && o.name == "" {
				shown.Name = ""
			}
			var fired []string
			for i := range out.Series {
				if len(out.Series[i].Spans) > 0 {
					fired = append(fired, out.Series[i].Name)
				}
			}
			return a.print(out, fired, func() { sheet.Tested(a.Paper, &shown, out) })
		}),
	}
	o.register(cmd.Flags())
	cmd.Flags().StringVar(&test.From, "from", "-24h", "where the past begins, a `time`: RFC 3339 or -7d; write it --from=-7d")
	cmd.Flags().StringVar(&test.To, "to", "now", "where it ends, a `time`")
	return cmd
}
