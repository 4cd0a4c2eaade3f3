package incident_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/incident"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts in testdata really give")

// TestScripts plays the scripts in testdata: a step per line, below it what came of it.
//
//	subject NAME                             a node; "check NAME" is a check that belongs to none
//	10:00:00 fires | ALARM | SERIES | LEVEL  a transition; "@CHECK" after the level is the check it is of
//	10:01:00 recovers | ALARM | SERIES
//	10:02:00 flaps N | ALARM | SERIES | LEVEL   fires and recovers N times, a second apart
//	10:03:00 ack USER · 10:03:00 says USER: TEXT · 10:03:00 resolve USER
//	again                                    all steps so far once more
func TestScripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) { play(t, path) })
	}
}

func play(t *testing.T, path string) {
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	s := &script{}
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "  ") {
			continue
		}
		fmt.Fprintln(&got, line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		for _, out := range s.run(t, line) {
			fmt.Fprintln(&got, "  "+out)
		}
		s.check(t, line)
	}
	if *rewrite {
		if err := os.WriteFile(path, got.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got.String() != string(raw) && !*rewrite {
		t.Errorf("%s gives something else (go test -rewrite writes it):\n%s", path, difference(got.String(), string(raw)))
	}
}

func difference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d\n got  %s\n want %s", i+1, g[i], w[i])
		}
	}
	return "one is longer than the other"
}

// script is an incident under way.
type script struct {
	subject incident.Subject
	in      *muster.Incident
	steps   []func(*muster.Incident) (*muster.Incident, *muster.IncidentChange, error)
}

func (s *script) run(t *testing.T, line string) []string {
	t.Helper()
	if line == "again" {
		before := s.in
		for _, step := range s.steps {
			s.in, _, _ = step(s.in)
		}
		if !reflect.DeepEqual(before, s.in) {
			return append([]string{"CHANGED"}, s.show(s.in)...)
		}
		return []string{"nothing changed"}
	}
	head, rest, _ := strings.Cut(line, " ")
	if head == "subject" || head == "check" {
		*s = script{subject: subjectOf(head, rest)}
		return nil
	}
	at, err := time.Parse(time.DateTime, "2026-03-14 "+head)
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	verb, rest, _ := strings.Cut(rest, " ")
	switch verb {
	case "fires", "recovers":
		return s.step(s.folding(transitionOf(s.subject, at, verb, rest)))
	case "flaps":
		return s.flap(t, at, rest)
	case "ack":
		return s.step(func(in *muster.Incident) (*muster.Incident, *muster.IncidentChange, error) {
			return incident.Acknowledge(in, rest, at)
		})
	case "says":
		by, text, _ := strings.Cut(rest, ": ")
		return s.step(func(in *muster.Incident) (*muster.Incident, *muster.IncidentChange, error) {
			return incident.Comment(in, muster.Comment{At: at, By: by, Name: strings.TrimPrefix(by, "user_"), Text: text})
		})
	case "resolve":
		return s.step(func(in *muster.Incident) (*muster.Incident, *muster.IncidentChange, error) {
			in, change := incident.Resolve(in, rest, at)
			return in, change, nil
		})
	}
	t.Fatalf("%q is no step", line)
	return nil
}

func (s *script) folding(tr muster.Transition) func(*muster.Incident) (*muster.Incident, *muster.IncidentChange, error) {
	return func(in *muster.Incident) (*muster.Incident, *muster.IncidentChange, error) {
		in, change := incident.Fold(in, s.subject, tr)
		return in, change, nil
	}
}

func (s *script) flap(t *testing.T, at time.Time, rest string) (out []string) {
	t.Helper()
	count, rest, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(count)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		s.step(s.folding(transitionOf(s.subject, at.Add(time.Duration(2*i)*time.Second), "fires", rest)))
		out = s.step(s.folding(transitionOf(s.subject, at.Add(time.Duration(2*i+1)*time.Second), "recovers", rest)))
	}
	return out
}

// step takes one and says what came of it.
func (s *script) step(step func(*muster.Incident) (*muster.Incident, *muster.IncidentChange, error)) []string {
	s.steps = append(s.steps, step)
	next, change, err := step(s.in)
	switch {
	case err != nil:
		return []string{"refused: " + muster.Words(err)}
	case change == nil:
		return []string{"nothing"}
	}
	s.in = next
	by := ""
	if change.By != "" {
		by = " by " + change.By
	}
	return append([]string{fmt.Sprintf("%s%s at %s", change.Kind, by, change.At.Format(time.TimeOnly))}, s.show(next)...)
}

func (s *script) show(in *muster.Incident) []string {
	out := []string{fmt.Sprintf("%d %s %s: %s", in.Seq, in.State, in.Level, in.Title)}
	for _, f := range in.Open {
		out = append(out, fmt.Sprintf("  %s since %s: %s %s", f.Level, f.Since.Format(time.TimeOnly), f.Name, f.Series))
	}
	if in.Cut > 0 {
		out = append(out, fmt.Sprintf("  timeline of %d and %d comments, %d cut", len(in.Transitions), len(in.Comments), in.Cut))
	}
	return out
}

// check holds what is true of every incident after every step.
func (s *script) check(t *testing.T, line string) {
	t.Helper()
	in := s.in
	if in == nil {
		return
	}
	back, err := incident.Decode(incident.Encode(in))
	if err != nil || !bytes.Equal(incident.Encode(back), incident.Encode(in)) {
		t.Errorf("after %q the incident does not read back: %v", line, err)
	}
	if (in.State == muster.IncidentResolved) != (len(in.Open) == 0) || in.ResolvedAt.IsZero() != (len(in.Open) > 0) {
		t.Errorf("after %q it is %s with %d open, resolved at %s", line, in.State, len(in.Open), in.ResolvedAt)
	}
	if len(in.Transitions) > muster.MaxTimeline || len(in.Comments) > muster.MaxTimeline {
		t.Errorf("after %q the timeline has %d and %d entries", line, len(in.Transitions), len(in.Comments))
	}
}

func subjectOf(kind, name string) incident.Subject {
	s := incident.Subject{Account: muster.AccountID{1: 7}, Name: name, ID: muster.NodeID{2: 9}}
	if kind == "check" {
		s.Check = muster.CheckOf(s.ID)
	}
	return s
}

func transitionOf(s incident.Subject, at time.Time, verb, rest string) muster.Transition {
	parts := append(strings.Split(strings.TrimPrefix(rest, "| "), " | "), "", "", "")
	level, check, _ := strings.Cut(strings.TrimSpace(parts[2]), " @")
	tr := muster.Transition{
		ID: fmt.Sprintf("%s %s %s %s", verb, parts[0], parts[1], at.Format(time.TimeOnly)), At: at,
		Alarm: muster.AlarmID("alarm_" + parts[0]), Name: parts[0], Series: parts[1], Subject: s.ID, Check: muster.CheckID(check),
		From: muster.AlarmOK, To: muster.AlarmFiring, Level: muster.Level(level), Why: "97 % for 5 min, limit 95 %",
		Inputs: []muster.Input{{At: at.Add(-10 * time.Second), Value: 0.96}, {At: at, Value: 0.97}},
	}
	if verb == "recovers" {
		tr.From, tr.To = tr.To, tr.From
	}
	return tr
}
