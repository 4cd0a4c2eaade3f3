// Package host measures the machine it runs on and tells the facts about it. Names and units of the
// metrics follow OpenTelemetry's semantic conventions for system metrics; docs/guide/metrics.md lists
// them. On Linux the counters are read straight from /proc with files held open and buffers used
// again, since this runs on every machine, all the time; elsewhere gopsutil asks the system.
package host

import (
	"context"
	"errors"
	"fmt"

	"muster"
	"muster/internal/check"
)

// Most devices of one kind that are measured; a machine with more has virtual ones by the hundred.
const maxDevices = 64

// Options says where to look. The zero value is right for the machine itself.
type Options struct {
	Proc string // where procfs is, by default /proc
	Sys  string // where sysfs is, by default /sys
	Etc  string // where os-release and machine-id are, by default /etc
}

func (o Options) withDefaults() Options {
	for _, dir := range []struct {
		path  *string
		usual string
	}{{&o.Proc, "/proc"}, {&o.Sys, "/sys"}, {&o.Etc, "/etc"}} {
		if *dir.path == "" {
			*dir.path = dir.usual
		}
	}
	return o
}

// part is one kind of metrics: a struct that keeps what it needs from one time to the next.
type part interface {
	collect(s *check.Sample) error
}

// Host collects the metrics of this machine. It is a check.Collector and a check.Describer.
type Host struct {
	options Options
	parts   []part
	close   func()
}

// New prepares the collector; it reads nothing yet. Close it to let its open files go.
func New(options Options) *Host {
	options = options.withDefaults()
	h := &Host{options: options, close: func() {}}
	h.parts = h.platformParts()
	return h
}

// Source is muster.HostSource.
func (h *Host) Source() string { return muster.HostSource }

// Collect puts all metrics of the machine into the sample. An error names every part that could not
// be measured; the others are in the sample.
func (h *Host) Collect(ctx context.Context, s *check.Sample) error {
	var errs []error
	for _, p := range h.parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.collect(s); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("host: collect: %w", errors.Join(errs...))
	}
	return nil
}

// Close lets open files go; the collector must not be used afterwards.
func (h *Host) Close() error {
	h.close()
	return nil
}

// utilization turns counters of time spent in each mode into shares of the time since the last call.
type utilization struct {
	last   []float64
	shares []float64
}

// of gives the shares, rounded to four decimals (a finer value is noise and costs storage); they are
// check.None when there is nothing to compare with. The slice is good until the next call.
func (u *utilization) of(times []float64) []float64 {
	first := len(u.last) != len(times)
	if first {
		u.last, u.shares = make([]float64, len(times)), make([]float64, len(times))
	}
	var total float64
	for i, t := range times {
		// A mode may go back a little (iowait does); that is no time at all.
		u.shares[i] = max(0, t-u.last[i])
		total += u.shares[i]
	}
	for i := range u.shares {
		if first || total <= 0 {
			u.shares[i] = check.None()
			continue
		}
		u.shares[i] = round4(u.shares[i] / total)
	}
	copy(u.last, times)
	return u.shares
}

func round4(v float64) float64 {
	const scale = 1e4
	return float64(int64(v*scale+0.5)) / scale
}

// ratio is part/whole rounded to four decimals, or none when there is no whole.
func ratio(part, whole float64) float64 {
	if whole <= 0 {
		return check.None()
	}
	return round4(part / whole)
}
