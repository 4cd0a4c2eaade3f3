package dns_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"muster"
	"muster/internal/check"
	"muster/internal/check/checktest"
	"muster/internal/check/dns"
)

// config writes a configuration that asks at an address, with more fields.
func config(at netip.AddrPort, fields ...any) string {
	m := map[string]any{"query": "example.org", "server": at.Addr().String(), "port": at.Port()}
	for i := 0; i < len(fields); i += 2 {
		m[fields[i].(string)] = fields[i+1]
	}
	b, _ := json.Marshal(m)
	return string(b)
}

func look(t testing.TB, at netip.AddrPort, fields ...any) *check.Outcome {
	t.Helper()
	return checktest.Look(t, dns.New(dns.Options{}), config(at, fields...), nil, checktest.Long)
}

// zone is what the test's server knows.
var zone = []string{
	"example.org. 300 IN A 192.0.2.1", "example.org. 60 IN A 192.0.2.2", "example.org. 300 IN AAAA 2001:db8::1",
	`example.org. 300 IN TXT "v=spf1 " "-all; \"q\" \195\188"`, "example.org. 300 IN MX 10 Mail.Example.org.", "example.org. 300 IN SOA ns.example.org. root.example.org. 7 1 2 3 4",
	"example.org. 300 IN NS ns.example.org.", `example.org. 300 IN CAA 0 issue "ca.example"`, "www.example.org. 300 IN CNAME example.org.",
	"_sip._tcp.example.org. 300 IN SRV 1 2 5060 sip.example.org.", "1.2.0.192.in-addr.arpa. 300 IN PTR example.org.",
}

