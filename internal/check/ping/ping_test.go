package ping_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"muster"
	"muster/internal/check"
	"muster/internal/check/checktest"
	"muster/internal/check/ping"
)

// packet is what a network delivers: bytes from an address.
type packet struct {
	from netip.Addr
	b    []byte
}

// network is an internet for tests: what answers a request that is sent, nil for nothing.
type network func(to netip.Addr, request []byte) []packet

// socket is one end of it. It is carried by UDP over loopback, so that deadlines are those of the system.
type socket struct {
	*net.UDPConn
	raw    bool
	behind *net.UDPConn
	answer network
}

func (n network) kind() *ping.Kind {
	return ping.New(ping.Options{Listen: func(name, _ string) (net.PacketConn, error) {
		return n.listen(strings.HasPrefix(name, "ip"))
	}})
}

func (n network) listen(raw bool) (net.PacketConn, error) {
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	behind, err := net.DialUDP("udp", nil, front.LocalAddr().(*net.UDPAddr))
	if err != nil {
		front.Close()
		return nil, err
	}
	sockets.Add(1)
	return &socket{UDPConn: front, raw: raw, behind: behind, answer: n}, nil
}

// sockets counts those that are open.
var sockets atomic.Int64

func (s *socket) WriteTo(b []byte, to net.Addr) (int, error) {
	for _, p := range s.answer(addrOf(to), b) {
		from := p.from.As16()
		s.behind.Write(append(from[:], p.b...))
	}
	return len(b), nil
}

func (s *socket) ReadFrom(b []byte) (int, net.Addr, error) {
	buf := make([]byte, 4096)
	n, _, err := s.UDPConn.ReadFrom(buf)
	if err != nil {
		return 0, nil, err
	}
	from := netip.AddrFrom16([16]byte(buf[:16])).Unmap()
	n = copy(b, buf[16:n])
	if s.raw {
		return n, &net.IPAddr{IP: from.AsSlice()}, nil
	}
	return n, &net.UDPAddr{IP: from.AsSlice()}, nil
}

func (s *socket) Close() error {
	sockets.Add(-1)
	s.behind.Close()
	return s.UDPConn.Close()
}

func addrOf(addr net.Addr) netip.Addr {
	switch addr := addr.(type) {
	case *net.UDPAddr:
		return addr.AddrPort().Addr().Unmap()
	case *net.IPAddr:
		found, _ := netip.AddrFromSlice(addr.IP)
		return found.Unmap()
	}
	return netip.Addr{}
}

// reply makes the right answer to a request, after a change; nil when the request is not one.
func reply(request []byte, change func(m *icmp.Message, e *icmp.Echo)) []byte {
	protocol, kind := 1, icmp.Type(ipv4.ICMPTypeEchoReply)
	if len(request) > 0 && request[0] == byte(ipv6.ICMPTypeEchoRequest) {
		protocol, kind = 58, ipv6.ICMPTypeEchoReply
	}
	m, err := icmp.ParseMessage(protocol, request)
	if err != nil {
		return nil
	}
	echo, ok := m.Body.(*icmp.Echo)
	if !ok {
		return nil
	}
	m.Type = kind
	if change != nil {
		change(m, echo)
	}
	b, _ := m.Marshal(nil)
	return b
}

func echoes(to netip.Addr, request []byte) []packet { return []packet{{to, reply(request, nil)}} }

func look(t testing.TB, n network, config string, within time.Duration) *check.Outcome {
	t.Helper()
	return checktest.Look(t, n.kind(), config, nil, within)
}

