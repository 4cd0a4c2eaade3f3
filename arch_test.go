package muster_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// The rules of the house, read off the sources. ARCHITECTURE.md draws them; docs/adr says why.

// floors gives the floor of every package by its directory, relative to the root; a trailing * stands
// for one element. A package imports strictly lower floors only. A package that is not here fails.
var floors = []struct {
	dir   string
	floor int
}{
	{".", 0},
	{"api", 1}, {"internal/wire", 1}, {"internal/filter", 1}, {"internal/column", 1}, {"internal/disk", 1}, {"internal/telemetry", 1}, {"internal/seal", 1},
	{"internal/series/calendar", 1}, {"internal/series/catalog", 1}, {"internal/series/engine", 1}, {"internal/series/graph", 1}, {"internal/series/head", 1}, {"internal/series/journal", 1},
	{"internal/plot", 1}, {"internal/term", 1}, {"internal/check", 1}, {"internal/judge", 1}, {"internal/incident", 1}, {"internal/alarm/archive", 1}, {"internal/alarm/rules", 1}, {"internal/notify/calendar", 1},
	{"internal/roster/guess", 1}, {"internal/roster/plan", 1}, {"internal/roster/zones", 1},
	{"internal/uplink", 2}, {"internal/ingest", 2}, {"internal/series", 2}, {"internal/live", 2}, {"internal/auth", 2},
	{"internal/store", 2}, {"internal/inventory", 2}, {"internal/members", 2}, {"internal/shape", 2}, {"internal/phrase", 2}, {"internal/once", 2},
	{"internal/runner", 2}, {"internal/outbound", 2}, {"internal/roster", 2}, {"internal/ledger", 2}, {"internal/alarm", 2}, {"internal/notify", 2},
	{"internal/series/seriestest", 3}, {"internal/series/pebble", 3}, {"internal/store/storetest", 3}, {"internal/store/pebble", 3},
	{"internal/check/host", 3}, {"internal/check/checktest", 3}, {"internal/check/http", 3}, {"internal/check/tcp", 3}, {"internal/check/ping", 3}, {"internal/check/dns", 3},
	{"internal/notify/notifytest", 3}, {"internal/notify/webhook", 3}, {"internal/notify/email", 3}, {"internal/notify/slack", 3}, {"internal/notify/ntfy", 3}, {"internal/notify/telegram", 3},
	{"internal/check/all", 4}, {"internal/notify/all", 4}, {"internal/sheet", 3}, {"internal/join", 3}, {"internal/apidoc", 3}, {"client", 3}, {"internal/web/shell", 3}, {"internal/web/chart", 3},
	{"internal/gateway", 4}, {"internal/top", 4}, {"internal/doorbell", 4}, {"internal/rest", 4}, {"internal/agent", 4}, {"internal/web/*", 4},
	{"internal/web", 5},
	{"internal/server", 6},
	{"cmd/*", 7}, {"internal/e2e", 7}, {"bench/*", 7},
}

// sdkHome says where each third-party module may be imported. A module that is not here fails.
var sdkHome = map[string][]string{
	"github.com/cockroachdb/pebble/v2":   {"internal/disk", "internal/series/pebble", "internal/store/pebble"},
	"github.com/coder/websocket":         {"internal/uplink", "internal/gateway"},
	"github.com/danielgtaylor/huma/v2":   {"internal/rest"},
	"github.com/klauspost/compress":      {"internal/column", "internal/web/shell"},
	"github.com/shirou/gopsutil/v4":      {"internal/check/host"},
	"github.com/VictoriaMetrics/metrics": {"internal/telemetry"},
	"github.com/caddyserver/certmagic":   {"internal/server"},
	"github.com/spf13/cobra":             {"cmd/muster", "cmd/muster-agent"},
	"github.com/spf13/pflag":             {"cmd/muster", "cmd/muster-agent"},
	"google.golang.org/protobuf":         {"internal/wire"},
	"golang.org/x/crypto":                {"internal/auth"},
	"golang.org/x/image":                 {"internal/plot"},
	"golang.org/x/term":                  {"cmd/muster"},
	"github.com/miekg/dns":               {"internal/check/dns"},
	"golang.org/x/net":                   {"internal/check/ping", "internal/check/http"},
	"github.com/wneessen/go-mail":        {"internal/notify/email"},
	"github.com/emersion/go-smtp":        {"internal/notify/notifytest"}, // a mail server for tests
	"github.com/emersion/go-sasl":        {"internal/notify/notifytest"},
	"github.com/teambition/rrule-go":     {"internal/notify/calendar"},
	"github.com/yuin/goldmark":           {"internal/web/shell"},
	"github.com/microcosm-cc/bluemonday": {"internal/web/shell"},
	"gopkg.in/yaml.v3":                   {"cmd/muster"},
}

