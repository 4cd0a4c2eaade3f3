package muster

import (
	"strings"
	"time"
)

// CheckStatus says how what is checked is.
type CheckStatus string

const (
	// StatusOK means that the answer was as expected.
	StatusOK CheckStatus = "ok"
	// StatusWarning means that it was, with something to look at.
	StatusWarning CheckStatus = "warning"
	// StatusCritical means that it was not, or that there was none.
	StatusCritical CheckStatus = "critical"
	// StatusUnknown means that nobody can say: the check itself could not be run.
	StatusUnknown CheckStatus = "unknown"
	// StatusPending means that it was never run yet.
	StatusPending CheckStatus = "pending"
)

// Number gives the value that the metric CheckStatusMetric has: 0 ok, 1 warning, 2 critical, 3 unknown; -1 for pending.
func (s CheckStatus) Number() float64 {
	switch s {
	case StatusOK:
		return 0
	case StatusWarning:
		return 1
	case StatusCritical:
		return 2
	case StatusUnknown:
		return 3
	}
	return -1
}

// StatusOf gives the status that a value of CheckStatusMetric stands for.
func StatusOf(v float64) CheckStatus {
	switch v {
	case 0:
		return StatusOK
	case 1:
		return StatusWarning
	case 2:
		return StatusCritical
	case 3:
		return StatusUnknown
	}
	return StatusPending
}

// What every check measures, whatever its kind. Each has the attributes CheckAttr and ZoneAttr.
const (
	// CheckStatusMetric is the number of the status; see CheckStatus.Number.
	CheckStatusMetric = "check.status"
	// CheckDurationMetric is how long one run took, in seconds.
	CheckDurationMetric = "check.duration"
	// CheckAttr holds the id of the check.
	CheckAttr = "muster.check"
	// ZoneAttr holds the name of the zone it ran in.
	ZoneAttr = "muster.zone"
)

// LocalZone is the private zone of this server: its runner is the agent built into it.
const LocalZone = "local"

// Bounds of a check's times.
const (
	MinCheckPeriod  = time.Second
	MaxCheckPeriod  = 24 * time.Hour
	MinCheckTimeout = 100 * time.Millisecond
	MaxCheckTimeout = time.Minute
)

