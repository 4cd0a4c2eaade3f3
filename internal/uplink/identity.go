package uplink

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"muster"
)

// Identity is who an agent is: a key that it made itself, and what its server told it. It lives in
// one file of the state directory, readable by the owner only.
type Identity struct {
	Key       ed25519.PrivateKey
	Node      muster.NodeID // zero until a server welcomed the agent
	Account   string        // the account's name
	Pin       string        // fingerprint of the server's certificate; empty: the system's authorities decide
	Endpoints []string      // where else the server may be found
	CreatedAt time.Time

	path string
}

// identityFile is the file's form: JSON, version 1.
type identityFile struct {
	Version   int       `json:"version"`
	Seed      []byte    `json:"seed"` // of the ed25519 key, 32 bytes
	Node      string    `json:"node,omitempty"`
	Account   string    `json:"account,omitempty"`
	Pin       string    `json:"pin,omitempty"`
	Endpoints []string  `json:"endpoints,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

const identityName = "identity.json"

// Enrolled says whether a server has welcomed this identity.
func (id *Identity) Enrolled() bool { return !id.Node.IsZero() }

// LoadIdentity reads the identity from the state directory, or makes a new one there. An identity
// that cannot be read is an error (it wraps muster.ErrInvalid), never replaced: the node would become
// another. Without a directory the identity lives in memory only.
func LoadIdentity(dir string, now time.Time) (*Identity, error) {
	id := &Identity{CreatedAt: now}
	if dir != "" {
		id.path = filepath.Join(dir, identityName)
		content, err := os.ReadFile(id.path)
		if err == nil {
			err = id.parse(content)
			return id, wrap("read identity "+id.path, err)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("uplink: read identity: %w: %w", muster.ErrUnavailable, err)
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("uplink: make identity: %w: %w", muster.ErrUnavailable, err)
		}
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("uplink: make identity: %w: %w", muster.ErrUnavailable, err)
	}
	id.Key = key
	return id, id.Save()
}

func (id *Identity) parse(content []byte) error {
	var f identityFile
	if err := json.Unmarshal(content, &f); err != nil {
		return fmt.Errorf("%w: %w", muster.ErrInvalid, err)
	}
	if f.Version != 1 || len(f.Seed) != ed25519.SeedSize {
		return fmt.Errorf("%w: it is damaged, or of a newer version", muster.ErrInvalid)
	}
	if f.Node != "" {
		node, err := muster.ParseNodeID(f.Node)
		if err != nil {
			return err
		}
		id.Node = node
	}
	id.Key = ed25519.NewKeyFromSeed(f.Seed)
	id.Account, id.Pin, id.Endpoints, id.CreatedAt = f.Account, f.Pin, f.Endpoints, f.CreatedAt
	return nil
}

// Save writes the identity to its file, as a whole or not at all; the error wraps muster.ErrUnavailable.
func (id *Identity) Save() error {
	if id.path == "" {
		return nil
	}
	f := identityFile{
		Version: 1, Seed: id.Key.Seed(), Account: id.Account, Pin: id.Pin, Endpoints: id.Endpoints, CreatedAt: id.CreatedAt,
	}
	if id.Enrolled() {
		f.Node = id.Node.String()
	}
	content, err := json.MarshalIndent(f, "", "  ")
	if err == nil {
		err = writeFile(id.path, append(content, '\n'), true)
	}
	if err != nil {
		return fmt.Errorf("uplink: save identity: %w: %w", muster.ErrUnavailable, err)
	}
	return nil
}

func wrap(action string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("uplink: %s: %w", action, err)
}
