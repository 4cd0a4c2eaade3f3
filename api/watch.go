package api

import (
	"encoding/json"
	"time"
)

// Paths of what watches. Those of one object end in its id.
const (
	PathChecks       = "/v1/checks"
	PathChecksTest   = "/v1/checks/test"
	PathChecksGuess  = "/v1/checks/guess"
	PathAlarms       = "/v1/alarms"
	PathAlarmsTest   = "/v1/alarms/test"
	PathIncidents    = "/v1/incidents"
	PathChannels     = "/v1/channels"
	PathSuppressions = "/v1/suppressions"
	PathPush         = "/v1/push" // then "/" and the token of a push check; needs no other
	PathActions      = "/act"     // then "/" and the token of a link in a message
)

// CheckNew is what people say of a check.
type CheckNew struct {
	Name    string          `json:"name,omitempty" maxLength:"200" doc:"Unique within the account; made of the target when absent."`
	Kind    string          `json:"kind" enum:"http,tcp,ping,dns,push" doc:"What is done to find out."`
	Node    string          `json:"node,omitempty" maxLength:"64" doc:"The node it belongs to. Absent: to none."`
	Config  json.RawMessage `json:"config,omitempty" doc:"The kind's own fields, an object."`
	Period  string          `json:"period,omitempty" doc:"How often it runs, as a duration: 1s to 1d; 10s when absent."`
	Timeout string          `json:"timeout,omitempty" doc:"How long one run may take, shorter than the period; 5s when absent, or half the period if that is shorter."`
	Zones   []string        `json:"zones,omitempty" maxItems:"32" doc:"Where it runs; local when absent."`
	Enabled *bool           `json:"enabled,omitempty" doc:"Whether it runs; true when absent."`
}

// Check is what is run again and again against a target.
type Check struct {
	Object
	Name    string          `json:"name" doc:"Unique within the account."`
	Kind    string          `json:"kind" doc:"What is done to find out: http, tcp, ping, dns, push."`
	Node    string          `json:"node,omitempty" doc:"The node it belongs to. Absent: to none."`
	Target  string          `json:"target" doc:"What is checked, for people."`
	Config  json.RawMessage `json:"config" doc:"The kind's own fields, defaults written out."`
	Period  string          `json:"period" doc:"How often it runs, as a duration."`
	Timeout string          `json:"timeout" doc:"How long one run may take, as a duration."`
	Zones   []string        `json:"zones" nullable:"false" doc:"Where it runs."`
	Enabled bool            `json:"enabled" doc:"Whether it runs."`
	Status  string          `json:"status" enum:"ok,warning,critical,unknown,pending" doc:"How the target is: the worst of all zones."`
	Since   *time.Time      `json:"status_since,omitempty" doc:"When that began, when it is known."`
	PushURL string          `json:"push_url,omitempty" doc:"Of a push check: what the job calls."`
	Last    []Result        `json:"last,omitempty" doc:"The newest result of each zone."`
}

// Result is what one run of a check in one zone gave.
type Result struct {
	Check      string             `json:"check,omitempty" doc:"The check's id; absent for one that was only tried."`
	Zone       string             `json:"zone" doc:"Where it ran."`
	At         time.Time          `json:"at" doc:"When the run began."`
	Status     string             `json:"status" enum:"ok,warning,critical,unknown,pending" doc:"How the target was."`
	Summary    string             `json:"summary" doc:"In one line."`
	DurationMS float64            `json:"duration_ms" doc:"How long the run took, in milliseconds."`
	Metrics    map[string]float64 `json:"metrics" doc:"What was measured, by the metrics' names, in their units."`
	Error      *ResultError       `json:"error,omitempty" doc:"What was wrong. Absent when nothing was."`
	Evidence   map[string]string  `json:"evidence,omitempty" doc:"What was seen: addresses, certificate, headers, answer."`
}

// ResultError is what was wrong with the target.
type ResultError struct {
	Class   string `json:"class" doc:"dns, connect, tls, timeout, status, body, protocol, denied, silent ..."`
	Message string `json:"message" doc:"In words."`
}

