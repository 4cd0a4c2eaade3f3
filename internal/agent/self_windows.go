package agent

import (
	"math"
	"syscall"
	"time"
)

// cpuTime is the processor time the process has used, in seconds, to the hundredth.
func cpuTime() float64 {
	process, err := syscall.GetCurrentProcess()
	if err != nil {
		return math.NaN()
	}
	var created, exited, kernel, user syscall.Filetime
	if syscall.GetProcessTimes(process, &created, &exited, &kernel, &user) != nil {
		return math.NaN()
	}
	used := time.Duration(ticks(kernel)+ticks(user)) * 100
	return float64(used.Milliseconds()/10) / 100
}

// ticks counts the hundreds of nanoseconds of a span of time, which Filetime.Nanoseconds does not.
func ticks(t syscall.Filetime) int64 { return int64(t.HighDateTime)<<32 | int64(t.LowDateTime) }
