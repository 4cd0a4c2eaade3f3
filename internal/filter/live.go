package filter

import "strings"

// Live gives a part of the query that asks how a node is at the moment, or how long ago something was, as it would be
// written: `cpu>80`. It is "" when the answer only changes with what is known of a node, its document: then it
// needs to be asked only when that changes.
func (q *Query) Live() string {
	if t := live(q.root); t != nil {
		var b strings.Builder
		t.write(&b, false)
		return b.String()
	}
	return ""
}

func live(e expr) *term {
	switch e := e.(type) {
	case not:
		return live(e.of)
	case both:
		return firstLive(e)
	case either:
		return firstLive(e)
	case *term:
		if e.live() {
			return e
		}
	}
	return nil
}

func firstLive(parts []expr) *term {
	for _, part := range parts {
		if t := live(part); t != nil {
			return t
		}
	}
	return nil
}

// live says whether the term looks at more than the node's document. What is compared is measured, or an age.
func (t *term) live() bool {
	value := lower(t.value)
	switch {
	case t.key != "" && t.op != ":":
		return true
	case t.key == "is":
		return value != "starred" && value != "star"
	case t.key == "agent":
		return value == "connected" || value == "none"
	}
	return t.key == "state" || t.key == "has"
}
