package alarm

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"

	"muster"
	"muster/internal/incident"
	"muster/internal/judge"
)

// Keys in the ledger: what follows is "<alarm>/<subject>/<hash of the series>", and the incident's id.
const (
	prefixStates    = "alarm/"
	prefixIncidents = "incident/"
)

// stateVersion is the first byte of a state; docs/format/alarm.md has the rest.
const stateVersion = 1

const (
	flagArmed byte = 1 << iota
	flagCounter
)

// save gives the bytes by which an instance is found as it is.
func (in *instance) save() []byte {
	account := in.sub.book.account
	b := append(make([]byte, 0, 256), stateVersion)
	b = append(b, account[:]...)
	var flags byte
	if in.armed {
		flags |= flagArmed
	}
	if in.counter {
		flags |= flagCounter
	}
	b = append(b, flags)
	for _, text := range []string{in.name, in.source, in.metric, in.series, in.unit, string(in.check)} {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	b = binary.AppendVarint(b, in.floor)
	b = binary.AppendVarint(b, in.prevAt)
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(in.prev))
	return judge.AppendState(b, in.state)
}

// saved is an instance as it was read, without its subject.
type saved struct {
	account muster.AccountID
	subject muster.NodeID
	inst    instance
}

// parseSaved reads what save wrote under a key; the error wraps ErrInvalid.
func parseSaved(key string, b []byte) (*saved, error) {
	bad := func(why string) error {
		return fmt.Errorf("alarm: read a state: %w: %.80q: %s", muster.ErrInvalid, key, why)
	}
	parts := strings.Split(strings.TrimPrefix(key, prefixStates), "/")
	if !strings.HasPrefix(key, prefixStates) || len(parts) != 3 {
		return nil, bad("the key is none of a state")
	}
	out := &saved{inst: instance{key: key, kept: true, last: math.NaN()}}
	var err error
	if out.subject, err = muster.ParseNodeID(parts[1]); err != nil {
		return nil, bad("the key names no subject")
	}
	const head = 1 + len(out.account) + 1
	if len(b) < head || b[0] != stateVersion {
		return nil, bad("of an unknown version, or cut short")
	}
	copy(out.account[:], b[1:])
	in, r := &out.inst, reader{b: b[head:]}
	in.armed, in.counter = b[head-1]&flagArmed != 0, b[head-1]&flagCounter != 0
	in.name, in.source, in.metric, in.series, in.unit = r.text(), r.text(), r.text(), r.text(), r.text()
	in.check = muster.CheckID(r.text())
	in.floor, in.prevAt, in.prev = r.varint(), r.varint(), math.Float64frombits(r.fixed())
	if r.bad {
		return nil, bad("cut short")
	}
	if in.state, err = judge.ParseState(r.b); err != nil {
		return nil, fmt.Errorf("alarm: read a state: %.80q: %w", key, err)
	}
	return out, nil
}

// reader takes values from the front; after the first fault it is bad and gives zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	head := r.b[:n]
	r.b = r.b[n:]
	return head
}

func (r *reader) text() string {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.bad, r.b = true, nil
		return ""
	}
	r.b = r.b[size:]
	return string(r.take(n))
}

func (r *reader) varint() int64 {
	v, size := binary.Varint(r.b)
	if size <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return v
}

func (r *reader) fixed() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// keepFor is how long a state that is well, and an incident that is over, stay in the ledger: for longer than the log that
// may be heard again, and than the history may be late.
const keepFor = 2 * time.Hour

// Keep says whether a state that was written so long ago has to be carried into the ledger's next day; ours is false for
// keys of others. What cannot be read is kept: a newer version may be able to.
func Keep(key string, state []byte, age time.Duration) (keep, ours bool) {
	switch {
	case strings.HasPrefix(key, prefixStates):
		s, err := parseSaved(key, state)
		return err != nil || age < keepFor || !s.inst.state.Plain(), true
	case strings.HasPrefix(key, prefixIncidents):
		in, err := incident.Decode(state)
		return err != nil || age < keepFor || in.State != muster.IncidentResolved, true
	}
	return false, false
}

// load reads the shard's states and incidents from the ledger.
func (s *shard) load() {
	ledger, logger := s.w.opts.Ledger, s.w.opts.Logger
	ledger.Each(s.id, prefixStates, func(key string, state []byte) {
		read, err := parseSaved(key, state)
		if err != nil {
			logger.Error("the state of an alarm can't be read and begins anew", "shard", s.id, "error", err)
			return
		}
		at := subjectKey{read.account, read.subject}
		sub := s.subjects[at]
		if sub == nil {
			sub = newSubject(s.w.book(read.account), read.subject)
			s.subjects[at] = sub
		}
		in := read.inst
		in.sub = sub
		sub.instances[key] = &in
		s.knows(in.check, sub)
		s.size++
	})
	ledger.Each(s.id, prefixIncidents, func(key string, state []byte) {
		in, err := incident.Decode(state)
		if err != nil {
			logger.Error("an incident can't be read and is left out", "shard", s.id, "key", key, "error", err)
			return
		}
		s.w.incidents.Put(in)
	})
}
