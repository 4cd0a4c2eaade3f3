// Package doorbell gives what jobs call to say that they ran: an address for each push check, whose token is
// all that a caller needs, so that one curl without any header is enough.
package doorbell

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"muster"
	"muster/api"
	"muster/internal/roster"
	"muster/internal/shape"
)

// maxText is how much of a call's body is read.
const maxText = 4 << 10

// patience is how long a call may take: it waits until its result is durable.
const patience = 20 * time.Second

// New makes the handler for api.PathPush + "/". A call is GET, HEAD or POST with ?status=ok|warning|critical, ?msg= or a
// body of text, and ?duration= in seconds or as a duration; all may be absent. push takes it; its error
// wraps ErrNotFound for an unknown token, ErrLimited, ErrInvalid or ErrUnavailable.
func New(push func(ctx context.Context, token string, call roster.PushCall) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodPost:
		default:
			w.Header().Set("Allow", "GET, HEAD, POST")
			answer(w, http.StatusMethodNotAllowed, "Call it with GET or POST.")
			return
		}
		call, err := read(w, r)
		if err == nil {
			ctx, cancel := context.WithTimeout(r.Context(), patience)
			defer cancel()
			err = push(ctx, strings.TrimPrefix(r.URL.Path, api.PathPush+"/"), call)
		}
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = io.WriteString(w, `{"status":"ok"}`+"\n")
	})
}

func read(w http.ResponseWriter, r *http.Request) (roster.PushCall, error) {
	q := r.URL.Query()
	call := roster.PushCall{Status: muster.CheckStatus(q.Get("status")), Message: q.Get("msg")}
	if text := q.Get("duration"); text != "" {
		d, err := api.ParseDuration(text)
		if seconds, bad := strconv.ParseFloat(text, 64); bad == nil && seconds >= 0 && seconds < 1e6 {
			d, err = time.Duration(seconds*float64(time.Second)), nil
		}
		if err != nil || d < 0 {
			return call, fmt.Errorf("doorbell: %w: duration must be seconds, or a duration such as 1m30s", muster.ErrInvalid)
		}
		call.Duration = d
	}
	if r.Method == http.MethodPost && call.Message == "" {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxText))
		var long *http.MaxBytesError
		if err != nil && !errors.As(err, &long) {
			return call, fmt.Errorf("doorbell: %w: the body can't be read", muster.ErrInvalid)
		}
		call.Message = strings.TrimSpace(strings.ToValidUTF8(string(body), ""))
	}
	return call, nil
}

func refuse(w http.ResponseWriter, err error) {
	switch muster.Kind(err) {
	case muster.ErrNotFound:
		answer(w, http.StatusNotFound, "No check that is switched on is called like this.")
	case muster.ErrInvalid:
		answer(w, http.StatusUnprocessableEntity, muster.Words(err))
	case muster.ErrLimited:
		w.Header().Set("Retry-After", "1")
		answer(w, http.StatusTooManyRequests, muster.Words(err))
	default:
		w.Header().Set("Retry-After", "5")
		answer(w, http.StatusServiceUnavailable, "The result can't be stored at the moment; call again.")
	}
}

func answer(w http.ResponseWriter, status int, detail string) {
	kind, title := shape.ProblemKind(status)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(api.Problem{Type: kind, Title: title, Status: status, Detail: detail})
}
