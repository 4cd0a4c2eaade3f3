package filter

import "fmt"

// parser turns words into a query: "or" binds weakest, then "and" and mere neighbourhood, then "not".
type parser struct {
	words []word
	at    int
}

func (p *parser) word() *word { return &p.words[p.at] }

func (p *parser) fail(format string, args ...any) *Error {
	return &Error{Pos: p.word().pos, Reason: fmt.Sprintf(format, args...)}
}

func (p *parser) any(depth int) (expr, *Error) {
	var parts either
	for {
		part, err := p.all(depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
		if p.word().kind != wordOr {
			break
		}
		p.at++
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return parts, nil
}

func (p *parser) all(depth int) (expr, *Error) {
	var parts both
	for {
		part, err := p.one(depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
		switch p.word().kind {
		case wordAnd:
			p.at++
			continue
		case wordEnd, wordClose, wordOr:
		default:
			continue
		}
		break
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return parts, nil
}

// one reads a term, a negation, or something in parentheses.
func (p *parser) one(depth int) (expr, *Error) {
	if depth > MaxDepth {
		return nil, p.fail("nested more than %d deep", MaxDepth)
	}
	w := p.word()
	switch w.kind {
	case wordDash, wordNot:
		p.at++
		if next := p.word(); w.kind == wordDash && (next.kind == wordDash || next.pos != w.pos+1) {
			return nil, &Error{w.pos, `"-" must stand right before what it turns round, once`}
		}
		of, err := p.one(depth + 1)
		if err != nil {
			return nil, err
		}
		return not{of}, nil
	case wordOpen:
		return p.group(depth)
	case wordTerm:
		p.at++
		return newTerm(w)
	case wordEnd:
		return nil, p.fail("something is missing at the end")
	case wordClose:
		return nil, p.fail("\")\" closes nothing")
	}
	return nil, p.fail("%s needs something before it", w.show())
}

func (p *parser) group(depth int) (expr, *Error) {
	open := p.word()
	p.at++
	if p.word().kind == wordClose {
		return nil, &Error{open.pos, "there is nothing between the parentheses"}
	}
	inner, err := p.any(depth + 1)
	if err != nil {
		return nil, err
	}
	if p.word().kind != wordClose {
		return nil, &Error{open.pos, "this parenthesis is never closed"}
	}
	p.at++
	return inner, nil
}
