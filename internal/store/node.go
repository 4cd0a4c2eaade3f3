package store

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"muster"
)

// nodeBody is the body of a node; Period is in the form "10s", AgentKey in hexadecimal digits.
type nodeBody struct {
	Name         string            `json:"name"`
	Hostname     string            `json:"hostname,omitempty"`
	Addresses    []string          `json:"addresses,omitempty"`
	Tags         []string          `json:"tags,omitempty"`
	Star         bool              `json:"star,omitempty"`
	Colour       string            `json:"colour,omitempty"`
	Notes        string            `json:"notes,omitempty"`
	Facts        map[string]string `json:"facts,omitempty"`
	AgentKey     string            `json:"agent_key,omitempty"`
	AgentVersion string            `json:"agent_version,omitempty"`
	Period       string            `json:"period,omitempty"`
	Farewell     *farewellBody     `json:"farewell,omitempty"`
	Unwatched    bool              `json:"unwatched,omitempty"`
	CreatedAt    time.Time         `json:"created_at"`
	UpdatedAt    time.Time         `json:"updated_at"`
}

type farewellBody struct {
	Reason muster.FarewellReason `json:"reason"`
	At     time.Time             `json:"at"`
}

const (
	nameOfNode  = "name.node"
	nameOfAgent = "name.agent_key"
)

func nodeKey(account muster.AccountID, id muster.NodeID) Key {
	return Key{Account: account, Kind: "node", ID: id.String()}
}

// nodeName is unique within the account.
func nodeName(account muster.AccountID, name string) Key {
	return Key{Account: account, Kind: nameOfNode, ID: fold(name)}
}

// agentKey is unique over all accounts: an agent shows its key before anybody knows its account.
func agentKey(public []byte) Key { return Key{Kind: nameOfAgent, ID: hex.EncodeToString(public)} }

func nodeForm() form[muster.Node] {
	return form[muster.Node]{
		kind:   "node",
		key:    func(n *muster.Node) Key { return nodeKey(n.Account, n.ID) },
		meta:   func(n *muster.Node) meta { return meta{&n.Rev, &n.CreatedAt, &n.UpdatedAt} },
		encode: func(n *muster.Node) any { return encodeNode(n) },
		decode: decodeNode,
		claims: func(n *muster.Node) []Key {
			claims := []Key{nodeName(n.Account, n.Name)}
			if len(n.AgentKey) > 0 {
				claims = append(claims, agentKey(n.AgentKey))
			}
			return claims
		},
		check: func(n *muster.Node) error {
			if n.Period < 0 {
				return fmt.Errorf("%w: a node's period is not negative", muster.ErrInvalid)
			}
			return checkName("node", n.Name)
		},
	}
}

func encodeNode(n *muster.Node) nodeBody {
	b := nodeBody{
		Name: n.Name, Hostname: n.Hostname, Addresses: n.Addresses, Tags: n.Tags, Star: n.Star, Colour: n.Colour,
		Notes: n.Notes, Facts: n.Facts, AgentKey: hex.EncodeToString(n.AgentKey), AgentVersion: n.AgentVersion,
		Unwatched: n.Unwatched, CreatedAt: n.CreatedAt, UpdatedAt: n.UpdatedAt,
	}
	if n.Period > 0 {
		b.Period = n.Period.String()
	}
	if n.Farewell != (muster.Farewell{}) {
		b.Farewell = &farewellBody{Reason: n.Farewell.Reason, At: n.Farewell.At.UTC()}
	}
	return b
}

func decodeNode(key Key, text []byte) (*muster.Node, error) {
	b, err := parse[nodeBody](key, text)
	if err != nil {
		return nil, err
	}
	id, err := muster.ParseNodeID(key.ID)
	if err != nil {
		return nil, err
	}
	public, err := unhex(key, b.AgentKey)
	if err != nil {
		return nil, err
	}
	n := &muster.Node{
		ID: id, Account: key.Account, Name: b.Name, Hostname: b.Hostname, Addresses: b.Addresses, Tags: b.Tags, Star: b.Star, Colour: b.Colour,
		Notes: b.Notes, Facts: b.Facts, AgentKey: public, AgentVersion: b.AgentVersion, Unwatched: b.Unwatched, CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt,
	}
	if b.Period != "" {
		if n.Period, err = time.ParseDuration(b.Period); err != nil {
			return nil, fmt.Errorf("%w: the body of node %s: %w", muster.ErrInvalid, key.ID, err)
		}
	}
	if b.Farewell != nil {
		n.Farewell = muster.Farewell{Reason: b.Farewell.Reason, At: b.Farewell.At}
	}
	return n, nil
}

// CreateNode stores a new node; it fills in ID when it is zero, Rev and times. ErrConflict when the
// name is taken in the account, or the agent's key in any; upper and lower case are one name.
func (s *Store) CreateNode(ctx context.Context, n *muster.Node) error {
	if n.ID.IsZero() {
		n.ID = muster.NewNodeID()
	}
	return s.nodes.create(ctx, n)
}

// Node reads one node of an account; ErrNotFound when there is none.
func (s *Store) Node(ctx context.Context, account muster.AccountID, id muster.NodeID) (*muster.Node, error) {
	return s.nodes.get(ctx, nodeKey(account, id), false)
}

// NodeByKey reads the node, of any account, whose agent has this ed25519 public key; ErrNotFound when there is none.
func (s *Store) NodeByKey(ctx context.Context, publicKey []byte) (*muster.Node, error) {
	return s.nodes.byName(ctx, agentKey(publicKey), false)
}

// NodeByName reads the node of that name in the account, upper and lower case alike; ErrNotFound when there is none.
func (s *Store) NodeByName(ctx context.Context, account muster.AccountID, name string) (*muster.Node, error) {
	return s.nodes.byName(ctx, nodeName(account, name), false)
}

// Nodes reads all nodes of an account, oldest first.
func (s *Store) Nodes(ctx context.Context, account muster.AccountID) ([]*muster.Node, error) {
	return s.nodes.list(ctx, account)
}

// UpdateNode changes a node by fn, which may be called again when somebody was faster. rev 0 means
// any; another that is not the current one gives ErrConflict, and so do a name or key that are taken.
func (s *Store) UpdateNode(ctx context.Context, account muster.AccountID, id muster.NodeID, rev uint64, fn func(*muster.Node) error) (*muster.Node, error) {
	return s.nodes.update(ctx, nodeKey(account, id), rev, fn)
}

// DeleteNode removes a node and frees its name and its agent's key; rev as in UpdateNode.
func (s *Store) DeleteNode(ctx context.Context, account muster.AccountID, id muster.NodeID, rev uint64) error {
	return s.nodes.remove(ctx, nodeKey(account, id), rev)
}
