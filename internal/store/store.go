// Package store gives the memory of the system: it keeps accounts, people, tokens, enrolments, nodes,
// checks, alarms, channels, suppressions, events, sessions and the shards' partitions over a small engine contract that an embedded and a
// distributed database both fulfil. Every change is a compare-and-set on a revision; a change whose
// outcome is unknown is looked up by its own id before anybody is told.
package store

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"muster"
	"muster/internal/telemetry"
)

// Options are the store's settings; the zero value is good.
type Options struct {
	Now       func() time.Time // the clock; time.Now when nil
	EventTTL  time.Duration    // how long events are kept; 400 days when zero
	ClosedTTL time.Duration    // how long a shard's closed day is kept; 30 days when zero
	Logger    *slog.Logger     // discarded when nil
	Telemetry *telemetry.Set   // may be nil
}

// Defaults of Options.
const (
	defaultEventTTL  = 400 * 24 * time.Hour
	defaultClosedTTL = 30 * 24 * time.Hour
)

// Store keeps the nouns. Its getters give fresh copies that belong to the caller; errors wrap a kind of package muster.
type Store struct {
	engine  Engine
	options Options
	counts  counts
	turns   turns

	accounts    collection[muster.Account]
	users       collection[muster.User]
	tokens      collection[muster.Token]
	enrollments collection[muster.Enrollment]
	nodes       collection[muster.Node]

	checks       collection[muster.Check]
	alarms       collection[muster.Alarm]
	channels     collection[muster.Channel]
	suppressions collection[muster.Suppression]

	claimsOf map[string]func(Key, []byte) ([]Key, error) // by kind: the unique names an object's body lays claim to
}

type counts struct {
	swaps, lost, unknown *telemetry.Counter
}

// New makes a store over an engine, which it closes with itself.
func New(engine Engine, o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.EventTTL == 0 {
		o.EventTTL = defaultEventTTL
	}
	if o.ClosedTTL == 0 {
		o.ClosedTTL = defaultClosedTTL
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{engine: engine, options: o, turns: newTurns(), claimsOf: map[string]func(Key, []byte) ([]Key, error){}}
	s.counts = counts{
		swaps:   o.Telemetry.Counter("muster_store_changes_total"),
		lost:    o.Telemetry.Counter("muster_store_changes_lost_total"),
		unknown: o.Telemetry.Counter("muster_store_unknown_outcomes_total"),
	}
	s.accounts = bind(s, accountForm())
	s.users = bind(s, userForm())
	s.tokens = bind(s, tokenForm())
	s.enrollments = bind(s, enrollmentForm())
	s.nodes = bind(s, nodeForm())
	s.checks = bind(s, checkForm())
	s.alarms = bind(s, alarmForm())
	s.channels = bind(s, channelForm())
	s.suppressions = bind(s, suppressionForm())
	return s
}

// Close closes the engine.
func (s *Store) Close() error { return s.engine.Close() }

// now is the clock cut to what bodies keep, so that a noun reads back as it was written.
func (s *Store) now() time.Time { return s.options.Now().UTC().Truncate(time.Millisecond) }

// Limits of what is kept.
const (
	maxID   = 512
	maxBody = 1 << 20
	maxName = 200
)

func checkKey(key Key) error {
	if key.Kind == "" || len(key.Kind) > maxID || key.ID == "" || len(key.ID) > maxID || strings.ContainsRune(key.Kind+key.ID, 0) {
		return fmt.Errorf("%w: a kind and an id of 1 to %d bytes without zero bytes are needed", muster.ErrInvalid, maxID)
	}
	return nil
}

// checkName checks what people read and look for.
func checkName(what, name string) error {
	if strings.TrimSpace(name) != name || name == "" || len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("%w: a %s's name is 1 to %d bytes without control characters and blank ends", muster.ErrInvalid, what, maxName)
	}
	return nil
}

// fold makes names that people take for the same equal.
func fold(name string) string { return strings.ToLower(name) }

// pause waits before another try, longer each time and never in step with others; false when ctx ended.
func pause(ctx context.Context, try int) bool {
	wait := min(5*time.Millisecond<<min(try, 8), time.Second)
	timer := time.NewTimer(jitter(wait))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
