// Package rest gives the REST API: one handler per call, the OpenAPI document made from the Go types of
// package api, its page for readers, and what a new machine downloads to join.
//
// A request passes, from outside in: recovery and counting (http.go), identity and role (auth.go), the
// idempotency key of a POST (idempotency.go), the framework's reading and checking of input, and then
// the resource's own file. Errors become problem documents in one place (problem.go).
package rest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"muster"
	"muster/api"
	"muster/internal/inventory"
	"muster/internal/join"
	"muster/internal/once"
	"muster/internal/telemetry"
)

// maxBody is the longest body of a request, in bytes.
const maxBody = 1 << 20

// Options are the doors and settings of the API. All doors but Agents are needed.
type Options struct {
	Nodes  Nodes  // the nodes, and invitations to join them
	Series Series // the measurements
	Store  Store  // users, tokens, the account, the changelog, answers by idempotency key
	Auth   Auth   // who callers are
	Live   Live   // what changes

	Checks  Checks  // what is checked
	Alarms  Alarms  // the rules, and what is wrong
	Notices Notices // who is told
	// TellWithin says how soon after the first bad value people are told by an alarm. Nil, or 0: not known.
	TellWithin func(*muster.Alarm) time.Duration

	Agents Agents // agents to download; none when nil

	// Filter reads the node query language; its error wraps muster.ErrInvalid and says what is wrong where.
	// Nil refuses every query.
	Filter func(text string) (inventory.Matcher, error)

	// Ready tells how the server's parts are. Nil means that a process that lives is ready.
	Ready func(ctx context.Context) []api.Part
	// Told hears of changelog lines after they were saved; it must not block. Nil means nobody.
	Told func([]muster.Event)
	// Certificate gives, in DER, the certificate that new agents must pin: the server's own or that of its
	// authority. It gives nil, or is nil, when the machines' own roots are enough or there is no TLS.
	Certificate func() []byte

	Cookie    string // the name of the session's cookie; "muster_session" when empty
	LoginPath string // the page that redeems a one-time code, up to the code; "/login/" when empty
	PublicURL string // the server's address as others see it; read from the request when empty
	Version   string // of the program; "dev" when empty

	Now       func() time.Time // the clock; time.Now when nil
	Logger    *slog.Logger     // discarded when nil
	Telemetry *telemetry.Set   // may be nil
}

// Validate checks the options and fills in defaults; the error wraps muster.ErrInvalid.
func (o *Options) Validate() error {
	if o.Nodes == nil || o.Series == nil || o.Store == nil || o.Auth == nil || o.Live == nil || o.Checks == nil || o.Alarms == nil || o.Notices == nil {
		return fmt.Errorf("rest: options: %w: Nodes, Series, Store, Auth, Live, Checks, Alarms and Notices are needed", muster.ErrInvalid)
	}
	fill(&o.Cookie, "muster_session")
	fill(&o.LoginPath, "/login/")
	fill(&o.Version, "dev")
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Filter == nil {
		o.Filter = func(string) (inventory.Matcher, error) {
			return nil, fmt.Errorf("rest: filter: %w: this server has no query language", muster.ErrInvalid)
		}
	}
	if o.Told == nil {
		o.Told = func([]muster.Event) {}
	}
	return nil
}

func fill(s *string, otherwise string) {
	if *s == "" {
		*s = otherwise
	}
}

// API serves everything of this package. It is an http.Handler.
type API struct {
	o        Options
	log      *slog.Logger
	huma     huma.API
	mux      *http.ServeMux
	answered *once.Keeper
	desk     *join.Desk
}

// New makes the API; the error wraps muster.ErrInvalid.
func New(o Options) (*API, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	a := &API{o: o, log: o.Logger, mux: http.NewServeMux(), answered: once.New(o.Store, requestTime)}
	a.huma = humago.New(a.mux, a.config())
	a.huma.UseMiddleware(a.count, a.admit, a.once)
	a.nodeRoutes()
	a.metricRoutes()
	a.enrollmentRoutes()
	a.tokenRoutes()
	a.userRoutes()
	a.accountRoutes()
	a.eventRoutes()
	a.watchRoutes()
	a.streamRoutes()
	a.statusRoutes()
	if err := a.agentRoutes(); err != nil {
		return nil, err
	}
	if err := a.document(); err != nil {
		return nil, err
	}
	a.mux.HandleFunc("/", a.nothing)
	return a, nil
}

// Paths lists the patterns of http.ServeMux that belong to the API, for whoever puts it beside pages.
func (a *API) Paths() []string {
	return []string{"/v1/", api.PathOpenAPI, api.PathDocs, api.PathDocs + "/", api.PathHealth, api.PathReady, api.PathMetrics, api.PathJoin + "/", api.PathDownload + "/"}
}

// config sets the framework up: one format, our problems, no pages of its own, nothing from elsewhere.
func (a *API) config() huma.Config {
	c := huma.DefaultConfig("Muster", a.o.Version)
	c.CreateHooks = nil // no $schema links in answers
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.RejectUnknownQueryParameters = true // a misspelt filter must not give everything
	c.Transformers = []huma.Transformer{present}
	c.Formats = map[string]huma.Format{
		"application/json": {Marshal: marshal, Unmarshal: unmarshal},
		"json":             {Marshal: marshal, Unmarshal: unmarshal}, // what stands behind a "+"
	}
	c.Info.Description = about
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer":  {Type: "http", Scheme: "bearer", Description: "An API token."},
		"session": {Type: "apiKey", In: "cookie", Name: a.o.Cookie, Description: "A page's session. Changes also need the header " + api.HeaderCSRF + "."},
	}
	return c
}

func marshal(w io.Writer, v any) error {
	if raw, ok := v.(encoded); ok {
		_, err := w.Write(raw)
		return err
	}
	return huma.DefaultJSONFormat.Marshal(w, v)
}

// about introduces the API to readers of its document.
const about = `Everything the pages do can be done here. Lists come in pages: give "next" back as "cursor". Changes are JSON merge patches; with If-Match and the rev in quotes they fail with 412 when somebody was faster. ` +
	`With an Idempotency-Key a POST that is sent again gives the first answer for 24 hours. Times are RFC 3339 in UTC, parameters also take "now" and "-1h"; durations are "30s", "5m", "2h", "7d". Whatever is not a success is application/problem+json.`
