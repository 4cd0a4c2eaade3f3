package inventory

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"

	"muster"
)

// Sighting is what an agent says of itself when it arrives.
type Sighting struct {
	Key       []byte // ed25519 public key, proven by a signature
	Token     string // of an enrolment; "" when there is none
	Hostname  string
	Version   string
	Period    time.Duration
	Facts     map[string]string
	Addresses []string
	Remote    string // where the connection came from
}

// Identity is who an agent is here.
type Identity struct {
	Account     muster.AccountID
	AccountName string
	Node        muster.NodeID
	Name        string // the node's
	Period      time.Duration
}

// Identify finds the node whose agent has the key; the error wraps ErrNotFound when nobody enrolled it.
func (inv *Inventory) Identify(ctx context.Context, key []byte) (Identity, error) {
	if len(key) != keySize {
		return Identity{}, fmt.Errorf("inventory: identify: %w: a key has %d bytes", muster.ErrInvalid, keySize)
	}
	inv.mu.RLock()
	e := inv.keys[[keySize]byte(key)]
	inv.mu.RUnlock()
	if e != nil {
		return inv.identity(ctx, e)
	}
	node, err := inv.store.NodeByKey(ctx, key)
	if err != nil {
		return Identity{}, fmt.Errorf("inventory: identify: %w", err)
	}
	return inv.identity(ctx, inv.admit(inv.board(node.Account), node))
}

func (inv *Inventory) identity(ctx context.Context, e *entry) (Identity, error) {
	name, err := inv.accountName(ctx, e.account)
	if err != nil {
		return Identity{}, err
	}
	node := e.node.Load()
	return Identity{Account: e.account, AccountName: name, Node: e.id, Name: node.Name, Period: node.Period}, nil
}

// accountName asks the store once for each account; a new name shows after a restart, in agents' logs only.
func (inv *Inventory) accountName(ctx context.Context, id muster.AccountID) (string, error) {
	if name, ok := inv.names.Load(id); ok {
		return name.(string), nil
	}
	account, err := inv.store.Account(ctx, id)
	if err != nil {
		return "", fmt.Errorf("inventory: identify: %w", err)
	}
	inv.names.Store(id, account.Name)
	return account.Name, nil
}

// Connected notes that an agent holds a connection and what it said when it arrived; what differs from
// the document is saved and told in the changelog. Each Connected needs one Left.
func (inv *Inventory) Connected(ctx context.Context, id Identity, s Sighting) error {
	e := inv.entryOf(id.Account, id.Node)
	if e == nil {
		return fmt.Errorf("inventory: connected: %w: no node %s", muster.ErrNotFound, id.Node)
	}
	e.mu.Lock()
	e.links++
	e.arrived = inv.opts.Now()
	e.now.Connected = true
	e.now.Dropped = 0
	e.mu.Unlock()
	inv.opts.Changed(Change{Account: id.Account, Node: id.Node})
	return inv.learn(ctx, e, func(n *muster.Node) {
		n.Hostname = cleanText(s.Hostname, maxName)
		n.AgentVersion = cleanText(s.Version, maxName)
		n.Period = cleanPeriod(s.Period)
		n.Facts = cleanFacts(s.Facts)
		n.Addresses = cleanAddresses(s.Addresses)
		n.Farewell = muster.Farewell{}
	})
}

// Facts notes that the facts and addresses of a connected node changed.
func (inv *Inventory) Facts(ctx context.Context, id Identity, facts map[string]string, addresses []string) error {
	e := inv.entryOf(id.Account, id.Node)
	if e == nil {
		return fmt.Errorf("inventory: facts: %w: no node %s", muster.ErrNotFound, id.Node)
	}
	return inv.learn(ctx, e, func(n *muster.Node) {
		n.Facts = cleanFacts(facts)
		n.Addresses = cleanAddresses(addresses)
	})
}