// AlarmNew is what people say of an alarm.
type AlarmNew struct {
	Name       string            `json:"name" minLength:"1" maxLength:"200" doc:"Unique within the account."`
	Query      string            `json:"query,omitempty" maxLength:"2000" doc:"Which nodes, in the query language. * or absent: all nodes, and the checks that belong to none."`
	Node       string            `json:"node,omitempty" maxLength:"64" doc:"Only this node."`
	Check      string            `json:"check,omitempty" maxLength:"64" doc:"Only this check; without metric the condition is its status."`
	Metric     string            `json:"metric,omitempty" maxLength:"200" doc:"Which metric. Without metric and check the alarm watches that the nodes' agents report."`
	Attributes map[string]string `json:"attributes,omitempty" doc:"What the metric's attributes must be; * and ? stand for any characters."`
	Condition  *Condition        `json:"condition,omitempty" doc:"When it fires. Absent: only silence is judged, or, with check, its failing."`
	NoData     *NoData           `json:"no_data,omitempty" doc:"What silence means. Absent: nothing."`
	Level      string            `json:"level,omitempty" enum:"warning,critical" doc:"How bad it is; critical when absent."`
	Channels   []string          `json:"channels,omitempty" maxItems:"50" doc:"Who hears of it. Absent: the default channels."`
	Enabled    *bool             `json:"enabled,omitempty" doc:"Whether it is judged; true when absent."`
}

// Condition is when an alarm fires and when it is well again.
type Condition struct {
	Fn      string   `json:"fn,omitempty" enum:"forecast" doc:"What is compared: absent for the value itself (a counter's rate per second), forecast for the value that a straight line through the recent past reaches after within."`
	Within  string   `json:"within,omitempty" doc:"How far a forecast looks ahead, as a duration."`
	Op      string   `json:"op" enum:">,>=,<,<=,==,!=" doc:"How it is compared."`
	Value   float64  `json:"value" doc:"With what, in the metric's unit."`
	For     string   `json:"for,omitempty" doc:"How long that must hold without a break, as a duration."`
	Recover *Recover `json:"recover,omitempty" doc:"When it is well again. Absent: as soon as the condition does not hold."`
}

// Recover is when an alarm that fired is well again.
type Recover struct {
	Op    string  `json:"op,omitempty" enum:">,>=,<,<=,==,!=" doc:"How the value is compared; absent: the condition does not hold."`
	Value float64 `json:"value,omitempty" doc:"With what."`
	For   string  `json:"for,omitempty" doc:"How long that must hold without a break, as a duration."`
}

// NoData is what silence means to an alarm.
type NoData struct {
	After string `json:"after" doc:"How long silence lasts before it counts, as a duration."`
	Is    string `json:"is" enum:"critical,ok,keep" doc:"Silence fires, is well, or changes nothing."`
}

// Alarm is a rule: on what, when, how bad, who hears of it.
type Alarm struct {
	Object
	AlarmNew
	BuiltIn string `json:"built_in,omitempty" doc:"Which of the alarms made at the start it is."`
	Firing  int    `json:"firing" doc:"On how many things it fires now."`
	Within  string `json:"told_within,omitempty" doc:"How soon after the first bad value people are told at the latest, as a duration."`
}

// AlarmTest asks when an alarm would have fired.
type AlarmTest struct {
	AlarmNew
	From string `json:"from,omitempty" doc:"Where the past begins: RFC 3339 or -7d; -24h when absent."`
	To   string `json:"to,omitempty" doc:"Where it ends; now when absent."`
}

// AlarmTested says when an alarm would have fired, by the evaluator that judges the present.
type AlarmTested struct {
	From   time.Time       `json:"from" doc:"Where the past begins."`
	To     time.Time       `json:"to" doc:"Where it ends."`
	Step   string          `json:"step" doc:"The distance of the values that were judged, as a duration."`
	Nodes  int             `json:"nodes" doc:"How many nodes and checks it looks at."`
	Fired  int             `json:"fired" doc:"How many times it would have fired, over all."`
	Unit   string          `json:"unit" doc:"Of the metric."`
	Series []AlarmTestLine `json:"series" nullable:"false" doc:"Those that would have fired, the worst first, then others up to a limit."`
	Cut    bool            `json:"cut,omitempty" doc:"Not all could be looked at: the query matches too much for one question."`
}

// AlarmTestLine is one series of one node or check that was looked at.
type AlarmTestLine struct {
	Node    string            `json:"node,omitempty" doc:"The node's id."`
	Check   string            `json:"check,omitempty" doc:"The check's id, where it belongs to no node."`
	Name    string            `json:"name" doc:"Of the node or check."`
	Series  string            `json:"series,omitempty" doc:"Which of several series."`
	Spans   []AlarmTestSpan   `json:"spans" nullable:"false" doc:"When it would have been firing."`
	Longest string            `json:"longest,omitempty" doc:"The longest of them, as a duration."`
	Points  []Point           `json:"points,omitempty" doc:"What was judged: [unix_seconds, min, avg, max]. Of the first lines only."`
	Attrs   map[string]string `json:"attributes,omitempty" doc:"The series' attributes."`
}

