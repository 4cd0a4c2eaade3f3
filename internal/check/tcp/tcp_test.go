package tcp_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/check/checktest"
	"muster/internal/check/tcp"
)

// config writes a configuration for an address with more fields.
func config(at netip.AddrPort, fields ...any) string {
	m := map[string]any{"host": at.Addr().String(), "port": at.Port()}
	for i := 0; i < len(fields); i += 2 {
		m[fields[i].(string)] = fields[i+1]
	}
	b, _ := json.Marshal(m)
	return string(b)
}

func look(t testing.TB, at netip.AddrPort, fields ...any) *check.Outcome {
	t.Helper()
	return checktest.Look(t, tcp.New(), config(at, fields...), nil, checktest.Long)
}

// echo greets, and then sends back what comes.
func echo(conn net.Conn) {
	io.WriteString(conn, "220 echo 1.5 ready\r\n")
	io.Copy(conn, conn)
}

func TestSuite(t *testing.T) {
	checktest.Test(t, checktest.Suite{
		Kind:   tcp.New(),
		Good:   func(t *testing.T) string { return config(checktest.Serve(t, echo), "expect", "^220 .* ready") },
		Silent: func(t *testing.T) string { return config(checktest.Serve(t, checktest.Silent), "expect", "x") },
		Garbage: func(t *testing.T, answer []byte) string {
			return config(checktest.Serve(t, checktest.Answer(answer)), "expect", "^220 [a-z]+ ready\r\n$")
		},
		Normal: []string{
			`{"host":"db-1","port":5432}`,
			`{"host":"2001:db8::1","port":1,"send":"a\\r\\n\\x00\\\\","expect":"(?P<n>[0-9]+)","family":"ip6"}`,
			`{"host":"example.org","port":443,"tls":true,"tls_skip_verify":true,"tls_server_name":"x.example"}`,
		},
		Wrong: map[string]string{
			`{"port":80}`:                                    "host",
			`{"host":"a"}`:                                   "port",
			`{"host":"a","port":0}`:                          "port",
			`{"host":"a","port":65536}`:                      "port",
			`{"host":"a","port":"80"}`:                       "port",
			`{"host":"a","port":80.5}`:                       "port",
			`{"host":"http://a/","port":80}`:                 "host",
			`{"host":"bücher.example","port":80}`:            "host",
			`{"host":"[::1]","port":80}`:                     "host",
			`{"host":"a..b","port":80}`:                      "host",
			`{"host":"-a","port":80}`:                        "host",
			`{"host":"a","port":80,"send":"\\y"}`:            "send",
			`{"host":"a","port":80,"send":"\\x1"}`:           "send",
			`{"host":"a","port":80,"send":"\\"}`:             "send",
			`{"host":"a","port":80,"expect":"["}`:            "expect",
			`{"host":"a","port":80,"tls":"yes"}`:             "tls",
			`{"host":"a","port":80,"tls_ca":"x"}`:            "tls_ca",
			`{"host":"a","port":80,"tls_server_name":"a b"}`: "tls_server_name",
			`{"host":"a","port":80,"family":"v4"}`:           "family",
			`{"host":"a","port":80,"expect":"(?P<` + strings.Repeat("n", 41) + `>.)"}`: "expect",
			fmt.Sprintf(`{"host":"a","port":80,"send":%q}`, strings.Repeat("a", 5000)): "send",
		},
	})
}

func TestOpenAndClosedPorts(t *testing.T) {
	at := checktest.Serve(t, checktest.Silent)
	out := look(t, at)
	if out.Status != muster.StatusOK || out.Summary != fmt.Sprintf("port %d is open", at.Port()) {
		t.Errorf("%+v", out)
	}
	if v, ok := checktest.Value(out, "tcp.connect.duration"); !ok || v <= 0 {
		t.Errorf("connecting took %v", v)
	}
	if out := look(t, checktest.FreePort(t)); out.Status != muster.StatusCritical || out.Class != check.ClassConnect || !strings.Contains(out.Error, "connection refused") {
		t.Errorf("%+v", out)
	}
}

func TestWhatIsSentAndExpected(t *testing.T) {
	at := checktest.Serve(t, echo)
	out := look(t, at, "send", `one\x20\r\ntwo\\\0`, "expect", `echo (?P<version>[0-9.]+) ready\r\none \r\n(?P<word>two)\\\x00`)
	if out.Status != muster.StatusOK || out.Evidence["match.version"] != "1.5" || out.Evidence["match.word"] != "two" || !strings.HasPrefix(out.Evidence["tcp.banner"], "220 echo") {
		t.Errorf("%+v", out)
	}
	for name, want := range map[string]float64{"tcp.match": 1.5} {
		if v, ok := checktest.Value(out, name); !ok || v != want {
			t.Errorf("%s is %v", name, v)
		}
	}
	if v, ok := checktest.Value(out, "tcp.first_byte.duration"); !ok || v <= 0 {
		t.Errorf("the first byte took %v", v)
	}
	greets := checktest.Serve(t, checktest.Answer([]byte("554 no\r\n")))
	out = look(t, greets, "expect", "^220 ")
	if out.Class != check.ClassBody || out.Evidence["tcp.banner"] != "554 no\r\n" {
		t.Errorf("%+v", out)
	}
	waits := checktest.Serve(t, func(c net.Conn) { io.WriteString(c, "554 no\r\n"); checktest.Silent(c) })
	out = checktest.Look(t, tcp.New(), config(waits, "expect", "^220 "), nil, 2*time.Second)
	if out.Class != check.ClassTimeout || !strings.Contains(out.Error, "8 other bytes") {
		t.Errorf("%+v", out)
	}
}

