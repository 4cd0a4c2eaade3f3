package http_test

import (
	"context"
	"fmt"
	"io"
	nethttp "net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"

	"muster"
	"muster/internal/check"
	"muster/internal/check/checktest"
	"muster/internal/check/http"
)

// way redirects /N to /N-1 until /0.
func way(w nethttp.ResponseWriter, r *nethttp.Request) {
	n, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
	if n == 0 {
		io.WriteString(w, "there")
		return
	}
	nethttp.Redirect(w, r, "/"+strconv.Itoa(n-1), nethttp.StatusFound)
}

func TestRedirectsAreFollowed(t *testing.T) {
	url := web(t, way)
	out := look(t, "url", url+"/3", "body_match", "^there$")
	if want := fmt.Sprintf("302 %[1]s/2 -> 302 %[1]s/1 -> 302 %[1]s/0", url); out.Status != muster.StatusOK || out.Evidence["http.redirects"] != want {
		t.Errorf("%+v", out)
	}
	if out := look(t, "url", url+"/10"); out.Status != muster.StatusOK {
		t.Errorf("ten redirects: %+v", out)
	}
	if out := look(t, "url", url+"/11"); out.Class != check.ClassRedirect || !strings.Contains(out.Error, "more than 10") {
		t.Errorf("eleven redirects: %+v", out)
	}
	out = look(t, "url", url+"/3", "follow_redirects", false)
	if out.Class != check.ClassStatus || out.Summary != "HTTP 302" || out.Evidence["http.header.location"] != "/2" {
		t.Errorf("not to be followed: %+v", out)
	}
	if out := look(t, "url", url+"/3", "expect_status", "302"); out.Status != muster.StatusOK || out.Summary != "HTTP 302" {
		t.Errorf("expected: %+v", out)
	}
}

func TestRedirectsThatLeadNowhere(t *testing.T) {
	for name, c := range map[string]struct{ to, class string }{
		"itself":       {"/", check.ClassRedirect},
		"circle":       {"/a", check.ClassRedirect},
		"other scheme": {"ftp://example.org/", check.ClassRedirect},
		"file":         {"file:///etc/passwd", check.ClassRedirect},
		"no URL":       {"http://%zz/", check.ClassRedirect},
		"bad port":     {"http://127.0.0.1:99999/", check.ClassRedirect},
		"no host":      {"http://", check.ClassRedirect},
		"none":         {"", check.ClassStatus},
	} {
		t.Run(name, func(t *testing.T) {
			url := web(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
				to := c.to
				if name == "circle" && r.URL.Path == "/a" {
					to = "/"
				}
				if to != "" {
					w.Header().Set("Location", to)
				}
				w.WriteHeader(nethttp.StatusMovedPermanently)
			})
			out := look(t, "url", url+"/")
			if out.Class != c.class || out.Status != muster.StatusCritical || out.Summary != "HTTP 301" && name != "circle" && name != "itself" {
				t.Errorf("%+v", out)
			}
		})
	}
}

// TestSecretsStayAtTheirOrigin follows redirects to another server, and back.
func TestSecretsStayAtTheirOrigin(t *testing.T) {
	var mu sync.Mutex
	got := map[string]nethttp.Header{}
	note := func(where string, r *nethttp.Request) {
		mu.Lock()
		defer mu.Unlock()
		got[where] = r.Header
	}
	var home string
	away := web(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		note("away", r)
		nethttp.Redirect(w, r, home+"/back", nethttp.StatusFound)
	})
	home = web(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		note(r.URL.Path, r)
		if r.URL.Path == "/" {
			nethttp.Redirect(w, r, strings.Replace(away, "http://", "http://me:pw@", 1), nethttp.StatusFound)
		}
	})
	if out := look(t, "url", home+"/", "bearer", "secret", "headers", map[string]string{"X-Key": "secret", "Accept-Language": "de"}); out.Status != muster.StatusOK {
		t.Fatalf("%+v", out)
	}
	for where, secret := range map[string]string{"/": "secret", "away": "", "/back": "secret"} {
		h := got[where]
		if h.Get("X-Key") != secret || h.Get("Accept-Language") != "de" || strings.TrimPrefix(h.Get("Authorization"), "Bearer ") != secret {
			t.Errorf("%s got %v", where, h)
		}
	}
}

func TestMethodAndBodyOverRedirects(t *testing.T) {
	for code, want := range map[int]string{301: "GET ", 302: "GET ", 303: "GET ", 307: "POST payload", 308: "POST payload"} {
		var got string
		url := web(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
			if r.URL.Path == "/" {
				nethttp.Redirect(w, r, "/next", code)
				return
			}
			b, _ := io.ReadAll(r.Body)
			got = r.Method + " " + string(b)
		})
		if look(t, "url", url, "method", "POST", "body", "payload"); got != want {
			t.Errorf("%d: %q", code, got)
		}
	}
	other := web(t, hello)
	url := web(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		nethttp.Redirect(w, r, other, nethttp.StatusTemporaryRedirect)
	})
	if out := look(t, "url", url, "method", "POST", "body", "payload"); out.Class != check.ClassRedirect || !strings.Contains(out.Error, "another host") {
		t.Errorf("%+v", out)
	}
}

// TestRedirectToWhatIsOffLimits follows a name, and a number, to an address that Allow refuses.
func TestRedirectToWhatIsOffLimits(t *testing.T) {
	inside := web(t, func(nethttp.ResponseWriter, *nethttp.Request) { t.Error("the inside was reached") })
	at := netip.MustParseAddrPort(strings.TrimPrefix(inside, "http://"))
	for _, host := range []string{"inside.example", "127.0.0.2", "[::ffff:127.0.0.2]"} {
		url := web(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
			nethttp.Redirect(w, r, fmt.Sprintf("http://%s:%d/", host, at.Port()), nethttp.StatusFound)
		})
		var asked []string
		env := &check.Env{
			Resolve: func(_ context.Context, _, host string) ([]netip.Addr, error) {
				asked = append(asked, host)
				return []netip.Addr{netip.MustParseAddr("127.0.0.2")}, nil
			},
			Allow: func(addr netip.Addr) error {
				if addr.String() == "127.0.0.1" {
					return nil
				}
				return check.PublicOnly(addr)
			},
		}
		out := checktest.Look(t, http.New(), config("url", url), env, checktest.Long)
		if out.Class != check.ClassDenied || out.Status != muster.StatusCritical || !strings.Contains(out.Error, "127.0.0.2 is loopback") {
			t.Errorf("%s, after asking for %v: %+v", host, asked, out)
		}
	}
}

func TestNamesAreResolvedAndMeasured(t *testing.T) {
	at := netip.MustParseAddrPort(strings.TrimPrefix(web(t, hello), "http://"))
	var asked string
	env := &check.Env{Resolve: func(_ context.Context, family, host string) ([]netip.Addr, error) {
		asked = family + " " + host
		return []netip.Addr{netip.MustParseAddr("::1"), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.1")}, nil
	}}
	out := checktest.Look(t, http.New(), config("url", fmt.Sprintf("http://Bücher.example:%d/", at.Port()), "family", "ip4"), env, checktest.Long)
	if out.Status != muster.StatusOK || asked != "ip4 xn--bcher-kva.example" || out.Evidence["addresses"] != "127.0.0.1" {
		t.Errorf("asked for %q: %+v", asked, out)
	}
	if v, ok := checktest.Value(out, "http.dns.duration"); !ok || v < 0 {
		t.Errorf("resolving took %v", v)
	}
}
