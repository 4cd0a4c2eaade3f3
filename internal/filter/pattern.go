package filter

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// pattern is a value to compare text with, without regard to case: as a whole, with * for any
// characters and ? for one.
type pattern struct {
	text   string // in lower case, as far as it is compared
	source string // as it was written
	quoted bool   // nothing is a wildcard
	wild   bool
}

func newPattern(value string, quoted bool) pattern {
	return pattern{text: lower(value), source: value, quoted: quoted, wild: !quoted && strings.ContainsAny(value, "*?")}
}

// lower maps each character by itself, so that comparing character by character agrees with it.
func lower(s string) string { return strings.Map(unicode.ToLower, s) }

// whole says whether all of text fits.
func (p *pattern) whole(text string) bool {
	if !p.wild {
		return foldPrefix(text, p.text) == len(text)
	}
	return p.wildcard(text)
}

// within says whether a part of text fits; with wildcards all of it must.
func (p *pattern) within(text string) bool {
	if p.wild {
		return p.wildcard(text)
	}
	for i := 0; i <= len(text); {
		if foldPrefix(text[i:], p.text) >= 0 {
			return true
		}
		_, n := utf8.DecodeRuneInString(text[i:])
		i += max(n, 1)
	}
	return false
}

// foldPrefix gives how many bytes of text are low, which is in lower case; -1 when it does not begin so.
func foldPrefix(text, low string) int {
	at := 0
	for _, want := range low {
		if at >= len(text) {
			return -1
		}
		r, n := rune(text[at]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(text[at:])
		}
		if r != want && unicode.ToLower(r) != want {
			return -1
		}
		at += n
	}
	return at
}

// wildcard compares with * and ?. On a mismatch only the last * is tried again: that is enough, and
// keeps the time within the product of both lengths.
func (p *pattern) wildcard(text string) bool {
	at, pat := 0, 0
	star, from := -1, 0
	for at < len(text) {
		r, n := utf8.DecodeRuneInString(text[at:])
		if pat < len(p.text) {
			want, m := utf8.DecodeRuneInString(p.text[pat:])
			if want == '*' {
				star, from = pat+m, at
				pat += m
				continue
			}
			if want == '?' || want == unicode.ToLower(r) {
				at, pat = at+n, pat+m
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, n = utf8.DecodeRuneInString(text[from:])
		from += n
		at, pat = from, star
	}
	return strings.Trim(p.text[pat:], "*") == ""
}

func writeValue(b *strings.Builder, value string, quoted bool) {
	if !quoted {
		b.WriteString(value)
		return
	}
	b.WriteByte('"')
	for _, r := range value {
		if r == '"' || r == '\\' {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
}
