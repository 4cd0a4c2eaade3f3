package shape

import (
	"net/http"

	"muster/api"
)

// ProblemKind gives a status's problem type and title.
func ProblemKind(status int) (kind, title string) {
	switch status {
	case http.StatusUnauthorized:
		return api.ProblemUnauthorized, "Who are you?"
	case http.StatusForbidden:
		return api.ProblemForbidden, "Not allowed"
	case http.StatusNotFound:
		return api.ProblemNotFound, "Not found"
	case http.StatusMethodNotAllowed:
		return api.ProblemMethod, "Not with this method"
	case http.StatusConflict:
		return api.ProblemConflict, "Conflict"
	case http.StatusPreconditionFailed:
		return api.ProblemStale, "Somebody was faster"
	case http.StatusRequestEntityTooLarge:
		return api.ProblemTooLarge, "Too large"
	case http.StatusUnsupportedMediaType:
		return api.ProblemMediaType, "Not JSON"
	case http.StatusTooManyRequests:
		return api.ProblemLimited, "Too much"
	case http.StatusServiceUnavailable:
		return api.ProblemUnavailable, "Not now"
	case http.StatusInternalServerError:
		return api.ProblemInternal, "A fault of the server"
	}
	return api.ProblemInvalid, "Invalid"
}
