package http_test

import (
	"context"
	nethttp "net/http"
	"net/http/httptest"
	"testing"
	"time"

	"muster/internal/check"
	"muster/internal/check/http"
)

// The server is in the same process and part of the figure; bench/checks keeps it apart.
func BenchmarkRun(b *testing.B) {
	plain := httptest.NewServer(nethttp.HandlerFunc(hello))
	defer plain.Close()
	secure := httptest.NewTLSServer(nethttp.HandlerFunc(hello))
	defer secure.Close()
	for name, fields := range map[string]string{
		"http":    config("url", plain.URL),
		"matched": config("url", plain.URL, "body_match", "version ([0-9.]+)"),
		"https":   config("url", secure.URL, "tls_skip_verify", true),
	} {
		b.Run(name, func(b *testing.B) {
			probe, err := http.New().Parse([]byte(fields))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
				var out check.Outcome
				probe.Run(ctx, &check.Env{}, &out)
				cancel()
				if out.Failed() {
					b.Fatal(out.Error)
				}
			}
		})
	}
}
