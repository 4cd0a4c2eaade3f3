package rest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"muster/api"
	"muster/internal/apidoc"
)

// document makes the OpenAPI document and its page, and serves both.
func (a *API) document() error {
	doc := a.huma.OpenAPI()
	for _, name := range []string{"ErrorModel", "ErrorDetail"} { // the framework's own; ours is Problem
		delete(doc.Components.Schemas.Map(), name)
	}
	spec, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("rest: write the OpenAPI document: %w", err)
	}
	var kinds []apidoc.Kind
	for _, status := range []int{401, 403, 404, 405, 409, 412, 413, 415, 422, 429, 500, 503} {
		kind, title := kindOf(status)
		kinds = append(kinds, apidoc.Kind{Status: status, Type: kind, Title: title})
	}
	order := []string{"Nodes", "Series", "Live", "Changelog", "Enrollments", "Tokens", "Users", "Account", "Server"}
	page, err := apidoc.Page(spec, order, kinds)
	if err != nil {
		return err
	}
	a.mux.HandleFunc("GET "+api.PathOpenAPI, fixed("application/json", spec))
	a.mux.HandleFunc("GET "+api.PathDocs, fixed("text/html; charset=utf-8", page))
	a.mux.HandleFunc("GET "+api.PathDocs+"/style.css", fixed("text/css; charset=utf-8", apidoc.Style()))
	return nil
}

// fixed serves bytes that change only with the program.
func fixed(contentType string, body []byte) http.HandlerFunc {
	sum := sha256.Sum256(body)
	tag := strconv.Quote(hex.EncodeToString(sum[:8]))
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Cache-Control", "no-cache")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(body)
	}
}
