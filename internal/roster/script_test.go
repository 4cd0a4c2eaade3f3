package roster_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/roster"
)

var rewrite = flag.Bool("rewrite", false, "write what happens into the scripts")

// TestScripts plays testdata/*.txt. A line that begins with "> " is a command, the lines after it are what
// came of it; others are comment. The commands:
//
//	create NAME KIND [period=] [timeout=] [zones=a,b] [node=N] [url=] [grace=] [off]
//	update NAME [rename=] [period=] [timeout=] [zones=] [node=] [url=] [grace=] [on|off]
//	delete NAME                  result NAME STATUS [DURATION] [zone=] [ago=] [note=TEXT] [class=] [error=]
//	sleep DURATION               show NAME | results NAME | texts NAME | log | counts | list [TEXT]
//	join N | leave N | local N | zone NAME N,N | deaf | hears
//	call NAME [STATUS] [DURATION] [message]
//	full | room                  frames can't be taken; can be again (silence is judged only then)
//	deny | allow                 frames can't be taken; can be again
//	away | back                  the store
//	restart [DURATION]           the server, which was away that long
//	gone N                       node N is deleted
//	first URL
//
// Time starts at 0s; a word may hold _ for a space.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			synctest.Test(t, func(t *testing.T) { got = play(t, string(text)) })
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want := strings.Split(string(text), "\n")
			for i, line := range strings.Split(got, "\n") {
				if i >= len(want) || line != want[i] {
					t.Fatalf("%s:%d:\n got %s\nwant %s", file, i+1, line, at(want, i))
				}
			}
			if n := strings.Count(got, "\n"); n+1 != len(want) {
				t.Fatalf("%s: %d lines, want %d", file, n, len(want)-1)
			}
		})
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(the end)"
}

// player plays one script.
type player struct {
	*world
	begin time.Time
	nodes map[string]muster.NodeID
	stop  func()
	out   strings.Builder
}

func play(t *testing.T, text string) string {
	p := &player{world: newWorld(t), begin: time.Now(), nodes: map[string]muster.NodeID{}}
	time.Sleep(500 * time.Millisecond) // commands fall between the ticks
	p.stop = p.run()
	defer func() { p.stop() }()
	comment := true
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		command, ok := strings.CutPrefix(line, "> ")
		switch {
		case ok:
			p.out.WriteString(line + "\n")
			p.play(strings.Fields(command))
			comment = false
		case line == "" || strings.HasPrefix(line, "#"):
			comment = true
			p.out.WriteString(line + "\n")
		case comment:
			p.out.WriteString(line + "\n")
		}
	}
	return p.out.String()
}

func (p *player) say(format string, args ...any) { fmt.Fprintf(&p.out, format+"\n", args...) }

// when gives an instant as the time since the beginning.
func (p *player) when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Sub(p.begin).Round(time.Millisecond).String()
}

// words are the rest of a command: key=value, or a word alone.
type words struct {
	alone []string
	named map[string]string
}

func read(fields []string) words {
	w := words{named: map[string]string{}}
	for _, f := range fields {
		f = strings.ReplaceAll(f, "_", " ")
		if key, value, ok := strings.Cut(f, "="); ok {
			w.named[key] = value
		} else {
			w.alone = append(w.alone, f)
		}
	}
	return w
}

func duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}

func (p *player) node(name string) muster.NodeID {
	if p.nodes[name].IsZero() {
		p.nodes[name] = muster.NodeID([]byte(fmt.Sprintf("%-16s", name)))
		p.set(func() { p.names[p.nodes[name].String()] = name })
	}
	return p.nodes[name]
}

func (p *player) find(name string) *muster.Check {
	row, err := p.r.Find(p.account, name)
	if err != nil {
		p.t.Fatalf("script: %v; so far:\n%s", err, p.out.String())
	}
	return row.Check
}

func (p *player) play(fields []string) {
	verb, w := fields[0], read(fields[1:])
	switch verb {
	case "create", "update", "delete", "first", "gone":
		p.playEdit(verb, w)
	case "join", "leave", "local", "zone", "deaf", "hears":
		p.playRunner(verb, w)
	case "result":
		p.playResult(w)
	case "call":
		p.playCall(w)
	case "full", "room":
		p.set(func() { p.mayNot = verb == "full" })
		p.series.setDown(verb == "full")
	case "deny", "allow":
		p.series.setDown(verb == "deny")
	case "away", "back":
		p.store.set(verb == "away", false)
	case "sleep":
		time.Sleep(duration(w.alone[0]))
	case "restart":
		p.stop()
		for _, d := range w.alone {
			time.Sleep(duration(d))
		}
		p.reopen()
		p.stop = p.run()
	default:
		p.look(verb, w)
	}
	synctest.Wait()
	p.happened()
}

