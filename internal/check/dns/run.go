package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"muster/internal/check"
)

const (
	maxDatagram = 1232 // bytes that a UDP answer may have without being taken apart on the way
	sends       = 3    // a datagram may be lost
	patience    = time.Second
	strangers   = time.Second // how long a right answer may follow a wrong one
)

// Run asks and judges the answer.
func (p *probe) Run(ctx context.Context, env *check.Env, out *check.Outcome) {
	r := &run{probe: p, ctx: ctx, env: env, out: out}
	answer, err := r.ask()
	if err == nil {
		err = r.judge(answer)
	}
	out.Report(err)
	out.Settle()
}

// run is one look at a target.
type run struct {
	*probe
	ctx      context.Context
	env      *check.Env
	out      *check.Outcome
	question *dns.Msg
}

// ask sends the question, by TCP where the answer does not fit a datagram.
func (r *run) ask() (*dns.Msg, error) {
	host, port, err := r.server()
	if err != nil {
		return nil, err
	}
	r.out.Note("dns.server", check.HostPort(host, int(port)))
	r.question = new(dns.Msg).SetQuestion(r.name, r.rrtype)
	r.question.AuthenticatedData = r.DNSSEC
	r.question.SetEdns0(maxDatagram, r.DNSSEC)
	wire, err := r.question.Pack()
	if err != nil {
		return nil, &check.Failure{Class: check.ClassProtocol, Unable: true, Text: "the question cannot be written: " + err.Error()}
	}
	start := time.Now()
	answer, err := r.exchange(r.Protocol, host, port, wire)
	if err == nil && answer.Truncated && r.Protocol == "udp" {
		r.out.Note("dns.protocol", "tcp, since the answer does not fit a datagram")
		answer, err = r.exchange("tcp", host, port, wire)
	}
	if err == nil {
		r.out.Put(r.kind.metrics.duration, check.Seconds(time.Since(start)))
	}
	return answer, err
}

func (r *run) exchange(network, host string, port uint16, wire []byte) (*dns.Msg, error) {
	link, err := r.env.Connect(r.ctx, network, r.Family, host, port)
	if err != nil {
		return nil, err
	}
	defer link.Conn.Close()
	defer check.Guard(r.ctx, link.Conn)()
	if network == "tcp" {
		return r.byTCP(link.Conn, wire)
	}
	return r.byUDP(link.Conn, wire)
}

// byUDP sends the question again while nothing comes. What does not answer the question is passed over for a
// while, since anybody may send a datagram.
func (r *run) byUDP(conn net.Conn, wire []byte) (*dns.Msg, error) {
	buf := make([]byte, 4096)
	var until time.Time
	sent, wrong := 0, ""
	for {
		if wrong == "" {
			if _, err := conn.Write(wire); err != nil {
				return nil, check.Failed(r.ctx, check.ClassConnect, "sending the question", err)
			}
			if sent++; sent < sends {
				until = time.Now().Add(patience)
			} else {
				until = time.Time{} // what is left of the run
			}
		}
		answer, why, err := r.receive(conn, buf, until)
		switch {
		case answer != nil:
			return answer, nil
		case why != "" && wrong == "":
			wrong, until = why, time.Now().Add(strangers)
		case why != "":
		case wrong != "":
			return nil, &check.Failure{Class: check.ClassProtocol, Text: wrong}
		case sent < sends && r.ctx.Err() == nil && errors.Is(err, os.ErrDeadlineExceeded):
		default:
			return nil, check.Failed(r.ctx, check.ClassConnect, "waiting for the answer", err)
		}
	}
}

// receive reads one datagram until the instant (zero: the end of the run): an answer, or why it is none, or an error.
func (r *run) receive(conn net.Conn, buf []byte, until time.Time) (answer *dns.Msg, wrong string, err error) {
	conn.SetReadDeadline(until)
	if err := r.ctx.Err(); err != nil { // it may have ended before that, and its deadline be written over
		return nil, "", err
	}
	n, err := conn.Read(buf)
	if err != nil {
		return nil, "", err
	}
	answer, wrong = r.read(buf[:n])
	if wrong != "" {
		return nil, wrong, nil
	}
	return answer, "", nil
}

