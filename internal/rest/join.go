package rest

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"muster/internal/join"
)

// Agents lists the agents that machines may download.
type Agents = join.Agents

// AgentFile is one agent to download.
type AgentFile = join.File

// agentRoutes adds what a machine that joins fetches.
func (a *API) agentRoutes() error {
	desk, err := join.New(join.Options{
		Agents: a.o.Agents, Invitation: a.o.Store.EnrollmentByHash, Certificate: a.o.Certificate,
		PublicURL: a.o.PublicURL, Now: a.o.Now, Logger: a.log,
		Refuse: func(w http.ResponseWriter, r *http.Request, status int, detail string, err error) {
			if err != nil {
				writeProblem(w, a.toFault(r.Context(), err))
				return
			}
			writeProblem(w, newFault(status, detail))
		},
	})
	if err != nil {
		return err
	}
	a.desk = desk
	desk.Routes(a.mux)
	return nil
}

// BaseURL finds the server's address as the caller sees it.
type BaseURL struct {
	host   string
	secure bool
}

// Resolve reads it from the request.
func (b *BaseURL) Resolve(ctx huma.Context) []error {
	b.host, b.secure = ctx.Host(), ctx.TLS() != nil || ctx.Header("X-Forwarded-Proto") == "https"
	return nil
}

// of gives the address; the error says that the caller's host is none.
func (b *BaseURL) of(a *API) (string, error) {
	if base := a.desk.Base(b.host, b.secure); base != "" {
		return base, nil
	}
	return "", badField("header.Host", "is not a server's address")
}
