package alarm_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/alarm"
	"muster/internal/incident"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts in testdata really give")

// TestScripts plays testdata/*.txt. Lines that begin with ">" are what was told after the command above them; a script's
// first lines say what it shows.
func TestScripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s := &script{world: newWorld(t)}
			s.caught()
			var out strings.Builder
			for line := range strings.Lines(string(text)) {
				line = strings.TrimRight(line, "\n")
				if strings.HasPrefix(line, ">") {
					continue
				}
				fmt.Fprintln(&out, line)
				if words := strings.Fields(line); len(words) > 0 && words[0] != "#" {
					s.do(words)
					out.WriteString(s.told())
				}
			}
			if *rewrite {
				if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if out.String() != string(text) {
				t.Errorf("%s gives:\n%s", path, out.String())
			}
		})
	}
}

type script struct {
	*world
	read int // entries of the ledger
}

// told gives what was written since the last call: when, what became of which incident, and why.
func (s *script) told() string {
	var out strings.Builder
	entries := s.ledger.entries
	for _, e := range entries[s.read:] {
		if e.Transition == nil {
			continue
		}
		c, err := incident.DecodeChange(e.Transition)
		in, inErr := incident.Decode(e.State)
		if err != nil || inErr != nil {
			s.t.Fatal(err, inErr)
		}
		fmt.Fprintf(&out, "> %s %s %s %q", c.At.Sub(begin).Round(time.Second), c.Kind, in.Level, in.Title)
		if c.Transition != nil {
			fmt.Fprintf(&out, ": %s", c.Transition.Why)
		}
		fmt.Fprintln(&out)
	}
	s.read = len(entries)
	return out.String()
}

func (s *script) span(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func (s *script) number(text string) float64 {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

func (s *script) do(words []string) {
	switch rest := words[1:]; words[0] {
	case "node":
		s.node(rest[0])
	case "check": // check NAME NODE|-
		var node muster.NodeID
		if rest[1] != "-" {
			node = s.named(rest[1]).ID
		}
		s.check(rest[0], node)
	case "alarm":
		s.define(rest)
	case "defaults":
		if err := s.w.EnsureDefaults(s.context(), s.world.account); err != nil {
			s.t.Fatal(err)
		}
	case "every": // every 10s for 1m HEARD; HEARD
		for range int(s.span(rest[2]) / s.span(rest[0])) {
			s.tick(s.span(rest[0]))
			for _, one := range strings.Split(strings.Join(rest[3:], " "), ";") {
				s.say(strings.Fields(one))
			}
		}
		s.tick(0)
		s.w.Flush(s.context(), false)
	case "wait":
		s.tick(s.span(rest[0]))
	case "kill": // kill hears the log of the last minutes again
		s.crash(s.clock().Add(-3 * time.Minute))
		s.w.Flush(s.context(), false)
	default:
		s.edit(words)
		s.w.Flush(s.context(), false)
	}
}

// edit changes a document: bye NODE REASON, back NODE, unwatch NODE, off ALARM, delete ALARM, ack NODE.
func (s *script) edit(words []string) {
	s.tick(time.Second)
	switch words[0] {
	case "bye", "back", "unwatch":
		n := *s.named(words[1])
		n.Farewell, n.Unwatched = muster.Farewell{}, words[0] == "unwatch"
		if words[0] == "bye" {
			n.Farewell = muster.Farewell{Reason: muster.FarewellReason(words[2]), At: s.clock()}
		}
		s.fleet.setNode(&n)
		s.w.NodeChanged(s.world.account, n.ID)
	case "off", "delete":
		a, err := s.w.Find(s.world.account, strings.Join(words[1:], " "))
		if err != nil {
			s.t.Fatal(err)
		}
		if words[0] == "off" {
			s.update(a, func(a *muster.Alarm) { a.Enabled = false })
		} else if err := s.w.Delete(s.context(), alarm.Edit{Account: a.Account, ID: a.ID}); err != nil {
			s.t.Fatal(err)
		}
	default:
		s.t.Fatalf("no such command: %q", words)
	}
}

// say is one thing that is heard: NODE METRIC=VALUE..., or CHECK STATUS NOTE.
func (s *script) say(words []string) {
	for _, c := range s.fleet.checks {
		if c.Name == words[0] {
			s.hear(s.result(c, s.number(words[1]), strings.Join(words[2:], " ")))
			return
		}
	}
	values := map[string]float64{}
	for _, word := range words[1:] {
		at := strings.LastIndex(word, "=")
		values[word[:at]] = s.number(word[at+1:])
	}
	s.hear(s.frame(s.named(words[0]).ID, values))
}

func (s *script) named(name string) *muster.Node {
	for _, n := range s.fleet.nodes {
		if n.Name == name {
			return n
		}
	}
	s.t.Fatalf("no node %s", name)
	return nil
}

// define makes an alarm: alarm NAME metric=M op=OP value=V for=D back=OP,V,D silence=D,IS level=L query=Q
func (s *script) define(words []string) {
	a := &muster.Alarm{Name: words[0]}
	c := &muster.Condition{}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		parts := strings.Split(value, ",")
		switch key {
		case "metric":
			a.Metric, a.Condition = value, c
		case "op":
			c.Op = muster.Op(value)
		case "value":
			c.Value = s.number(value)
		case "for":
			c.For = s.span(value)
		case "back":
			c.Recover = muster.Recovery{Op: muster.Op(parts[0]), Value: s.number(parts[1]), For: s.span(parts[2])}
		case "silence":
			a.NoData = muster.NoData{After: s.span(parts[0]), Is: muster.NoDataIs(parts[1])}
		case "level":
			a.Level = muster.Level(value)
		case "query":
			a.Query = value
		}
	}
	s.alarm(a)
}
