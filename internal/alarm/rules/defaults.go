package rules

import (
	"math"
	"time"

	"muster"
)

// The names by which built-in alarms are known (muster.Alarm.BuiltIn), whatever people call them.
const (
	NodeSilent   = "node-silent"
	DiskNearly   = "filesystem-nearly-full"
	DiskForecast = "filesystem-full-soon"
	Inodes       = "filesystem-inodes"
	Memory       = "memory-exhausted"
	ClockOff     = "clock-off"
	ReadOnly     = "filesystem-read-only"
	CheckFails   = "check-failing"
	Certificate  = "certificate-expiring"
)

// Defaults gives the alarms that every account begins with: few, quiet, each with a hold and a way back. There is none
// on load, processor or bandwidth: a busy machine is not a broken one.
func Defaults() []*muster.Alarm {
	const (
		used     = "system.filesystem.utilization"
		gone     = 15 * time.Minute // a filesystem that nobody measures any more was unmounted
		fortnite = 14 * 24 * 3600
	)
	unmounted := muster.NoData{After: gone, Is: muster.NoDataOK}
	return []*muster.Alarm{
		{BuiltIn: NodeSilent, Name: "Node is silent", Level: muster.LevelCritical, NoData: muster.NoData{After: time.Minute, Is: muster.NoDataCritical}},
		{BuiltIn: DiskNearly, Name: "Filesystem nearly full", Level: muster.LevelCritical, Metric: used, NoData: unmounted,
			Condition: above(0.95, 5*time.Minute, muster.Recovery{Op: "<", Value: 0.92, For: 5 * time.Minute})},
		{BuiltIn: DiskForecast, Name: "Filesystem full within 24 h", Level: muster.LevelWarning, Metric: used, NoData: unmounted,
			Condition: &muster.Condition{Fn: muster.FnForecast, Within: 24 * time.Hour, Op: ">=", Value: 1, For: 30 * time.Minute,
				Recover: muster.Recovery{Op: "<", Value: 1, For: 30 * time.Minute}}},
		{BuiltIn: Inodes, Name: "Inodes nearly used up", Level: muster.LevelCritical, Metric: "system.filesystem.inodes.utilization", NoData: unmounted,
			Condition: above(0.95, 5*time.Minute, muster.Recovery{Op: "<", Value: 0.92, For: 5 * time.Minute})},
		{BuiltIn: Memory, Name: "Memory exhausted", Level: muster.LevelCritical, Metric: "system.linux.memory.available.utilization",
			Condition: &muster.Condition{Op: "<", Value: 0.03, For: 5 * time.Minute, Recover: muster.Recovery{Op: ">", Value: 0.06, For: 2 * time.Minute}}},
		{BuiltIn: ClockOff, Name: "Clock is off", Level: muster.LevelWarning, Metric: clockMetric,
			Condition: &muster.Condition{Op: ">", Value: 5, For: 2 * time.Minute, Recover: muster.Recovery{Op: "<", Value: 2, For: 2 * time.Minute}}},
		{BuiltIn: ReadOnly, Name: "Filesystem turned read-only", Level: muster.LevelCritical, Metric: readOnlyMetric, NoData: unmounted,
			Condition: above(1, time.Minute, muster.Recovery{Op: "<", Value: 1, For: time.Minute})},
		{BuiltIn: CheckFails, Name: "Check fails", Level: muster.LevelCritical, Metric: muster.CheckStatusMetric,
			Condition: above(2, 20*time.Second, muster.Recovery{Op: "==", Value: 0})},
		{BuiltIn: Certificate, Name: "Certificate expires within 14 days", Level: muster.LevelWarning, Metric: "tls.certificate.remaining",
			Condition: &muster.Condition{Op: "<", Value: fortnite, For: time.Minute, Recover: muster.Recovery{Op: ">=", Value: fortnite, For: time.Minute}}},
	}
}

func above(limit float64, hold time.Duration, back muster.Recovery) *muster.Condition {
	return &muster.Condition{Op: ">=", Value: limit, For: hold, Recover: back}
}

const (
	clockMetric    = "muster.node.clock_offset"
	readOnlyMetric = "system.filesystem.read_only"
)

// Quirk is what a built-in alarm does beyond what its document says.
type Quirk struct {
	Abs    bool    // the value counts without its sign
	Turned bool    // only a series that was well before is judged: what was never writable did not turn read-only
	Unless string  // a metric of the same attributes: what is not zero in it is not judged
	Floor  float64 // a smaller value is well, whatever it becomes
}

// QuirkOf gives a built-in alarm's; none when somebody made it look at another metric.
func QuirkOf(a *muster.Alarm) Quirk {
	switch {
	case a.BuiltIn == ClockOff && a.Metric == clockMetric:
		return Quirk{Abs: true}
	case a.BuiltIn == ReadOnly && a.Metric == readOnlyMetric:
		return Quirk{Turned: true}
	case a.BuiltIn == DiskForecast:
		return Quirk{Unless: readOnlyMetric, Floor: 0.7}
	case a.BuiltIn == DiskNearly, a.BuiltIn == Inodes:
		return Quirk{Unless: readOnlyMetric} // a read-only image is always full, and stays so
	}
	return Quirk{}
}

// See turns a value into the one that is judged.
func (q *Quirk) See(v float64) float64 {
	if q.Abs {
		v = math.Abs(v)
	}
	return v
}
