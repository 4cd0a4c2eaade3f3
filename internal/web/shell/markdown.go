package shell

import (
	"html/template"
	"strings"
	"sync"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
)

// maxMarkdown is how much of a text is rendered, in bytes; more is shown as it is written.
const maxMarkdown = 64 << 10

// markdown renders what people wrote: CommonMark with tables and bare links. Raw HTML, pictures (they would call
// another server) and everything that is not on a short list is left out; links go out without a referrer.
var markdown = sync.OnceValue(func() func(string) template.HTML {
	renderer := goldmark.New(goldmark.WithExtensions(extension.Linkify, extension.Table, extension.Strikethrough))
	policy := bluemonday.NewPolicy()
	policy.AllowElements("p", "br", "hr", "em", "strong", "del", "code", "pre", "blockquote", "ul", "ol", "li",
		"h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td")
	policy.AllowAttrs("href").OnElements("a")
	policy.AllowURLSchemes("http", "https", "mailto")
	policy.AllowRelativeURLs(true)
	policy.RequireNoFollowOnLinks(true)
	policy.RequireNoReferrerOnLinks(true)
	policy.AddTargetBlankToFullyQualifiedLinks(true)
	return func(text string) template.HTML {
		var b strings.Builder
		if len(text) > maxMarkdown || renderer.Convert([]byte(text), &b) != nil {
			return template.HTML("<pre>" + template.HTMLEscapeString(text) + "</pre>")
		}
		return template.HTML(policy.Sanitize(b.String()))
	}
})

// Markdown gives the HTML of a text that people wrote; whatever is in it, it runs nothing and loads nothing.
func Markdown(text string) template.HTML { return markdown()(text) }
