package rest

import (
	"cmp"
	"context"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"muster"
	"muster/api"
	"muster/internal/series"
	"muster/internal/shape"
)

func (a *API) metricRoutes() {
	handle(a, route{id: "list-node-metrics", method: http.MethodGet, path: api.PathNodes + "/{id}/metrics", tag: "Series", role: muster.Observer,
		summary: "List a node's metrics", about: "Every metric the node sends, with its newest value, by name and attributes."}, a.listMetrics)
	handle(a, route{id: "get-series", method: http.MethodGet, path: api.PathSeries, tag: "Series", role: muster.Observer,
		summary: "Get one metric over a time",
		about: "Points lie on multiples of the step; it is the node's own period while the range holds no more periods than points. " +
			"A step without a value is left out. Counters come as rates per second unless fn is raw."}, a.getSeries)
	a.answers(http.MethodGet, api.PathSeries, reflect.TypeFor[api.Series]())
}

// listMetricsInput has its own default: a page that shows a node wants all of its metrics.
type listMetricsInput struct {
	NodePath
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"1000" doc:"How many items at most."`
	Cursor string `query:"cursor" maxLength:"1000" doc:"The next of the page before."`
}

func (a *API) listMetrics(ctx context.Context, in *listMetricsInput) (*page[api.MetricNow], error) {
	id, err := in.node()
	if err != nil {
		return nil, err
	}
	account := who(ctx).Account
	if _, err := a.o.Nodes.Get(account, id); err != nil {
		return nil, err
	}
	all, err := a.o.Series.Metrics(ctx, account, id)
	if err != nil {
		return nil, err
	}
	keys := make(map[*series.MetricNow]string, len(all))
	sorted := make([]*series.MetricNow, len(all))
	for i := range all {
		sorted[i] = &all[i]
		keys[sorted[i]] = all[i].Metric.Key() + "\x00\x00" + all[i].Source
	}
	slices.SortFunc(sorted, func(x, y *series.MetricNow) int { return cmp.Compare(keys[x], keys[y]) })
	return paged(sorted, PageInput{Limit: in.Limit, Cursor: in.Cursor}, func(m *series.MetricNow) string { return keys[m] }, toMetric)
}

func toMetric(m *series.MetricNow) api.MetricNow {
	out := api.MetricNow{
		Metric: m.Metric.Name, Unit: m.Metric.Unit, Type: m.Metric.Kind.String(),
		Attributes: attributes(m.Metric.Attrs), Source: m.Source,
	}
	if v := shape.Number(m.Value); v != nil && m.At != 0 {
		out.Last = &api.Sample{At: time.UnixMilli(m.At).UTC(), Value: *v}
	}
	return out
}

func attributes(attrs []muster.Attr) map[string]string {
	out := make(map[string]string, len(attrs))
	for _, at := range attrs {
		out[at.Key] = at.Value
	}
	return out
}

type seriesInput struct {
	Metric     string   `query:"metric" required:"true" maxLength:"200" doc:"The metric's name."`
	Node       []string `query:"node,explode" maxItems:"1000" doc:"Ids of nodes; all nodes of the account when absent."`
	Attributes []string `query:"attributes,explode" maxItems:"16" doc:"key:value; only series that have it. May be given more than once."`
	From       string   `query:"from" default:"-1h" maxLength:"64" doc:"RFC 3339, now or -1h."`
	To         string   `query:"to" default:"now" maxLength:"64" doc:"RFC 3339, now or -1h. Exclusive."`
	Points     int      `query:"points" minimum:"1" maximum:"10000" default:"300" doc:"How many points of a line at most."`
	Fn         string   `query:"fn" enum:"avg,min,max,sum,last,count,rate,raw" doc:"What the middle number of a point is; avg when absent."`
}

// query reads the parameters; nodes of another account are not found.
func (a *API) seriesQuery(ctx context.Context, in *seriesInput) (q series.Query, err error) {
	now := a.o.Now()
	q = series.Query{Account: who(ctx).Account, Metric: in.Metric, Points: in.Points, Fn: in.Fn}
	if q.From, err = api.ParseTime(in.From, now); err != nil {
		return q, badField("query.from", err.Error())
	}
	if q.To, err = api.ParseTime(in.To, now); err != nil {
		return q, badField("query.to", err.Error())
	}
	if !q.From.Before(q.To) {
		return q, badField("query.from", "must be before to")
	}
	for _, list := range in.Node {
		for text := range strings.SplitSeq(list, ",") {
			id, err := NodePath{ID: text}.node()
			if err == nil {
				_, err = a.o.Nodes.Get(q.Account, id)
			}
			if err != nil {
				return q, err
			}
			q.Nodes = append(q.Nodes, id)
		}
	}
	for _, list := range in.Attributes {
		for _, text := range splitAttributes(list) {
			key, value, ok := strings.Cut(text, ":")
			if !ok || key == "" {
				return q, badField("query.attributes", "must be key:value")
			}
			if q.Attrs == nil {
				q.Attrs = map[string]string{}
			}
			q.Attrs[key] = value
		}
	}
	return q, nil
}

// nextAttribute finds where one key:value ends and another begins; a value may itself hold commas.
var nextAttribute = regexp.MustCompile(`,[a-z][a-z0-9_.]*:`)

func splitAttributes(s string) []string {
	var out []string
	for {
		at := nextAttribute.FindStringIndex(s)
		if at == nil {
			return append(out, s)
		}
		out = append(out, s[:at[0]])
		s = s[at[0]+1:]
	}
}

func (a *API) getSeries(ctx context.Context, in *seriesInput) (*listOf, error) {
	q, err := a.seriesQuery(ctx, in)
	if err != nil {
		return nil, err
	}
	answer, err := a.o.Series.Query(ctx, q)
	if err != nil {
		return nil, err
	}
	return &listOf{ContentType: jsonType, Body: shape.AppendSeries(nil, q.Metric, answer)}, nil
}
