package server

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"muster"
	"muster/internal/agent"
)

// Options are what has to be known before the store opens. The zero value, with a Data directory, is a
// server of its own on loopback that graphs the machine it runs on.
type Options struct {
	Data      string // directory of everything that is kept; made when it is not there
	Listen    string // host:port; 127.0.0.1:8080 when empty
	PublicURL string // the address people and agents use; made from Listen when empty
	Store     string // "" or pebble: in the data directory
	TLS       TLS
	// BootstrapToken is made an admin's API token; automation gives one, people get a one-time login instead.
	BootstrapToken string
	// AgentFiles is the directory of muster-agent-OS-ARCH files; "agents" beside the program when empty.
	AgentFiles string
	NoAgent    bool          // leave this machine out
	Period     time.Duration // of the built-in agent; 10 s when zero
	Shards     int           // fixed when the store is made; 64 when zero

	SMTP     string // URL of the server that takes mail: smtp://user:password@host:587, smtps://...; none when empty
	MailFrom string // the sender of mail; muster@ this machine's name when empty
	// MultiTenant says that accounts don't trust each other: checks of the shared zone, and messages, reach public addresses only.
	MultiTenant bool

	Version string
	Out     io.Writer    // the one line for people goes here; standard output when nil
	Logger  *slog.Logger // slog's default when nil
}

// DefaultListen is loopback: nobody else reaches a server until its operator says so.
const DefaultListen = "127.0.0.1:8080"

// Validate fills in defaults and says what is wrong; the error wraps muster.ErrInvalid.
func (o *Options) Validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{muster.ErrInvalid}, args...)...)
	}
	if o.Data == "" {
		return bad("no data directory: give one with --data")
	}
	if o.Listen == "" {
		o.Listen = DefaultListen
	}
	if _, _, err := net.SplitHostPort(o.Listen); err != nil {
		return bad("listen address %q: it must be HOST:PORT, such as 127.0.0.1:8080 or :8080", o.Listen)
	}
	if o.Store != "" && o.Store != "pebble:" {
		return bad("store %q: this version keeps its data in the data directory; leave --store out, or say pebble:", o.Store)
	}
	if o.PublicURL != "" {
		u, err := url.Parse(o.PublicURL)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return bad("public URL %q: it must look like https://muster.example.com", o.PublicURL)
		}
		o.PublicURL = strings.TrimRight(o.PublicURL, "/")
	}
	if o.BootstrapToken != "" && len(o.BootstrapToken) < minBootstrap {
		return bad("the bootstrap token has %d characters, at least %d are needed: it is an admin's key", len(o.BootstrapToken), minBootstrap)
	}
	if o.Period == 0 {
		o.Period = agent.DefaultPeriod
	}
	if o.Shards == 0 {
		o.Shards = 64
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.Out == nil {
		o.Out = os.Stdout
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o.TLS.validate()
}

const minBootstrap = 20

// agentDir gives the directory of agents to download.
func (o *Options) agentDir() string {
	if o.AgentFiles != "" {
		return o.AgentFiles
	}
	self, err := os.Executable()
	if err != nil {
		return "agents"
	}
	return filepath.Join(filepath.Dir(self), "agents")
}

// publicURL gives the address for people: the one told, or what the listener has, as loopback where
// it listens everywhere.
func (o *Options) publicURL(addr net.Addr) string {
	if o.PublicURL != "" {
		return o.PublicURL
	}
	if len(o.TLS.ACME) > 0 {
		return "https://" + o.TLS.ACME[0]
	}
	return o.localURL(addr)
}

// localURL gives the address for this machine.
func (o *Options) localURL(addr net.Addr) string {
	scheme := "http"
	if o.TLS.on() {
		scheme = "https"
	}
	host, port, _ := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
