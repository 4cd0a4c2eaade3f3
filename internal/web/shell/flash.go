package shell

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// Flash is a message that is shown once, on the page after a redirect.
type Flash struct {
	Kind string // "ok" or "bad"
	Text string // what happened and, when it went wrong, what to do
}

const flashCookie = "muster_flash"

// SetFlash keeps a message for the next page this browser asks for. Call it before the redirect is written.
func SetFlash(w http.ResponseWriter, f Flash) {
	const most = 600 // cookies are small
	if len(f.Text) > most {
		f.Text = strings.ToValidUTF8(f.Text[:most], "") + "…"
	}
	value := base64.RawURLEncoding.EncodeToString([]byte(f.Kind + "\n" + f.Text))
	http.SetCookie(w, &http.Cookie{Name: flashCookie, Value: value, Path: "/", MaxAge: 60, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// takeFlash gives the message, if there is one, and forgets it.
func takeFlash(w http.ResponseWriter, r *http.Request) *Flash {
	c, err := r.Cookie(flashCookie)
	if err != nil {
		return nil
	}
	http.SetCookie(w, &http.Cookie{Name: flashCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	raw, err := base64.RawURLEncoding.DecodeString(c.Value)
	kind, text, ok := strings.Cut(string(raw), "\n")
	if err != nil || !ok {
		return nil
	}
	if kind != "ok" {
		kind = "bad"
	}
	return &Flash{Kind: kind, Text: text}
}
