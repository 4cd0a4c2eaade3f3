package http_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"muster/internal/check"
	"muster/internal/check/checktest"
	"muster/internal/check/http"
)

func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"url":"https://example.org:8443/a?b=c#d","method":"post","headers":{"Host":"x"},"expect_status":"2xx,301","body_match":"(?P<a>b)"}`))
	f.Add([]byte(`{"url":"http://[::1]/%zz","matches":{"a":"b"},"max_response_time":"1.5s"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		checktest.Fuzzed(t, http.New(), raw)
	})
}

// FuzzAnswer gives a run any answer, also one that redirects.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	f.Add([]byte("HTTP/1.1 302 Found\r\nLocation: //a:1/b\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
	probe, err := http.New().Parse([]byte(`{"url":"http://192.0.2.1/","body_match":"ok"}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		env := &check.Env{
			Resolve: func(context.Context, string, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("192.0.2.2")}, nil
			},
			Dial: func(context.Context, string, string) (net.Conn, error) {
				return &canned{t: t, in: bytes.NewReader(answer)}, nil
			},
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var out check.Outcome
		probe.Run(ctx, env, &out)
		if out.Summary == "" || out.Status == "" {
			t.Errorf("%+v", out)
		}
	})
}

// canned is a connection on which an answer lies ready.
type canned struct {
	net.Conn
	t  *testing.T
	in *bytes.Reader
}

func (c *canned) Read(b []byte) (int, error) {
	n, err := c.in.Read(b)
	if n == 0 {
		return 0, io.EOF
	}
	return n, err
}

func (c *canned) Write(b []byte) (int, error) {
	if bytes.Count(b, []byte("\r\n\r\n")) != 1 {
		c.t.Errorf("a redirect puts more than one request into %q", b)
	}
	return len(b), nil
}

func (c *canned) Close() error                { return nil }
func (c *canned) SetDeadline(time.Time) error { return nil }
