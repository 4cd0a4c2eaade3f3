package shell

import (
	"bytes"
	"errors"
	"html/template"
	"net/http"
	"strings"

	"muster"
)

// failure is what error.html is filled with.
type failure struct {
	Status int
	Title  string // what happened
	Detail string // in the room's own words, without the kind
	Next   string // what to do
}

// Status gives the HTTP status of an error by its kind; 500 when it has none.
func Status(err error) int {
	switch {
	case errors.Is(err, muster.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, muster.ErrInvalid):
		return http.StatusUnprocessableEntity
	case errors.Is(err, muster.ErrConflict):
		return http.StatusConflict
	case errors.Is(err, muster.ErrDenied):
		return http.StatusForbidden
	case errors.Is(err, muster.ErrLimited):
		return http.StatusTooManyRequests
	case errors.Is(err, muster.ErrUnavailable):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// Words gives an error's text for people: without the rooms it came through and without its kind.
// What no room returned on purpose is not shown: it is in the log.
func Words(err error) string {
	if err == nil || Status(err) == http.StatusInternalServerError {
		return ""
	}
	return muster.Words(err)
}

// Fail answers with an error page that says what happened and what to do.
// A request for a part of a page (by a script) gets the words alone.
func (s *Shell) Fail(w http.ResponseWriter, r *http.Request, err error) {
	f := explain(err)
	if f.Status == http.StatusInternalServerError {
		s.opts.Logger.Error("shell: page failed", "path", r.URL.Path, "error", err)
	}
	if f.Status == http.StatusServiceUnavailable || f.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "5")
	}
	if wantsPart(r) {
		http.Error(w, strings.TrimSpace(f.Title+" "+f.Detail+" "+f.Next), f.Status)
		return
	}
	viewer := Identity(r.Context())
	page := Page{Title: f.Title, Status: f.Status, Bare: viewer.User == "" && viewer.Token == ""}
	t, terr := template.New("layout.html").Funcs(s.Funcs()).ParseFS(layouts, "*.html")
	if terr == nil {
		_, terr = t.AddParseTree("body", t.Lookup("error").Tree)
	}
	var b bytes.Buffer
	if terr == nil {
		terr = t.ExecuteTemplate(&b, "layout.html", s.frame(w, r, page, &f))
	}
	if terr != nil {
		s.opts.Logger.Error("shell: error page", "error", terr)
		http.Error(w, f.Title+" "+f.Next, f.Status)
		return
	}
	s.WriteHTML(w, r, f.Status, b.Bytes())
}

// NotFound answers for addresses that lead nowhere.
func (s *Shell) NotFound(w http.ResponseWriter, r *http.Request) { s.Fail(w, r, muster.ErrNotFound) }

func wantsPart(r *http.Request) bool {
	return r.Header.Get("X-Muster-Part") != ""
}

func explain(err error) failure {
	f := failure{Status: Status(err), Detail: Words(err)}
	switch f.Status {
	case http.StatusNotFound:
		f.Title, f.Next = "There is nothing here.", "It may have been removed or renamed, or the address is wrong."
	case http.StatusUnprocessableEntity:
		f.Title, f.Next = "This can't be accepted as it is.", "Go back, mend it and send it again."
	case http.StatusConflict:
		f.Title, f.Next = "Somebody was faster, or the name is taken.", "Load the page again, look at what is there now, and try once more."
	case http.StatusForbidden:
		f.Title, f.Next = "You may not do this.", "Sign in again, or ask an admin of the account."
	case http.StatusTooManyRequests:
		f.Title, f.Next = "That was too much at once.", "Wait a few seconds and try again."
	case http.StatusServiceUnavailable:
		f.Title, f.Next = "The store does not answer now.", "Nothing acknowledged is lost. Try again in a few seconds; the health page says more."
	default:
		f.Title, f.Next = "Something broke here.", "The server's log says what. Trying again does no harm."
	}
	return f
}
