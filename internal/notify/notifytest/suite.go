package notifytest

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/notify"
	"muster/internal/outbound"
)

// Case is a driver that speaks HTTP, as the suite sees it.
type Case struct {
	// New makes the driver. base is the address of the service for drivers that know it by themselves.
	New func(net *outbound.Client, base string) (notify.Driver, error)
	// Config gives a good configuration that leads to the address.
	Config func(base string) string
	// OK is the body of the service's good answer.
	OK string
	// Secrets are the texts within Config that must never be shown.
	Secrets []string
	// Permanent are the statuses beside 410 after which trying again is useless.
	Permanent []int
	// ID finds a message's id in a request; nil where the service has no place for it.
	ID func(Request) string
}

// HTTP runs the suite.
func HTTP(t *testing.T, c Case) {
	t.Run("takes", c.takes)
	t.Run("fails", c.fails)
	t.Run("same", c.same)
	t.Run("later", c.later)
	t.Run("bounded", c.bounded)
	t.Run("slow", c.slow)
	t.Run("redirects", c.redirects)
	t.Run("closed", c.closed)
	t.Run("certificates", c.certificates)
	t.Run("secrets", c.secrets)
	t.Run("together", c.together)
}

// generous is far beyond what anything here needs: a slow machine must not look like a slow receiver.
const generous = 2 * time.Minute