func TestSuite(t *testing.T) {
	var garbage atomic.Pointer[[]byte]
	world := network(func(to netip.Addr, request []byte) []packet {
		switch to.String() {
		case "192.0.2.1":
			return echoes(to, request)
		case "192.0.2.2":
			return []packet{{to, *garbage.Load()}}
		}
		return nil
	})
	checktest.Test(t, checktest.Suite{
		Kind:   world.kind(),
		Good:   func(*testing.T) string { return `{"host":"192.0.2.1","count":2}` },
		Silent: func(*testing.T) string { return `{"host":"192.0.2.3"}` },
		Garbage: func(_ *testing.T, answer []byte) string {
			garbage.Store(&answer)
			return `{"host":"192.0.2.2","count":1}`
		},
		Normal: []string{`{"host":"example.org","count":15,"family":"ip6"}`, `{"host":"2001:db8::1"}`},
		Wrong: map[string]string{
			`{}`:                           "host",
			`{"host":"a b"}`:               "host",
			`{"host":"http://a"}`:          "host",
			`{"host":"a","count":0}`:       "count",
			`{"host":"a","count":16}`:      "count",
			`{"host":"a","count":"5"}`:     "count",
			`{"host":"a","family":"ipv6"}`: "family",
		},
	})
	if n := sockets.Load(); n != 0 {
		t.Errorf("%d sockets are left open", n)
	}
}

func TestAnswersAreCounted(t *testing.T) {
	out := look(t, echoes, `{"host":"192.0.2.1","count":4}`, checktest.Long)
	if out.Status != muster.StatusOK || out.Summary != "4 of 4 requests answered" {
		t.Fatalf("%+v", out)
	}
	loss, _ := checktest.Value(out, "ping.loss")
	least, _ := checktest.Value(out, "ping.rtt.min")
	average, _ := checktest.Value(out, "ping.rtt.avg")
	most, ok := checktest.Value(out, "ping.rtt.max")
	deviation, also := checktest.Value(out, "ping.rtt.stddev")
	if loss != 0 || !ok || !also || least < 0 || least > average+1e-6 || average > most+1e-6 || deviation > most {
		t.Errorf("loss %v, %v %v %v, deviation %v", loss, least, average, most, deviation)
	}
	var sent int
	half := network(func(to netip.Addr, request []byte) []packet {
		if sent++; sent%2 == 0 {
			return nil
		}
		return echoes(to, request)
	})
	out = look(t, half, `{"host":"192.0.2.1","count":4}`, 3*time.Second)
	if loss, _ := checktest.Value(out, "ping.loss"); out.Status != muster.StatusOK || loss != 0.5 || out.Summary != "2 of 4 requests answered" {
		t.Errorf("%+v", out)
	}
	out = look(t, func(netip.Addr, []byte) []packet { return nil }, `{"host":"192.0.2.1","count":3}`, 300*time.Millisecond)
	if loss, _ := checktest.Value(out, "ping.loss"); out.Status != muster.StatusCritical || out.Class != check.ClassTimeout || loss != 1 {
		t.Errorf("%+v", out)
	}
	if _, measured := checktest.Value(out, "ping.rtt.avg"); measured {
		t.Error("a time was measured without an answer")
	}
}

