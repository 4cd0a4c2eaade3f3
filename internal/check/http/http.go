// Package http gives the check kind "http": it asks a web server and looks at the answer, each time over
// a connection of its own. HTTP/1.1 is spoken straight over that connection rather than through
// net/http's Transport, whose pools and goroutines cost several times what a check does.
package http

import (
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/idna"

	"muster"
	"muster/internal/check"
)

// Bounds of what is sent and taken.
const (
	maxURL       = 2000
	maxHeaders   = 32
	maxHeader    = 4000     // bytes of one value
	maxSend      = 64 << 10 // bytes of the request's body
	maxHead      = 64 << 10 // bytes of an answer before its body, those that only announce it included
	maxBody      = 1 << 20  // bytes of an answer's body, packed and unpacked
	maxRedirects = 10
	maxShown     = 300 // bytes of the body that are shown when something was wrong
)

// Kind is the driver. It is safe for concurrent use.
type Kind struct{ metrics metrics }

// metrics are what a run measures.
type metrics struct {
	dns, connect, tls, firstByte, total *muster.Metric
	status, size, truncated             *muster.Metric
}

// New gives the kind.
func New() *Kind {
	return &Kind{metrics: metrics{
		dns:       check.Gauge("http.dns.duration", "s"),
		connect:   check.Gauge("http.connect.duration", "s"),
		tls:       check.Gauge("http.tls.duration", "s"),
		firstByte: check.Gauge("http.first_byte.duration", "s"),
		total:     check.Gauge("http.duration", "s"),
		status:    check.Gauge("http.response.status_code", "1"),
		size:      check.Gauge("http.response.body.size", "By"),
		truncated: check.Gauge("http.response.truncated", "1"),
	}}
}

// Name is "http".
func (k *Kind) Name() string { return "http" }

// config holds the fields in the order in which they are written.
type config struct {
	URL             string            `json:"url"`
	Method          string            `json:"method"`
	Headers         map[string]string `json:"headers"`
	Body            string            `json:"body,omitempty"`
	Username        string            `json:"username,omitempty"`
	Password        string            `json:"password,omitempty"`
	Bearer          string            `json:"bearer,omitempty"`
	ExpectStatus    string            `json:"expect_status"`
	BodyMatch       string            `json:"body_match"`
	Matches         map[string]string `json:"matches,omitempty"`
	MaxResponseTime string            `json:"max_response_time,omitempty"`
	FollowRedirects bool              `json:"follow_redirects"`
	TLSSkipVerify   bool              `json:"tls_skip_verify"`
	TLSServerName   string            `json:"tls_server_name,omitempty"`
	TLSCA           string            `json:"tls_ca,omitempty"`
	Family          string            `json:"family"`
}

// probe is a configuration that was found good.
type probe struct {
	config
	metrics   *metrics
	first     *hop
	status    ranges
	bodyMatch *check.Pattern
	matches   []*check.Pattern // sorted by name
	limit     time.Duration    // zero for none
	secure    check.Secure     // its Name is that of the configuration, often empty
}

// Config gives the fields, secrets included.
func (p *probe) Config() []byte { return check.Normal(&p.config) }

// Target is the URL.
func (p *probe) Target() string { return p.URL }

// Parse reads the fields; the error is a *check.ConfigError.
func (k *Kind) Parse(raw []byte) (check.Probe, error) {
	p := &probe{metrics: &k.metrics, config: config{Method: "GET", ExpectStatus: "200-299", FollowRedirects: true, Family: check.FamilyAny}}
	f := check.ReadFields(raw)
	f.Text("url", &p.URL, maxURL)
	f.Text("method", &p.Method, 20)
	f.Map("headers", &p.Headers, maxHeaders, maxHeader)
	f.Text("body", &p.Body, maxSend)
	f.Text("username", &p.Username, 500)
	f.Text("password", &p.Password, 500)
	f.Text("bearer", &p.Bearer, maxHeader)
	f.Text("expect_status", &p.ExpectStatus, 200)
	f.Pattern("body_match", &p.bodyMatch)
	f.Map("matches", &p.Matches, check.MaxGroups, check.MaxPattern)
	f.Duration("max_response_time", &p.limit, muster.MaxCheckTimeout)
	f.Bool("follow_redirects", &p.FollowRedirects)
	f.Bool("tls_skip_verify", &p.TLSSkipVerify)
	f.Text("tls_server_name", &p.TLSServerName, 300)
	f.Text("tls_ca", &p.TLSCA, check.MaxConfig)
	f.Choice("family", &p.Family, check.FamilyAny, check.Family4, check.Family6)
	p.readExpectations(f)
	p.readRequest(f)
	p.readTLS(f)
	if err := f.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *probe) readExpectations(f *check.Fields) {
	var fault string
	if p.status, fault = parseRanges(p.ExpectStatus); fault != "" {
		f.Fault("expect_status", "%s", fault)
	}
	p.ExpectStatus = p.status.String()
	if p.BodyMatch = p.bodyMatch.String(); p.bodyMatch != nil {
		if fault := p.bodyMatch.KeepGroups("http.match"); fault != "" {
			f.Fault("body_match", "%s", fault)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Matches)) {
		pattern, fault := check.NewPattern(p.Matches[name])
		if fault == "" {
			fault = check.MatchNameFault(name)
		}
		if fault == "" && p.bodyMatch.Keeps(name) {
			fault = "is also the name of a group in body_match"
		}
		if fault != "" {
			f.Fault("matches", "%q %s", name, fault)
			continue
		}
		pattern.KeepFirst("http.match", name)
		p.matches = append(p.matches, pattern)
	}
	if p.limit > 0 {
		p.MaxResponseTime = p.limit.String()
	}
}

