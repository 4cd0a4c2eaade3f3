// Package outbound gives the way out to services that people named: one HTTP request at a time, bounded
// in time and size, that follows no redirect, never reaches an address that is closed to it nor this
// server itself, and whose errors are words for people without the request's address in them: it may be a secret.
package outbound

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"muster"
	"muster/internal/check"
)

// Options say where requests may go and how long they may take. The zero Options let them go everywhere.
type Options struct {
	// Env resolves, allows and connects; see check.Env.
	Env check.Env
	// Self says whether a host (a name, or a numeric address after resolving) and port are this server's own. Nil: none is.
	Self func(host string, port uint16) bool
	// Timeout is for a whole request, from resolving to the end of the answer; 15 s when zero.
	Timeout time.Duration
	// RootCAs are trusted instead of the system's; nil for the system's.
	RootCAs *x509.CertPool
	// Agent is the User-Agent; "Muster" when empty.
	Agent string
	// Now is the clock for dates in Retry-After; time.Now when nil.
	Now func() time.Time
}

// Validate fills in the defaults; the error wraps muster.ErrInvalid.
func (o *Options) Validate() error {
	if o.Timeout == 0 {
		o.Timeout = 15 * time.Second
	}
	if o.Agent == "" {
		o.Agent = "Muster"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Timeout < 0 || o.Timeout > 10*time.Minute {
		return fmt.Errorf("outbound: options: %w: the timeout must be between 0 and 10 minutes", muster.ErrInvalid)
	}
	return nil
}

// Bounds of an answer, in bytes.
const (
	maxBody   = 64 << 10
	maxHeader = 64 << 10
)

// Client makes requests. It is safe for concurrent use.
type Client struct {
	o    Options
	http *http.Client
}

// New makes a client; the error wraps muster.ErrInvalid.
func New(o Options) (*Client, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c := &Client{o: o}
	c.http = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            c.Dial,
			TLSClientConfig:        &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // a small answer can be made to unfold into a huge one
			MaxResponseHeaderBytes: maxHeader,
			MaxIdleConnsPerHost:    4,
			MaxIdleConns:           64,
			IdleConnTimeout:        20 * time.Second,
		},
	}
	return c, nil
}

// Error is why there is no answer. Its text is for people.
type Error struct {
	Text   string
	Denied bool // the address may not be reached from here: trying again is useless
}

// Error gives the words.
func (e *Error) Error() string { return e.Text }

// Unwrap gives muster.ErrDenied or muster.ErrUnavailable.
func (e *Error) Unwrap() error {
	if e.Denied {
		return muster.ErrDenied
	}
	return muster.ErrUnavailable
}

const selfWords = "this is the address of Muster itself; it would talk to itself"

// Dial connects to a host and port where that is allowed. The error is an *Error.
func (c *Client) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, text, err := net.SplitHostPort(address)
	port, bad := strconv.ParseUint(text, 10, 16)
	if err != nil || bad != nil {
		return nil, &Error{Text: "the address has no port", Denied: true}
	}
	if c.own(host, uint16(port)) {
		return nil, &Error{Text: selfWords, Denied: true}
	}
	env := c.o.Env
	dial := env.Dial
	env.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, _, err := net.SplitHostPort(address); err == nil && c.own(host, uint16(port)) {
			return nil, &check.Failure{Class: check.ClassDenied, Text: selfWords}
		}
		if dial != nil {
			return dial(ctx, network, address)
		}
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
	link, err := env.Connect(ctx, network, check.FamilyAny, host, uint16(port))
	if err != nil {
		return nil, words(ctx, err)
	}
	return link.Conn, nil
}

func (c *Client) own(host string, port uint16) bool {
	if c.o.Self == nil {
		return false
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		host = addr.Unmap().String()
	}
	return c.o.Self(strings.TrimSuffix(strings.ToLower(host), "."), port)
}

