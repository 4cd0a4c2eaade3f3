package filter

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

type wordKind uint8

const (
	wordEnd wordKind = iota
	wordOpen
	wordClose
	wordAnd
	wordOr
	wordNot  // the word
	wordDash // "-" before a term
	wordTerm
)

// word is one token. A term is a key with an operator and a value, or a value alone.
type word struct {
	kind   wordKind
	pos    int // in characters, from 1
	text   string
	key    string // empty: the value alone
	op     string // ":" or a comparison
	value  string
	opPos  int
	valPos int
	quoted bool // the value stood in quotes: nothing in it is a wildcard
}

func (w *word) show() string {
	if w.kind == wordEnd {
		return "the end"
	}
	return quote(w.text)
}

type lexer struct {
	text string
	at   int // bytes
	pos  int // characters, from 1
	out  []word
}

// lex cuts a text into words; the last one is always the end.
func lex(text string) ([]word, *Error) {
	l := lexer{text: text, pos: 1}
	if !utf8.ValidString(text) {
		return nil, &Error{Pos: 1, Reason: "this is not text in UTF-8"}
	}
	for {
		for r := l.peek(); unicode.IsSpace(r); r = l.peek() {
			l.next()
		}
		if l.at == len(text) {
			l.out = append(l.out, word{kind: wordEnd, pos: l.pos})
			return l.out, nil
		}
		w, err := l.word()
		if err != nil {
			return nil, err
		}
		l.out = append(l.out, w)
	}
}

const end rune = -1

func (l *lexer) peek() rune {
	if l.at == len(l.text) {
		return end
	}
	r, _ := utf8.DecodeRuneInString(l.text[l.at:])
	return r
}

func (l *lexer) next() rune {
	r, n := utf8.DecodeRuneInString(l.text[l.at:])
	l.at += n
	l.pos++
	return r
}

func (l *lexer) word() (word, *Error) {
	w := word{pos: l.pos}
	begin := l.at
	var err *Error
	switch r := l.peek(); r {
	case '(', ')', '-':
		l.next()
		w.kind = map[rune]wordKind{'(': wordOpen, ')': wordClose, '-': wordDash}[r]
	case '&', '|':
		l.next()
		if l.peek() != r {
			return w, &Error{w.pos, fmt.Sprintf("a single %c means nothing; write %c%c", r, r, r)}
		}
		l.next()
		w.kind = map[rune]wordKind{'&': wordAnd, '|': wordOr}[r]
	default:
		err = l.term(&w)
	}
	w.text = l.text[begin:l.at]
	return w, err
}

// term reads a word, a "key:value" or a "key>value".
func (l *lexer) term(w *word) *Error {
	w.kind, w.valPos = wordTerm, l.pos
	if l.peek() == '"' || l.peek() == '\'' {
		return l.quotedValue(w)
	}
	w.value = l.run(plainRune)
	w.opPos = l.pos
	switch r := l.peek(); r {
	case ':':
		l.next()
		w.op = ":"
	case '<', '>', '=', '!':
		w.op = l.run(func(r rune) bool { return strings.ContainsRune("<>=!", r) })
	default:
		if w.value == "" {
			return &Error{w.pos, fmt.Sprintf("%s can't begin a word; put it in quotes", quote(string(r)))}
		}
		return l.reserved(w)
	}
	if w.value == "" {
		return &Error{w.pos, fmt.Sprintf("%s needs a word before it%s", quote(w.op), hintNot(w.op))}
	}
	w.key, w.value, w.valPos = strings.ToLower(w.value), "", l.pos
	if l.peek() == '"' || l.peek() == '\'' {
		return l.quotedValue(w)
	}
	w.value = l.run(func(r rune) bool { return plainRune(r) || r == '=' || r == ':' && w.key == "ip" })
	if w.value == "" {
		return &Error{w.valPos, fmt.Sprintf("%s needs a value", quote(w.key+w.op))}
	}
	return l.ended(w)
}

func hintNot(op string) string {
	if strings.HasPrefix(op, "!") {
		return `; to turn a term round write "-" or "not" before it`
	}
	return ""
}

// reserved turns the words of the language into what they are.
func (l *lexer) reserved(w *word) *Error {
	switch strings.ToLower(w.value) {
	case "and":
		w.kind = wordAnd
	case "or":
		w.kind = wordOr
	case "not":
		w.kind = wordNot
	}
	return l.ended(w)
}

// quotedValue reads a value in quotes of either kind; a backslash takes the next character as it is.
func (l *lexer) quotedValue(w *word) *Error {
	w.quoted = true
	mark := l.next()
	var b strings.Builder
	for {
		r := l.peek()
		if r == '\\' {
			l.next()
			r = l.peek()
		} else if r == mark {
			break
		}
		if r == end {
			return &Error{w.valPos, "this quote is never closed"}
		}
		b.WriteRune(l.next())
	}
	l.next()
	if w.value = b.String(); strings.TrimSpace(w.value) == "" {
		return &Error{w.valPos, "there is nothing between the quotes"}
	}
	return l.ended(w)
}

// ended makes sure that a term is followed by something that may follow it.
func (l *lexer) ended(w *word) *Error {
	switch r := l.peek(); {
	case r == end, r == '(', r == ')', r == '|', r == '&', unicode.IsSpace(r):
		return nil
	case r == ':' && w.op != "":
		return &Error{l.pos, "a second colon; put a value that has one in quotes"}
	default:
		return &Error{l.pos, fmt.Sprintf("%s can't follow here; put a value that has it in quotes, or a space before the next term", quote(string(r)))}
	}
}

// run takes characters while they fit.
func (l *lexer) run(fits func(rune) bool) string {
	begin := l.at
	for r := l.peek(); r != end && fits(r); r = l.peek() {
		l.next()
	}
	return l.text[begin:l.at]
}

// plainRune says whether a character may stand in a word without quotes.
func plainRune(r rune) bool {
	return !unicode.IsSpace(r) && unicode.IsPrint(r) && !strings.ContainsRune("()\"':<>=!&|\\", r)
}

// quote shows a part of the text in a reason, cut when it is long.
func quote(s string) string {
	const most = 40
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	return `"` + strings.ToValidUTF8(s, "?") + `"`
}
