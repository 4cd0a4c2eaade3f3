package host

import (
	"muster"
	"muster/internal/check"
)

// memory measures what /proc/meminfo and /proc/vmstat have. The states of memory add up to its limit:
// used is what cannot be had back, which shared memory and tmpfs belong to.
type memory struct {
	meminfo, vmstat   *procFile
	state, stateShare [4]*muster.Metric
	limit, available  *muster.Metric
	availableShare    *muster.Metric
	slab              [2]*muster.Metric
	swap, swapShare   [2]*muster.Metric
	faults, swaps     [2]*muster.Metric
	oomKills          *muster.Metric
	info              []namedNumber
	stat              []namedNumber
}

// namedNumber is a line of the form "Key: number" or "key number".
type namedNumber struct {
	key   string
	value float64
}

func newMemory(meminfo, vmstat *procFile) *memory {
	m := &memory{
		meminfo: meminfo, vmstat: vmstat,
		limit:          check.Gauge("system.memory.limit", "By"),
		available:      check.Gauge("system.linux.memory.available", "By"),
		availableShare: check.Gauge("system.linux.memory.available.utilization", "1"),
		oomKills:       check.Counter("system.linux.memory.oom_kills", "{process}"),
	}
	for i, state := range []string{"used", "free", "buffers", "cached"} {
		m.state[i] = check.Gauge("system.memory.usage", "By", "system.memory.state", state)
		m.stateShare[i] = check.Gauge("system.memory.utilization", "1", "system.memory.state", state)
	}
	for i, state := range []string{"reclaimable", "unreclaimable"} {
		m.slab[i] = check.Gauge("system.linux.memory.slab.usage", "By", "system.memory.linux.slab.state", state)
	}
	for i, state := range []string{"used", "free"} {
		m.swap[i] = check.Gauge("system.paging.usage", "By", "system.paging.state", state)
		m.swapShare[i] = check.Gauge("system.paging.utilization", "1", "system.paging.state", state)
	}
	for i, kind := range []string{"major", "minor"} {
		m.faults[i] = check.Counter("system.paging.faults", "{fault}", "system.paging.fault.type", kind)
	}
	for i, direction := range []string{"in", "out"} {
		m.swaps[i] = check.Counter("system.paging.operations", "{operation}", "system.paging.direction", direction)
	}
	m.info = named("MemTotal:", "MemFree:", "MemAvailable:", "Buffers:", "Cached:", "SwapTotal:", "SwapFree:",
		"Shmem:", "SReclaimable:", "SUnreclaim:")
	m.stat = named("pswpin", "pswpout", "pgfault", "pgmajfault", "oom_kill")
	return m
}

func (m *memory) collect(s *check.Sample) error {
	content, err := m.meminfo.read()
	readNamed(content, m.info)
	const kB = 1024
	for i := range m.info {
		m.info[i].value *= kB
	}
	total, free, available, buffers := m.info[0].value, m.info[1].value, m.info[2].value, m.info[3].value
	cached := m.info[4].value + m.info[8].value - m.info[7].value
	states := [...]float64{total - free - buffers - cached, free, buffers, cached}
	for i, v := range states {
		s.Put(m.state[i], v)
		s.Put(m.stateShare[i], ratio(v, total))
	}
	s.Put(m.limit, total)
	s.Put(m.available, available)
	s.Put(m.availableShare, ratio(available, total))
	s.Put(m.slab[0], m.info[8].value)
	s.Put(m.slab[1], m.info[9].value)
	if swap, swapFree := m.info[5].value, m.info[6].value; swap > 0 {
		for i, v := range [...]float64{swap - swapFree, swapFree} {
			s.Put(m.swap[i], v)
			s.Put(m.swapShare[i], ratio(v, swap))
		}
	}
	if err != nil {
		return err
	}
	return m.paging(s)
}

func (m *memory) paging(s *check.Sample) error {
	content, err := m.vmstat.read()
	readNamed(content, m.stat)
	s.Put(m.swaps[0], m.stat[0].value)
	s.Put(m.swaps[1], m.stat[1].value)
	s.Put(m.faults[0], m.stat[3].value)
	s.Put(m.faults[1], m.stat[2].value-m.stat[3].value)
	s.Put(m.oomKills, m.stat[4].value)
	return err
}

func named(keys ...string) []namedNumber {
	list := make([]namedNumber, len(keys))
	for i, key := range keys {
		list[i].key = key
	}
	return list
}

// readNamed sets the values of the list from the lines of a file; those it lacks become NaN.
func readNamed(content text, list []namedNumber) {
	for i := range list {
		list[i].value = none()
	}
	for {
		line, ok := content.line()
		if !ok {
			return
		}
		key := line.word()
		for i := range list {
			if string(key) == list[i].key {
				list[i].value = line.number()
				break
			}
		}
	}
}
