package host

import (
	"fmt"

	"muster"
	"muster/internal/check"
)

// The modes of a CPU in the order in which cpuTimes gives them.
var cpuModes = [...]string{"user", "nice", "system", "idle", "iowait", "interrupt", "steal"}

// cpu measures what /proc/stat has: time by mode, and the kernel's counters of work.
type cpu struct {
	stat   *procFile
	share  utilization
	times  [len(cpuModes)]float64
	used   [len(cpuModes)]*muster.Metric
	time   [len(cpuModes)]*muster.Metric
	count  *muster.Metric
	totals []statLine
}

// statLine is a line of /proc/stat with one number of interest.
type statLine struct {
	key    string
	metric *muster.Metric
	value  float64
}

func newCPU(stat *procFile) *cpu {
	c := &cpu{stat: stat, count: check.Gauge("system.cpu.logical.count", "{cpu}")}
	for i, mode := range cpuModes {
		c.used[i] = check.Gauge("system.cpu.utilization", "1", "cpu.mode", mode)
		c.time[i] = check.Counter("system.cpu.time", "s", "cpu.mode", mode)
	}
	c.totals = []statLine{
		{key: "intr", metric: check.Counter("system.linux.interrupts", "{interrupt}")},
		{key: "ctxt", metric: check.Counter("system.linux.context_switches", "{switch}")},
		{key: "processes", metric: check.Counter("system.process.created", "{process}")},
		{key: "procs_running", metric: check.Gauge("system.linux.tasks.running", "{task}")},
		{key: "procs_blocked", metric: check.Gauge("system.linux.tasks.blocked", "{task}")},
	}
	return c
}

func (c *cpu) collect(s *check.Sample) error {
	content, err := c.stat.read()
	cpus := c.parse(content)
	if err == nil && cpus == 0 {
		err = fmt.Errorf("%s: no line of a cpu", c.stat.path)
	}
	for i, share := range c.share.of(c.times[:]) {
		s.Put(c.used[i], share)
	}
	for i, t := range c.times {
		s.Put(c.time[i], t)
	}
	s.Put(c.count, float64(cpus))
	for i := range c.totals {
		s.Put(c.totals[i].metric, c.totals[i].value)
	}
	return err
}

// parse sets times and totals and gives the number of logical CPUs.
func (c *cpu) parse(content text) (cpus int) {
	for i := range c.times {
		c.times[i] = none()
	}
	for i := range c.totals {
		c.totals[i].value = none()
	}
	for {
		line, ok := content.line()
		if !ok {
			return cpus
		}
		key := line.word()
		switch {
		case string(key) == "cpu":
			c.times = cpuTimes(line)
		case len(key) > 3 && string(key[:3]) == "cpu":
			cpus++
		default:
			for i := range c.totals {
				if string(key) == c.totals[i].key {
					c.totals[i].value = line.number()
				}
			}
		}
	}
}

// cpuTimes reads the numbers of a cpu line, in seconds: hardware and software interrupts are one mode,
// and the time of guests is in user and nice already. The kernel counts in hundredths, whatever its tick.
func cpuTimes(line text) (times [len(cpuModes)]float64) {
	var n [8]float64
	for i := range n {
		n[i] = line.number()
	}
	times = [...]float64{n[0], n[1], n[2], n[3], n[4], n[5] + n[6], n[7]}
	for i := range times {
		times[i] /= 100
	}
	return times
}
