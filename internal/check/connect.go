package check

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster"
)

// Families of addresses, as Env.Resolve takes them.
const (
	FamilyAny = "ip"
	Family4   = "ip4"
	Family6   = "ip6"
)

const (
	maxAddresses = 8                      // of a name that are tried
	headStart    = 250 * time.Millisecond // for one address before the next is tried beside it: RFC 8305
)

// Link is a connection that a run made, and what making it took.
type Link struct {
	Conn      net.Conn
	Address   netip.AddrPort // it is connected to
	Addresses []netip.Addr   // of the name, sorted
	Resolve   time.Duration  // zero for a numeric host
	Connect   time.Duration
}

// Lookup finds the addresses of a host that may be reached, sorted as the resolver has them, each once.
// A numeric host is its own address. The error is a Failure of ClassDNS, ClassDenied or ClassTimeout.
func (e *Env) Lookup(ctx context.Context, family, host string) ([]netip.Addr, error) {
	found, err := e.resolve(ctx, family, host)
	if err != nil {
		return nil, Failed(ctx, ClassDNS, "resolving "+host, err)
	}
	var good []netip.Addr
	var denied error
	for _, addr := range found {
		addr = addr.Unmap()
		if !addr.IsValid() || slices.Contains(good, addr) || family == Family4 && !addr.Is4() || family == Family6 && !addr.Is6() {
			continue
		}
		if e.Allow != nil {
			if err := e.Allow(addr); err != nil {
				denied = err
				continue
			}
		}
		good = append(good, addr)
	}
	switch {
	case len(good) > 0:
		return good[:min(len(good), maxAddresses)], nil
	case denied != nil:
		return nil, &Failure{Class: ClassDenied, Text: refusal(denied), Unable: true}
	}
	return nil, &Failure{Class: ClassDNS, Text: "resolving " + host + ": it has no address of the wanted family"}
}

func (e *Env) resolve(ctx context.Context, family, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	if e.Resolve != nil {
		return e.Resolve(ctx, family, host)
	}
	resolver := net.Resolver{PreferGo: true} // one of its own for each run: nothing is remembered
	return resolver.LookupNetIP(ctx, family, host)
}

// refusal says for people why an address may not be reached.
func refusal(err error) string {
	if words := muster.Words(err); words != "" {
		return words
	}
	return err.Error()
}

// Connect resolves the host and connects to its port by "tcp" or "udp". Where a name has several addresses they
// are tried in turn, a quarter of a second apart, and the first that answers is taken. The error is a
// Failure; the link holds what is known even then.
func (e *Env) Connect(ctx context.Context, network, family, host string, port uint16) (*Link, error) {
	link := &Link{}
	start := time.Now()
	found, err := e.Lookup(ctx, family, host)
	if _, numeric := netip.ParseAddr(host); numeric != nil {
		link.Resolve = time.Since(start)
	}
	if err != nil {
		return link, err
	}
	link.Addresses = slices.Clone(found)
	slices.SortFunc(link.Addresses, netip.Addr.Compare)
	start = time.Now()
	if len(found) == 1 || network == "udp" {
		link.Address = netip.AddrPortFrom(found[0], port)
		link.Conn, err = e.dial(ctx, network, link.Address)
	} else {
		link.Conn, link.Address, err = e.race(ctx, network, alternate(found), port)
	}
	link.Connect = time.Since(start)
	if err != nil {
		return link, Failed(ctx, ClassConnect, "connecting to "+link.Address.String(), err)
	}
	return link, nil
}

// Names gives the addresses of the name as text, for evidence: sorted, since resolvers turn them round.
func (l *Link) Names() string { return AddressNames(l.Addresses) }

// AddressNames writes addresses beside each other.
func AddressNames(addrs []netip.Addr) string {
	if len(addrs) == 1 {
		return addrs[0].String()
	}
	texts := make([]string, len(addrs))
	for i, addr := range addrs {
		texts[i] = addr.String()
	}
	return strings.Join(texts, " ")
}

// Guard makes the end of ctx the end of every read and write on a connection; call release when done with it.
func Guard(ctx context.Context, conn net.Conn) (release func()) {
	stop := context.AfterFunc(ctx, func() {
		conn.SetDeadline(time.Unix(1, 0)) // long ago: what waits returns at once
	})
	return func() { stop() }
}

func (e *Env) dial(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	if e.Dial != nil {
		return e.Dial(ctx, network, to.String())
	}
	// Not DialTCP with a zero local address: that binds first, and then ports run out over all targets together.
	dialer := net.Dialer{KeepAlive: -1} // no connection lives long enough for it
	return dialer.DialContext(ctx, network, to.String())
}

// attempt is what came of one address.
type attempt struct {
	conn net.Conn
	to   netip.AddrPort
	err  error
}

// race tries the addresses in turn, each with a head start before the next. It returns when all attempts ended.
func (e *Env) race(ctx context.Context, network string, addrs []netip.Addr, port uint16) (net.Conn, netip.AddrPort, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan attempt, len(addrs))
	next := time.NewTimer(0)
	defer next.Stop()
	var first, won attempt
	for started, ended := 0, 0; ended < len(addrs); {
		select {
		case <-next.C:
			if started == len(addrs) || won.conn != nil {
				continue
			}
			to := netip.AddrPortFrom(addrs[started], port)
			started++
			next.Reset(headStart)
			go func() {
				conn, err := e.dial(ctx, network, to)
				done <- attempt{conn, to, err}
			}()
			continue
		case a := <-done:
			ended++
			switch {
			case a.err != nil && first.err == nil:
				first = a
			case a.err == nil && won.conn != nil:
				a.conn.Close()
			case a.err == nil:
				won = a
				cancel()
			}
			next.Reset(0)
		}
		if won.conn != nil && ended == started || ctx.Err() != nil && ended == started {
			break
		}
	}
	if won.conn != nil {
		return won.conn, won.to, nil
	}
	return nil, first.to, first.err
}

// alternate puts the families in turn, the resolver's first choice first, so that a broken family costs one head start.
func alternate(addrs []netip.Addr) []netip.Addr {
	var one, other []netip.Addr
	for _, addr := range addrs {
		if addr.Is4() == addrs[0].Is4() {
			one = append(one, addr)
		} else {
			other = append(other, addr)
		}
	}
	out := make([]netip.Addr, 0, len(addrs))
	for i := range max(len(one), len(other)) {
		if i < len(one) {
			out = append(out, one[i])
		}
		if i < len(other) {
			out = append(out, other[i])
		}
	}
	return out
}

// HostPort writes a host and a port as people do, with brackets around IPv6.
func HostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
