package muster

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// AccountID names an account: the 16 bytes of a UUIDv7. Its text form is a TypeID, "account_01h455...".
type AccountID [16]byte

// NodeID names a node: the 16 bytes of a UUIDv7. Its text form is a TypeID, "node_01h455...".
type NodeID [16]byte

// UserID names a person within an account, as a TypeID: "user_01h455...".
type UserID string

// TokenID names an API token, as a TypeID: "token_01h455...".
type TokenID string

// EnrollmentID names an invitation for agents, as a TypeID: "enrollment_01h455...".
type EnrollmentID string

const (
	accountPrefix    = "account"
	nodePrefix       = "node"
	userPrefix       = "user"
	tokenPrefix      = "token"
	enrollmentPrefix = "enrollment"
)

// NewAccountID makes a fresh id.
func NewAccountID() AccountID { return AccountID(newUUID()) }

// NewNodeID makes a fresh id.
func NewNodeID() NodeID { return NodeID(newUUID()) }

// NewUserID makes a fresh id.
func NewUserID() UserID { return UserID(formatID(userPrefix, newUUID())) }

// NewTokenID makes a fresh id.
func NewTokenID() TokenID { return TokenID(formatID(tokenPrefix, newUUID())) }

// NewEnrollmentID makes a fresh id.
func NewEnrollmentID() EnrollmentID { return EnrollmentID(formatID(enrollmentPrefix, newUUID())) }

// String gives the TypeID form.
func (id AccountID) String() string { return formatID(accountPrefix, id) }

// String gives the TypeID form.
func (id NodeID) String() string { return formatID(nodePrefix, id) }

// IsZero says whether the id was never set.
func (id AccountID) IsZero() bool { return id == AccountID{} }

// IsZero says whether the id was never set.
func (id NodeID) IsZero() bool { return id == NodeID{} }

// ParseAccountID reads the TypeID form; the error wraps ErrInvalid.
func ParseAccountID(s string) (AccountID, error) {
	raw, err := parseID(accountPrefix, s)
	return AccountID(raw), err
}

// ParseNodeID reads the TypeID form; the error wraps ErrInvalid.
func ParseNodeID(s string) (NodeID, error) {
	raw, err := parseID(nodePrefix, s)
	return NodeID(raw), err
}

// MarshalText gives the TypeID form.
func (id AccountID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// MarshalText gives the TypeID form.
func (id NodeID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the TypeID form.
func (id *AccountID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseAccountID(string(b))
	return err
}

// UnmarshalText reads the TypeID form.
func (id *NodeID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseNodeID(string(b))
	return err
}

// newUUID makes a UUIDv7: 48 bits of milliseconds, then random, so that ids sort by their making.
func newUUID() [16]byte {
	var u [16]byte
	rand.Read(u[:]) // never fails since Go 1.24: the process ends instead
	ms := uint64(time.Now().UnixMilli())
	var stamp [8]byte
	binary.BigEndian.PutUint64(stamp[:], ms<<16)
	copy(u[:6], stamp[:6])
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	return u
}

// crockford is the alphabet of TypeIDs: base32 without i, l, o and u, in lower case.
const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// idDigits is the length of the coded part: 26 digits bear 130 bits, the top two are zero.
const idDigits = 26

func formatID(prefix string, raw [16]byte) string {
	var out [idDigits]byte
	hi, lo := binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint64(raw[8:])
	for i := idDigits - 1; i >= 0; i-- {
		out[i] = crockford[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return prefix + "_" + string(out[:])
}

func parseID(prefix, s string) (raw [16]byte, err error) {
	rest, ok := strings.CutPrefix(s, prefix+"_")
	if !ok || len(rest) != idDigits || rest[0] > '7' {
		return raw, fmt.Errorf("%w: %q is not an id that begins with %s_", ErrInvalid, clip(s), prefix)
	}
	var hi, lo uint64
	for i := range len(rest) {
		digit := strings.IndexByte(crockford, rest[i])
		if digit < 0 {
			return raw, fmt.Errorf("%w: %q is not an id that begins with %s_", ErrInvalid, clip(s), prefix)
		}
		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(digit)
	}
	binary.BigEndian.PutUint64(raw[:8], hi)
	binary.BigEndian.PutUint64(raw[8:], lo)
	return raw, nil
}

// clip keeps a hostile value from filling an error message.
func clip(s string) string {
	const most = 64
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