// anywhere lists modules that are part of the language in all but name.
var anywhere = []string{"golang.org/x/sys", "golang.org/x/sync"}

const (
	fileHard, fileUsual         = 800, 350
	packageHard                 = 3000
	funcHard, funcUsual         = 90, 38
	nounsHard                   = 1500
	longestChain                = 9
	documentedShare             = 0.98
	usualShare          float64 = 0.9
)

// source is one parsed file that is not a test.
type source struct {
	dir, name string
	lines     int
	file      *ast.File
}

type house struct {
	fset  *token.FileSet
	files []source
}

func readHouse(t *testing.T) *house {
	t.Helper()
	h := &house{fset: token.NewFileSet()}
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); p != "." && (base == "testdata" || base == "node_modules" || strings.HasPrefix(base, ".")) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(h.fset, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		h.files = append(h.files, source{
			dir: filepath.ToSlash(filepath.Dir(p)), name: p, file: file,
			lines: h.fset.File(file.Pos()).LineCount(),
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(h.files) == 0 {
		t.Fatal("no sources found: the rules would hold of nothing")
	}
	return h
}

func (h *house) packages() map[string][]source {
	out := map[string][]source{}
	for _, f := range h.files {
		out[f.dir] = append(out[f.dir], f)
	}
	return out
}

func (s source) imports() []string {
	var out []string
	for _, im := range s.file.Imports {
		p, _ := strconv.Unquote(im.Path.Value)
		out = append(out, p)
	}
	return out
}

// inside turns an import path of this module into a directory.
func inside(importPath string) (dir string, ok bool) {
	if importPath == "muster" {
		return ".", true
	}
	return strings.CutPrefix(importPath, "muster/")
}

func floorOf(dir string) (int, bool) {
	for _, f := range floors {
		if f.dir == dir {
			return f.floor, true
		}
	}
	for _, f := range floors {
		if ok, _ := path.Match(f.dir, dir); ok {
			return f.floor, true
		}
	}
	return 0, false
}

func TestFloors(t *testing.T) {
	for _, f := range readHouse(t).files {
		own, ok := floorOf(f.dir)
		if !ok {
			t.Errorf("%s: package %s has no floor; give it one in arch_test.go, with an ADR", f.name, f.dir)
			continue
		}
		for _, im := range f.imports() {
			dir, ok := inside(im)
			if !ok {
				continue
			}
			if other, ok := floorOf(dir); ok && other >= own {
				t.Errorf("%s (floor %d) imports %s (floor %d): only strictly lower floors", f.name, own, dir, other)
			}
		}
	}
}

func TestThirdPartiesStayAtHome(t *testing.T) {
	used := map[string]bool{}
	for _, f := range readHouse(t).files {
		if strings.HasPrefix(f.dir, "bench/") {
			continue // measuring tools, which nothing imports: docs/adr/0009
		}
		for _, im := range f.imports() {
			if _, ours := inside(im); ours || !strings.Contains(strings.Split(im, "/")[0], ".") {
				continue
			}
			if slices.ContainsFunc(anywhere, func(m string) bool { return strings.HasPrefix(im, m) }) {
				continue
			}
			module, homes := homeOf(im)
			if module == "" {
				t.Errorf("%s imports %s, which has no home in arch_test.go; choose one and say why in docs/adr", f.name, im)
				continue
			}
			used[module] = true
			if !slices.Contains(homes, f.dir) {
				t.Errorf("%s imports %s, whose home is %v", f.name, im, homes)
			}
		}
	}
	for module := range sdkHome {
		if !used[module] {
			t.Errorf("arch_test.go gives %s a home, but nothing imports it", module)
		}
	}
}

func homeOf(importPath string) (module string, homes []string) {
	for m, h := range sdkHome {
		if importPath == m || strings.HasPrefix(importPath, m+"/") {
			return m, h
		}
	}
	return "", nil
}

func TestNouns(t *testing.T) {
	lines := 0
	for _, f := range readHouse(t).packages()["."] {
		lines += f.lines
		for _, im := range f.imports() {
			if strings.Contains(strings.Split(im, "/")[0], ".") || strings.HasPrefix(im, "muster") {
				t.Errorf("%s imports %s: nouns stand on the standard library alone", f.name, im)
			}
		}
		ast.Inspect(f.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.InterfaceType:
				t.Errorf("%s: an interface among the nouns", f.name)
			case *ast.GoStmt:
				t.Errorf("%s: a goroutine among the nouns", f.name)
			case *ast.Field:
				if n.Tag != nil {
					t.Errorf("%s: a struct tag among the nouns: %s", f.name, n.Tag.Value)
				}
			}
			return true
		})
		eachPackageVar(f.file, func(name string) {
			if !strings.HasPrefix(name, "Err") {
				t.Errorf("%s: package variable %s; only errors are allowed among the nouns", f.name, name)
			}
		})
	}
	if lines > nounsHard {
		t.Errorf("the nouns have %d lines, at most %d", lines, nounsHard)
	}
}

