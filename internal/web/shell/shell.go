// Package shell gives what every page shares: the frame with its navigation and search box, the
// style and script files under names that carry their hash, the security headers, the signed-in
// viewer, messages that survive a redirect, error pages, and Server-Sent Events.
//
// A page is a directory: a struct (what the template is filled with), a template that defines "body"
// (and, if it wants, "tools" for the right end of the bar), an assets directory, and a handler that
// calls View.Render. Its scripts are ES modules that import each other by relative path as they lie in
// the source tree; the paths are rewritten to hashed addresses when the program starts. No script and no
// style stands inside a page, not even a style attribute: the Content-Security-Policy forbids them.
package shell

import (
	"compress/gzip"
	"context"
	"embed"
	"html/template"
	"io/fs"
	"log/slog"
	"sync"
	"time"
)

//go:embed assets/*.css assets/*.js assets/*.svg assets/vendor/*.js assets/vendor/*.css
var files embed.FS

//go:embed *.html
var layouts embed.FS

// Options say how the frame looks. The zero value works.
type Options struct {
	// Version is shown at the foot of the navigation.
	Version string
	// Nav lists the pages, in order.
	Nav []NavItem
	// Counts, when set, gives the numbers beside the pages' names, by NavItem.Key. It is asked for with every page and must be quick.
	Counts func(ctx context.Context, v Viewer) map[string]Count
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Logger hears of templates that failed; nothing is logged when nil.
	Logger *slog.Logger
}

// NavItem is one entry of the navigation.
type NavItem struct {
	Key   string // what Page.Nav names
	Title string // "Nodes"
	Href  string // "/nodes"
	Wide  bool   // left out on a phone
}

// Count is the number beside an entry of the navigation.
type Count struct {
	Text string // "248"; nothing is shown when empty
	Bad  bool   // drawn as something that is wrong
}

// Shell is the frame. It is made once, and is safe for concurrent use after the pages were made.
type Shell struct {
	opts    Options
	assets  *assets
	zippers sync.Pool
}

// New makes a frame with the shared assets. It panics when a file built into the program is broken.
func New(opts Options) *Shell {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Shell{opts: opts, assets: newAssets()}
	s.zippers.New = func() any { return gzip.NewWriter(nil) }
	s.AddAssets("shell", files)
	return s
}

// AddAssets takes the files below "assets" of a page's file system; "assets/nodes.js" of the page
// "nodes" becomes the asset "nodes/nodes.js". It must be called before the first request, and panics on a file
// that imports one which is not there (pages may be added in any order).
func (s *Shell) AddAssets(page string, fsys fs.FS) { s.assets.add(page, fsys) }

// Asset gives the address of an asset by its name, "shell/shell.css"; it panics on an unknown name, which a test finds.
func (s *Shell) Asset(name string) string { return s.assets.url(name) }

// Now gives the time by the shell's clock.
func (s *Shell) Now() time.Time { return s.opts.Now() }

// Page is what the frame needs to know of one answer.
type Page struct {
	Title   string   // "Nodes"; the browser shows "Nodes · Muster"
	Nav     string   // key of the current NavItem
	Query   string   // text in the search box, which is the node filter on every page
	Hint    string   // what the empty search box says; a default when empty
	Styles  []string // names of further style sheets: "nodes/nodes.css"
	Modules []string // names of ES modules: "nodes/nodes.js"
	Scripts []string // names of classic scripts that run before the modules: UPlot
	Live    bool     // shows the "live" mark in the bar, which live.js keeps true
	Bare    bool     // no navigation and no bar: the login page
	Status  int      // of the answer; 200 when zero
}

// The third-party script and its style that a page may ask for in Page.Scripts and Page.Styles.
const (
	UPlot    = "shell/vendor/uplot.min.js"
	UPlotCSS = "shell/vendor/uplot.min.css"
)

// View is a page's template with the struct it is filled with.
type View[T any] struct {
	shell *Shell
	tmpl  *template.Template
}

// NewView parses the page's templates, which may use all of Funcs, and adds the page's assets when the file
// system has a directory of that name. One of the templates must define "body"; the dot in it is a *T.
// It panics when a template does not parse: templates are part of the program.
func NewView[T any](s *Shell, page string, fsys fs.FS, patterns ...string) *View[T] {
	if _, err := fs.Stat(fsys, "assets"); err == nil {
		s.AddAssets(page, fsys)
	}
	t := template.Must(template.New("layout.html").Funcs(s.Funcs()).ParseFS(layouts, "*.html"))
	template.Must(t.ParseFS(fsys, patterns...))
	if t.Lookup("body") == nil {
		panic("shell: page " + page + ": no template defines \"body\"")
	}
	return &View[T]{shell: s, tmpl: t}
}

// Template gives one of the view's templates by name, for tests that check its types.
func (v *View[T]) Template(name string) *template.Template { return v.tmpl.Lookup(name) }
