package notifytest

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Request is what a receiver got.
type Request struct {
	Method, Path, Query string
	Header              http.Header
	Body                []byte
}

// Receiver is an HTTP server on the loopback that keeps what it gets and behaves as it is told.
type Receiver struct {
	URL    string // "http://127.0.0.1:40123"
	server *httptest.Server
	mu     sync.Mutex
	got    []Request
	behave Behaviour
}

// Behaviour answers a request. n is 1 for the first.
type Behaviour func(w http.ResponseWriter, r *http.Request, n int)

// NewReceiver starts a receiver that ends with the test.
func NewReceiver(t testing.TB, b Behaviour) *Receiver {
	r := &Receiver{behave: b}
	r.server = httptest.NewServer(http.HandlerFunc(r.serve))
	r.URL = r.server.URL
	t.Cleanup(r.close)
	return r
}

// NewTLSReceiver starts one whose certificate only its own Certificate proves.
func NewTLSReceiver(t testing.TB, b Behaviour) *Receiver {
	r := &Receiver{behave: b}
	r.server = httptest.NewUnstartedServer(http.HandlerFunc(r.serve))
	r.server.Config.ErrorLog = quiet()
	r.server.StartTLS()
	r.URL = r.server.URL
	t.Cleanup(r.close)
	return r
}

func (r *Receiver) close() {
	r.server.CloseClientConnections() // what hangs must not keep the test
	r.server.Close()
}

// Port gives the number of its port.
func (r *Receiver) Port() uint16 {
	u, err := url.Parse(r.URL)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseUint(u.Port(), 10, 16)
	return uint16(n)
}

func (r *Receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.got = append(r.got, Request{Method: req.Method, Path: req.URL.Path, Query: req.URL.RawQuery, Header: req.Header.Clone(), Body: body})
	n, b := len(r.got), r.behave
	r.mu.Unlock()
	req.Body = io.NopCloser(strings.NewReader(string(body)))
	b(w, req, n)
}

// Got gives what came so far.
func (r *Receiver) Got() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Request(nil), r.got...)
}

// Take answers 200 with the body.
func Take(body string) Behaviour {
	return func(w http.ResponseWriter, _ *http.Request, _ int) { io.WriteString(w, body) }
}

// Refuse answers with the status and headers, keys and values in turn.
func Refuse(status int, headers ...string) Behaviour {
	return func(w http.ResponseWriter, _ *http.Request, _ int) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, "that is %d", status)
	}
}

// Flap behaves as the first does for so many requests, then as the second.
func Flap(times int, first, then Behaviour) Behaviour {
	return func(w http.ResponseWriter, r *http.Request, n int) {
		if n <= times {
			first(w, r, n)
			return
		}
		then(w, r, n)
	}
}

// Hang answers nothing until the other side leaves.
func Hang(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() }

// Trickle begins a good answer and never ends it, a byte at a time.
func Trickle(w http.ResponseWriter, r *http.Request, _ int) {
	w.WriteHeader(http.StatusOK)
	for r.Context().Err() == nil {
		io.WriteString(w, " ")
		w.(http.Flusher).Flush()
		time.Sleep(10 * time.Millisecond)
	}
}

// BreakOff promises more than it sends and closes the connection.
func BreakOff(w http.ResponseWriter, _ *http.Request, _ int) {
	w.Header().Set("Content-Length", "1000")
	io.WriteString(w, "half")
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// HangUp closes the connection without a word.
func HangUp(http.ResponseWriter, *http.Request, int) { panic(http.ErrAbortHandler) }

// Endless answers with the status and the body, then spaces for ever.
func Endless(status int, body string) Behaviour {
	return func(w http.ResponseWriter, r *http.Request, _ int) {
		w.WriteHeader(status)
		io.WriteString(w, body)
		blank := strings.Repeat(" ", 32<<10)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, blank); err != nil {
				return
			}
		}
	}
}

// Flood answers with megabytes of headers.
func Flood(w http.ResponseWriter, _ *http.Request, _ int) {
	for i := range 2000 {
		w.Header().Set("X-Flood-"+strconv.Itoa(i), strings.Repeat("x", 1000))
	}
	w.WriteHeader(http.StatusOK)
}

// Bomb answers with 256 MiB of zeros, packed small.
func Bomb(status int) Behaviour {
	return func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(status)
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
		zeros := make([]byte, 1<<20)
		for range 256 {
			if _, err := z.Write(zeros); err != nil {
				return
			}
		}
		z.Close()
	}
}

// Echo answers with the status and everything it was sent.
func Echo(status int) Behaviour {
	return func(w http.ResponseWriter, r *http.Request, _ int) {
		w.WriteHeader(status)
		fmt.Fprintln(w, r.URL.String(), r.Host, r.Header.Get("Authorization"))
		io.Copy(w, r.Body)
	}
}
