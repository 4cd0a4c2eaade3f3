// Package dns gives the check kind "dns": it asks a name server and looks at the answer.
package dns

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"muster"
	"muster/internal/check"
)

const (
	maxExpected = 20
	maxValue    = 1000
	systemPort  = 53
)

// Options says where to look. The zero value is right for the machine itself.
type Options struct {
	ResolvConf string // names the system's resolver, by default /etc/resolv.conf
}

// Kind is the driver. It is safe for concurrent use.
type Kind struct {
	options Options
	metrics metrics
}

// metrics are what a run measures.
type metrics struct{ duration, answers, ttl, rcode *muster.Metric }

// New gives the kind.
func New(options Options) *Kind {
	options.ResolvConf = cmp.Or(options.ResolvConf, "/etc/resolv.conf")
	return &Kind{options: options, metrics: metrics{
		duration: check.Gauge("dns.duration", "s"),
		answers:  check.Gauge("dns.answers", "{answer}"),
		ttl:      check.Gauge("dns.ttl", "s"),
		rcode:    check.Gauge("dns.rcode", "1"),
	}}
}

// Name is "dns".
func (k *Kind) Name() string { return "dns" }

// config holds the fields in the order in which they are written.
type config struct {
	Query       string   `json:"query"`
	Type        string   `json:"type"`
	Server      string   `json:"server"`
	Port        int      `json:"port"`
	Protocol    string   `json:"protocol"`
	Expect      []string `json:"expect"`
	ExpectMatch string   `json:"expect_match"`
	ExpectRcode string   `json:"expect_rcode"`
	DNSSEC      bool     `json:"dnssec"`
	Family      string   `json:"family"`
}

// probe is a configuration that was found good.
type probe struct {
	config
	kind   *Kind
	name   string // that is asked for, with the dot at its end
	rrtype uint16
	rcode  int
	match  *check.Pattern
}

// Config gives the fields.
func (p *probe) Config() []byte { return check.Normal(&p.config) }

// Target is what is asked, and whom: "example.org A at 192.0.2.53".
func (p *probe) Target() string {
	target := p.Query + " " + p.Type
	switch {
	case p.Server != "" && p.Port != systemPort:
		target += " at " + check.HostPort(p.Server, p.Port)
	case p.Server != "":
		target += " at " + p.Server
	}
	return target
}

// Types lists the record types that can be asked for.
func Types() []string {
	return []string{"A", "AAAA", "TXT", "MX", "SOA", "CNAME", "PTR", "NS", "SRV", "CAA"}
}

// Parse reads the fields; the error is a *check.ConfigError.
func (k *Kind) Parse(raw []byte) (check.Probe, error) {
	p := &probe{kind: k, config: config{Type: "A", Port: systemPort, Protocol: "udp", Expect: []string{}, ExpectRcode: "NOERROR", Family: check.FamilyAny}}
	f := check.ReadFields(raw)
	f.Text("query", &p.Query, 300)
	f.Text("type", &p.Type, 10)
	f.Text("server", &p.Server, 300)
	f.Int("port", &p.Port, 1, 65535)
	f.Choice("protocol", &p.Protocol, "udp", "tcp")
	f.Texts("expect", &p.Expect, maxExpected, maxValue)
	f.Pattern("expect_match", &p.match)
	f.Text("expect_rcode", &p.ExpectRcode, 20)
	f.Bool("dnssec", &p.DNSSEC)
	f.Choice("family", &p.Family, check.FamilyAny, check.Family4, check.Family6)
	p.readQuestion(f)
	p.ExpectMatch = p.match.String()
	p.ExpectRcode = strings.ToUpper(p.ExpectRcode)
	var known bool
	if p.rcode, known = dns.StringToRcode[p.ExpectRcode]; !known {
		f.Fault("expect_rcode", "must be the name of a code such as NOERROR or NXDOMAIN")
	}
	if p.rcode != dns.RcodeSuccess && (len(p.Expect) > 0 || p.match != nil) {
		f.Fault("expect_rcode", "must be NOERROR where answers are expected")
	}
	if p.Server != "" {
		if fault := check.HostFault(p.Server); fault != "" {
			f.Fault("server", "%s", fault)
		}
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *probe) readQuestion(f *check.Fields) {
	p.Type = strings.ToUpper(p.Type)
	if !slices.Contains(Types(), p.Type) {
		f.Fault("type", "must be one of %s", strings.Join(Types(), ", "))
	}
	p.rrtype = dns.StringToType[p.Type]
	p.name = dns.Fqdn(p.Query)
	if addr, err := netip.ParseAddr(p.Query); err == nil && p.Type == "PTR" {
		p.name, _ = dns.ReverseAddr(addr.WithZone("").Unmap().String())
	}
	if _, good := dns.IsDomainName(p.name); p.Query == "" || !good || strings.ContainsFunc(p.name, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		f.Fault("query", "must be a domain name; other scripts in their xn-- form")
	}
}

// server says whom to ask: the one of the configuration, or the first of the system's.
func (p *probe) server() (host string, port uint16, err error) {
	if p.Server != "" {
		return p.Server, uint16(p.Port), nil
	}
	system, err := dns.ClientConfigFromFile(p.kind.options.ResolvConf)
	if err != nil || len(system.Servers) == 0 {
		return "", 0, &check.Failure{Class: check.ClassDNS, Unable: true, Text: fmt.Sprintf("%s names no resolver; give the check a server", p.kind.options.ResolvConf)}
	}
	return system.Servers[0], uint16(p.Port), nil
}
