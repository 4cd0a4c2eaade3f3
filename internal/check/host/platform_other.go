//go:build !linux

package host

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	gohost "github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"
	"github.com/shirou/gopsutil/v4/process"

	"muster"
	"muster/internal/check"
)

// platformParts are the parts that gopsutil can measure. A part that the system does not have tells an
// error once and is left alone.
func (h *Host) platformParts() []part {
	known := &metrics{byKey: map[string]*muster.Metric{}}
	return []part{
		&asked{metrics: known, ask: (&cpuAsked{}).ask}, &asked{metrics: known, ask: askSystem},
		&asked{metrics: known, ask: askMemory}, &asked{metrics: known, ask: askDisks},
		&asked{metrics: known, ask: askFilesystems}, &asked{metrics: known, ask: askNetworks},
	}
}

func (h *Host) defaultInterface() string { return "" }

func (h *Host) platformFacts(ctx context.Context, set func(key, value string), facts *check.Facts) {
	if info, err := gohost.InfoWithContext(ctx); err == nil {
		set("host.id", info.HostID)
		set("os.name", info.Platform)
		set("os.version", info.PlatformVersion)
		set("os.description", info.Platform+" "+info.PlatformVersion)
		set("os.kernel.release", info.KernelVersion)
		set("host.virtualization", info.VirtualizationSystem)
		facts.BootID = strconv.FormatUint(info.BootTime, 10)
	}
	if cpus, err := cpu.InfoWithContext(ctx); err == nil && len(cpus) > 0 {
		set("host.cpu.model.name", cpus[0].ModelName)
		set("host.cpu.vendor.id", cpus[0].VendorID)
	}
	if memory, err := mem.VirtualMemoryWithContext(ctx); err == nil {
		set("system.memory.limit", strconv.FormatUint(memory.Total, 10))
	}
}

// metrics remembers the descriptions, so that each is the same pointer every time.
type metrics struct{ byKey map[string]*muster.Metric }

// put adds a value under a description that is made the first time.
func (m *metrics) put(s *check.Sample, v float64, describe func(name, unit string, attrs ...string) *muster.Metric,
	name, unit string, attrs ...string) {
	key := name
	for _, a := range attrs {
		key += "\x00" + a
	}
	one := m.byKey[key]
	if one == nil {
		one = describe(name, unit, attrs...)
		m.byKey[key] = one
	}
	s.Put(one, v)
}

// asked is a part made of a question to gopsutil.
type asked struct {
	metrics *metrics
	ask     func(m *metrics, s *check.Sample) error
	failed  int
}

func (a *asked) collect(s *check.Sample) error {
	const patience = 3
	if a.failed >= patience {
		return nil
	}
	err := a.ask(a.metrics, s)
	if a.failed++; err == nil {
		a.failed = 0
	}
	return err
}

type cpuAsked struct{ share utilization }

func (c *cpuAsked) ask(m *metrics, s *check.Sample) error {
	all, err := cpu.Times(false)
	if err != nil || len(all) == 0 {
		return errors.Join(err, errors.New("no times of processors"))
	}
	t := all[0]
	modes := []string{"user", "nice", "system", "idle", "interrupt"}
	times := []float64{t.User, t.Nice, t.System, t.Idle, t.Irq + t.Softirq}
	for i, share := range c.share.of(times) {
		m.put(s, share, check.Gauge, "system.cpu.utilization", "1", "cpu.mode", modes[i])
	}
	for i, v := range times {
		m.put(s, round4(v), check.Counter, "system.cpu.time", "s", "cpu.mode", modes[i])
	}
	count, err := cpu.Counts(true)
	m.put(s, float64(count), check.Gauge, "system.cpu.logical.count", "{cpu}")
	return err
}

func askSystem(m *metrics, s *check.Sample) error {
	up, err1 := gohost.Uptime()
	m.put(s, float64(up), check.Gauge, "system.uptime", "s")
	processes, err2 := process.Pids()
	m.put(s, float64(len(processes)), check.Gauge, "system.process.count", "{process}")
	if average, err := load.Avg(); err == nil { // Windows has none
		for i, v := range []float64{average.Load1, average.Load5, average.Load15} {
			m.put(s, math.Round(v*100)/100, check.Gauge, "system.cpu.load_average."+[]string{"1m", "5m", "15m"}[i], "{thread}")
		}
	}
	return errors.Join(err1, err2)
}