func eachPackageVar(file *ast.File, see func(name string)) {
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			for _, name := range spec.(*ast.ValueSpec).Names {
				if name.Name != "_" {
					see(name.Name)
				}
			}
		}
	}
}

// TestAgentIsSmall follows the imports of the agent's binary through this module.
func TestAgentIsSmall(t *testing.T) {
	packages := readHouse(t).packages()
	if len(packages["cmd/muster-agent"]) == 0 {
		t.Fatal("cmd/muster-agent is gone")
	}
	refused := []string{"server", "store", "web", "rest", "series", "alarm", "notify", "provider", "disk"}
	seen := map[string]bool{}
	var walk func(dir string, chain []string)
	walk = func(dir string, chain []string) {
		if seen[dir] {
			return
		}
		seen[dir] = true
		chain = append(chain, dir)
		for _, r := range refused {
			if dir == "internal/"+r || strings.HasPrefix(dir, "internal/"+r+"/") {
				t.Errorf("the agent links %s: %s", r, strings.Join(chain, " -> "))
			}
		}
		for _, f := range packages[dir] {
			for _, im := range f.imports() {
				if next, ok := inside(im); ok {
					walk(next, slices.Clone(chain))
				}
			}
		}
	}
	walk("cmd/muster-agent", nil)
}

func TestNoHiddenEffects(t *testing.T) {
	for _, f := range readHouse(t).files {
		for _, d := range f.file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: init(); effects happen where the composer asks for them", f.name)
			}
		}
		if strings.HasPrefix(f.dir, "cmd/") || strings.HasPrefix(f.dir, "bench/") {
			continue
		}
		for _, im := range f.imports() {
			if im == "flag" {
				t.Errorf("%s imports flag: only cmd reads flags", f.name)
			}
		}
		ast.Inspect(f.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "os" && slices.Contains([]string{"Getenv", "LookupEnv", "Environ", "Args", "Exit"}, sel.Sel.Name) {
				t.Errorf("%s uses os.%s: only cmd does", f.name, sel.Sel.Name)
			}
			return true
		})
	}
}