// happened tells what others heard of.
func (p *player) happened() {
	var lines []string
	for _, line := range p.told() {
		lines = append(lines, "told "+line)
	}
	for _, c := range p.changed() {
		var what []string
		if c.Zone != "" {
			what = append(what, "result "+c.Zone)
		}
		for word, is := range map[string]bool{"edited": c.Edited, "gone": c.Gone, "status": c.Status} {
			if is {
				what = append(what, word)
			}
		}
		slices.Sort(what)
		lines = append(lines, fmt.Sprintf("changed %s: %s", p.name(string(c.Check)), strings.Join(what, ", ")))
	}
	for i := 0; i < len(lines); {
		n := 1
		for i+n < len(lines) && lines[i+n] == lines[i] {
			n++
		}
		if n > 1 {
			lines[i] += fmt.Sprintf(" (%d times)", n)
		}
		p.say("  %s", lines[i])
		i += n
	}
}

func (p *player) config(c *muster.Check, w words) {
	if url, ok := w.named["url"]; ok {
		c.Config = []byte(strconv.AppendQuote([]byte(`{"url":`), url))
		c.Config = append(c.Config, '}')
	}
	if grace, ok := w.named["grace"]; ok {
		c.Config = []byte(`{"grace":"` + grace + `"}`)
	}
	for key, to := range map[string]*time.Duration{"period": &c.Period, "timeout": &c.Timeout} {
		if d, ok := w.named[key]; ok {
			*to = duration(d)
		}
	}
	if zones, ok := w.named["zones"]; ok {
		c.Zones = strings.Split(zones, ",")
	}
	if node, ok := w.named["node"]; ok {
		c.Node = p.node(node)
	}
	if name, ok := w.named["rename"]; ok {
		c.Name = name
	}
	if slices.Contains(w.alone, "off") {
		c.Enabled = false
	}
	if slices.Contains(w.alone, "on") {
		c.Enabled = true
	}
}

func (p *player) playEdit(verb string, w words) {
	ctx := context.Background()
	var err error
	switch verb {
	case "create":
		c := &muster.Check{Name: w.alone[0], Kind: w.alone[1], Enabled: true}
		if c.Name == "-" {
			c.Name = ""
		}
		if c.Kind != roster.KindPush {
			c.Config = []byte(`{"url":"https://` + w.alone[0] + `.example/"}`)
		}
		p.config(c, w)
		var row roster.Row
		if row, err = p.r.Create(ctx, p.edit(""), c); err == nil {
			p.set(func() { p.names[string(row.Check.ID)] = row.Check.Name })
			p.say("  %s: %s period %s timeout %s zones %s", row.Check.Name, row.Check.Target, row.Check.Period, row.Check.Timeout, strings.Join(row.Check.Zones, " "))
		}
	case "update":
		var row roster.Row
		row, err = p.r.Update(ctx, p.edit(p.find(w.alone[0]).ID), func(c *muster.Check) error { p.config(c, w); return nil })
		if err == nil {
			p.say("  %s: %s period %s timeout %s zones %s", row.Check.Name, row.Check.Target, row.Check.Period, row.Check.Timeout, strings.Join(row.Check.Zones, " "))
		}
	case "delete":
		err = p.r.Delete(ctx, p.edit(p.find(w.alone[0]).ID))
	case "first":
		err = p.r.EnsureFirst(ctx, p.account, w.alone[0])
		for _, row := range p.r.List(p.account, roster.ListOptions{Text: roster.FirstName}) {
			p.set(func() { p.names[string(row.Check.ID)] = row.Check.Name })
		}
	case "gone":
		id := p.node(w.alone[0])
		p.set(func() { p.noNode[id] = true })
		p.r.NodeGone(p.account, id)
	}
	p.fail(err)
}

