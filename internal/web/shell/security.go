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
