package sheet

import (
	"encoding/json"
	"strings"
	"time"

	"muster/api"
	"muster/internal/term"
)

// Config takes the fields of a kind's configuration apart, by name; what is empty or off is left out.
func Config(raw json.RawMessage) (rows [][2]string) {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(raw, &fields)
	for _, key := range keys(fields) {
		value := string(fields[key])
		var text string
		if json.Unmarshal(fields[key], &text) == nil {
			value = text
		}
		var list []string
		if json.Unmarshal(fields[key], &list) == nil {
			value = strings.Join(list, " ")
		}
		if value != "" && value != "{}" && value != "false" && value != "null" {
			rows = append(rows, [2]string{key, value})
		}
	}
	return rows
}

// Channels lays channels out; name gives the name of what has an id.
func Channels(channels []api.Channel, name func(id string) string) *term.Table {
	t := &term.Table{Columns: []term.Column{{Title: "name", Most: 20}, {Title: "kind"}, {Title: "to", Most: 24, Drop: 2}, {Title: "default", Drop: 3}, {Title: "fallback", Drop: 4, Most: 12}, {Title: "state", Most: 20, Drop: 1}}}
	for i := range channels {
		c := &channels[i]
		state := term.Cell{Text: "on", Ink: term.Green, Shape: "●"}
		if c.Disabled != "" {
			state = term.Cell{Text: "off: " + c.Disabled, Ink: term.Red, Shape: "×"}
		}
		byDefault := ""
		if c.Default {
			byDefault = "yes"
		}
		t.Add(term.Text(c.Name), term.Text(c.Kind), term.Text(receiver(c)), term.Text(byDefault), term.Text(name(c.Fallback)), state)
	}
	return t
}

// receiver says to whom a channel speaks, where that is no secret.
func receiver(c *api.Channel) string {
	for _, row := range Config(c.Config) {
		switch row[0] {
		case "to", "url", "topic", "chat":
			return row[1]
		}
	}
	return ""
}

// Channel shows all that is known of a channel.
func Channel(p term.Paper, c *api.Channel, name func(id string) string) {
	state := term.Cell{Text: "on", Ink: term.Green, Shape: "●"}
	if c.Disabled != "" {
		state = term.Cell{Text: "off: " + c.Disabled, Ink: term.Red, Shape: "×"}
	}
	headline(p, c.Name, state, nil, time.Time{})
	byDefault := "no"
	if c.Default {
		byDefault = "yes: hears of alarms that name no channel"
	}
	p.Pairs(append([][2]string{{"id", c.ID}, {"kind", c.Kind}, {"default", byDefault}, {"fallback", name(c.Fallback)}}, Config(c.Config)...))
}

// suppressionState says whether a suppression holds now, and until when or from when.
func suppressionState(s *api.Suppression) term.Cell {
	switch {
	case s.Active && s.Until != nil:
		return term.Cell{Text: "quiet until " + clock(*s.Until), Ink: term.Amber, Shape: "◑"}
	case s.Active:
		return term.Cell{Text: "quiet", Ink: term.Amber, Shape: "◑"}
	case s.Next != nil:
		return term.Cell{Text: "from " + clock(*s.Next), Shape: "◌"}
	}
	return term.Cell{Text: "over", Ink: term.Dim, Shape: "–"}
}

// Suppressions lays suppressions out; name gives the name of what has an id.
func Suppressions(all []api.Suppression, name func(id string) string) *term.Table {
	t := &term.Table{Columns: []term.Column{{Title: "name", Most: 20}, {Title: "state"}, {Title: "of", Most: 20}, {Title: "length", Right: true, Drop: 3}, {Title: "repeats", Drop: 2, Most: 20}, {Title: "reason", Drop: 1, Most: 16}}}
	for i := range all {
		s := &all[i]
		t.Add(term.Text(s.Name), suppressionState(s), term.Text(suppressed(s, name)), term.Text(s.Length), term.Text(s.Rule), term.Text(s.Reason))
	}
	return t
}

func suppressed(s *api.Suppression, name func(id string) string) string {
	of := reach(s.Query, s.Node, s.Check, name)
	if s.Alarm != "" {
		of = join(", ", "alarm "+name(s.Alarm), strings.TrimPrefix(of, "all"))
	}
	return of
}

// Suppression shows all that is known of a suppression.
func Suppression(p term.Paper, s *api.Suppression, name func(id string) string) {
	headline(p, s.Name, suppressionState(s), nil, time.Time{})
	next := ""
	if s.Next != nil {
		next = s.Next.Local().Format(time.DateTime)
	}
	p.Pairs([][2]string{
		{"id", s.ID}, {"of", suppressed(s, name)}, {"first", s.From.Local().Format(time.DateTime)}, {"length", s.Length}, {"repeats", join(" in ", s.Rule, s.Zone)},
		{"next", next}, {"reason", s.Reason}, {"made by", s.By},
	})
}
