package filter

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"muster"
)

// Key is one thing that can be asked about, for completion and for help.
type Key struct {
	Name    string
	Meaning string
	Values  []string // all values when there are few; else nil
	Compare bool     // asked with < > and the like, not with a colon
}

// Keys lists what can be asked about, in the order in which to offer it. Beside these, any fact is
// asked for by its own name: `host.arch:arm64`.
func Keys() []Key {
	keys := []Key{
		{Name: "node", Meaning: "name or host name, all of it"},
		{Name: "tag", Meaning: "a tag, or the part of it before ="},
		{Name: "is", Meaning: "starred, connected, or a state", Values: append([]string{"starred", "connected"}, states()...)},
		{Name: "has", Meaning: "error: down; warning: values dropped, or a clock more than 2 s off; ok: neither", Values: []string{"error", "warning", "ok"}},
		{Name: "state", Meaning: "how it is", Values: states()},
		{Name: "provider", Meaning: "cloud provider"},
		{Name: "region", Meaning: "cloud region"},
		{Name: "zone", Meaning: "availability zone"},
		{Name: "type", Meaning: "machine type"},
		{Name: "os", Meaning: "operating system: words of its name, kind or version"},
		{Name: "agent", Meaning: "version of its agent, or connected, or none"},
		{Name: "ip", Meaning: "an address, with wildcards or as a network: 10.0.0.0/8"},
	}
	for _, f := range figures() {
		keys = append(keys, Key{Name: f.name, Meaning: f.meaning, Compare: true})
	}
	return keys
}

func states() []string {
	return []string{string(muster.Up), string(muster.Down), string(muster.Pending), string(muster.Stopped), string(muster.Terminated), string(muster.Unknown)}
}

// term is a test of one thing. It writes itself as key, operator and value.
type term struct {
	key    string // empty: a bare word
	op     string
	value  string
	quoted bool
	test   func(s *subject) bool
}

func (t *term) match(s *subject) bool { return t.test(s) }

func (t *term) write(b *strings.Builder, _ bool) {
	b.WriteString(t.key)
	b.WriteString(t.op)
	writeValue(b, t.value, t.quoted)
}

// newTerm gives what a word asks for.
func newTerm(w *word) (expr, *Error) {
	t := &term{key: w.key, op: w.op, value: w.value, quoted: w.quoted}
	p := newPattern(w.value, w.quoted)
	switch {
	case w.key == "" && !w.quoted && (w.value == "*" || strings.EqualFold(w.value, "all")):
		return everything{}, nil
	case w.key == "":
		t.test = bareWord(p)
		return t, nil
	case w.op != ":":
		var err *Error
		t.test, err = comparison(w)
		return t, err
	}
	var err *Error
	t.test, err = keyTest(w, p)
	return t, err
}

// bareWord looks in the names; in quotes the name must be just that.
func bareWord(p pattern) func(*subject) bool {
	if p.quoted {
		return nameTest(p)
	}
	return func(s *subject) bool { return p.within(s.node.Name) || p.within(s.node.Hostname) }
}

func nameTest(p pattern) func(*subject) bool {
	return func(s *subject) bool { return p.whole(s.node.Name) || p.whole(s.node.Hostname) }
}

// keyTest gives the test for "key:value".
func keyTest(w *word, p pattern) (func(*subject) bool, *Error) {
	switch w.key {
	case "node", "name":
		return nameTest(p), nil
	case "tag":
		return tagTest(p), nil
	case "provider":
		return factTest("cloud.provider", p), nil
	case "region":
		return factTest("cloud.region", p), nil
	case "zone":
		return factTest("cloud.availability_zone", p), nil
	case "type":
		return factTest("host.type", p), nil
	case "os":
		return osTest(w), nil
	case "agent":
		return agentTest(p), nil
	case "ip":
		return addressTest(w, p)
	case "state", "is", "has":
		return wordTest(w)
	}
	if slices.ContainsFunc(figures(), func(f figure) bool { return f.name == w.key }) {
		return nil, &Error{w.opPos, fmt.Sprintf("%s is compared with a number: %s>80, say", quote(w.key), w.key)}
	}
	if strings.Contains(strings.Trim(w.key, "."), ".") {
		return factTest(w.key, p), nil
	}
	return nil, &Error{w.pos, fmt.Sprintf("nothing is called %s; there are %s", quote(w.key), keyNames(false))}
}

