// Package guess gives a check of what somebody typed into a search box.
package guess

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"muster"
)

// maxText is how long a text may be that somebody types.
const maxText = 2000

// Check makes a check of what somebody typed: a URL or a host with a path is watched by http, host:port by tcp (80
// and 443 by http), a host or an address by ping. It has Kind, Config and Enabled.
// fault says what is wrong with the name or address of a host, "" for nothing. The error wraps ErrInvalid and
// says what is missing.
func Check(text string, fault func(host string) string) (*muster.Check, error) {
	c, why := guesser{fault}.guess(strings.TrimSpace(text))
	if why != "" {
		return nil, fmt.Errorf("guess: %w: %s", muster.ErrInvalid, why)
	}
	c.Enabled = true
	return c, nil
}

// guesser knows what a host is.
type guesser struct{ fault func(host string) string }

func (g guesser) guess(s string) (c *muster.Check, why string) {
	const example = `type a URL, host:port or a host name`
	switch {
	case s == "":
		return nil, "nothing was typed: " + example
	case len(s) > maxText:
		return nil, fmt.Sprintf("more than %d bytes: %s", maxText, example)
	case strings.ToValidUTF8(s, "") != s || strings.ContainsFunc(s, unicode.IsControl) || strings.ContainsAny(s, " \"<>\\`"):
		return nil, "spaces, quotes and control characters can't stand in a target: " + example
	}
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		return g.scheme(strings.ToLower(scheme), rest, s)
	}
	if _, err := netip.ParsePrefix(s); err == nil {
		return nil, "a check looks at one address, not at a network"
	}
	if strings.ContainsAny(s, "/?#") {
		return g.url("https://" + s)
	}
	if strings.Contains(s, "@") {
		return nil, "an address of mail can't be checked: " + example
	}
	return g.host(s)
}

func (g guesser) scheme(scheme, rest, whole string) (*muster.Check, string) {
	switch scheme {
	case "http", "https":
		return g.url(scheme + whole[strings.Index(whole, "://"):])
	case "tcp":
		host, port, why := g.split(strings.TrimSuffix(rest, "/"))
		if why != "" {
			return nil, why
		}
		return tcpCheck(host, port), ""
	case "ping", "icmp":
		host := unbracket(strings.TrimSuffix(rest, "/"))
		if why := g.fault(host); why != "" {
			return nil, "the host " + why
		}
		return made("ping", map[string]any{"host": host}), ""
	}
	return nil, fmt.Sprintf("no kind of check is known for %.20s://", scheme)
}

func (g guesser) url(s string) (*muster.Check, string) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, "the URL can't be read"
	}
	if why := g.fault(u.Hostname()); why != "" {
		return nil, "the host of the URL " + why
	}
	if port := u.Port(); port != "" {
		if _, why := portOf(port); why != "" {
			return nil, why
		}
	}
	return made("http", map[string]any{"url": s}), ""
}

func (g guesser) host(s string) (*muster.Check, string) {
	bare := unbracket(s)
	if _, err := netip.ParseAddr(bare); err == nil {
		return made("ping", map[string]any{"host": bare}), ""
	}
	if strings.Contains(s, ":") {
		host, port, why := g.split(s)
		if why != "" {
			return nil, why
		}
		switch port {
		case 80:
			return made("http", map[string]any{"url": "http://" + bracket(host) + "/"}), ""
		case 443:
			return made("http", map[string]any{"url": "https://" + bracket(host) + "/"}), ""
		}
		return tcpCheck(host, port), ""
	}
	if why := g.named(s); why != "" {
		return nil, "the host " + why
	}
	return made("ping", map[string]any{"host": s}), ""
}

// split takes host:port apart.
func (g guesser) split(s string) (host string, port int, why string) {
	host, text, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, "the port is missing or can't be read; an IPv6 address with a port stands in brackets: [2001:db8::1]:443"
	}
	if why := g.named(host); why != "" {
		return "", 0, "the host " + why
	}
	port, why = portOf(text)
	return host, port, why
}

func portOf(text string) (port int, why string) {
	port, err := strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 || text[0] == '+' {
		return 0, "the port must be a number from 1 to 65535"
	}
	return port, ""
}

// named says what is wrong with a host; numbers alone are none.
func (g guesser) named(host string) string {
	if why := g.fault(host); why != "" {
		return why
	}
	if _, err := netip.ParseAddr(host); err != nil && strings.Trim(host, "0123456789.") == "" {
		return "is neither a name nor an address"
	}
	return ""
}

func unbracket(s string) string {
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		return s[1 : len(s)-1]
	}
	return s
}

// bracket writes a host as it stands in a URL.
func bracket(host string) string {
	if strings.Contains(host, ":") {
		return "[" + strings.ReplaceAll(host, "%", "%25") + "]"
	}
	return host
}

func tcpCheck(host string, port int) *muster.Check {
	return made("tcp", map[string]any{"host": host, "port": port})
}

func made(kind string, config map[string]any) *muster.Check {
	b, _ := json.Marshal(config) // texts and numbers can't fail
	return &muster.Check{Kind: kind, Config: b}
}
