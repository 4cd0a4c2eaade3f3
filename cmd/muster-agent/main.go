// Command muster-agent measures the machine it runs on and sends that to a Muster server. It dials
// out and never listens.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"muster"
	"muster/internal/agent"
	"muster/internal/check"
	"muster/internal/check/all"
	"muster/internal/check/host"
)

// version is set when the program is built.
var version = "dev"

// Exit codes, the same as the muster command's.
const (
	exitFine, exitFailed, exitUsage, exitDenied = 0, 1, 2, 4
)

const usage = `muster-agent measures this machine and sends that to a Muster server.

  muster-agent --server URL --token ENROLLMENT      run, and enrol if that was not done before
  muster-agent install --server URL --token ENROLLMENT
                                                    enrol, install as a service and start it
  muster-agent uninstall                            stop and remove the service; --purge: its state too
  muster-agent version

Flags, each with its environment variable:
`

func main() {
	os.Exit(run(os.Args[1:], os.Getenv, os.Stderr))
}

// run does what the arguments say and gives the exit code.
func run(args []string, env func(string) string, out io.Writer) int {
	verb := "run"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		verb, args = args[0], args[1:]
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := parse(args, env, out)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitFine
	case err == nil:
		err = do(ctx, verb, s, out)
	}
	return explain(err, out)
}

func do(ctx context.Context, verb string, s *settings, out io.Writer) error {
	switch verb {
	case "run":
		return serve(ctx, s, out)
	case "install":
		return install(ctx, s, out)
	case "uninstall":
		return uninstall(s, out)
	case "version":
		fmt.Fprintln(out, "muster-agent", version)
		return nil
	}
	return fmt.Errorf("%w: there is no command %q; --help lists them", errUsage, verb)
}

var errUsage = fmt.Errorf("wrong usage: %w", muster.ErrInvalid)

// explain writes an error for a person and gives the exit code.
func explain(err error, out io.Writer) int {
	if err == nil {
		return exitFine
	}
	text := err.Error()
	if words := muster.Words(err); words != "" && errors.Is(err, muster.ErrDenied) {
		text = words // it is the server's answer: the rooms it came through mean nothing to people
	}
	fmt.Fprintln(out, "muster-agent:", text)
	switch {
	case errors.Is(err, muster.ErrInvalid):
		return exitUsage
	case errors.Is(err, muster.ErrDenied):
		return exitDenied
	}
	return exitFailed
}

// settings are what flags and environment say.
type settings struct {
	server, token, state, hostname, pin string
	period                              time.Duration
	foreground, purge, verbose          bool
}

// parse reads the flags; what they do not say comes from the environment, MUSTER_AGENT_SERVER and so on.
func parse(args []string, env func(string) string, out io.Writer) (*settings, error) {
	s := new(settings)
	flags := flag.NewFlagSet("muster-agent", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&s.server, "server", "", "`URL` of the server")
	flags.StringVar(&s.token, "token", "", "`token` of an enrolment; ignored once this machine is enrolled")
	flags.StringVar(&s.state, "state", defaultState(), "`directory` of the identity and of frames that wait")
	flags.StringVar(&s.hostname, "hostname", "", "`name` of the node when it is new (default: this machine's)")
	flags.DurationVar(&s.period, "period", agent.DefaultPeriod, "how often to measure")
	flags.StringVar(&s.pin, "pin", "", "SHA-256 `fingerprint` of the server's certificate, when it is self-signed")
	flags.BoolVar(&s.foreground, "foreground", false, "just run, log for people (run does so anyway; install: do not install)")
	flags.BoolVar(&s.purge, "purge", false, "uninstall: remove the state directory too")
	flags.BoolVar(&s.verbose, "verbose", false, "log more")
	flags.Usage = func() {
		fmt.Fprint(out, usage)
		flags.VisitAll(func(f *flag.Flag) {
			kind, text := flag.UnquoteUsage(f)
			fmt.Fprintf(out, "  --%-24s %s [%s]\n", strings.TrimSpace(f.Name+" "+kind), text, envName(f.Name))
		})
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%w: what is %q?", errUsage, flags.Arg(0))
	}
	return s, fromEnvironment(flags, env)
}

func fromEnvironment(flags *flag.FlagSet, env func(string) string) (err error) {
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	flags.VisitAll(func(f *flag.Flag) {
		value := env(envName(f.Name))
		if given[f.Name] || value == "" {
			return
		}
		if bad := flags.Set(f.Name, value); bad != nil {
			err = errors.Join(err, fmt.Errorf("%w: %s=%s: %w", errUsage, envName(f.Name), value, bad))
		}
	})
	return err
}

func envName(flagName string) string { return "MUSTER_AGENT_" + strings.ToUpper(flagName) }

// options makes the agent's options of the settings; the collector must be closed afterwards.
func (s *settings) options(out io.Writer) (agent.Options, *host.Host) {
	level := slog.LevelInfo
	if s.verbose {
		level = slog.LevelDebug
	}
	machine := host.New(host.Options{})
	return agent.Options{
		Server: s.server, Token: s.token, Pin: s.pin, State: s.state, Hostname: s.hostname, Period: s.period,
		Version: version, Collectors: []check.Collector{machine}, Describer: machine, Kinds: all.Kinds(), Proxy: http.ProxyFromEnvironment,
		Logger: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level})),
	}, machine
}

// serve runs the agent until a signal ends it.
func serve(ctx context.Context, s *settings, out io.Writer) error {
	if s.server == "" {
		return fmt.Errorf("%w: --server URL is needed (or %s)", errUsage, envName("server"))
	}
	thrifty()
	options, machine := s.options(out)
	defer machine.Close()
	a, err := agent.New(options)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

// thrifty makes the process use little memory rather than little time: it has next to nothing to do.
func thrifty() {
	const percent, limit = 30, 24 << 20
	debug.SetGCPercent(percent)
	debug.SetMemoryLimit(limit)
}
