// Package filter gives the language in which people choose nodes: `web* tag:env=prod -is:starred
// cpu>80`. Parse checks a text and says precisely what is wrong with it; a Query then matches nodes
// from memory. docs/guide/filter.md and Keys say what can be asked.
package filter

import (
	"fmt"
	"strings"
	"time"

	"muster"
)

// Limits of a query's text.
const (
	// MaxText is the longest text, in bytes.
	MaxText = 4096
	// MaxDepth is how deep parentheses and negations may be nested.
	MaxDepth = 40
)

// Error says what is wrong with a text, and where. It wraps muster.ErrInvalid.
type Error struct {
	Pos    int // where it begins: the first character is 1
	Reason string
}

// Error gives place and reason in words.
func (e *Error) Error() string {
	return fmt.Sprintf("filter: %v: at %d: %s", muster.ErrInvalid, e.Pos, e.Reason)
}

// Unwrap gives muster.ErrInvalid.
func (e *Error) Unwrap() error { return muster.ErrInvalid }

// Query is a parsed text. It is never changed and may be shared.
type Query struct {
	root expr
}

// Parse reads a text; an empty one matches all nodes. The error is an *Error.
func Parse(text string) (*Query, error) {
	if len(text) > MaxText {
		return nil, &Error{Pos: 1, Reason: fmt.Sprintf("at most %d bytes, this has %d", MaxText, len(text))}
	}
	p := parser{}
	var err *Error
	if p.words, err = lex(text); err != nil {
		return nil, err
	}
	if len(p.words) == 1 { // only the end
		return &Query{root: everything{}}, nil
	}
	root, err := p.any(0)
	if err == nil && p.word().kind != wordEnd {
		err = p.fail("%s closes nothing", p.word().show())
	}
	if err != nil {
		return nil, err
	}
	return &Query{root: root}, nil
}

// Match says whether a node is chosen at an instant. Both n and now must be given; neither is kept.
func (q *Query) Match(n *muster.Node, now *muster.NodeNow, at time.Time) bool {
	return q.root.match(&subject{n, now, at})
}

// String gives a text that means the same, in one spelling: "" for all nodes.
func (q *Query) String() string {
	if _, all := q.root.(everything); all {
		return ""
	}
	var b strings.Builder
	q.root.write(&b, false)
	return b.String()
}

// subject is what a query is asked about.
type subject struct {
	node *muster.Node
	now  *muster.NodeNow
	at   time.Time
}

// expr is a part of a query. write gives its text, in parentheses where it stands inside another
// part and would be read differently.
type expr interface {
	match(s *subject) bool
	write(b *strings.Builder, inside bool)
}

type everything struct{}

func (everything) match(*subject) bool              { return true }
func (everything) write(b *strings.Builder, _ bool) { b.WriteByte('*') }

type not struct{ of expr }

func (e not) match(s *subject) bool { return !e.of.match(s) }

func (e not) write(b *strings.Builder, _ bool) {
	b.WriteByte('-')
	if _, twice := e.of.(not); twice {
		b.WriteByte('(')
		e.of.write(b, false)
		b.WriteByte(')')
		return
	}
	e.of.write(b, true)
}

type both []expr

func (e both) match(s *subject) bool {
	for _, part := range e {
		if !part.match(s) {
			return false
		}
	}
	return true
}

func (e both) write(b *strings.Builder, inside bool) { writeJoined(b, e, " ", inside) }

type either []expr

func (e either) match(s *subject) bool {
	for _, part := range e {
		if part.match(s) {
			return true
		}
	}
	return false
}

func (e either) write(b *strings.Builder, inside bool) { writeJoined(b, e, " or ", inside) }

func writeJoined(b *strings.Builder, parts []expr, between string, inside bool) {
	if inside {
		b.WriteByte('(')
	}
	for i, part := range parts {
		if i > 0 {
			b.WriteString(between)
		}
		part.write(b, true)
	}
	if inside {
		b.WriteByte(')')
	}
}
