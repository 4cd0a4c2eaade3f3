package rest

import (
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"muster/api"
)

// ServeHTTP answers a request of any of Paths.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	if strings.HasPrefix(r.URL.Path, "/v1/") {
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	}
	answer := &watched{ResponseWriter: w}
	defer a.recover(answer, r)
	a.mux.ServeHTTP(answer, r)
}

// recover turns a panic into a problem, unless the answer has begun.
func (a *API) recover(w *watched, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v)
	}
	a.log.ErrorContext(r.Context(), "rest: panic", "method", r.Method, "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
	if w.begun {
		panic(http.ErrAbortHandler) // the client sees that the answer is not whole
	}
	writeProblem(w, newFault(http.StatusInternalServerError, "The server's log says more."))
}

// watched knows whether the answer has begun.
type watched struct {
	http.ResponseWriter
	begun bool
}

// WriteHeader begins the answer.
func (w *watched) WriteHeader(code int) {
	w.begun = true
	w.ResponseWriter.WriteHeader(code)
}

// Write begins the answer.
func (w *watched) Write(b []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(b)
}

// Unwrap gives the writer below, for http.ResponseController.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func writeProblem(w http.ResponseWriter, f *fault) {
	for key, values := range f.header {
		w.Header()[key] = values
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(f.Status)
	writeJSON(w, &f.Problem)
}

// nothing answers what no route takes: 405 when another method would do, else 404.
func (a *API) nothing(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		probe := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := a.mux.Handler(probe); pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 || slices.Contains(allowed, r.Method) {
		writeProblem(w, newFault(http.StatusNotFound, "There is nothing at this path; "+api.PathDocs+" lists what there is."))
		return
	}
	list := strings.Join(allowed, ", ")
	writeProblem(w, newFault(http.StatusMethodNotAllowed, "This path takes "+list+".").with("Allow", list))
}

// count measures every call of the API by operation and class of status.
func (a *API) count(ctx huma.Context, next func(huma.Context)) {
	begin := time.Now()
	seen := &statusSeen{under: ctx}
	next(seen)
	op := ctx.Operation().OperationID
	if op == "" || seen.status == 0 {
		return
	}
	a.o.Telemetry.Counter(`muster_rest_requests_total{operation="` + op + `",status="` + strconv.Itoa(seen.status/100) + `xx"}`).Inc()
	if op != "stream" {
		a.o.Telemetry.Histogram(`muster_rest_request_seconds{operation="` + op + `"}`).Update(time.Since(begin).Seconds())
	}
}

// statusSeen remembers the answer's status.
type statusSeen struct {
	under
	status int
}

// SetStatus notes the status.
func (s *statusSeen) SetStatus(code int) {
	s.status = oneStatus(code)
	s.under.SetStatus(code)
}

// Unwrap gives the context below.
func (s *statusSeen) Unwrap() huma.Context { return s.under }