func TestBudgets(t *testing.T) {
	h := readHouse(t)
	var files, functions []int
	perPackage := map[string]int{}
	for _, f := range h.files {
		files = append(files, f.lines)
		perPackage[f.dir] += f.lines
		if f.lines > fileHard {
			t.Errorf("%s has %d lines, at most %d", f.name, f.lines, fileHard)
		}
		for _, d := range f.file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			n := h.fset.Position(fn.End()).Line - h.fset.Position(fn.Pos()).Line + 1
			functions = append(functions, n)
			if n > funcHard {
				t.Errorf("%s: %s has %d lines, at most %d", f.name, fn.Name.Name, n, funcHard)
			}
		}
	}
	for dir, n := range perPackage {
		if n > packageHard {
			t.Errorf("package %s has %d lines, at most %d", dir, n, packageHard)
		}
	}
	if at := atShare(files, usualShare); at > fileUsual {
		t.Errorf("nine files of ten should be under %d lines; the tenth begins at %d", fileUsual, at)
	}
	if at := atShare(functions, usualShare); at > funcUsual {
		t.Errorf("nine functions of ten should be under %d lines; the tenth begins at %d", funcUsual, at)
	}
}

// atShare gives the value below which that share of the numbers lies.
func atShare(numbers []int, share float64) int {
	sort.Ints(numbers)
	return numbers[int(float64(len(numbers)-1)*share)]
}

func TestImportChain(t *testing.T) {
	packages := readHouse(t).packages()
	depth := map[string]int{}
	var walk func(dir string) int
	walk = func(dir string) int {
		if n, ok := depth[dir]; ok {
			return n
		}
		longest := 0
		for _, f := range packages[dir] {
			for _, im := range f.imports() {
				if next, ok := inside(im); ok {
					longest = max(longest, walk(next))
				}
			}
		}
		depth[dir] = longest + 1
		return longest + 1
	}
	for dir := range packages {
		if n := walk(dir); n > longestChain {
			t.Errorf("%s stands on a chain of %d imports, at most %d", dir, n, longestChain)
		}
	}
}

func TestDocumented(t *testing.T) {
	h := readHouse(t)
	exported, told := 0, 0
	for dir, files := range h.packages() {
		if !slices.ContainsFunc(files, func(f source) bool { return f.file.Doc != nil }) {
			t.Errorf("package %s has no doc comment", dir)
		}
		for _, f := range files {
			eachExported(f.file, func(name string, doc bool) {
				exported++
				if doc {
					told++
				} else {
					t.Logf("%s: %s has no doc comment", f.name, name)
				}
			})
		}
	}
	if share := float64(told) / float64(exported); share < documentedShare {
		t.Errorf("%.1f %% of %d exported names are documented, at least %.0f %%", share*100, exported, documentedShare*100)
	}
}

func eachExported(file *ast.File, see func(name string, doc bool)) {
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && exportedReceiver(d) {
				see(d.Name.Name, d.Doc != nil)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					if s.Name.IsExported() {
						see(s.Name.Name, d.Doc != nil || s.Doc != nil)
					}
				case *ast.ValueSpec:
					if s.Names[0].IsExported() {
						see(s.Names[0].Name, d.Doc != nil || s.Doc != nil || s.Comment != nil)
					}
				}
			}
		}
	}
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if generic, ok := typ.(*ast.IndexExpr); ok {
		typ = generic.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported()
}

// TestNoErrorText refuses decisions made on the text of an error.
func TestNoErrorText(t *testing.T) {
	for _, f := range readHouse(t).files {
		if f.dir == "." {
			continue // Words, which makes text for people
		}
		ast.Inspect(f.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if strings.HasPrefix(text(call.Fun), "strings.") {
				for _, arg := range call.Args {
					if strings.HasSuffix(text(arg), ".Error()") {
						t.Errorf("%s compares the text of an error", f.name)
					}
				}
			}
			return true
		})
	}
}

// text writes the small expressions the rules look at; anything else is "".
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return text(e.X) + "." + e.Sel.Name
	case *ast.CallExpr:
		return fmt.Sprintf("%s()", text(e.Fun))
	}
	return ""
}