func (r *run) byTCP(conn net.Conn, wire []byte) (*dns.Msg, error) {
	framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...)
	if _, err := conn.Write(framed); err != nil {
		return nil, check.Failed(r.ctx, check.ClassProtocol, "sending the question", err)
	}
	var size [2]byte
	_, err := io.ReadFull(conn, size[:])
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	if err == nil {
		_, err = io.ReadFull(conn, buf)
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, &check.Failure{Class: check.ClassProtocol, Text: "the connection was closed before the answer was complete"}
	case err != nil:
		return nil, check.Failed(r.ctx, check.ClassProtocol, "waiting for the answer", err)
	}
	answer, wrong := r.read(buf)
	if wrong != "" {
		return nil, &check.Failure{Class: check.ClassProtocol, Text: wrong}
	}
	return answer, nil
}

// read takes an answer apart; wrong says why it answers nothing, or not this question.
func (r *run) read(b []byte) (answer *dns.Msg, wrong string) {
	const head = 12
	if len(b) < head {
		return nil, fmt.Sprintf("the answer has %d bytes: too few", len(b))
	}
	answer = new(dns.Msg)
	err := answer.Unpack(b)
	switch {
	case binary.BigEndian.Uint16(b) != r.question.Id:
		return nil, "the answer has the id of another question"
	case b[2]&0x80 == 0:
		return nil, "what came is a question, not an answer"
	case answer.Truncated && len(answer.Question) == 1 && r.asks(answer.Question[0]):
		return answer, "" // the rest is asked for again
	case err != nil:
		return nil, "the answer cannot be read: " + err.Error()
	}
	for i, got := range []int{len(answer.Question), len(answer.Answer), len(answer.Ns), len(answer.Extra)} {
		if said := int(binary.BigEndian.Uint16(b[4+2*i:])); said != got {
			return nil, fmt.Sprintf("the answer says that it has %d entries in section %d, and has %d", said, i+1, got)
		}
	}
	switch {
	case len(answer.Question) == 0 && answer.Rcode != dns.RcodeSuccess: // some leave it out when they refuse
	case len(answer.Question) != 1 || !r.asks(answer.Question[0]):
		return nil, "the answer is to another question"
	}
	return answer, ""
}

func (r *run) asks(q dns.Question) bool {
	return q.Qtype == r.rrtype && q.Qclass == dns.ClassINET && dns.CanonicalName(q.Name) == dns.CanonicalName(r.name)
}

// judge compares the answer with what was expected of it.
func (r *run) judge(answer *dns.Msg) error {
	if answer.Truncated {
		return &check.Failure{Class: check.ClassProtocol, Text: "the answer is cut off, even by TCP"}
	}
	values, ttl := r.values(answer)
	rcode := rcodeName(answer.Rcode)
	m := &r.kind.metrics
	r.out.Put(m.rcode, float64(answer.Rcode))
	r.out.Put(m.answers, float64(len(values)))
	if len(values) > 0 {
		r.out.Put(m.ttl, float64(ttl))
		r.out.Note("dns.answer", strings.Join(values, "\n"))
	}
	r.out.Note("dns.rcode", rcode)
	r.out.Summary = fmt.Sprintf("%s, %d answers", rcode, len(values))
	if len(values) == 1 {
		r.out.Summary = rcode + ", 1 answer"
	}
	switch {
	case answer.Rcode != r.rcode:
		return &check.Failure{Class: check.ClassStatus, Text: fmt.Sprintf("the server says %s, expected %s", rcode, r.ExpectRcode)}
	case r.DNSSEC && !answer.AuthenticatedData:
		return &check.Failure{Class: ClassDNSSEC, Text: "the server has not found the answer authentic (no AD flag)"}
	case r.rcode != dns.RcodeSuccess:
		return nil
	case len(values) == 0:
		return &check.Failure{Class: check.ClassBody, Text: fmt.Sprintf("there is no %s record", r.Type)}
	}
	return r.expected(values)
}

// ClassDNSSEC: the answer was not found authentic.
const ClassDNSSEC = "dnssec"

func (r *run) expected(values []string) error {
	for _, want := range r.Expect {
		if !slices.ContainsFunc(values, func(got string) bool { return r.equal(got, want) }) {
			return &check.Failure{Class: check.ClassBody, Text: fmt.Sprintf("%q is not among the answers", want)}
		}
	}
	if r.match == nil {
		return nil
	}
	for _, value := range values {
		if found, err := r.match.Find(r.ctx, []byte(value), r.out); found || err != nil {
			return err
		}
	}
	return &check.Failure{Class: check.ClassBody, Text: fmt.Sprintf("no answer matches %q", r.ExpectMatch)}
}
