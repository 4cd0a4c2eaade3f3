package e2e

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"muster/internal/check/checktest"
)

// ownAddress finds an address on a loopback of the test's own: nobody takes its port while the target is down.
func ownAddress(t testing.TB) netip.AddrPort {
	t.Helper()
	for range 100 {
		ip := netip.AddrFrom4([4]byte{127, byte(64 + rand.IntN(128)), byte(rand.IntN(256)), byte(1 + rand.IntN(254))})
		l, err := net.Listen("tcp", netip.AddrPortFrom(ip, 0).String())
		if err != nil {
			continue
		}
		at := l.Addr().(*net.TCPAddr).AddrPort()
		u, err := net.ListenPacket("udp", at.String())
		l.Close()
		if err == nil {
			u.Close()
			return at
		}
	}
	t.Fatal("no loopback address to listen on")
	return netip.AddrPort{}
}

// target is a web server that can be stopped and started again at its address.
type target struct {
	t       testing.TB
	at      netip.AddrPort
	handler http.Handler
	server  *http.Server
}

// newTarget prepares one that answers "fine"; up starts it.
func newTarget(t testing.TB) *target {
	g := &target{t: t, at: ownAddress(t), handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "fine\n") })}
	t.Cleanup(g.down)
	return g
}

func (g *target) url() string { return "http://" + g.at.String() + "/" }

func (g *target) up() *target {
	g.t.Helper()
	var l net.Listener
	var err error
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if l, err = net.Listen("tcp", g.at.String()); err == nil {
			break
		}
		if time.Now().After(end) {
			g.t.Fatal(err)
		}
	}
	g.server = &http.Server{Handler: g.handler}
	go g.server.Serve(l)
	return g
}

func (g *target) down() {
	if g.server != nil {
		g.server.Close()
		g.server = nil
	}
}

// service is a program of Debian's as a target.
type service struct {
	t       testing.TB
	at      netip.AddrPort
	program string
	args    []string
	cmd     *exec.Cmd
	out     *lines
}

func newService(t testing.TB, at netip.AddrPort, program string, args ...string) *service {
	v := &service{t: t, at: at, program: program, args: args}
	t.Cleanup(func() { v.end(syscall.SIGTERM) })
	return v
}

// start runs it and waits until it takes connections.
func (v *service) start() {
	v.t.Helper()
	v.cmd = exec.Command(v.program, v.args...)
	v.out = run(v.t, v.cmd)
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", v.at.String(), time.Second)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(end) {
			v.t.Fatalf("%s takes no connections at %s; printed:\n%s", v.program, v.at, v.out.all())
		}
	}
}

// end stops it by a signal, and at last by force.
func (v *service) end(signal os.Signal) {
	if v.cmd == nil {
		return
	}
	v.cmd.Process.Signal(signal)
	force := time.AfterFunc(patience, func() { v.cmd.Process.Kill() })
	v.cmd.Wait()
	force.Stop()
	v.cmd = nil
}

func write(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// nginx serves a page over TLS with the certificate that show put there last.
type nginx struct {
	*service
	dir string
}

func newNginx(t testing.TB) *nginx {
	t.Helper()
	program := checktest.Program(t, "nginx", os.Getenv("MUSTER_REQUIRE"))
	dir, at := checktest.Dir(t), ownAddress(t)
	write(t, filepath.Join(dir, "index.html"), []byte("welcome\n"))
	write(t, filepath.Join(dir, "nginx.conf"), fmt.Appendf(nil, `
daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events {}
http {
	access_log off; root %[1]s;
	client_body_temp_path %[1]s/1; proxy_temp_path %[1]s/2; fastcgi_temp_path %[1]s/3; uwsgi_temp_path %[1]s/4; scgi_temp_path %[1]s/5;
	server { listen %[2]s ssl; ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem; }
}`, dir, at))
	return &nginx{service: newService(t, at, program, "-p", dir, "-e", "stderr", "-c", filepath.Join(dir, "nginx.conf")), dir: dir}
}

// show starts it, anew, with a certificate.
func (n *nginx) show(c tls.Certificate) {
	n.t.Helper()
	n.end(syscall.SIGTERM)
	cert, key := checktest.PEM(n.t, c)
	write(n.t, filepath.Join(n.dir, "cert.pem"), cert)
	write(n.t, filepath.Join(n.dir, "key.pem"), key)
	n.start()
}

// newUnbound is a name server that knows www.test.
func newUnbound(t testing.TB) *service {
	t.Helper()
	program := checktest.Program(t, "unbound", os.Getenv("MUSTER_REQUIRE"))
	dir, at := checktest.Dir(t), ownAddress(t)
	conf := filepath.Join(dir, "unbound.conf")
	write(t, conf, fmt.Appendf(nil, `server:
	interface: %s@%d
	do-daemonize: no
	username: ""
	chroot: ""
	directory: %q
	pidfile: ""
	use-syslog: no
	logfile: ""
	module-config: "iterator"
	access-control: 127.0.0.0/8 allow
	local-zone: "test." static
	local-data: "www.test. 120 IN A 192.0.2.7"
remote-control:
	control-enable: no
`, at.Addr(), at.Port(), dir))
	return newService(t, at, program, "-d", "-c", conf)
}

// newSSH is a daemon that greets.
func newSSH(t testing.TB) *service {
	t.Helper()
	program := checktest.Program(t, "sshd", os.Getenv("MUSTER_REQUIRE"))
	keygen := checktest.Program(t, "ssh-keygen", os.Getenv("MUSTER_REQUIRE"))
	if os.Getuid() == 0 { // started as root it wants this directory, which a package makes at boot
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir, at := checktest.Dir(t), ownAddress(t)
	key, conf := filepath.Join(dir, "key"), filepath.Join(dir, "sshd_config")
	if said, err := exec.Command(keygen, "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, bytes.TrimSpace(said))
	}
	write(t, conf, fmt.Appendf(nil, "ListenAddress %s\nHostKey %s\nPidFile none\nUsePAM no\n", at, key))
	return newService(t, at, program, "-D", "-e", "-f", conf)
}
