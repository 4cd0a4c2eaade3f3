package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"muster/api"
)

// readyTime is how long the parts have to say how they are.
const readyTime = 5 * time.Second

func (a *API) statusRoutes() {
	handle(a, route{id: "health", method: http.MethodGet, path: api.PathHealth, tag: "Server",
		summary: "Say that the process lives"}, a.health)
	handle(a, route{id: "ready", method: http.MethodGet, path: api.PathReady, tag: "Server",
		summary: "Say whether the server's parts answer", about: "503, with the same body, when one of them does not."}, a.ready)
	answers := a.huma.OpenAPI().Paths[api.PathReady].Get.Responses
	answers["503"] = &huma.Response{Description: "A part does not answer.", Content: answers["200"].Content}
	a.mux.HandleFunc("GET "+api.PathMetrics, a.prometheus)
}

type healthOutput struct {
	Body struct {
		Status string `json:"status" enum:"ok" doc:"The process lives."`
	}
}

func (a *API) health(context.Context, *struct{}) (*healthOutput, error) {
	out := new(healthOutput)
	out.Body.Status = "ok"
	return out, nil
}

type readyOutput struct {
	Status int
	Body   api.Readiness
}

func (a *API) ready(ctx context.Context, _ *struct{}) (*readyOutput, error) {
	out := &readyOutput{Status: http.StatusOK, Body: api.Readiness{Ready: true, Parts: []api.Part{}}}
	if a.o.Ready != nil {
		ctx, cancel := context.WithTimeout(ctx, readyTime)
		defer cancel()
		out.Body.Parts = append(out.Body.Parts, a.o.Ready(ctx)...)
	}
	for _, p := range out.Body.Parts {
		if !p.Ready {
			out.Status, out.Body.Ready = http.StatusServiceUnavailable, false
		}
	}
	return out, nil
}

// prometheus writes the program's own measurements in Prometheus's text format.
func (a *API) prometheus(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	a.o.Telemetry.WritePrometheus(w)
}
