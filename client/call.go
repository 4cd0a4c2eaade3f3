package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"muster"
	"muster/api"
)

// call is one call of the API, tried until it is answered.
type call struct {
	method  string
	path    string
	query   url.Values
	body    any
	ifMatch uint64        // the rev the caller has seen; 0 asks for none
	key     string        // idempotency key of a POST; made when empty
	timeout time.Duration // of one try; that of the options when 0 or shorter
}

// do makes the call and reads the answer into out (which may be nil).
func (c *Client) do(ctx context.Context, call call, out any) error {
	var body []byte
	if call.body != nil {
		var err error
		if body, err = json.Marshal(call.body); err != nil {
			return fmt.Errorf("client: %s %s: %w: %w", call.method, call.path, muster.ErrInvalid, err)
		}
	}
	if call.method == http.MethodPost && call.key == "" {
		call.key = rand.Text()
	}
	for try := 0; ; try++ {
		err := c.try(ctx, call, body, out)
		if err == nil {
			return nil
		}
		if try > 0 && call.method == http.MethodDelete && errors.Is(err, muster.ErrNotFound) {
			return nil // an earlier try did it and its answer was lost
		}
		wait, again := c.again(call, err, try)
		if !again || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// try makes the call once.
func (c *Client) try(ctx context.Context, call call, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, max(c.options.Timeout, call.timeout))
	defer cancel()
	req, err := c.request(ctx, call.method, call.path, call.query, body)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", contentType(call.method))
	}
	if call.key != "" {
		req.Header.Set(api.HeaderIdempotencyKey, call.key)
	}
	if call.ifMatch != 0 {
		req.Header.Set(api.HeaderIfMatch, strconv.Quote(strconv.FormatUint(call.ifMatch, 10)))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	return answer(resp, out)
}

func contentType(method string) string {
	if method == http.MethodPatch {
		return "application/merge-patch+json"
	}
	return "application/json"
}

// unreachable says what to look at when no answer came.
func (c *Client) unreachable(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("%w: no answer from %s: %w", muster.ErrUnavailable, c.base, err)
}

// again says whether and when a failed try may be repeated without doing a thing twice. A POST has its
// idempotency key; a change with a rev is not repeated when its outcome is unknown, since it could only
// be told that somebody (itself) was faster.
func (c *Client) again(call call, err error, try int) (time.Duration, bool) {
	if try >= c.options.Retries {
		return 0, false
	}
	wait := time.Duration(float64(200*time.Millisecond<<min(try, 5)) * (0.5 + mathrand.Float64()))
	var e *Error
	if !errors.As(err, &e) {
		return wait, errors.Is(err, muster.ErrUnavailable) && call.ifMatch == 0
	}
	switch e.Problem.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if e.RetryAfter > 30*time.Second {
			return 0, false // the caller had better hear it than hang
		}
		return max(wait, e.RetryAfter), true
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return wait, call.ifMatch == 0
	}
	return 0, false
}

// retryAfter reads the header's seconds or date; 0 when there is none.
func retryAfter(s string) time.Duration {
	if n, err := strconv.Atoi(s); err == nil && n > 0 {
		return time.Duration(min(n, 86400)) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
