package rest

import (
	"encoding/json"
	"fmt"

	"muster/api"
	"muster/internal/apidoc"
	"muster/internal/shape"
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
		kind, title := shape.ProblemKind(status)
		kinds = append(kinds, apidoc.Kind{Status: status, Type: kind, Title: title})
	}
	order := []string{"Nodes", "Series", "Checks", "Alarms", "Incidents", "Channels", "Suppressions", "Live", "Changelog", "Enrollments", "Tokens", "Users", "Account", "Server"}
	page, err := apidoc.Page(spec, order, kinds)
	if err != nil {
		return err
	}
	a.mux.HandleFunc("GET "+api.PathOpenAPI, apidoc.Fixed("application/json", spec))
	a.mux.HandleFunc("GET "+api.PathDocs, apidoc.Fixed("text/html; charset=utf-8", page))
	a.mux.HandleFunc("GET "+api.PathDocs+"/style.css", apidoc.Fixed("text/css; charset=utf-8", apidoc.Style()))
	return nil
}
