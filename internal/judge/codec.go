package judge

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"

	"muster"
)

// The bytes of a state; docs/format/judge.md describes them.

const stateVersion = 1

// What stands in a state beside the flags of flags.
const (
	hasHold  = 1 << 4
	hasSeen  = 1 << 5
	hasTrend = 1 << 6
)

// AppendState appends the bytes a state is kept in: about 20 for one that is well, some 100 to 500 with what led to where it stands.
func AppendState(b []byte, s State) []byte {
	head := byte(s.flags)
	if s.hold != 0 {
		head |= hasHold
	}
	if s.seen != nil {
		head |= hasSeen
	}
	if s.trend.from != 0 {
		head |= hasTrend
	}
	b = append(b, stateVersion, head)
	b = binary.AppendUvarint(b, uint64(s.through))
	b = binary.AppendUvarint(b, uint64(s.heard))
	b = binary.AppendUvarint(b, uint64(s.since))
	b = binary.AppendUvarint(b, uint64(s.pace))
	if s.hold != 0 {
		b = binary.AppendUvarint(b, uint64(s.hold))
		b = binary.AppendUvarint(b, uint64(s.count))
	}
	if s.seen != nil {
		b = s.seen.append(b)
	}
	if t := &s.trend; t.from != 0 {
		b = binary.AppendUvarint(b, uint64(t.from))
		for _, f := range [...]float64{t.weight, t.age, t.mean, t.tt, t.tv} {
			b = appendFloat(b, f)
		}
	}
	return b
}

func (r *record) append(b []byte) []byte {
	b = append(b, byte(r.n))
	text := ""
	for _, e := range r.in[:r.n] {
		b = binary.AppendUvarint(b, uint64(e.at))
		b = appendFloat(b, e.value)
		if e.text == text {
			b = append(b, 0) // as before
			continue
		}
		text = e.text
		b = binary.AppendUvarint(b, uint64(len(text))+1)
		b = append(b, text...)
	}
	return b
}

func appendFloat(b []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
}

// ParseState reads what AppendState wrote; the error wraps ErrInvalid.
func ParseState(b []byte) (State, error) {
	r := reader{b: b}
	if version := r.byte(); version != stateVersion {
		return State{}, fmt.Errorf("judge: state: %w: version %d is not known", muster.ErrInvalid, version)
	}
	head := r.byte()
	s := State{flags: flags(head) & allFlags}
	s.through, s.heard, s.since = r.instant(), r.instant(), r.instant()
	s.pace = uint32(r.uint(math.MaxUint32))
	if head&hasHold != 0 {
		s.hold, s.count = r.instant(), uint32(r.uint(math.MaxUint32))
		r.need(s.hold != 0)
	}
	if head&hasSeen != 0 {
		s.seen = r.record()
	}
	if head&hasTrend != 0 {
		s.trend = trend{r.instant(), r.float(), r.float(), r.float(), r.float(), r.float()}
		r.need(s.trend.from != 0 && s.trend.weight > 0 && s.trend.tt >= 0)
	}
	r.need(head&(1<<7) == 0 && len(r.b) == 0 && s.heard <= s.through && s.hold <= s.through)
	if r.bad {
		return State{}, fmt.Errorf("judge: state: %w: cut short, or not a state", muster.ErrInvalid)
	}
	return s, nil
}

// reader reads a state; after the first fault it is bad and yields zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) need(ok bool) { r.bad = r.bad || !ok }

func (r *reader) take(n int) []byte {
	if r.need(n <= len(r.b)); r.bad {
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint(most uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if r.need(n > 0 && v <= most); r.bad {
		return 0
	}
	r.b = r.b[n:]
	return v
}

// instant reads one; those that were due may lie beyond the farthest input.
func (r *reader) instant() int64 { return int64(r.uint(2 * farthest)) }

func (r *reader) float() float64 {
	b := r.take(8)
	if b == nil {
		return 0
	}
	v := math.Float64frombits(binary.LittleEndian.Uint64(b))
	r.need(v-v == 0)
	return v
}

func (r *reader) record() *record {
	out := &record{n: int(r.byte())}
	if r.need(out.n > 0 && out.n <= len(out.in)); r.bad {
		return nil
	}
	text := ""
	for i := range out.n {
		e := entry{at: r.instant(), value: r.float()}
		if n := r.uint(maxText + 1); n > 0 {
			text = string(r.take(int(n) - 1))
			r.need(utf8.ValidString(text))
		}
		e.text = text
		out.in[i] = e
	}
	return out
}