func keyNames(compare bool) string {
	var names []string
	for _, k := range Keys() {
		if k.Compare == compare {
			names = append(names, k.Name)
		}
	}
	return strings.Join(names, ", ")
}

func tagTest(p pattern) func(*subject) bool {
	return func(s *subject) bool {
		return slices.ContainsFunc(s.node.Tags, func(tag string) bool {
			if p.whole(tag) {
				return true
			}
			key, _, pair := strings.Cut(tag, "=")
			return pair && p.whole(key)
		})
	}
}

func factTest(key string, p pattern) func(*subject) bool {
	return func(s *subject) bool {
		v, known := s.node.Facts[key]
		return known && p.whole(v)
	}
}

// osTest wants every word of the value somewhere in what is known of the system.
func osTest(w *word) func(*subject) bool {
	var words []pattern
	for _, part := range strings.Fields(w.value) {
		words = append(words, newPattern(part, w.quoted))
	}
	facts := []string{"os.name", "os.type", "os.id", "os.version", "os.description"}
	return func(s *subject) bool {
		for i := range words {
			if !slices.ContainsFunc(facts, func(key string) bool { return words[i].within(s.node.Facts[key]) }) {
				return false
			}
		}
		return true
	}
}

func agentTest(p pattern) func(*subject) bool {
	switch p.text {
	case "connected":
		return func(s *subject) bool { return s.now.Connected }
	case "none":
		return func(s *subject) bool { return s.node.AgentVersion == "" && !s.now.Connected }
	}
	return func(s *subject) bool { return s.node.AgentVersion != "" && p.whole(s.node.AgentVersion) }
}

// addressTest compares with an address, a network, or a text with wildcards.
func addressTest(w *word, p pattern) (func(*subject) bool, *Error) {
	network, err := netip.ParsePrefix(w.value)
	if err != nil && strings.Contains(w.value, "/") {
		return nil, &Error{w.valPos, fmt.Sprintf("%s is not a network like 10.0.0.0/8", quote(w.value))}
	}
	one, oneErr := netip.ParseAddr(w.value)
	if oneErr == nil {
		one = one.Unmap()
	}
	return func(s *subject) bool {
		for _, text := range s.node.Addresses {
			if err != nil && oneErr != nil {
				if p.whole(text) {
					return true
				}
				continue
			}
			a, bad := netip.ParseAddr(text)
			if a = a.Unmap(); bad == nil && (err == nil && network.Contains(a) || oneErr == nil && a.WithZone("") == one) {
				return true
			}
		}
		return false
	}, nil
}

// wordTest gives the tests whose values are a closed set.
func wordTest(w *word) (func(*subject) bool, *Error) {
	value := lower(w.value)
	switch {
	case w.key != "has" && slices.Contains(states(), value):
		state := muster.NodeState(value)
		return func(s *subject) bool { return s.now.State == state }, nil
	case w.key == "is" && (value == "starred" || value == "star"):
		return func(s *subject) bool { return s.node.Star }, nil
	case w.key == "is" && value == "connected":
		return func(s *subject) bool { return s.now.Connected }, nil
	case w.key == "has" && value == "error":
		return hasError, nil
	case w.key == "has" && value == "warning":
		return hasWarning, nil
	case w.key == "has" && value == "ok":
		return func(s *subject) bool { return s.now.State == muster.Up && !hasWarning(s) }, nil
	}
	for _, k := range Keys() {
		if k.Name == w.key {
			return nil, &Error{w.valPos, fmt.Sprintf("%s can't be %s; it can be %s", k.Name, quote(w.value), strings.Join(k.Values, ", "))}
		}
	}
	return nil, &Error{w.valPos, "unknown value"}
}

func hasError(s *subject) bool { return s.now.State == muster.Down }

func hasWarning(s *subject) bool {
	const most = 2 * time.Second
	return s.now.Dropped > 0 || s.now.ClockOff.Abs() > most
}