// answer is a good server's reply to a question.
func answer(t testing.TB, asked []byte) *mdns.Msg {
	var q mdns.Msg
	if err := q.Unpack(asked); err != nil {
		t.Errorf("a bad question: %v", err)
		return nil
	}
	m := new(mdns.Msg).SetReply(&q)
	m.Rcode = mdns.RcodeNameError
	for _, line := range zone {
		rr, err := mdns.NewRR(line)
		if err != nil {
			t.Error(err)
			return nil
		}
		if strings.EqualFold(rr.Header().Name, q.Question[0].Name) {
			m.Rcode = mdns.RcodeSuccess
			if rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
	}
	return m
}

func wire(t testing.TB, m *mdns.Msg) []byte {
	b, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	return b
}

// server answers by UDP; change may change each reply, or its bytes.
func server(t testing.TB, change func(m *mdns.Msg), bytes func(b []byte) []byte) netip.AddrPort {
	t.Helper()
	return checktest.Datagrams(t, func(asked []byte) [][]byte {
		m := answer(t, asked)
		if change != nil {
			change(m)
		}
		b := wire(t, m)
		if bytes != nil {
			b = bytes(b)
		}
		return [][]byte{b}
	})
}

func TestSuite(t *testing.T) {
	checktest.Test(t, checktest.Suite{
		Kind: dns.New(dns.Options{}),
		Good: func(t *testing.T) string { return config(server(t, nil, nil)) },
		Silent: func(t *testing.T) string {
			return config(checktest.Datagrams(t, func([]byte) [][]byte { return nil }))
		},
		Garbage: func(t *testing.T, answer []byte) string {
			if len(answer)%2 == 0 {
				return config(checktest.Serve(t, checktest.Answer(answer)), "protocol", "tcp")
			}
			return config(checktest.Datagrams(t, func([]byte) [][]byte { return [][]byte{answer} }))
		},
		Normal: []string{
			`{"query":"example.org"}`,
			`{"query":"192.0.2.1","type":"ptr","server":"2001:db8::53","port":5353,"family":"ip6"}`,
			`{"query":"_sip._tcp.example.org.","type":"SRV","server":"ns.example","protocol":"tcp","expect":"1 2 5060 sip.example.org","dnssec":true}`,
			`{"query":"example.org","expect":["192.0.2.1","192.0.2.2"],"expect_match":"^192"}`,
			`{"query":"gone.example","expect_rcode":"nxdomain"}`,
		},
		Wrong: map[string]string{
			`{}`:                         "query",
			`{"query":"a b"}`:            "query",
			`{"query":"bücher.example"}`: "query",
			`{"query":"a..b"}`:           "query",
			`{"query":"` + strings.Repeat("a", 64) + `"}`:          "query",
			`{"query":"a","type":"AXFR"}`:                          "type",
			`{"query":"a","type":"ANY"}`:                           "type",
			`{"query":"a","server":"a b"}`:                         "server",
			`{"query":"a","port":0}`:                               "port",
			`{"query":"a","protocol":"https"}`:                     "protocol",
			`{"query":"a","expect":7}`:                             "expect",
			`{"query":"a","expect":[7]}`:                           "expect",
			`{"query":"a","expect_match":"["}`:                     "expect_match",
			`{"query":"a","expect_rcode":"MAYBE"}`:                 "expect_rcode",
			`{"query":"a","expect_rcode":"NXDOMAIN","expect":"x"}`: "expect_rcode",
			`{"query":"a","dnssec":1}`:                             "dnssec",
		},
	})
}

func TestAnswersOfEveryType(t *testing.T) {
	at := server(t, nil, nil)
	for _, c := range []struct{ query, kind, expect, shown string }{
		{"example.org", "A", "192.0.2.2", "192.0.2.1\n192.0.2.2"},
		{"EXAMPLE.org.", "AAAA", "2001:DB8:0:0::1", "2001:db8::1"},
		{"example.org", "TXT", `v=spf1 -all; "q" ü`, `v=spf1 -all; "q" ü`},
		{"example.org", "MX", "10 mail.example.org.", "10 Mail.Example.org"},
		{"example.org", "SOA", "ns.example.org root.example.org 7 1 2 3 4", "ns.example.org root.example.org 7 1 2 3 4"},
		{"example.org", "NS", "NS.example.org", "ns.example.org"},
		{"example.org", "CAA", "0 issue ca.example", `0 issue "ca.example"`},
		{"www.example.org", "CNAME", "example.org", "example.org"},
		{"_sip._tcp.example.org", "SRV", "1 2 5060 sip.example.org", "1 2 5060 sip.example.org"},
		{"192.0.2.1", "PTR", "example.org", "example.org"},
	} {
		out := look(t, at, "query", c.query, "type", c.kind, "expect", c.expect)
		if out.Status != muster.StatusOK || out.Evidence["dns.answer"] != c.shown {
			t.Errorf("%s %s: %+v", c.query, c.kind, out)
		}
	}
	out := look(t, at)
	for name, want := range map[string]float64{"dns.answers": 2, "dns.ttl": 60, "dns.rcode": 0} {
		if v, ok := checktest.Value(out, name); !ok || v != want {
			t.Errorf("%s is %v", name, v)
		}
	}
	if v, ok := checktest.Value(out, "dns.duration"); !ok || v <= 0 || out.Summary != "NOERROR, 2 answers" {
		t.Errorf("it took %v: %+v", v, out)
	}
}

func TestWhatIsNotExpectedFails(t *testing.T) {
	at := server(t, nil, nil)
	for _, c := range []struct {
		class  string
		fields []any
	}{
		{check.ClassBody, []any{"expect", "192.0.2.3"}},
		{check.ClassBody, []any{"expect", []string{"192.0.2.1", "192.0.2.3"}}},
		{check.ClassBody, []any{"type", "TXT", "expect", `V=SPF1 -all; "q" ü`}},
		{check.ClassBody, []any{"expect_match", "^10\\."}},
		{check.ClassBody, []any{"type", "PTR"}},
		{check.ClassStatus, []any{"query", "gone.example.org"}},
		{check.ClassStatus, []any{"expect_rcode", "NXDOMAIN"}},
		{dns.ClassDNSSEC, []any{"dnssec", true}},
		{"", []any{"query", "gone.example.org", "expect_rcode", "NXDOMAIN"}},
		{"", []any{"expect", []string{"192.0.2.2", "192.0.2.1"}, "expect_match", "2$"}},
	} {
		if out := look(t, at, c.fields...); out.Class != c.class {
			t.Errorf("%v: %+v", c.fields, out)
		}
	}
	signed := server(t, func(m *mdns.Msg) { m.AuthenticatedData = true }, nil)
	if out := look(t, signed, "dnssec", true); out.Status != muster.StatusOK {
		t.Errorf("%+v", out)
	}
	if out := look(t, checktest.FreePort(t)); out.Class != check.ClassConnect || out.Status != muster.StatusCritical {
		t.Errorf("nobody is there: %+v", out)
	}
}

func TestAnswersThatLie(t *testing.T) {
	count := func(section int, n uint16) func(b []byte) []byte {
		return func(b []byte) []byte {
			binary.BigEndian.PutUint16(b[4+2*section:], n)
			return b
		}
	}
	for name, c := range map[string]struct {
		change func(m *mdns.Msg)
		bytes  func(b []byte) []byte
	}{
		"id":                 {func(m *mdns.Msg) { m.Id++ }, nil},
		"question":           {func(m *mdns.Msg) { m.Question[0].Name = "other.example." }, nil},
		"type":               {func(m *mdns.Msg) { m.Question[0].Qtype = mdns.TypeTXT }, nil},
		"no question":        {func(m *mdns.Msg) { m.Question = nil }, nil},
		"two questions":      {func(m *mdns.Msg) { m.Question = append(m.Question, m.Question[0]) }, nil},
		"no answer":          {func(m *mdns.Msg) { m.Response = false }, nil},
		"more answers":       {nil, count(1, 9)},
		"more questions":     {nil, count(0, 2)},
		"more authorities":   {nil, count(2, 7)},
		"cut off":            {nil, func(b []byte) []byte { return b[:len(b)-3] }},
		"only a head":        {nil, func(b []byte) []byte { return b[:12] }},
		"less than a head":   {nil, func(b []byte) []byte { return b[:5] }},
		"length of a record": {nil, func(b []byte) []byte { b[len(b)-5]++; return b }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits a while for a better answer
			out := look(t, server(t, c.change, c.bytes))
			if out.Class != check.ClassProtocol || out.Status != muster.StatusCritical {
				t.Errorf("%+v", out)
			}
		})
	}
}

