package muster

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// MetricKind says how a metric's values are to be read.
type MetricKind uint8

const (
	// Gauge is a value that stands for itself at its instant.
	Gauge MetricKind = 1
	// Counter only grows, except that it may start again from zero; it is shown as a rate.
	Counter MetricKind = 2
)

// String gives "gauge" or "counter".
func (k MetricKind) String() string {
	if k == Counter {
		return "counter"
	}
	return "gauge"
}

// Attr is one attribute of a metric: which disk, which mode.
type Attr struct {
	Key, Value string
}

// Metric describes one series of a source: what is measured, not its value. Name and Unit follow
// OpenTelemetry's semantic conventions (Unit is UCUM: "1", "By", "s"). Attrs are sorted by key.
type Metric struct {
	Name  string
	Unit  string
	Kind  MetricKind
	Attrs []Attr
}

// Limits of a metric's description, in bytes of UTF-8 and in number.
const (
	MaxMetricName = 200
	MaxAttrKey    = 100
	MaxAttrValue  = 400
	MaxAttrs      = 16
	// MaxMetrics is how many metrics one schema (one source of a node) may have.
	MaxMetrics = 5000
)

// Attr gives the value of the attribute named key, or "".
func (m *Metric) Attr(key string) string {
	for i := range m.Attrs {
		if m.Attrs[i].Key == key {
			return m.Attrs[i].Value
		}
	}
	return ""
}

// Key gives a text that is equal for equal series and for no others: the name, then the attributes.
func (m *Metric) Key() string {
	if len(m.Attrs) == 0 {
		return m.Name
	}
	var b strings.Builder
	b.WriteString(m.Name)
	for _, a := range m.Attrs {
		b.WriteByte(0)
		b.WriteString(a.Key)
		b.WriteByte(1)
		b.WriteString(a.Value)
	}
	return b.String()
}

// Validate checks names, lengths and order; the error wraps ErrInvalid and names the metric.
func (m *Metric) Validate() error {
	bad := func(why string) error {
		return fmt.Errorf("%w: metric %q: %s", ErrInvalid, clip(m.Name), why)
	}
	if m.Name == "" || len(m.Name) > MaxMetricName || !plainText(m.Name) {
		return bad("the name must be 1 to 200 bytes of text without control characters")
	}
	if len(m.Unit) > 64 || !plainText(m.Unit) {
		return bad("the unit must be at most 64 bytes of text without control characters")
	}
	if m.Kind != Gauge && m.Kind != Counter {
		return bad("the kind must be gauge or counter")
	}
	if len(m.Attrs) > MaxAttrs {
		return bad("at most 16 attributes are kept")
	}
	for i, a := range m.Attrs {
		if a.Key == "" || len(a.Key) > MaxAttrKey || len(a.Value) > MaxAttrValue || !plainText(a.Key) || !plainText(a.Value) {
			return bad("an attribute's key must be 1 to 100 bytes and its value at most 400, of text without control characters")
		}
		if i > 0 && m.Attrs[i-1].Key >= a.Key {
			return bad("attributes must be sorted by key, each key once")
		}
	}
	return nil
}

func plainText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

// SchemaID is the content address of a schema: equal lists of metrics have equal ids everywhere.
type SchemaID [16]byte

// String gives 32 hexadecimal digits.
func (id SchemaID) String() string { return hex.EncodeToString(id[:]) }

// Schema is an ordered list of metrics; a frame that names it carries one value for each. It is
// shared between goroutines and must not be changed after NewSchema.
type Schema struct {
	ID      SchemaID
	Metrics []Metric
}

// NewSchema checks the metrics (order is kept, doubles are refused) and computes the id.
// The error wraps ErrInvalid, or ErrLimited when there are more than MaxMetrics.
func NewSchema(metrics []Metric) (*Schema, error) {
	if len(metrics) == 0 {
		return nil, fmt.Errorf("%w: a schema needs at least one metric", ErrInvalid)
	}
	if len(metrics) > MaxMetrics {
		return nil, fmt.Errorf("%w: %d metrics in one schema, at most %d are kept", ErrLimited, len(metrics), MaxMetrics)
	}
	seen := make(map[string]struct{}, len(metrics))
	for i := range metrics {
		if err := metrics[i].Validate(); err != nil {
			return nil, err
		}
		key := metrics[i].Key()
		if _, double := seen[key]; double {
			return nil, fmt.Errorf("%w: metric %q appears twice with the same attributes", ErrInvalid, clip(metrics[i].Name))
		}
		seen[key] = struct{}{}
	}
	s := &Schema{Metrics: slices.Clone(metrics)}
	sum := sha256.Sum256(s.AppendCanonical(nil))
	copy(s.ID[:], sum[:])
	return s, nil
}

// AppendCanonical appends the bytes the id is the hash of, which are also the stored form: for each
// metric a kind byte, then name, unit and the attributes' keys and values, each with its length
// before it as a varint, the attributes with their count before them.
func (s *Schema) AppendCanonical(b []byte) []byte {
	b = append(b, 1) // the version of this form
	b = binary.AppendUvarint(b, uint64(len(s.Metrics)))
	for i := range s.Metrics {
		m := &s.Metrics[i]
		b = append(b, byte(m.Kind))
		b = appendText(b, m.Name)
		b = appendText(b, m.Unit)
		b = binary.AppendUvarint(b, uint64(len(m.Attrs)))
		for _, a := range m.Attrs {
			b = appendText(b, a.Key)
			b = appendText(b, a.Value)
		}
	}
	return b
}

// ParseSchema reads what AppendCanonical wrote; the error wraps ErrInvalid.
func ParseSchema(b []byte) (*Schema, error) {
	r := textReader{b: b}
	if r.byte() != 1 {
		return nil, fmt.Errorf("%w: schema of an unknown version", ErrInvalid)
	}
	n := r.count(MaxMetrics)
	metrics := make([]Metric, 0, min(n, 1024))
	for range n {
		m := Metric{Kind: MetricKind(r.byte()), Name: r.text(), Unit: r.text()}
		attrs := r.count(MaxAttrs)
		for range attrs {
			m.Attrs = append(m.Attrs, Attr{Key: r.text(), Value: r.text()})
		}
		if r.bad {
			break
		}
		metrics = append(metrics, m)
	}
	if r.bad || len(r.b) != 0 {
		return nil, fmt.Errorf("%w: schema: cut short or followed by strange bytes", ErrInvalid)
	}
	return NewSchema(metrics)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// textReader reads the canonical form; after the first fault it is bad and yields zero values.
type textReader struct {
	b   []byte
	bad bool
}

func (r *textReader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *textReader) count(most int) int {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > uint64(most) {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return int(v)
}

func (r *textReader) text() string {
	n := r.count(len(r.b))
	if n > len(r.b) {
		r.bad = true
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

// Frame is all metrics of one node from one source at one instant: the unit that is sent and stored.
type Frame struct {
	Account AccountID
	Node    NodeID
	Source  string  // what measured: HostSource for the machine itself
	At      int64   // the instant, in Unix milliseconds of the server's clock (shifted when the node's was off)
	Sent    int64   // when the envelope left the agent, same clock; Sent - At tells how late a frame is
	Schema  *Schema // describes Values, one to one
	Values  []float64
	Note    []byte // what a check says in words beside its values, see package check; not part of the series, seldom there
}

// MaxNote is the longest note of a frame, in bytes.
const MaxNote = 8 << 10

// HostSource is the source of the metrics a machine's agent measures of the machine itself.
const HostSource = "host"

// MaxSource is the longest name of a source, in bytes.
const MaxSource = 100
