// Package tcp gives the check kind "tcp": it connects to a port, with TLS if wanted, says something and
// looks at the answer.
package tcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"muster"
	"muster/internal/check"
)

const (
	maxSend   = 4 << 10 // bytes that are sent
	maxAnswer = 4 << 10 // bytes of the answer that are looked at
)

// Kind is the driver. It is safe for concurrent use.
type Kind struct{ metrics metrics }

// metrics are what a run measures.
type metrics struct{ dns, connect, tls, firstByte, total *muster.Metric }

// New gives the kind.
func New() *Kind {
	return &Kind{metrics: metrics{
		dns:       check.Gauge("tcp.dns.duration", "s"),
		connect:   check.Gauge("tcp.connect.duration", "s"),
		tls:       check.Gauge("tcp.tls.duration", "s"),
		firstByte: check.Gauge("tcp.first_byte.duration", "s"),
		total:     check.Gauge("tcp.duration", "s"),
	}}
}

// Name is "tcp".
func (k *Kind) Name() string { return "tcp" }

// config holds the fields in the order in which they are written.
type config struct {
	Host          string `json:"host"`
	Port          int    `json:"port"`
	TLS           bool   `json:"tls"`
	Send          string `json:"send"`
	Expect        string `json:"expect"`
	TLSSkipVerify bool   `json:"tls_skip_verify"`
	TLSServerName string `json:"tls_server_name,omitempty"`
	TLSCA         string `json:"tls_ca,omitempty"`
	Family        string `json:"family"`
}

// probe is a configuration that was found good.
type probe struct {
	config
	metrics *metrics
	send    []byte
	expect  *check.Pattern
	secure  check.Secure
}

// Config gives the fields.
func (p *probe) Config() []byte { return check.Normal(&p.config) }

// Target is the host and the port.
func (p *probe) Target() string { return check.HostPort(p.Host, p.Port) }

// Parse reads the fields; the error is a *check.ConfigError.
func (k *Kind) Parse(raw []byte) (check.Probe, error) {
	p := &probe{metrics: &k.metrics, config: config{Family: check.FamilyAny}}
	f := check.ReadFields(raw)
	f.Host("host", &p.Host)
	f.Int("port", &p.Port, 1, 65535)
	f.Bool("tls", &p.TLS)
	f.Text("send", &p.Send, 4*maxSend)
	f.Pattern("expect", &p.expect)
	f.Bool("tls_skip_verify", &p.TLSSkipVerify)
	f.Text("tls_server_name", &p.TLSServerName, 300)
	f.Text("tls_ca", &p.TLSCA, check.MaxConfig)
	f.Choice("family", &p.Family, check.FamilyAny, check.Family4, check.Family6)
	if p.Port == 0 {
		f.Fault("port", "must be from 1 to 65535")
	}
	p.readWords(f)
	p.readTLS(f)
	if err := f.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *probe) readWords(f *check.Fields) {
	var fault string
	if p.send, fault = unescape(p.Send); fault == "" && len(p.send) > maxSend {
		fault = fmt.Sprintf("is %d bytes, at most %d are sent", len(p.send), maxSend)
	}
	if fault != "" {
		f.Fault("send", "%s", fault)
	}
	if p.Expect = p.expect.String(); p.expect != nil {
		if fault := p.expect.KeepGroups("tcp.match"); fault != "" {
			f.Fault("expect", "%s", fault)
		}
	}
}

func (p *probe) readTLS(f *check.Fields) {
	p.secure = check.Secure{Name: p.TLSServerName, SkipVerify: p.TLSSkipVerify}
	if p.secure.Name == "" {
		p.secure.Name = p.Host
	} else if fault := check.HostFault(p.TLSServerName); fault != "" {
		f.Fault("tls_server_name", "%s", fault)
	}
	if p.TLSCA != "" {
		roots, fault := check.ParseRoots(p.TLSCA)
		if fault != "" {
			f.Fault("tls_ca", "%s", fault)
		}
		p.secure.Roots = roots
	}
}

// Run connects, says what it has to say and waits for what is expected; without an expectation it does not listen.
func (p *probe) Run(ctx context.Context, env *check.Env, out *check.Outcome) {
	start := time.Now()
	err := p.look(ctx, env, out)
	if out.Report(err); err == nil {
		out.Put(p.metrics.total, check.Seconds(time.Since(start)))
		if out.Summary = "port " + strconv.Itoa(p.Port) + " is open"; p.expect != nil {
			out.Summary = "port " + strconv.Itoa(p.Port) + " answers as expected"
		}
	}
	out.Settle()
}

func (p *probe) look(ctx context.Context, env *check.Env, out *check.Outcome) error {
	link, err := env.Connect(ctx, "tcp", p.Family, p.Host, uint16(p.Port))
	if names := link.Names(); names != "" {
		out.Note("addresses", names)
	}
	if link.Resolve > 0 {
		out.Put(p.metrics.dns, check.Seconds(link.Resolve))
	}
	if err != nil {
		return err
	}
	defer link.Conn.Close()
	defer check.Guard(ctx, link.Conn)()
	out.Put(p.metrics.connect, check.Seconds(link.Connect))
	conn := link.Conn
	if p.TLS {
		start := time.Now()
		secure, shown, err := p.secure.Handshake(ctx, env, conn)
		shown.Report(out)
		if err != nil {
			return err
		}
		out.Put(p.metrics.tls, check.Seconds(time.Since(start)))
		conn = secure
	}
	return p.talk(ctx, conn, out)
}

// talk sends and listens.
func (p *probe) talk(ctx context.Context, conn net.Conn, out *check.Outcome) error {
	start := time.Now()
	var sendErr error
	if len(p.send) > 0 {
		_, sendErr = conn.Write(p.send)
	}
	if p.expect == nil {
		if sendErr != nil {
			return check.Failed(ctx, check.ClassProtocol, "sending", sendErr)
		}
		return nil
	}
	answer := make([]byte, 0, maxAnswer)
	for {
		n, err := conn.Read(answer[len(answer):maxAnswer])
		if len(answer) == 0 && n > 0 {
			out.Put(p.metrics.firstByte, check.Seconds(time.Since(start)))
		}
		answer = answer[:len(answer)+n]
		found, failure := p.expect.Find(ctx, answer, out)
		if found || failure != nil || err != nil || len(answer) == maxAnswer {
			if len(answer) > 0 {
				out.Note("tcp.banner", string(answer[:min(len(answer), maxShown)]))
			}
			if found || failure != nil {
				return failure
			}
			return p.missing(ctx, len(answer), err, sendErr)
		}
	}
}

// maxShown is how much of an answer is shown.
const maxShown = 300

// missing says why what was expected did not come.
func (p *probe) missing(ctx context.Context, got int, err, sendErr error) error {
	doing := "waiting for an answer"
	if got > 0 {
		doing = fmt.Sprintf("waiting for %q; %d other bytes came", p.Expect, got)
	}
	switch {
	case err != nil && sendErr != nil:
		return check.Failed(ctx, check.ClassProtocol, "sending", sendErr)
	case errors.Is(err, io.EOF) && got == 0:
		return &check.Failure{Class: check.ClassProtocol, Text: "the connection was closed without an answer"}
	case err != nil && !errors.Is(err, io.EOF):
		return check.Failed(ctx, check.ClassProtocol, doing, err)
	}
	return &check.Failure{Class: check.ClassBody, Text: fmt.Sprintf("the answer of %d bytes does not match %q", got, p.Expect)}
}
