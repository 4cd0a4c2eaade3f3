// Package sheet draws what the API shows for a terminal: nodes, lines of a graph, checks and their results,
// alarms and how they would have fired, incidents with all that happened.
package sheet

import (
	"maps"
	"slices"
	"strings"

	"muster/internal/term"
)

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// State shows a node's state as a shape, a word and a colour.
func State(state string) term.Cell {
	switch state {
	case "up":
		return term.Cell{Text: "up", Ink: term.Green, Shape: "●"}
	case "down":
		return term.Cell{Text: "down", Ink: term.Red, Shape: "▼"}
	case "pending":
		return term.Cell{Text: "pending", Ink: term.Dim, Shape: "◌"}
	case "stopped":
		return term.Cell{Text: "stopped", Ink: term.Dim, Shape: "■"}
	case "terminated":
		return term.Cell{Text: "terminated", Ink: term.Dim, Shape: "×"}
	}
	return term.Cell{Text: state, Ink: term.Amber, Shape: "?"}
}

// Attributes writes attributes as key=value, by key.
func Attributes(attrs map[string]string) string {
	parts := make([]string, 0, len(attrs))
	for _, key := range keys(attrs) {
		parts = append(parts, key+"="+attrs[key])
	}
	return strings.Join(parts, " ")
}

// attributes is Attributes without what stands before a key's last dot, where there is little room.
func attributes(p term.Paper, attrs map[string]string) string {
	const room = 100
	if p.Width == 0 || p.Width >= room {
		return Attributes(attrs)
	}
	parts := make([]string, 0, len(attrs))
	for _, key := range keys(attrs) {
		parts = append(parts, key[strings.LastIndexByte(key, '.')+1:]+"="+attrs[key])
	}
	return strings.Join(parts, " ")
}
