package ping

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"muster/internal/check"
)

const (
	interval = 200 * time.Millisecond // between requests, less where time is short
	usual    = 5 * time.Second        // for a run whose context has no end
	payload  = 32                     // bytes, the first 16 of them random: a reply to anybody else never has them
)

// run is one look at a target.
type run struct {
	*probe
	ctx   context.Context
	out   *check.Outcome
	to    netip.Addr
	raw   bool
	conn  net.PacketConn
	dest  net.Addr
	id    uint16
	token [16]byte
	sent  []time.Time     // by sequence number
	rtt   []time.Duration // by sequence number; negative while there is no reply
	got   int
	end   time.Time // when waiting is over
}

// Run sends the requests and waits for the replies.
func (p *probe) Run(ctx context.Context, env *check.Env, out *check.Outcome) {
	r := &run{probe: p, ctx: ctx, out: out}
	err := r.open(env)
	if err == nil {
		defer r.conn.Close()
		err = r.exchange()
	}
	if err == nil {
		err = r.judge()
	}
	out.Report(err)
	out.Settle()
}

// open finds the address and a socket: one without privileges where the system allows it, else a raw one.
func (r *run) open(env *check.Env) error {
	found, err := env.Lookup(r.ctx, r.Family, r.Host)
	if err != nil {
		return err
	}
	r.to = found[0]
	r.out.Note("addresses", r.to.String())
	networks, any := [2]string{"udp4", "ip4:icmp"}, "0.0.0.0"
	if r.to.Is6() {
		networks, any = [2]string{"udp6", "ip6:ipv6-icmp"}, "::"
	}
	if r.conn, err = r.kind.options.Listen(networks[0], any); err == nil {
		r.dest = &net.UDPAddr{IP: r.to.AsSlice(), Zone: r.to.Zone()}
		return nil
	}
	first := err
	if r.conn, err = r.kind.options.Listen(networks[1], any); err == nil {
		r.raw, r.dest = true, &net.IPAddr{IP: r.to.AsSlice(), Zone: r.to.Zone()}
		return nil
	}
	if !errors.Is(first, os.ErrPermission) && !errors.Is(err, os.ErrPermission) {
		return &check.Failure{Class: check.ClassConnect, Unable: true, Text: "no socket for ICMP: " + check.Cause(first)}
	}
	return &check.Failure{Class: check.ClassDenied, Unable: true, Text: "this machine lets nobody but root ping: set the sysctl net.ipv4.ping_group_range " +
		`to "0 2147483647", or give the program that runs the checks CAP_NET_RAW`}
}