// Left notes that the connection of an agent ended: with a reason when it said goodbye, else with "".
func (inv *Inventory) Left(ctx context.Context, id Identity, reason muster.FarewellReason) error {
	e := inv.entryOf(id.Account, id.Node)
	if e == nil {
		return nil // deleted meanwhile
	}
	e.mu.Lock()
	e.links = max(0, e.links-1)
	e.now.Connected = e.links > 0
	e.mu.Unlock()
	inv.opts.Changed(Change{Account: id.Account, Node: id.Node})
	switch reason {
	case muster.FarewellShutdown, muster.FarewellStop, muster.FarewellUpgrade:
	default:
		return nil
	}
	at := inv.opts.Now()
	err := inv.learn(ctx, e, func(n *muster.Node) { n.Farewell = muster.Farewell{Reason: reason, At: at} })
	e.mu.Lock()
	changed := inv.judge(e, at)
	e.mu.Unlock()
	if changed {
		inv.opts.Changed(Change{Account: id.Account, Node: id.Node})
	}
	return err
}

// duplicateEvery is how often one node's doubled identity is told.
const duplicateEvery = time.Hour

// Duplicate notes that a second agent came with the identity of one that is connected and alive; it is
// told in the changelog, at most once an hour for a node.
func (inv *Inventory) Duplicate(id Identity, s Sighting) {
	e := inv.entryOf(id.Account, id.Node)
	if e == nil {
		return
	}
	now := inv.opts.Now()
	e.mu.Lock()
	again := !e.doubled.IsZero() && now.Sub(e.doubled) < duplicateEvery
	if !again {
		e.doubled = now
	}
	e.mu.Unlock()
	if again {
		return
	}
	inv.events.add(muster.Event{
		ID: fmt.Sprintf("node.duplicate/%s/%d", id.Node, now.UnixMilli()), Account: id.Account, At: now,
		Kind: "node.duplicate", Actor: actorAgent, Subject: id.Node.String(), Name: id.Name,
		Text: fmt.Sprintf("a second agent with the same identity was refused: host %s from %s; was the machine or its state directory copied?",
			orNone(cleanText(s.Hostname, maxName)), orNone(s.Remote)),
	})
}

// learn changes the document where the agent's word differs from it.
func (inv *Inventory) learn(ctx context.Context, e *entry, change func(*muster.Node)) error {
	want := *e.node.Load()
	change(&want)
	if sameNode(e.node.Load(), &want) {
		return nil
	}
	var old muster.Node
	node, err := inv.store.UpdateNode(ctx, e.account, e.id, 0, func(n *muster.Node) error {
		old = *n
		change(n)
		return nil
	})
	if err != nil {
		return fmt.Errorf("inventory: learn: %w", err)
	}
	inv.renew(node)
	inv.tellChange(&old, node, actorAgent)
	return nil
}

// renew puts a changed document on the board and tells of it.
func (inv *Inventory) renew(node *muster.Node) {
	inv.admit(inv.board(node.Account), node)
	inv.opts.Changed(Change{Account: node.Account, Node: node.ID, Edited: true})
}

func sameNode(a, b *muster.Node) bool {
	return a.Hostname == b.Hostname && a.AgentVersion == b.AgentVersion && a.Period == b.Period && a.Farewell == b.Farewell &&
		maps.Equal(a.Facts, b.Facts) && slices.Equal(a.Addresses, b.Addresses)
}

// Bounds of what an agent may say of itself; the wire's are alike, but this room trusts nobody.
const (
	maxName      = 200
	maxFacts     = 128
	maxFactValue = 1000
	maxAddresses = 64
)

// cleanText makes one line of plain text of at most so many bytes.
func cleanText(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return strings.TrimSpace(s)
}

func cleanFacts(facts map[string]string) map[string]string {
	clean := make(map[string]string, len(facts))
	for _, key := range slices.Sorted(maps.Keys(facts)) {
		k, v := cleanText(key, maxName), cleanText(facts[key], maxFactValue)
		if k != "" && v != "" && len(clean) < maxFacts {
			clean[k] = v
		}
	}
	return clean
}

func cleanAddresses(addresses []string) []string {
	var clean []string
	for _, text := range addresses {
		a, err := netip.ParseAddr(text)
		if err != nil || len(clean) == maxAddresses {
			continue
		}
		if s := a.String(); !slices.Contains(clean, s) {
			clean = append(clean, s)
		}
	}
	return clean
}

func cleanPeriod(d time.Duration) time.Duration {
	if d <= 0 {
		return 10 * time.Second
	}
	return min(max(d, time.Second), time.Hour)
}