// AlarmTestSpan is one time of firing.
type AlarmTestSpan struct {
	From time.Time  `json:"from" doc:"When it would have fired."`
	To   *time.Time `json:"to,omitempty" doc:"When it would have been well again; absent when not yet."`
	Why  string     `json:"why" doc:"What it would have said."`
}

// Incident is what is wrong with one node, or with one check that belongs to none.
type Incident struct {
	ID             string       `json:"id" doc:"The incident's id; opaque."`
	State          string       `json:"state" enum:"open,acknowledged,resolved" doc:"Acknowledged ends at recovery."`
	Level          string       `json:"level" enum:"warning,critical" doc:"The worst so far."`
	Title          string       `json:"title" doc:"Names the node or check, and what is wrong."`
	Node           string       `json:"node,omitempty" doc:"The node's id."`
	Check          string       `json:"check,omitempty" doc:"The check that opened it."`
	Alarm          string       `json:"alarm,omitempty" doc:"The alarm that opened it."`
	OpenedAt       time.Time    `json:"opened_at" doc:"When it began."`
	AcknowledgedAt *time.Time   `json:"acknowledged_at,omitempty" doc:"When somebody took it."`
	AcknowledgedBy string       `json:"acknowledged_by,omitempty" doc:"Who took it: the id of a user or token, or link."`
	ResolvedAt     *time.Time   `json:"resolved_at,omitempty" doc:"When all was well again."`
	UpdatedAt      time.Time    `json:"updated_at" doc:"When it last changed."`
	Firing         []Firing     `json:"firing" nullable:"false" doc:"The alarms that fire now."`
	Transitions    []Transition `json:"transitions" nullable:"false" doc:"Every change of an alarm with its inputs, oldest first."`
	Deliveries     []Delivery   `json:"deliveries" nullable:"false" doc:"Every attempt to tell somebody, oldest first."`
	Comments       []Comment    `json:"comments" nullable:"false" doc:"What people said, oldest first."`
	Cut            int          `json:"cut,omitempty" doc:"How many old entries are left out."`
}

// Firing is an alarm that fires within an incident.
type Firing struct {
	Alarm  string    `json:"alarm" doc:"The alarm's id."`
	Name   string    `json:"name" doc:"Its name."`
	Series string    `json:"series,omitempty" doc:"On which of several series."`
	Check  string    `json:"check,omitempty" doc:"Of which check."`
	Level  string    `json:"level" doc:"How bad it is."`
	Since  time.Time `json:"since" doc:"Since when."`
	Why    string    `json:"why" doc:"In words."`
}

// Transition is one change of an alarm, with what led to it.
type Transition struct {
	At     time.Time `json:"at" doc:"When."`
	Alarm  string    `json:"alarm" doc:"The alarm's id."`
	Name   string    `json:"name" doc:"Its name then."`
	Series string    `json:"series,omitempty" doc:"On which of several series."`
	Check  string    `json:"check,omitempty" doc:"Of which check."`
	From   string    `json:"from" enum:"ok,firing" doc:"How it was."`
	To     string    `json:"to" enum:"ok,firing" doc:"How it was from then on."`
	Level  string    `json:"level" doc:"The alarm's level."`
	Why    string    `json:"why" doc:"In words."`
	Inputs []Input   `json:"inputs" nullable:"false" doc:"The last values before it, oldest first."`
}

// Input is one thing an alarm saw.
type Input struct {
	At    time.Time `json:"at" doc:"When."`
	Value *float64  `json:"value,omitempty" doc:"In the metric's unit. Absent: none came."`
	Text  string    `json:"text,omitempty" doc:"What a check said."`
}

// Delivery is one attempt to tell one channel.
type Delivery struct {
	Message string     `json:"message" doc:"The message's id, the same over all attempts."`
	Type    string     `json:"type" doc:"incident.opened, incident.acknowledged or incident.resolved."`
	Channel string     `json:"channel" doc:"The channel's id."`
	Name    string     `json:"name" doc:"Its name then."`
	At      time.Time  `json:"at" doc:"When."`
	Attempt int        `json:"attempt" doc:"1 for the first."`
	Status  string     `json:"status" enum:"waiting,delivered,failed,suppressed" doc:"What became of it."`
	Error   string     `json:"error,omitempty" doc:"What went wrong."`
	Next    *time.Time `json:"next_attempt_at,omitempty" doc:"When it is tried again."`
}

