package http

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"strconv"
	"strings"
	"time"

	"muster"
	"muster/internal/check"
)

// run is one look at a target.
type run struct {
	*probe
	ctx   context.Context
	env   *check.Env
	out   *check.Outcome
	spent struct{ dns, connect, tls, firstByte time.Duration } // over all hops
	shown *check.Certificate                                   // the worst that was shown
	been  []string                                             // "METHOD URL" of every hop
	way   []string                                             // the redirects, for people
	whole bool                                                 // an answer was read to its end
}

// Run asks, follows, reads and judges.
func (p *probe) Run(ctx context.Context, env *check.Env, out *check.Outcome) {
	r := &run{probe: p, ctx: ctx, env: env, out: out}
	start := time.Now()
	err := r.follow()
	total := time.Since(start)
	out.Report(err)
	if err == nil && p.limit > 0 && total > p.limit {
		out.Fail(check.ClassTimeout, "the answer took longer than %s", p.limit)
	}
	r.measured(total)
	r.shown.Report(out)
	if len(r.way) > 0 {
		out.Note("http.redirects", strings.Join(r.way, " -> "))
	}
	out.Settle()
}

// measured puts the times. What never ended was not measured.
func (r *run) measured(total time.Duration) {
	m := r.metrics
	for _, part := range []struct {
		metric *muster.Metric
		spent  time.Duration
	}{{m.dns, r.spent.dns}, {m.connect, r.spent.connect}, {m.tls, r.spent.tls}, {m.firstByte, r.spent.firstByte}} {
		if part.spent > 0 {
			r.out.Put(part.metric, check.Seconds(part.spent))
		}
	}
	if r.whole {
		r.out.Put(m.total, check.Seconds(total))
	}
}

// follow goes from hop to hop until an answer leads no further, and judges that one.
func (r *run) follow() error {
	at := r.first
	for {
		name := at.method + " " + at.text
		for _, was := range r.been {
			if was == name {
				return astray("the redirects go round in a circle, back to %q", at.text)
			}
		}
		if r.been = append(r.been, name); len(r.been) > maxRedirects+1 {
			return astray("there are more than %d redirects", maxRedirects)
		}
		next, err := r.visit(at)
		if err != nil || next == nil {
			return err
		}
		at = next
	}
}

// visit makes one request over a connection of its own; it gives the next hop, or nil after the last.
func (r *run) visit(at *hop) (*hop, error) {
	raw, conn, err := r.open(at)
	if err != nil {
		return nil, err
	}
	defer raw.Close() // without a goodbye by TLS, which may have to wait
	release := check.Guard(r.ctx, raw)
	defer release()
	feed := &feed{from: conn, left: maxHead}
	answer, err := r.ask(at, conn, feed)
	if err != nil {
		return nil, err
	}
	next, err := r.redirect(at, answer)
	if err != nil || next == nil {
		return nil, r.judge(answer, feed, err)
	}
	r.way = append(r.way, strconv.Itoa(answer.StatusCode)+" "+next.text)
	return next, nil
}

// open connects, with TLS where the URL wants it: raw is the connection beneath.
func (r *run) open(at *hop) (raw, conn net.Conn, err error) {
	link, err := r.env.Connect(r.ctx, "tcp", r.Family, at.host, at.port)
	r.spent.dns += link.Resolve
	if names := link.Names(); names != "" {
		r.out.Note("addresses", names)
	}
	if err != nil {
		var f *check.Failure
		if errors.As(err, &f) && at != r.first {
			f.Unable = false // the target was asked, and sent us where we may not go
		}
		return nil, nil, err
	}
	r.spent.connect += link.Connect
	if at.url.Scheme != "https" {
		return link.Conn, link.Conn, nil
	}
	secure := r.secure
	if secure.Name == "" || !sameOrigin(at.url, r.first.url) {
		secure.Name = at.host
	}
	start := time.Now()
	conn, shown, err := secure.Handshake(r.ctx, r.env, link.Conn)
	if shown.Sooner(r.shown) {
		r.shown = shown
	}
	if err != nil {
		link.Conn.Close()
		return nil, nil, err
	}
	r.spent.tls += time.Since(start)
	return link.Conn, conn, nil
}

