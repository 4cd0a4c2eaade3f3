package chart

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"muster"
	"muster/internal/series"
)

// Host gives the panels of what every machine measures of itself, of those metrics that are there.
func Host(metrics []series.MetricNow) []Panel {
	have := map[string]bool{}
	for i := range metrics {
		have[metrics[i].Metric.Name] = true
	}
	var out []Panel
	for _, make := range []func([]series.MetricNow) Panel{
		cpu, memory, pressure, load, diskIO, diskBusy, filesystems, network, connections, processes,
	} {
		p := make(metrics)
		p.parts = slices.DeleteFunc(p.parts, func(q part) bool { return !have[q.metric] })
		if len(p.parts) > 0 {
			out = append(out, p)
		}
	}
	return out
}

// by makes a grouping by the value of one attribute; values that are not named are left out.
func by(attr string, lines map[string]group) func(*muster.Metric) (group, bool) {
	return func(m *muster.Metric) (group, bool) {
		g, ok := lines[m.Attr(attr)]
		return g, ok
	}
}

// one makes a single line of a query.
func one(g group) func(*muster.Metric) (group, bool) {
	return func(*muster.Metric) (group, bool) { return g, true }
}

// each makes a line of every value of an attribute.
func each(attr string) func(*muster.Metric) (group, bool) {
	return func(m *muster.Metric) (group, bool) {
		v := m.Attr(attr)
		return group{key: v, name: v, colour: -1}, v != ""
	}
}

func cpu([]series.MetricNow) Panel {
	user, system := group{key: "user", name: "user"}, group{key: "system", name: "system", colour: 1, order: 1}
	return Panel{ID: "cpu", Title: "CPU", Unit: Share, Max: 1, Stack: true, Now: NowSum, parts: []part{{
		metric: "system.cpu.utilization",
		group: by("cpu.mode", map[string]group{
			"user": user, "nice": user, "system": system, "interrupt": system, "kernel": system,
			"iowait": {key: "wait", name: "wait", colour: 3, order: 2}, "steal": {key: "steal", name: "steal", colour: 4, order: 3},
		}),
	}}}
}

func memory(metrics []series.MetricNow) Panel {
	p := Panel{ID: "memory", Title: "Memory", Unit: Share, Max: 1, Now: NowFirst, Note: "used"}
	if limit, ok := newest(metrics, "system.memory.limit"); ok {
		p.Note = "of " + Text(limit, Bytes)
	}
	cache := group{key: "cache", name: "page cache", colour: 4, order: 1}
	p.parts = []part{{
		metric: "system.memory.utilization",
		group:  by("system.memory.state", map[string]group{"used": {key: "used", name: "used"}, "cached": cache, "buffers": cache}),
	}}
	if has(metrics, "system.paging.utilization", "used") {
		swap := map[string]group{"used": {key: "swap", name: "swap", colour: 2, order: 2}}
		p.parts = append(p.parts, part{metric: "system.paging.utilization", group: by("system.paging.state", swap)})
	}
	return p
}

func pressure([]series.MetricNow) Panel {
	return Panel{ID: "pressure", Title: "Pressure", Unit: Share, Floor: 0.1, Now: NowMost, parts: []part{{
		metric: "system.linux.pressure.time", attrs: map[string]string{"system.linux.pressure.stalled": "some"},
		group: by("system.linux.pressure.resource", map[string]group{
			"cpu": {key: "cpu", name: "cpu"}, "memory": {key: "memory", name: "memory", colour: 2, order: 1}, "io": {key: "io", name: "io", colour: 3, order: 2},
		}),
	}}}
}

func load(metrics []series.MetricNow) Panel {
	p := Panel{ID: "load", Title: "Load", Floor: 1, Now: NowFirst, Note: "1 min"}
	if cores, ok := newest(metrics, "system.cpu.logical.count"); ok {
		p.Note = fmt.Sprintf("1 min · %.0f cores", cores)
	}
	p.parts = []part{
		{metric: "system.cpu.load_average.1m", group: one(group{key: "1m", name: "1 min"})},
		{metric: "system.cpu.load_average.5m", group: one(group{key: "5m", name: "5 min", colour: 1, order: 1})},
		{metric: "system.cpu.load_average.15m", group: one(group{key: "15m", name: "15 min", colour: 4, order: 2})},
	}
	return p
}

