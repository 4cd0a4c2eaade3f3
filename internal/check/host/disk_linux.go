package host

import (
	"os"
	"path/filepath"

	"muster"
	"muster/internal/check"
)

// disks measures what /proc/diskstats has of real disks: neither partitions nor devices that are made
// of others (loop, ram, device mapper, md), whose work would be counted twice.
type disks struct {
	stats *procFile
	sys   string
	known map[string]*disk // nil for a device that is not measured
}

// disk is one device's metrics; those with two are of reading and writing.
type disk struct {
	bytes, operations, merged, time [2]*muster.Metric
	busy, weighted, pending         *muster.Metric
}

func newDisks(stats *procFile, sys string) *disks {
	return &disks{stats: stats, sys: sys, known: map[string]*disk{}}
}

func newDisk(name string) *disk {
	d := &disk{
		busy:     check.Counter("system.disk.io_time", "s", "system.device", name),
		weighted: check.Counter("system.disk.weighted_io_time", "s", "system.device", name),
		pending:  check.Gauge("system.disk.pending_operations", "{operation}", "system.device", name),
	}
	for i, direction := range []string{"read", "write"} {
		attrs := []string{"disk.io.direction", direction, "system.device", name}
		d.bytes[i] = check.Counter("system.disk.io", "By", attrs...)
		d.operations[i] = check.Counter("system.disk.operations", "{operation}", attrs...)
		d.merged[i] = check.Counter("system.disk.merged", "{operation}", attrs...)
		d.time[i] = check.Counter("system.disk.operation_time", "s", attrs...)
	}
	return d
}

func (d *disks) collect(s *check.Sample) error {
	content, err := d.stats.read()
	if os.IsNotExist(err) {
		return nil // a container without disks
	}
	measured := 0
	for {
		line, ok := content.line()
		if !ok || measured == maxDevices {
			return err
		}
		line.skip(2)
		name := line.word()
		one, known := d.known[string(name)]
		if !known {
			one = d.meet(string(name))
		}
		if one != nil {
			one.put(s, line)
			measured++
		}
	}
}

// meet decides about a device that was not seen before: real disks have a device behind them.
func (d *disks) meet(name string) *disk {
	var one *disk
	if _, err := os.Stat(filepath.Join(d.sys, "block", name, "device")); err == nil {
		one = newDisk(name)
	}
	if len(d.known) > 16*maxDevices {
		clear(d.known) // devices that come and go must not gather here
	}
	d.known[name] = one
	return one
}

// put reads the numbers of a line after the device's name.
func (d *disk) put(s *check.Sample, line text) {
	const sector = 512
	for i := range 2 {
		operations, merged, sectors, ms := line.number(), line.number(), line.number(), line.number()
		s.Put(d.bytes[i], sectors*sector)
		s.Put(d.operations[i], operations)
		s.Put(d.merged[i], merged)
		s.Put(d.time[i], ms/1e3)
	}
	s.Put(d.pending, line.number())
	s.Put(d.busy, line.number()/1e3)
	s.Put(d.weighted, line.number()/1e3)
}
