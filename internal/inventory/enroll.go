package inventory

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"muster"
	"muster/api"
)

// Invite describes an enrolment to be made.
type Invite struct {
	Account muster.AccountID
	Actor   string        // who makes it, for the changelog
	Uses    int           // how many agents may come; 1 when zero
	TTL     time.Duration // how long it lasts; 1 h when zero
}

// Bounds of an enrolment.
const (
	MaxUses = 10_000
	MaxTTL  = 30 * 24 * time.Hour
)

// tokenPrefix lets people and scanners of leaked secrets see what a token is.
const tokenPrefix = "enroll_"

// NewEnrollment makes an invitation for agents and its token, which is not kept and shown only this
// once. The error wraps ErrInvalid when uses or TTL are out of bounds.
func (inv *Inventory) NewEnrollment(ctx context.Context, i Invite) (muster.Enrollment, string, error) {
	if i.Uses == 0 {
		i.Uses = 1
	}
	if i.TTL == 0 {
		i.TTL = time.Hour
	}
	if i.Uses < 1 || i.Uses > MaxUses {
		return muster.Enrollment{}, "", fmt.Errorf("inventory: new enrollment: %w: uses must be 1 to %d", muster.ErrInvalid, MaxUses)
	}
	if i.TTL < time.Minute || i.TTL > MaxTTL {
		return muster.Enrollment{}, "", fmt.Errorf("inventory: new enrollment: %w: it must last 1 minute to 30 days", muster.ErrInvalid)
	}
	var secret [32]byte
	rand.Read(secret[:])
	token := tokenPrefix + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret[:]))
	now := inv.opts.Now()
	e := muster.Enrollment{
		ID: muster.NewEnrollmentID(), Account: i.Account, SecretHash: tokenHash(token),
		UsesLeft: i.Uses, ExpiresAt: now.Add(i.TTL).UTC(),
	}
	if err := inv.store.CreateEnrollment(ctx, &e); err != nil {
		return muster.Enrollment{}, "", fmt.Errorf("inventory: new enrollment: %w", err)
	}
	inv.events.add(muster.Event{
		ID: "enrollment.created/" + string(e.ID), Account: i.Account, At: now, Kind: "enrollment.created", Actor: i.Actor,
		Subject: string(e.ID), Name: "enrollment", Text: invitation(i),
	})
	return e, token, nil
}

// invitation says in words whom an enrolment invites.
func invitation(i Invite) string {
	who := "one machine"
	if i.Uses > 1 {
		who = fmt.Sprintf("%d machines", i.Uses)
	}
	return fmt.Sprintf("invites %s within %s", who, api.FormatDuration(i.TTL))
}

// Enrollments gives the account's invitations.
func (inv *Inventory) Enrollments(ctx context.Context, account muster.AccountID) ([]*muster.Enrollment, error) {
	list, err := inv.store.Enrollments(ctx, account)
	if err != nil {
		return nil, fmt.Errorf("inventory: enrollments: %w", err)
	}
	return list, nil
}

// Revoke takes an invitation back; the error wraps ErrNotFound.
func (inv *Inventory) Revoke(ctx context.Context, account muster.AccountID, id muster.EnrollmentID, actor string) error {
	if err := inv.store.DeleteEnrollment(ctx, account, id, 0); err != nil {
		return fmt.Errorf("inventory: revoke: %w", err)
	}
	inv.events.add(muster.Event{
		ID: "enrollment.revoked/" + string(id), Account: account, At: inv.opts.Now(), Kind: "enrollment.revoked", Actor: actor,
		Subject: string(id), Name: "enrollment", Text: "was taken back",
	})
	return nil
}

func tokenHash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// Enroll makes a node for an agent that shows a valid token, and uses the token up by one. An agent
// that is known already gets its node and uses nothing, and neither does one that came a moment ago and
// whose node could not be made. The error wraps ErrDenied, with words that may
// be told, when the token is unknown, used up or expired.
func (inv *Inventory) Enroll(ctx context.Context, s Sighting) (Identity, error) {
	id, err := inv.Identify(ctx, s.Key)
	if err == nil || !errors.Is(err, muster.ErrNotFound) {
		return id, err
	}
	invite, err := inv.store.UseEnrollment(ctx, tokenHash(s.Token), s.Key, inv.opts.Now())
	if err != nil {
		return Identity{}, fmt.Errorf("inventory: enroll: %w", err)
	}
	node, err := inv.createNode(ctx, invite.Account, s)
	if err != nil {
		return Identity{}, err
	}
	if node == nil { // the same agent on another connection was faster
		return inv.Identify(ctx, s.Key)
	}
	e := inv.admit(inv.board(node.Account), node)
	inv.events.add(muster.Event{
		ID: "node.joined/" + node.ID.String(), Account: node.Account, At: inv.opts.Now(), Kind: "node.joined", Actor: actorAgent,
		Subject: node.ID.String(), Name: node.Name, Text: "joined from " + orNone(s.Remote),
	})
	inv.opts.Changed(Change{Account: node.Account, Node: node.ID, Edited: true})
	return inv.identity(ctx, e)
}

// createNode saves a node under the first free of the names web, web-2, web-3 ... It gives nil when the
// key was enrolled meanwhile.
func (inv *Inventory) createNode(ctx context.Context, account muster.AccountID, s Sighting) (*muster.Node, error) {
	base := cleanText(s.Hostname, maxName-10)
	if base == "" {
		base = "node"
	}
	b := inv.board(account)
	const tries = 20 // each a name that looked free here and was taken by another server
	for suffix, try := 1, 0; try < tries; suffix, try = suffix+1, try+1 {
		var name string
		name, suffix = b.freeName(base, suffix)
		node := &muster.Node{
			ID: muster.NewNodeID(), Account: account, Name: name, Hostname: cleanText(s.Hostname, maxName),
			Addresses: cleanAddresses(s.Addresses), Facts: cleanFacts(s.Facts), AgentKey: append([]byte(nil), s.Key...),
			AgentVersion: cleanText(s.Version, maxName), Period: cleanPeriod(s.Period),
		}
		err := inv.store.CreateNode(ctx, node)
		if err == nil {
			return node, nil
		}
		if !errors.Is(err, muster.ErrConflict) {
			return nil, fmt.Errorf("inventory: enroll: %w", err)
		}
		if _, err := inv.store.NodeByKey(ctx, s.Key); err == nil {
			return nil, nil
		}
	}
	return nil, fmt.Errorf("inventory: enroll: %w: no free name like %q", muster.ErrConflict, base)
}

// freeName gives the first name of the row base, base-2, base-3 ... from suffix on that the board does
// not have, and its suffix.
func (b *board) freeName(base string, suffix int) (string, int) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for ; ; suffix++ {
		name := base
		if suffix > 1 {
			name = fmt.Sprintf("%s-%d", base, suffix)
		}
		if b.names[name] == 0 {
			return name, suffix
		}
	}
}
