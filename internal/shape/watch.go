package shape

import (
	"encoding/json"
	"math"
	"time"

	"muster"
	"muster/api"
)

// Check gives the API's shape of a check. last may be nil; pushURL is empty but for push checks.
func Check(c *muster.Check, status muster.CheckStatus, since time.Time, last []muster.Result, pushURL string) api.Check {
	out := api.Check{
		Object: api.Object{ID: string(c.ID), Rev: c.Rev, CreatedAt: c.CreatedAt.UTC(), UpdatedAt: c.UpdatedAt.UTC()},
		Name:   c.Name, Kind: c.Kind, Node: nodeText(c.Node), Target: c.Target, Config: json.RawMessage(c.Config),
		Period: api.FormatDuration(c.Period), Timeout: api.FormatDuration(c.Timeout), Zones: Texts(c.Zones), Enabled: c.Enabled,
		Status: string(status), Since: Time(since), PushURL: pushURL,
	}
	for i := range last {
		out.Last = append(out.Last, Result(&last[i]))
	}
	return out
}

func nodeText(id muster.NodeID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

// Result gives the API's shape of a result. Of several readings of one metric the last stands.
func Result(r *muster.Result) api.Result {
	out := api.Result{
		Check: string(r.Check), Zone: r.Zone, At: r.At.UTC(), Status: string(r.Status), Summary: r.Summary,
		DurationMS: math.Round(float64(r.Duration)/float64(time.Microsecond)) / 1000, Metrics: map[string]float64{}, Evidence: r.Evidence,
	}
	for _, m := range r.Metrics {
		if v := Number(m.Value); v != nil {
			out.Metrics[m.Metric.Name] = *v
		}
	}
	if r.Class != "" || r.Error != "" {
		out.Error = &api.ResultError{Class: r.Class, Message: r.Error}
	}
	return out
}

// Alarm gives the API's shape of an alarm that fires on so many things, and tells within that time (0: not known).
func Alarm(a *muster.Alarm, firing int, within time.Duration) api.Alarm {
	out := api.Alarm{
		Object:   api.Object{ID: string(a.ID), Rev: a.Rev, CreatedAt: a.CreatedAt.UTC(), UpdatedAt: a.UpdatedAt.UTC()},
		AlarmNew: AlarmNew(a), BuiltIn: a.BuiltIn, Firing: firing,
	}
	if within > 0 {
		out.Within = api.FormatDuration(within)
	}
	return out
}

// AlarmNew gives the part of an alarm that people say.
func AlarmNew(a *muster.Alarm) api.AlarmNew {
	enabled := a.Enabled
	out := api.AlarmNew{
		Name: a.Name, Query: a.Query, Node: nodeText(a.Node), Check: string(a.Check), Metric: a.Metric, Attributes: a.Attrs,
		Level: string(a.Level), Enabled: &enabled,
	}
	for _, id := range a.Channels {
		out.Channels = append(out.Channels, string(id))
	}
	if c := a.Condition; c != nil {
		out.Condition = &api.Condition{Fn: string(c.Fn), Op: string(c.Op), Value: c.Value, For: api.FormatDuration(c.For)}
		if c.Within > 0 {
			out.Condition.Within = api.FormatDuration(c.Within)
		}
		if c.Recover != (muster.Recovery{}) {
			out.Condition.Recover = &api.Recover{Op: string(c.Recover.Op), Value: c.Recover.Value, For: api.FormatDuration(c.Recover.For)}
		}
	}
	if a.NoData.After > 0 || a.NoData.Is != "" {
		out.NoData = &api.NoData{After: api.FormatDuration(a.NoData.After), Is: string(a.NoData.Is)}
	}
	return out
}

// Incident gives the API's shape of an incident with what is known of its deliveries.
func Incident(in *muster.Incident, deliveries []muster.Delivery) api.Incident {
	out := api.Incident{
		ID: string(in.ID), State: string(in.State), Level: string(in.Level), Title: in.Title, Node: nodeText(in.Node), Check: string(in.Check), Alarm: string(in.Alarm),
		OpenedAt: in.OpenedAt.UTC(), AcknowledgedAt: Time(in.AcknowledgedAt), AcknowledgedBy: in.AcknowledgedBy, ResolvedAt: Time(in.ResolvedAt), UpdatedAt: in.UpdatedAt.UTC(),
		Firing: []api.Firing{}, Transitions: []api.Transition{}, Deliveries: []api.Delivery{}, Comments: []api.Comment{}, Cut: in.Cut,
	}
	for _, f := range in.Open {
		out.Firing = append(out.Firing, api.Firing{
			Alarm: string(f.Alarm), Name: f.Name, Series: f.Series, Check: string(f.Check), Level: string(f.Level), Since: f.Since.UTC(), Why: f.Why,
		})
	}
	for i := range in.Transitions {
		out.Transitions = append(out.Transitions, Transition(&in.Transitions[i]))
	}
	for i := range deliveries {
		out.Deliveries = append(out.Deliveries, Delivery(&deliveries[i]))
	}
	for _, c := range in.Comments {
		out.Comments = append(out.Comments, api.Comment{At: c.At.UTC(), By: c.By, Name: c.Name, Text: c.Text})
	}
	return out
}

// Transition gives the API's shape of a transition.
func Transition(t *muster.Transition) api.Transition {
	out := api.Transition{
		At: t.At.UTC(), Alarm: string(t.Alarm), Name: t.Name, Series: t.Series, Check: string(t.Check),
		From: string(t.From), To: string(t.To), Level: string(t.Level), Why: t.Why, Inputs: []api.Input{},
	}
	for _, in := range t.Inputs {
		out.Inputs = append(out.Inputs, api.Input{At: in.At.UTC(), Value: Number(in.Value), Text: in.Text})
	}
	return out
}

// Delivery gives the API's shape of an attempt to tell somebody.
func Delivery(d *muster.Delivery) api.Delivery {
	return api.Delivery{
		Message: d.Message, Type: d.Type, Channel: string(d.Channel), Name: d.Name, At: d.At.UTC(), Attempt: d.Attempt,
		Status: string(d.Status), Error: d.Error, Next: Time(d.Next),
	}
}

// Channel gives the API's shape of a channel, without secrets.
func Channel(c *muster.Channel) api.Channel {
	return api.Channel{
		Object: api.Object{ID: string(c.ID), Rev: c.Rev, CreatedAt: c.CreatedAt.UTC(), UpdatedAt: c.UpdatedAt.UTC()},
		Name:   c.Name, Kind: c.Kind, Config: json.RawMessage(c.Config), Default: c.Default, Fallback: string(c.Fallback), Disabled: c.Disabled,
	}
}

// Suppression gives the API's shape of a suppression; until and next are zero when there is none.
func Suppression(s *muster.Suppression, until, next time.Time) api.Suppression {
	return api.Suppression{
		Object: api.Object{ID: string(s.ID), Rev: s.Rev, CreatedAt: s.CreatedAt.UTC(), UpdatedAt: s.UpdatedAt.UTC()},
		Name:   s.Name, Query: s.Query, Node: nodeText(s.Node), Check: string(s.Check), Alarm: string(s.Alarm), From: s.From.UTC(),
		Length: api.FormatDuration(s.Length), Rule: s.Rule, Zone: s.Zone, Reason: s.Reason, By: s.By,
		Active: !until.IsZero(), Until: Time(until), Next: Time(next),
	}
}
