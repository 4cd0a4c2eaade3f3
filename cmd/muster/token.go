package main

import (
	"fmt"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"muster/api"
	"muster/internal/term"
)

// collect gathers a list that pages itself; most 0 is all.
func collect[T any](list iter.Seq2[T, error], most int) ([]T, error) {
	out := []T{}
	for item, err := range list {
		if err != nil {
			return nil, err
		}
		if out = append(out, item); len(out) == most {
			break
		}
	}
	return out, nil
}

// ids gives what each item is called.
func ids[T any](items []T, id func(T) string) []string {
	out := make([]string, len(items))
	for i := range items {
		out[i] = id(items[i])
	}
	return out
}

func (a *app) tokenCommand() *cobra.Command {
	cmd := group("token", "List, make and revoke API tokens", "")
	cmd.AddCommand(a.tokenLs(), a.tokenAdd(), a.tokenRm())
	return cmd
}

func (a *app) tokenLs() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List API tokens", Args: args(0, 0),
		RunE: a.with(func(q asker, _ []string) error {
			all, err := collect(q.AllTokens(q), 0)
			if err != nil {
				return err
			}
			return a.print(all, ids(all, func(t api.Token) string { return t.ID }), func() {
				t := &term.Table{Columns: []term.Column{{Title: "name", Most: 16}, {Title: "role"}, {Title: "last used", Right: true}, {Title: "made", Right: true, Drop: 2}, {Title: "id", Drop: 1}}}
				for _, k := range all {
					used := term.Since(k.LastUsedAt, time.Now())
					if used == "" {
						used = "never"
					}
					t.Add(term.Text(k.Name), term.Text(k.Role), term.Text(used), term.Text(term.Since(&k.CreatedAt, time.Now())), term.Cell{Text: k.ID, Ink: term.Dim})
				}
				t.Write(a.Paper)
			})
		}),
	}
}

func (a *app) tokenAdd() *cobra.Command {
	var t api.TokenNew
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Make an API token and show its secret, once", Args: args(1, 1),
		Example: "  export MUSTER_TOKEN=$(muster token add ci --role operator -o name)",
		RunE: a.with(func(q asker, args []string) error {
			t.Name = args[0]
			made, err := q.NewToken(q, t)
			if err != nil {
				return err
			}
			return a.print(made, []string{made.Secret}, func() {
				fmt.Fprintf(a.Out, "%s\n", made.Secret)
				fmt.Fprintf(a.err, "This is the secret of %s (%s); it is shown only now.\n", term.Clean(made.Name), made.Role)
			})
		}),
	}
	cmd.Flags().StringVar(&t.Role, "role", "observer", "what it may do: observer, operator or admin")
	_ = cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{"observer", "operator", "admin"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) tokenRm() *cobra.Command {
	return &cobra.Command{
		Use: "rm ID...", Aliases: []string{"revoke"}, Short: "Revoke API tokens", Args: args(1, -1),
		RunE: a.with(func(q asker, args []string) error {
			for _, id := range args {
				if err := q.DeleteToken(q, id); err != nil {
					return gone(err, "token", id, "muster token ls")
				}
			}
			return nil
		}),
	}
}
