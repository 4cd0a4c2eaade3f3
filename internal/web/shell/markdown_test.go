package shell_test

import (
	"regexp"
	"strings"
	"testing"

	"muster/internal/web/shell"
)

func TestMarkdown(t *testing.T) {
	for in, want := range map[string]string{
		"runs **db-1**, see `pg_ctl`":             "<p>runs <strong>db-1</strong>, see <code>pg_ctl</code></p>\n",
		"- a\n- b":                                "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n",
		"[book](https://example.org/run?a=1&b=2)": `<p><a href="https://example.org/run?a=1&amp;b=2" rel="nofollow noreferrer noopener" target="_blank">book</a></p>` + "\n",
		"[node](/nodes/node_1)":                   `<p><a href="/nodes/node_1" rel="nofollow noreferrer">node</a></p>` + "\n",
		"a < b & c":                               "<p>a &lt; b &amp; c</p>\n",
		"":                                        "",
	} {
		if got := string(shell.Markdown(in)); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

// handler is an attribute that runs something, within a tag.
var handler = regexp.MustCompile(`<[^>]*\son[a-z]+=`)

// Nothing that a note holds may run, load or look like the page around it.
func TestMarkdownIsHarmless(t *testing.T) {
	for _, in := range []string{
		"<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "![x](https://example.org/spy.png)", "[x](javascript:alert(1))", "[x](data:text/html,hi)",
		"<a href='vbscript:x'>y</a>", "<p style='position:fixed'>x</p>", "<form action=/sign-out><button>x</button></form>", "<iframe src=/></iframe>",
		"[x](JaVaScRiPt:alert(1))", "<svg><script>1</script></svg>", "`<script>`\n\n<style>*{}</style>", "[x](<javascript:alert(1)>)", "<https://example.org/\" onclick=\"x>",
	} {
		got := strings.ToLower(string(shell.Markdown(in)))
		for _, bad := range []string{"<script", "<img", "<style", "<svg", "<iframe", "<form", "<button", "style=", "href=\"javascript", "href=\"data", "href=\"vbscript"} {
			if strings.Contains(got, bad) {
				t.Errorf("%q gives %q", in, got)
			}
		}
		if handler.MatchString(got) {
			t.Errorf("%q gives %q", in, got)
		}
	}
	if got := string(shell.Markdown(strings.Repeat("<b>", 30_000))); !strings.HasPrefix(got, "<pre>&lt;b&gt;") {
		t.Errorf("a very long note begins %.40q", got)
	}
}

func FuzzMarkdown(f *testing.F) {
	f.Add("# a\n\n|b|\n|-|\n|<script>|")
	f.Fuzz(func(t *testing.T, text string) {
		if got := strings.ToLower(string(shell.Markdown(text))); strings.Contains(got, "<script") || strings.Contains(got, "href=\"javascript") {
			t.Errorf("%q gives %q", text, got)
		}
	})
}
