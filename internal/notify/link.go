package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"muster"
	"muster/api"
)

// What a link in a message is for.
const (
	LinkAcknowledge = "acknowledge"
	LinkSilence     = "silence"
)

// linkTTL is how long a link works.
const linkTTL = 7 * 24 * time.Hour

// LinkTarget is what a link stands for.
type LinkTarget struct {
	Purpose  string // LinkAcknowledge or LinkSilence
	Account  muster.AccountID
	Incident muster.IncidentID
}

const (
	linkVersion = 1
	linkHead    = 1 + 1 + 16 + 4 // version, purpose, account, when it ends in Unix minutes
	linkMAC     = 16
	maxLink     = 400 // characters
)

var linkCodes = map[string]byte{LinkAcknowledge: 1, LinkSilence: 2}

// link gives the address of a page that does what the purpose says after one press of a button.
func (r *Room) link(purpose string, in *muster.Incident) string {
	b := make([]byte, 0, 128)
	b = append(b, linkVersion, linkCodes[purpose])
	b = append(b, in.Account[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(r.opts.Now().Add(linkTTL).Unix()/60))
	b = append(b, in.ID...)
	b = append(b, r.linkMAC(b)...)
	return r.opts.BaseURL() + api.PathActions + "/" + base64.RawURLEncoding.EncodeToString(b)
}

func (r *Room) linkMAC(b []byte) []byte {
	h := hmac.New(sha256.New, r.opts.LinkKey)
	h.Write([]byte("muster link\x00"))
	h.Write(b)
	return h.Sum(nil)[:linkMAC]
}

// OpenLink reads the token of a link. The error wraps ErrInvalid when it is none that was given out, and ErrDenied when its
// time is over.
func (r *Room) OpenLink(token string) (LinkTarget, error) {
	bad := fmt.Errorf("notify: link: %w: this link is not one of Muster's, or a part of it is missing", muster.ErrInvalid)
	if len(token) > maxLink {
		return LinkTarget{}, bad
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < linkHead+1+linkMAC {
		return LinkTarget{}, bad
	}
	body, mac := b[:len(b)-linkMAC], b[len(b)-linkMAC:]
	if !hmac.Equal(mac, r.linkMAC(body)) || body[0] != linkVersion {
		return LinkTarget{}, bad
	}
	t := LinkTarget{Account: muster.AccountID(body[2:18]), Incident: muster.IncidentID(body[linkHead:])}
	for purpose, code := range linkCodes {
		if code == body[1] {
			t.Purpose = purpose
		}
	}
	if t.Purpose == "" {
		return LinkTarget{}, bad
	}
	if ends := time.Unix(int64(binary.BigEndian.Uint32(body[18:22]))*60, 0); r.opts.Now().After(ends) {
		return LinkTarget{}, fmt.Errorf("notify: link: %w: this link worked for a week and is too old now; sign in instead", muster.ErrDenied)
	}
	return t, nil
}
