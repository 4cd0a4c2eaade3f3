package ledger

import (
	"encoding/binary"
	"fmt"
	"time"

	"muster"
)

// A state is stored behind a head: one byte of version, then when it was appended as a varint of Unix
// milliseconds. What follows is the state as it was handed in; nothing follows where the key was forgotten.
const stateVersion = 1

// appendState appends the stored form of a state.
func appendState(b []byte, at int64, state []byte) []byte {
	b = append(b, stateVersion)
	b = binary.AppendUvarint(b, uint64(max(at, 0)))
	return append(b, state...)
}

// parseState reads what appendState wrote; the state shares b.
func parseState(b []byte) (at int64, state []byte, err error) {
	if len(b) == 0 || b[0] != stateVersion {
		return 0, nil, fmt.Errorf("%w: a state of an unknown version", muster.ErrInvalid)
	}
	ms, n := binary.Uvarint(b[1:])
	if n <= 0 || ms > 1<<53 {
		return 0, nil, fmt.Errorf("%w: a damaged head of a state", muster.ErrInvalid)
	}
	if state = b[1+n:]; len(state) == 0 {
		state = nil
	}
	return int64(ms), state, nil
}

// row reads a stored row.
func row(day int, stored *Stored) (Row, error) {
	at, state, err := parseState(stored.State)
	if err != nil {
		return Row{}, fmt.Errorf("row %d of day %d: %w", stored.Seq, day, err)
	}
	r := Row{Day: day, Seq: stored.Seq, At: time.UnixMilli(at).UTC(), Key: stored.Key, State: state}
	if len(stored.Transition) > 0 {
		r.Transition = stored.Transition
	}
	return r, nil
}

// size is what a row counts of the bytes that are written together.
func size(r *Stored) int { return len(r.Key) + len(r.State) + len(r.Transition) }

// dayOf gives the day of an instant: how many passed since 1 January 1970 UTC.
func dayOf(at time.Time) int { return int(at.Unix() / (24 * 60 * 60)) }
