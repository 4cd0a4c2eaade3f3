// Package live gives the fan-out of changes to open pages and API streams: whoever shows something
// subscribes, whoever changes something publishes, and neither can slow the other down.
//
// What is published is not the new value but the fact that a thing changed; the value is fetched when a
// subscriber takes it. So ten changes of one node between two looks cost one fetch, a slow client costs
// nothing, and publishing with nobody subscribed costs one look at a counter.
package live

import (
	"time"

	"muster"
	"muster/internal/telemetry"
)

// Topics known so far. A topic is free text: a new one needs no change here.
const (
	// TopicNodes carries changes of nodes, deletions included.
	TopicNodes = "nodes"
	// TopicEvents carries new lines of the changelog.
	TopicEvents = "events"
	// TopicResults carries the results of checks, TopicChecks that a check's status or document is another.
	TopicResults = "results"
	TopicChecks  = "checks"
	// TopicIncidents carries incidents, whenever they change.
	TopicIncidents = "incidents"
)

// KindResync tells a subscriber that it missed changes: it must read everything it shows again.
const KindResync = "resync"

// Event is one change, as it is published.
type Event struct {
	Account muster.AccountID
	Topic   string        // what subscribers choose by: "nodes"
	Kind    string        // the name of the event at the client: "node"
	Node    muster.NodeID // zero when it is not about one node
	Key     string        // of two waiting changes of one topic and key only the newer is told; empty with a zero Node: all are
	// Data fetches the value when a subscriber takes the event: at most once for each subscriber, from
	// its goroutine, so it must be safe to call from anywhere. A nil value leaves the event out.
	Data func() any
}

// Message is one change, as a subscriber gets it.
type Message struct {
	ID    string // what a client hands back as Last-Event-ID
	Topic string
	Kind  string
	Node  muster.NodeID
	Data  any // what Event.Data gave; nil for a resync
}

// Want says what a subscriber is interested in.
type Want struct {
	Topics []string
	// Nodes narrows TopicNodes to these; nil means all of the account's.
	Nodes map[muster.NodeID]struct{}
	// LastID is the id of the last message the client saw, "" for none: what it missed comes first,
	// or a resync when that is not known any more.
	LastID string
}

// Options set a hub up. The zero value works.
type Options struct {
	// Queue is how many different things may wait for one subscriber before it gets a resync instead. 1,000 when zero.
	Queue int
	// Remember is how many different things of one account are remembered for those who come back. 50,000 when zero.
	Remember int
	// Keep is how long they are remembered after the account's last subscriber left. 2 min when zero.
	Keep time.Duration
	// MaxSubscribers is how many one account may have at a time. 1,000 when zero.
	MaxSubscribers int
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Telemetry counts; nil counts nothing.
	Telemetry *telemetry.Set
}

func (o *Options) fill() {
	if o.Queue <= 0 {
		o.Queue = 1000
	}
	if o.Remember <= 0 {
		o.Remember = 50_000
	}
	if o.Keep <= 0 {
		o.Keep = 2 * time.Minute
	}
	if o.MaxSubscribers <= 0 {
		o.MaxSubscribers = 1000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}
