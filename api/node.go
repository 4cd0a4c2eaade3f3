package api

import "time"

// Node is one server: what is known of it, what people wrote to it, and how it is now.
type Node struct {
	Object
	Name       string            `json:"name" doc:"Unique within the account."`
	Hostname   string            `json:"hostname" doc:"What the machine calls itself."`
	State      string            `json:"state" enum:"up,down,pending,stopped,terminated,unknown" doc:"How it is, as far as anybody knows."`
	StateSince *time.Time        `json:"state_since,omitempty" doc:"When the state began, when that is known."`
	LastSeen   *time.Time        `json:"last_seen,omitempty" doc:"The instant of the newest measurement. Absent when there is none."`
	Addresses  []string          `json:"addresses" nullable:"false" doc:"Numeric addresses, the most useful first."`
	Tags       []string          `json:"tags" nullable:"false" doc:"Sorted: web, env=prod."`
	Star       bool              `json:"star" doc:"Whether somebody marked it."`
	Colour     string            `json:"colour,omitempty" doc:"The colour somebody gave it."`
	Notes      string            `json:"notes,omitempty" doc:"What people wrote about it, in markdown."`
	Watched    bool              `json:"watched" doc:"Whether alarms look at it."`
	Facts      map[string]string `json:"facts" doc:"What the agent or provider told: os.type, host.arch ... (OpenTelemetry's resource attributes where they exist)."`
	Agent      *Agent            `json:"agent,omitempty" doc:"The agent on the node. Absent when it has none."`
	Now        NodeNow           `json:"now" doc:"The newest measurements. What is not known is absent."`
}

// Agent is the agent on a node.
type Agent struct {
	Version   string  `json:"version" doc:"The agent's version."`
	Connected bool    `json:"connected" doc:"Whether it holds a connection."`
	Period    string  `json:"period,omitempty" doc:"How often it measures when nobody looks, as a duration."`
	ClockOff  string  `json:"clock_off,omitempty" doc:"How far its clock is off, as a duration; absent when it is right."`
	Dropped   uint64  `json:"dropped,omitempty" doc:"How many metrics were refused by a limit since it connected."`
	Farewell  *Parted `json:"farewell,omitempty" doc:"How it left, when it said so."`
}

// Parted is what an agent said when it left on purpose.
type Parted struct {
	Reason string    `json:"reason" enum:"shutdown,stop,upgrade" doc:"Why it left."`
	At     time.Time `json:"at" doc:"When."`
}

// NodeNow holds a node's newest measurements; what is not known is nil.
type NodeNow struct {
	CPU       *float64 `json:"cpu,omitempty" doc:"Share of all cores that is busy, 0 to 1."`
	Memory    *float64 `json:"memory,omitempty" doc:"Share of memory in use, 0 to 1."`
	Disk      *float64 `json:"disk,omitempty" doc:"Share in use of the fullest filesystem, 0 to 1."`
	DiskMount string   `json:"disk_mount,omitempty" doc:"Where the fullest filesystem is mounted."`
	Load      *float64 `json:"load,omitempty" doc:"One-minute load average."`
	Uptime    *float64 `json:"uptime,omitempty" doc:"Seconds since the machine started."`
	NetIn     *float64 `json:"net_in,omitempty" doc:"Bytes per second received."`
	NetOut    *float64 `json:"net_out,omitempty" doc:"Bytes per second sent."`
	Metrics   int      `json:"metrics" doc:"How many metrics it sends."`
}

// NodeEdit is what people may change of a node; as a merge patch, what is absent stays and null empties.
type NodeEdit struct {
	Name    *string   `json:"name,omitempty" nullable:"false" minLength:"1" maxLength:"253" doc:"Unique within the account."`
	Tags    *[]string `json:"tags,omitempty" nullable:"true" maxItems:"64" doc:"All tags of the node: web, env=prod."`
	Star    *bool     `json:"star,omitempty" nullable:"true" doc:"Whether it is marked."`
	Colour  *string   `json:"colour,omitempty" nullable:"true" maxLength:"32" doc:"A name such as red, or #rrggbb. Empty for none."`
	Notes   *string   `json:"notes,omitempty" nullable:"true" maxLength:"65536" doc:"Markdown."`
	Watched *bool     `json:"watched,omitempty" nullable:"false" doc:"Whether alarms look at it."`
}

// MetricNow describes one metric that a node sends, with its newest value.
type MetricNow struct {
	Metric     string            `json:"metric" doc:"The name, after OpenTelemetry's semantic conventions."`
	Unit       string            `json:"unit" doc:"UCUM: 1, By, s."`
	Type       string            `json:"type" enum:"gauge,counter" doc:"How values are to be read."`
	Attributes map[string]string `json:"attributes" doc:"Which disk, which mode."`
	Source     string            `json:"source" doc:"What measures it; host for the machine itself."`
	Last       *Sample           `json:"last,omitempty" doc:"The newest value."`
}

// Sample is one value at one instant.
type Sample struct {
	At    time.Time `json:"at" doc:"The instant."`
	Value float64   `json:"value" doc:"In the metric's unit; a counter's is its count."`
}

// Series is the answer to a question about one metric over a time.
type Series struct {
	Metric string    `json:"metric" doc:"The metric's name."`
	Unit   string    `json:"unit" doc:"UCUM. A counter's rate is per second."`
	From   time.Time `json:"from" doc:"Where the range begins."`
	To     time.Time `json:"to" doc:"Where the range ends."`
	Step   string    `json:"step" doc:"The distance of points, as a duration; all points lie on multiples of it."`
	Series []Line    `json:"series" nullable:"false" doc:"One line for each node and set of attributes."`
}

// Line is one line of a graph.
type Line struct {
	Node       string            `json:"node" doc:"The node's id."`
	Attributes map[string]string `json:"attributes" doc:"Which disk, which mode."`
	Points     []Point           `json:"points" nullable:"false" doc:"[unix_seconds, min, avg, max], ascending. A step without a value is left out."`
}

// Point is [unix seconds, minimum, average, maximum] of one step.
type Point [4]float64

// At gives the beginning of the step.
func (p Point) At() time.Time { return time.UnixMilli(int64(p[0] * 1000)).UTC() }

// Min gives the least value in the step.
func (p Point) Min() float64 { return p[1] }

// Avg gives the step's value: the average, or what the asked function gave.
func (p Point) Avg() float64 { return p[2] }

// Max gives the greatest value in the step.
func (p Point) Max() float64 { return p[3] }