func askMemory(m *metrics, s *check.Sample) error {
	memory, err := mem.VirtualMemory()
	if err != nil {
		return err
	}
	total, free := float64(memory.Total), float64(memory.Free)
	cached := max(0, float64(memory.Available)-free)
	for i, v := range []float64{total - free - cached, free, cached} {
		state := []string{"used", "free", "cached"}[i]
		m.put(s, v, check.Gauge, "system.memory.usage", "By", "system.memory.state", state)
		m.put(s, ratio(v, total), check.Gauge, "system.memory.utilization", "1", "system.memory.state", state)
	}
	m.put(s, total, check.Gauge, "system.memory.limit", "By")
	swap, err := mem.SwapMemory()
	if err != nil || swap.Total == 0 {
		return err
	}
	for i, v := range []float64{float64(swap.Used), float64(swap.Free)} {
		state := []string{"used", "free"}[i]
		m.put(s, v, check.Gauge, "system.paging.usage", "By", "system.paging.state", state)
		m.put(s, ratio(v, float64(swap.Total)), check.Gauge, "system.paging.utilization", "1", "system.paging.state", state)
	}
	return nil
}

func askDisks(m *metrics, s *check.Sample) error {
	counters, err := disk.IOCounters()
	if err != nil {
		return err
	}
	for _, name := range sortedKeys(counters) {
		c := counters[name]
		for i, direction := range []string{"read", "write"} {
			attrs := []string{"disk.io.direction", direction, "system.device", name}
			m.put(s, float64([]uint64{c.ReadBytes, c.WriteBytes}[i]), check.Counter, "system.disk.io", "By", attrs...)
			m.put(s, float64([]uint64{c.ReadCount, c.WriteCount}[i]), check.Counter, "system.disk.operations", "{operation}", attrs...)
			m.put(s, float64([]uint64{c.ReadTime, c.WriteTime}[i])/1e3, check.Counter, "system.disk.operation_time", "s", attrs...)
		}
		m.put(s, float64(c.IoTime)/1e3, check.Counter, "system.disk.io_time", "s", "system.device", name)
	}
	return nil
}

func askFilesystems(m *metrics, s *check.Sample) error {
	mounts, err := disk.Partitions(false)
	if err != nil {
		return err
	}
	for _, one := range mounts[:min(len(mounts), maxDevices)] {
		use, err := disk.Usage(one.Mountpoint)
		if err != nil || use.Total == 0 {
			continue // a drive without a disk in it
		}
		attrs := []string{"system.device", one.Device, "system.filesystem.mountpoint", one.Mountpoint, "system.filesystem.type", one.Fstype}
		for i, v := range []float64{float64(use.Used), float64(use.Free)} {
			state := append(slices.Clone(attrs), "system.filesystem.state", []string{"used", "free"}[i])
			m.put(s, v, check.Gauge, "system.filesystem.usage", "By", state...)
		}
		m.put(s, float64(use.Total), check.Gauge, "system.filesystem.limit", "By", attrs...)
		m.put(s, ratio(float64(use.Used), float64(use.Used+use.Free)), check.Gauge, "system.filesystem.utilization", "1", attrs...)
		readOnly := 0.0
		if slices.Contains(one.Opts, "ro") {
			readOnly = 1
		}
		m.put(s, readOnly, check.Gauge, "system.filesystem.read_only", "1", attrs...)
	}
	return nil
}

func askNetworks(m *metrics, s *check.Sample) error {
	counters, err := net.IOCounters(true)
	if err != nil {
		return err
	}
	measured := 0
	for _, c := range counters {
		if innerInterface(c.Name) || c.BytesRecv == 0 && c.BytesSent == 0 || measured == maxDevices {
			continue
		}
		measured++
		for i, direction := range []string{"receive", "transmit"} {
			attrs := []string{"network.interface.name", c.Name, "network.io.direction", direction}
			m.put(s, float64([]uint64{c.BytesRecv, c.BytesSent}[i]), check.Counter, "system.network.io", "By", attrs...)
			m.put(s, float64([]uint64{c.PacketsRecv, c.PacketsSent}[i]), check.Counter, "system.network.packet.count", "{packet}", attrs...)
			m.put(s, float64([]uint64{c.Errin, c.Errout}[i]), check.Counter, "system.network.errors", "{error}", attrs...)
			m.put(s, float64([]uint64{c.Dropin, c.Dropout}[i]), check.Counter, "system.network.packet.dropped", "{packet}", attrs...)
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
