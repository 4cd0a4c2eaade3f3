package incident

import (
	"math"
	"slices"

	"muster"
)

// What an incident keeps of the texts in a transition, in bytes.
const (
	maxName   = 200
	maxSeries = 300
	maxWhy    = 400
	maxText   = 160 // of an input
)

// MaxSize is about how many bytes the encoded incident may have: it is saved whole with every change.
const MaxSize = 128 << 10

// keepOfSeries is how many transitions of an alarm and series are cut only when nothing else can be.
const keepOfSeries = 2

// fullInputs is how many of the newest transitions keep their inputs when room is short.
const fullInputs = 3

// tidy makes a transition fit to be kept.
func tidy(t muster.Transition) muster.Transition {
	t.At = instant(t.At)
	t.Name, t.Series, t.Why = clip(t.Name, maxName), clip(t.Series, maxSeries), clip(t.Why, maxWhy)
	inputs := t.Inputs[max(0, len(t.Inputs)-muster.MaxInputs):]
	t.Inputs = nil
	for _, in := range inputs {
		in.At, in.Text = instant(in.At), clip(in.Text, maxText)
		if math.IsInf(in.Value, 0) {
			in.Value = math.NaN()
		}
		t.Inputs = append(t.Inputs, in)
	}
	t.Channels = slices.Clone(t.Channels)
	return t
}

// knows says whether the transition was taken before. One that still stands in the timeline is known by
// its id. Of an alarm and series with transitions that were cut out the newest two stand there, since
// these are cut last, and what is older than both was taken before. Time alone says nothing of the newest:
// a node that was called silent may be well again by a measurement of the minute before.
func knows(in *muster.Incident, t *muster.Transition) bool {
	if in == nil {
		return false
	}
	newer := 0
	for i := len(in.Transitions) - 1; i >= 0; i-- {
		old := &in.Transitions[i]
		if old.ID == t.ID {
			return true
		}
		if sameSeries(old, t) {
			newer++
		}
		if newer == keepOfSeries && sameSeries(old, t) && in.Cut > 0 && t.At.Before(old.At) {
			return true
		}
	}
	return false
}

// said says whether the comment was taken before.
func said(in *muster.Incident, c *muster.Comment) bool {
	if in.Cut > 0 && len(in.Comments) == muster.MaxTimeline && c.At.Before(in.Comments[0].At) {
		return true
	}
	return slices.ContainsFunc(in.Comments, func(old muster.Comment) bool {
		return old.At.Equal(c.At) && old.By == c.By && old.Text == c.Text
	})
}

func sameSeries(a, b *muster.Transition) bool { return a.Alarm == b.Alarm && a.Series == b.Series }

// cut leaves entries out until the incident has at most muster.MaxTimeline of a kind and about MaxSize bytes.
func cut(in *muster.Incident) {
	for len(in.Transitions) > muster.MaxTimeline {
		cutTransition(in)
	}
	for len(in.Comments) > muster.MaxTimeline {
		cutComment(in)
	}
	for weight(in) > MaxSize && lighten(in) {
	}
}

// cutTransition leaves out the oldest transition that two newer of its alarm and series have overtaken,
// so that a flapping alarm does not push out how the others stand; without such a one, the oldest that
// one has; else the oldest.
func cutTransition(in *muster.Incident) {
	newer := map[seriesKey]int{}
	at, overtaken := 0, 0
	for i := len(in.Transitions) - 1; i >= 0; i-- {
		key := seriesKey{in.Transitions[i].Alarm, in.Transitions[i].Series}
		if n := min(newer[key], keepOfSeries); n >= overtaken {
			at, overtaken = i, n
		}
		newer[key]++
	}
	in.Transitions = slices.Delete(in.Transitions, at, at+1)
	in.Cut++
}

type seriesKey struct {
	alarm  muster.AlarmID
	series string
}

func cutComment(in *muster.Incident) {
	in.Comments = slices.Delete(in.Comments, 0, 1)
	in.Cut++
}

// lighten leaves out what is missed least; false when nothing is left that may go.
func lighten(in *muster.Incident) bool {
	old := in.Transitions[:max(0, len(in.Transitions)-fullInputs)]
	switch {
	case slices.ContainsFunc(old, func(t muster.Transition) bool { return t.Inputs != nil }):
		for i := range old {
			old[i].Inputs = nil
		}
	case len(in.Comments) > 1:
		cutComment(in)
	case len(in.Transitions) > 1:
		cutTransition(in)
	case slices.ContainsFunc(in.Open, func(f muster.Firing) bool { return f.Why != "" }):
		for i := range in.Open {
			in.Open[i].Why = ""
		}
	case len(in.Open) > 1:
		// The end of the newest will not be missed: the incident is open by hundreds of others.
		in.Open = in.Open[:len(in.Open)-1]
	default:
		return false
	}
	return true
}

// weight guesses the size of the encoded incident, and never too low: the constants are the names of the
// fields, times and numbers.
func weight(in *muster.Incident) int {
	sum := 700 + width(in.Title) + width(in.Name)
	for i := range in.Open {
		f := &in.Open[i]
		sum += 140 + len(f.Alarm) + len(f.Check) + width(f.Name) + width(f.Series) + width(f.Why)
	}
	for i := range in.Transitions {
		t := &in.Transitions[i]
		sum += 270 + width(t.ID) + len(t.Alarm) + len(t.Check) + width(t.Name) + width(t.Series) + width(t.Why)
		for j := range t.Inputs {
			sum += 90 + width(t.Inputs[j].Text)
		}
		for _, channel := range t.Channels {
			sum += 4 + len(channel)
		}
	}
	for i := range in.Comments {
		c := &in.Comments[i]
		sum += 80 + width(c.By) + width(c.Name) + width(c.Text)
	}
	return sum
}

// width is how many bytes a text takes as JSON, or a few more.
func width(s string) int {
	n := len(s)
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ':
			n += len(`\u0001`) - 1
		case c == '"' || c == '\\':
			n++
		case c == 0xe2: // perhaps a line separator, which JSON's writer escapes
			n += len(`\u2028`) - len("\u2028")
		}
	}
	return n
}
