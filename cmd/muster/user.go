package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"muster"
	"muster/api"
	"muster/internal/term"
)

func (a *app) userCommand() *cobra.Command {
	cmd := group("user", "List, add and remove people", "")
	cmd.AddCommand(a.userLs(), a.userAdd(), a.userRole(), a.userRm())
	return cmd
}

func (a *app) userLs() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List people", Args: args(0, 0),
		RunE: a.with(func(q asker, _ []string) error {
			all, err := collect(q.AllUsers(q), 0)
			if err != nil {
				return err
			}
			return a.print(all, ids(all, func(u api.User) string { return u.Name }), func() {
				t := &term.Table{Columns: []term.Column{{Title: "name", Most: 16}, {Title: "role"}, {Title: "password"}, {Title: "added", Right: true, Drop: 2}, {Title: "id", Drop: 1}}}
				for _, u := range all {
					password := term.Cell{Text: "none yet", Ink: term.Amber}
					if u.Password {
						password = term.Text("set")
					}
					t.Add(term.Text(u.Name), term.Text(u.Role), password, term.Text(term.Since(&u.CreatedAt, time.Now())), term.Cell{Text: u.ID, Ink: term.Dim})
				}
				t.Write(a.Paper)
			})
		}),
	}
}

func (a *app) userAdd() *cobra.Command {
	var u api.UserNew
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Add a person and show the link of the first login", Args: args(1, 1),
		RunE: a.with(func(q asker, args []string) error {
			u.Name = args[0]
			made, err := q.NewUser(q, u)
			if err != nil {
				return err
			}
			return a.print(made, []string{made.LoginURL}, func() {
				fmt.Fprintf(a.Out, "%s\n", made.LoginURL)
				fmt.Fprintf(a.err, "Send this link to %s (%s); it signs in once, to choose a password.\n", term.Clean(made.Name), made.Role)
			})
		}),
	}
	cmd.Flags().StringVar(&u.Role, "role", "observer", "what the person may do: observer, operator or admin")
	return cmd
}

func (a *app) userRole() *cobra.Command {
	return &cobra.Command{
		Use: "role USER ROLE", Short: "Say what a person may do: observer, operator or admin", Args: args(2, 2),
		RunE: a.with(func(q asker, args []string) error {
			u, err := findUser(q, args[0])
			if err != nil {
				return err
			}
			u, err = q.EditUser(q, u.ID, u.Rev, api.UserEdit{Role: &args[1]})
			if err != nil {
				return err
			}
			return a.print(u, []string{u.Name}, func() { fmt.Fprintf(a.Out, "%s is %s now\n", term.Clean(u.Name), u.Role) })
		}),
	}
}

func (a *app) userRm() *cobra.Command {
	return &cobra.Command{
		Use: "rm USER...", Short: "Remove people", Args: args(1, -1),
		RunE: a.with(func(q asker, args []string) error {
			for _, name := range args {
				u, err := findUser(q, name)
				if err != nil {
					return err
				}
				if err := q.DeleteUser(q, u.ID); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

// findUser gives the user of that name or id.
func findUser(q asker, nameOrID string) (*api.User, error) {
	for u, err := range q.AllUsers(q) {
		if err != nil {
			return nil, err
		}
		if u.Name == nameOrID || u.ID == nameOrID {
			return &u, nil
		}
	}
	return nil, gone(muster.ErrNotFound, "user", nameOrID, "muster user ls")
}
