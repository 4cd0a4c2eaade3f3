// Package dns gives the check kind "dns": it asks a name server and looks at the answer.
package dns

import (
	"fmt"

	"muster"
	"muster/internal/check"
)

// Kind is the driver. It is safe for concurrent use.
type Kind struct{}

// New gives the kind.
func New() *Kind { return &Kind{} }

// Name is "dns".
func (k *Kind) Name() string { return "dns" }

// Parse reads the fields; the error is a *check.ConfigError.
func (k *Kind) Parse(config []byte) (check.Probe, error) {
	return nil, fmt.Errorf("dns: parse: %w", muster.ErrUnavailable)
}
