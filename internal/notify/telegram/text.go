package telegram

import (
	"fmt"
	"html"
	"strings"

	"muster/internal/notify"
)

// message is what sendMessage takes.
type message struct {
	Chat    string   `json:"chat_id"`
	Thread  int      `json:"message_thread_id,omitempty"`
	Text    string   `json:"text"`
	Mode    string   `json:"parse_mode"`
	Preview preview  `json:"link_preview_options"`
	Quiet   bool     `json:"disable_notification,omitempty"`
	Markup  *buttons `json:"reply_markup,omitempty"`
}

type preview struct {
	Disabled bool `json:"is_disabled"`
}

type buttons struct {
	Rows [][]button `json:"inline_keyboard"`
}

type button struct {
	Text string `json:"text"`
	URL  string `json:"url"`
}

// Telegram takes 4096 characters; bytes are never fewer.
const maxText, maxItems, maxFacts = 4000, 10, 6

// write makes the message, with links as buttons or as text.
func (s *sender) write(m *notify.Message, asButtons bool) message {
	tone := m.Tone()
	out := message{
		Chat: s.Chat, Thread: s.Thread, Mode: "HTML", Preview: preview{Disabled: true},
		Quiet: tone == notify.ToneResolved || tone == notify.ToneAcknowledged,
	}
	links := links(m)
	if asButtons && len(links) > 0 {
		out.Markup = &buttons{Rows: [][]button{links}}
		links = nil
	}
	out.Text = text(m, links)
	return out
}

// links gives what a reader can do about a single incident, or where to look at the first of several.
func links(m *notify.Message) []button {
	var out []button
	add := func(label, url string) {
		if url != "" {
			out = append(out, button{Text: label, URL: url})
		}
	}
	first := &m.Items[0]
	if len(m.Items) == 1 {
		add("Acknowledge", first.AckURL)
		add("Silence", first.SilenceURL)
	}
	add("Open", first.URL)
	return out
}

// text writes the items one below the other, as many as fit, then how many more there are and the links.
func text(m *notify.Message, links []button) string {
	tail := ""
	for _, l := range links {
		if len(l.URL) < 500 {
			tail += "\n" + l.Text + ": " + html.EscapeString(l.URL)
		}
	}
	items, _ := m.First(maxItems)
	var b strings.Builder
	shown := 0
	for i := range items {
		part := paragraph(&items[i], len(m.Items) == 1)
		if shown > 0 && b.Len()+len(part)+len(tail)+len("\n1000000 more") > maxText {
			break
		}
		b.WriteString(part)
		shown++
	}
	if more := len(m.Items) - shown; more > 0 {
		fmt.Fprintf(&b, "\n%d more", more)
	}
	return strings.TrimPrefix(b.String()+tail, "\n")
}

// paragraph writes an item: the shape, the word and the title, then the facts; the first of them when others follow.
func paragraph(item *notify.Item, alone bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s <b>%s</b> %s", item.Tone().Mark(), html.EscapeString(item.Status()), html.EscapeString(clean(item.Title(), 200)))
	for i, f := range item.Facts() {
		line := "\n" + html.EscapeString(clean(f.Value, 200))
		if alone {
			line = "\n" + html.EscapeString(f.Label) + ": " + html.EscapeString(clean(f.Value, 300))
		}
		if i == maxFacts || i > 0 && !alone || b.Len()+len(line) > maxText/2 {
			break
		}
		b.WriteString(line)
	}
	return b.String()
}

// clean makes one line of text and cuts it.
func clean(s string, most int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-3], "") + "..."
}
