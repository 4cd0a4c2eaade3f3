package doorbell_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/api"
	"muster/internal/doorbell"
	"muster/internal/roster"
)

func TestCalls(t *testing.T) {
	for _, c := range []struct {
		method, url, body string
		want              roster.PushCall
		fault             error
		status            int
	}{
		{method: "GET", url: "/v1/push/push_x", status: 200},
		{method: "HEAD", url: "/v1/push/push_x", status: 200},
		{method: "POST", url: "/v1/push/push_x?status=warning&duration=1.5", body: " 3 files\nleft \n", want: roster.PushCall{Status: muster.StatusWarning, Message: "3 files\nleft", Duration: 1500 * time.Millisecond}, status: 200},
		{method: "POST", url: "/v1/push/push_x?msg=hello&duration=2m", body: "not read", want: roster.PushCall{Message: "hello", Duration: 2 * time.Minute}, status: 200},
		{method: "POST", url: "/v1/push/push_x", body: strings.Repeat("a", 10_000), want: roster.PushCall{Message: strings.Repeat("a", 4096)}, status: 200},
		{method: "GET", url: "/v1/push/push_x?duration=soon", status: 422},
		{method: "GET", url: "/v1/push/push_x?duration=-1", status: 422},
		{method: "DELETE", url: "/v1/push/push_x", status: 405},
		{method: "GET", url: "/v1/push/push_x", fault: muster.ErrNotFound, status: 404},
		{method: "GET", url: "/v1/push/push_x", fault: muster.ErrLimited, status: 429},
		{method: "GET", url: "/v1/push/push_x", fault: muster.ErrInvalid, status: 422},
		{method: "GET", url: "/v1/push/push_x", fault: context.DeadlineExceeded, status: 503},
	} {
		var got roster.PushCall
		h := doorbell.New(func(_ context.Context, token string, call roster.PushCall) error {
			if token != "push_x" {
				t.Errorf("the token is %q", token)
			}
			got = call
			if c.fault != nil {
				return fmt.Errorf("roster: push: %w: words", c.fault)
			}
			return nil
		})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.url, strings.NewReader(c.body)))
		if w.Code != c.status || got != c.want {
			t.Errorf("%s %s: %d with %+v, want %d with %+v", c.method, c.url, w.Code, got, c.status, c.want)
		}
		if w.Code != 200 {
			var p api.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != c.status || p.Title == "" || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s %s: %s", c.method, c.url, w.Body)
			}
		}
	}
}
