package roster

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"

	"muster"
	"muster/internal/check"
	"muster/internal/roster/guess"
)

// Guess makes a check of what somebody typed: a URL or a host with a path is watched by http, host:port by tcp (80
// and 443 by http), a host or an address by ping. It has Kind, Config and Enabled; Create does the rest.
// The error wraps ErrInvalid and says what is missing.
func Guess(text string) (*muster.Check, error) {
	c, err := guess.Check(text, check.HostFault)
	if err != nil {
		return nil, fmt.Errorf("roster: %w", err)
	}
	return c, nil
}

// FirstName is the name of the check that exists from the start.
const FirstName = "Muster itself"

// EnsureFirst makes the first check of an account, of this server itself at that URL ("http://127.0.0.1:8080"), unless
// the account has checks or had this one: who deletes it is not given it again.
func (r *Roster) EnsureFirst(ctx context.Context, account muster.AccountID, at string) error {
	if len(r.byName(account)) > 0 {
		return nil
	}
	id := firstID(account)
	rows, _, err := r.store.Rows(ctx, account, textStream(id), "", 1)
	if err != nil {
		return fmt.Errorf("roster: first check: %w", err)
	}
	if len(rows) > 0 {
		return nil // it ran once
	}
	target := strings.TrimSuffix(at, "/") + "/healthz"
	config := map[string]any{"url": target}
	if strings.HasPrefix(target, "https:") {
		config["tls_skip_verify"] = true // the certificate is made for the names that others use
	}
	first := muster.Check{Name: FirstName, Kind: "http", Config: check.Normal(config), Enabled: true}
	_, err = r.Create(ctx, Edit{Account: account, ID: id, Actor: actorServer}, &first)
	if err != nil {
		return fmt.Errorf("roster: first check: %w", err)
	}
	return nil
}

// firstID gives the id that an account's first check has, so that it is known again.
func firstID(account muster.AccountID) muster.CheckID {
	sum := sha256.Sum256(append([]byte("muster first check 1\x00"), account[:]...))
	raw := muster.NodeID(sum[:16])
	copy(raw[:6], account[:6]) // ids sort by their making
	binary.BigEndian.PutUint16(raw[6:], binary.BigEndian.Uint16(raw[6:])&0x0fff|0x8000)
	raw[8] = raw[8]&0x3f | 0x80
	return muster.CheckOf(raw)
}