// exchange sends all requests, some time apart, and reads replies until all came or the run ends.
func (r *run) exchange() error {
	var random [18]byte
	rand.Read(random[:])
	copy(r.token[:], random[:16])
	r.id = binary.BigEndian.Uint16(random[16:])
	stop := context.AfterFunc(r.ctx, func() { r.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	pause := r.pause()
	var refused error
	for refusals := 0; r.got < r.Count && refusals < r.Count; {
		until := r.end
		if n := len(r.sent); n < r.Count {
			if n == 0 || time.Since(r.sent[n-1]) >= pause {
				if err := r.send(); err != nil {
					refused = err
					refusals++
				}
				continue
			}
			until = r.sent[n-1].Add(pause)
		}
		if !r.receive(until) {
			break
		}
	}
	if r.got == 0 && refused != nil {
		return check.Failed(r.ctx, check.ClassConnect, "sending to "+r.to.String(), refused)
	}
	return nil
}

// pause gives the time between two requests: so that the last has half of the run's time to be answered.
func (r *run) pause() time.Duration {
	end, ok := r.ctx.Deadline()
	if !ok {
		end = time.Now().Add(usual)
	}
	r.end = end
	return min(interval, time.Until(end)/time.Duration(2*r.Count))
}

// send sends the next request; one that the system refuses counts as lost.
func (r *run) send() error {
	seq := len(r.sent)
	r.sent = append(r.sent, time.Now())
	r.rtt = append(r.rtt, -1)
	kind := icmp.Type(ipv4.ICMPTypeEcho)
	if r.to.Is6() {
		kind = ipv6.ICMPTypeEchoRequest
	}
	data := make([]byte, payload)
	copy(data, r.token[:])
	binary.BigEndian.PutUint16(data[16:], uint16(seq))
	message := icmp.Message{Type: kind, Body: &icmp.Echo{ID: int(r.id), Seq: seq, Data: data}}
	wire, err := message.Marshal(nil) // the system reckons the checksum of version 6
	if err != nil {
		return err
	}
	r.conn.SetWriteDeadline(time.Time{})
	if r.ctx.Err() != nil {
		return r.ctx.Err()
	}
	r.sent[seq] = time.Now()
	_, err = r.conn.WriteTo(wire, r.dest)
	return err
}

// receive reads one packet until the instant; false when the run is at its end.
func (r *run) receive(until time.Time) bool {
	var buf [1500]byte
	r.conn.SetReadDeadline(until)
	if r.ctx.Err() != nil { // it may have ended before that, and its deadline be written over
		return false
	}
	n, from, err := r.conn.ReadFrom(buf[:])
	now := time.Now()
	switch {
	case err == nil:
		r.take(buf[:n], from, now)
	case r.ctx.Err() != nil:
		return false
	case errors.Is(err, os.ErrDeadlineExceeded):
		return until.Before(r.end)
	default:
		// What the network says of a packet on its way; the next ones may fare better.
		return r.waitOn()
	}
	return true
}

// waitOn keeps an error that repeats from turning the wait into a spin.
func (r *run) waitOn() bool {
	select {
	case <-r.ctx.Done():
		return false
	case <-time.After(10 * time.Millisecond):
		return true
	}
}

// take counts a packet if it is the reply to a request of this run, the first to it.
func (r *run) take(b []byte, from net.Addr, now time.Time) {
	protocol, want := 1, icmp.Type(ipv4.ICMPTypeEchoReply)
	if r.to.Is6() {
		protocol, want = 58, ipv6.ICMPTypeEchoReply
	}
	if addressOf(from) != r.to.WithZone("") {
		return
	}
	message, err := icmp.ParseMessage(protocol, b)
	if err != nil || message.Type != want {
		return
	}
	echo, ok := message.Body.(*icmp.Echo)
	// Without privileges the system writes an id of its own, and gives us only what answers to that.
	if !ok || len(echo.Data) != payload || r.raw && echo.ID != int(r.id) || !bytes.Equal(echo.Data[:16], r.token[:]) {
		return
	}
	seq := echo.Seq
	if seq >= len(r.sent) || int(binary.BigEndian.Uint16(echo.Data[16:])) != seq || r.rtt[seq] >= 0 {
		return
	}
	r.rtt[seq] = now.Sub(r.sent[seq])
	r.got++
}

func addressOf(from net.Addr) netip.Addr {
	var ip net.IP
	switch from := from.(type) {
	case *net.UDPAddr:
		ip = from.IP
	case *net.IPAddr:
		ip = from.IP
	}
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}

// judge makes the metrics. Requests that were never sent, since the run was cut short, are no losses.
func (r *run) judge() error {
	m := &r.kind.metrics
	if len(r.sent) > 0 {
		r.out.Put(m.loss, 1-float64(r.got)/float64(len(r.sent)))
	}
	if r.got == 0 {
		return &check.Failure{Class: check.ClassTimeout, Text: fmt.Sprintf("none of %d requests to %s was answered", len(r.sent), r.to)}
	}
	least, most, sum, squares := math.Inf(1), 0.0, 0.0, 0.0
	for _, rtt := range r.rtt {
		if rtt < 0 {
			continue
		}
		s := check.Seconds(rtt)
		least, most, sum, squares = min(least, s), max(most, s), sum+s, squares+s*s
	}
	n := float64(r.got)
	average := sum / n
	r.out.Put(m.average, micro(average))
	r.out.Put(m.least, least)
	r.out.Put(m.most, most)
	r.out.Put(m.deviation, micro(math.Sqrt(max(0, squares/n-average*average))))
	r.out.Summary = fmt.Sprintf("%d of %d requests answered", r.got, len(r.sent))
	return nil
}

func micro(seconds float64) float64 { return math.Round(seconds*1e6) / 1e6 }