func (c Case) sender(t *testing.T, o outbound.Options, base string) notify.Sender {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = generous
	}
	net, err := outbound.New(o)
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.New(net, base)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.Parse([]byte(c.Config(base)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// failure sends and wants an error; what to do about it comes back. No secret may be in its text.
func (c Case) failure(t *testing.T, s notify.Sender) *notify.Failure {
	t.Helper()
	err := s.Send(t.Context(), Opened())
	if err == nil {
		t.Fatal("a failure was taken for success")
	}
	c.shown(t, err)
	var f *notify.Failure
	if !errors.As(err, &f) {
		f = &notify.Failure{Err: err}
	}
	return f
}

func (c Case) shown(t *testing.T, err error) {
	t.Helper()
	text := err.Error()
	if text == "" || len(text) > 1000 || strings.ContainsAny(text, "\r\n\x00") {
		t.Errorf("the error is not a line for people: %q", text)
	}
	for _, s := range c.Secrets {
		if strings.Contains(text, s) {
			t.Errorf("the error shows the secret %q: %s", s, text)
		}
	}
}

func (c Case) takes(t *testing.T) {
	r := NewReceiver(t, Take(c.OK))
	s := c.sender(t, outbound.Options{}, r.URL)
	all := Messages()
	if s.Groups() {
		for name, m := range Groups() {
			all["group of "+name] = m
		}
	}
	for name, m := range all {
		if err := s.Send(t.Context(), m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	got := r.Got()
	if len(got) != len(all) {
		t.Errorf("%d messages, %d requests", len(all), len(got))
	}
	for _, q := range got {
		if q.Method != http.MethodPost || q.Header.Get("User-Agent") != "Muster" || !json.Valid(q.Body) {
			t.Errorf("%s by %q with %.100q", q.Method, q.Header.Get("User-Agent"), q.Body)
		}
	}
}

func (c Case) fails(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 405, 410, 413, 418, 429, 500, 502, 503, 504, 507} {
		r := NewReceiver(t, Refuse(status))
		f := c.failure(t, c.sender(t, outbound.Options{}, r.URL))
		permanent := status == http.StatusGone || slices.Contains(c.Permanent, status)
		if f.Permanent != permanent || f.Disable != (status == http.StatusGone) || f.RetryAfter != 0 {
			t.Errorf("%d: %+v", status, *f)
		}
	}
	r := NewReceiver(t, HangUp)
	s := c.sender(t, outbound.Options{}, r.URL)
	r.close()
	if f := c.failure(t, s); f.Permanent {
		t.Errorf("nobody listens: given up: %v", f)
	}
}

func (c Case) same(t *testing.T) {
	for name, first := range map[string]Behaviour{"500": Refuse(500), "hung up": HangUp, "broken off": BreakOff} {
		r := NewReceiver(t, Flap(2, first, Take(c.OK)))
		s := c.sender(t, outbound.Options{}, r.URL)
		m := Opened()
		tries := 0
		for tries < 4 {
			tries++
			err := s.Send(t.Context(), m)
			if err == nil {
				break
			}
			var f *notify.Failure
			if errors.As(err, &f) && f.Permanent {
				t.Errorf("%s: given up: %v", name, err)
			}
		}
		got := r.Got()
		if tries != 3 || len(got) != 3 {
			t.Errorf("%s: %d tries made %d requests, want 3 of each", name, tries, len(got))
		}
		for _, q := range got {
			if !bytes.Equal(q.Body, got[0].Body) {
				t.Errorf("%s: another try has another body", name)
			}
			if c.ID != nil && c.ID(q) != m.ID {
				t.Errorf("%s: the id is %q, want %q", name, c.ID(q), m.ID)
			}
		}
	}
}

func (c Case) later(t *testing.T) {
	now := Start()
	for header, want := range map[string]time.Duration{
		"7": 7 * time.Second, now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second, "0": 0, "soon": 0, "-5": 0,
		"99999999999999999999999": outbound.MaxRetryAfter, now.Add(-time.Hour).Format(http.TimeFormat): 0,
	} {
		for _, status := range []int{429, 503} {
			r := NewReceiver(t, Refuse(status, "Retry-After", header))
			f := c.failure(t, c.sender(t, outbound.Options{Now: func() time.Time { return now }}, r.URL))
			if f.Permanent || f.RetryAfter != want {
				t.Errorf("%d with Retry-After %q: permanent %v, after %s; want false, %s", status, header, f.Permanent, f.RetryAfter, want)
			}
		}
	}
}

func (c Case) bounded(t *testing.T) {
	endless := NewReceiver(t, Endless(200, c.OK))
	if err := c.sender(t, outbound.Options{}, endless.URL).Send(t.Context(), Opened()); err != nil {
		t.Errorf("a good answer that does not end: %v", err)
	}
	for name, b := range map[string]Behaviour{"endless error": Endless(500, "x"), "flood of headers": Flood, "bomb": Bomb(500)} {
		r := NewReceiver(t, b)
		if f := c.failure(t, c.sender(t, outbound.Options{}, r.URL)); f.Permanent {
			t.Errorf("%s: given up: %v", name, f)
		}
	}
}

func (c Case) slow(t *testing.T) {
	for name, b := range map[string]Behaviour{"hangs": Hang, "trickles": Trickle} {
		r := NewReceiver(t, b)
		s := c.sender(t, outbound.Options{Timeout: 300 * time.Millisecond}, r.URL)
		if f := c.failure(t, s); f.Permanent {
			t.Errorf("%s: given up: %v", name, f)
		}
		patient := c.sender(t, outbound.Options{}, r.URL)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if err := patient.Send(ctx, Opened()); err == nil {
			t.Errorf("%s: success although the context ended", name)
		}
		cancel()
	}
}

func (c Case) redirects(t *testing.T) {
	other := NewReceiver(t, Take(c.OK))
	for _, status := range []int{301, 302, 303, 307, 308} {
		r := NewReceiver(t, Refuse(status, "Location", other.URL+"/secret-path"))
		f := c.failure(t, c.sender(t, outbound.Options{}, r.URL))
		if f.Permanent {
			t.Errorf("%d: given up: %v", status, f)
		}
	}
	if n := len(other.Got()); n > 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

// closed checks that addresses which may not be reached are not, and that trying again is known to be useless.
func (c Case) closed(t *testing.T) {
	r := NewReceiver(t, Take(c.OK))
	byName := strings.Replace(r.URL, "127.0.0.1", "receiver.test", 1)
	resolve := func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	private := func(a netip.Addr) error {
		if a.IsLoopback() {
			return errors.New("private")
		}
		return nil
	}
	self := func(host string, port uint16) bool { return host == "127.0.0.1" && port == r.Port() }
	for name, o := range map[string]outbound.Options{
		"address": {Env: check.Env{Allow: private, Resolve: resolve}},
		"itself":  {Env: check.Env{Resolve: resolve}, Self: self},
	} {
		if f := c.failure(t, c.sender(t, o, byName)); !f.Permanent || f.Disable || !errors.Is(f, muster.ErrDenied) {
			t.Errorf("%s: %+v", name, *f)
		}
	}
	if n := len(r.Got()); n > 0 {
		t.Errorf("%d requests came through", n)
	}
	if err := c.sender(t, outbound.Options{Env: check.Env{Resolve: resolve}}, byName).Send(t.Context(), Opened()); err != nil {
		t.Errorf("when nothing is closed: %v", err)
	}
}

func (c Case) certificates(t *testing.T) {
	r := NewTLSReceiver(t, Take(c.OK))
	if f := c.failure(t, c.sender(t, outbound.Options{}, r.URL)); f.Permanent {
		t.Errorf("a certificate that proves nothing: given up: %v", f)
	}
	if n := len(r.Got()); n > 0 {
		t.Error("a server that nobody vouches for was told")
	}
	pool := x509.NewCertPool()
	pool.AddCert(r.server.Certificate())
	if err := c.sender(t, outbound.Options{RootCAs: pool}, r.URL).Send(t.Context(), Opened()); err != nil {
		t.Errorf("a good certificate: %v", err)
	}
}

// secrets makes the service repeat all that it hears.
func (c Case) secrets(t *testing.T) {
	for _, status := range []int{200, 302, 400, 500} {
		r := NewReceiver(t, Echo(status))
		if err := c.sender(t, outbound.Options{}, r.URL).Send(t.Context(), Opened()); err != nil {
			c.shown(t, err)
		}
	}
	gone := c.sender(t, outbound.Options{Env: check.Env{Resolve: func(context.Context, string, string) ([]netip.Addr, error) {
		return nil, errors.New("no such host")
	}}}, "http://gone.test:81")
	c.failure(t, gone)
}

func (c Case) together(t *testing.T) {
	r := NewReceiver(t, Take(c.OK))
	s := c.sender(t, outbound.Options{}, r.URL)
	m := Opened()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if err := s.Send(t.Context(), m); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(r.Got()); n != 16 {
		t.Errorf("%d requests of 16", n)
	}
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
