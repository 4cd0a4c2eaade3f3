package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// MaxConfig is how long a configuration may be, in bytes.
const MaxConfig = 128 << 10

// Fields reads the fields of a configuration one by one and gathers what is wrong with them. A field that
// is absent or null leaves its variable as it is: that is the default. Names match exactly.
type Fields struct {
	raw    map[string]json.RawMessage
	asked  []string
	faults []FieldError
}

// ReadFields begins with a JSON object; nothing at all stands for an empty one.
func ReadFields(config []byte) *Fields {
	f := &Fields{}
	if len(config) > MaxConfig {
		f.Fault("config", "is longer than %d bytes", MaxConfig)
		return f
	}
	if len(bytes.TrimSpace(config)) == 0 {
		return f
	}
	if err := json.Unmarshal(config, &f.raw); err != nil {
		f.Fault("config", "must be a JSON object")
	}
	return f
}

// Fault says what is wrong with a field: "must be ...".
func (f *Fields) Fault(field, format string, args ...any) {
	f.faults = append(f.faults, FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

// Err gives what is wrong, unknown fields included, as a *ConfigError; nil when all is well. Ask it last.
func (f *Fields) Err() error {
	var unknown []string
	for name := range f.raw {
		if !slices.Contains(f.asked, name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		f.Fault(short(name), "is not a field of this kind; it has %s", strings.Join(f.asked, ", "))
	}
	if len(f.faults) == 0 {
		return nil
	}
	return &ConfigError{Fields: f.faults}
}

// read decodes a field into the variable; false when it is absent or wrong.
func (f *Fields) read(name, kind string, into any) bool {
	f.asked = append(f.asked, name)
	raw, ok := f.raw[name]
	if !ok || bytes.Equal(raw, []byte("null")) {
		return false
	}
	if err := json.Unmarshal(raw, into); err != nil {
		f.Fault(name, "must be %s", kind)
		return false
	}
	return true
}

// Text reads text of at most that many bytes, without NUL.
func (f *Fields) Text(name string, into *string, most int) {
	var s string
	if !f.read(name, "text", &s) {
		return
	}
	if !f.fits(name, s, most) {
		return
	}
	*into = s
}

func (f *Fields) fits(name, s string, most int) bool {
	switch {
	case len(s) > most:
		f.Fault(name, "has %d bytes, at most %d are taken", len(s), most)
	case strings.ContainsRune(s, 0):
		f.Fault(name, "must not hold a NUL character")
	default:
		return true
	}
	return false
}

// Choice reads one of some words.
func (f *Fields) Choice(name string, into *string, words ...string) {
	s := *into
	if f.read(name, "text", &s) && !slices.Contains(words, s) {
		f.Fault(name, "must be one of %s", strings.Join(words, ", "))
		return
	}
	*into = s
}

// Bool reads true or false.
func (f *Fields) Bool(name string, into *bool) { f.read(name, "true or false", into) }

// Int reads a whole number from least to most.
func (f *Fields) Int(name string, into *int, least, most int) {
	n := 0
	if !f.read(name, "a whole number", &n) {
		return
	}
	if n < least || n > most {
		f.Fault(name, "must be from %d to %d", least, most)
		return
	}
	*into = n
}

// Duration reads text such as "500ms" or "2s", more than nothing and at most the given.
func (f *Fields) Duration(name string, into *time.Duration, most time.Duration) {
	var s string
	if !f.read(name, `text such as "500ms" or "2s"`, &s) || s == "" {
		return
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 || d > most {
		f.Fault(name, `must be a duration such as "500ms" or "2s", at most %s`, most)
		return
	}
	*into = d
}

// Texts reads a list of texts, or a single text as a list of one.
func (f *Fields) Texts(name string, into *[]string, many, most int) {
	var raw json.RawMessage
	if !f.read(name, "a list of texts", &raw) {
		return
	}
	var one string
	var list []string
	if json.Unmarshal(raw, &one) == nil {
		list = []string{one}
	} else if json.Unmarshal(raw, &list) != nil {
		f.Fault(name, "must be a list of texts")
		return
	}
	if len(list) > many {
		f.Fault(name, "has %d entries, at most %d are taken", len(list), many)
		return
	}
	for _, s := range list {
		if !f.fits(name, s, most) {
			return
		}
	}
	*into = list
}

// Map reads an object of texts.
func (f *Fields) Map(name string, into *map[string]string, many, most int) {
	var m map[string]string
	if !f.read(name, "an object of texts", &m) {
		return
	}
	if len(m) > many {
		f.Fault(name, "has %d entries, at most %d are taken", len(m), many)
		return
	}
	for key, s := range m {
		if !f.fits(name+"."+short(key), s, most) {
			return
		}
	}
	*into = m
}

// Pattern reads a regular expression; empty text is none.
func (f *Fields) Pattern(name string, into **Pattern) {
	s := ""
	f.Text(name, &s, MaxConfig)
	if s == "" {
		return
	}
	p, fault := NewPattern(s)
	if fault != "" {
		f.Fault(name, "%s", fault)
		return
	}
	*into = p
}

// Host reads the name of a host or its address, which must be given.
func (f *Fields) Host(name string, into *string) {
	f.Text(name, into, 300)
	if fault := HostFault(*into); fault != "" {
		f.Fault(name, "%s", fault)
	}
}

// HostFault says what is wrong with the name or address of a host; "" for nothing. IPv6 addresses stand without brackets.
func HostFault(host string) string {
	if host == "" {
		return "must be the name or address of a host"
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	name := strings.TrimSuffix(host, ".")
	if name == "" || len(name) > 253 {
		return "must be the name of a host, at most 253 characters"
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return "must be the name of a host: parts of 1 to 63 characters between dots, without - at their ends"
		}
		for _, c := range []byte(label) {
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
				return "must be the name of a host: letters, digits, - and dots; other scripts in their xn-- form"
			}
		}
	}
	return ""
}

// Normal writes a configuration as Probe.Config gives it: the fields of a struct in their order, characters as they are.
func Normal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil // texts, numbers and lists of them cannot fail
	}
	return bytes.TrimSpace(b.Bytes())
}

// short keeps a hostile name out of messages.
func short(s string) string {
	const most = 60
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}
