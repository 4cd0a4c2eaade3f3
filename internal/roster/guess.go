package roster

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"muster"
	"muster/internal/check"
)

// maxGuess is how long a text may be that somebody types.
const maxGuess = 2000

// Guess makes a check of what somebody typed: a URL or a host with a path is watched by http, host:port by tcp (80
// and 443 by http), a host or an address by ping. It has Kind, Config and Enabled; Create does the rest.
// The error wraps ErrInvalid and says what is missing.
func Guess(text string) (*muster.Check, error) {
	c, why := guess(strings.TrimSpace(text))
	if why != "" {
		return nil, fmt.Errorf("roster: guess: %w: %s", muster.ErrInvalid, why)
	}
	c.Enabled = true
	return c, nil
}

func guess(s string) (c *muster.Check, why string) {
	const example = `type a URL, host:port or a host name`
	switch {
	case s == "":
		return nil, "nothing was typed: " + example
	case len(s) > maxGuess:
		return nil, fmt.Sprintf("more than %d bytes: %s", maxGuess, example)
	case strings.ToValidUTF8(s, "") != s || !plain(s) || strings.ContainsAny(s, " \t\"'<>\\^`{|}"):
		return nil, "spaces, quotes and control characters can't stand in a target: " + example
	}
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		return guessScheme(strings.ToLower(scheme), rest, s)
	}
	if _, err := netip.ParsePrefix(s); err == nil {
		return nil, "a check looks at one address, not at a network"
	}
	if strings.ContainsAny(s, "/?#") {
		return guessURL("https://" + s)
	}
	if strings.Contains(s, "@") {
		return nil, "an address of mail can't be checked: " + example
	}
	return guessHost(s)
}

func guessScheme(scheme, rest, whole string) (*muster.Check, string) {
	switch scheme {
	case "http", "https":
		return guessURL(scheme + whole[strings.Index(whole, "://"):])
	case "tcp":
		host, port, why := splitPort(strings.TrimSuffix(rest, "/"))
		if why != "" {
			return nil, why
		}
		return tcpCheck(host, port), ""
	case "ping", "icmp":
		host := unbracket(strings.TrimSuffix(rest, "/"))
		if why := check.HostFault(host); why != "" {
			return nil, "the host " + why
		}
		return made("ping", map[string]any{"host": host}), ""
	}
	return nil, fmt.Sprintf("no kind of check is known for %.20s://", scheme)
}

func guessURL(s string) (*muster.Check, string) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, "the URL can't be read"
	}
	if why := check.HostFault(u.Hostname()); why != "" {
		return nil, "the host of the URL " + why
	}
	if port := u.Port(); port != "" {
		if _, why := portOf(port); why != "" {
			return nil, why
		}
	}
	return made("http", map[string]any{"url": s}), ""
}

func guessHost(s string) (*muster.Check, string) {
	bare := unbracket(s)
	if _, err := netip.ParseAddr(bare); err == nil {
		return made("ping", map[string]any{"host": bare}), ""
	}
	if strings.Contains(s, ":") {
		host, port, why := splitPort(s)
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
	if why := hostFault(s); why != "" {
		return nil, "the host " + why
	}
	return made("ping", map[string]any{"host": s}), ""
}

// splitPort takes host:port apart.
func splitPort(s string) (host string, port int, why string) {
	host, text, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, "the port is missing or can't be read; an IPv6 address with a port stands in brackets: [2001:db8::1]:443"
	}
	if why := hostFault(host); why != "" {
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

// hostFault says what is wrong with a host; numbers alone are none.
func hostFault(host string) string {
	if why := check.HostFault(host); why != "" {
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
	return &muster.Check{Kind: kind, Config: check.Normal(config)}
}

// FirstName is the name of the check that exists from the start.
const FirstName = "Muster itself"

// EnsureFirst makes the first check of an account, of this server itself at that URL ("http://127.0.0.1:8080"), unless
// the account has checks or had this one: who deletes it is not given it again.
func (r *Roster) EnsureFirst(ctx context.Context, account muster.AccountID, at string) error {
	if len(r.byName(account)) > 0 {
		return nil
	}
	id := firstID(account)
	rows, _, err := r.store.Rows(ctx, account, textStream(id), "", 1)
	if err != nil {
		return fmt.Errorf("roster: first check: %w", err)
	}
	if len(rows) > 0 {
		return nil // it ran once
	}
	target := strings.TrimSuffix(at, "/") + "/healthz"
	config := map[string]any{"url": target}
	if strings.HasPrefix(target, "https:") {
		config["tls_skip_verify"] = true // the certificate is made for the names that others use
	}
	first := made("http", config)
	first.Name, first.Enabled = FirstName, true
	_, err = r.Create(ctx, Edit{Account: account, ID: id, Actor: actorServer}, first)
	if err != nil {
		return fmt.Errorf("roster: first check: %w", err)
	}
	return nil
}

// firstID gives the id that an account's first check has, so that it is known again.
func firstID(account muster.AccountID) muster.CheckID {
	sum := sha256.Sum256(append([]byte("muster first check 1\x00"), account[:]...))
	raw := muster.NodeID(sum[:16])
	copy(raw[:6], account[:6]) // ids sort by their making
	binary.BigEndian.PutUint16(raw[6:], binary.BigEndian.Uint16(raw[6:])&0x0fff|0x8000)
	raw[8] = raw[8]&0x3f | 0x80
	return muster.CheckOf(raw)
}
