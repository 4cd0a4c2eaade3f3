package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"muster"
	"muster/internal/seal"
)

// TLS says how the listener is encrypted. The zero value is not at all, which is right on loopback
// or behind a proxy that ends TLS. At most one of the three ways may be chosen.
type TLS struct {
	Cert, Key string   // PEM files, read again when they change
	ACME      []string // domains for which a certificate is got and renewed by ACME, over TLS-ALPN on port 443
	ACMEEmail string   // where the authority writes when renewing fails
	Self      bool     // a certificate signed by the cluster's own authority, which agents pin
	Names     []string // further names and addresses in that certificate
}

func (t *TLS) validate() error {
	ways := 0
	for _, chosen := range []bool{t.Cert != "" || t.Key != "", len(t.ACME) > 0, t.Self} {
		if chosen {
			ways++
		}
	}
	if ways > 1 {
		return fmt.Errorf("%w: choose one of a certificate file, ACME, and a self-signed certificate", muster.ErrInvalid)
	}
	if (t.Cert == "") != (t.Key == "") {
		return fmt.Errorf("%w: a TLS certificate needs its key, and a key its certificate: give both files", muster.ErrInvalid)
	}
	return nil
}

func (t *TLS) on() bool { return t.Cert != "" || len(t.ACME) > 0 || t.Self }

// secrets is where the authority's key is kept.
type secrets interface {
	MakeSecret(ctx context.Context, name string, make func() ([]byte, error)) ([]byte, error)
}

// config gives the listener's configuration, nil for none, and the DER of the cluster's own
// authority when new agents must pin it.
func (t *TLS) config(ctx context.Context, dir string, keep secrets, sealer *seal.Sealer) (*tls.Config, []byte, error) {
	switch {
	case t.Cert != "":
		pair := &filePair{cert: t.Cert, key: t.Key}
		if _, err := pair.get(nil); err != nil {
			return nil, nil, err
		}
		return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get}, nil, nil
	case len(t.ACME) > 0:
		config, err := t.acme(ctx, dir)
		return config, nil, err
	case t.Self:
		return t.self(ctx, keep, sealer)
	}
	return nil, nil, nil
}

func (t *TLS) acme(ctx context.Context, dir string) (*tls.Config, error) {
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return &certmagic.Default, nil },
	})
	magic := certmagic.New(cache, certmagic.Config{Storage: &certmagic.FileStorage{Path: filepath.Join(dir, "acme")}})
	magic.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(magic, certmagic.ACMEIssuer{
		CA: certmagic.LetsEncryptProductionCA, Email: t.ACMEEmail, Agreed: true, DisableHTTPChallenge: true,
	})}
	if err := magic.ManageAsync(ctx, t.ACME); err != nil {
		return nil, fmt.Errorf("server: get a certificate for %v: %w", t.ACME, err)
	}
	config := magic.TLSConfig()
	config.MinVersion = tls.VersionTLS12
	config.NextProtos = append([]string{"h2", "http/1.1"}, config.NextProtos...)
	return config, nil
}

// filePair is a certificate in two files. It is read again when either changes, so that whoever renews
// it need not restart the server; a pair that cannot be read leaves the old one in force.
type filePair struct {
	cert, key string

	mu    sync.Mutex
	have  *tls.Certificate
	stamp [2]time.Time
	asked time.Time
}

func (p *filePair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.have != nil && time.Since(p.asked) < 10*time.Second {
		return p.have, nil
	}
	p.asked = time.Now()
	stamp := [2]time.Time{modified(p.cert), modified(p.key)}
	if p.have != nil && stamp == p.stamp {
		return p.have, nil
	}
	pair, err := tls.LoadX509KeyPair(p.cert, p.key)
	if err != nil {
		if p.have != nil {
			return p.have, nil
		}
		return nil, fmt.Errorf("server: read the TLS certificate: %w: %w", muster.ErrInvalid, err)
	}
	p.have, p.stamp = &pair, stamp
	return p.have, nil
}

func modified(name string) time.Time {
	info, err := os.Stat(name)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

const (
	authorityName = "cluster authority"
	authorityLife = 20 * 365 * 24 * time.Hour // agents pin it: it must outlive them
	leafLife      = 90 * 24 * time.Hour       // a fresh one is made at each start and when this one is old
)

// self makes a leaf certificate signed by the cluster's authority, which is made once and kept, sealed, in the store.
func (t *TLS) self(ctx context.Context, keep secrets, sealer *seal.Sealer) (*tls.Config, []byte, error) {
	sealed, err := keep.MakeSecret(ctx, authorityName, func() ([]byte, error) {
		text, err := newAuthority()
		return sealer.Seal(text, authorityName), err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("server: keep the cluster's authority: %w", err)
	}
	text, err := sealer.Open(sealed, authorityName)
	if err != nil {
		return nil, nil, fmt.Errorf("server: open the cluster's authority: %w", err)
	}
	authority, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, nil, fmt.Errorf("server: read the cluster's authority: %w", err)
	}
	leaf := &selfLeaf{authority: authority, names: t.Names}
	if _, err := leaf.get(nil); err != nil {
		return nil, nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: leaf.get}, authority.Certificate[0], nil
}

func newAuthority() ([]byte, error) {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Muster cluster authority"}, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(authorityLife),
	}
	der, key, err := sign(template, nil)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), nil
}

// sign makes a fresh key and a certificate for it, signed by the authority or, with none, by itself.
func sign(template *x509.Certificate, authority *tls.Certificate) (der []byte, key *ecdsa.PrivateKey, err error) {
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, nil, err
	}
	template.NotBefore = time.Now().Add(-24 * time.Hour) // machines whose clocks are behind
	parent, signer := template, any(key)
	if authority != nil {
		if parent, err = x509.ParseCertificate(authority.Certificate[0]); err != nil {
			return nil, nil, err
		}
		signer = authority.PrivateKey
	}
	der, err = x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	return der, key, err
}

// selfLeaf is the server's own certificate, made anew when it nears its end.
type selfLeaf struct {
	authority tls.Certificate
	names     []string

	mu   sync.Mutex
	have *tls.Certificate
	made time.Time
}

func (l *selfLeaf) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.have != nil && time.Since(l.made) < leafLife/2 {
		return l.have, nil
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Muster"}, NotAfter: time.Now().Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range append(ownNames(), l.names...) {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, key, err := sign(template, &l.authority)
	if err != nil {
		return nil, fmt.Errorf("server: sign a certificate: %w", err)
	}
	l.have = &tls.Certificate{Certificate: [][]byte{der, l.authority.Certificate[0]}, PrivateKey: key}
	l.made = time.Now()
	return l.have, nil
}

// ownNames gives what this machine is called and the addresses it has.
func ownNames() []string {
	names := []string{"localhost"}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return names
	}
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok {
			names = append(names, ip.IP.String())
		}
	}
	return names
}
