package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"muster/api"
	"muster/internal/term"
)

func (a *app) accountCommand() *cobra.Command {
	var name, retention string
	cmd := &cobra.Command{
		Use: "account", Short: "Show or change the account: its name, and how long measurements are kept", Args: args(0, 0),
		Example: "  muster account\n  muster account --retention long",
		RunE: a.with(func(q asker, _ []string) error {
			acct, err := q.Account(q)
			if err != nil {
				return err
			}
			var edit api.AccountEdit
			if q.flags.Changed("name") {
				edit.Name = &name
			}
			if q.flags.Changed("retention") {
				edit.Retention = &retention
			}
			if edit != (api.AccountEdit{}) {
				if acct, err = q.EditAccount(q, acct.Rev, edit); err != nil {
					return err
				}
			}
			return a.print(acct, []string{acct.Name}, func() { a.showAccount(acct) })
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "give it this `name`")
	cmd.Flags().StringVar(&retention, "retention", "", "keep measurements by this `class` from now on")
	return cmd
}

func (a *app) showAccount(acct *api.Account) {
	fmt.Fprintf(a.Out, "%s  %s\n", a.Paint(term.Clean(acct.Name), term.Bold), a.Paint(acct.ID, term.Dim))
	t := &term.Table{Columns: []term.Column{{Title: "retention"}, {Title: "every value", Right: true}, {Title: "5 minutes", Right: true}, {Title: "1 hour", Right: true}, {Title: "per node and year", Right: true, Drop: 1}}}
	for _, k := range acct.RetentionClasses {
		name := term.Cell{Text: "  " + k.Name}
		if k.Name == acct.Retention {
			name = term.Cell{Text: "● " + k.Name, Ink: term.Bold}
		}
		price := "not measured yet"
		if k.BytesPerNodeYear > 0 {
			price = term.Bytes(float64(k.BytesPerNodeYear))
		}
		t.Add(name, term.Text(k.Raw), term.Text(k.Tiles5m), term.Text(k.Tiles1h), term.Text(price))
	}
	t.Write(a.Paper)
}
