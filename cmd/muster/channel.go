package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"muster/api"
	"muster/client"
	"muster/internal/phrase"
	"muster/internal/sheet"
	"muster/internal/term"
)

func (a *app) channels() kind[api.ChannelNew, api.Channel] {
	return kind[api.ChannelNew, api.Channel]{
		app: a, verb: "channel", one: "channel", none: "There are no channels: nobody is told. `muster channel add email you@example.org --default` makes one.",
		in: (*client.Client).Channels,
		said: func(c *api.Channel) api.ChannelNew {
			return api.ChannelNew{Name: c.Name, Kind: c.Kind, Config: c.Config, Default: c.Default, Fallback: c.Fallback}
		},
		meta:  func(c *api.Channel) (api.Object, string) { return c.Object, c.Kind },
		table: sheet.Channels, show: sheet.Channel,
	}
}

func (a *app) channelCommand() *cobra.Command {
	k := a.channels()
	cmd := group("channel", "Say how people are told", "")
	cmd.AddCommand(a.channelAdd(), k.ls(), k.shows(), a.channelTest(), k.rm(),
		k.edit("  muster channel edit ops --default\n  muster channel edit ops --set url=https://example.org/hook --fallback mail", func(f *pflag.FlagSet) func(asker, *api.ChannelNew) error {
			o := &channelFlags{}
			o.register(f)
			return func(q asker, c *api.ChannelNew) error { return a.applyChannel(o, q, c) }
		}))
	return cmd
}

// channelFlags say what a channel is.
type channelFlags struct {
	configFlags
	name, fallback, secretFile string
	byDefault                  bool
}

func (o *channelFlags) register(f *pflag.FlagSet) {
	f.StringVar(&o.name, "name", "", "its `name`; made of the target when there is none")
	f.BoolVar(&o.byDefault, "default", false, "whether it hears of alarms that name no channel")
	f.StringVar(&o.fallback, "fallback", "", "the `channel` that is told when this one can't be, by name or id")
	f.StringVar(&o.secretFile, "secret-file", "", "`file` with what nobody is to see: slack's URL, the token of ntfy and telegram, the mail server's password, the webhook's key; - is standard input")
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "token-file" {
			name = "secret-file"
		}
		return pflag.NormalizedName(name)
	})
	o.configFlags.register(f)
}

// applyChannel puts what the flags say into a channel.
func (a *app) applyChannel(o *channelFlags, q asker, c *api.ChannelNew) (err error) {
	if q.flags.Changed("name") {
		c.Name = o.name
	}
	if q.flags.Changed("default") {
		c.Default = o.byDefault
	}
	if q.flags.Changed("fallback") {
		if c.Fallback, err = a.channels().ref(q, o.fallback); err != nil {
			return err
		}
	}
	config, err := phrase.ReadFields(c.Config)
	if err != nil {
		return err
	}
	if err := a.applyConfig(&o.configFlags, config); err != nil {
		return err
	}
	if o.secretFile != "" {
		text, err := a.readFile(o.secretFile)
		if err != nil {
			return err
		}
		field, _ := phrase.Secret(c.Kind)
		config.Put(field, text)
	}
	c.Config = config.Raw()
	return nil
}

func (a *app) channelAdd() *cobra.Command {
	o := &channelFlags{}
	cmd := &cobra.Command{
		Use: "add KIND [TARGET...]", Short: "Make a way to tell people: webhook, email, slack, ntfy or telegram", Args: args(1, -1),
		Long: "Make a way to tell people. TARGET is the URL of a webhook, addresses of mail, the URL of slack's incoming webhook,\n" +
			"the URL of an ntfy topic, or a chat of telegram (behind -- when it begins with a minus). What nobody is to see comes from --secret-file, from\n" +
			"MUSTER_CHANNEL_SECRET, or is asked for where it is needed; it is never shown again.",
		Example: "  muster channel add email you@example.org --default\n  muster channel add webhook https://example.org/hook --name ops\n  muster channel add slack --secret-file slack.url\n" +
			"  muster channel add ntfy https://ntfy.sh/my-topic\n  muster channel add telegram --token-file bot.token -- -1001234567890",
		ValidArgs: []string{"webhook", "email", "slack", "ntfy", "telegram"},
		RunE: a.with(func(q asker, args []string) error {
			config, name, err := phrase.Channel(args[0], args[1:])
			if err != nil {
				return usageError{err}
			}
			said := api.ChannelNew{Name: name, Kind: args[0], Config: config.Raw()}
			if err := a.applyChannel(o, q, &said); err != nil {
				return err
			}
			if err := a.addSecret(&said); err != nil {
				return err
			}
			made, err := q.Channels().New(q, said)
			if err != nil {
				return err
			}
			return a.print(made, []string{made.Name}, func() { a.showMade(q, &said, made) })
		}),
	}
	o.register(cmd.Flags())
	return cmd
}

// addSecret asks for what a kind can't do without, and takes what the environment has for the others.
func (a *app) addSecret(said *api.ChannelNew) error {
	config, err := phrase.ReadFields(said.Config)
	if err != nil {
		return err
	}
	field, what := phrase.Secret(said.Kind)
	if _, ok := config[field]; ok {
		return nil
	}
	text, err := a.secret("", what, said.Kind == "slack" || said.Kind == "telegram")
	if err != nil || text == "" {
		return err
	}
	config.Put(field, text)
	said.Config = config.Raw()
	return nil
}

// showMade shows a channel that was made, and says of a secret that was made with it that this was the time to see it.
func (a *app) showMade(q asker, said *api.ChannelNew, made *api.Channel) {
	sheet.Channel(a.Paper, made, q.Names(q))
	given, _ := phrase.ReadFields(said.Config)
	has, _ := phrase.ReadFields(made.Config)
	field, what := phrase.Secret(made.Kind)
	if _, mine := given[field]; has[field] != nil && !mine {
		fmt.Fprintf(a.err, "\nThe %s is %s. It is shown only now: keep it where the messages are received.\n", field, what)
	}
}

func (a *app) channelTest() *cobra.Command {
	return &cobra.Command{
		Use: "test CHANNEL", Short: "Send a message that says it is a test, and say what became of it", Args: args(1, 1), ValidArgsFunction: a.channels().complete,
		RunE: a.with(func(q asker, args []string) error {
			c, err := a.channels().find(q, args[0])
			if err != nil {
				return err
			}
			d, err := q.TestChannel(q, c.ID)
			if err != nil {
				return err
			}
			err = a.print(d, []string{d.Status}, func() {
				mark := term.Cell{Text: d.Status, Ink: term.Green, Shape: "●"}
				if d.Status != "delivered" {
					mark = term.Cell{Text: d.Status, Ink: term.Red, Shape: "×"}
				}
				a.Hang(a.Paint(mark.Shape+" "+term.Clean(mark.Text), mark.Ink)+"  "+term.Clean(c.Name)+"  ", 4, d.Error)
			})
			if err == nil && d.Status != "delivered" {
				return errShown
			}
			return err
		}),
	}
}
