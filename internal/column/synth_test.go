package column_test

import (
	"fmt"
	"math"
	"math/rand/v2"

	"muster"
)

// hostMetrics describes a machine as the agent does: 4 cores, one disk, two networks.
func hostMetrics() []muster.Metric {
	var list []muster.Metric
	add := func(name, unit string, kind muster.MetricKind, attrs ...string) {
		m := muster.Metric{Name: name, Unit: unit, Kind: kind}
		for i := 0; i < len(attrs); i += 2 {
			m.Attrs = append(m.Attrs, muster.Attr{Key: attrs[i], Value: attrs[i+1]})
		}
		list = append(list, m)
	}
	for _, mode := range []string{"user", "system", "iowait", "irq", "softirq", "steal", "nice", "idle"} {
		add("system.cpu.utilization", "1", muster.Gauge, "cpu.mode", mode)
		for core := range 4 {
			add("system.cpu.time", "s", muster.Counter, "cpu.logical_number", fmt.Sprint(core), "cpu.mode", mode)
		}
	}
	for _, state := range []string{"used", "free", "cached", "buffered", "available", "slab"} {
		add("system.memory.usage", "By", muster.Gauge, "system.memory.state", state)
		add("system.memory.utilization", "1", muster.Gauge, "system.memory.state", state)
	}
	for _, way := range []string{"read", "write"} {
		add("system.disk.io", "By", muster.Counter, "disk.io.direction", way)
		add("system.disk.operations", "{operation}", muster.Counter, "disk.io.direction", way)
		add("system.disk.operation_time", "s", muster.Counter, "disk.io.direction", way)
	}
	for _, device := range []string{"eth0", "lo"} {
		for _, way := range []string{"receive", "transmit"} {
			add("system.network.io", "By", muster.Counter, "network.interface.name", device, "network.io.direction", way)
			add("system.network.packets", "{packet}", muster.Counter, "network.interface.name", device, "network.io.direction", way)
			add("system.network.errors", "{error}", muster.Counter, "network.interface.name", device, "network.io.direction", way)
			add("system.network.dropped", "{packet}", muster.Counter, "network.interface.name", device, "network.io.direction", way)
		}
	}
	for _, m := range []string{"/", "/home", "/boot"} {
		add("system.filesystem.usage", "By", muster.Gauge, "system.filesystem.mountpoint", m)
		add("system.filesystem.utilization", "1", muster.Gauge, "system.filesystem.mountpoint", m)
	}
	for _, span := range []string{"1m", "5m", "15m"} {
		add("system.load."+span, "1", muster.Gauge)
	}
	add("system.uptime", "s", muster.Gauge)
	add("system.process.count", "{process}", muster.Gauge)
	add("system.memory.limit", "By", muster.Gauge)
	return list
}

func mustSchema(metrics []muster.Metric) *muster.Schema {
	s, err := muster.NewSchema(metrics)
	if err != nil {
		panic(err)
	}
	return s
}

// hostFrames makes frames that look like those of a busy host: counters of bytes and of seconds with
// two decimals, shares with four, gauges of whole pages, constants.
func hostFrames(seed uint64, n int, period int64) []*muster.Frame {
	rng := rand.New(rand.NewPCG(seed, 1))
	schema := mustSchema(hostMetrics())
	state := make([]float64, len(schema.Metrics))
	for i := range state {
		state[i] = math.Floor(rng.Float64() * 1e7)
	}
	node, account := muster.NodeID{byte(seed), byte(seed >> 8), 7}, muster.AccountID{9}
	at := int64(1_790_000_000_000)
	frames := make([]*muster.Frame, n)
	load := 0.3
	for f := range frames {
		load = min(max(load+rng.NormFloat64()*0.1, 0), 1)
		values := make([]float64, len(state))
		for i := range values {
			values[i] = hostValue(rng, &schema.Metrics[i], &state[i], load, float64(period)/1000, i)
		}
		frames[f] = &muster.Frame{Account: account, Node: node, Source: muster.HostSource, At: at, Sent: at + 40, Schema: schema, Values: values}
		at += period
	}
	return frames
}

func hostValue(rng *rand.Rand, m *muster.Metric, state *float64, load, seconds float64, i int) float64 {
	noise := math.Abs(1 + 0.5*rng.NormFloat64())
	switch {
	case i%5 == 4: // a good part of a host's metrics stands still
		return math.Floor(*state / 4096)
	case m.Unit == "1":
		return math.Round(load*noise*1e4/float64(2+i%7)) / 1e4
	case m.Unit == "s" && m.Kind == muster.Counter:
		*state += math.Round(load * noise * seconds * 100 / float64(1+i%5))
		return *state / 100
	case m.Unit == "s":
		*state += seconds
		return *state
	case m.Unit == "By" && m.Kind == muster.Gauge:
		*state += math.Round(rng.NormFloat64() * 300)
		return (*state + 1e6) * 4096
	case m.Unit == "By":
		*state += math.Round(load * noise * 1e5 * seconds)
		return *state
	case m.Kind == muster.Counter:
		*state += math.Round(load * noise * 40 * seconds)
		return *state
	}
	return math.Round(200 + load*noise*20)
}

// fataler is what tests, benchmarks, fuzz targets and rapid have in common.
type fataler interface {
	Helper()
	Fatalf(string, ...any)
}
