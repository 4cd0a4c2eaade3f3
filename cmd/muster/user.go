package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"muster"
	"muster/api"
	"muster/client"
)

func (a *app) userCommand() *cobra.Command {
	cmd := group("user", "List, add and remove people", "")
	cmd.AddCommand(a.userLs(), a.userAdd(), a.userRole(), a.userRm())
	return cmd
}

func (a *app) userLs() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List people", Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			all, err := collect(c.AllUsers(cmd.Context()), 0)
			if err != nil {
				return err
			}
			return a.print(all, ids(all, func(u api.User) string { return u.Name }), func() {
				t := &table{columns: []column{{title: "name", most: 16}, {title: "role"}, {title: "password"}, {title: "added", right: true, drop: 2}, {title: "id", drop: 1}}}
				for _, u := range all {
					password := cell{text: "none yet", ink: amber}
					if u.Password {
						password = text("set")
					}
					t.add(text(u.Name), text(u.Role), password, text(since(&u.CreatedAt, time.Now())), cell{text: u.ID, ink: dim})
				}
				t.write(a.out, a.width, a.colour)
			})
		},
	}
}

func (a *app) userAdd() *cobra.Command {
	var u api.UserNew
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Add a person and show the link of the first login", Args: args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			u.Name = args[0]
			c, err := a.client()
			if err != nil {
				return err
			}
			made, err := c.NewUser(cmd.Context(), u)
			if err != nil {
				return err
			}
			return a.print(made, []string{made.LoginURL}, func() {
				fmt.Fprintf(a.out, "%s\n", made.LoginURL)
				fmt.Fprintf(a.err, "Send this link to %s (%s); it signs in once, to choose a password.\n", clean(made.Name), made.Role)
			})
		},
	}
	cmd.Flags().StringVar(&u.Role, "role", "observer", "what the person may do: observer, operator or admin")
	return cmd
}

func (a *app) userRole() *cobra.Command {
	return &cobra.Command{
		Use: "role USER ROLE", Short: "Say what a person may do: observer, operator or admin", Args: args(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			u, err := findUser(cmd, c, args[0])
			if err != nil {
				return err
			}
			u, err = c.EditUser(cmd.Context(), u.ID, u.Rev, api.UserEdit{Role: &args[1]})
			if err != nil {
				return err
			}
			return a.print(u, []string{u.Name}, func() { fmt.Fprintf(a.out, "%s is %s now\n", clean(u.Name), u.Role) })
		},
	}
}

func (a *app) userRm() *cobra.Command {
	return &cobra.Command{
		Use: "rm USER...", Short: "Remove people", Args: args(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			for _, name := range args {
				u, err := findUser(cmd, c, name)
				if err != nil {
					return err
				}
				if err := c.DeleteUser(cmd.Context(), u.ID); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// findUser gives the user of that name or id.
func findUser(cmd *cobra.Command, c *client.Client, nameOrID string) (*api.User, error) {
	for u, err := range c.AllUsers(cmd.Context()) {
		if err != nil {
			return nil, err
		}
		if u.Name == nameOrID || u.ID == nameOrID {
			return &u, nil
		}
	}
	return nil, gone(muster.ErrNotFound, "user", nameOrID, "muster user ls")
}
