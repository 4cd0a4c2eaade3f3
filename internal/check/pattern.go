package check

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"muster"
)

// MaxPattern is how long a regular expression may be, in bytes.
const MaxPattern = 1000

// MaxGroups is how many named groups of an expression, or named expressions, are kept of one run.
const MaxGroups = 4

// maxPatternSize bounds what repeats within repeats grow to, in instructions: a short text can ask for millions.
const maxPatternSize = 10_000

// Pattern is a regular expression in RE2's syntax, found small enough to be used on what strangers send. It is safe for concurrent use.
type Pattern struct {
	text   string
	re     *regexp.Regexp
	size   int
	groups []Group
}

// Group is a named part of an expression. What it held is evidence, and a metric when it is a number.
type Group struct {
	Name   string
	index  int
	metric *muster.Metric
}

// NewPattern compiles an expression; fault says what is wrong with it, "" for nothing.
func NewPattern(text string) (p *Pattern, fault string) {
	if len(text) > MaxPattern {
		return nil, fmt.Sprintf("has %d bytes, at most %d are taken", len(text), MaxPattern)
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, "is not a regular expression: " + err.Error()
	}
	size := patternSize(tree)
	if size > maxPatternSize {
		return nil, "repeats too much within repeats"
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, "is not a regular expression: " + err.Error()
	}
	return &Pattern{text: text, re: re, size: size}, ""
}

// patternSize reckons the instructions an expression compiles to; it stops counting beyond the bound.
func patternSize(re *syntax.Regexp) int {
	size := 1 + len(re.Rune)/64
	for _, sub := range re.Sub {
		size += patternSize(sub)
		if size > maxPatternSize {
			break
		}
	}
	if re.Op == syntax.OpRepeat {
		size *= max(re.Min, re.Max, 1)
	}
	return min(size, 2*maxPatternSize)
}

// KeepGroups makes the pattern's named groups into metrics of the name with the attribute
// "match" beside evidence; fault says what is wrong with them.
func (p *Pattern) KeepGroups(metric string) (fault string) {
	for i, name := range p.re.SubexpNames() {
		if name == "" {
			continue
		}
		if len(p.groups) == MaxGroups {
			return fmt.Sprintf("has more than %d named groups", MaxGroups)
		}
		if len(name) > 40 {
			return "has a group whose name is longer than 40 characters"
		}
		p.groups = append(p.groups, Group{Name: name, index: i, metric: Gauge(metric, "1", "match", name)})
	}
	return ""
}

// KeepFirst makes what the pattern finds (its first group, when it has one) into evidence and a metric under that name.
func (p *Pattern) KeepFirst(metric, name string) {
	p.groups = []Group{{Name: name, index: min(1, p.re.NumSubexp()), metric: Gauge(metric, "1", "match", name)}}
}

// String gives the expression.
func (p *Pattern) String() string {
	if p == nil {
		return ""
	}
	return p.text
}

// Find looks for the pattern and notes its groups in the outcome. A large text is searched step by step, so that
// the end of ctx ends the search; the error is then a Failure.
func (p *Pattern) Find(ctx context.Context, text []byte, out *Outcome) (found bool, err error) {
	const steps = 20_000_000 // well under a second
	var at []int
	if len(text)*(p.size+1) <= steps {
		at = p.re.FindSubmatchIndex(text)
	} else {
		at = p.re.FindReaderSubmatchIndex(&runes{ctx: ctx, text: text})
		if ctx.Err() != nil {
			return false, Failed(ctx, ClassTimeout, "searching the answer", ctx.Err())
		}
	}
	for _, g := range p.groups {
		if at == nil || at[2*g.index] < 0 {
			continue
		}
		value := string(text[at[2*g.index]:at[2*g.index+1]])
		out.Note("match."+g.Name, value)
		if n, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
			out.Put(g.metric, n)
		}
	}
	return at != nil, nil
}

// runes hands out a text until it or the context ends.
type runes struct {
	ctx  context.Context
	text []byte
	at   int
	n    int
}

// ReadRune is io.RuneReader's.
func (r *runes) ReadRune() (rune, int, error) {
	if r.n++; r.n&1023 == 0 && r.ctx.Err() != nil || r.at == len(r.text) {
		return 0, 0, io.EOF
	}
	c, size := utf8.DecodeRune(r.text[r.at:])
	r.at += size
	return c, size, nil
}

// Keeps says whether the pattern has a kept group of that name.
func (p *Pattern) Keeps(name string) bool {
	return p != nil && slices.ContainsFunc(p.groups, func(g Group) bool { return g.Name == name })
}

// MatchNameFault says what is wrong with the name of a match; "" for nothing.
func MatchNameFault(name string) string {
	word := func(c rune) bool {
		return c == '_' || c == '-' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
	}
	if name == "" || len(name) > 40 || strings.ContainsFunc(name, func(c rune) bool { return !word(c) }) {
		return "must be 1 to 40 letters, digits, - and _"
	}
	return ""
}
