package ingest

import (
	"hash/maphash"

	"muster"
)

// census counts a node's different metrics within a day and decides which of a schema's are admitted.
// While a node has a few schemas that fit under the cap even if none of their metrics were the same (the
// common case) it only remembers those; else it remembers a hash of each metric.
type census struct {
	few    []source
	sum    int                 // metrics in few
	hashes map[uint64]struct{} // nil until needed
}

// source is a schema as one source uses it.
type source struct {
	name   string
	schema *muster.Schema
}

// fewSchemas is how many schemas a census pins before it turns to hashes.
const fewSchemas = 16

// admission is what a schema of a source comes to under the caps.
type admission struct {
	schema *muster.Schema // what is stored; nil: nothing of it
	index  []int          // where its values are among those sent; nil: all of them, in their order
	reason string         // why nothing of it is taken, as an answer to the agent; "" with schema nil: dropped silently
}

// admit decides about a schema, and how many of its metrics are dropped.
func (c *census) admit(seed maphash.Seed, name string, s *muster.Schema, most int) (a *admission, dropped int) {
	if c.hashes == nil && len(c.few) < fewSchemas && c.sum+len(s.Metrics) <= most {
		c.few = append(c.few, source{name, s})
		c.sum += len(s.Metrics)
		return &admission{schema: s}, 0
	}
	if c.hashes == nil {
		c.hashes = make(map[uint64]struct{}, c.sum)
		for _, known := range c.few {
			for i := range known.schema.Metrics {
				c.take(hash(seed, known.name, &known.schema.Metrics[i]), most)
			}
		}
		c.few = nil
	}
	index := make([]int, 0, len(s.Metrics))
	for i := range s.Metrics {
		if c.take(hash(seed, name, &s.Metrics[i]), most) {
			index = append(index, i)
		}
	}
	return reduce(s, index), len(s.Metrics) - len(index)
}

func (c *census) take(h uint64, most int) bool {
	if _, known := c.hashes[h]; known {
		return true
	}
	if len(c.hashes) >= most {
		return false
	}
	c.hashes[h] = struct{}{}
	return true
}

// reduce makes the schema of the metrics at index.
func reduce(s *muster.Schema, index []int) *admission {
	switch len(index) {
	case len(s.Metrics):
		return &admission{schema: s}
	case 0:
		return &admission{}
	}
	metrics := make([]muster.Metric, len(index))
	for to, from := range index {
		metrics[to] = s.Metrics[from]
	}
	smaller, err := muster.NewSchema(metrics)
	if err != nil { // a part of a valid schema is valid
		return &admission{}
	}
	return &admission{schema: smaller, index: index}
}

func hash(seed maphash.Seed, name string, m *muster.Metric) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	h.WriteString(name)
	h.WriteByte(0)
	h.WriteString(m.Name)
	for _, a := range m.Attrs {
		h.WriteByte(0)
		h.WriteString(a.Key)
		h.WriteByte(1)
		h.WriteString(a.Value)
	}
	return h.Sum64()
}
