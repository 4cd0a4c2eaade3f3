// Package all gives the check kinds there are: a driver is one directory and one line here.
package all

import (
	"muster/internal/check"
	"muster/internal/check/dns"
	"muster/internal/check/http"
	"muster/internal/check/ping"
	"muster/internal/check/tcp"
)

// Kinds gives every kind by its name. The map is the caller's own.
func Kinds() map[string]check.Kind {
	kinds := map[string]check.Kind{}
	for _, kind := range []check.Kind{
		dns.New(dns.Options{}),
		http.New(),
		ping.New(ping.Options{}),
		tcp.New(),
	} {
		kinds[kind.Name()] = kind
	}
	return kinds
}