// TestRightAnswerAfterAStrangers lets a forged answer come first.
func TestRightAnswerAfterAStrangers(t *testing.T) {
	at := checktest.Datagrams(t, func(asked []byte) [][]byte {
		m := answer(t, asked)
		right := wire(t, m)
		m.Id++
		return [][]byte{wire(t, m), []byte("x"), right}
	})
	if out := look(t, at); out.Status != muster.StatusOK {
		t.Errorf("%+v", out)
	}
}

func TestQuestionIsAskedAgainWhenItGetsLost(t *testing.T) {
	var asked atomic.Int64
	at := checktest.Datagrams(t, func(b []byte) [][]byte {
		if asked.Add(1) == 1 {
			return nil
		}
		return [][]byte{wire(t, answer(t, b))}
	})
	if out := look(t, at); out.Status != muster.StatusOK || asked.Load() < 2 {
		t.Errorf("asked %d times: %+v", asked.Load(), out)
	}
}

// both serves UDP, where all is cut off, and TCP at one address.
func both(t testing.TB, byTCP func(conn net.Conn, asked []byte)) netip.AddrPort {
	t.Helper()
	stream := checktest.Serve(t, func(conn net.Conn) {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		asked := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, asked); err == nil {
			byTCP(conn, asked)
		}
	})
	udp, err := net.ListenPacket("udp", stream.String())
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	t.Cleanup(func() { udp.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			m := answer(t, buf[:n])
			m.Answer, m.Truncated = nil, true
			udp.WriteTo(wire(t, m), from)
		}
	}()
	return stream
}

func TestWhatDoesNotFitComesByTCP(t *testing.T) {
	framed := func(b []byte, said int) []byte {
		return append(binary.BigEndian.AppendUint16(nil, uint16(said)), b...)
	}
	for name, c := range map[string]struct {
		byTCP func(conn net.Conn, asked []byte)
		class string
	}{
		"good":      {func(c net.Conn, asked []byte) { b := wire(t, answer(t, asked)); c.Write(framed(b, len(b))) }, ""},
		"too long":  {func(c net.Conn, asked []byte) { b := wire(t, answer(t, asked)); c.Write(framed(b, len(b)+9)) }, check.ClassProtocol},
		"too short": {func(c net.Conn, asked []byte) { b := wire(t, answer(t, asked)); c.Write(framed(b, 20)) }, check.ClassProtocol},
		"nothing":   {func(c net.Conn, asked []byte) { c.Write(framed(nil, 0)) }, check.ClassProtocol},
		"closed":    {func(net.Conn, []byte) {}, check.ClassProtocol},
		"reset":     {func(c net.Conn, _ []byte) { checktest.Reset(c) }, check.ClassProtocol},
		"cut again": {func(c net.Conn, asked []byte) {
			m := answer(t, asked)
			m.Truncated = true
			b := wire(t, m)
			c.Write(framed(b, len(b)))
		}, check.ClassProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			out := look(t, both(t, c.byTCP))
			if out.Class != c.class || out.Evidence["dns.protocol"] == "" {
				t.Errorf("%+v", out)
			}
		})
	}
}