// TestWrongAnswersDoNotCount gives every answer but the right one.
func TestWrongAnswersDoNotCount(t *testing.T) {
	other := netip.MustParseAddr("192.0.2.9")
	for name, wrong := range map[string]network{
		"from another": func(_ netip.Addr, r []byte) []packet { return []packet{{other, reply(r, nil)}} },
		"the request":  func(to netip.Addr, r []byte) []packet { return []packet{{to, r}} },
		"sequence": func(to netip.Addr, r []byte) []packet {
			return []packet{{to, reply(r, func(_ *icmp.Message, e *icmp.Echo) { e.Seq ^= 1 })}}
		},
		"far sequence": func(to netip.Addr, r []byte) []packet {
			return []packet{{to, reply(r, func(_ *icmp.Message, e *icmp.Echo) { e.Seq = 60000 })}}
		},
		"payload": func(to netip.Addr, r []byte) []packet {
			return []packet{{to, reply(r, func(_ *icmp.Message, e *icmp.Echo) { e.Data[3]++ })}}
		},
		"shorter": func(to netip.Addr, r []byte) []packet {
			return []packet{{to, reply(r, func(_ *icmp.Message, e *icmp.Echo) { e.Data = e.Data[:10] })}}
		},
		"unreachable": func(to netip.Addr, r []byte) []packet {
			b, _ := (&icmp.Message{Type: ipv4.ICMPTypeDestinationUnreachable, Body: &icmp.DstUnreach{Data: r}}).Marshal(nil)
			return []packet{{to, b}}
		},
		"nothing": func(to netip.Addr, _ []byte) []packet { return []packet{{to, nil}, {to, []byte{0}}} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := look(t, wrong, `{"host":"192.0.2.1","count":2}`, 250*time.Millisecond)
			if loss, _ := checktest.Value(out, "ping.loss"); out.Status != muster.StatusCritical || loss != 1 {
				t.Errorf("%+v", out)
			}
		})
	}
	twice := network(func(to netip.Addr, r []byte) []packet {
		if r[7] == 1 { // the second request is lost, the first answered twice
			return nil
		}
		return append(echoes(to, r), echoes(to, r)...)
	})
	out := look(t, twice, `{"host":"192.0.2.1","count":2}`, 2*time.Second)
	if loss, _ := checktest.Value(out, "ping.loss"); loss != 0.5 {
		t.Errorf("an answer that came twice counts twice: %+v", out)
	}
}

// TestIdIsOursOnRawSockets lets the system write another id, as it does without privileges, and only then.
func TestIdIsOursOnRawSockets(t *testing.T) {
	changed := network(func(to netip.Addr, r []byte) []packet {
		return []packet{{to, reply(r, func(_ *icmp.Message, e *icmp.Echo) { e.ID ^= 1 })}}
	})
	if out := look(t, changed, `{"host":"192.0.2.1","count":1}`, checktest.Long); out.Status != muster.StatusOK {
		t.Errorf("without privileges: %+v", out)
	}
	raw := ping.New(ping.Options{Listen: func(name, _ string) (net.PacketConn, error) {
		if strings.HasPrefix(name, "udp") {
			return nil, os.NewSyscallError("socket", syscall.EACCES)
		}
		return changed.listen(true)
	}})
	if out := checktest.Look(t, raw, `{"host":"192.0.2.1","count":1}`, nil, 250*time.Millisecond); out.Status != muster.StatusCritical {
		t.Errorf("raw: %+v", out)
	}
}

func TestWithoutSocketsNothingIsKnown(t *testing.T) {
	for _, c := range []struct {
		err   error
		class string
		says  string
	}{
		{os.NewSyscallError("socket", syscall.EPERM), check.ClassDenied, "net.ipv4.ping_group_range"},
		{os.NewSyscallError("socket", syscall.EAFNOSUPPORT), check.ClassConnect, "address family"},
	} {
		kind := ping.New(ping.Options{Listen: func(string, string) (net.PacketConn, error) { return nil, c.err }})
		out := checktest.Look(t, kind, `{"host":"192.0.2.1"}`, nil, checktest.Long)
		if out.Status != muster.StatusUnknown || out.Class != c.class || !strings.Contains(out.Error, c.says) {
			t.Errorf("%+v", out)
		}
	}
}

// refusing is a socket that sends nothing.
type refusing struct{ net.PacketConn }

func (refusing) WriteTo([]byte, net.Addr) (int, error) {
	return 0, &net.OpError{Op: "write", Err: os.NewSyscallError("sendto", syscall.ENETUNREACH)}
}

func TestNetworkThatRefusesToSend(t *testing.T) {
	kind := ping.New(ping.Options{Listen: func(string, string) (net.PacketConn, error) {
		conn, err := network(echoes).listen(false)
		return refusing{conn}, err
	}})
	out := checktest.Look(t, kind, `{"host":"192.0.2.1","count":3}`, nil, checktest.Long)
	if out.Status != muster.StatusCritical || out.Class != check.ClassConnect || !strings.Contains(out.Error, "unreachable") {
		t.Errorf("%+v", out)
	}
}

