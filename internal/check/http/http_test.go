package http_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"muster"
	"muster/internal/check"
	"muster/internal/check/checktest"
	"muster/internal/check/http"
)

// web serves a handler until the test ends and gives its URL.
func web(t testing.TB, handler nethttp.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

// config writes the fields of a configuration.
func config(fields ...any) string {
	m := map[string]any{}
	for i := 0; i < len(fields); i += 2 {
		m[fields[i].(string)] = fields[i+1]
	}
	b, _ := json.Marshal(m)
	return string(b)
}

func hello(w nethttp.ResponseWriter, _ *nethttp.Request) {
	w.Header().Set("Server", "test/1")
	io.WriteString(w, "hello, version 17.5 of the world\n")
}

func look(t testing.TB, fields ...any) *check.Outcome {
	t.Helper()
	return checktest.Look(t, http.New(), config(fields...), nil, checktest.Long)
}

func TestSuite(t *testing.T) {
	checktest.Test(t, checktest.Suite{
		Kind: http.New(),
		Good: func(t *testing.T) string { return config("url", web(t, hello)) },
		Silent: func(t *testing.T) string {
			return config("url", "http://"+checktest.Serve(t, checktest.Silent).String())
		},
		Garbage: func(t *testing.T, answer []byte) string {
			return config("url", "http://"+checktest.Serve(t, checktest.Answer(answer)).String())
		},
		Normal: []string{
			config("url", "https://example.org", "method", "head", "expect_status", " 2xx, 301 ,404-410", "follow_redirects", false),
			config("url", "http://[2001:db8::1]:8080/a?b=c", "headers", map[string]string{"Host": "example.org", "X-A": "b"}, "body", "{}", "method", "POST"),
			config("url", "https://bücher.example/", "username", "me", "password", "p:w", "max_response_time", "1500ms", "tls_skip_verify", true),
			config("url", "http://example.org", "bearer", "secret", "body_match", "<b>(?P<n>[0-9]+)</b>", "matches", map[string]string{"a": "x", "b": "y"}),
			config("url", "https://192.0.2.1/", "tls_server_name", "example.org", "tls_ca", checktest.NewAuthority(t).PEM, "family", "ip4"),
		},
		Wrong: map[string]string{
			`{}`:                                                                           "url",
			config("url", "example.org"):                                                   "url",
			config("url", "ftp://a/"):                                                      "url",
			config("url", "http://"):                                                       "url",
			config("url", "http://me:pw@a/"):                                               "url",
			config("url", "http://a:0/"):                                                   "url",
			config("url", "http://a:70000/"):                                               "url",
			config("url", "http://a b/"):                                                   "url",
			config("url", "http:a"):                                                        "url",
			config("url", "http://[fe80::1%25eth0]/"):                                      "url",
			config("url", "http://a", "method", "GET /"):                                   "method",
			config("url", "http://a", "expect_status", "abc"):                              "expect_status",
			config("url", "http://a", "expect_status", "299-200"):                          "expect_status",
			config("url", "http://a", "body_match", "("):                                   "body_match",
			config("url", "http://a", "body_match", strings.Repeat("a", 1001)):             "body_match",
			config("url", "http://a", "body_match", "((a{100}){100}){10}"):                 "body_match",
			config("url", "http://a", "body_match", "(?P<a>)(?P<b>)(?P<c>)(?P<d>)(?P<e>)"): "body_match",
			config("url", "http://a", "matches", map[string]string{"a": "a", "b": "", "c": "", "d": "", "e": ""}): "matches",
			config("url", "http://a", "matches", map[string]string{"a b": "a"}):                                   "matches",
			config("url", "http://a", "matches", map[string]string{"a": "["}):                                     "matches",
			config("url", "http://a", "body_match", "(?P<a>.)", "matches", map[string]string{"a": "a"}):           "matches",
			config("url", "http://a", "headers", map[string]string{"a:": "b"}):                                    "headers",
			config("url", "http://a", "headers", map[string]string{"a": "b\r\nc: d"}):                             "headers",
			config("url", "http://a", "headers", map[string]string{"Connection": "x"}):                            "headers",
			config("url", "http://a", "headers", map[string]string{"Host": "a b/"}):                               "headers",
			config("url", "http://a", "headers", map[string]string{"x-a": "1", "X-A": "2"}):                       "headers",
			config("url", "http://a", "headers", map[string]string{"authorization": "x"}, "bearer", "y"):          "headers",
			config("url", "http://a", "username", "a", "bearer", "b"):                                             "bearer",
			config("url", "http://a", "bearer", "a\nb"):                                                           "bearer",
			config("url", "http://a", "username", "a:b"):                                                          "username",
			config("url", "http://a", "max_response_time", "2h"):                                                  "max_response_time",
			config("url", "http://a", "tls_ca", "x"):                                                              "tls_ca",
			config("url", "http://a", "tls_server_name", "a b"):                                                   "tls_server_name",
			config("url", "http://a", "family", "ipx"):                                                            "family",
			config("url", "http://a", "method", 7):                                                                "method",
		},
	})
}

func TestAnswerIsMeasuredAndShown(t *testing.T) {
	out := look(t, "url", web(t, hello), "body_match", "^hello", "matches", map[string]string{"version": `version ([0-9.]+)`, "word": "of the (?:[a-z]+)", "none": "nobody"})
	if out.Status != muster.StatusOK || out.Summary != "HTTP 200" {
		t.Fatalf("%+v", out)
	}
	for key, want := range map[string]string{"http.status": "HTTP/1.1 200 OK", "http.header.server": "test/1", "addresses": "127.0.0.1", "match.version": "17.5", "match.word": "of the world", "match.none": "", "http.body": ""} {
		if out.Evidence[key] != want {
			t.Errorf("evidence %s is %q", key, out.Evidence[key])
		}
	}
	for name, want := range map[string]float64{"http.response.status_code": 200, "http.response.body.size": 33, "http.response.truncated": 0, "http.match": 17.5} {
		if v, ok := checktest.Value(out, name); !ok || v != want {
			t.Errorf("%s is %v", name, v)
		}
	}
	for _, name := range []string{"http.connect.duration", "http.first_byte.duration", "http.duration"} {
		if v, ok := checktest.Value(out, name); !ok || v <= 0 {
			t.Errorf("%s is %v", name, v)
		}
	}
	for _, name := range []string{"http.dns.duration", "http.tls.duration", "tls.certificate.remaining"} {
		if v, ok := checktest.Value(out, name); ok {
			t.Errorf("%s is %v, though there was none", name, v)
		}
	}
}

func TestRequestSaysWhatIsConfigured(t *testing.T) {
	var got *nethttp.Request
	var body []byte
	url := web(t, func(_ nethttp.ResponseWriter, r *nethttp.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	})
	look(t, "url", url+"/a b?c=d e&ü", "method", "post", "body", "payload", "username", "me", "password", "secret",
		"headers", map[string]string{"Host": "other.example", "X-Thing": "1", "user-agent": "special"})
	user, password, _ := got.BasicAuth()
	if got.Method != "POST" || got.Host != "other.example" || got.URL.Path != "/a b" || got.URL.RawQuery != "c=d%20e&%C3%BC" || got.Header.Get("X-Thing") != "1" ||
		got.UserAgent() != "special" || user != "me" || password != "secret" || string(body) != "payload" {
		t.Errorf("got %+v %q", got, body)
	}
	look(t, "url", url, "bearer", "token")
	if got.Header.Get("Authorization") != "Bearer token" || got.UserAgent() != "Muster" || got.URL.Path != "/" || !got.Close {
		t.Errorf("got %+v", got)
	}
}

func TestWhatIsNotExpectedFails(t *testing.T) {
	url := web(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.WriteHeader(nethttp.StatusServiceUnavailable)
		io.WriteString(w, "out of "+strings.Repeat("order ", 100))
	})
	out := look(t, "url", url)
	if out.Status != muster.StatusCritical || out.Class != check.ClassStatus || out.Summary != "HTTP 503" || len(out.Evidence["http.body"]) != 300 {
		t.Errorf("%+v", out)
	}
	if _, measured := checktest.Value(out, "http.duration"); !measured {
		t.Error("an answer that is not liked took its time all the same")
	}
	if out := look(t, "url", url, "expect_status", "200,500-599"); out.Status != muster.StatusOK {
		t.Errorf("%+v", out)
	}
	out = look(t, "url", url, "expect_status", "503", "body_match", "in order")
	if out.Class != check.ClassBody || !strings.Contains(out.Error, "in order") {
		t.Errorf("%+v", out)
	}
	if out := look(t, "url", url, "expect_status", "503", "max_response_time", "1ns"); out.Class != check.ClassTimeout || out.Status != muster.StatusCritical {
		t.Errorf("%+v", out)
	}
	if out := look(t, "url", "http://"+checktest.FreePort(t).String()); out.Class != check.ClassConnect || !strings.Contains(out.Error, "connection refused") {
		t.Errorf("%+v", out)
	}
	if _, measured := checktest.Value(look(t, "url", "http://"+checktest.FreePort(t).String()), "http.duration"); measured {
		t.Error("nothing was answered, yet it is measured how long that took")
	}
	if out := look(t, "url", "http://nobody.invalid./"); out.Class != check.ClassDNS && out.Class != check.ClassTimeout {
		t.Errorf("%+v", out)
	}
}

