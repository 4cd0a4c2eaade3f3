package client

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"muster/api"
)

// ListOptions choose a part of a list.
type ListOptions struct {
	Query  string // the node query language; nodes only
	Name   string // only the one of exactly this name; nodes only
	Sort   string // a field, with "-" before it for the other direction; nodes only
	Limit  int    // items of a page; the server's default when 0
	Cursor string // where to go on: the Next of the page before
}

func (o ListOptions) values() url.Values {
	v := url.Values{}
	set(v, "query", o.Query)
	set(v, "name", o.Name)
	set(v, "sort", o.Sort)
	set(v, "cursor", o.Cursor)
	if o.Limit > 0 {
		v.Set("limit", strconv.Itoa(o.Limit))
	}
	return v
}

func set(v url.Values, key, value string) {
	if value != "" {
		v.Set(key, value)
	}
}

// one makes a call whose answer is a T.
func one[T any](ctx context.Context, c *Client, call call) (*T, error) {
	out := new(T)
	if err := c.do(ctx, call, out); err != nil {
		return nil, err
	}
	return out, nil
}

// page gets one page of a list.
func page[T any](ctx context.Context, c *Client, path string, o ListOptions) (*api.List[T], error) {
	return one[api.List[T]](ctx, c, call{method: http.MethodGet, path: path, query: o.values()})
}

// all walks over every page of a list; after an error it ends.
func all[T any](ctx context.Context, c *Client, path string, o ListOptions) iter.Seq2[T, error] {
	if o.Limit == 0 {
		o.Limit = api.MaxLimit
	}
	return walk[T](ctx, c, path, o.values())
}

// walk is all for any parameters.
func walk[T any](ctx context.Context, c *Client, path string, v url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		v := maps.Clone(v) // the walk may be taken again
		for {
			list, err := one[api.List[T]](ctx, c, call{method: http.MethodGet, path: path, query: v})
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range list.Items {
				if !yield(item, nil) {
					return
				}
			}
			if list.Next == "" {
				return
			}
			v.Set("cursor", list.Next)
		}
	}
}

// Nodes gets one page of nodes.
func (c *Client) Nodes(ctx context.Context, o ListOptions) (*api.List[api.Node], error) {
	return page[api.Node](ctx, c, api.PathNodes, o)
}

// AllNodes walks over all nodes that match, page by page; after an error it ends.
func (c *Client) AllNodes(ctx context.Context, o ListOptions) iter.Seq2[api.Node, error] {
	return all[api.Node](ctx, c, api.PathNodes, o)
}

// Node gets one node by its id.
func (c *Client) Node(ctx context.Context, id string) (*api.Node, error) {
	return one[api.Node](ctx, c, call{method: http.MethodGet, path: api.PathNodes + "/" + id})
}

// EditNode changes what people may change of a node. With a rev it fails with muster.ErrConflict when
// somebody was faster; with 0 it does not look.
func (c *Client) EditNode(ctx context.Context, id string, rev uint64, edit api.NodeEdit) (*api.Node, error) {
	return one[api.Node](ctx, c, call{method: http.MethodPatch, path: api.PathNodes + "/" + id, body: edit, ifMatch: rev})
}

// DeleteNode removes a node and forgets its measurements. With a rev it fails with muster.ErrConflict
// when somebody changed it since.
func (c *Client) DeleteNode(ctx context.Context, id string, rev uint64) error {
	return c.do(ctx, call{method: http.MethodDelete, path: api.PathNodes + "/" + id, ifMatch: rev}, nil)
}

// NodeMetrics gets every metric the node sends, with its newest value.
func (c *Client) NodeMetrics(ctx context.Context, id string) ([]api.MetricNow, error) {
	var out []api.MetricNow
	for m, err := range all[api.MetricNow](ctx, c, api.PathNodes+"/"+id+"/metrics", ListOptions{}) {
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// SeriesQuery asks for one metric over a time.
type SeriesQuery struct {
	Metric     string
	Nodes      []string          // ids; all nodes of the account when empty
	Attributes map[string]string // only series that have all of them
	From, To   string            // RFC 3339, "now" or "-1h"; the last hour when empty
	Points     int               // at most so many; the server's default when 0
	Fn         string            // avg, min, max, sum, last, rate or raw; by the metric's kind when empty
}

// Series gets one metric of one, some or all nodes.
func (c *Client) Series(ctx context.Context, q SeriesQuery) (*api.Series, error) {
	v := url.Values{"metric": {q.Metric}}
	for _, n := range q.Nodes {
		v.Add("node", n)
	}
	for key, value := range q.Attributes {
		v.Add("attributes", key+":"+value)
	}
	set(v, "from", q.From)
	set(v, "to", q.To)
	set(v, "fn", q.Fn)
	if q.Points > 0 {
		v.Set("points", strconv.Itoa(q.Points))
	}
	return one[api.Series](ctx, c, call{method: http.MethodGet, path: api.PathSeries, query: v})
}
