package check

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// What is wrong with a certificate, as evidence "tls.problem" has it.
const (
	CertificateExpired     = "expired"
	CertificateNotYetValid = "not yet valid"
	CertificateWrongName   = "wrong name"
	CertificateSelfSigned  = "self-signed"
	CertificateUntrusted   = "unknown authority"
	CertificateInvalid     = "invalid"
)

var (
	certificateRemaining = Gauge("tls.certificate.remaining", "s")
	certificateValid     = Gauge("tls.certificate.valid", "1")
)

// Secure says how a connection is made secure. It is safe for concurrent use and remembers no session.
type Secure struct {
	// Name is sent to the other side and must be in its certificate: a host name or an address.
	Name string
	// Roots is who may sign the certificate; nil: whom the machine trusts.
	Roots *x509.CertPool
	// SkipVerify goes on with a certificate that is not good; what is wrong with it is told all the same.
	SkipVerify bool
	// Protocols are offered by ALPN; none by default.
	Protocols []string
}

// Certificate is what the other side showed.
type Certificate struct {
	leaf    *x509.Certificate
	version uint16
	now     time.Time
	problem string
	text    string
}

// Handshake makes the connection secure. A certificate that is not good is a Failure of ClassTLS unless
// SkipVerify; it is returned even then, so that Report can tell of it. Nothing was sent over the connection by then.
func (s *Secure) Handshake(ctx context.Context, env *Env, conn net.Conn) (*tls.Conn, *Certificate, error) {
	secure := tls.Client(conn, &tls.Config{
		ServerName:             strings.TrimSuffix(s.Name, "."),
		InsecureSkipVerify:     true, // judged below, so that the dates of a bad one are known
		NextProtos:             s.Protocols,
		SessionTicketsDisabled: true,
		// No post-quantum exchange: it doubles the work of a handshake, and no secret outlives a check.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
	})
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, nil, Failed(ctx, ClassTLS, "the TLS handshake", err)
	}
	state := secure.ConnectionState()
	c := &Certificate{leaf: state.PeerCertificates[0], version: state.Version, now: env.now()}
	c.judge(s, state.PeerCertificates)
	if c.problem != "" && !s.SkipVerify {
		return nil, c, &Failure{Class: ClassTLS, Text: "the certificate is not good: " + c.text}
	}
	return secure, c, nil
}

func (e *Env) now() time.Time {
	if e.Now != nil {
		return e.Now()
	}
	return time.Now()
}

// judge finds what is wrong with the certificate. Dates come first: they are wrong whoever signed.
func (c *Certificate) judge(s *Secure, chain []*x509.Certificate) {
	var between *x509.CertPool
	for i, cert := range chain[1:] {
		if i == 0 {
			between = x509.NewCertPool()
		}
		between.AddCert(cert)
	}
	name := strings.TrimSuffix(s.Name, ".")
	if _, err := netip.ParseAddr(name); err == nil {
		name = "[" + name + "]"
	}
	_, err := c.leaf.Verify(x509.VerifyOptions{DNSName: name, Intermediates: between, Roots: s.Roots, CurrentTime: c.now})
	var host x509.HostnameError
	var authority x509.UnknownAuthorityError
	switch {
	case c.now.After(c.leaf.NotAfter):
		c.problem, c.text = CertificateExpired, "it expired on "+day(c.leaf.NotAfter)
	case c.now.Before(c.leaf.NotBefore):
		c.problem, c.text = CertificateNotYetValid, "it is not valid before "+day(c.leaf.NotBefore)
	case err == nil:
	case errors.As(err, &host):
		c.problem, c.text = CertificateWrongName, "it is not for "+s.Name+" but for "+names(c.leaf)
	case errors.As(err, &authority) && selfSigned(c.leaf):
		c.problem, c.text = CertificateSelfSigned, "it is signed by itself"
	case errors.As(err, &authority):
		c.problem, c.text = CertificateUntrusted, "nobody trusted has signed it: "+c.leaf.Issuer.String()
	default:
		c.problem, c.text = CertificateInvalid, err.Error()
	}
}

func selfSigned(cert *x509.Certificate) bool {
	return string(cert.RawIssuer) == string(cert.RawSubject)
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// names lists what a certificate is for.
func names(cert *x509.Certificate) string {
	list := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		list = append(list, ip.String())
	}
	if len(list) == 0 {
		return "nobody"
	}
	const most = 20
	if len(list) > most {
		list = append(list[:most], "...")
	}
	return strings.Join(list, " ")
}

// Sooner says whether this one is to be told of rather than the other: one with a problem, or that ends sooner.
func (c *Certificate) Sooner(other *Certificate) bool {
	if c == nil || other == nil {
		return other == nil
	}
	if (c.problem != "") != (other.problem != "") {
		return c.problem != ""
	}
	return c.leaf.NotAfter.Before(other.leaf.NotAfter)
}

// Report puts the certificate's metrics and evidence into the outcome.
func (c *Certificate) Report(out *Outcome) {
	if c == nil {
		return
	}
	out.Put(certificateRemaining, float64(c.leaf.NotAfter.Sub(c.now)/time.Second))
	valid := 1.0
	if c.problem != "" {
		valid = 0
		out.Note("tls.problem", c.problem)
		out.Note("tls.error", c.text)
	}
	out.Put(certificateValid, valid)
	out.Note("tls.version", tls.VersionName(c.version))
	out.Note("tls.subject", c.leaf.Subject.String())
	out.Note("tls.names", names(c.leaf))
	out.Note("tls.issuer", c.leaf.Issuer.String())
	out.Note("tls.not_before", c.leaf.NotBefore.UTC().Format(time.RFC3339))
	out.Note("tls.not_after", c.leaf.NotAfter.UTC().Format(time.RFC3339))
	sum := sha256.Sum256(c.leaf.Raw)
	out.Note("tls.fingerprint", hex.EncodeToString(sum[:]))
}

// ParseRoots reads certificates in PEM that may sign others; fault says what is wrong, "" for nothing.
func ParseRoots(text string) (pool *x509.CertPool, fault string) {
	pool = x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(text)) {
		return nil, "must hold certificates in PEM, -----BEGIN CERTIFICATE----- and so on"
	}
	return pool, ""
}
