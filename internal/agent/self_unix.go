//go:build unix

package agent

import (
	"math"
	"syscall"
	"time"
)

// cpuTime is the processor time the process has used, in seconds, to the hundredth.
func cpuTime() float64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return math.NaN()
	}
	used := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	return float64(used.Milliseconds()/10) / 100
}
