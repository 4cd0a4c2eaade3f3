// Package tcp gives the check kind "tcp": it connects to a port, with TLS if wanted, says something and looks at the answer.
package tcp

import (
	"fmt"

	"muster"
	"muster/internal/check"
)

// Kind is the driver. It is safe for concurrent use.
type Kind struct{}

// New gives the kind.
func New() *Kind { return &Kind{} }

// Name is "tcp".
func (k *Kind) Name() string { return "tcp" }

// Parse reads the fields; the error is a *check.ConfigError.
func (k *Kind) Parse(config []byte) (check.Probe, error) {
	return nil, fmt.Errorf("tcp: parse: %w", muster.ErrUnavailable)
}
