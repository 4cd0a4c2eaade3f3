package shape

import (
	"encoding/json"
	"fmt"
	"time"

	"muster"
	"muster/api"
)

// Faults gathers what is wrong with what somebody sent, field by field.
type Faults []api.Fault

// Add notes a fault of a field: "condition.for".
func (f *Faults) Add(field, format string, args ...any) {
	*f = append(*f, api.Fault{Location: "body." + field, Message: fmt.Sprintf(format, args...)})
}

func (f *Faults) duration(field, text string, byDefault time.Duration) time.Duration {
	if text == "" {
		return byDefault
	}
	d, err := api.ParseDuration(text)
	if err == nil && d < 0 {
		err = fmt.Errorf("must not be negative")
	}
	if err != nil {
		f.Add(field, "%v", err)
	}
	return d
}

func (f *Faults) node(field, text string) (id muster.NodeID) {
	if text == "" {
		return id
	}
	id, err := muster.ParseNodeID(text)
	if err != nil {
		f.Add(field, "%.64q is not the id of a node", text)
	}
	return id
}

// ReadCheck makes a check of what somebody sent; what is absent is zero, but Enabled. What the fields mean is
// checked by the room that keeps checks.
func ReadCheck(in *api.CheckNew) (*muster.Check, Faults) {
	var f Faults
	c := &muster.Check{
		Name: in.Name, Kind: in.Kind, Node: f.node("node", in.Node), Config: in.Config, Zones: in.Zones, Enabled: in.Enabled == nil || *in.Enabled,
		Period: f.duration("period", in.Period, 0), Timeout: f.duration("timeout", in.Timeout, 0),
	}
	if len(c.Config) == 0 {
		c.Config = json.RawMessage("{}")
	}
	return c, f
}

// CheckNew gives the part of a check that people say: what a change is merged into.
func CheckNew(c *muster.Check) api.CheckNew {
	enabled := c.Enabled
	return api.CheckNew{
		Name: c.Name, Kind: c.Kind, Node: nodeText(c.Node), Config: json.RawMessage(c.Config),
		Period: api.FormatDuration(c.Period), Timeout: api.FormatDuration(c.Timeout), Zones: c.Zones, Enabled: &enabled,
	}
}

// ReadAlarm makes an alarm of what somebody sent. What the fields mean is checked by the room that keeps alarms.
func ReadAlarm(in *api.AlarmNew) (*muster.Alarm, Faults) {
	var f Faults
	a := &muster.Alarm{
		Name: in.Name, Query: in.Query, Node: f.node("node", in.Node), Check: muster.CheckID(in.Check), Metric: in.Metric, Attrs: in.Attributes,
		Level: muster.Level(in.Level), Enabled: in.Enabled == nil || *in.Enabled,
	}
	if a.Level == "" {
		a.Level = muster.LevelCritical
	}
	for _, id := range in.Channels {
		a.Channels = append(a.Channels, muster.ChannelID(id))
	}
	if c := in.Condition; c != nil {
		a.Condition = &muster.Condition{
			Fn: muster.Fn(c.Fn), Within: f.duration("condition.within", c.Within, 0), Op: muster.Op(c.Op), Value: c.Value, For: f.duration("condition.for", c.For, 0),
		}
		if r := c.Recover; r != nil {
			a.Condition.Recover = muster.Recovery{Op: muster.Op(r.Op), Value: r.Value, For: f.duration("condition.recover.for", r.For, 0)}
		}
	}
	if n := in.NoData; n != nil {
		a.NoData = muster.NoData{After: f.duration("no_data.after", n.After, 0), Is: muster.NoDataIs(n.Is)}
	}
	return a, f
}

// ReadChannel makes a channel of what somebody sent, its secrets still in Config.
func ReadChannel(in *api.ChannelNew) *muster.Channel {
	return &muster.Channel{Name: in.Name, Kind: in.Kind, Config: in.Config, Default: in.Default, Fallback: muster.ChannelID(in.Fallback)}
}

// ChannelNew gives the part of a channel that people say, without its secrets.
func ChannelNew(c *muster.Channel) api.ChannelNew {
	return api.ChannelNew{Name: c.Name, Kind: c.Kind, Config: json.RawMessage(c.Config), Default: c.Default, Fallback: string(c.Fallback)}
}

// ReadSuppression makes a suppression of what somebody sent.
func ReadSuppression(in *api.SuppressionNew, now time.Time) (*muster.Suppression, Faults) {
	var f Faults
	s := &muster.Suppression{
		Name: in.Name, Query: in.Query, Node: f.node("node", in.Node), Check: muster.CheckID(in.Check), Alarm: muster.AlarmID(in.Alarm),
		From: now, Length: f.duration("length", in.Length, 0), Rule: in.Rule, Zone: in.Zone, Reason: in.Reason,
	}
	if in.From != "" {
		from, err := api.ParseTime(in.From, now)
		if err != nil {
			f.Add("from", "%v", err)
		}
		s.From = from
	}
	return s, f
}

// SuppressionNew gives the part of a suppression that people say.
func SuppressionNew(s *muster.Suppression) api.SuppressionNew {
	return api.SuppressionNew{
		Name: s.Name, Query: s.Query, Node: nodeText(s.Node), Check: string(s.Check), Alarm: string(s.Alarm),
		From: s.From.UTC().Format(time.RFC3339Nano), Length: api.FormatDuration(s.Length), Rule: s.Rule, Zone: s.Zone, Reason: s.Reason,
	}
}
