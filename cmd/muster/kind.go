package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"muster/api"
	"muster/client"
	"muster/internal/term"
)

// kind is a kind of objects whose verbs are alike: New is what people say of one, Out what is shown.
type kind[New, Out any] struct {
	app       *app
	verb, one string // "suppress", "suppression"
	none      string // said when there are none
	in        func(*client.Client) client.Things[New, Out]
	said      func(*Out) New
	meta      func(*Out) (o api.Object, state string)
	table     func(all []Out, name func(id string) string) *term.Table
	show      func(p term.Paper, o *Out, name func(id string) string)
}

// asker is what a verb works with once the client is there.
type asker struct {
	context.Context
	*client.Client
	flags *pflag.FlagSet
}

// with makes a verb that needs the client.
func (a *app) with(do func(q asker, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		return do(asker{cmd.Context(), c, cmd.Flags()}, args)
	}
}

// find gives the one of that name or id.
func (k kind[New, Out]) find(q asker, nameOrID string) (*Out, error) {
	o, err := k.in(q.Client).Find(q, nameOrID)
	return o, gone(err, k.one, nameOrID, "muster "+k.verb+" ls")
}

// ref gives the id of the one of that name or id; "" for "".
func (k kind[New, Out]) ref(q asker, nameOrID string) (string, error) {
	if nameOrID == "" {
		return "", nil
	}
	o, err := k.find(q, nameOrID)
	if err != nil {
		return "", err
	}
	meta, _ := k.meta(o)
	return meta.ID, nil
}

// nodeRef gives the id of the node of that name or id; "" for "".
func nodeRef(q asker, nameOrID string) (string, error) {
	if nameOrID == "" {
		return "", nil
	}
	n, err := findNode(q, q.Client, nameOrID)
	if err != nil {
		return "", err
	}
	return n.ID, nil
}

func (k kind[New, Out]) name(o *Out) string {
	_, name := k.in(nil).Key(o)
	return name
}

func (k kind[New, Out]) ls() *cobra.Command {
	return &cobra.Command{
		Use: "ls [TEXT]", Aliases: []string{"list"}, Short: "List " + k.one + "s, with TEXT those with that in their name or state", Args: args(0, 1),
		RunE: k.app.with(func(q asker, args []string) error {
			all, err := collect(k.in(q.Client).All(q), 0)
			if err != nil {
				return err
			}
			slices.SortStableFunc(all, func(x, y Out) int { return strings.Compare(strings.ToLower(k.name(&x)), strings.ToLower(k.name(&y))) })
			kept, names := []Out{}, []string{}
			for i := range all {
				_, state := k.meta(&all[i])
				name := k.name(&all[i])
				if len(args) > 0 && !strings.Contains(strings.ToLower(name+" "+state), strings.ToLower(args[0])) {
					continue
				}
				kept, names = append(kept, all[i]), append(names, name)
			}
			return k.app.print(kept, names, func() {
				if len(all) == 0 {
					fmt.Fprintln(k.app.err, k.none)
					return
				}
				k.table(kept, q.Names(q)).Write(k.app.Paper)
			})
		}),
	}
}

func (k kind[New, Out]) shows() *cobra.Command {
	return &cobra.Command{
		Use: "show " + strings.ToUpper(k.one), Short: "Show one " + k.one, Args: args(1, 1), ValidArgsFunction: k.complete,
		RunE: k.app.with(func(q asker, args []string) error {
			o, err := k.find(q, args[0])
			if err != nil {
				return err
			}
			return k.print(q, o)
		}),
	}
}

// print shows one.
func (k kind[New, Out]) print(q asker, o *Out) error {
	return k.app.print(o, []string{k.name(o)}, func() { k.show(k.app.Paper, o, q.Names(q)) })
}

func (k kind[New, Out]) rm() *cobra.Command {
	return &cobra.Command{
		Use: "rm " + strings.ToUpper(k.one) + "...", Aliases: []string{"delete"}, Short: "Delete " + k.one + "s", Args: args(1, -1), ValidArgsFunction: k.complete,
		RunE: k.app.with(func(q asker, args []string) error {
			for _, name := range args {
				o, err := k.find(q, name)
				if err != nil {
					return err
				}
				meta, _ := k.meta(o)
				if err := k.in(q.Client).Delete(q, meta.ID, 0); err != nil {
					return err
				}
				fmt.Fprintln(k.app.err, term.Clean(k.name(o)), "is deleted")
			}
			return nil
		}),
	}
}

// edit makes the verb that changes one by flags; apply puts into what is said of it what the flags say.
func (k kind[New, Out]) edit(example string, register func(*pflag.FlagSet) (apply func(asker, *New) error)) *cobra.Command {
	cmd := &cobra.Command{
		Use: "edit " + strings.ToUpper(k.one), Short: "Change one " + k.one + ": what no flag names stays", Example: example, Args: args(1, 1), ValidArgsFunction: k.complete,
	}
	apply := register(cmd.Flags())
	cmd.RunE = k.app.with(func(q asker, args []string) error {
		if q.flags.NFlag() == 0 {
			return usagef("nothing is to be changed; `muster %s edit --help` lists the flags", k.verb)
		}
		o, err := k.change(q, args[0], func(said *New) error { return apply(q, said) })
		if err != nil {
			return err
		}
		return k.print(q, o)
	})
	return cmd
}

// turn makes the verb that switches them on or off.
func (k kind[New, Out]) turn(word string, set func(*New)) *cobra.Command {
	return &cobra.Command{
		Use: word + " " + strings.ToUpper(k.one) + "...", Short: strings.ToUpper(word[:1]) + word[1:] + " " + k.one + "s", Args: args(1, -1), ValidArgsFunction: k.complete,
		RunE: k.app.with(func(q asker, args []string) error {
			for _, name := range args {
				o, err := k.change(q, name, func(said *New) error { set(said); return nil })
				if err != nil {
					return err
				}
				fmt.Fprintln(k.app.err, term.Clean(k.name(o)), "is "+word+"d")
			}
			return nil
		}),
	}
}

// change sends what is different after a change, against the rev that was seen.
func (k kind[New, Out]) change(q asker, nameOrID string, change func(*New) error) (*Out, error) {
	o, err := k.find(q, nameOrID)
	if err != nil {
		return nil, err
	}
	meta, _ := k.meta(o)
	out, changed, err := k.in(q.Client).Change(q, meta.ID, meta.Rev, k.said(o), change)
	if err == nil && !changed {
		return o, nil // it is so already
	}
	return out, err
}

// complete completes names.
func (k kind[New, Out]) complete(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 && !strings.HasSuffix(cmd.Use, "...") {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, err := k.app.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for o, err := range k.in(c).All(cmd.Context()) {
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		if name := k.name(&o); strings.HasPrefix(name, typed) {
			_, state := k.meta(&o)
			names = append(names, name+"\t"+state)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