// fail tells an error by its kind and words.
func (p *player) fail(err error) {
	if err == nil {
		return
	}
	var config *check.ConfigError
	if errors.As(err, &config) {
		for _, f := range config.Fields {
			p.say("  field %s %s", f.Field, f.Message)
		}
		return
	}
	p.say("  error %s: %s", muster.Kind(err), muster.Words(err))
}

func (p *player) playRunner(verb string, w words) {
	switch verb {
	case "join":
		p.r.Joined(p.account, p.node(w.alone[0]))
	case "leave":
		p.r.Left(p.account, p.node(w.alone[0]))
	case "local":
		p.r.SetLocal(p.account, p.node(w.alone[0]))
	case "zone":
		var nodes []muster.NodeID
		for name := range strings.SplitSeq(w.alone[1], ",") {
			nodes = append(nodes, p.node(name))
		}
		roster.SetZone(p.r, p.account, w.alone[0], nodes...)
	case "deaf", "hears":
		p.set(func() { p.deaf = verb == "deaf" })
	}
}

func (p *player) playResult(w words) {
	run := run1{at: time.Now(), status: muster.CheckStatus(w.alone[1]), zone: w.named["zone"], code: 200}
	if len(w.alone) > 2 {
		run.took = duration(w.alone[2])
	}
	if ago, ok := w.named["ago"]; ok {
		run.at = run.at.Add(-duration(ago))
	}
	if note, ok := w.named["note"]; ok || w.named["class"] != "" || w.named["error"] != "" {
		run.note = &check.Note{Summary: note, Class: w.named["class"], Error: w.named["error"]}
	}
	p.hear(p.find(w.alone[0]), run)
}

func (p *player) playCall(w words) {
	c := p.find(w.alone[0])
	var call roster.PushCall
	for _, word := range w.alone[1:] {
		if d, err := time.ParseDuration(word); err == nil {
			call.Duration = d
		} else if call.Status == "" && (word == "ok" || word == "warning" || word == "critical" || word == "unknown") {
			call.Status = muster.CheckStatus(word)
		} else {
			call.Message = word
		}
	}
	p.fail(p.r.Push(context.Background(), roster.PushToken(c), call))
}

func (p *player) result(r muster.Result) string {
	parts := []string{r.Zone, p.when(r.At), string(r.Status), strconv.Quote(r.Summary)}
	if r.Class != "" || r.Error != "" {
		parts = append(parts, r.Class+"/"+strconv.Quote(r.Error))
	}
	for _, m := range r.Metrics {
		parts = append(parts, fmt.Sprintf("%s=%v", m.Metric.Name, m.Value))
	}
	return strings.Join(parts, " ")
}

func (p *player) look(verb string, w words) {
	switch verb {
	case "show":
		row := p.get(p.find(w.alone[0]).ID)
		p.say("  %s since %s", row.Status, p.when(row.Since))
		for _, r := range row.Last {
			p.say("  last %s", p.result(r))
		}
	case "results":
		list, next, err := p.r.Results(context.Background(), p.account, p.find(w.alone[0]).ID, "", 0)
		p.fail(err)
		for _, r := range list {
			p.say("  %s", p.result(r))
		}
		if next != "" {
			p.say("  and more")
		}
	case "texts":
		for _, row := range p.store.texts(p.account, p.find(w.alone[0]).ID) {
			b := body(p.t, row)
			p.say("  %s %s %s since %s %q %s/%q", row.ID, p.when(time.UnixMilli(row.At)), b.Status, p.when(time.UnixMilli(b.Since)), b.Summary, b.Class, b.Error)
		}
	case "log":
		for _, e := range p.store.lines() {
			p.say("  %s %s by %s: %s", e.Kind, e.Name, e.Actor, strings.ReplaceAll(e.Text, e.Subject, "ID"))
		}
		p.store.mu.Lock()
		p.store.events = nil
		p.store.mu.Unlock()
	case "counts":
		counts := p.r.Counts(p.account)
		for _, status := range slices.Sorted(maps.Keys(counts)) {
			p.say("  %s %d", status, counts[status])
		}
	case "list":
		for _, row := range p.r.List(p.account, roster.ListOptions{Text: strings.Join(w.alone, " ")}) {
			p.say("  %s %s %s", row.Check.Name, row.Check.Target, row.Status)
		}
	default:
		p.t.Fatalf("script: no command %q", verb)
	}
}