func TestFamilies(t *testing.T) {
	env := &check.Env{Resolve: func(_ context.Context, family, _ string) ([]netip.Addr, error) {
		both := []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")}
		if family == "ip4" {
			return both[1:], nil
		}
		return both, nil
	}}
	for family, want := range map[string]string{"ip": "2001:db8::1", "ip4": "192.0.2.1", "ip6": "2001:db8::1"} {
		out := checktest.Look(t, network(echoes).kind(), fmt.Sprintf(`{"host":"a.example","count":1,"family":%q}`, family), env, checktest.Long)
		if out.Status != muster.StatusOK || out.Evidence["addresses"] != want {
			t.Errorf("%s: %+v", family, out)
		}
	}
	out := look(t, echoes, `{"host":"192.0.2.1","family":"ip6"}`, checktest.Long)
	if out.Class != check.ClassDNS {
		t.Errorf("%+v", out)
	}
}

// TestLoopback pings this machine by whatever socket it allows.
func TestLoopback(t *testing.T) {
	kind := ping.New(ping.Options{})
	out := checktest.Look(t, kind, `{"host":"127.0.0.1","count":3}`, nil, checktest.Long)
	if out.Class == check.ClassDenied && os.Getenv("MUSTER_REQUIRE") != "all" {
		t.Skipf("SKIPPED: %s", out.Error)
	}
	average, ok := checktest.Value(out, "ping.rtt.avg")
	if out.Status != muster.StatusOK || !ok || average <= 0 || math.IsNaN(average) {
		t.Errorf("%+v", out)
	}
}

// TestWithoutPrivileges pings within a network of its own, where the sysctl allows it.
func TestWithoutPrivileges(t *testing.T) {
	const inside = "MUSTER_TEST_PING_INSIDE"
	if os.Getenv(inside) != "" {
		kind := ping.New(ping.Options{Listen: func(name, address string) (net.PacketConn, error) {
			if strings.HasPrefix(name, "ip") {
				return nil, errors.New("no raw sockets in this test")
			}
			return icmp.ListenPacket(name, address)
		}})
		for _, host := range []string{"127.0.0.1", "::1"} {
			out := checktest.Look(t, kind, fmt.Sprintf(`{"host":%q,"count":3}`, host), nil, checktest.Long)
			if loss, ok := checktest.Value(out, "ping.loss"); out.Status != muster.StatusOK || !ok || loss != 0 {
				t.Errorf("%s: %+v", host, out)
			}
		}
		return
	}
	unshare := checktest.Program(t, "unshare", os.Getenv("MUSTER_REQUIRE"))
	checktest.Program(t, "ip", os.Getenv("MUSTER_REQUIRE"))
	if err := exec.Command(unshare, "-n", "true").Run(); err != nil {
		if os.Getenv("MUSTER_REQUIRE") == "all" {
			t.Fatalf("a network of its own cannot be made: %v", err)
		}
		t.Skipf("SKIPPED: a network of its own cannot be made: %v", err)
	}
	script := `ip link set lo up && echo "0 2147483647" > /proc/sys/net/ipv4/ping_group_range && exec "$0" -test.run '^TestWithoutPrivileges$'`
	cmd := exec.CommandContext(t.Context(), unshare, "-n", "sh", "-c", script, os.Args[0])
	cmd.Env = append(os.Environ(), inside+"=1")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"host":"example.org","count":3,"family":"ip4"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		checktest.Fuzzed(t, ping.New(ping.Options{}), raw)
	})
}

// FuzzReply gives a run any packet from the right address: it never counts, since it cannot know the payload.
func FuzzReply(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0})
	f.Add(make([]byte, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := network(func(to netip.Addr, _ []byte) []packet { return []packet{{to, b}} })
		if out := look(t, n, `{"host":"192.0.2.1","count":1}`, 5*time.Millisecond); out.Status == muster.StatusOK {
			t.Errorf("%x counts", b)
		}
	})
}
