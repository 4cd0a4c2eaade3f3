package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"muster/api"
)

func (a *app) accountCommand() *cobra.Command {
	var name, retention string
	cmd := &cobra.Command{
		Use: "account", Short: "Show or change the account: its name, and how long measurements are kept", Args: args(0, 0),
		Example: "  muster account\n  muster account --retention long",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			acct, err := c.Account(cmd.Context())
			if err != nil {
				return err
			}
			var edit api.AccountEdit
			if cmd.Flags().Changed("name") {
				edit.Name = &name
			}
			if cmd.Flags().Changed("retention") {
				edit.Retention = &retention
			}
			if edit != (api.AccountEdit{}) {
				if acct, err = c.EditAccount(cmd.Context(), acct.Rev, edit); err != nil {
					return err
				}
			}
			return a.print(acct, []string{acct.Name}, func() { a.showAccount(acct) })
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "give it this `name`")
	cmd.Flags().StringVar(&retention, "retention", "", "keep measurements by this `class` from now on")
	return cmd
}

func (a *app) showAccount(acct *api.Account) {
	fmt.Fprintf(a.out, "%s  %s\n", paint(clean(acct.Name), bold, a.colour), paint(acct.ID, dim, a.colour))
	t := &table{columns: []column{{title: "retention"}, {title: "every value", right: true}, {title: "5 minutes", right: true}, {title: "1 hour", right: true}, {title: "per node and year", right: true, drop: 1}}}
	for _, k := range acct.RetentionClasses {
		name := cell{text: "  " + k.Name}
		if k.Name == acct.Retention {
			name = cell{text: "● " + k.Name, ink: bold}
		}
		price := "not measured yet"
		if k.BytesPerNodeYear > 0 {
			price = bytesOf(float64(k.BytesPerNodeYear))
		}
		t.add(name, text(k.Raw), text(k.Tiles5m), text(k.Tiles1h), text(price))
	}
	t.write(a.out, a.width, a.colour)
}
