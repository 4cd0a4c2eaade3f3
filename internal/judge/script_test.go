package judge_test

import (
	"bufio"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/judge"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts and goldens in testdata really give")

var midnight = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

const scriptCheck = muster.CheckID("check_01h455vb4pex5vsknk084sn02q")

// Scripts are commands, each followed by what it leads to, indented: changes of the state, and verdicts in capitals with
// their level, their words and the inputs kept with them. "#" begins a remark.
//
//	alarm KEY=VALUE...           a rule, and the state before anything was heard
//	TIME VALUE ["TEXT"] [late]   an input; the value may be none, and - where every frame is a sign of life
//	FROM..TO/STEP VALUE [to VALUE] ["TEXT"]   inputs, going evenly from one value to the other
//	clock TIME                   the timer, whether it is due or not
//	again N                      the last N inputs come once more, in their order
//	backwards N                  the same, newest first
//	restart                      the state is written and read, and then all inputs so far come again
//	save / crash                 what was saved is read, and then all inputs so far come again
//	settle TIME                  the server's clock went back to TIME
//	wake                         when the timer is wanted
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, path := range scripts {
		t.Run(filepath.Base(path), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := play(t, string(raw)); got != string(raw) {
				if *rewrite {
					if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
					return
				}
				t.Errorf("%s\n(go test -rewrite writes what is given)", difference(got, string(raw)))
			}
		})
	}
}

// player keeps what a script has done so far.
type player struct {
	t     *testing.T
	out   strings.Builder
	unit  string
	rule  *judge.Rule
	state judge.State
	saved []byte
	fed   []judge.Input
	told  bool // the command led to something
}

func play(t *testing.T, script string) string {
	p := &player{t: t}
	lines := bufio.NewScanner(strings.NewReader(script))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || line[0] == '#':
			fmt.Fprintln(&p.out, line)
		case lines.Text()[0] == ' ': // what an earlier run gave
		default:
			fmt.Fprintln(&p.out, line)
			p.told = false
			p.do(line)
			if !p.told {
				p.say("still %s", p.state.Status())
			}
		}
	}
	return p.out.String()
}

func (p *player) say(format string, args ...any) {
	p.told = true
	fmt.Fprintf(&p.out, "    "+format+"\n", args...)
}

func (p *player) do(line string) {
	words := strings.Fields(line)
	switch words[0] {
	case "alarm":
		p.compile(words[1:])
	case "clock":
		p.step(func() (judge.State, *judge.Verdict) { return p.rule.Silence(p.state, p.at(words[1])) })
	case "again", "backwards":
		n, _ := strconv.Atoi(words[1])
		last := p.fed[len(p.fed)-n:]
		for i := range last {
			if words[0] == "backwards" {
				i = n - 1 - i
			}
			p.feed(last[i])
		}
	case "restart", "save":
		p.saved = judge.AppendState(nil, p.state)
		if words[0] == "save" {
			p.say("saved")
			return
		}
		p.recall()
	case "crash":
		p.recall()
	case "settle":
		p.step(func() (judge.State, *judge.Verdict) { return p.rule.Settle(p.state, p.at(words[1])), nil })
	case "wake":
		at, ok := p.rule.Wake(p.state)
		if !ok {
			p.say("never")
			return
		}
		p.say("at %s", clock(at))
	default:
		p.inputs(line, words)
	}
}

// recall reads what was saved and gives it all inputs again.
func (p *player) recall() {
	state, err := judge.ParseState(p.saved)
	if err != nil {
		p.t.Fatal(err)
	}
	p.state = state
	for _, in := range p.fed {
		p.feed(in)
	}
}

func (p *player) feed(in judge.Input) {
	p.step(func() (judge.State, *judge.Verdict) { return p.rule.Judge(p.state, in, midnight.Add(-time.Hour)) })
}

// step takes a step and says what it led to.
func (p *player) step(take func() (judge.State, *judge.Verdict)) {
	was := p.state.Status()
	next, v := take()
	p.state = next
	if v != nil {
		p.say("%-9s %s %s: %s", clock(v.At), strings.ToUpper(string(v.To)), v.Level, v.Why)
		for _, in := range v.Inputs {
			text := ""
			if in.Text != "" {
				text = " " + strconv.Quote(in.Text)
			}
			p.say("            %-9s %s%s", clock(in.At), strings.Replace(fmt.Sprintf("%.5g", in.Value), "NaN", "none", 1), text)
		}
		return
	}
	if is := next.Status(); is != was {
		p.say("%-9s %s", clock(next.Since()), is)
	}
}

