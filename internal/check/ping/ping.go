// Package ping gives the check kind "ping": it sends ICMP echo requests and counts the answers.
package ping

import (
	"fmt"

	"muster"
	"muster/internal/check"
)

// Options is what pings need of the world; the zero value is the machine itself.
type Options struct{}

// Kind is the driver. It is safe for concurrent use.
type Kind struct{}

// New gives the kind.
func New(options Options) *Kind { return &Kind{} }

// Name is "ping".
func (k *Kind) Name() string { return "ping" }

// Parse reads the fields; the error is a *check.ConfigError.
func (k *Kind) Parse(config []byte) (check.Probe, error) {
	return nil, fmt.Errorf("ping: parse: %w", muster.ErrUnavailable)
}