// Check is what is run again and again against a target.
type Check struct {
	ID        CheckID
	Account   AccountID
	Rev       uint64
	Name      string // unique within the account
	Kind      string // "http", "tcp", "ping", "dns", "push"
	Node      NodeID // the node it belongs to; zero when to none
	Config    []byte // a JSON object of the kind's own fields, complete: defaults are written out
	Target    string // what is checked, for people: "https://example.org/", "db-1:5432"
	Period    time.Duration
	Timeout   time.Duration
	Zones     []string // where it runs
	Enabled   bool
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Subject gives what the check's metrics belong to: its node, or the check itself when it has none. The two kinds of id never meet.
func (c *Check) Subject() NodeID {
	if !c.Node.IsZero() {
		return c.Node
	}
	return c.ID.Subject()
}

// Source gives the source of the frames that a check's runs make: its id, and the zone when it is not the local one.
func (c *Check) Source(zone string) string {
	if zone == LocalZone {
		return string(c.ID)
	}
	return string(c.ID) + "@" + zone
}

// CheckOfSource takes a source apart; ok is false when it is none of a check.
func CheckOfSource(source string) (id CheckID, zone string, ok bool) {
	if !strings.HasPrefix(source, checkPrefix+"_") {
		return "", "", false
	}
	text, zone, other := strings.Cut(source, "@")
	if !other {
		zone = LocalZone
	}
	if _, err := parseID(checkPrefix, text); err != nil || zone == "" {
		return "", "", false
	}
	return CheckID(text), zone, true
}

// Reading is one value of a metric at the instant of what it stands in.
type Reading struct {
	Metric *Metric
	Value  float64
}

// Result is what one run of a check in one zone gave.
type Result struct {
	Account  AccountID
	Check    CheckID
	Zone     string
	At       time.Time // when the run began
	Status   CheckStatus
	Summary  string // one line: "HTTP 200 in 12 ms"
	Duration time.Duration
	Metrics  []Reading
	Class    string            // of the error: "dns", "connect", "tls", "timeout", "status", "body", ...; empty for none
	Error    string            // the error in words; empty for none
	Evidence map[string]string // what was seen, for people: "tls.subject", "http.header.server", "dns.answer"
}

// Level says how bad an alarm is.
type Level string

const (
	// LevelWarning can wait until morning.
	LevelWarning Level = "warning"
	// LevelCritical can not.
	LevelCritical Level = "critical"
)

// Worse says whether the level is worse than the other; any is worse than none.
func (l Level) Worse(other Level) bool { return l.rank() > other.rank() }

func (l Level) rank() int {
	switch l {
	case LevelCritical:
		return 2
	case LevelWarning:
		return 1
	}
	return 0
}

// Op compares a value with a limit: one of > >= < <= == !=.
type Op string

// Holds says whether "v op limit" is true; false for an unknown op and for NaN.
func (o Op) Holds(v, limit float64) bool {
	switch o {
	case ">":
		return v > limit
	case ">=":
		return v >= limit
	case "<":
		return v < limit
	case "<=":
		return v <= limit
	case "==":
		return v == limit
	case "!=":
		return v != limit && v == v
	}
	return false
}

// Fn says what of a metric a condition looks at.
type Fn string

const (
	// FnValue is the value itself, or the rate per second of a counter.
	FnValue Fn = ""
	// FnForecast is the value that a straight line through the recent past reaches after Condition.Within.
	FnForecast Fn = "forecast"
)

// Condition is when an alarm fires and when it is well again.
type Condition struct {
	Fn      Fn
	Within  time.Duration // how far FnForecast looks ahead
	Op      Op
	Value   float64
	For     time.Duration // how long it must hold without a break before the alarm fires
	Recover Recovery
}

// Recovery is when an alarm that fired is well again. Without Op: as soon as the condition does not hold.
type Recovery struct {
	Op    Op
	Value float64
	For   time.Duration // how long it must hold without a break
}

// NoDataIs says what silence means to an alarm.
type NoDataIs string

const (
	// NoDataCritical means that silence fires.
	NoDataCritical NoDataIs = "critical"
	// NoDataOK means that silence is well.
	NoDataOK NoDataIs = "ok"
	// NoDataKeep means that silence changes nothing.
	NoDataKeep NoDataIs = "keep"
)

// NoData is what an alarm does when what it watches falls silent. Nothing ever, when After is zero.
type NoData struct {
	After time.Duration
	Is    NoDataIs
}

// Alarm is a rule: on what, when, how bad, who hears of it. Without Metric and Check it watches that the
// agents of its nodes report, by NoData alone; with Check and without Metric it watches the check's status.
type Alarm struct {
	ID        AlarmID
	Account   AccountID
	Rev       uint64
	Name      string // unique within the account
	Query     string // of nodes; "" and "*" are all nodes, and the checks that belong to none
	Node      NodeID // only this one; zero: those of Query
	Check     CheckID
	Metric    string
	Attrs     map[string]string // that the metric must have; * and ? are wildcards
	Condition *Condition        // nil: only NoData is judged
	NoData    NoData
	Level     Level
	Channels  []ChannelID // none: the default channels hear it
	Enabled   bool
	BuiltIn   string // which of the alarms made at the start it is; empty for people's own
	CreatedAt time.Time
	UpdatedAt time.Time
}

// AlarmState is how an alarm stands on one series of one subject.
type AlarmState string

const (
	// AlarmOK means that nothing is wrong.
	AlarmOK AlarmState = "ok"
	// AlarmPending means that the condition holds, but not for long enough yet.
	AlarmPending AlarmState = "pending"
	// AlarmFiring means that it fired.
	AlarmFiring AlarmState = "firing"
	// AlarmRecovering means that it fired and is well, but not for long enough yet.
	AlarmRecovering AlarmState = "recovering"
)

// Transition is one change of an alarm on one series of one subject, kept with what led to it. Only
// AlarmOK and AlarmFiring are From and To: a hold under way is nobody's news.
type Transition struct {
	ID       string // the same whenever the same inputs lead to it
	At       time.Time
	Alarm    AlarmID
	Name     string // of the alarm, then
	Subject  NodeID
	Check    CheckID // of the series, when it is one of a check
	Series   string  // which one, for people: "system.filesystem.mountpoint=/var"; empty when there is only one
	From, To AlarmState
	Level    Level
	Why      string  // in words: "97 % for 5 min, limit 95 %"
	Inputs   []Input // the last values before it, oldest first; at most MaxInputs
	Channels []ChannelID
}

// MaxInputs is how many inputs are kept with a transition.
const MaxInputs = 8

// Input is one thing an alarm saw.
type Input struct {
	At    time.Time
	Value float64 // NaN: none came
	Text  string  // what the check said; empty for metrics
}

// IncidentState says who has to do something.
type IncidentState string

const (
	// IncidentOpen means that nobody has taken it yet.
	IncidentOpen IncidentState = "open"
	// IncidentAcknowledged means that somebody has; it ends at recovery.
	IncidentAcknowledged IncidentState = "acknowledged"
	// IncidentResolved means that all is well again.
	IncidentResolved IncidentState = "resolved"
)

// Incident is what is wrong with one node, or with one check that belongs to none: all alarms that are open on it together.
type Incident struct {
	ID             IncidentID
	Account        AccountID
	State          IncidentState
	Level          Level  // the worst so far
	Title          string // names the node or check, and what is wrong
	Subject        NodeID // whose it is
	Name           string // of the node or check, then
	Node           NodeID // zero when a check without node is the subject
	Check          CheckID
	Alarm          AlarmID // that opened it
	OpenedAt       time.Time
	AcknowledgedAt time.Time
	AcknowledgedBy string // "user_...", "token_...", "link"
	ResolvedAt     time.Time
	UpdatedAt      time.Time
	Open           []Firing     // alarms that are firing now, oldest first
	Transitions    []Transition // oldest first; the newest MaxTimeline
	Comments       []Comment    // oldest first; the newest MaxTimeline
	Cut            int          // how many entries were left out of the two above
	Seq            uint64       // one more with each change
}

// MaxTimeline is how many entries of a kind an incident keeps.
const MaxTimeline = 50

// Firing is an alarm that fires within an incident.
type Firing struct {
	Alarm  AlarmID
	Name   string
	Series string
	Check  CheckID
	Level  Level
	Since  time.Time
	Why    string
}

// Comment is what a person says of an incident.
type Comment struct {
	At   time.Time
	By   string // "user_...", "token_...", "link"
	Name string // of the person, then
	Text string
}

// IncidentChangeKind says what happened to an incident.
type IncidentChangeKind string

// What happens to incidents. People are told of opened, worsened, acknowledged and resolved.
const (
	IncidentOpened    IncidentChangeKind = "opened"
	IncidentJoined    IncidentChangeKind = "joined"   // another alarm fires, no worse than the incident was
	IncidentWorsened  IncidentChangeKind = "worsened" // another alarm fires at a worse level
	IncidentEased     IncidentChangeKind = "eased"    // one of several alarms is well
	IncidentTaken     IncidentChangeKind = "acknowledged"
	IncidentCommented IncidentChangeKind = "commented"
	IncidentClosed    IncidentChangeKind = "resolved"
)

// IncidentChange is one step of an incident, as it stands in the shard's log beside the incident after it.
type IncidentChange struct {
	Kind       IncidentChangeKind
	At         time.Time
	By         string
	Transition *Transition // nil for what people do
}

// Channel is a way to tell somebody.
type Channel struct {
	ID        ChannelID
	Account   AccountID
	Rev       uint64
	Name      string // unique within the account
	Kind      string // "webhook", "email", "slack", "ntfy", "telegram"
	Config    []byte // a JSON object of the kind's own fields, without its secrets
	Sealed    []byte // a JSON object of its secrets, encrypted; nil for none
	Default   bool   // hears of alarms that name no channel
	Fallback  ChannelID
	Disabled  string // why nothing is sent any more; empty while it works
	CreatedAt time.Time
	UpdatedAt time.Time
}

// DeliveryStatus says what became of a message.
type DeliveryStatus string

const (
	// DeliveryWaiting means that it was not tried yet, or will be tried again.
	DeliveryWaiting DeliveryStatus = "waiting"
	// DeliverySent means that the receiver took it.
	DeliverySent DeliveryStatus = "delivered"
	// DeliveryFailed means that it was given up.
	DeliveryFailed DeliveryStatus = "failed"
	// DeliverySuppressed means that it was held back on purpose.
	DeliverySuppressed DeliveryStatus = "suppressed"
)

// Delivery is one attempt to tell one channel of one incident.
type Delivery struct {
	Message  string // the id of the message; the same over all attempts
	Incident IncidentID
	Type     string // "incident.opened"
	Channel  ChannelID
	Name     string // of the channel, then
	At       time.Time
	Attempt  int // 1 for the first
	Status   DeliveryStatus
	Error    string
	Next     time.Time // when it is tried again; zero when it is not
}

// Suppression is a time in which nobody is told: measuring goes on, closing always gets through.
type Suppression struct {
	ID        SuppressionID
	Account   AccountID
	Rev       uint64
	Name      string
	Query     string // of nodes; "" and "*" are all nodes, and the checks that belong to none
	Node      NodeID // only this one
	Check     CheckID
	Alarm     AlarmID       // only this one
	From      time.Time     // of the first time
	Length    time.Duration // of each time
	Rule      string        // RFC 5545 RRULE by which it repeats; empty: once
	Zone      string        // IANA name of the time zone that the rule is meant in; UTC when empty
	Reason    string
	By        string // who made it
	CreatedAt time.Time
	UpdatedAt time.Time
}
