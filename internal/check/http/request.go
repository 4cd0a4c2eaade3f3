package http

import (
	"encoding/base64"
	"maps"
	nethttp "net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// hop is one request on the way: the first, or one that a redirect leads to. It does not change, so
// that the first is made once for all runs.
type hop struct {
	url    *url.URL
	text   string // the URL
	method string
	host   string // to be resolved
	port   uint16
	bytes  []byte           // what is sent
	asked  *nethttp.Request // only its method is looked at, by whoever reads the answer
}

// hop makes the request. What the configuration says beyond method and URL, secrets above all, is for its
// own origin: a request to another gets none of it but the headers that say what answer is liked.
func (p *probe) hop(u *url.URL, method string, own bool) *hop {
	port, _ := portOf(u) // looked at by parseURL
	h := &hop{url: u, text: u.String(), method: method, host: u.Hostname(), port: port, asked: &nethttp.Request{Method: method}}
	var b strings.Builder
	b.WriteString(method + " " + target(u) + " HTTP/1.1\r\n")
	sent := map[string]bool{}
	put := func(name, value string) {
		if key := strings.ToLower(name); !sent[key] {
			sent[key] = true
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	host := u.Host
	for _, name := range slices.Sorted(maps.Keys(p.Headers)) {
		if own && strings.EqualFold(name, "Host") {
			host = p.Headers[name]
		}
	}
	put("Host", host)
	for _, name := range slices.Sorted(maps.Keys(p.Headers)) {
		if own || harmless(name) {
			put(name, p.Headers[name])
		}
	}
	put("User-Agent", "Muster")
	put("Accept", "*/*")
	if own {
		p.authorize(put)
	}
	body := ""
	if own && (method == p.Method) {
		body = p.Body
	}
	if body != "" || method == "POST" || method == "PUT" || method == "PATCH" {
		put("Content-Length", strconv.Itoa(len(body)))
	}
	put("Connection", "close")
	b.WriteString("\r\n" + body)
	h.bytes = []byte(b.String())
	return h
}

func (p *probe) authorize(put func(name, value string)) {
	switch {
	case p.Bearer != "":
		put("Authorization", "Bearer "+p.Bearer)
	case p.Username != "" || p.Password != "":
		put("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(p.Username+":"+p.Password)))
	}
}

// harmless says whether a header may go to an origin that the configuration does not name.
func harmless(name string) bool {
	switch strings.ToLower(name) {
	case "accept", "accept-encoding", "accept-language", "cache-control", "user-agent":
		return true
	}
	return false
}

// target is what stands in the request line: the path and the query, without anything that would end the line.
func target(u *url.URL) string {
	path := u.EscapedPath()
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	if u.RawQuery != "" || u.ForceQuery {
		path += "?" + u.RawQuery
	}
	var b strings.Builder
	for _, c := range []byte(path) {
		if c > ' ' && c < 0x7f {
			b.WriteByte(c)
			continue
		}
		const digits = "0123456789ABCDEF"
		b.Write([]byte{'%', digits[c>>4], digits[c&15]})
	}
	return b.String()
}

// sameOrigin says whether both URLs have one scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	pa, _ := portOf(a)
	pb, _ := portOf(b)
	return a.Scheme == b.Scheme && a.Hostname() == b.Hostname() && pa == pb
}

// redirect finds where an answer leads: nil when it is the last. The error is a Failure of its class.
func (p *probe) redirect(from *hop, answer *nethttp.Response) (*hop, error) {
	if !p.FollowRedirects || p.status.has(answer.StatusCode) {
		return nil, nil
	}
	method := from.method
	switch answer.StatusCode {
	case 301, 302:
		if method == "POST" {
			method = "GET"
		}
	case 303:
		if method != "HEAD" {
			method = "GET"
		}
	case 307, 308:
	default:
		return nil, nil
	}
	where := answer.Header.Get("Location")
	if where == "" {
		return nil, nil // its status is judged
	}
	to, err := from.url.Parse(where)
	if err != nil {
		return nil, astray("the redirect to %q leads nowhere: it is not a URL", where)
	}
	to.User = nil
	next, fault := parseURL(to.String())
	if fault != "" {
		return nil, astray("the redirect to %q leads nowhere: it %s", where, fault)
	}
	own := sameOrigin(p.first.url, next)
	if !own && p.Body != "" && method == p.Method {
		return nil, astray("the redirect to %q would send the body to another host", where)
	}
	return p.hop(next, method, own), nil
}