func TestHostileServers(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(conn net.Conn)
		class string
	}{
		"endless": {func(c net.Conn) {
			for b := make([]byte, 1000); ; {
				if _, err := c.Write(b); err != nil {
					return
				}
			}
		}, check.ClassBody},
		"closed at once": {func(c net.Conn) { c.(*net.TCPConn).CloseWrite(); checktest.Silent(c) }, check.ClassProtocol},
		"reset":          {func(c net.Conn) { c.Read(make([]byte, 1)); checktest.Reset(c) }, check.ClassProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			out := look(t, checktest.Serve(t, c.serve), "send", "x", "expect", "^220 ")
			if out.Class != c.class || out.Status != muster.StatusCritical {
				t.Errorf("%+v", out)
			}
		})
	}
	slow := checktest.Serve(t, func(c net.Conn) {
		for {
			if _, err := c.Write([]byte("x")); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	out := checktest.Look(t, tcp.New(), config(slow, "expect", "y"), nil, 200*time.Millisecond)
	if out.Class != check.ClassTimeout {
		t.Errorf("%+v", out)
	}
}

func TestTLS(t *testing.T) {
	authority := checktest.NewAuthority(t)
	serve := func(c checktest.Certificate) netip.AddrPort {
		conf := &tls.Config{Certificates: []tls.Certificate{authority.Issue(t, c)}}
		return checktest.Serve(t, func(conn net.Conn) { echo(tls.Server(conn, conf)) })
	}
	good := serve(checktest.Certificate{})
	out := look(t, good, "tls", true, "tls_ca", authority.PEM, "expect", "^220")
	if left, ok := checktest.Value(out, "tls.certificate.remaining"); out.Status != muster.StatusOK || !ok || left <= 0 {
		t.Errorf("%+v", out)
	}
	if v, ok := checktest.Value(out, "tcp.tls.duration"); !ok || v <= 0 {
		t.Errorf("the handshake took %v", v)
	}
	expired := serve(checktest.Certificate{NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)})
	out = look(t, expired, "tls", true, "tls_ca", authority.PEM)
	if left, _ := checktest.Value(out, "tls.certificate.remaining"); out.Class != check.ClassTLS || out.Evidence["tls.problem"] != check.CertificateExpired || left >= 0 {
		t.Errorf("%+v", out)
	}
	if out := look(t, expired, "tls", true, "tls_skip_verify", true); out.Status != muster.StatusOK {
		t.Errorf("%+v", out)
	}
	named := serve(checktest.Certificate{Names: []string{"inner.example"}})
	if out := look(t, named, "tls", true, "tls_ca", authority.PEM, "tls_server_name", "inner.example"); out.Status != muster.StatusOK {
		t.Errorf("%+v", out)
	}
	if out := look(t, checktest.Serve(t, echo), "tls", true); out.Class != check.ClassTLS {
		t.Errorf("%+v", out)
	}
}

func TestOpenSSH(t *testing.T) {
	program := checktest.Program(t, "sshd", os.Getenv("MUSTER_REQUIRE"))
	keygen := checktest.Program(t, "ssh-keygen", os.Getenv("MUSTER_REQUIRE"))
	dir, at := checktest.Dir(t), checktest.FreePort(t)
	if os.Getuid() == 0 { // started as root it wants this directory, which a package makes at boot
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	key, conf := filepath.Join(dir, "key"), filepath.Join(dir, "sshd_config")
	if b, err := exec.Command(keygen, "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	text := fmt.Sprintf("ListenAddress %s\nHostKey %s\nPidFile none\nUsePAM no\n", at, key)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	checktest.Start(t, at, program, "-D", "-e", "-f", conf)
	out := look(t, at, "expect", `^SSH-2\.0-OpenSSH_(?P<version>[0-9]+\.[0-9]+)`)
	if v, ok := checktest.Value(out, "tcp.match"); out.Status != muster.StatusOK || !ok || v < 5 || !strings.HasPrefix(out.Evidence["tcp.banner"], "SSH-2.0-") {
		t.Errorf("%+v", out)
	}
	if out := look(t, at, "tls", true); out.Class != check.ClassTLS {
		t.Errorf("%+v", out)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"host":"a","port":80,"send":"\\x41\\r\\n","expect":"^a"}`))
	f.Add([]byte(`{"host":"::1","port":65535,"tls":true,"send":"\\"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		checktest.Fuzzed(t, tcp.New(), raw)
	})
}
