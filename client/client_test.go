package client_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"muster"
	"muster/api"
	"muster/client"
)

// script is a server that gives one answer after the other and remembers what it was asked.
type script struct {
	mu      sync.Mutex
	answers []func() (*http.Response, error)
	asked   []*http.Request
	bodies  []string
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body := ""
	if r.Body != nil {
		raw, _ := io.ReadAll(r.Body)
		body = string(raw)
	}
	s.asked, s.bodies = append(s.asked, r), append(s.bodies, body)
	if len(s.answers) == 0 {
		return nil, errors.New("no answer is left")
	}
	next := s.answers[0]
	s.answers = s.answers[1:]
	return next()
}

func answer(status int, body string, header ...string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		h := http.Header{"Content-Type": {"application/json"}}
		if status >= 400 {
			h.Set("Content-Type", "application/problem+json")
		}
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func lost() (*http.Response, error) { return nil, errors.New("connection reset") }

func scripted(t *testing.T, answers ...func() (*http.Response, error)) (*client.Client, *script) {
	t.Helper()
	s := &script{answers: answers}
	c, err := client.New(client.Options{Server: "http://muster.example.com/base/", Token: "secret", Transport: s})
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

func TestPostsAreRepeatedWithTheirKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, lost, answer(503, `{"title":"Not now"}`, "Retry-After", "5"), answer(429, `{}`), answer(201, `{"id":"enrollment_1"}`))
		e, err := c.Enroll(t.Context(), api.EnrollmentNew{Uses: 2})
		if err != nil || e.ID != "enrollment_1" {
			t.Fatalf("%+v %v", e, err)
		}
		key := s.asked[0].Header.Get(api.HeaderIdempotencyKey)
		for i, r := range s.asked {
			if r.Header.Get(api.HeaderIdempotencyKey) != key || key == "" || s.bodies[i] != `{"uses":2}` || r.Header.Get("Authorization") != "Bearer secret" {
				t.Errorf("try %d: %v %s", i, r.Header, s.bodies[i])
			}
			if r.URL.Path != "/base/v1/enrollments" {
				t.Errorf("asked %s", r.URL)
			}
		}
	})
}

func TestWhatIsRefusedIsNotRepeated(t *testing.T) {
	for status, kind := range map[int]error{404: muster.ErrNotFound, 401: muster.ErrDenied, 403: muster.ErrDenied, 409: muster.ErrConflict,
		412: muster.ErrConflict, 422: muster.ErrInvalid, 413: muster.ErrInvalid, 500: muster.ErrUnavailable} {
		c, s := scripted(t, answer(status, `{"type":"urn:x","title":"No","detail":"Because.","errors":[{"location":"body.a","message":"bad"}]}`), answer(200, `{}`))
		_, err := c.Node(context.Background(), "node_1")
		var e *client.Error
		if !errors.Is(err, kind) || !errors.As(err, &e) || e.Problem.Status != status || err.Error() != "Because: body.a: bad" || len(s.asked) != 1 {
			t.Errorf("%d: %v after %d tries", status, err, len(s.asked))
		}
	}
}

func TestChangesWithARevAreNotRepeatedBlindly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, lost, answer(200, `{}`))
		if _, err := c.EditNode(t.Context(), "node_1", 3, api.NodeEdit{}); !errors.Is(err, muster.ErrUnavailable) || len(s.asked) != 1 {
			t.Errorf("%v after %d tries", err, len(s.asked))
		}
		if got := s.asked[0].Header.Get(api.HeaderIfMatch); got != `"3"` {
			t.Errorf("If-Match %s", got)
		}
		c, s = scripted(t, answer(503, `{}`), answer(200, `{"rev":4}`))
		if n, err := c.EditNode(t.Context(), "node_1", 3, api.NodeEdit{}); err != nil || n.Rev != 4 || len(s.asked) != 2 {
			t.Errorf("a change that was surely not made: %v after %d tries", err, len(s.asked))
		}
		c, s = scripted(t, lost, answer(404, `{}`))
		if err := c.DeleteNode(t.Context(), "node_1", 0); err != nil || len(s.asked) != 2 {
			t.Errorf("a deletion whose answer was lost: %v", err)
		}
		c, _ = scripted(t, answer(404, `{}`))
		if err := c.DeleteNode(t.Context(), "node_1", 0); !errors.Is(err, muster.ErrNotFound) {
			t.Errorf("nothing to delete: %v", err)
		}
	})
}

func TestRetriesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, lost, lost, lost, lost, lost, lost)
		if _, err := c.Me(t.Context()); !errors.Is(err, muster.ErrUnavailable) || len(s.asked) != 4 || !strings.Contains(err.Error(), "no answer from http://muster.example.com") {
			t.Errorf("%v after %d tries", err, len(s.asked))
		}
		c, s = scripted(t, answer(429, `{}`, "Retry-After", "3600"), answer(200, `{}`))
		var e *client.Error
		if _, err := c.Me(t.Context()); !errors.As(err, &e) || e.RetryAfter.Hours() != 1 || len(s.asked) != 1 {
			t.Errorf("an hour's wait is the caller's to decide: %v after %d tries", err, len(s.asked))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		c, s = scripted(t, lost, lost)
		if _, err := c.Me(ctx); err == nil || len(s.asked) > 1 {
			t.Errorf("after the end: %v, %d tries", err, len(s.asked))
		}
	})
}