func TestHeadHasNoBody(t *testing.T) {
	url := web(t, func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Length", "5000")
	})
	out := look(t, "url", url, "method", "HEAD")
	if size, _ := checktest.Value(out, "http.response.body.size"); out.Status != muster.StatusOK || size != 0 {
		t.Errorf("%+v", out)
	}
}

// TestNothingIsShared makes sure that each run has a connection of its own and forgets cookies.
func TestNothingIsShared(t *testing.T) {
	var connections, cookies atomic.Int64
	s := httptest.NewUnstartedServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		cookies.Add(int64(len(r.Cookies())))
		nethttp.SetCookie(w, &nethttp.Cookie{Name: "a", Value: "b"})
	}))
	s.Config.ConnState = func(_ net.Conn, state nethttp.ConnState) {
		if state == nethttp.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	for range 3 {
		look(t, "url", s.URL)
	}
	if connections.Load() != 3 || cookies.Load() != 0 {
		t.Errorf("%d connections, %d cookies", connections.Load(), cookies.Load())
	}
}

func TestNginx(t *testing.T) {
	program := checktest.Program(t, "nginx", os.Getenv("MUSTER_REQUIRE"))
	dir, plain, secure := checktest.Dir(t), checktest.FreePort(t), checktest.FreePort(t)
	authority := checktest.NewAuthority(t)
	cert, key := checktest.PEM(t, authority.Issue(t, checktest.Certificate{}))
	page := strings.Repeat("page ", 1000)
	for name, content := range map[string]string{"cert.pem": string(cert), "key.pem": string(key), "index.html": page, "nginx.conf": fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events {}
http {
	access_log off; gzip on; gzip_types text/html; gzip_min_length 10; root %[1]s;
	client_body_temp_path %[1]s/1; proxy_temp_path %[1]s/2; fastcgi_temp_path %[1]s/3; uwsgi_temp_path %[1]s/4; scgi_temp_path %[1]s/5;
	server { listen %[2]s; location /gone { return 410; } location /moved { return 301 https://%[3]s/; } }
	server { listen %[3]s ssl; ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem; }
}`, dir, plain, secure)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	checktest.Start(t, secure, program, "-p", dir, "-e", "stderr", "-c", filepath.Join(dir, "nginx.conf"))
	out := look(t, "url", "http://"+plain.String()+"/moved", "tls_ca", authority.PEM, "body_match", "^(page ){500}")
	if out.Status != muster.StatusOK || !strings.HasPrefix(out.Evidence["http.header.server"], "nginx") || out.Evidence["http.redirects"] != "301 https://"+secure.String()+"/" {
		t.Errorf("%+v", out)
	}
	if valid, _ := checktest.Value(out, "tls.certificate.valid"); valid != 1 {
		t.Errorf("%+v", out)
	}
	out = look(t, "url", "https://"+secure.String()+"/", "tls_ca", authority.PEM, "body_match", "^(page ){500}", "headers", map[string]string{"Accept-Encoding": "gzip"})
	if size, _ := checktest.Value(out, "http.response.body.size"); out.Status != muster.StatusOK || size == 0 || size > 1000 {
		t.Errorf("packed, it has %v bytes: %+v", size, out)
	}
	if out := look(t, "url", "http://"+plain.String()+"/gone"); out.Class != check.ClassStatus || out.Summary != "HTTP 410" {
		t.Errorf("%+v", out)
	}
	if out := look(t, "url", "http://"+secure.String()+"/", "expect_status", "400"); out.Status != muster.StatusOK {
		t.Errorf("plain to a TLS port: %+v", out)
	}
	if out := look(t, "url", "https://"+plain.String()+"/"); out.Class != check.ClassTLS {
		t.Errorf("TLS to a plain port: %+v", out)
	}
}