// inputs reads "TIME VALUE ..." and "FROM..TO/STEP VALUE ...".
func (p *player) inputs(line string, words []string) {
	from, rest, many := strings.Cut(words[0], "..")
	in := judge.Input{Unit: p.unit, Late: words[len(words)-1] == "late"}
	if _, quoted, ok := strings.Cut(line, `"`); ok {
		in.Text, _, _ = strings.Cut(quoted, `"`)
	}
	first, last := p.value(words[1]), p.value(words[1])
	if len(words) > 3 && words[2] == "to" {
		last = p.value(words[3])
	}
	begin, end, step := p.at(from), p.at(from), time.Second
	if many {
		to, every, _ := strings.Cut(rest, "/")
		end, step = p.at(to), p.span(every)
	}
	for at := begin; !at.After(end); at = at.Add(step) {
		in.At, in.Value = at.UnixMilli(), first
		if end.After(begin) {
			in.Value += (last - first) * float64(at.Sub(begin)) / float64(end.Sub(begin))
		}
		p.fed = append(p.fed, in)
		p.feed(in)
	}
}

func (p *player) value(text string) float64 {
	switch text {
	case "none":
		return math.NaN()
	case "-":
		return 0
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

func (p *player) at(text string) time.Time { return midnight.Add(p.span(text)) }

func (p *player) span(text string) time.Duration {
	d, err := duration(text)
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

// duration reads Go's durations, and days before them: "2d3h".
func duration(text string) (time.Duration, error) {
	days := 0
	if before, after, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.Atoi(before)
		if err != nil {
			return 0, err
		}
		if days, text = n, after; text == "" {
			text = "0"
		}
	}
	d, err := time.ParseDuration(text)
	return d + time.Duration(days)*24*time.Hour, err
}

func clock(at time.Time) string {
	text := at.Sub(midnight).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	return strings.TrimSuffix(text, "h0m") + map[bool]string{true: "h"}[strings.HasSuffix(text, "h0m")]
}

func (p *player) compile(words []string) {
	a, unit := alarm(p.t, words)
	p.unit, p.state, p.fed, p.saved = unit, judge.State{}, nil, nil
	rule, err := judge.Compile(a)
	if err != nil {
		p.t.Fatal(err)
	}
	p.rule = rule
	told := fmt.Sprintf("told within %s of a breach, with an input every 10 s", judge.TellWithin(rule, 10*time.Second))
	p.say("%s", told)
}

// alarm makes one of words such as "op=>" and "recover.for=2m".
func alarm(t testing.TB, words []string) (*muster.Alarm, string) {
	t.Helper()
	a, c, unit := &muster.Alarm{Level: muster.LevelCritical}, &muster.Condition{}, ""
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		span, _ := duration(value)
		number, _ := strconv.ParseFloat(value, 64)
		switch key {
		case "metric":
			a.Metric = value
		case "unit":
			unit = value
		case "check":
			a.Check = scriptCheck
		case "level":
			a.Level = muster.Level(value)
		case "nodata":
			a.NoData.After = span
		case "is":
			a.NoData.Is = muster.NoDataIs(value)
		case "fn":
			c.Fn = muster.Fn(value)
		case "within":
			c.Within = span
		case "op":
			c.Op = muster.Op(value)
		case "value":
			c.Value = number
		case "for":
			c.For = span
		case "recover.op":
			c.Recover.Op = muster.Op(value)
		case "recover.value":
			c.Recover.Value = number
		case "recover.for":
			c.Recover.For = span
		default:
			t.Fatalf("%q", word)
		}
	}
	if *c != (muster.Condition{}) {
		a.Condition = c
	}
	return a, unit
}

func difference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	command := ""
	for i := range g {
		if !strings.HasPrefix(g[i], " ") {
			command = g[i]
		}
		if i >= len(w) || g[i] != w[i] {
			return fmt.Sprintf("line %d, after %q\n got %q\nwant %q", i+1, command, g[i], append(w, "")[min(i, len(w))])
		}
	}
	return "lines are missing at the end"
}
