package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The tests' own questions trust every server: the agents are what is tested. It is set before any test runs,
// since they share the client.
var _ = func() bool {
	http.DefaultTransport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	return true
}()

// newTLSServer prepares a server that encrypts.
func newTLSServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := newServer(t, append([]string{"--no-agent"}, args...)...)
	s.url = "https://" + s.addr
	return s
}

// presented gives the certificate that the server shows.
func (s *server) presented() *x509.Certificate {
	s.t.Helper()
	conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

// TestOwnCertificate lets an agent join a server with a certificate of its own by the line that the server
// gives; the line pins the certificate, which outlives a restart, and no other is trusted.
func TestOwnCertificate(t *testing.T) {
	t.Parallel()
	s := newTLSServer(t, "--tls-self")
	s.start()
	s.ready()
	e := s.enroll(1)
	if !strings.Contains(e.Command, "sha256sum -c") {
		t.Fatalf("nothing in the line vouches for the script: %s", e.Command)
	}
	tools, dir, state := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(filepath.Join(tools, "sudo"), []byte("#!/bin/sh\nexec \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := "PATH=" + tools + ":" + os.Getenv("PATH")
	cmd := joining(t, e.Command+" --foreground --hostname pinned --period 1s --state "+state, path, "MUSTER_AGENT_DIR="+dir)
	out := run(t, cmd)
	out.wait(t, patience, "join.sh: OK")
	out.wait(t, patience, "checksum is right")
	s.seen("pinned", time.Time{})
	pin := regexp.MustCompile(`pin='([0-9a-f]{64})'`).FindStringSubmatch(s.get("/join/" + s.enroll(1).Token))
	if pin == nil {
		t.Fatal("the script pins nothing")
	}
	old := s.presented()
	s.kill()
	s.start()
	s.ready()
	if s.presented().Equal(old) {
		t.Error("the certificate is still the old one: this proves nothing")
	}
	s.seen("pinned", time.Now())

	// A line that was changed on its way, to another script, runs nothing.
	bad := joining(t, strings.Replace(s.enroll(1).Command, "/join/", "/download/SHA256SUMS?", 1), path, "MUSTER_AGENT_DIR="+t.TempDir())
	if text, err := bad.CombinedOutput(); err == nil || !strings.Contains(string(text), "FAILED") {
		t.Errorf("another script: %v:\n%s", err, text)
	}
	wrong := strings.Map(func(r rune) rune {
		if r == 'a' {
			return 'b'
		}
		return r
	}, pin[1])
	wrong = "00" + wrong[2:]
	for name, c := range map[string]struct{ args, words []string }{
		"wrong pin": {[]string{"--pin", wrong}, []string{"not the one that was pinned", "--pin"}},
		"no pin":    {nil, []string{"not trusted", "--pin"}},
	} {
		agent := s.agentFor(strings.ReplaceAll(name, " ", "-"), s.enroll(1).Token, c.args...).start()
		agent.out.wait(t, patience, c.words...)
		if _, there := s.nodeOf(strings.ReplaceAll(name, " ", "-")); there {
			t.Errorf("%s: it became a node", name)
		}
	}
	s.agentFor("right-pin", s.enroll(1).Token, "--pin", strings.ToUpper(pin[1])).start()
	s.seen("right-pin", time.Time{})
}

// authority signs certificates for 127.0.0.1.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, next: 1}
	a.cert, a.key = a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "e2e"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

func (a *authority) sign(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(a.next)
	a.next++
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// renew writes a fresh certificate and its key, and gives its number.
func (a *authority) renew(certFile, keyFile string) *big.Int {
	a.t.Helper()
	cert, key := a.sign(&x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(certFile, "CERTIFICATE", cert.Raw)
	a.write(keyFile, "PRIVATE KEY", private)
	return cert.SerialNumber
}

func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// TestCertificateFiles serves with a certificate from files: an agent that trusts its authority joins, a renewed
// pair is taken up without a restart, and half a pair is not.
func TestCertificateFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile, rootFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "root.pem")
	root := newAuthority(t)
	root.write(rootFile, "CERTIFICATE", root.cert.Raw)
	first := root.renew(certFile, keyFile)
	s := newTLSServer(t, "--tls-cert", certFile, "--tls-key", keyFile)
	s.start()
	s.ready()
	if number := s.presented().SerialNumber; number.Cmp(first) != 0 {
		t.Fatalf("it shows certificate %v, want %v", number, first)
	}
	e := s.enroll(2)
	if strings.Contains(e.Command, "-k") {
		t.Errorf("the line does not check the certificate: %s", e.Command)
	}
	agent := s.agentFor("trusting", e.Token)
	agent.env = []string{"SSL_CERT_FILE=" + rootFile}
	agent.start()
	s.seen("trusting", time.Time{})
	s.agentFor("stranger", e.Token).start().out.wait(t, patience, "not trusted")

	// Whoever renews writes one file after the other.
	half, _ := root.sign(&x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	root.write(certFile, "CERTIFICATE", half.Raw)
	for range 24 { // longer than the server remembers that it looked
		if number := s.presented().SerialNumber; number.Cmp(first) != 0 {
			t.Fatalf("with half a new pair it shows certificate %v", number)
		}
		time.Sleep(500 * time.Millisecond)
	}
	renewed := root.renew(certFile, keyFile)
	until(t, patience, "the renewed certificate is shown", func() bool { return s.presented().SerialNumber.Cmp(renewed) == 0 })
	agent.kill()
	agent.start()
	s.seen("trusting", time.Now())
	if _, there := s.nodeOf("stranger"); there {
		t.Error("an agent that does not trust the certificate became a node")
	}
	expectWords(t, serveFails(t, "--data", t.TempDir(), "--listen", freePort(t), "--tls-cert", rootFile, "--tls-key", keyFile), "certificate")
}