func diskIO(metrics []series.MetricNow) Panel {
	lines := map[string]group{"read": {key: "read", name: "read"}, "write": {key: "write", name: "write", colour: 1, order: 1}}
	return Panel{ID: "disk-io", Title: "Disk I/O", Unit: BytesPerSecond, Floor: 10e3, Now: NowMost, parts: []part{{
		metric: "system.disk.io", group: outer(metrics, "system.disk.io", "system.device", layeredDisks, by("disk.io.direction", lines)),
	}}}
}

func diskBusy(metrics []series.MetricNow) Panel {
	return Panel{ID: "disk-busy", Title: "Disk busy", Unit: Share, Max: 1, Now: NowMost, parts: []part{{
		metric: "system.disk.io_time", group: outer(metrics, "system.disk.io_time", "system.device", layeredDisks, each("system.device")),
	}}}
}

func filesystems([]series.MetricNow) Panel {
	return Panel{ID: "filesystems", Title: "Filesystems", Unit: Share, Max: 1, Now: NowMost, parts: []part{{
		metric: "system.filesystem.utilization", group: each("system.filesystem.mountpoint"),
	}}}
}

func network(metrics []series.MetricNow) Panel {
	lines := map[string]group{"receive": {key: "in", name: "in"}, "transmit": {key: "out", name: "out", colour: 1, order: 1}}
	return Panel{ID: "network", Title: "Network", Unit: BitsPerSecond, Floor: 10e3, Now: NowMost, parts: []part{{
		metric: "system.network.io", factor: 8,
		group: outer(metrics, "system.network.io", "network.interface.name", innerInterfaces, by("network.io.direction", lines)),
	}}}
}

func connections([]series.MetricNow) Panel {
	return Panel{ID: "connections", Title: "Connections", Floor: 4, Now: NowFirst, Note: "established", parts: []part{{
		metric: "system.network.connection.count", attrs: map[string]string{"network.transport": "tcp"},
		group: by("network.connection.state", map[string]group{
			"established": {key: "established", name: "established"}, "time_wait": {key: "time_wait", name: "time wait", colour: 4, order: 1},
		}),
	}}}
}

func processes([]series.MetricNow) Panel {
	return Panel{ID: "processes", Title: "Processes", Floor: 4, Now: NowFirst, Note: "processes", parts: []part{
		{metric: "system.process.count", group: one(group{key: "processes", name: "processes"})},
		{metric: "system.linux.tasks.count", group: one(group{key: "tasks", name: "threads", colour: 4, order: 1})},
	}}
}

// Devices that only pass on what others do; summed with those they would count twice.
var (
	layeredDisks    = []string{"dm-", "md", "loop", "zram", "bcache", "drbd"}
	innerInterfaces = []string{"lo", "docker", "br-", "virbr", "veth", "cni", "flannel", "cali", "podman"}
)

// outer leaves devices out whose name has one of the prefixes, unless the machine has no others.
func outer(metrics []series.MetricNow, name, attr string, inner []string, next func(*muster.Metric) (group, bool)) func(*muster.Metric) (group, bool) {
	isInner := func(m *muster.Metric) bool {
		return slices.ContainsFunc(inner, func(prefix string) bool { return strings.HasPrefix(m.Attr(attr), prefix) })
	}
	others := slices.ContainsFunc(metrics, func(m series.MetricNow) bool { return m.Metric.Name == name && !isInner(&m.Metric) })
	return func(m *muster.Metric) (group, bool) {
		if others && isInner(m) {
			return group{}, false
		}
		return next(m)
	}
}

// newest gives the value of the first metric of that name that has one.
func newest(metrics []series.MetricNow, name string) (float64, bool) {
	for i := range metrics {
		if m := &metrics[i]; m.Metric.Name == name && !math.IsNaN(m.Value) {
			return m.Value, true
		}
	}
	return 0, false
}

// has says whether a metric with an attribute of that value ever had a value that is not NaN.
func has(metrics []series.MetricNow, name, value string) bool {
	return slices.ContainsFunc(metrics, func(m series.MetricNow) bool {
		return m.Metric.Name == name && !math.IsNaN(m.Value) && slices.ContainsFunc(m.Metric.Attrs, func(a muster.Attr) bool { return a.Value == value })
	})
}