// Comment is what a person says of an incident.
type Comment struct {
	At   time.Time `json:"at" doc:"When."`
	By   string    `json:"by" doc:"The id of the user or token."`
	Name string    `json:"name,omitempty" doc:"Her name then."`
	Text string    `json:"text" doc:"What she said."`
}

// CommentNew is what a person says.
type CommentNew struct {
	Text string `json:"text" minLength:"1" maxLength:"4000" doc:"What to say."`
}

// Silence asks that nobody be told of an incident's node or check for a while.
type Silence struct {
	For    string `json:"for" doc:"For how long, as a duration: 1m to 30d."`
	Reason string `json:"reason,omitempty" maxLength:"400" doc:"Why."`
}

// ChannelNew is what people say of a channel.
type ChannelNew struct {
	Name     string          `json:"name" minLength:"1" maxLength:"200" doc:"Unique within the account."`
	Kind     string          `json:"kind" enum:"webhook,email,slack,ntfy,telegram" doc:"How it tells."`
	Config   json.RawMessage `json:"config" doc:"The kind's own fields, an object."`
	Default  bool            `json:"default,omitempty" doc:"Whether it hears of alarms that name no channel."`
	Fallback string          `json:"fallback,omitempty" maxLength:"64" doc:"The channel that is told when this one can't be."`
}

// Channel is a way to tell somebody.
type Channel struct {
	Object
	Name     string          `json:"name" doc:"Unique within the account."`
	Kind     string          `json:"kind" doc:"How it tells."`
	Config   json.RawMessage `json:"config" doc:"The kind's own fields. A secret is shown once, when it was made here; never again."`
	Default  bool            `json:"default" doc:"Whether it hears of alarms that name no channel."`
	Fallback string          `json:"fallback,omitempty" doc:"The channel that is told when this one can't be."`
	Disabled string          `json:"disabled,omitempty" doc:"Why nothing is sent any more. Absent while it works."`
}

// SuppressionNew is what people say of a suppression.
type SuppressionNew struct {
	Name   string `json:"name,omitempty" maxLength:"200" doc:"Unique within the account; made up when absent."`
	Query  string `json:"query,omitempty" maxLength:"2000" doc:"Which nodes. * or absent: all nodes, and the checks that belong to none."`
	Node   string `json:"node,omitempty" maxLength:"64" doc:"Only this node."`
	Check  string `json:"check,omitempty" maxLength:"64" doc:"Only this check."`
	Alarm  string `json:"alarm,omitempty" maxLength:"64" doc:"Only this alarm."`
	From   string `json:"from,omitempty" doc:"When it begins, the first time: RFC 3339, now or +2h; now when absent."`
	Length string `json:"length" doc:"How long each time lasts, as a duration."`
	Rule   string `json:"rule,omitempty" maxLength:"500" doc:"How it repeats: an RRULE (RFC 5545) such as FREQ=WEEKLY;BYDAY=SA,SU. Absent: once."`
	Zone   string `json:"time_zone,omitempty" maxLength:"64" doc:"The IANA name of the time zone that the rule is meant in; UTC when absent."`
	Reason string `json:"reason,omitempty" maxLength:"400" doc:"Why."`
}

// Suppression is a time in which nobody is told.
type Suppression struct {
	Object
	Name   string     `json:"name" doc:"Unique within the account."`
	Query  string     `json:"query,omitempty" doc:"Which nodes."`
	Node   string     `json:"node,omitempty" doc:"Only this node."`
	Check  string     `json:"check,omitempty" doc:"Only this check."`
	Alarm  string     `json:"alarm,omitempty" doc:"Only this alarm."`
	From   time.Time  `json:"from" doc:"When it begins, the first time."`
	Length string     `json:"length" doc:"How long each time lasts, as a duration."`
	Rule   string     `json:"rule,omitempty" doc:"How it repeats (RFC 5545)."`
	Zone   string     `json:"time_zone,omitempty" doc:"The time zone that the rule is meant in."`
	Reason string     `json:"reason,omitempty" doc:"Why."`
	By     string     `json:"by,omitempty" doc:"Who made it."`
	Active bool       `json:"active" doc:"Whether it holds now."`
	Until  *time.Time `json:"until,omitempty" doc:"When the present time ends; absent when none holds."`
	Next   *time.Time `json:"next,omitempty" doc:"When the next time begins; absent when none comes."`
}