// URLFault says what is wrong with an address that people typed, "" for nothing: it must be http or https
// with a host, without user, and not this server's own.
func (c *Client) URLFault(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "must be an address that begins with http:// or https://"
	case u.User != nil:
		return "must not hold a user name or password: it is shown to everybody"
	case u.Fragment != "" || strings.HasSuffix(text, "#"):
		return "must not hold a #: what follows it is never sent"
	}
	if fault := check.HostFault(u.Hostname()); fault != "" {
		return "has a host that is not one: it " + fault
	}
	port := uint64(443)
	if u.Scheme == "http" {
		port = 80
	}
	if p := u.Port(); p != "" || strings.HasSuffix(u.Host, ":") {
		if port, err = strconv.ParseUint(p, 10, 16); err != nil || port == 0 {
			return "has a port that is not one: it must be 1 to 65535"
		}
	}
	if c.own(u.Hostname(), uint16(port)) {
		return "must not be the address of Muster itself: it would talk to itself"
	}
	return ""
}

// Answer is what came back.
type Answer struct {
	Status     int
	Body       []byte        // its first 64 KiB
	RetryAfter time.Duration // of Retry-After; 0 when the answer has none
	location   string
}

// OK says whether the status is one of success.
func (a *Answer) OK() bool { return a.Status >= 200 && a.Status < 300 }

// Post sends the body and reads the answer, whatever its status. The error is an *Error: there was no answer, or
// it broke off. A body that does not end within 64 KiB is cut, which is no error.
func (c *Client) Post(ctx context.Context, target string, header http.Header, body []byte) (*Answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.o.Timeout, &Error{Text: fmt.Sprintf("no complete answer within %s", c.o.Timeout)})
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return nil, &Error{Text: "the address cannot be used", Denied: true}
	}
	for key, values := range header {
		req.Header[key] = values
	}
	req.Header.Set("User-Agent", c.o.Agent)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, words(ctx, err)
	}
	defer res.Body.Close()
	a := &Answer{Status: res.StatusCode, RetryAfter: RetryAfter(res.Header.Get("Retry-After"), c.o.Now()), location: res.Header.Get("Location")}
	if a.Body, err = io.ReadAll(io.LimitReader(res.Body, maxBody)); err != nil {
		return nil, words(ctx, fmt.Errorf("the answer (%d) broke off: %w", res.StatusCode, err))
	}
	return a, nil
}

// words makes an *Error of an error of the network: what lies beneath the address that net/http puts around it.
func words(ctx context.Context, err error) *Error {
	var mine *Error
	var failure *check.Failure
	var located *url.Error
	var timeout net.Error
	cause := context.Cause(ctx)
	switch {
	case errors.As(err, &mine):
		return mine
	case cause != nil && errors.As(cause, &mine):
		return mine
	case cause != nil:
		return &Error{Text: "it was stopped before an answer came"}
	case errors.As(err, &failure):
		return &Error{Text: failure.Text, Denied: failure.Class == check.ClassDenied}
	case errors.As(err, &located):
		err = located.Err
	}
	if errors.As(err, &timeout) && timeout.Timeout() {
		return &Error{Text: "no answer came in time"}
	}
	if errors.Is(err, io.EOF) {
		return &Error{Text: "the connection was closed before an answer came"}
	}
	return &Error{Text: oneLine([]byte(err.Error()), 300)}
}

// Words says for people what the receiver answered: the status, where it redirects to, the beginning of the body.
// Every occurrence of the secrets is struck out.
func (a *Answer) Words(secrets ...string) string {
	text := "the receiver answered " + strconv.Itoa(a.Status)
	if name := http.StatusText(a.Status); name != "" {
		text += " " + name
	}
	if a.Status >= 300 && a.Status < 400 && a.location != "" {
		text += ", a redirect, which is not followed"
		if u, err := url.Parse(a.location); err == nil && u.Host != "" {
			text += ": it leads to " + oneLine([]byte(u.Host), 100)
		}
	} else if body := oneLine(a.Body, 200); body != "" {
		text += ": " + body
	}
	return Strike(text, secrets...)
}

// Strike replaces every occurrence of the secrets in a text.
func Strike(text string, secrets ...string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "***")
		}
	}
	return text
}

// oneLine makes text of strangers fit for a line: printable, without breaks, cut.
func oneLine(b []byte, most int) string {
	cut := len(b) > 4*most
	text := strings.ToValidUTF8(string(b[:min(len(b), 4*most)]), "")
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f || !strconv.IsPrint(r) }), " ")
	if len(text) > most {
		text, cut = strings.ToValidUTF8(text[:most], ""), true
	}
	if cut {
		text += " ..."
	}
	return text
}
