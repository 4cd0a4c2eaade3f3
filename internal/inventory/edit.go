package inventory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"muster"
)

// Edit says which node is to be changed, and by whom.
type Edit struct {
	Account muster.AccountID
	Node    muster.NodeID
	Rev     uint64 // the rev the change was made against: ErrConflict when it is another; 0: any
	Actor   string // for the changelog
}

// Bounds of what people say of a node.
const (
	MaxTags  = 64
	MaxTag   = 200
	MaxNotes = 64 << 10
)

// Update changes what people may change of a node: Name, Tags, Star, Colour, Notes and Unwatched; what change does
// to the rest is undone. The row is what it is afterwards. The error wraps ErrNotFound, ErrConflict (a
// newer rev, or a name that is taken), ErrInvalid, or is what change gave.
func (inv *Inventory) Update(ctx context.Context, edit Edit, change func(*muster.Node) error) (Row, error) {
	var old muster.Node
	node, err := inv.store.UpdateNode(ctx, edit.Account, edit.Node, edit.Rev, func(n *muster.Node) error {
		old = *n
		old.Tags = slices.Clone(n.Tags)
		old.Facts = maps.Clone(n.Facts)
		edited := old
		edited.Tags = n.Tags
		edited.Facts = maps.Clone(n.Facts)
		if err := change(&edited); err != nil {
			return err
		}
		if err := tidyEdit(&edited); err != nil {
			return err
		}
		n.Name, n.Tags, n.Star, n.Colour, n.Notes, n.Unwatched = edited.Name, edited.Tags, edited.Star, edited.Colour, edited.Notes, edited.Unwatched
		return nil
	})
	if err != nil {
		return Row{}, fmt.Errorf("inventory: update: %w", err)
	}
	inv.renew(node)
	inv.tellChange(&old, node, edit.Actor)
	return inv.Get(edit.Account, edit.Node)
}

// tidyEdit sorts and checks what a person wrote.
func tidyEdit(n *muster.Node) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{muster.ErrInvalid}, args...)...)
	}
	n.Name = strings.TrimSpace(n.Name)
	if n.Name == "" || len(n.Name) > maxName || cleanText(n.Name, maxName) != n.Name {
		return bad("name: must be 1 to %d bytes of text without control characters", maxName)
	}
	tags := make([]string, 0, len(n.Tags))
	for _, t := range n.Tags {
		t = strings.TrimSpace(t)
		if t == "" || len(t) > MaxTag || cleanText(t, MaxTag) != t || strings.ContainsAny(t, " ,") {
			return bad("tags: %.64q must be 1 to %d bytes without spaces, commas and control characters", t, MaxTag)
		}
		tags = append(tags, t)
	}
	slices.Sort(tags)
	if n.Tags = slices.Compact(tags); len(n.Tags) > MaxTags {
		return bad("tags: a node has at most %d", MaxTags)
	}
	if len(n.Colour) > 32 || cleanText(n.Colour, 32) != n.Colour {
		return bad("colour: must be at most 32 bytes of text")
	}
	if len(n.Notes) > MaxNotes {
		return bad("notes: at most %d bytes are kept", MaxNotes)
	}
	return nil
}

// Delete removes a node and everything the inventory knows of it; its agent is not welcome any more.
// What it measured stays until its time is up. The error wraps ErrNotFound or ErrConflict.
func (inv *Inventory) Delete(ctx context.Context, edit Edit) error {
	name := edit.Node.String()
	if e := inv.entryOf(edit.Account, edit.Node); e != nil {
		name = e.node.Load().Name
	}
	if err := inv.store.DeleteNode(ctx, edit.Account, edit.Node, edit.Rev); err != nil {
		return fmt.Errorf("inventory: delete: %w", err)
	}
	if b := inv.known(edit.Account); b != nil {
		b.drop(edit.Node)
	}
	inv.mu.Lock()
	maps.DeleteFunc(inv.keys, func(_ [keySize]byte, e *entry) bool { return e.id == edit.Node })
	inv.mu.Unlock()
	inv.events.add(muster.Event{
		ID: "node.deleted/" + edit.Node.String(), Account: edit.Account, At: inv.opts.Now(), Kind: "node.deleted", Actor: edit.Actor,
		Subject: edit.Node.String(), Name: name, Text: "was removed",
	})
	inv.opts.Changed(Change{Account: edit.Account, Node: edit.Node, Gone: true})
	return nil
}
