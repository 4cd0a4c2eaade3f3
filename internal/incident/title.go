package incident

import (
	"fmt"
	"strings"

	"muster"
)

// maxTitle is the longest title, in bytes.
const maxTitle = 300

// Title says in one line whose incident it is and what is wrong: "edge-fra-3 is silent", "api-07 · HTTP
// /health fails", "db-primary · Memory exhausted, and 2 more". The worst of what is open stands first,
// then the oldest; of a resolved incident it is all that was wrong. Fold keeps it in Incident.Title.
//
// What is wrong is the alarm's name, then the series when there are several. A name that begins with
// "is ", "has ", "fails" and the like, with or without "Node" or "Check" before that, makes a sentence.
// The series of a check is the check's name, and stands before what is wrong with it.
func Title(in *muster.Incident) string {
	wrong := wrongs(in)
	if len(wrong) == 0 {
		return clip(in.Name, maxTitle)
	}
	first := 0
	for i := range wrong {
		if wrong[i].Level.Worse(wrong[first].Level) {
			first = i
		}
	}
	title := one(in.Name, &wrong[first])
	if len(wrong) == 1 {
		return clip(title, maxTitle)
	}
	more := fmt.Sprintf(", and %d more", len(wrong)-1)
	return clip(title, maxTitle-len(more)) + more
}

// wrongs gives what is wrong, oldest first: what is open, or all that was when nothing is.
func wrongs(in *muster.Incident) []muster.Firing {
	if len(in.Open) > 0 {
		return in.Open
	}
	var out []muster.Firing
	seen := map[seriesKey]bool{}
	for i := range in.Transitions {
		t := &in.Transitions[i]
		if key := (seriesKey{t.Alarm, t.Series}); !seen[key] {
			seen[key] = true
			out = append(out, firing(t))
		}
	}
	return out
}

// one says what a single firing does to the one it is about.
func one(name string, f *muster.Firing) string {
	does, sentence := predicate(f.Name)
	series, ofCheck := short(f.Series), f.Check != ""
	if rest, own := strings.CutPrefix(series, name+", "); ofCheck && own {
		series, ofCheck = rest, false // the check is the subject: it is named already
	}
	switch {
	case series == name || series == f.Name:
		series = ""
	case ofCheck && series != "" && sentence:
		return name + " · " + series + " " + does
	case ofCheck && series != "":
		return name + " · " + series + ": " + f.Name
	}
	text := name + " · " + f.Name
	if sentence {
		text = name + " " + does
	}
	if series != "" {
		text += ": " + series
	}
	return text
}

// nouns are what names of alarms call a subject; verbs are what they go on with.
func nouns() []string { return []string{"node", "check", "host", "machine", "server", "agent"} }

func verbs() []string {
	return []string{"is", "isn't", "was", "has", "hasn't", "does", "doesn't", "did", "didn't", "can't", "cannot", "fails", "failed", "keeps", "needs", "runs"}
}

// predicate gives the part of an alarm's name that says something of its subject; false when it has none.
func predicate(name string) (string, bool) {
	first, rest, _ := strings.Cut(name, " ")
	if word(first, nouns()) {
		name = rest
		first, rest, _ = strings.Cut(rest, " ")
	}
	if !word(first, verbs()) {
		return "", false
	}
	return strings.TrimSpace(strings.ToLower(first) + " " + rest), true
}

func word(w string, of []string) bool {
	for _, other := range of {
		if strings.EqualFold(w, other) {
			return true
		}
	}
	return false
}

// short takes the keys from a series that is written as attributes: "system.filesystem.mountpoint=/var" is "/var".
// A key has a dot; what has none may be part of a check's name.
func short(series string) string {
	parts := strings.Split(series, ", ")
	for i, part := range parts {
		key, value, ok := strings.Cut(part, "=")
		if ok && value != "" && strings.Contains(key, ".") && strings.IndexFunc(key, notKey) < 0 {
			parts[i] = value
		}
	}
	return strings.Join(parts, ", ")
}

func notKey(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
}
