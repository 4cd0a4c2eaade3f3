package outbound_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/outbound"
)

func client(t testing.TB, o outbound.Options) *outbound.Client {
	t.Helper()
	c, err := outbound.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serve starts a receiver that ends with the test.
func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

func TestPost(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.Header.Get("X-Key") != "v" || r.Header.Get("User-Agent") != "Muster" || r.Header.Get("Accept-Encoding") != "" {
			t.Errorf("%s with %v", r.Method, r.Header)
		}
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(202)
		_, _ = w.Write([]byte(strings.Repeat("a", 100_000)))
	})
	a, err := client(t, outbound.Options{}).Post(t.Context(), url, http.Header{"X-Key": {"v"}}, []byte("body"))
	if err != nil || !a.OK() || a.Status != 202 || len(a.Body) != 64<<10 || a.RetryAfter != 3*time.Second {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestAnswerInWords(t *testing.T) {
	for want, h := range map[string]http.HandlerFunc{
		"the receiver answered 500 Internal Server Error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"the receiver answered 404 Not Found: no *** here": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			_, _ = w.Write([]byte(" no\r\n\tSECRET \x00\x1b here\n"))
		},
		"the receiver answered 599: " + strings.Repeat("b", 200) + " ...": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(599)
			_, _ = w.Write([]byte(strings.Repeat("b", 5000)))
		},
		"the receiver answered 302 Found, a redirect, which is not followed: it leads to other.test:8": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://u:SECRET@other.test:8/SECRET?x=SECRET")
			w.WriteHeader(302)
		},
	} {
		a, err := client(t, outbound.Options{}).Post(t.Context(), serve(t, h), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Words("SECRET", ""); got != want || a.OK() {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

// TestErrorsHideTheAddress: who knows the address of a webhook may use it.
func TestErrorsHideTheAddress(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + closed.Addr().String()
	closed.Close()
	hang := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for name, c := range map[string]struct {
		url  string
		o    outbound.Options
		deny bool
		word string
	}{
		"nobody listens": {url: nobody, word: "refused"},
		"too slow":       {url: hang, o: outbound.Options{Timeout: 200 * time.Millisecond}, word: "within 200ms"},
		"no such host": {url: "http://gone.test", word: "gone.test", o: outbound.Options{Env: check.Env{Resolve: func(context.Context, string, string) ([]netip.Addr, error) {
			return nil, &net.DNSError{Err: "no such host", Name: "gone.test", IsNotFound: true}
		}}}},
		"hung up":       {url: serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), word: "closed"},
		"not encrypted": {url: strings.Replace(hang, "http:", "https:", 1), word: "HTTP"},
		"closed":        {url: hang, o: outbound.Options{Env: check.Env{Allow: check.PublicOnly}}, deny: true, word: "loopback"},
	} {
		_, err := client(t, c.o).Post(t.Context(), c.url+"/SECRET?x=SECRET", http.Header{"X": {"SECRET"}}, nil)
		var failed *outbound.Error
		if !errors.As(err, &failed) || failed.Denied != c.deny || !strings.Contains(err.Error(), c.word) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", name, err)
		}
		want := muster.ErrUnavailable
		if c.deny {
			want = muster.ErrDenied
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: the error is none of %v", name, want)
		}
	}
}

func TestStoppedByItsCaller(t *testing.T) {
	started := make(chan struct{})
	hang := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-started
		cancel()
	}()
	if _, err := client(t, outbound.Options{}).Post(ctx, hang, nil, nil); err == nil || !strings.Contains(err.Error(), "stopped") {
		t.Errorf("%v", err)
	}
}

// TestNameThatTurnsInward: it is the address that counts, not the name, at every connection.
func TestNameThatTurnsInward(t *testing.T) {
	var reached atomic.Int32
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		w.Header().Set("Connection", "close")
	})
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	inward := false
	env := check.Env{
		Resolve: func(context.Context, string, string) ([]netip.Addr, error) {
			if inward {
				return []netip.Addr{netip.MustParseAddr("::ffff:127.0.0.1")}, nil
			}
			return []netip.Addr{netip.MustParseAddr("8.8.8.8")}, nil
		},
		Allow: check.PublicOnly,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
		},
	}
	c := client(t, outbound.Options{Env: env})
	if _, err := c.Post(t.Context(), "http://turns.test:"+port, nil, nil); err != nil || reached.Load() != 1 {
		t.Fatalf("a public address: %v", err)
	}
	inward = true
	if _, err := c.Post(t.Context(), "http://turns.test:"+port, nil, nil); !errors.Is(err, muster.ErrDenied) || reached.Load() != 1 {
		t.Errorf("an inward address: %v", err)
	}
}

func TestSelf(t *testing.T) {
	asked := map[string]bool{}
	c := client(t, outbound.Options{Self: func(host string, port uint16) bool {
		asked[host] = true
		return host == "muster.test" || host == "127.0.0.1" && port == 8080
	}})
	for url, bad := range map[string]bool{
		"http://muster.test/x": true, "https://MUSTER.test.:444": true, "http://[::ffff:127.0.0.1]:8080": true, "http://127.0.0.1:8081": false, "https://example.org": false,
	} {
		if fault := c.URLFault(url); (fault != "") != bad {
			t.Errorf("%s: %q", url, fault)
		}
	}
	if _, err := c.Dial(t.Context(), "tcp", "127.0.0.1:8080"); !errors.Is(err, muster.ErrDenied) {
		t.Errorf("dialled: %v", err)
	}
	if _, err := c.Dial(t.Context(), "tcp", "nothing"); !errors.Is(err, muster.ErrDenied) {
		t.Errorf("no port: %v", err)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "1": time.Second, " 120 ": 2 * time.Minute, "86400": 24 * time.Hour, "86401": 24 * time.Hour, "1e3": 0, "-1": 0, "+1": 0, "1.5": 0, "soon": 0,
		"Sat, 14 Mar 2026 12:00:30 GMT": 30 * time.Second, "Saturday, 14-Mar-26 12:00:30 GMT": 30 * time.Second, "Sat Mar 14 12:00:30 2026": 30 * time.Second,
		"Sat, 14 Mar 2026 11:59:59 GMT": 0, "Sat, 14 Mar 2126 11:59:59 GMT": 24 * time.Hour, strings.Repeat("9", 1000): 24 * time.Hour,
	} {
		if got := outbound.RetryAfter(value, now); got != want {
			t.Errorf("%.40q: %s, want %s", value, got, want)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, timeout := range []time.Duration{-1, time.Hour} {
		if _, err := outbound.New(outbound.Options{Timeout: timeout}); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%s: %v", timeout, err)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	now := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	for _, s := range []string{"", "12", "-1", "Sat, 14 Mar 2026 12:00:30 GMT", "99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d := outbound.RetryAfter(s, now); d < 0 || d > outbound.MaxRetryAfter {
			t.Errorf("%q: %s", s, d)
		}
	})
}

// FuzzURLFault: what is found good can be asked for.
func FuzzURLFault(f *testing.F) {
	c := client(f, outbound.Options{Env: check.Env{Resolve: func(context.Context, string, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }}})
	for _, s := range []string{"http://a", "https://a:1/x?y", "http://[::1]:80/", "http://a:/", "http://a%20b/", "http:///x", "http://a/#"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if c.URLFault(s) != "" {
			return
		}
		if _, err := http.NewRequest(http.MethodPost, s, nil); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	})
}
