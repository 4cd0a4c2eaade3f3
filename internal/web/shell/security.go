package shell

import "net/http"

// policy is the Content-Security-Policy of every page: only this server's own files, nothing inline, nobody frames it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// Secure wraps a handler with the security headers of pages.
func Secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// CSRFHeader bears the token in requests made by scripts; forms bear it in the field CSRFField.
const (
	CSRFHeader = "X-Muster-CSRF"
	CSRFField  = "csrf"
)

// Safe says whether a method changes nothing, so that it needs no CSRF token.
func Safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// GivenCSRF gives the token a request came with, from the header or the form. It reads the body of a form, at most 64 KiB of it.
func GivenCSRF(w http.ResponseWriter, r *http.Request) string {
	if t := r.Header.Get(CSRFHeader); t != "" {
		return t
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	return r.PostFormValue(CSRFField)
}

// SessionCookie is the name of the cookie that bears a session; the REST API reads the same one.
const SessionCookie = "muster_session"

// SetSession hands the browser a session. Lax, not strict: a link to a page from elsewhere is to open it.
func SetSession(w http.ResponseWriter, r *http.Request, value string) {
	const life = 400 * 24 * 3600 // the most browsers keep; the session itself ends earlier, on the server
	http.SetCookie(w, &http.Cookie{
		Name: SessionCookie, Value: value, Path: "/", MaxAge: life,
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
	})
}

// EndSession takes the session away from the browser.
func EndSession(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: SessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode})
}

// LocalPath gives the address when it leads to a page of this server, and "/" otherwise: nobody is to be led astray by a link.
func LocalPath(to string) string {
	if len(to) == 0 || to[0] != '/' || len(to) > 1 && (to[1] == '/' || to[1] == '\\') {
		return "/"
	}
	for i := range len(to) {
		if to[i] < ' ' || to[i] == '\\' {
			return "/"
		}
	}
	return to
}
