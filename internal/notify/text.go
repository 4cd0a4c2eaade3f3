package notify

// Tone says how a message or an item is to look.
type Tone string

// Tones, worst first.
const (
	ToneCritical     Tone = "critical"
	ToneWarning      Tone = "warning"
	ToneAcknowledged Tone = "acknowledged"
	ToneResolved     Tone = "resolved"
	ToneTest         Tone = "test"
)

// Fact is one line of what is known of an item: "Why", "97 % for 5 min, limit 95 %".
type Fact struct {
	Label, Value string
}

// Tone gives the worst of the items' tones.
func (m *Message) Tone() Tone { return ToneTest }

// Subject says all in one line without line breaks, at most 200 bytes: "CRITICAL web1: filesystem nearly full".
func (m *Message) Subject() string { return "" }

// Text says all in plain text, lines ended by \n, links included, in at most limit bytes (0: no limit; never less than the
// subject takes). Items that do not fit are counted in a last line.
func (m *Message) Text(limit int) string { return "" }

// First gives the first n items, and how many more there are.
func (m *Message) First(n int) (items []Item, more int) { return m.Items, 0 }

// Tone gives how the item is to look.
func (i *Item) Tone() Tone { return ToneTest }

// Status gives one word in capitals: "CRITICAL", "WARNING", "ACKNOWLEDGED", "RESOLVED", "TEST".
func (i *Item) Status() string { return "" }

// Title names what is concerned and what is wrong, in one line of at most 200 bytes without control characters.
func (i *Item) Title() string { return "" }

// Facts gives what is known beside the title, most important first: why, since when, for how long, by whom. Values are
// one line each, without control characters, not escaped for any markup.
func (i *Item) Facts() []Fact { return nil }