func (p *probe) readRequest(f *check.Fields) {
	p.URL = strings.TrimSpace(p.URL)
	at, fault := parseURL(p.URL)
	if fault != "" {
		f.Fault("url", "%s", fault)
	}
	p.Method = strings.ToUpper(p.Method)
	if p.Method == "CONNECT" || !httpguts.ValidHeaderFieldName(p.Method) {
		f.Fault("method", "must be a method such as GET, HEAD or POST")
	}
	if p.Headers == nil {
		p.Headers = map[string]string{}
	}
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(p.Headers)) {
		if fault := headerFault(name, p.Headers[name], seen); fault != "" {
			f.Fault("headers", "%q %s", name, fault)
		}
	}
	switch {
	case p.Bearer != "" && p.Username+p.Password != "":
		f.Fault("bearer", "cannot stand beside username and password")
	case p.Bearer+p.Username+p.Password != "" && seen["authorization"]:
		f.Fault("headers", "must not have Authorization beside bearer, username or password")
	case strings.Contains(p.Username, ":"):
		f.Fault("username", "must not hold a colon")
	case !httpguts.ValidHeaderFieldValue(p.Bearer):
		f.Fault("bearer", "must not hold control characters")
	}
	if fault == "" {
		p.first = p.hop(at, p.Method, true)
	}
}

// headerFault says what is wrong with a header of the configuration.
func headerFault(name, value string, seen map[string]bool) string {
	key := strings.ToLower(name)
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return "is not the name of a header"
	case !httpguts.ValidHeaderFieldValue(value):
		return "must not hold control characters"
	case slices.Contains([]string{"connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"}, key):
		return "is set by the check itself"
	case key == "host" && !httpguts.ValidHostHeader(value):
		return "must be a host"
	case seen[key]:
		return "is there twice"
	}
	seen[key] = true
	return ""
}

func (p *probe) readTLS(f *check.Fields) {
	p.secure = check.Secure{Name: p.TLSServerName, SkipVerify: p.TLSSkipVerify, Protocols: []string{"http/1.1"}}
	if p.TLSServerName != "" {
		if fault := check.HostFault(p.TLSServerName); fault != "" {
			f.Fault("tls_server_name", "%s", fault)
		}
	}
	if p.TLSCA != "" {
		roots, fault := check.ParseRoots(p.TLSCA)
		if fault != "" {
			f.Fault("tls_ca", "%s", fault)
		}
		p.secure.Roots = roots
	}
}

// parseURL reads an absolute URL and says what is wrong with it.
func parseURL(text string) (u *url.URL, fault string) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, "is not a URL"
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, "must begin with http:// or https://"
	case u.User != nil:
		return nil, "must not hold a password: use username and password"
	case u.Opaque != "":
		return nil, "must have // after the scheme"
	}
	host, fault := hostOf(u.Hostname())
	if fault != "" {
		return nil, "has no good host: " + fault
	}
	if _, fault := portOf(u); fault != "" {
		return nil, fault
	}
	port := u.Port()
	if u.Host = host; strings.Contains(host, ":") {
		u.Host = "[" + host + "]"
	}
	if port != "" {
		u.Host += ":" + port
	}
	u.Fragment, u.RawFragment = "", ""
	return u, ""
}

// hostOf gives a host as it is looked up: in ASCII, in small letters.
func hostOf(host string) (ascii, fault string) {
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			return "", "an address with a zone means nothing to a web server"
		}
		return addr.String(), ""
	}
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii
	}
	host = strings.ToLower(host)
	return host, check.HostFault(host)
}

// portOf gives the port of a URL, that of its scheme when it names none.
func portOf(u *url.URL) (port uint16, fault string) {
	text := u.Port()
	switch {
	case text == "" && u.Scheme == "https":
		return 443, ""
	case text == "":
		return 80, ""
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, "must have a port from 1 to 65535"
	}
	return uint16(n), ""
}