func TestSystemResolver(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	kind := dns.New(dns.Options{ResolvConf: conf})
	at := server(t, nil, nil)
	ask := fmt.Sprintf(`{"query":"example.org","port":%d}`, at.Port())
	out := checktest.Look(t, kind, ask, nil, checktest.Long)
	if out.Status != muster.StatusUnknown {
		t.Errorf("there is none: %+v", out)
	}
	if err := os.WriteFile(conf, []byte("nameserver "+at.Addr().String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := checktest.Look(t, kind, ask, nil, checktest.Long); out.Status != muster.StatusOK || out.Evidence["dns.server"] != at.String() {
		t.Errorf("%+v", out)
	}
}

func TestUnbound(t *testing.T) {
	program := checktest.Program(t, "unbound", os.Getenv("MUSTER_REQUIRE"))
	dir, at := checktest.Dir(t), checktest.FreePort(t)
	conf := filepath.Join(dir, "unbound.conf")
	many := ""
	for i := range 200 {
		many += fmt.Sprintf("\tlocal-data: \"many.test. 60 IN A 10.1.1.%d\"\n", i)
	}
	text := fmt.Sprintf(`server:
	interface: %s@%d
	do-daemonize: no
	username: ""
	chroot: ""
	directory: %q
	pidfile: ""
	use-syslog: no
	logfile: ""
	module-config: "iterator"
	local-zone: "test." static
	local-data: "www.test. 120 IN A 192.0.2.7"
	local-data: 'www.test. 120 IN TXT "hello there"'
%sremote-control:
	control-enable: no
`, at.Addr(), at.Port(), dir, many)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	checktest.Start(t, at, program, "-d", "-c", conf)
	out := look(t, at, "query", "www.test", "expect", "192.0.2.7")
	if ttl, _ := checktest.Value(out, "dns.ttl"); out.Status != muster.StatusOK || ttl != 120 {
		t.Errorf("%+v", out)
	}
	if out := look(t, at, "query", "www.test", "type", "TXT", "expect", "hello there", "protocol", "tcp"); out.Status != muster.StatusOK {
		t.Errorf("%+v", out)
	}
	if out := look(t, at, "query", "none.test"); out.Class != check.ClassStatus || out.Evidence["dns.rcode"] != "NXDOMAIN" {
		t.Errorf("%+v", out)
	}
	out = look(t, at, "query", "many.test")
	if n, _ := checktest.Value(out, "dns.answers"); out.Status != muster.StatusOK || n != 200 || out.Evidence["dns.protocol"] == "" {
		t.Errorf("%+v", out)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"query":"example.org","type":"MX","expect":"10 a"}`))
	f.Add([]byte(`{"query":"::1","type":"PTR","expect":["a","b"],"expect_rcode":"REFUSED"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		checktest.Fuzzed(t, dns.New(dns.Options{}), raw)
	})
}

// FuzzAnswer gives a run strange answers: the id and the question are those asked for, so that they are read on.
func FuzzAnswer(f *testing.F) {
	m := new(mdns.Msg).SetQuestion("example.org.", mdns.TypeA)
	for _, line := range zone {
		rr, err := mdns.NewRR(line)
		if err != nil {
			f.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	m.Response = true
	b, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:20])
	probe, err := dns.New(dns.Options{}).Parse([]byte(`{"query":"example.org","type":"TXT","server":"192.0.2.53","protocol":"tcp","expect_match":"x"}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		if len(answer) > 60_000 {
			return
		}
		env := &check.Env{Dial: dialer(answer)}
		ctx, cancel := contextFor(t, time.Minute)
		defer cancel()
		var out check.Outcome
		probe.Run(ctx, env, &out)
		if out.Summary == "" || out.Status == "" {
			t.Errorf("%+v", out)
		}
	})
}
