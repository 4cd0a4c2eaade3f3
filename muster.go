// Package muster gives the nouns of the system: accounts, people, nodes, metrics and frames, their
// ids, and the closed set of error kinds. Every other package speaks in these; this one imports none
// of them and nothing but the standard library.
package muster

import (
	"errors"
	"strings"
)

// The error kinds. Every error a room returns on purpose wraps exactly one of them, so that a caller
// (and, once, the HTTP layer) can decide what to do without reading text.
var (
	// ErrNotFound says that the thing named does not exist, or belongs to another account.
	ErrNotFound = errors.New("not found")
	// ErrInvalid says that the input can never be accepted as it is.
	ErrInvalid = errors.New("invalid")
	// ErrConflict says that somebody was faster, or that a unique name is taken.
	ErrConflict = errors.New("conflict")
	// ErrDenied says that the caller is unknown or may not do this.
	ErrDenied = errors.New("denied")
	// ErrLimited says that a limit was met; trying later, or less, may work.
	ErrLimited = errors.New("limited")
	// ErrUnavailable says that the outcome is unknown or the part is away; trying again is right.
	ErrUnavailable = errors.New("unavailable")
)

// Kind gives the error kind that err wraps; nil when it wraps none.
func Kind(err error) error {
	for _, kind := range []error{ErrNotFound, ErrInvalid, ErrConflict, ErrDenied, ErrLimited, ErrUnavailable} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	return nil
}

// Words gives what an error says to people: the text behind its kind, without the rooms it came
// through. It is "" when the error has no kind, or says nothing but its kind. Only the text for
// people is made of it, never a decision.
func Words(err error) string {
	kind := Kind(err)
	if kind == nil {
		return ""
	}
	_, words, _ := strings.Cut(err.Error(), kind.Error()+": ")
	return words
}
