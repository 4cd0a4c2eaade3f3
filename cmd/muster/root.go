package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	xterm "golang.org/x/term"

	"muster"
	"muster/client"
	"muster/internal/term"
)

// The exit codes.
const (
	exitFine = iota
	exitFailed
	exitUsage
	exitNotFound
	exitDenied
)

// app is what every verb works with: where it reads and writes, and the flags that all share.
type app struct {
	term.Paper // where answers are drawn
	in         io.Reader
	err        io.Writer
	env        func(string) (string, bool)

	server, token, pin, data string
	output                   string
}

func newApp(in io.Reader, out, err io.Writer, env func(string) (string, bool)) *app {
	a := &app{Paper: term.Paper{Out: out}, in: in, err: err, env: env}
	if f, ok := out.(*os.File); ok && xterm.IsTerminal(int(f.Fd())) {
		a.Width = 80
		if w, _, err := xterm.GetSize(int(f.Fd())); err == nil && w > 0 {
			a.Width = w
		}
		_, plain := env("NO_COLOR")
		kind, _ := env("TERM")
		a.Colour = !plain && kind != "dumb"
	}
	return a
}

// run does what the arguments say and gives the exit code.
func run(ctx context.Context, a *app, args []string) int {
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.Out)
	root.SetErr(a.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitFine
	}
	if errors.Is(err, errShown) {
		return exitFailed
	}
	fmt.Fprintln(a.err, "muster:", err)
	if advice := a.advice(err); advice != "" {
		fmt.Fprintln(a.err, advice)
	}
	return exitCode(err)
}

// errShown says that what failed was shown already.
var errShown = errors.New("failed")

// usageError says that the command line is wrong.
type usageError struct{ error }

// Unwrap gives what is wrong.
func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func exitCode(err error) int {
	var usage usageError
	switch {
	case errors.As(err, &usage), errors.Is(err, muster.ErrInvalid):
		return exitUsage
	case errors.Is(err, muster.ErrNotFound):
		return exitNotFound
	case errors.Is(err, muster.ErrDenied):
		return exitDenied
	}
	return exitFailed
}

// advice says what to do about an error.
func (a *app) advice(err error) string {
	var answered *client.Error
	var missing notThere
	var strange x509.UnknownAuthorityError
	switch {
	case errors.As(err, &missing):
		return "  " + missing.try
	case errors.As(err, &answered) && answered.Problem.Status == 401:
		return "  Make a token on the server's settings page, or with `muster token add` where you may, and give it as MUSTER_TOKEN or --token."
	case errors.As(err, &answered) && answered.Problem.Status == 403:
		return "  `muster token ls` as an admin shows what each token may do."
	case errors.As(err, &strange):
		return "  The server's certificate is its own? Give its fingerprint as MUSTER_PIN or --pin."
	case !errors.As(err, &answered) && errors.Is(err, muster.ErrUnavailable):
		return "  Does a server run there? `muster serve` starts one; MUSTER_SERVER or --server says where it is."
	}
	return ""
}

// notThere says that something does not exist, and how to see what does.
type notThere struct {
	error
	try string
}

// Unwrap gives the error.
func (e notThere) Unwrap() error { return e.error }

func (a *app) rootCommand() *cobra.Command {
	root := group("muster", "Every server a team runs, on one live page",
		"Every server a team runs, on one live page.\n\n`muster serve` starts a server; everything else talks to one. MUSTER_SERVER says where it is,\n"+
			"MUSTER_TOKEN who you are; on the server's own machine its own user needs neither.")
	root.SilenceErrors, root.SilenceUsage = true, true
	root.Version = version
	root.SetVersionTemplate("muster {{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = false
	f := root.PersistentFlags()
	f.StringVar(&a.server, "server", "", "`URL` of the server (MUSTER_SERVER)")
	f.StringVar(&a.token, "token", "", "API `token`; better given as MUSTER_TOKEN, since others see flags")
	f.StringVar(&a.pin, "pin", "", "SHA-256 `fingerprint` of the server's certificate when nothing vouches for it (MUSTER_PIN)")
	f.StringVar(&a.data, "data", "", "data `directory` of a server on this machine, whose token is used when there is no other (MUSTER_DATA)")
	f.StringVarP(&a.output, "output", "o", "table", "`format`: table, json, yaml or name")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return a.checkOutput() }
	root.AddCommand(serveCommand(), a.nodeCommand(), a.seriesCommand(), a.topCommand(), a.checkCommand(), a.alarmCommand(), a.incidentCommand(), a.channelCommand(), a.suppressCommand(), a.enrollCommand(), a.eventCommand(),
		a.tokenCommand(), a.userCommand(), a.accountCommand(), a.versionCommand())
	return root
}

// group makes a command that only holds others.
func group(use, short, long string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			text := fmt.Sprintf("there is no command %q", cmd.CommandPath()+" "+args[0])
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				text += "; did you mean " + strings.Join(near, " or ") + "?"
			} else {
				text += "; `" + cmd.CommandPath() + " --help` lists what there is"
			}
			return usageError{errors.New(text)}
		},
	}
}

// args wants from least to most arguments; the error repeats how the command is used.
func args(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, got []string) error {
		if len(got) < least || most >= 0 && len(got) > most {
			return usagef("use it like: %s", cmd.UseLine())
		}
		return nil
	}
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Say which version this is", Args: args(0, 0), RunE: func(*cobra.Command, []string) error {
		fmt.Fprintln(a.Out, "muster", version)
		return nil
	}}
}
