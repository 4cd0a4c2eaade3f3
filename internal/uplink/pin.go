package uplink

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"muster"
)

// ParsePin reads a fingerprint: the SHA-256 of a certificate, or of its public key, as 64 hexadecimal
// digits, with colons or "sha256:" before them if need be. The error wraps muster.ErrInvalid.
func ParsePin(s string) ([]byte, error) {
	digits := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(s)), "sha256:")
	pin, err := hex.DecodeString(strings.ReplaceAll(digits, ":", ""))
	if err != nil || len(pin) != sha256.Size {
		return nil, fmt.Errorf("uplink: parse pin: %w: a fingerprint is the SHA-256 of the server's certificate, 64 hexadecimal digits", muster.ErrInvalid)
	}
	return pin, nil
}

// pinnedTLS trusts the certificate with the pin and no other authority. When the pin is that of an
// authority in the chain, the server's certificate must be signed by it. Names are not compared: the
// pin says more than a name.
func pinnedTLS(pin []byte) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection does it
		VerifyConnection:   func(state tls.ConnectionState) error { return checkPin(pin, state.PeerCertificates) },
	}
}

func checkPin(pin []byte, chain []*x509.Certificate) error {
	for i, cert := range chain {
		if !hasPin(pin, cert) {
			continue
		}
		if i == 0 {
			return nil
		}
		roots, between := x509.NewCertPool(), x509.NewCertPool()
		roots.AddCert(cert)
		for _, other := range chain[1:i] {
			between.AddCert(other)
		}
		_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
		return err
	}
	return errPin
}

var errPin = errors.New("the server's certificate is not the one that was pinned")

func hasPin(pin []byte, cert *x509.Certificate) bool {
	whole, key := sha256.Sum256(cert.Raw), sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return subtle.ConstantTimeCompare(pin, whole[:]) == 1 || subtle.ConstantTimeCompare(pin, key[:]) == 1
}
