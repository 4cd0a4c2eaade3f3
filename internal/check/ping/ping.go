// Package ping gives the check kind "ping": it sends ICMP echo requests and counts the answers.
package ping

import (
	"net"

	"golang.org/x/net/icmp"

	"muster"
	"muster/internal/check"
)

const (
	maxCount   = 15
	usualCount = 5
)

// Options is what pings need of the world; the zero value is the machine itself.
type Options struct {
	// Listen opens a socket for ICMP; the networks are "udp4", "udp6" (no privilege, but a sysctl) and
	// "ip4:icmp", "ip6:ipv6-icmp" (raw). Nil: icmp.ListenPacket.
	Listen func(network, address string) (net.PacketConn, error)
}

// Kind is the driver. It is safe for concurrent use.
type Kind struct {
	options Options
	metrics metrics
}

// metrics are what a run measures.
type metrics struct{ loss, average, least, most, deviation *muster.Metric }

// New gives the kind.
func New(options Options) *Kind {
	if options.Listen == nil {
		options.Listen = listen
	}
	return &Kind{options: options, metrics: metrics{
		loss:      check.Gauge("ping.loss", "1"),
		average:   check.Gauge("ping.rtt.avg", "s"),
		least:     check.Gauge("ping.rtt.min", "s"),
		most:      check.Gauge("ping.rtt.max", "s"),
		deviation: check.Gauge("ping.rtt.stddev", "s"),
	}}
}

func listen(network, address string) (net.PacketConn, error) {
	conn, err := icmp.ListenPacket(network, address)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// Name is "ping".
func (k *Kind) Name() string { return "ping" }

// config holds the fields in the order in which they are written.
type config struct {
	Host   string `json:"host"`
	Count  int    `json:"count"`
	Family string `json:"family"`
}

// probe is a configuration that was found good.
type probe struct {
	config
	kind *Kind
}

// Config gives the fields.
func (p *probe) Config() []byte { return check.Normal(&p.config) }

// Target is the host.
func (p *probe) Target() string { return p.Host }

// Parse reads the fields; the error is a *check.ConfigError.
func (k *Kind) Parse(raw []byte) (check.Probe, error) {
	p := &probe{kind: k, config: config{Count: usualCount, Family: check.FamilyAny}}
	f := check.ReadFields(raw)
	f.Host("host", &p.Host)
	f.Int("count", &p.Count, 1, maxCount)
	f.Choice("family", &p.Family, check.FamilyAny, check.Family4, check.Family6)
	if err := f.Err(); err != nil {
		return nil, err
	}
	return p, nil
}
