package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"muster"
	"muster/api"
)

// patience is how long an answer may take that waits for something outside: a check's target, a channel's receiver.
const patience = 2 * time.Minute

// GuessCheck says which check a text stands for: a URL, host:port or host, as people type it.
func (c *Client) GuessCheck(ctx context.Context, text string) (*api.CheckNew, error) {
	body := struct {
		Text string `json:"text"`
	}{text}
	return one[api.CheckNew](ctx, c, call{method: http.MethodPost, path: api.PathChecksGuess, body: body})
}

// TestCheck runs a check once, in its zone, without keeping it.
func (c *Client) TestCheck(ctx context.Context, said api.CheckNew) (*api.Result, error) {
	return one[api.Result](ctx, c, call{method: http.MethodPost, path: api.PathChecksTest, body: said, timeout: patience})
}

// Results walks over what the runs of a check gave, the newest first; after an error it ends.
func (c *Client) Results(ctx context.Context, check string, o ListOptions) iter.Seq2[api.Result, error] {
	return all[api.Result](ctx, c, api.PathChecks+"/"+check+"/results", o)
}

// TestAlarm says when an alarm would have fired, without keeping it.
func (c *Client) TestAlarm(ctx context.Context, test api.AlarmTest) (*api.AlarmTested, error) {
	return one[api.AlarmTested](ctx, c, call{method: http.MethodPost, path: api.PathAlarmsTest, body: test, timeout: patience})
}

// TestChannel sends a message that says it is a test, once, and says what became of it: see Status and Error.
func (c *Client) TestChannel(ctx context.Context, id string) (*api.Delivery, error) {
	return one[api.Delivery](ctx, c, call{method: http.MethodPost, path: api.PathChannels + "/" + id + "/test", timeout: patience})
}

// IncidentOptions choose incidents.
type IncidentOptions struct {
	State string // open, acknowledged, resolved, or unresolved for the first two; all when empty
	Node  string // the id of a node
	Check string // the id of a check that belongs to none
	Limit int    // of a page; the most there may be when 0
}

// Incidents walks over incidents, the newest first, without their deliveries; after an error it ends.
func (c *Client) Incidents(ctx context.Context, o IncidentOptions) iter.Seq2[api.Incident, error] {
	v := url.Values{}
	set(v, "state", o.State)
	set(v, "node", o.Node)
	set(v, "check", o.Check)
	if o.Limit == 0 {
		o.Limit = api.MaxLimit
	}
	v.Set("limit", strconv.Itoa(o.Limit))
	return walk[api.Incident](ctx, c, api.PathIncidents, v)
}

// Incident gets one incident with its deliveries. What is not an id is not asked for: muster.ErrNotFound.
func (c *Client) Incident(ctx context.Context, id string) (*api.Incident, error) {
	if !isID("incident", id) {
		return nil, muster.ErrNotFound
	}
	return one[api.Incident](ctx, c, call{method: http.MethodGet, path: api.PathIncidents + "/" + id})
}

// Acknowledge takes an incident; muster.ErrConflict when it is resolved.
func (c *Client) Acknowledge(ctx context.Context, id string) (*api.Incident, error) {
	return one[api.Incident](ctx, c, call{method: http.MethodPost, path: api.PathIncidents + "/" + id + "/acknowledge"})
}

// Comment says something of an incident.
func (c *Client) Comment(ctx context.Context, id, text string) (*api.Incident, error) {
	return one[api.Incident](ctx, c, call{method: http.MethodPost, path: api.PathIncidents + "/" + id + "/comments", body: api.CommentNew{Text: text}})
}

// Silence has nobody told of an incident's node or check for a while.
func (c *Client) Silence(ctx context.Context, id string, s api.Silence) (*api.Suppression, error) {
	return one[api.Suppression](ctx, c, call{method: http.MethodPost, path: api.PathIncidents + "/" + id + "/silence", body: s})
}
