package slack

import (
	"fmt"
	"strings"

	"muster/internal/notify"
)

// Slack's bounds, and how much of a message is worth reading in a chat.
const (
	maxSection = 3000
	maxButton  = 3000 // of a link
	maxItems   = 10
	maxFacts   = 6
)

// message is the body. The text is what notifications and screen readers have.
type message struct {
	Text        string  `json:"text"`
	Blocks      []block `json:"blocks"`
	UnfurlLinks bool    `json:"unfurl_links"`
	UnfurlMedia bool    `json:"unfurl_media"`
}

type block struct {
	Type     string    `json:"type"`
	Text     *text     `json:"text,omitempty"`
	Elements []element `json:"elements,omitempty"`
}

type text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// element is a button that is a link, or text of a context.
type element struct {
	Type     string `json:"type"`
	Text     any    `json:"text"`
	URL      string `json:"url,omitempty"`
	ActionID string `json:"action_id,omitempty"`
	Style    string `json:"style,omitempty"`
}

func write(m *notify.Message) message {
	out := message{Text: escape(m.Subject())}
	items, more := m.First(maxItems)
	for i := range items {
		out.Blocks = append(out.Blocks, section(&items[i], len(items) == 1))
		if len(items) == 1 {
			if b := buttons(&items[i]); len(b.Elements) > 0 {
				out.Blocks = append(out.Blocks, b)
			}
		}
	}
	note := ""
	if more > 0 {
		note = fmt.Sprintf("%d more", more)
	}
	if m.Account != "" {
		if note != "" {
			note += " · "
		}
		note += escape(cut(m.Account, 200))
	}
	if note != "" {
		out.Blocks = append(out.Blocks, block{Type: "context", Elements: []element{{Type: "mrkdwn", Text: note}}})
	}
	return out
}

// section writes an item: the shape, the word and the title, then the facts; all of them when it stands alone.
func section(item *notify.Item, alone bool) block {
	title := escape(cut(item.Title(), 300))
	if !alone && item.URL != "" {
		title = link(item.URL, title)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s *%s*  %s", item.Tone().Mark(), item.Status(), title)
	most := maxFacts
	if !alone {
		most = 1
	}
	for i, fact := range item.Facts() {
		if i == most {
			break
		}
		line := fmt.Sprintf("\n%s: %s", escape(fact.Label), escape(cut(fact.Value, 400)))
		if !alone {
			line = "\n" + escape(cut(fact.Value, 160))
		}
		if b.Len()+len(line) > maxSection {
			break
		}
		b.WriteString(line)
	}
	return block{Type: "section", Text: &text{Type: "mrkdwn", Text: b.String()}}
}

func buttons(item *notify.Item) block {
	out := block{Type: "actions"}
	add := func(id, label, url, style string) {
		if url != "" && len(url) <= maxButton {
			out.Elements = append(out.Elements, element{Type: "button", Text: text{Type: "plain_text", Text: label}, URL: url, ActionID: id, Style: style})
		}
	}
	add("acknowledge", "Acknowledge", item.AckURL, "primary")
	add("silence", "Silence", item.SilenceURL, "")
	add("open", "Open", item.URL, "")
	return out
}

// escape does to text what Slack asks for: these three characters and no others.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// link writes a link whose label is escaped already. A | would end the address.
func link(url, label string) string {
	return "<" + strings.NewReplacer("&", "&amp;", "<", "%3C", ">", "%3E", "|", "%7C").Replace(url) + "|" + strings.ReplaceAll(label, "|", "¦") + ">"
}

// cut shortens text before it is escaped.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-3], "") + "..."
}
