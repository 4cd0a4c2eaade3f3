package muster

import (
	"crypto/rand"
	"crypto/sha256"
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

// CheckID names a check, as a TypeID: "check_01h455...".
type CheckID string

// AlarmID names an alarm, as a TypeID: "alarm_01h455...".
type AlarmID string

// IncidentID names an incident, as a TypeID: "incident_01h455...".
type IncidentID string

// ChannelID names a channel, as a TypeID: "channel_01h455...".
type ChannelID string

// SuppressionID names a suppression, as a TypeID: "suppression_01h455...".
type SuppressionID string

const (
	accountPrefix     = "account"
	nodePrefix        = "node"
	userPrefix        = "user"
	tokenPrefix       = "token"
	enrollmentPrefix  = "enrollment"
	checkPrefix       = "check"
	alarmPrefix       = "alarm"
	incidentPrefix    = "incident"
	channelPrefix     = "channel"
	suppressionPrefix = "suppression"
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

// NewCheckID makes a fresh id.
func NewCheckID() CheckID { return CheckID(formatID(checkPrefix, newUUID())) }

// NewAlarmID makes a fresh id.
func NewAlarmID() AlarmID { return AlarmID(formatID(alarmPrefix, newUUID())) }

// NewChannelID makes a fresh id.
func NewChannelID() ChannelID { return ChannelID(formatID(channelPrefix, newUUID())) }

// NewSuppressionID makes a fresh id.
func NewSuppressionID() SuppressionID {
	return SuppressionID(formatID(suppressionPrefix, newUUID()))
}

// NewIncidentID makes the id of the incident that a transition opens: the same for the same transition, so
// that a step taken twice opens one. Ids of one account sort by the time they opened.
func NewIncidentID(account AccountID, transition string, at time.Time) IncidentID {
	sum := sha256.Sum256(append(append([]byte("muster incident 1\x00"), account[:]...), transition...))
	raw := [16]byte(sum[:16])
	var stamp [8]byte
	binary.BigEndian.PutUint64(stamp[:], uint64(at.UnixMilli())<<16)
	copy(raw[:6], stamp[:6])
	raw[6] = raw[6]&0x0f | 0x80 // a UUIDv8: time first, then a hash
	raw[8] = raw[8]&0x3f | 0x80
	return IncidentID(formatID(incidentPrefix, raw))
}

// Subject gives the check as the owner of its own metrics, for a check without node; zero when the id is malformed.
func (id CheckID) Subject() NodeID {
	raw, err := parseID(checkPrefix, string(id))
	if err != nil {
		return NodeID{}
	}
	return NodeID(raw)
}

// CheckOf gives the check whose Subject the id is. Any id has that form: the caller must know that it is no node's.
func CheckOf(subject NodeID) CheckID { return CheckID(formatID(checkPrefix, subject)) }

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
