package client

import (
	"context"
	"iter"
	"net/http"

	"muster/api"
)

// Me says who the token's bearer is and what it may do.
func (c *Client) Me(ctx context.Context) (*api.Me, error) {
	return one[api.Me](ctx, c, call{method: http.MethodGet, path: api.PathMe})
}

// Account gets the caller's account with the retention classes to choose from.
func (c *Client) Account(ctx context.Context) (*api.Account, error) {
	return one[api.Account](ctx, c, call{method: http.MethodGet, path: api.PathAccount})
}

// EditAccount changes the account; rev as with EditNode.
func (c *Client) EditAccount(ctx context.Context, rev uint64, edit api.AccountEdit) (*api.Account, error) {
	return one[api.Account](ctx, c, call{method: http.MethodPatch, path: api.PathAccount, body: edit, ifMatch: rev})
}

// Enroll makes an enrollment; its answer alone holds the token and the line to paste.
func (c *Client) Enroll(ctx context.Context, e api.EnrollmentNew) (*api.Enrollment, error) {
	return one[api.Enrollment](ctx, c, call{method: http.MethodPost, path: api.PathEnrollments, body: e})
}

// AllEnrollments walks over the enrollments; after an error it ends.
func (c *Client) AllEnrollments(ctx context.Context) iter.Seq2[api.Enrollment, error] {
	return all[api.Enrollment](ctx, c, api.PathEnrollments, ListOptions{})
}

// DeleteEnrollment ends an enrollment; machines that joined by it stay.
func (c *Client) DeleteEnrollment(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: api.PathEnrollments + "/" + id}, nil)
}

// NewToken makes an API token; its answer alone holds the secret.
func (c *Client) NewToken(ctx context.Context, t api.TokenNew) (*api.Token, error) {
	return one[api.Token](ctx, c, call{method: http.MethodPost, path: api.PathTokens, body: t})
}

// AllTokens walks over the API tokens; after an error it ends.
func (c *Client) AllTokens(ctx context.Context) iter.Seq2[api.Token, error] {
	return all[api.Token](ctx, c, api.PathTokens, ListOptions{})
}

// DeleteToken ends a token; it is refused from then on.
func (c *Client) DeleteToken(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: api.PathTokens + "/" + id}, nil)
}

// NewUser makes a user; its answer alone holds the URL of the first login.
func (c *Client) NewUser(ctx context.Context, u api.UserNew) (*api.User, error) {
	return one[api.User](ctx, c, call{method: http.MethodPost, path: api.PathUsers, body: u})
}

// AllUsers walks over the users; after an error it ends.
func (c *Client) AllUsers(ctx context.Context) iter.Seq2[api.User, error] {
	return all[api.User](ctx, c, api.PathUsers, ListOptions{})
}

// EditUser changes a user's role; rev as with EditNode.
func (c *Client) EditUser(ctx context.Context, id string, rev uint64, edit api.UserEdit) (*api.User, error) {
	return one[api.User](ctx, c, call{method: http.MethodPatch, path: api.PathUsers + "/" + id, body: edit, ifMatch: rev})
}

// DeleteUser removes a user.
func (c *Client) DeleteUser(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: api.PathUsers + "/" + id}, nil)
}

// AllEvents walks over the changelog, the newest first; after an error it ends.
func (c *Client) AllEvents(ctx context.Context, o ListOptions) iter.Seq2[api.Event, error] {
	return all[api.Event](ctx, c, api.PathEvents, o)
}

// Ready asks whether the server's parts answer. A server that is not ready is no error: see Ready and Parts.
func (c *Client) Ready(ctx context.Context) (*api.Readiness, error) {
	req, err := c.request(ctx, http.MethodGet, api.PathReady, nil, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode == http.StatusServiceUnavailable {
		resp.StatusCode = http.StatusOK // the same body, with the parts that fail
	}
	out := new(api.Readiness)
	return out, answer(resp, out)
}
