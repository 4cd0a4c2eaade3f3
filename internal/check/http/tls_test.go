package http_test

import (
	"crypto/tls"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/check/checktest"
	"muster/internal/check/http"
)

// secure serves with a certificate until the test ends, and gives the port.
func secure(t testing.TB, cert tls.Certificate, config *tls.Config) string {
	t.Helper()
	s := httptest.NewUnstartedServer(nethttp.HandlerFunc(hello))
	config.Certificates = []tls.Certificate{cert}
	s.TLS = config
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func TestCertificatesAreJudged(t *testing.T) {
	authority := checktest.NewAuthority(t)
	now := time.Now()
	for name, c := range map[string]struct {
		cert    checktest.Certificate
		trusted bool
		problem string
	}{
		"good":          {checktest.Certificate{}, true, ""},
		"expired":       {checktest.Certificate{NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(-24 * time.Hour)}, true, check.CertificateExpired},
		"not yet valid": {checktest.Certificate{NotBefore: now.Add(24 * time.Hour), NotAfter: now.Add(48 * time.Hour)}, true, check.CertificateNotYetValid},
		"wrong name":    {checktest.Certificate{Names: []string{"other.example"}}, true, check.CertificateWrongName},
		"nobody":        {checktest.Certificate{Names: []string{}}, true, check.CertificateWrongName},
		"self-signed":   {checktest.Certificate{SelfSigned: true}, true, check.CertificateSelfSigned},
		"untrusted":     {checktest.Certificate{}, false, check.CertificateUntrusted},
	} {
		t.Run(name, func(t *testing.T) {
			url := secure(t, authority.Issue(t, c.cert), &tls.Config{})
			fields := []any{"url", url}
			if c.trusted {
				fields = append(fields, "tls_ca", authority.PEM)
			}
			out := look(t, fields...)
			wantValid, wantClass := 1.0, ""
			if c.problem != "" {
				wantValid, wantClass = 0, check.ClassTLS
			}
			valid, ok := checktest.Value(out, "tls.certificate.valid")
			remaining, dated := checktest.Value(out, "tls.certificate.remaining")
			if out.Class != wantClass || out.Evidence["tls.problem"] != c.problem || !ok || valid != wantValid || !dated || (remaining < 0) != (name == "expired") {
				t.Errorf("valid %v, %v left: %+v", valid, remaining, out)
			}
			if !strings.HasPrefix(out.Evidence["tls.version"], "TLS 1.") || out.Evidence["tls.subject"] != "CN=Test Server" || out.Evidence["tls.not_after"] == "" {
				t.Errorf("%+v", out.Evidence)
			}
			if out := look(t, append(fields, "tls_skip_verify", true)...); out.Status != muster.StatusOK || out.Evidence["tls.problem"] != c.problem {
				t.Errorf("not to be verified: %+v", out)
			}
		})
	}
}

// TestNothingIsSentToAnImpostor makes sure that secrets do not reach who cannot show a good certificate.
func TestNothingIsSentToAnImpostor(t *testing.T) {
	s := httptest.NewTLSServer(nethttp.HandlerFunc(func(nethttp.ResponseWriter, *nethttp.Request) { t.Error("it was asked") }))
	defer s.Close()
	if out := look(t, "url", s.URL, "bearer", "secret"); out.Class != check.ClassTLS {
		t.Errorf("%+v", out)
	}
}

func TestHandshakesThatFail(t *testing.T) {
	authority := checktest.NewAuthority(t)
	cert := authority.Issue(t, checktest.Certificate{})
	url := secure(t, cert, &tls.Config{NextProtos: []string{"h2"}, ClientAuth: tls.RequireAnyClientCert})
	if out := look(t, "url", url, "tls_ca", authority.PEM); out.Status != muster.StatusCritical || out.Class == "" {
		t.Errorf("a client certificate is wanted: %+v", out)
	}
	old := secure(t, cert, &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	if out := look(t, "url", old, "tls_ca", authority.PEM); out.Class != check.ClassTLS {
		t.Errorf("TLS 1.1: %+v", out)
	}
	silent := "https://" + checktest.Serve(t, checktest.Silent).String()
	if out := checktest.Look(t, http.New(), config("url", silent), nil, 200*time.Millisecond); out.Class != check.ClassTimeout {
		t.Errorf("silence: %+v", out)
	}
	reset := "https://" + checktest.Serve(t, checktest.Reset).String()
	if out := look(t, "url", reset); out.Class != check.ClassTLS && out.Class != check.ClassConnect {
		t.Errorf("reset: %+v", out)
	}
}

func TestServerNameIsSentAndChecked(t *testing.T) {
	authority := checktest.NewAuthority(t)
	var sent string
	url := secure(t, authority.Issue(t, checktest.Certificate{Names: []string{"inner.example"}}), &tls.Config{
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) { sent = hello.ServerName; return nil, nil },
	})
	out := look(t, "url", url, "tls_ca", authority.PEM, "tls_server_name", "inner.example")
	if out.Status != muster.StatusOK || sent != "inner.example" {
		t.Errorf("sent %q: %+v", sent, out)
	}
}

// TestClockDecides gives a run another time than the machine's.
func TestClockDecides(t *testing.T) {
	authority := checktest.NewAuthority(t)
	url := secure(t, authority.Issue(t, checktest.Certificate{}), &tls.Config{})
	env := &check.Env{Now: func() time.Time { return time.Now().Add(72 * time.Hour) }}
	out := checktest.Look(t, http.New(), config("url", url, "tls_ca", authority.PEM), env, checktest.Long)
	if out.Evidence["tls.problem"] != check.CertificateExpired {
		t.Errorf("%+v", out)
	}
	// The authority's own time counts as well.
	url = secure(t, authority.Issue(t, checktest.Certificate{NotAfter: time.Now().Add(720 * time.Hour)}), &tls.Config{})
	out = checktest.Look(t, http.New(), config("url", url, "tls_ca", authority.PEM), env, checktest.Long)
	if out.Class != check.ClassTLS || out.Evidence["tls.problem"] != check.CertificateInvalid {
		t.Errorf("%+v", out)
	}
	if out := look(t, "url", url, "tls_ca", authority.PEM); out.Status != muster.StatusOK {
		t.Errorf("%+v", out)
	}
}