func TestListsPageThemselves(t *testing.T) {
	c, s := scripted(t, answer(200, `{"items":[{"name":"a"},{"name":"b"}],"next":"c1"}`), answer(200, `{"items":[{"name":"c"}]}`))
	var names []string
	for n, err := range c.AllNodes(context.Background(), client.ListOptions{Query: "tag:web", Sort: "-cpu"}) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, n.Name)
	}
	if strings.Join(names, "") != "abc" || s.asked[1].URL.Query().Get("cursor") != "c1" || s.asked[1].URL.Query().Get("query") != "tag:web" || s.asked[0].URL.Query().Get("limit") != "1000" {
		t.Errorf("%v, then %s", names, s.asked[1].URL)
	}
	c, _ = scripted(t, answer(200, `{"items":[{"name":"a"}],"next":"c1"}`), answer(404, `{}`))
	var last error
	for _, err := range c.AllNodes(context.Background(), client.ListOptions{}) {
		last = err
	}
	if !errors.Is(last, muster.ErrNotFound) {
		t.Errorf("a page that fails: %v", last)
	}
}

func TestSeriesQuery(t *testing.T) {
	c, s := scripted(t, answer(200, `{"metric":"m","step":"10s","series":[{"node":"n","attributes":{},"points":[[10,1,2,3]]}]}`))
	got, err := c.Series(context.Background(), client.SeriesQuery{Metric: "m", Nodes: []string{"a", "b"}, Attributes: map[string]string{"k": "v"}, From: "-1h", Points: 5, Fn: "max"})
	if err != nil {
		t.Fatal(err)
	}
	if q := s.asked[0].URL.RawQuery; q != "attributes=k%3Av&fn=max&from=-1h&metric=m&node=a&node=b&points=5" {
		t.Error(q)
	}
	if p := got.Series[0].Points[0]; p.At().Unix() != 10 || p.Min() != 1 || p.Avg() != 2 || p.Max() != 3 {
		t.Errorf("%v", p)
	}
}

func TestStrangeAnswers(t *testing.T) {
	c, _ := scripted(t, answer(200, `<html>`))
	if _, err := c.Me(context.Background()); err == nil {
		t.Error("HTML is taken for JSON")
	}
	c, _ = scripted(t, answer(502, "Bad gateway\nmore", "Content-Type", "text/plain"), lost, lost, lost)
	if _, err := c.Ready(context.Background()); err == nil || !strings.Contains(err.Error(), "Bad gateway") {
		t.Errorf("a proxy's error: %v", err)
	}
	for _, server := range []string{"ftp://x", "http://", "://", "http://a b"} {
		if _, err := client.New(client.Options{Server: server}); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%q: %v", server, err)
		}
	}
	if _, err := client.New(client.Options{Pin: "12"}); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("a bad pin: %v", err)
	}
}

func TestTokensDoNotFollowRedirects(t *testing.T) {
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("somebody else was asked: %v", r.Header)
	}))
	defer thief.Close()
	server := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	c, err := client.New(client.Options{Server: server.URL, Token: "secret", Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Me(context.Background()); err == nil || !strings.Contains(err.Error(), "redirects") {
		t.Errorf("got %v", err)
	}
}

func TestPins(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"id":"token_1"}`) }))
	defer server.Close()
	sum := sha256.Sum256(server.Certificate().Raw)
	right, wrong := hex.EncodeToString(sum[:]), strings.Repeat("0", 64)
	for pin, ok := range map[string]bool{right: true, "SHA256:" + strings.ToUpper(right): true, wrong: false, "": false} {
		c, err := client.New(client.Options{Server: server.URL, Pin: pin, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Me(context.Background()); (err == nil) != ok {
			t.Errorf("pin %q: %v", pin, err)
		}
	}
}

// FuzzStream feeds the reader of streams with whatever comes.
func FuzzStream(f *testing.F) {
	f.Add("event: node\nid: 1\ndata: {}\n\n: hello\n\nevent: resync\ndata: {}\n\n")
	f.Add("data: a\r\ndata: b\r\n\r\n")
	f.Add("retry: 10\nid\n\ndata")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := client.New(client.Options{Transport: &script{answers: []func() (*http.Response, error){answer(200, text, "Content-Type", "text/event-stream")}}})
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.Stream(context.Background(), client.StreamOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for {
			e, err := s.Next()
			if err != nil {
				return
			}
			if strings.ContainsAny(e.ID+e.Kind, "\n") {
				t.Errorf("a line break in %+v", e)
			}
		}
	})
}

func TestStreamReadsEvents(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	text := "retry: 2000\nid: 0\n\n: still here\n\nevent: node\nid: 7\ndata: {\"a\":1}\n\ndata: one\ndata: two\n\ndata: " + long + "\n\ndata: cut off"
	c, _ := scripted(t, answer(200, text, "Content-Type", "text/event-stream"))
	s, err := c.Stream(context.Background(), client.StreamOptions{Topics: []string{"nodes"}, LastID: "5"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []client.StreamEvent{{ID: "7", Kind: "node", Data: []byte(`{"a":1}`)}, {ID: "7", Kind: "message", Data: []byte("one\ntwo")}, {ID: "7", Kind: "message", Data: []byte(long)}} {
		got, err := s.Next()
		if err != nil || got.ID != want.ID || got.Kind != want.Kind || string(got.Data) != string(want.Data) {
			t.Errorf("%+v %v", got, err)
		}
	}
	if _, err := s.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("an event that was cut off: %v", err)
	}
	c, _ = scripted(t, answer(200, "data: "+strings.Repeat("x", 5<<20), "Content-Type", "text/event-stream"))
	if s, err = c.Stream(context.Background(), client.StreamOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("an endless event: %v", err)
	}
}
