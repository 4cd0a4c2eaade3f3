package uplink

import (
	"muster"
	"muster/internal/wire"
)

// numbers are those of the schemas in use on one connection.
type numbers struct {
	of      map[muster.SchemaID]uint32
	metrics int // of all schemas

	mostSchemas, mostMetrics int
}

// newNumbers makes them for a server of that capability. When they begin anew, a server still holds the old
// meaning of those not yet given again: so there are half as many metrics as it bears.
func newNumbers(capability uint32) numbers {
	n := numbers{of: map[muster.SchemaID]uint32{}, mostSchemas: 1000, mostMetrics: 48_000}
	if capability >= wire.CapabilityChecks {
		n.mostSchemas, n.mostMetrics = wire.MaxSchemas, 96_000
	}
	return n
}

// full says that there is no number left for the schema.
func (n *numbers) full(s *muster.Schema) bool {
	return len(n.of) == n.mostSchemas || n.metrics+len(s.Metrics) > n.mostMetrics
}

// add gives the schema the next number.
func (n *numbers) add(s *muster.Schema) uint32 {
	number := uint32(len(n.of) + 1)
	n.of[s.ID] = number
	n.metrics += len(s.Metrics)
	return number
}

// clear makes the numbers begin anew.
func (n *numbers) clear() {
	clear(n.of)
	n.metrics = 0
}
