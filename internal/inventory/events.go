package inventory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"muster"
	"muster/internal/telemetry"
)

// Who acts when it is not a person or a token.
const (
	actorAgent  = "agent"
	actorServer = "muster"
)

// outbox holds changelog lines until the store has them: nobody who measures waits for that.
type outbox struct {
	dropped *telemetry.Counter

	mu    sync.Mutex
	lines []muster.Event
}

// Bounds of the outbox: what is kept while the store is away, and what is written at once.
const (
	maxLines  = 20_000
	lineBatch = 500
)

func (o *outbox) add(events ...muster.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	room := max(0, maxLines-len(o.lines))
	if len(events) > room {
		o.dropped.Add(len(events) - room)
		events = events[:room]
	}
	o.lines = append(o.lines, events...)
}

func (o *outbox) size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.lines)
}

func (o *outbox) head() []muster.Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.lines[:min(len(o.lines), lineBatch)])
}

func (o *outbox) drop(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines = slices.Clone(o.lines[n:]) // gives the memory of a burst back
}

// flush saves what waits and then tells of it. It is called by Run alone.
func (inv *Inventory) flush(ctx context.Context) {
	for {
		lines := inv.events.head()
		if len(lines) == 0 {
			return
		}
		err := inv.store.AppendEvents(ctx, lines)
		if err != nil && !errors.Is(err, muster.ErrInvalid) {
			inv.opts.Logger.Warn("inventory: changelog lines wait", "lines", inv.events.size(), "error", err)
			return
		}
		inv.events.drop(len(lines))
		if err != nil {
			inv.events.dropped.Add(len(lines))
			inv.opts.Logger.Error("inventory: changelog lines were refused", "lines", len(lines), "error", err)
			continue
		}
		inv.opts.Told(lines)
	}
}

// tellChange writes the differences between two states of a node into the changelog.
func (inv *Inventory) tellChange(old, now *muster.Node, actor string) {
	line := func(kind, text string) {
		inv.events.add(muster.Event{
			ID:      fmt.Sprintf("%s/%s/%d", kind, now.ID, now.Rev),
			Account: now.Account, At: inv.opts.Now(), Kind: kind, Actor: actor,
			Subject: now.ID.String(), Name: now.Name, Text: text,
		})
	}
	if old.Name != now.Name {
		line("node.renamed", "was called "+old.Name)
	}
	if text := diffTags(old.Tags, now.Tags); text != "" {
		line("node.tagged", text)
	}
	if text := diffNode(old, now); text != "" {
		line("node.changed", text)
	}
}

func diffTags(old, now []string) string {
	var parts []string
	for _, t := range now {
		if !slices.Contains(old, t) {
			parts = append(parts, "+"+t)
		}
	}
	for _, t := range old {
		if !slices.Contains(now, t) {
			parts = append(parts, "-"+t)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "tags: " + strings.Join(parts, " ")
}

// maxDiffs bounds the length of one changelog line.
const maxDiffs = 12

func diffNode(old, now *muster.Node) string {
	var parts []string
	value := func(what, a, b string) {
		if a != b {
			parts = append(parts, fmt.Sprintf("%s: %s -> %s", what, orNone(a), orNone(b)))
		}
	}
	value("hostname", old.Hostname, now.Hostname)
	value("agent", old.AgentVersion, now.AgentVersion)
	if old.Period > 0 {
		value("period", old.Period.String(), now.Period.String())
	}
	value("addresses", strings.Join(old.Addresses, " "), strings.Join(now.Addresses, " "))
	value("colour", old.Colour, now.Colour)
	if old.Star != now.Star {
		parts = append(parts, map[bool]string{true: "starred", false: "no longer starred"}[now.Star])
	}
	if old.Unwatched != now.Unwatched {
		parts = append(parts, map[bool]string{true: "no longer watched", false: "watched again"}[now.Unwatched])
	}
	if old.Notes != now.Notes {
		parts = append(parts, "notes edited")
	}
	keys := maps.Clone(old.Facts)
	if keys == nil {
		keys = map[string]string{}
	}
	maps.Copy(keys, now.Facts)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		value(key, old.Facts[key], now.Facts[key])
	}
	if len(parts) > maxDiffs {
		parts = append(parts[:maxDiffs], fmt.Sprintf("and %d more", len(parts)-maxDiffs))
	}
	return strings.Join(parts, "; ")
}

func orNone(s string) string {
	const most = 120
	switch {
	case s == "":
		return "(none)"
	case len(s) > most:
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}