// ask sends the request and reads the head of the answer.
func (r *run) ask(at *hop, conn net.Conn, feed *feed) (*nethttp.Response, error) {
	start := time.Now()
	_, sendErr := conn.Write(at.bytes)
	in := bufio.NewReader(feed)
	_, err := in.Peek(1)
	switch {
	case err == nil:
		r.spent.firstByte += time.Since(start)
	case sendErr != nil:
		return nil, check.Failed(r.ctx, check.ClassProtocol, "sending the request", sendErr)
	default:
		return nil, r.unread(feed, err)
	}
	const most = 5 // announcements such as 103 Early Hints
	for range most {
		answer, err := nethttp.ReadResponse(in, at.asked)
		if err != nil {
			return nil, r.unread(feed, err)
		}
		if answer.ProtoMajor != 1 {
			return nil, &check.Failure{Class: check.ClassProtocol, Text: fmt.Sprintf("the answer is not HTTP/1: %q", answer.Proto)}
		}
		if answer.StatusCode >= 200 || answer.StatusCode == nethttp.StatusSwitchingProtocols {
			return answer, nil
		}
	}
	return nil, &check.Failure{Class: check.ClassProtocol, Text: fmt.Sprintf("more than %d answers only announce one", most)}
}

// unread says why the head of an answer could not be read. A line that the end cut in two reads as a bad one:
// what ended it is told.
func (r *run) unread(feed *feed, err error) error {
	switch {
	case feed.left <= 0:
		return &check.Failure{Class: check.ClassProtocol, Text: fmt.Sprintf("the head of the answer is longer than %d KiB", maxHead>>10)}
	case errors.Is(feed.err, io.EOF):
		return &check.Failure{Class: check.ClassProtocol, Text: "the connection was closed before the answer was complete"}
	case feed.err != nil:
		err = feed.err
	}
	return check.Failed(r.ctx, check.ClassProtocol, "reading the answer", err)
}

// judge looks at the last answer. A redirect that leads nowhere is shown and told of in its stead.
func (r *run) judge(answer *nethttp.Response, feed *feed, astray error) error {
	r.out.Summary = "HTTP " + strconv.Itoa(answer.StatusCode)
	r.out.Note("http.status", answer.Proto+" "+answer.Status)
	for _, name := range []string{"Server", "Location", "Retry-After"} {
		if value := answer.Header.Get(name); value != "" {
			r.out.Note("http.header."+strings.ToLower(name), value)
		}
	}
	r.out.Put(r.metrics.status, float64(answer.StatusCode))
	if astray != nil {
		return astray
	}
	feed.left = 4 * maxBody // on the wire: pieces have their lengths beside them
	b, err := r.readBody(answer)
	r.out.Put(r.metrics.size, float64(b.size))
	r.out.Put(r.metrics.truncated, b.cutNumber())
	if err == nil {
		r.whole = true
		err = r.expected(answer, b)
	}
	if err != nil && len(b.text) > 0 {
		r.out.Note("http.body", string(b.text[:min(len(b.text), maxShown)]))
	}
	return err
}

// expected compares the answer with what was expected of it.
func (r *run) expected(answer *nethttp.Response, b body) error {
	if !r.status.has(answer.StatusCode) {
		return &check.Failure{Class: check.ClassStatus, Text: fmt.Sprintf("the status is %d, expected %s", answer.StatusCode, r.status)}
	}
	for _, pattern := range r.matches {
		if _, err := pattern.Find(r.ctx, b.text, r.out); err != nil {
			return err
		}
	}
	if r.bodyMatch == nil {
		return nil
	}
	found, err := r.bodyMatch.Find(r.ctx, b.text, r.out)
	if err != nil || found {
		return err
	}
	text := "the body does not match " + strconv.Quote(r.bodyMatch.String())
	if b.cut {
		text += fmt.Sprintf(" in its first %d KiB", len(b.text)>>10)
	}
	return &check.Failure{Class: check.ClassBody, Text: text}
}

func astray(format string, args ...any) error {
	return &check.Failure{Class: check.ClassRedirect, Text: fmt.Sprintf(format, args...)}
}
