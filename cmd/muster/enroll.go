package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"muster/api"
	"muster/internal/term"
)

func (a *app) enrollCommand() *cobra.Command {
	var e api.EnrollmentNew
	cmd := &cobra.Command{
		Use: "enroll", Short: "Invite a machine: shows the line to paste there", Args: args(0, 0),
		Long:    "Make an invitation and show the line to paste on the machine that is to join. With -o name only that line.",
		Example: "  muster enroll\n  muster enroll --uses 20 --ttl 1d -o name",
		RunE: a.with(func(q asker, _ []string) error {
			made, err := q.Enroll(q, e)
			if err != nil {
				return err
			}
			return a.print(made, []string{made.Command}, func() {
				fmt.Fprintf(a.Out, "Paste this on the machine; it is good %s, until %s:\n\n  %s\n\n", times(made.UsesLeft), made.ExpiresAt.Local().Format(time.DateTime), made.Command)
			})
		}),
	}
	cmd.Flags().IntVar(&e.Uses, "uses", 0, "how many machines may join by it; 1 when 0")
	cmd.Flags().StringVar(&e.TTL, "ttl", "", "how `long` it lasts, such as 30m, 2h or 7d; 1h when empty")
	cmd.AddCommand(a.enrollLs(), a.enrollRm())
	return cmd
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

func (a *app) enrollLs() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List invitations", Args: args(0, 0),
		RunE: a.with(func(q asker, _ []string) error {
			all, err := collect(q.AllEnrollments(q), 0)
			if err != nil {
				return err
			}
			return a.print(all, ids(all, func(e api.Enrollment) string { return e.ID }), func() {
				t := &term.Table{Columns: []term.Column{{Title: "id"}, {Title: "uses left", Right: true}, {Title: "ends in", Right: true}, {Title: "made", Right: true, Drop: 1}}}
				for _, e := range all {
					left := term.Cell{Text: term.Ago(time.Until(e.ExpiresAt))}
					if time.Now().After(e.ExpiresAt) {
						left = term.Cell{Text: "ended", Ink: term.Dim}
					}
					t.Add(term.Text(e.ID), term.Text(strconv.Itoa(e.UsesLeft)), left, term.Text(term.Since(&e.CreatedAt, time.Now())))
				}
				t.Write(a.Paper)
			})
		}),
	}
}

func (a *app) enrollRm() *cobra.Command {
	return &cobra.Command{
		Use: "rm ID...", Short: "Take invitations back; machines that joined stay", Args: args(1, -1),
		RunE: a.with(func(q asker, args []string) error {
			for _, id := range args {
				if err := q.DeleteEnrollment(q, id); err != nil {
					return gone(err, "invitation", id, "muster enroll ls")
				}
			}
			return nil
		}),
	}
}
