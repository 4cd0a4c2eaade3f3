// Package client gives a Go client of Muster's REST API: typed calls, lists that page themselves,
// retries that never do a thing twice, and a reader of the live stream.
package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"muster"
	"muster/api"
)

// DefaultServer is where a server listens when nobody said otherwise.
const DefaultServer = "http://127.0.0.1:8080"

// Options say which server to call and how.
type Options struct {
	Server    string        // its address, "https://muster.example.com"; DefaultServer when empty
	Token     string        // the API token; without it only what is public can be read
	Pin       string        // SHA-256 in hex of the server's certificate or of the authority that signed it; empty trusts the system's roots
	UserAgent string        // what the program calls itself; "muster-client" when empty
	Retries   int           // how often a call is tried again when that is safe; 3 when 0, none when negative
	Timeout   time.Duration // for one try of a call, not for streams; 30 s when 0
	// Transport replaces the connection to the server, in tests; Pin is not looked at then.
	Transport http.RoundTripper
}

// Client calls one server. It is safe for use by many goroutines.
type Client struct {
	base    *url.URL
	options Options
	http    *http.Client
}

// New checks the options and makes a client; it does not connect. The error wraps muster.ErrInvalid.
func New(o Options) (*Client, error) {
	if o.Server == "" {
		o.Server = DefaultServer
	}
	if !strings.Contains(o.Server, "://") {
		o.Server = "http://" + o.Server
	}
	base, err := url.Parse(strings.TrimRight(o.Server, "/"))
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, fmt.Errorf("client: new: %w: %q is not a server's address; write it like https://muster.example.com", muster.ErrInvalid, o.Server)
	}
	if o.UserAgent == "" {
		o.UserAgent = "muster-client"
	}
	if o.Retries == 0 {
		o.Retries = 3
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	transport := o.Transport
	if transport == nil {
		if transport, err = newTransport(o.Pin); err != nil {
			return nil, err
		}
	}
	return &Client{base: base, options: o, http: &http.Client{Transport: transport, CheckRedirect: sameHost}}, nil
}

// Server gives the address the client calls.
func (c *Client) Server() string { return c.base.String() }

// sameHost keeps the token from following a redirect to somebody else.
func sameHost(next *http.Request, via []*http.Request) error {
	if len(via) > 5 {
		return errors.New("client: too many redirects")
	}
	if next.URL.Host != via[0].URL.Host || next.URL.Scheme != via[0].URL.Scheme {
		return fmt.Errorf("client: the server redirects to %s://%s; give that address as the server if it is right", next.URL.Scheme, next.URL.Host)
	}
	return nil
}

// newTransport makes the connection pool, pinned to one certificate when a pin is given.
func newTransport(pin string) (*http.Transport, error) {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
	if pin == "" {
		return t, nil
	}
	want, err := hex.DecodeString(strings.ReplaceAll(strings.TrimPrefix(strings.ToLower(pin), "sha256:"), ":", ""))
	if err != nil || len(want) != sha256.Size {
		return nil, fmt.Errorf("client: new: %w: the pin must be the SHA-256 of the server's certificate in hex", muster.ErrInvalid)
	}
	t.TLSClientConfig = &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // the pin is the whole check: the certificate signed itself
		VerifyConnection: func(state tls.ConnectionState) error {
			return checkPin(state.PeerCertificates, want)
		},
	}
	return t, nil
}

// checkPin wants the pinned certificate in the chain: as the server's own, or as the authority that signed it.
func checkPin(chain []*x509.Certificate, want []byte) error {
	for i, cert := range chain {
		sum := sha256.Sum256(cert.Raw)
		if subtle.ConstantTimeCompare(sum[:], want) != 1 {
			continue
		}
		if i == 0 {
			return nil
		}
		roots := x509.NewCertPool()
		roots.AddCert(cert)
		_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots})
		return err
	}
	return errors.New("the server's certificate is not the pinned one")
}

// Error is an answer that is not a success. It wraps the muster error kind that its status stands for,
// and holds the problem document.
type Error struct {
	Problem    api.Problem
	RetryAfter time.Duration // how long the server asks to wait; 0 when it does not
}

// Error gives the problem in one line.
func (e *Error) Error() string { return e.Problem.Error() }

// Unwrap gives the error kind.
func (e *Error) Unwrap() error {
	switch e.Problem.Status {
	case http.StatusNotFound:
		return muster.ErrNotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return muster.ErrDenied
	case http.StatusConflict, http.StatusPreconditionFailed:
		return muster.ErrConflict
	case http.StatusTooManyRequests:
		return muster.ErrLimited
	}
	if e.Problem.Status >= 500 {
		return muster.ErrUnavailable
	}
	return muster.ErrInvalid
}

// answer reads a response: the body into out when it is a success, an *Error otherwise.
func answer(resp *http.Response, out any) error {
	defer func() {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
		_ = resp.Body.Close()
	}()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return readError(resp)
	}
	if out == nil || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("client: read the answer: %w: %w", muster.ErrUnavailable, err)
	}
	return nil
}

func readError(resp *http.Response) error {
	e := &Error{}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
		_ = json.Unmarshal(body, &e.Problem)
	}
	e.Problem.Status = resp.StatusCode
	if e.Problem.Title == "" {
		e.Problem.Title = fmt.Sprintf("the server answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
		if line, _, _ := bytes.Cut(bytes.TrimSpace(body), []byte("\n")); len(line) > 0 && len(line) < 200 && line[0] != '<' {
			e.Problem.Detail = e.Problem.Title + ": " + string(line)
		}
	}
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"))
	return e
}

// request makes one HTTP request with the habits of every call.
func (c *Client) request(ctx context.Context, method, path string, query url.Values, body []byte) (*http.Request, error) {
	u := *c.base
	u.Path = strings.TrimRight(u.Path, "/") + path
	u.RawQuery = query.Encode()
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), reader)
	if err != nil {
		return nil, fmt.Errorf("client: %s %s: %w: %w", method, path, muster.ErrInvalid, err)
	}
	req.Header.Set("User-Agent", c.options.UserAgent)
	if c.options.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.options.Token)
	}
	return req, nil
}
