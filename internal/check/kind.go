package check

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"muster"
)

// Kind is one kind of check that looks at something from outside: a driver, one directory each.
type Kind interface {
	// Name is what stands in Check.Kind: "http".
	Name() string
	// Parse reads the kind's own fields, a JSON object in which unknown fields are errors. The error wraps
	// muster.ErrInvalid and is a *ConfigError where it can name the fields.
	Parse(config []byte) (Probe, error)
}

// Probe is a check's configuration, read and found good. It is safe for concurrent use and holds no
// connection, cache or buffer between runs: what one run sees owes nothing to another.
type Probe interface {
	// Config gives the fields back as JSON, defaults written out, in a fixed order.
	Config() []byte
	// Target says in a few words what is checked: "https://example.org/", "db-1:5432".
	Target() string
	// Run looks once and fills the result. It returns when ctx ends at the latest; a run that was
	// cut short has the class "timeout". What goes wrong is the result, never a panic.
	Run(ctx context.Context, env *Env, out *Outcome)
}

// Env is what a run may use of the world. The zero Env is the machine's own, with no bounds.
type Env struct {
	// Allow is asked for every address before it is connected to, after every resolving and redirect;
	// its error says why not. Nil allows all.
	Allow func(netip.Addr) error
	// Resolve finds the addresses of a host name ("ip", "ip4", "ip6" as network). Nil: the machine's resolver.
	Resolve func(ctx context.Context, network, host string) ([]netip.Addr, error)
	// Dial connects to a numeric address. Nil: a net.Dialer of its own.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Now is the clock for certificates; time.Now when nil.
	Now func() time.Time
}

// Outcome is what a run found. The runner adds when, where, how long, and CheckStatusMetric and CheckDurationMetric.
type Outcome struct {
	Status   muster.CheckStatus // StatusOK unless Fail, Warn or Unable said otherwise
	Summary  string             // one line
	Class    string             // of the error
	Error    string
	Evidence map[string]string
	Readings []muster.Reading
}

// Put adds a value; use one description for all runs, made by Gauge. None and infinities are left out.
func (o *Outcome) Put(m *muster.Metric, v float64) {
	if v-v == 0 {
		o.Readings = append(o.Readings, muster.Reading{Metric: m, Value: v})
	}
}

// Note adds evidence, cut to 500 bytes. What others sent may be anything: bytes that are not text, and
// control characters other than tabs and new lines, become dots.
func (o *Outcome) Note(key, value string) {
	const most = 500
	if len(value) > most {
		value = strings.ToValidUTF8(value[:most], "") + "..."
	}
	if o.Evidence == nil {
		o.Evidence = map[string]string{}
	}
	o.Evidence[key] = plain(value)
}

// Fail says that the target is not as it should be. The first failure of a run stands.
func (o *Outcome) Fail(class, format string, args ...any) {
	o.set(muster.StatusCritical, class, fmt.Sprintf(format, args...))
}

// Warn says that the target answers, with something to look at.
func (o *Outcome) Warn(class, format string, args ...any) {
	o.set(muster.StatusWarning, class, fmt.Sprintf(format, args...))
}

// Unable says that the check itself could not be run: nothing is known of the target.
func (o *Outcome) Unable(class, format string, args ...any) {
	o.set(muster.StatusUnknown, class, fmt.Sprintf(format, args...))
}

func (o *Outcome) set(status muster.CheckStatus, class, text string) {
	if o.Status != "" && o.Status != muster.StatusOK && o.Status.Number() >= status.Number() {
		return
	}
	o.Status, o.Class, o.Error = status, class, text
}

// ConfigError says which fields of a configuration are wrong; it wraps muster.ErrInvalid.
type ConfigError struct {
	Fields []FieldError
}

// FieldError is what is wrong with one field.
type FieldError struct {
	Field   string // "url", "headers.Host"
	Message string // "must begin with http:// or https://"
}

// Error lists the fields.
func (e *ConfigError) Error() string {
	texts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		texts[i] = f.Field + " " + f.Message
	}
	return muster.ErrInvalid.Error() + ": " + strings.Join(texts, "; ")
}

// Unwrap gives muster.ErrInvalid.
func (e *ConfigError) Unwrap() error { return muster.ErrInvalid }

// Assignment is a check as a runner gets it: all that it needs to run it.
type Assignment struct {
	Check   muster.CheckID  `json:"check"`
	Kind    string          `json:"kind"`
	Config  json.RawMessage `json:"config"`
	Zone    string          `json:"zone"`
	Period  time.Duration   `json:"period"`  // nanoseconds
	Timeout time.Duration   `json:"timeout"` // nanoseconds
}

// Note is what a result says in words; it travels in muster.Frame.Note, as JSON, when it is not what it was.
type Note struct {
	Summary  string            `json:"s,omitempty"`
	Class    string            `json:"c,omitempty"`
	Error    string            `json:"e,omitempty"`
	Evidence map[string]string `json:"v,omitempty"`
}

// Marshal gives the bytes, at most muster.MaxNote of them: evidence is left out where there is too much.
func (n *Note) Marshal() []byte {
	b, err := json.Marshal(n)
	if err != nil || len(b) > muster.MaxNote {
		short := Note{Summary: clip(n.Summary), Class: clip(n.Class), Error: clip(n.Error)}
		b, _ = json.Marshal(&short) // strings can't fail
	}
	return b
}

// ParseNote reads what Marshal wrote; the error wraps muster.ErrInvalid.
func ParseNote(b []byte) (n Note, err error) {
	if len(b) > muster.MaxNote {
		return n, fmt.Errorf("check: note: %w: longer than %d bytes", muster.ErrInvalid, muster.MaxNote)
	}
	if err := json.Unmarshal(b, &n); err != nil {
		return Note{}, fmt.Errorf("check: note: %w: %w", muster.ErrInvalid, err)
	}
	return n, nil
}

func clip(s string) string {
	const most = 1000
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// plain makes text of what may be anything; it costs nothing when it is text.
func plain(s string) string {
	strange := func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError
	}
	if strings.IndexFunc(s, strange) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if strange(r) {
			return '.'
		}
		return r
	}, s)
}
