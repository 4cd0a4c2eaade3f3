// Package store gives the memory of the system: it keeps accounts, people, tokens, enrolments, nodes,
// events, sessions and the shards' partitions over a small engine contract that an embedded and a
// distributed database both fulfil. Every change is a compare-and-set on a revision; a change whose
// outcome is unknown is looked up by its own id before anybody is told.
package store

import (
	"log/slog"
	"time"

	"muster/internal/telemetry"
)

// Options are the store's settings; the zero value is good.
type Options struct {
	Now       func() time.Time // the clock; time.Now when nil
	EventTTL  time.Duration    // how long events are kept; 400 days when zero
	Logger    *slog.Logger     // discarded when nil
	Telemetry *telemetry.Set   // may be nil
}
