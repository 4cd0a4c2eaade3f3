package filter_test

import (
	"bufio"
	"errors"
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
	"muster/internal/filter"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts in testdata really give")

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type machine struct {
	node muster.Node
	now  muster.NodeNow
}

// fleet reads testdata/fleet.nodes.
func fleet(t testing.TB) []machine {
	t.Helper()
	raw, err := os.ReadFile("testdata/fleet.nodes")
	if err != nil {
		t.Fatal(err)
	}
	var all []machine
	for line := range strings.Lines(string(raw)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		m := machine{node: muster.Node{Name: words[0], Facts: map[string]string{}}}
		m.now = muster.NodeNow{CPU: math.NaN(), Memory: math.NaN(), Disk: math.NaN(), Load: math.NaN(), Uptime: math.NaN(), NetIn: math.NaN(), NetOut: math.NaN()}
		for _, w := range words[1:] {
			m.set(t, w)
		}
		all = append(all, m)
	}
	return all
}

func (m *machine) set(t testing.TB, word string) {
	t.Helper()
	key, value, _ := strings.Cut(word, "=")
	number := func() float64 {
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%s: %v", word, err)
		}
		return v
	}
	ago := func() time.Time { return noon.Add(-span(t, value)) }
	switch key {
	case "host":
		m.node.Hostname = value
	case "tags":
		m.node.Tags = strings.Split(strings.Trim(value, `"`), ",")
	case "star":
		m.node.Star = true
	case "facts":
		for _, f := range strings.Split(value, ",") {
			k, v, _ := strings.Cut(f, "=")
			m.node.Facts[k] = strings.ReplaceAll(v, "_", " ")
			if strings.HasPrefix(k, "cloud.availability_zone") {
				m.node.Facts[k] = v
			}
		}
	case "ip":
		m.node.Addresses = strings.Split(value, ",")
	case "agent":
		m.node.AgentVersion = value
	case "connected":
		m.now.Connected = true
	case "state":
		m.now.State = muster.NodeState(value)
	case "cpu":
		m.now.CPU = number()
	case "memory":
		m.now.Memory = number()
	case "disk":
		m.now.Disk = number()
	case "load":
		m.now.Load = number()
	case "in":
		m.now.NetIn = number()
	case "out":
		m.now.NetOut = number()
	case "uptime":
		m.now.Uptime = number()
	case "metrics":
		m.now.Metrics = int(number())
	case "dropped":
		m.now.Dropped = uint64(number())
	case "seen":
		m.now.LastSeen = ago()
	case "created":
		m.node.CreatedAt = ago()
	case "since":
		m.now.Since = ago()
	case "clock":
		m.now.ClockOff = span(t, value)
	default:
		t.Fatalf("fleet.nodes: %q", word)
	}
}

func span(t testing.TB, text string) time.Duration {
	t.Helper()
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(n) * 24 * time.Hour
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// answer is what a script says after a query: its one spelling and the nodes, or the fault with a mark
// below the place.
func answer(query string, nodes []machine) string {
	q, err := filter.Parse(query)
	if err != nil {
		var fault *filter.Error
		if !errors.As(err, &fault) || !errors.Is(err, muster.ErrInvalid) {
			return "! an error of another kind: " + err.Error() + "\n"
		}
		return strings.Repeat(" ", fault.Pos+1) + "^ " + fault.Reason + "\n"
	}
	var names []string
	for i := range nodes {
		if q.Match(&nodes[i].node, &nodes[i].now, noon) {
			names = append(names, nodes[i].node.Name)
		}
	}
	if len(names) == 0 {
		names = []string{"none"}
	}
	return fmt.Sprintf("= %s\n  %s\n", q, strings.Join(names, " "))
}

// Scripts are lines "? query", each followed by what it gives; "#" begins a remark.
func TestScripts(t *testing.T) {
	nodes := fleet(t)
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, path := range scripts {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		lines := bufio.NewScanner(strings.NewReader(string(raw)))
		for lines.Scan() {
			query, isQuery := strings.CutPrefix(lines.Text(), "?")
			switch {
			case isQuery:
				fmt.Fprintf(&got, "%s\n%s", lines.Text(), answer(strings.TrimPrefix(query, " "), nodes))
			case lines.Text() == "" || lines.Text()[0] == '#':
				fmt.Fprintln(&got, lines.Text())
			}
		}
		if got.String() == string(raw) {
			continue
		}
		if *rewrite {
			if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		t.Errorf("%s: %s\n(go test -rewrite writes what is given)", path, firstDifference(got.String(), string(raw)))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	query := ""
	for i := range g {
		if strings.HasPrefix(g[i], "?") {
			query = g[i]
		}
		if i >= len(w) || g[i] != w[i] {
			return fmt.Sprintf("line %d, %s\n got %q\nwant %q", i+1, query, g[i], append(w, "")[min(i, len(w))])
		}
	}
	return "lines are missing at the end"
}

func TestKeysAreUnderstood(t *testing.T) {
	for _, k := range filter.Keys() {
		if k.Meaning == "" {
			t.Errorf("%s has no meaning", k.Name)
		}
		texts := []string{k.Name + ":x"}
		switch {
		case k.Compare:
			texts = []string{k.Name + ">1", k.Name + ">1h"}
		case k.Values != nil:
			texts = nil
			for _, v := range k.Values {
				texts = append(texts, k.Name+":"+v)
			}
		}
		understood := 0
		for _, text := range texts {
			if _, err := filter.Parse(text); err == nil {
				understood++
			}
		}
		if want := len(texts); understood != want && !(k.Compare && understood == 1) {
			t.Errorf("%s: %d of %d values are understood", k.Name, understood, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	scripts, _ := filepath.Glob("testdata/*.txt")
	for _, path := range scripts {
		raw, _ := os.ReadFile(path)
		for line := range strings.Lines(string(raw)) {
			if query, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "? "); ok {
				f.Add(query)
			}
		}
	}
	nodes := fleet(f)
	f.Fuzz(func(t *testing.T, text string) {
		q, err := filter.Parse(text)
		if err != nil {
			var fault *filter.Error
			if !errors.As(err, &fault) || fault.Pos < 1 || fault.Pos > len([]rune(text))+1 || fault.Reason == "" {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := filter.Parse(q.String())
		if err != nil {
			if len(q.String()) > filter.MaxText { // quoting may lengthen it
				return
			}
			t.Fatalf("%q is written %q, which is refused: %v", text, q, err)
		}
		if again.String() != q.String() {
			t.Fatalf("%q is written %q, then %q", text, q, again)
		}
		for i := range nodes {
			if q.Match(&nodes[i].node, &nodes[i].now, noon) != again.Match(&nodes[i].node, &nodes[i].now, noon) {
				t.Fatalf("%q and %q differ about %s", text, q, nodes[i].node.Name)
			}
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	nodes := fleet(b)
	q, err := filter.Parse(`web* (tag:env=prod or os:"debian 13") -is:starred cpu>80 seen<5m ip:10.0.0.0/8`)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		m := &nodes[i%len(nodes)]
		q.Match(&m.node, &m.now, noon)
	}
}
