package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"muster/internal/server"
)

// serveCommand is `muster serve`: it runs the server until it is told to stop.
func serveCommand() *cobra.Command {
	var o server.Options
	var config, level string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server: pages, API, agents' connections and storage in one process.

Without a flag it listens on 127.0.0.1:8080, keeps its data in the user's data directory, graphs the
machine it runs on and prints one link that signs you in. Every flag can also be given in the
environment (--public-url as MUSTER_PUBLIC_URL) or in a YAML file (public-url: ...) named by --config; a flag wins
over the environment, which wins over the file.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := applySettings(cmd.LocalNonPersistentFlags(), config, os.LookupEnv); err != nil {
				return err
			}
			logger, err := newLogger(level)
			if err != nil {
				return err
			}
			o.Logger, o.Version, o.Out = logger, version, cmd.OutOrStdout()
			return serve(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Data, "data", defaultData(), "`directory` of everything that is kept")
	f.StringVar(&o.Listen, "listen", server.DefaultListen, "`address` to listen on; :8080 is every address of this machine")
	f.StringVar(&o.PublicURL, "public-url", "", "the `URL` under which people and agents reach this server, if it is not what it listens on")
	f.StringVar(&o.Store, "store", "", "`URL` of the store; the data directory when empty")
	f.StringVar(&o.TLS.Cert, "tls-cert", "", "PEM `file` of the TLS certificate; read again when it changes")
	f.StringVar(&o.TLS.Key, "tls-key", "", "PEM `file` of its key")
	f.BoolVar(&o.TLS.Self, "tls-self", false, "encrypt with a certificate of this server's own, which agents pin when they enrol")
	f.StringSliceVar(&o.TLS.Names, "tls-name", nil, "further `name` or address in that certificate")
	f.StringSliceVar(&o.TLS.ACME, "acme-domain", nil, "get a certificate for this `name` by ACME (needs port 443)")
	f.StringVar(&o.TLS.ACMEEmail, "acme-email", "", "`address` the authority writes to when renewing fails")
	f.StringVar(&o.AgentFiles, "agents", "", "`directory` of the agents that new machines download; \"agents\" beside this program when empty")
	f.BoolVar(&o.NoAgent, "no-agent", false, "do not measure the machine this server runs on")
	f.DurationVar(&o.Period, "period", 0, "how often to measure it when nobody looks; 10s when 0")
	f.IntVar(&o.Shards, "shards", 0, "number of shards of a new store, fixed from then on; 64 when 0, take 256 for more than 100,000 nodes")
	f.StringVar(&o.BootstrapToken, "bootstrap-token", "", "make this an admin's API token (automation); better given as MUSTER_BOOTSTRAP_TOKEN")
	f.StringVar(&o.SMTP, "smtp", "", "`URL` of the mail server for email channels: smtp://user:password@host:587 or smtps://...")
	f.StringVar(&o.MailFrom, "mail-from", "", "sender `address` of mail; muster@ this machine's name when empty")
	f.BoolVar(&o.MultiTenant, "multi-tenant", false, "accounts don't trust each other: checks and messages reach public addresses only")
	f.StringVar(&config, "config", "", "YAML `file` of settings")
	f.StringVar(&level, "log-level", "warn", "debug, info, warn or error")
	return cmd
}

func serve(ctx context.Context, o server.Options) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := server.Open(ctx, o)
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// defaultData is muster in the user's data directory, as the XDG specification has it.
func defaultData() string {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "muster")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".local", "share", "muster")
}

func newLogger(level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(strings.ToUpper(level))); err != nil {
		return nil, usageError{fmt.Errorf("log level %q: it must be debug, info, warn or error", level)}
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l})), nil
}
