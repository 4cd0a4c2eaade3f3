//go:build !linux

package agent

import "runtime"

// memoryUsage is the memory the process has from the system, in bytes, as near as the runtime knows.
func memoryUsage() float64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.Sys - stats.HeapReleased)
}
