package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// secretBytes is how much chance a secret holds: nobody guesses 256 bits, so a plain hash protects them.
const secretBytes = 32

// secretLength is that of a secret written in base64 for URLs.
const secretLength = 43

// tokenPrefix lets people, and scanners of leaked secrets, see what a token is.
const tokenPrefix = "mst_"

// maxSecret bounds what is hashed for a caller who is not known yet.
const maxSecret = 512

func newSecret() string {
	var raw [secretBytes]byte
	rand.Read(raw[:]) // never fails since Go 1.24: the process ends instead
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

func hashOf(secret string) [sha256.Size]byte { return sha256.Sum256([]byte(secret)) }

// csrfOf derives the token that a page sends back to show that it was made for this session. It
// needs no place to be kept and ends with the session.
func csrfOf(cookie string) string {
	mac := hmac.New(sha256.New, []byte(cookie))
	mac.Write([]byte("muster csrf 1"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
