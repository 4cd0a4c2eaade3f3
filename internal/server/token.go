package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"muster"
)

// localTokenFile lets the command line on the server's own machine, run by the server's own user, in.
const localTokenFile = "cli-token"

// localServerFile tells that command line where the server is, and which authority to trust.
const localServerFile = "cli-server"

// localServer writes where the server is: its URL, and the SHA-256 of its own authority when it has one.
func (s *Server) localServer() error {
	line := s.opts.localURL(s.listener.Addr())
	if s.authority != nil {
		line += fmt.Sprintf(" %x", sha256.Sum256(s.authority))
	}
	name := filepath.Join(s.opts.Data, localServerFile)
	if err := os.WriteFile(name+".new", []byte(line+"\n"), 0o600); err != nil {
		return fmt.Errorf("server: write %s: %w", name, err)
	}
	return os.Rename(name+".new", name)
}

// localToken makes the token of the local command line, once, in a file only the owner can read.
func (s *Server) localToken(ctx context.Context, account muster.AccountID) error {
	name := filepath.Join(s.opts.Data, localTokenFile)
	text, err := os.ReadFile(name)
	switch {
	case err == nil:
		return s.auth.AdoptToken(ctx, account, "local command line", muster.Admin, strings.TrimSpace(string(text)))
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("server: read %s: %w", name, err)
	}
	var raw [32]byte
	rand.Read(raw[:])
	secret := "muster_" + base64.RawURLEncoding.EncodeToString(raw[:])
	if err := s.auth.AdoptToken(ctx, account, "local command line", muster.Admin, secret); err != nil {
		return err
	}
	// Write aside and rename: a file half written would lock the owner out.
	if err := os.WriteFile(name+".new", []byte(secret+"\n"), 0o600); err != nil {
		return fmt.Errorf("server: write the local token: %w", err)
	}
	return os.Rename(name+".new", name)
}
