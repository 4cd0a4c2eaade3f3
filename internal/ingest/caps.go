package ingest

import (
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"muster"
)

// caps is what one node, or one check, brought today, and what of it was admitted. A check has caps of its
// own: those who run many would have few left for themselves, and one that floods harms only itself.
type caps struct {
	mu      sync.Mutex
	seen    int64 // when a frame came last, Unix ms
	day     int64 // UTC, of what follows
	census  census
	admits  map[admitKey]*admission
	sources map[string]struct{}
	brought int // descriptors of new schemas
}

// limits are how much of each there may be within a day.
type limits struct {
	series, sources, descriptors int
}

type admitKey struct {
	source string
	schema muster.SchemaID
}

// maxAdmits bounds what is remembered of a node whose schemas change all the time.
const maxAdmits = 4096

// turn begins a new day.
func (c *caps) turn(nowMs int64) {
	c.seen = nowMs
	day := nowMs / (24 * time.Hour.Milliseconds())
	if c.admits != nil && c.day == day {
		return
	}
	c.day, c.census, c.brought = day, census{}, 0
	c.admits = map[admitKey]*admission{}
	c.sources = map[string]struct{}{}
}

// admit decides about a schema that is new today, and how many of its metrics are dropped.
func (c *caps) admit(seed maphash.Seed, most limits, f *muster.Frame) (a *admission, dropped int) {
	if _, known := c.sources[f.Source]; !known {
		if len(c.sources) >= most.sources {
			return &admission{reason: fmt.Sprintf("the node has more than %d sources today", most.sources)}, len(f.Schema.Metrics)
		}
		c.sources[f.Source] = struct{}{}
	}
	if c.brought+len(f.Schema.Metrics) > most.descriptors {
		return &admission{reason: "the node's schemas change too often today"}, 0
	}
	c.brought += len(f.Schema.Metrics)
	return c.census.admit(seed, f.Source, f.Schema, most.series)
}
